//! Files and directories: what they are now, what is durable, and what is between the two.

use std::collections::BTreeMap;

use super::loss::{Fate, Loss, OpNumber, SECTOR_BYTES};

/// Names a node of one disk.
pub(super) type Ino = u64;

#[derive(Debug)]
pub(super) enum Node {
    File(FileNode),
    Dir(DirNode),
}

/// A file's content, twice.
#[derive(Debug, Default)]
pub(super) struct FileNode {
    pub(super) current: Vec<u8>,
    pub(super) durable: Vec<u8>,
    /// What leads from `durable` to `current`, in order.
    pending: Vec<(OpNumber, FileOp)>,
}

#[derive(Debug)]
enum FileOp {
    Write { offset: usize, data: Vec<u8> },
    Resize(usize),
}

/// A directory's names, twice.
#[derive(Debug, Default)]
pub(super) struct DirNode {
    pub(super) current: BTreeMap<String, Ino>,
    durable: BTreeMap<String, Ino>,
    pending: Vec<(OpNumber, DirOp)>,
}

#[derive(Debug)]
enum DirOp {
    Put(String, Ino),
    Remove(String),
    Rename { from: String, to: String, ino: Ino },
}

impl FileNode {
    /// A file that is durable as it is.
    pub(super) fn durable(content: &[u8]) -> Self {
        FileNode {
            current: content.to_vec(),
            durable: content.to_vec(),
            pending: Vec::new(),
        }
    }

    pub(super) fn write(&mut self, number: OpNumber, offset: usize, data: &[u8]) {
        put(&mut self.current, offset, data);
        let data = data.to_vec();
        self.pending.push((number, FileOp::Write { offset, data }));
    }

    pub(super) fn resize(&mut self, number: OpNumber, bytes: usize) {
        self.current.resize(bytes, 0);
        self.pending.push((number, FileOp::Resize(bytes)));
    }

    /// Everything is durable from now on.
    pub(super) fn sync(&mut self) {
        for (_, op) in self.pending.drain(..) {
            match op {
                FileOp::Write { offset, data } => put(&mut self.durable, offset, &data),
                FileOp::Resize(bytes) => self.durable.resize(bytes, 0),
            }
        }
    }

    /// A sync that failed: what it has not kept will never be durable, though programs still see it.
    pub(super) fn fail_sync(&mut self, loss: &mut Loss) {
        self.durable = self.after_cut(loss);
        self.pending.clear();
    }

    /// What a cut leaves.
    pub(super) fn after_cut(&self, loss: &mut Loss) -> Vec<u8> {
        loss.next_node();
        let mut content = self.durable.clone();
        for (number, op) in &self.pending {
            match op {
                FileOp::Write { offset, data } => match loss.write(*number) {
                    Fate::Kept => put(&mut content, *offset, data),
                    Fate::Torn => tear(&mut content, *offset, data, loss),
                    Fate::Lost => {
                        let end = offset + data.len();
                        if end > content.len() && loss.leaves_zeros() {
                            content.resize(end, 0);
                        }
                    }
                },
                FileOp::Resize(bytes) => {
                    if loss.keeps(*number) {
                        content.resize(*bytes, 0);
                    }
                }
            }
        }
        content
    }
}

impl DirNode {
    /// A directory that is durable as it is.
    pub(super) fn durable(names: BTreeMap<String, Ino>) -> Self {
        DirNode {
            current: names.clone(),
            durable: names,
            pending: Vec::new(),
        }
    }

    pub(super) fn put(&mut self, number: OpNumber, name: &str, ino: Ino) {
        self.act(number, DirOp::Put(name.to_owned(), ino));
    }

    pub(super) fn remove(&mut self, number: OpNumber, name: &str) {
        self.act(number, DirOp::Remove(name.to_owned()));
    }

    pub(super) fn rename(&mut self, number: OpNumber, from: &str, to: &str, ino: Ino) {
        let (from, to) = (from.to_owned(), to.to_owned());
        self.act(number, DirOp::Rename { from, to, ino });
    }

    fn act(&mut self, number: OpNumber, op: DirOp) {
        op.apply(&mut self.current);
        self.pending.push((number, op));
    }

    /// Everything is durable from now on.
    pub(super) fn sync(&mut self) {
        for (_, op) in self.pending.drain(..) {
            op.apply(&mut self.durable);
        }
    }

    /// A sync that failed: what it has not kept will never be durable, though programs still see it.
    pub(super) fn fail_sync(&mut self, loss: &mut Loss) {
        self.durable = self.after_cut(loss);
        self.pending.clear();
    }

    /// What a cut leaves.
    pub(super) fn after_cut(&self, loss: &mut Loss) -> BTreeMap<String, Ino> {
        loss.next_node();
        let mut names = self.durable.clone();
        for (number, op) in &self.pending {
            if !loss.keeps(*number) {
                continue;
            }
            match op {
                // The new name without the end of the old one; the other way round would lose the file.
                DirOp::Rename { to, ino, .. } if loss.coin() => _ = names.insert(to.clone(), *ino),
                op => op.apply(&mut names),
            }
        }
        names
    }
}

impl DirOp {
    fn apply(&self, names: &mut BTreeMap<String, Ino>) {
        match self {
            DirOp::Put(name, ino) => _ = names.insert(name.clone(), *ino),
            DirOp::Remove(name) => _ = names.remove(name),
            DirOp::Rename { from, to, ino } => {
                // Where a cut lost the file that it replaced the name of, or the name itself, there may be nothing to remove.
                if names.get(from) == Some(ino) {
                    names.remove(from);
                }
                names.insert(to.clone(), *ino);
            }
        }
    }
}

fn put(content: &mut Vec<u8>, offset: usize, data: &[u8]) {
    let end = offset + data.len();
    if end > content.len() {
        content.resize(end, 0);
    }
    content[offset..end].copy_from_slice(data);
}

/// Puts some of the sectors that `data` touches. Sectors are those of the file, so a write may begin within one.
fn tear(content: &mut Vec<u8>, offset: usize, data: &[u8], loss: &mut Loss) {
    let mut at = 0;
    while at < data.len() {
        let to_boundary = SECTOR_BYTES - (offset + at) % SECTOR_BYTES;
        let end = data.len().min(at + to_boundary);
        if loss.coin() {
            put(content, offset + at, &data[at..end]);
        }
        at = end;
    }
}
