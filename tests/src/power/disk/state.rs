//! What a disk holds, and what is wrong with it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::{DiskError, ROOT, Stat};
use crate::power::image::{Image, Tree};
use crate::power::loss::{Loss, OpNumber};
use crate::power::node::{DirNode, FileNode, Ino, Node};

#[derive(Debug)]
pub(super) struct State {
    pub(super) nodes: HashMap<Ino, Node>,
    pub(super) last_ino: Ino,
    pub(super) last_op: OpNumber,
    pub(super) planned: Option<(OpNumber, u64)>,
    pub(super) image: Option<Arc<Image>>,
    pub(super) faults: Faults,
}

/// What is wrong with the disk.
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// Syncs until the one that fails, which is at 1, and the seed of what it keeps.
    pub(super) failing_sync: Option<(u64, u64)>,
    pub(super) bytes_left: Option<u64>,
    pub(super) sync_delay: Duration,
    pub(super) is_read_only: bool,
}

impl State {
    /// All of `image` is durable.
    pub(super) fn durable(image: &Image) -> Self {
        let mut state = State {
            nodes: HashMap::new(),
            last_ino: ROOT,
            last_op: 0,
            planned: None,
            image: None,
            faults: Faults::default(),
        };
        let root = state.load(&image.root);
        state.nodes.insert(ROOT, Node::Dir(root));
        state
    }

    fn load(&mut self, names: &BTreeMap<String, Tree>) -> DirNode {
        let mut inos = BTreeMap::new();
        for (name, tree) in names {
            let node = match tree {
                Tree::File(content) => Node::File(FileNode::durable(content)),
                Tree::Dir(names) => Node::Dir(self.load(names)),
            };
            self.last_ino += 1;
            self.nodes.insert(self.last_ino, node);
            inos.insert(name.clone(), self.last_ino);
        }
        DirNode::durable(inos)
    }

    /// One more operation was done.
    pub(super) fn count(&mut self) {
        self.last_op += 1;
        match self.planned {
            Some((at, seed)) if at == self.last_op => _ = self.cut(seed),
            _ => {}
        }
    }

    pub(super) fn cut(&mut self, seed: u64) -> Arc<Image> {
        if let Some(image) = &self.image {
            return image.clone();
        }
        let mut loss = Loss::new(seed, self.last_op);
        let root = self.tree(ROOT, &mut loss);
        let Tree::Dir(root) = root else {
            unreachable!("the root is a directory");
        };
        let image = Arc::new(Image { root });
        self.image = Some(image.clone());
        image
    }

    fn tree(&self, ino: Ino, loss: &mut Loss) -> Tree {
        match &self.nodes[&ino] {
            Node::File(file) => Tree::File(file.after_cut(loss)),
            Node::Dir(dir) => {
                let names = dir.after_cut(loss).into_iter();
                Tree::Dir(names.map(|(name, ino)| (name, self.tree(ino, loss))).collect())
            }
        }
    }

    pub(super) fn stat(&self, ino: Ino) -> Result<Stat, DiskError> {
        let (is_dir, bytes) = match self.nodes.get(&ino).ok_or(DiskError::NotFound)? {
            Node::File(file) => (false, file.current.len() as u64),
            Node::Dir(_) => (true, 0),
        };
        Ok(Stat { ino, is_dir, bytes })
    }

    pub(super) fn name(&self, dir: Ino, name: &str) -> Result<Ino, DiskError> {
        let names = &self.dir(dir)?.current;
        names.get(name).copied().ok_or(DiskError::NotFound)
    }

    pub(super) fn node_mut(&mut self, ino: Ino) -> Result<&mut Node, DiskError> {
        self.nodes.get_mut(&ino).ok_or(DiskError::NotFound)
    }

    pub(super) fn file(&self, ino: Ino) -> Result<&FileNode, DiskError> {
        match self.nodes.get(&ino).ok_or(DiskError::NotFound)? {
            Node::File(file) => Ok(file),
            Node::Dir(_) => Err(DiskError::IsADirectory),
        }
    }

    pub(super) fn file_mut(&mut self, ino: Ino) -> Result<&mut FileNode, DiskError> {
        match self.node_mut(ino)? {
            Node::File(file) => Ok(file),
            Node::Dir(_) => Err(DiskError::IsADirectory),
        }
    }

    pub(super) fn dir(&self, ino: Ino) -> Result<&DirNode, DiskError> {
        match self.nodes.get(&ino).ok_or(DiskError::NotFound)? {
            Node::Dir(dir) => Ok(dir),
            Node::File(_) => Err(DiskError::NotADirectory),
        }
    }

    pub(super) fn dir_mut(&mut self, ino: Ino) -> Result<&mut DirNode, DiskError> {
        match self.node_mut(ino)? {
            Node::Dir(dir) => Ok(dir),
            Node::File(_) => Err(DiskError::NotADirectory),
        }
    }
}
