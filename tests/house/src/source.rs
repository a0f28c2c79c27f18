//! One source file as tokens: the modules that it declares, what it imports, and the paths in it.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// What the body of a module says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Body {
    /// Modules in other files.
    pub(crate) declared: Vec<String>,
    /// Modules in braces.
    pub(crate) inline: Vec<(String, Body)>,
    pub(crate) imports: Vec<Import>,
    /// Paths of expressions and types that begin with `crate`, `super` or `self`.
    pub(crate) paths: Vec<Vec<String>>,
}

/// One name that a `use` brings in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Import {
    pub(crate) path: Vec<String>,
    /// As what; `*` is everything.
    pub(crate) name: String,
}

impl Body {
    /// What `text` says outside tests.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let stream: TokenStream = text
            .parse()
            .map_err(|error| anyhow::anyhow!("this is not Rust: {error}"))?;
        let mut body = Body::default();
        body.read(stream);
        Ok(body)
    }

    fn read(&mut self, stream: TokenStream) {
        let tokens: Vec<TokenTree> = stream.into_iter().collect();
        let mut rest = tokens.as_slice();
        while let [first, after @ ..] = rest {
            rest = match first {
                TokenTree::Punct(it) if it.as_char() == '#' => after_attribute(after),
                TokenTree::Ident(it) if it == "mod" => self.module(after),
                TokenTree::Ident(it) if it == "use" => self.import(after),
                TokenTree::Ident(it) if it == "crate" || it == "super" || it == "self" => self.path(rest),
                TokenTree::Group(it) => {
                    self.read(it.stream());
                    after
                }
                _ => after,
            };
        }
    }

    /// After `mod`.
    fn module<'a>(&mut self, tokens: &'a [TokenTree]) -> &'a [TokenTree] {
        match tokens {
            [TokenTree::Ident(name), TokenTree::Group(group), after @ ..] => {
                let mut body = Body::default();
                body.read(group.stream());
                self.inline.push((name.to_string(), body));
                after
            }
            [TokenTree::Ident(name), after @ ..] => {
                self.declared.push(name.to_string());
                after
            }
            _ => tokens,
        }
    }

    /// After `use`.
    fn import<'a>(&mut self, tokens: &'a [TokenTree]) -> &'a [TokenTree] {
        let end = tokens.iter().position(|it| is_punct(it, ';')).unwrap_or(tokens.len());
        let (tree, after) = tokens.split_at(end);
        self.tree(&[], tree);
        after
    }

    /// One branch of a `use`, below `prefix`.
    fn tree(&mut self, prefix: &[String], tokens: &[TokenTree]) {
        let mut path = prefix.to_vec();
        let mut name = None;
        let mut is_renamed = false;
        for token in tokens {
            match token {
                TokenTree::Ident(it) if it == "as" => is_renamed = true,
                TokenTree::Ident(it) if is_renamed => name = Some(it.to_string()),
                // `a::{self}` is `a`.
                TokenTree::Ident(it) if it == "self" && !path.is_empty() => {}
                TokenTree::Ident(it) => path.push(it.to_string()),
                TokenTree::Punct(it) if it.as_char() == '*' => name = Some("*".to_owned()),
                TokenTree::Group(group) => {
                    let branches: Vec<TokenTree> = group.stream().into_iter().collect();
                    for branch in branches.split(|it| is_punct(it, ',')).filter(|it| !it.is_empty()) {
                        self.tree(&path, branch);
                    }
                    return;
                }
                _ => {}
            }
        }
        if let Some(name) = name.or_else(|| path.last().cloned()) {
            self.imports.push(Import { path, name });
        }
    }

    /// A path, from its first word.
    fn path<'a>(&mut self, tokens: &'a [TokenTree]) -> &'a [TokenTree] {
        let mut path = Vec::new();
        let mut rest = tokens;
        while let [TokenTree::Ident(word), after @ ..] = rest {
            path.push(word.to_string());
            rest = match after {
                [first, second, more @ ..] if is_punct(first, ':') && is_punct(second, ':') => more,
                _ => {
                    rest = after;
                    break;
                }
            };
        }
        if path.len() > 1 {
            self.paths.push(path);
        }
        rest
    }
}

