//! The store on disk: inboxes as keys and values of an ordered tree.
//!
//! **Promise:** as [`super`] says: a commit that returned `Ok` survives a killed process and a power cut. After one failed
//! write or sync, or a panic of the engine, every call fails until the broker is restarted. **What can be lost or left:**
//! a crash in the middle of a commit can leave pieces of a long message without their beginning. Nobody sees them; the
//! first scan that comes by has them removed.

use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use super::acknowledged::{ACKNOWLEDGED, Acknowledged};
use super::directory::{DataDirectory, OpenError, sync_dir};
use super::record::{self, Head};
use super::sled::{self, SledError, SledOptions, SledRange, SledTree, Slice};
use super::{Batch, InboxRecord, Page, PageLimit, Store, StoreError, envelope, key};
use crate::client_id::ClientId;
use crate::message::{Entry, Message, Seq};

/// Most messages whose left-over pieces are remembered until the next commit.
const STRAYS_MAX: usize = 1024;

/// The store of one data directory, which it keeps locked until it is closed.
#[derive(Debug)]
pub(crate) struct TreeStore {
    root: PathBuf,
    // Readers and the committer share it; closing takes the tree out of it.
    open: RwLock<Option<Open>>,
    // The number of the last commit. Held through a commit: one at a time.
    commits: Mutex<u64>,
    // Keys of messages of which a scan saw pieces and no beginning. Short: taken for one push.
    strays: Mutex<Vec<Vec<u8>>>,
    // Why nothing works any more.
    failure: Mutex<Option<String>>,
}

/// Dropped in this order: the tree lets go of its files before the directory is unlocked.
#[derive(Debug)]
struct Open {
    tree: SledTree,
    acknowledged: Acknowledged,
    _directory: DataDirectory,
}

/// What stops one call.
enum Fault {
    /// The engine failed, and is not to be used again.
    Engine(String),
    /// One message is damaged.
    Damaged { inbox: ClientId, why: String },
}

/// Why a message could not be put together.
enum Unreadable {
    /// It was removed while it was read.
    Removed,
    /// It is damaged.
    Damaged(String),
}

impl TreeStore {
    /// Opens the store in `directory`, or makes one if it is new.
    pub(crate) fn open(mut directory: DataDirectory, options: SledOptions) -> Result<Self, OpenError> {
        let root = directory.root().to_owned();
        let tree = SledTree::open(&directory, options)?;
        // The engine may panic on the first page that it reads.
        let begun = catch_unwind(AssertUnwindSafe(|| begin(&tree, &directory)));
        let (acknowledged, commits) =
            begun.unwrap_or_else(|panic| Err(directory.damaged(sled::panic_text(&*panic))))?;
        if directory.is_new() {
            directory.finish()?;
        }
        Ok(TreeStore {
            root,
            open: RwLock::new(Some(Open {
                tree,
                acknowledged,
                _directory: directory,
            })),
            commits: Mutex::new(commits),
            strays: Mutex::default(),
            failure: Mutex::default(),
        })
    }

    /// Breaks every later sync.
    #[cfg(test)]
    pub(crate) fn break_sync(&mut self) {
        self.open.get_mut().as_mut().unwrap().tree.break_sync();
    }

    /// Runs `work` on what is open. Whatever the engine does in it, panics included, comes out as an error.
    fn with<T>(&self, work: impl FnOnce(&Open) -> Result<T, Fault>) -> Result<T, StoreError> {
        let open = self.open.read();
        if let Some(why) = self.failure.lock().clone() {
            return Err(StoreError::Failed(why));
        }
        let Some(open) = open.as_ref() else {
            return Err(StoreError::Failed("it was closed".to_owned()));
        };
        let done = catch_unwind(AssertUnwindSafe(|| work(open)));
        match done.unwrap_or_else(|panic| Err(Fault::Engine(sled::panic_text(&*panic)))) {
            Ok(value) => Ok(value),
            Err(Fault::Damaged { inbox, why }) => Err(StoreError::Damaged { inbox, why }),
            Err(Fault::Engine(why)) => {
                // The first reason is the one that explains the rest.
                Err(StoreError::Failed(self.failure.lock().get_or_insert(why).clone()))
            }
        }
    }

