//! The thread that moves messages from the log to their inboxes' own records, and then cuts the log.
//!
//! ```text
//! note how far the log goes ──▶ inbox after inbox ──▶ sync ──▶ note that the log begins there ──▶ sync ──▶ remove what is before
//! ```
//!
//! A crash at any point leaves the log as it was, or cut as a whole; what a checkpoint did in vain is done again.

mod trying;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::reservation::reservation;
use super::{CheckpointOptions, Shared};
use crate::error::{Failure, Panicked, StoreError};
use crate::fault::store_fault;
use crate::index::Index;
use crate::store::{Batch, InboxRecord};
use crate::tree::Tree;
use crate::trouble::Trouble;
use crate::{checkpoint, key, tables};
use inbox_types::{ClientId, Seq};
use trying::Trying;

/// How many bytes of log there may be for one of memory: removals leave the memory at once, and the log with the next checkpoint.
const LOG_PER_MEMORY: usize = 4;
/// How many keys of tables are written while readers wait.
const TABLE_KEYS: usize = 32;

/// What the log holds.
#[derive(Debug)]
pub(super) struct Recent {
    /// Of every inbox.
    pub(super) index: Index,
    /// The largest reservation.
    pub(super) reserved: Seq,
    /// The largest age of the store.
    pub(super) age: Duration,
    /// The inbox whose blocks are being written, and how many were written before.
    busy: Option<ClientId>,
    done: u64,
    /// How long the log is.
    logged_bytes: usize,
    /// Whether the last use of the store left something in the log that is still there.
    is_behind: bool,
    /// When the first commit came that no checkpoint has begun with.
    since: Option<Instant>,
    /// Why checkpoints wait.
    trouble: Option<Trouble>,
    /// What the disk must have left while a backup holds on to the log.
    pub(super) disk_free_bytes_min: u64,
    /// Why the last commit is not in the log; whoever wanted it tries again.
    unwritten: Option<Trouble>,
}

impl Recent {
    /// An empty log. No message in a block is above `in_blocks`.
    pub(super) fn new(in_blocks: Seq, reserved: Seq, age: Duration) -> Self {
        Recent {
            index: Index::new(in_blocks),
            reserved,
            age,
            busy: None,
            done: 0,
            logged_bytes: 0,
            is_behind: false,
            since: None,
            trouble: None,
            disk_free_bytes_min: 0,
            unwritten: None,
        }
    }

    /// A commit that the last use of the store left in the log.
    pub(super) fn replay(&mut self, batch: &Batch) {
        self.is_behind = true;
        self.apply(batch);
    }

    fn apply(&mut self, batch: &Batch) {
        self.index.apply(batch);
        self.reserved = self.reserved.max(batch.reserve.unwrap_or_default());
        self.age = self.age.max(batch.age.unwrap_or_default());
        self.since.get_or_insert_with(Instant::now);
    }

    /// What the log holds of `inbox` in total, beside what is kept in total of its blocks. `None` when its messages must be counted:
    /// some may be in the log and in blocks, or be removed from these.
    pub(super) fn totals(&self, inbox: &ClientId) -> Option<Logged> {
        let is_in_both = self.is_behind && self.index.has(inbox);
        if is_in_both || self.busy.as_ref() == Some(inbox) {
            return None;
        }
        let record = self.index.totals(inbox)?;
        Some(Logged {
            record,
            done: self.done,
        })
    }

    /// Whether no checkpoint moved anything of `inbox` since `then`.
    pub(super) fn is_as_then(&self, inbox: &ClientId, then: &Logged) -> bool {
        self.done == then.done && self.busy.as_ref() != Some(inbox)
    }

    /// Whether it takes more than `1 / part` of what it may.
    fn fills(&self, options: &CheckpointOptions, part: usize) -> bool {
        let max = options.memory_bytes_max / part;
        self.index.weight() > max || self.logged_bytes > max.saturating_mul(LOG_PER_MEMORY)
    }

    /// When a checkpoint is due; `None` when there is nothing.
    fn due(&self, options: &CheckpointOptions) -> Option<Instant> {
        let since = self.since?;
        match self.fills(options, 2) {
            true => Some(since),
            false => Some(since + options.after),
        }
    }
}

/// What the log held of an inbox at one moment.
pub(super) struct Logged {
    pub(super) record: InboxRecord,
    done: u64,
}

