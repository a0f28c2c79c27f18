//! What a cut left: a plain tree, which another disk or a directory can begin with.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

/// A file or a directory, with everything in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tree {
    /// Content.
    File(Vec<u8>),
    /// Names.
    Dir(BTreeMap<String, Tree>),
}

/// Everything that was on a disk when its power was cut and it came back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Image {
    /// What the root holds.
    pub root: BTreeMap<String, Tree>,
}

impl Image {
    /// What is at `path`, whose parts are separated by slashes.
    pub fn get(&self, path: &str) -> Option<&Tree> {
        let mut parts = path.split('/');
        let first = self.root.get(parts.next()?)?;
        parts.try_fold(first, |tree, part| match tree {
            Tree::File(_) => None,
            Tree::Dir(names) => names.get(part),
        })
    }

    /// The content of the file at `path`.
    pub fn file(&self, path: &str) -> Option<&[u8]> {
        match self.get(path)? {
            Tree::File(content) => Some(content),
            Tree::Dir(_) => None,
        }
    }

    /// Writes everything into the directory `dir`.
    pub fn write_to(&self, dir: &Path) -> io::Result<()> {
        write(&self.root, dir)
    }
}

fn write(names: &BTreeMap<String, Tree>, dir: &Path) -> io::Result<()> {
    for (name, tree) in names {
        let path = dir.join(name);
        match tree {
            Tree::File(content) => fs::write(path, content)?,
            Tree::Dir(names) => {
                fs::create_dir(&path)?;
                write(names, &path)?;
            }
        }
    }
    Ok(())
}
