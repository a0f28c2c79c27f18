//! A disk in memory that keeps what is synced apart from what is only written.
//!
//! When the power goes, any part of what was not synced is kept, in sectors, whatever came first. A new name, or one that was removed,
//! is durable when its directory was synced, and syncing the file does not help it: that is the least that POSIX promises.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::io::Errno;

use super::chance::Chance;
use super::lack::Lack;
use crate::files::{Files, Opening, StoredFile};

/// How often a lost write beyond the end of a file has made it longer all the same, full of zeros.
const LONGER_PERCENT: u64 = 20;
/// What is kept of a write, or not, as a whole.
const SECTOR_BYTES: usize = 512;

/// A disk. Clones are the same one.
#[derive(Debug, Clone)]
pub(crate) struct SimDisk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// What the process sees: a file, or a directory, by its path.
    names: BTreeMap<PathBuf, Inode>,
    durable_names: BTreeMap<PathBuf, Inode>,
    /// What was done to names and not synced, in order.
    unsynced: Vec<Renaming>,
    files: Vec<File>,
    /// Operations until the power goes off.
    left: Option<usize>,
    /// What there is none of for now.
    lack: Option<Lack>,
    /// How often it went off: a file that was opened before is of another life.
    life: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inode {
    Dir,
    File(usize),
}

/// A change of names in one directory, which is durable as a whole or not.
#[derive(Debug)]
struct Renaming {
    dir: PathBuf,
    changes: Vec<(PathBuf, Option<Inode>)>,
}

#[derive(Debug, Default)]
struct File {
    now: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Edit>,
}

#[derive(Debug)]
enum Edit {
    Write(usize, Vec<u8>),
    Length(usize),
}

impl Edit {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Edit::Write(at, written) => write(bytes, *at, written),
            Edit::Length(length) => bytes.resize(*length, 0),
        }
    }
}

fn write(bytes: &mut Vec<u8>, at: usize, written: &[u8]) {
    let end = at + written.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[at..end].copy_from_slice(written);
}

impl SimDisk {
    /// A disk with these directories.
    pub(crate) fn new(dirs: &[&Path]) -> Self {
        let names: BTreeMap<PathBuf, Inode> = dirs.iter().map(|dir| ((*dir).to_owned(), Inode::Dir)).collect();
        SimDisk(Arc::new(Mutex::new(State {
            durable_names: names.clone(),
            names,
            ..State::default()
        })))
    }

    /// The power goes off after so many more operations.
    pub(crate) fn power_off_after(&self, operations: usize) {
        self.0.lock().left = Some(operations);
    }

    /// Operations until the power goes off, if it does.
    pub(crate) fn left(&self) -> Option<usize> {
        self.0.lock().left
    }

    /// From now on there is none of it, or enough of everything again.
    pub(crate) fn set_lack(&self, lack: Option<Lack>) {
        self.0.lock().lack = lack;
    }

    /// One operation, here or on something else of the same machine.
    pub(super) fn step(&self) -> io::Result<()> {
        self.0.lock().step()
    }

    /// The power comes back. What is left of what was not synced follows from `seed`.
    pub(crate) fn restart(&self, seed: u64) {
        let mut state = self.0.lock();
        let mut chance = Chance::new(seed);
        let kept = [0, 30, 70, 100][chance.next() as usize % 4];
        let mut names = state.durable_names.clone();
        for Renaming { changes, .. } in &state.unsynced {
            if chance.percent(kept) {
                apply(&mut names, changes);
            }
        }
        // What is in a directory whose own name was lost is lost with it.
        let dirs = names.clone();
        names.retain(|path, _| is_there(&dirs, path));
        let files: Vec<File> = state.files.iter().map(|file| file.crashed(kept, &mut chance)).collect();
        *state = State {
            durable_names: names.clone(),
            names,
            files,
            life: state.life + 1,
            ..State::default()
        };
    }

    /// Removes everything in `dir`, durably: it is begun again.
    pub(crate) fn clear(&self, dir: &Path) {
        let mut state = self.0.lock();
        state.names.retain(|path, _| !path.starts_with(dir));
        state.durable_names.retain(|path, _| !path.starts_with(dir));
        state.names.insert(dir.to_owned(), Inode::Dir);
        state.durable_names.insert(dir.to_owned(), Inode::Dir);
    }
}

fn is_there(dirs: &BTreeMap<PathBuf, Inode>, path: &Path) -> bool {
    let mut above = path.ancestors().skip(1).filter(|dir| dir.parent().is_some());
    above.all(|dir| dirs.contains_key(dir))
}

fn apply(names: &mut BTreeMap<PathBuf, Inode>, changes: &[(PathBuf, Option<Inode>)]) {
    for (path, inode) in changes {
        match inode {
            Some(inode) => names.insert(path.clone(), *inode),
            None => names.remove(path),
        };
    }
}

impl File {
    fn edit(&mut self, edit: Edit) {
        edit.apply(&mut self.now);
        self.unsynced.push(edit);
    }

    fn sync(&mut self) {
        for edit in self.unsynced.drain(..) {
            edit.apply(&mut self.durable);
        }
    }