/// Wakes the checkpointing thread, and whoever waits for it.
#[derive(Debug, Default)]
pub(super) struct Bell {
    state: Mutex<Rung>,
    checkpointer: Condvar,
    /// Commits that wait for room; with the lock of [`Shared::recent`].
    room: Condvar,
}

#[derive(Debug, Default, Clone, Copy)]
struct Rung {
    is_rung: bool,
    is_ended: bool,
}

impl Bell {
    /// Something is to be looked at.
    fn ring(&self) {
        self.state.lock().is_rung = true;
        self.checkpointer.notify_one();
        self.room.notify_all();
    }

    fn is_ended(&self) -> bool {
        self.state.lock().is_ended
    }

    /// Waits for so long, whoever rings. Tells whether to go on.
    fn pause(&self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        while Instant::now() < until {
            if !self.wait(Some(until)) {
                return false;
            }
        }
        !self.is_ended()
    }

    /// Waits until somebody rings, or it is `due`. Tells whether to go on.
    fn wait(&self, due: Option<Instant>) -> bool {
        let mut state = self.state.lock();
        while !state.is_rung && !state.is_ended {
            match due {
                Some(due) => {
                    if self.checkpointer.wait_until(&mut state, due).timed_out() {
                        break;
                    }
                }
                None => self.checkpointer.wait(&mut state),
            }
        }
        state.is_rung = false;
        !state.is_ended
    }
}

/// Starts the thread.
pub(super) fn spawn<T: Tree>(shared: &Arc<Shared<T>>) -> std::io::Result<JoinHandle<()>> {
    let shared = Arc::clone(shared);
    Builder::new().name("checkpoint".into()).spawn(move || {
        // Without this thread commits would wait for ever, and nobody would know.
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(&shared))) {
            shared.fail(Failure::from(Panicked::of(&*panic)));
        }
    })
}

fn run<T: Tree>(shared: &Shared<T>) {
    let mut trying = Trying::default();
    loop {
        let due = shared.recent.lock().due(&shared.options);
        if due.is_some_and(|due| due <= Instant::now()) {
            match shared.checkpoint() {
                Ok(()) => shared.is_over(&mut trying),
                Err(StoreError::Troubled(trouble)) => {
                    if !shared.is_troubled(trouble, &mut trying) {
                        return;
                    }
                    continue;
                }
                Err(error) => {
                    tracing::error!(%error, "messages cannot be moved from the log");
                    return;
                }
            }
            if shared.bell.is_ended() {
                return;
            }
        } else if !shared.bell.wait(due) {
            return;
        }
    }
}

impl<T: Tree> Shared<T> {
    /// A durable commit. The log has this many bytes now.
    pub(super) fn apply(&self, batch: &Batch, logged_bytes: usize) {
        let mut recent = self.recent.lock();
        let due = recent.due(&self.options);
        recent.apply(batch);
        recent.logged_bytes = logged_bytes;
        let is_sooner = recent.due(&self.options) != due;
        drop(recent);
        if is_sooner {
            self.bell.ring();
        }
    }

    /// Wakes everyone who waits for something that was changed before. Whoever looked before that change is waiting by the time that the
    /// lock is free.
    pub(super) fn wake(&self) {
        drop(self.recent.lock());
        self.bell.ring();
    }

    /// The thread is to end soon.
    pub(super) fn end(&self) {
        self.bell.state.lock().is_ended = true;
        self.wake();
    }

    /// Waits while the log is full: then commits come as fast as checkpoints take them.
    pub(super) fn wait_for_room(&self) {
        let mut recent = self.recent.lock();
        // In trouble nobody knows how long that takes: new messages are refused then, and what was taken in before is written.
        while recent.fills(&self.options, 1)
            && recent.trouble.is_none()
            && self.poison.check().is_ok()
            && !self.bell.is_ended()
        {
            self.bell.room.wait(&mut recent);
        }
    }

    /// Moves everything that is in the log now to the tree, or part of it if the thread is to end.
    pub(super) fn checkpoint(&self) -> Result<(), StoreError> {
        let done = self.try_checkpoint();
        if done.is_err() {
            let mut recent = self.recent.lock();
            recent.busy = None;
            // Blocks may hold some of what it was about, and totals may not.
            recent.is_behind = true;
        }
        done
    }