    fn write(&self, tree: &SledTree, batch: &Batch, commit: u64) -> Result<(), Fault> {
        let mut writer = Writer {
            tree,
            unsynced_weight: 0,
        };
        for message in std::mem::take(&mut *self.strays.lock()) {
            writer.remove_stray(&message)?;
        }
        // In key order, which costs the tree least; the order within a commit is nobody's business.
        let mut puts: Vec<&(ClientId, Entry)> = batch.puts.iter().collect();
        puts.sort_unstable_by(|(a, x), (b, y)| (a, x.seq).cmp(&(b, y.seq)));
        let (mut envelope, mut head) = (Vec::new(), Vec::new());
        for (inbox, entry) in puts {
            envelope.clear();
            envelope::encode_into(&entry.message, &mut envelope);
            writer.put(&key::message(inbox, entry.seq), &envelope, &mut head)?;
        }
        let mut removals: Vec<&(ClientId, Seq)> = batch.removals.iter().collect();
        removals.sort_unstable();
        for (inbox, seq) in removals {
            writer.remove(&key::message(inbox, *seq))?;
        }
        if let Some(seq) = batch.reserve
            && read_number(tree, key::RESERVED)?.is_none_or(|reserved| seq.0 > reserved)
        {
            writer.insert(key::RESERVED, &seq.0.to_be_bytes())?;
        }
        // Last, so that it is lost if anything before it is.
        writer.insert(key::COMMITS, &commit.to_be_bytes())?;
        Ok(tree.sync()?)
    }

    fn heads(&self, tree: &SledTree, from: Bound<Vec<u8>>, to: Bound<Vec<u8>>) -> Heads<'_> {
        Heads {
            store: self,
            range: tree.range((from, to)),
            last: None,
        }
    }

    fn heads_of(&self, tree: &SledTree, inbox: &ClientId, after: Seq) -> Heads<'_> {
        // Above every piece of `after`, too. Nothing is above the last seq, and no message has it.
        let from = key::message(inbox, Seq(after.0.saturating_add(1)));
        self.heads(tree, Bound::Included(from), Bound::Excluded(key::end(inbox)))
    }
}

impl Store for TreeStore {
    fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        let mut commits = self.commits.lock();
        self.with(|open| {
            if batch.is_empty() {
                return Ok(());
            }
            let commit = commits.saturating_add(1);
            self.write(&open.tree, batch, commit)?;
            // From here on the caller may believe it, so from here on its loss must be noticed.
            open.acknowledged
                .set(commit)
                .map_err(|why| Fault::Engine(format!("file {ACKNOWLEDGED}: {why}")))?;
            *commits = commit;
            Ok(())
        })
    }

    fn read(&self, inbox: &ClientId, after: Seq, limit: PageLimit) -> Result<Page, StoreError> {
        self.with(|Open { tree, .. }| {
            let mut page = Page::default();
            let mut bytes = 0_usize;
            for found in self.heads_of(tree, inbox, after) {
                let (key, seq, value) = found?;
                let is_first = page.entries.is_empty();
                if !is_first && (page.entries.len() >= limit.messages || bytes + size(&value) > limit.bytes) {
                    page.more = true;
                    break;
                }
                match load(tree, &key, &value)? {
                    Ok(message) => {
                        bytes += message.size();
                        page.entries.push(Entry {
                            seq,
                            message: Arc::new(message),
                        });
                    }
                    Err(Unreadable::Removed) => {}
                    Err(Unreadable::Damaged(why)) if is_first => {
                        return Err(Fault::Damaged {
                            inbox: inbox.clone(),
                            why: format!("seq {seq}: {why}"),
                        });
                    }
                    // What comes before the damage is good; the next page begins with the damage and says so.
                    Err(Unreadable::Damaged(_)) => {
                        page.more = true;
                        break;
                    }
                }
            }
            Ok(page)
        })
    }

    fn seqs(&self, inbox: &ClientId, after: Seq, limit: usize) -> Result<Vec<Seq>, StoreError> {
        let seq = |found: Result<(Slice, Seq, Slice), Fault>| found.map(|(_, seq, _)| seq);
        self.with(|Open { tree, .. }| self.heads_of(tree, inbox, after).take(limit).map(seq).collect())
    }

    fn inbox(&self, inbox: &ClientId) -> Result<Option<InboxRecord>, StoreError> {
        self.with(|Open { tree, .. }| {
            let mut record = InboxRecord::default();
            for found in self.heads_of(tree, inbox, Seq::ZERO) {
                record.add(size(&found?.2));
            }
            Ok((record.messages > 0).then_some(record))
        })
    }

    fn inboxes(&self, after: Option<&ClientId>, limit: usize) -> Result<Vec<(ClientId, InboxRecord)>, StoreError> {
        self.with(|Open { tree, .. }| {
            let from = after.map_or(key::FIRST.to_vec(), key::end);
            let mut all: Vec<(ClientId, InboxRecord)> = Vec::new();
            for found in self.heads(tree, Bound::Included(from), Bound::Unbounded) {
                let (key, _, value) = found?;
                let inbox = key::parse(&key).map_or(&[][..], |parsed| parsed.inbox);
                let is_full = all.len() >= limit;
                match all.last_mut() {
                    Some((last, record)) if last.as_str().as_bytes() == inbox => record.add(size(&value)),
                    _ if is_full => break,
                    _ => {
                        let inbox = std::str::from_utf8(inbox)
                            .ok()
                            .and_then(|inbox| ClientId::new(inbox).ok());
                        let inbox = inbox.ok_or_else(|| foreign_key(&key))?;
                        let mut record = InboxRecord::default();
                        record.add(size(&value));
                        all.push((inbox, record));
                    }
                }
            }
            Ok(all)
        })
    }

    fn reserved(&self) -> Result<Seq, StoreError> {
        self.with(|Open { tree, .. }| Ok(Seq(read_number(tree, key::RESERVED)?.unwrap_or_default())))
    }

    fn disk_free_bytes(&self) -> Option<u64> {
        let disk = rustix::fs::statvfs(&self.root).ok()?;
        Some(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    fn close(&self) -> Result<(), StoreError> {
        let synced = self.with(|Open { tree, .. }| Ok(tree.sync()?));
        let open = self.open.write().take();
        // sled writes once more when it is dropped, and panics if it cannot; everything promised is on the disk by now.
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(open)));
        match dropped {
            Ok(()) => synced,
            Err(panic) => synced.and(Err(StoreError::Failed(sled::panic_text(&*panic)))),
        }
    }
}

