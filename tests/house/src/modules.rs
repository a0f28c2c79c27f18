//! The modules of a target, and where their imports lead.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Context;

use crate::graph::Graph;
use crate::source::{Body, Import};

/// Re-exports of re-exports are followed so far.
const HOPS_MAX: usize = 8;

/// The place of a module below the root, which is empty.
type Place = Vec<String>;

/// All modules of one target.
#[derive(Debug, Default)]
pub(crate) struct Tree(BTreeMap<Place, Module>);

#[derive(Debug, Default)]
struct Module {
    imports: Vec<Import>,
    paths: Vec<Vec<String>>,
}

impl Tree {
    /// Reads the file `root` and all that it declares.
    pub(crate) fn read(root: &Path) -> anyhow::Result<Self> {
        let mut tree = Tree::default();
        let directory = root.parent().context("a source file is in a directory")?;
        tree.add_file(vec![], root, directory)?;
        Ok(tree)
    }

    /// `children` is where its modules are.
    fn add_file(&mut self, place: Place, file: &Path, children: &Path) -> anyhow::Result<()> {
        let text = fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
        let body = Body::parse(&text).with_context(|| format!("{}", file.display()))?;
        self.add(place, body, children)
    }

    fn add(&mut self, place: Place, body: Body, children: &Path) -> anyhow::Result<()> {
        let Body {
            declared,
            inline,
            imports,
            paths,
        } = body;
        self.0.insert(place.clone(), Module { imports, paths });
        for name in declared {
            let file = children.join(format!("{name}.rs"));
            let file = if file.is_file() {
                file
            } else {
                children.join(&name).join("mod.rs")
            };
            self.add_file(below(&place, &name), &file, &children.join(&name))?;
        }
        for (name, body) in inline {
            self.add(below(&place, &name), body, &children.join(&name))?;
        }
        Ok(())
    }

    /// For every module with children, who of these imports whom.
    pub(crate) fn levels(&self) -> BTreeMap<String, Graph> {
        let mut levels: BTreeMap<String, Graph> = BTreeMap::new();
        for (from, module) in &self.0 {
            let imports = module.imports.iter().map(|import| &import.path);
            for path in imports.chain(&module.paths) {
                let Some(to) = self.resolve(from, path, HOPS_MAX) else {
                    continue;
                };
                let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
                if let (Some(a), Some(b), Some(parent)) = (from.get(shared), to.get(shared), from.get(..shared)) {
                    levels.entry(parent.join("::")).or_default().add(a, b);
                }
            }
        }
        levels
    }

    /// The module that has what `path`, written in `from`, names. `None` is another crate.
    fn resolve(&self, from: &Place, path: &[String], hops: usize) -> Option<Place> {
        let (first, rest) = path.split_first()?;
        let (mut at, mut rest) = match first.as_str() {
            "crate" => (vec![], rest),
            "self" => (from.clone(), rest),
            "super" => (parent(from)?, rest),
            name if self.0.contains_key(&below(from, name)) => (below(from, name), rest),
            name => {
                let import = self.import(from, name).filter(|it| it.path.as_slice() != path)?;
                return self.resolve(from, &[import.path.as_slice(), rest].concat(), hops.checked_sub(1)?);
            }
        };
        while let Some((name, more)) = rest.split_first() {
            if name == "super" {
                at = parent(&at)?;
            } else if self.0.contains_key(&below(&at, name)) {
                at = below(&at, name);
            } else if let Some(import) = self.import(&at, name) {
                return self.resolve(&at, &[import.path.as_slice(), more].concat(), hops.checked_sub(1)?);
            } else {
                break;
            }
            rest = more;
        }
        Some(at)
    }

    fn import(&self, place: &Place, name: &str) -> Option<&Import> {
        self.0.get(place)?.imports.iter().find(|it| it.name == name)
    }
}

fn below(place: &Place, name: &str) -> Place {
    place.iter().cloned().chain([name.to_owned()]).collect()
}

fn parent(place: &Place) -> Option<Place> {
    place.split_last().map(|(_, parent)| parent.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A target whose modules are in braces.
    fn circles(text: &str) -> Vec<String> {
        let mut tree = Tree::default();
        tree.add(vec![], Body::parse(text).unwrap(), Path::new("")).unwrap();
        let levels = tree.levels();
        let told = levels
            .iter()
            .flat_map(|(place, graph)| graph.circles().into_iter().map(move |it| (place, it)));
        told.map(|(place, circle)| format!("{place}: {}", circle.join(" ")))
            .collect()
    }

    /// Goal: a circle is found at the level where it closes, whether by `crate`, `super`, a re-export or a path in an expression.
    #[test]
    fn circles_are_found_where_they_close() {
        assert_eq!(
            circles("mod a { use crate::b::B; } mod b { fn f() { super::a::g() } }"),
            [": a b"]
        );
        assert_eq!(
            circles("mod a { mod x { use crate::b::y::Y; } } mod b { mod y { use crate::a::x::X; } }"),
            [": a b"]
        );
        assert_eq!(
            circles("mod a { mod x { use super::y::Y; } mod y { use super::x; } }"),
            ["a: x y"]
        );
        let re_exported = "pub use b::B; mod a { use crate::B; } mod b { use crate::a::A; pub struct B; }";
        assert_eq!(circles(re_exported), [": a b"]);
    }

    /// Goal: a parent and its children, and other crates, close no circle.
    #[test]
    fn what_is_no_circle_is_not_told() {
        assert_eq!(
            circles("mod a { pub use x::X; mod x { use super::A; use crate::Root; use serde::a; } }"),
            Vec::<String>::new()
        );
        assert_eq!(
            circles("use a::A; mod a { use std::b; use crate::b::B; } mod b { use c::D; mod c { use super::E; } }"),
            Vec::<String>::new()
        );
    }
}