    fn try_checkpoint(&self) -> Result<(), StoreError> {
        let (last, reserved, before, highest) = {
            let mut log = self.log.lock();
            let turned = self.with(|_| {
                self.look_for_space()?;
                Ok(log.turn()?)
            })?;
            let mut recent = self.recent.lock();
            recent.since = None;
            let Some(last) = turned else { return Ok(()) };
            let (before, highest) = recent.index.begin();
            let reserved = reservation(recent.reserved, recent.age);
            (last, reserved, (!recent.is_behind).then_some(before), highest)
        };
        self.with(|open| {
            // A bound for everything that is written below, so it must be there first.
            open.tree.insert(key::HIGHEST, &highest.0.to_be_bytes())?;
            open.tree.sync()?;
            let strays = std::mem::take(&mut *self.strays.lock());
            strays
                .iter()
                .try_for_each(|message| checkpoint::remove_stray(&open.tree, message))
        })?;
        if store_fault!(CutTooEarly) {
            self.cut(last)?;
        }
        if !self.checkpoint_inboxes(before)? || !self.checkpoint_tables(before.is_none())? {
            return Ok(());
        }
        self.with(|open| {
            if !store_fault!(BlocksNotSynced) {
                open.tree.sync()?;
            }
            open.tree.insert(key::RESERVED, &reserved)?;
            open.tree.insert(key::COMMITS, &last.to_be_bytes())?;
            match store_fault!(BlocksNotSynced) {
                true => Ok(()),
                false => Ok(open.tree.sync()?),
            }
        })?;
        self.cut(last)
    }

    /// Inbox after inbox. Tells whether it came to the last one.
    fn checkpoint_inboxes(&self, before: Option<Seq>) -> Result<bool, StoreError> {
        let strays = |message: &[u8]| self.stray(message);
        let mut last = None;
        loop {
            let (inbox, todo) = {
                let mut recent = self.recent.lock();
                let Some(inbox) = recent.index.next_inbox(last.as_ref()) else {
                    return Ok(true);
                };
                let todo = recent.index.pending(&inbox);
                recent.busy = (!todo.is_empty()).then(|| inbox.clone());
                (inbox, todo)
            };
            if !todo.is_empty() {
                self.with(|open| checkpoint::inbox(&open.tree, &inbox, &todo, before, &self.reading, &strays))?;
                let mut recent = self.recent.lock();
                recent.index.forget(&inbox, &todo);
                recent.busy = None;
                recent.done += 1;
                drop(recent);
                self.bell.room.notify_all();
            }
            if self.bell.is_ended() {
                return Ok(false);
            }
            last = Some(inbox);
        }
    }

    /// Table after table. Tells whether it came to the end of the last one.
    fn checkpoint_tables(&self, is_behind: bool) -> Result<bool, StoreError> {
        let mut last = None;
        loop {
            let todo = self.recent.lock().index.tables().pending(last.as_ref(), TABLE_KEYS);
            let Some((end, _)) = todo.last() else { return Ok(true) };
            last = Some(end.clone());
            self.with(|open| {
                // Readers see a table at one moment, and whole values.
                let _alone = self.reading.write();
                todo.iter().try_for_each(|((table, key), change)| {
                    tables::write(&open.tree, *table, key, change.value.as_deref(), is_behind)
                })
            })?;
            self.recent.lock().index.tables_mut().forget(&todo);
            self.bell.room.notify_all();
            if self.bell.is_ended() {
                return Ok(false);
            }
        }
    }

    /// Removes the log up to commit `last`.
    fn cut(&self, last: u64) -> Result<(), StoreError> {
        let (paths, bytes) = {
            let is_short = self.is_short_of_space();
            let mut log = self.log.lock();
            let mut paths = log.cut(last);
            if is_short && log.is_pinned() {
                paths.extend(log.take_pins_away());
            }
            (paths, log.bytes())
        };
        let mut recent = self.recent.lock();
        recent.is_behind = false;
        recent.logged_bytes = bytes;
        drop(recent);
        self.bell.room.notify_all();
        self.with(|_| {
            paths
                .iter()
                .try_for_each(|path| self.files.remove(path).map_err(|why| Failure::Log(why).into()))
        })
    }
}