/// Writes, and syncs on the way when that is due.
struct Writer<'a> {
    tree: &'a SledTree,
    unsynced_weight: usize,
}

impl Writer<'_> {
    fn put(&mut self, message: &[u8], envelope: &[u8], head: &mut Vec<u8>) -> Result<(), Fault> {
        // The first value comes last: what it announces is there when it is.
        for (number, piece) in (1..).zip(record::cut(envelope, head)) {
            self.insert(&key::piece(message, number), piece)?;
        }
        self.insert(message, head)
    }

    fn remove(&mut self, message: &[u8]) -> Result<(), Fault> {
        let Some(value) = self.remove_one(message)? else {
            return Ok(());
        };
        let pieces = Head::parse(&value).map_or(0, |head| head.pieces());
        for number in 1..=pieces {
            self.remove_one(&key::piece(message, number))?;
        }
        Ok(())
    }

    /// Removes the pieces of `message`, unless it is whole after all: a scan may have come by while it was being put.
    fn remove_stray(&mut self, message: &[u8]) -> Result<(), Fault> {
        if self.tree.get(message)?.is_some() {
            return Ok(());
        }
        for item in self.tree.range(key::piece(message, 0)..=key::piece(message, u32::MAX)) {
            self.remove_one(&item?.0)?;
        }
        Ok(())
    }

    fn insert(&mut self, key: &[u8], value: &[u8]) -> Result<(), Fault> {
        self.tree.insert(key, value)?;
        self.wrote(value.len())
    }

    fn remove_one(&mut self, key: &[u8]) -> Result<Option<Slice>, Fault> {
        let value = self.tree.remove(key)?;
        self.wrote(value.as_ref().map_or(0, |value| value.len()))?;
        Ok(value)
    }

    fn wrote(&mut self, value_bytes: usize) -> Result<(), Fault> {
        self.unsynced_weight += sled::weight(value_bytes);
        if self.unsynced_weight > sled::SYNC_WEIGHT_MAX {
            self.tree.sync()?;
            self.unsynced_weight = 0;
        }
        Ok(())
    }
}

/// The first values of messages, in key order. Pieces are passed over.
struct Heads<'a> {
    store: &'a TreeStore,
    range: SledRange,
    last: Option<Slice>,
}