    /// What is left of it: of each write any of its sectors.
    fn crashed(&self, kept: u64, chance: &mut Chance) -> File {
        let mut durable = self.durable.clone();
        for edit in &self.unsynced {
            match edit {
                Edit::Length(_) if chance.percent(kept) => edit.apply(&mut durable),
                Edit::Length(_) => {}
                Edit::Write(at, written) => {
                    let (mut at, mut rest) = (*at, written.as_slice());
                    while !rest.is_empty() {
                        let (sector, others) = rest.split_at((SECTOR_BYTES - at % SECTOR_BYTES).min(rest.len()));
                        if chance.percent(kept) {
                            write(&mut durable, at, sector);
                        } else if chance.percent(LONGER_PERCENT) && durable.len() < at + sector.len() {
                            // The file system has written down how long the file is, and not what is in it.
                            durable.resize(at + sector.len(), 0);
                        }
                        (at, rest) = (at + sector.len(), others);
                    }
                }
            }
        }
        File {
            now: durable.clone(),
            durable,
            unsynced: Vec::new(),
        }
    }
}

impl State {
    fn step(&mut self) -> io::Result<()> {
        match &mut self.left {
            Some(0) => Err(io::Error::other("the power is off")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// What every opening of a file or a directory needs.
    fn descriptor(&self) -> io::Result<()> {
        match self.lack {
            Some(Lack::Descriptors) => Err(Errno::MFILE.into()),
            _ => Ok(()),
        }
    }

    fn file(&mut self, path: &Path) -> io::Result<usize> {
        match self.names.get(path) {
            Some(Inode::File(number)) => Ok(*number),
            Some(Inode::Dir) => Err(ErrorKind::IsADirectory.into()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    /// What of a write to a file there is space for.
    fn finds_space<'b>(&self, number: usize, bytes: &'b [u8], at: usize) -> &'b [u8] {
        let length = self.files[number].now.len();
        match self.lack {
            Some(Lack::Bytes) if length == 0 => &[],
            Some(Lack::Space | Lack::SpaceToCut) if at + bytes.len() > length => &bytes[..bytes.len() * 3 / 4],
            _ => bytes,
        }
    }

    fn rename(&mut self, dir: &Path, changes: Vec<(PathBuf, Option<Inode>)>) {
        apply(&mut self.names, &changes);
        let dir = dir.to_owned();
        self.unsynced.push(Renaming { dir, changes });
    }
}

fn parent(path: &Path) -> io::Result<&Path> {
    path.parent().ok_or_else(|| ErrorKind::InvalidInput.into())
}

impl Files for SimDisk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut state = self.0.lock();
        state.step()?;
        state.descriptor()?;
        let number = state.file(path)?;
        Ok(state.files[number].now.clone())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        let mut state = self.0.lock();
        state.step()?;
        let names = state.names.keys().filter(|path| path.parent() == Some(dir));
        Ok(names.filter_map(|path| Some(path.file_name()?.to_owned())).collect())
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.step()?;
        if state.names.contains_key(dir) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        state.rename(parent(dir)?, vec![(dir.to_owned(), Some(Inode::Dir))]);
        Ok(())
    }

    fn open(&self, path: &Path, opening: Opening) -> io::Result<Box<dyn StoredFile>> {
        let mut state = self.0.lock();
        state.step()?;
        state.descriptor()?;
        let number = match state.file(path) {
            Ok(number) => number,
            Err(_) if state.lack == Some(Lack::Names) => return Err(Errno::NOSPC.into()),
            Err(why) if why.kind() == ErrorKind::NotFound => {
                let dir = parent(path)?.to_owned();
                if !state.names.contains_key(&dir) {
                    return Err(ErrorKind::NotFound.into());
                }
                let number = state.files.len();
                state.files.push(File::default());
                state.rename(&dir, vec![(path.to_owned(), Some(Inode::File(number)))]);
                number
            }
            Err(why) => return Err(why),
        };
        if opening == Opening::Emptied && !state.files[number].now.is_empty() {
            state.files[number].edit(Edit::Length(0));
        }
        Ok(Box::new(Handle {
            disk: self.clone(),
            number,
            life: state.life,
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.step()?;
        let number = state.file(from)?;
        let changes = vec![(from.to_owned(), None), (to.to_owned(), Some(Inode::File(number)))];
        state.rename(parent(from)?, changes);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.step()?;
        state.file(path)?;
        state.rename(parent(path)?, vec![(path.to_owned(), None)]);
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.step()?;
        state.descriptor()?;
        let (synced, others) = std::mem::take(&mut state.unsynced)
            .into_iter()
            .partition(|renaming: &Renaming| renaming.dir == dir);
        state.unsynced = others;
        let synced: Vec<Renaming> = synced;
        for Renaming { changes, .. } in synced {
            apply(&mut state.durable_names, &changes);
        }
        Ok(())
    }
}

/// An open file.
#[derive(Debug)]
struct Handle {
    disk: SimDisk,
    number: usize,
    life: u64,
}

impl Handle {
    fn with(&self, work: impl FnOnce(&mut File)) -> io::Result<()> {
        let mut state = self.disk.0.lock();
        state.step()?;
        if state.life != self.life {
            return Err(io::Error::other("the process that opened this file is gone"));
        }
        work(&mut state.files[self.number]);
        Ok(())
    }
}

impl StoredFile for Handle {
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        let found = self.disk.0.lock().finds_space(self.number, bytes, at as usize);
        if !found.is_empty() {
            self.with(|file| file.edit(Edit::Write(at as usize, found.to_vec())))?;
        }
        match found.len() == bytes.len() {
            true => Ok(()),
            // As `write` does: so much was written, and the next call says why not more.
            false => Err(Errno::NOSPC.into()),
        }
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        if self.disk.0.lock().lack == Some(Lack::SpaceToCut) {
            return Err(Errno::NOSPC.into());
        }
        self.with(|file| file.edit(Edit::Length(bytes as usize)))
    }

    fn sync(&self) -> io::Result<()> {
        self.with(File::sync)
    }
}