/// After `#`: skips the attribute, and all that it is for if that is for tests only.
fn after_attribute(tokens: &[TokenTree]) -> &[TokenTree] {
    let tokens = match tokens {
        [first, rest @ ..] if is_punct(first, '!') => rest,
        _ => tokens,
    };
    let [TokenTree::Group(attribute), rest @ ..] = tokens else {
        return tokens;
    };
    if !is_for_tests(attribute.stream()) {
        return rest;
    }
    let is_use = |it: &TokenTree| matches!(it, TokenTree::Ident(word) if word == "use");
    let is_end = |it: &TokenTree| match it {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        _ => is_punct(it, ';') || is_punct(it, ','),
    };
    let end = match rest.iter().position(is_end) {
        // The braces of a `use` are not its end.
        Some(end) if rest.iter().take(end).any(is_use) => rest.iter().position(|it| is_punct(it, ';')),
        end => end,
    };
    end.and_then(|end| rest.get(end + 1..)).unwrap_or_default()
}

/// `cfg(test)` and the like, and `test`.
fn is_for_tests(attribute: TokenStream) -> bool {
    let words: Vec<String> = words(attribute);
    let is_negated = words.iter().any(|it| it == "not");
    let is_condition = words.first().is_some_and(|it| it == "cfg" || it == "test");
    is_condition && !is_negated && words.iter().any(|it| it == "test")
}

fn words(stream: TokenStream) -> Vec<String> {
    let one = |token| match token {
        TokenTree::Ident(word) => vec![word.to_string()],
        TokenTree::Group(group) => words(group.stream()),
        _ => vec![],
    };
    stream.into_iter().flat_map(one).collect()
}

fn is_punct(token: &TokenTree, wanted: char) -> bool {
    matches!(token, TokenTree::Punct(it) if it.as_char() == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str) -> Vec<String> {
        Body::parse(text)
            .unwrap()
            .paths
            .iter()
            .map(|it| it.join("::"))
            .collect()
    }

    fn imports(text: &str) -> Vec<String> {
        let imports = Body::parse(text).unwrap().imports;
        imports
            .iter()
            .map(|it| format!("{} as {}", it.path.join("::"), it.name))
            .collect()
    }

    /// Goal: every leaf of a tree of names is an import, under the name that it has here.
    #[test]
    fn every_form_of_use_is_read() {
        assert_eq!(
            imports("use a::{self, b::{c as d, e::*}, F}; pub(crate) use super::G;"),
            ["a as a", "a::b::c as d", "a::b::e as *", "a::F as F", "super::G as G"]
        );
    }

    /// Goal: paths are found wherever they are, in macros too, and not in comments or strings.
    #[test]
    fn every_path_is_read() {
        let text = "fn f(x: crate::a::B) { vec![super::c::D(\"crate::no\")]; self.x(); /* crate::no */ self::e::f::<crate::G>() }";
        assert_eq!(paths(text), ["crate::a::B", "super::c::D", "self::e::f", "crate::G"]);
    }

    /// Goal: what only tests have is left out to its end, and what follows is not.
    #[test]
    fn tests_are_left_out() {
        let text = "#[cfg(test)] mod tests; #[cfg(test)] use crate::{no::No}; #[cfg(all(test, x))] mod t { use crate::no; }
            #[cfg(not(test))] use a::b; #[test] fn f() { crate::no::no() } mod real; fn g() { #[cfg(test)] crate::no::no(); crate::yes::yes() }";
        let body = Body::parse(text).unwrap();
        assert_eq!(body.declared, ["real"]);
        assert_eq!(
            (imports(text), paths(text)),
            (vec!["a::b as b".to_owned()], vec!["crate::yes::yes".to_owned()])
        );
        assert!(body.inline.is_empty());
    }
}