impl Iterator for Heads<'_> {
    type Item = Result<(Slice, Seq, Slice), Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (key, value) = match self.range.next()? {
                Ok(item) => item,
                Err(error) => return Some(Err(error.into())),
            };
            let Some(parsed) = key::parse(&key) else {
                return Some(Err(foreign_key(&key)));
            };
            let seq = parsed.seq;
            if !parsed.is_piece {
                self.last = Some(key.clone());
                return Some(Ok((key, seq, value)));
            }
            let message = key.get(..key.len().saturating_sub(4)).unwrap_or_default();
            if self.last.as_deref() != Some(message) {
                self.store.stray(message);
                // Its other pieces follow; once is enough.
                self.last = Some(message.into());
            }
        }
    }
}

impl TreeStore {
    fn stray(&self, message: &[u8]) {
        let mut strays = self.strays.lock();
        if strays.len() < STRAYS_MAX {
            strays.push(message.to_vec());
        }
    }
}

/// What a message counts. One that is damaged counts what it takes up, so that its inbox can still be listed.
fn size(value: &[u8]) -> usize {
    let head = Head::parse(value);
    head.and_then(|head| envelope::size(head.first).ok())
        .unwrap_or(value.len())
}

fn load(tree: &SledTree, key: &[u8], value: &[u8]) -> Result<Result<Message, Unreadable>, Fault> {
    let damaged = |why: String| Ok(Err(Unreadable::Damaged(why)));
    let Some(head) = Head::parse(value) else {
        return damaged("its first value was cut off".to_owned());
    };
    let decode = |bytes: &[u8]| envelope::decode(bytes).map_err(|why| Unreadable::Damaged(why.to_string()));
    if head.pieces() == 0 {
        return Ok(decode(head.first));
    }
    // What a damaged head announces must not be allocated before it is there.
    let mut whole = head.first.to_vec();
    for number in 1..=head.pieces() {
        match tree.get(&key::piece(key, number))? {
            Some(piece) => whole.extend_from_slice(&piece),
            // A removal takes the first value first.
            None if tree.get(key)?.is_none() => return Ok(Err(Unreadable::Removed)),
            None => return damaged(format!("its piece {number} is missing")),
        }
    }
    match whole.len() == head.envelope_bytes {
        true => Ok(decode(&whole)),
        false => damaged(format!(
            "it has {} bytes instead of {}",
            whole.len(),
            head.envelope_bytes
        )),
    }
}

/// Writes what every store holds from the first moment, or checks that it is there and that nothing acknowledged is missing.
/// Returns the number of the last commit.
fn begin(tree: &SledTree, directory: &DataDirectory) -> Result<(Acknowledged, u64), OpenError> {
    let damaged = |fault| match fault {
        Fault::Engine(why) | Fault::Damaged { why, .. } => directory.damaged(why),
    };
    if directory.is_new() {
        let numbers = [key::RESERVED, key::COMMITS];
        let written = numbers
            .into_iter()
            .try_for_each(|key| tree.insert(key, &0_u64.to_be_bytes()));
        written
            .and_then(|()| tree.sync())
            .map_err(|error| damaged(error.into()))?;
    }
    let engine_dir = directory.engine_dir();
    let (acknowledged, number) = Acknowledged::open(&engine_dir).map_err(|why| OpenError::io(&engine_dir, why))?;
    sync_dir(&engine_dir)?;
    let reserved = read_number(tree, key::RESERVED).map_err(damaged)?;
    let commits = read_number(tree, key::COMMITS).map_err(damaged)?;
    match (reserved, commits) {
        (Some(_), Some(commits)) if commits >= number => Ok((acknowledged, commits)),
        (Some(_), Some(commits)) => Err(directory.damaged(format!(
            "it ends with commit {commits}, and commit {number} was acknowledged; to go on without what is missing, \
             remove {}",
            engine_dir.join(ACKNOWLEDGED).display()
        ))),
        _ => Err(directory.damaged("its log is there, and what was in it is not".to_owned())),
    }
}

fn read_number(tree: &SledTree, key: &[u8]) -> Result<Option<u64>, Fault> {
    let Some(value) = tree.get(key)? else { return Ok(None) };
    match <[u8; 8]>::try_from(&*value) {
        Ok(bytes) => Ok(Some(u64::from_be_bytes(bytes))),
        Err(_) => Err(Fault::Engine(format!(
            "{} has {} bytes instead of 8",
            key.escape_ascii(),
            value.len()
        ))),
    }
}

fn foreign_key(key: &[u8]) -> Fault {
    Fault::Engine(format!(
        "it holds the key {}, which inboxd did not write",
        key.escape_ascii()
    ))
}

impl From<SledError> for Fault {
    fn from(error: SledError) -> Self {
        Fault::Engine(error.to_string())
    }
}
