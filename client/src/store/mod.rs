//! What survives the process: the outbox, and which messages were answered.
//!
//! **Promise:** `done` of a commit is called once, with `Ok` only when all of its changes are durable, all or none. Commits take effect in their
//! order. After a failure the file is opened anew, so that a disk which has room again is used again, and nothing that was durable is lost.
//!
//! A thread of its own owns the file; whatever was asked for while it wrote goes into one commit, with one fsync.

mod disk;

use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use tracing::{error, warn};

use crate::arrivals::{Answered, Standing};
use crate::error::StoreError;
use crate::outbox::{Order, Record};
use disk::Disk;

/// One change.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    /// A message comes into the outbox.
    Put {
        order: Order,
        record: Arc<Record>,
        payload: Bytes,
    },
    /// The broker has it: its payload need not be kept.
    Update { order: Order, record: Arc<Record> },
    /// It leaves the outbox.
    Remove { order: Order },
    /// A message was answered.
    Answered { number: u64, answered: Answered },
    /// And need not be remembered.
    Forget { number: u64 },
    /// What is known of the own inbox.
    Standing(Standing),
}

/// What an earlier life left.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub(crate) outbox: Vec<(Order, Record, Bytes)>,
    pub(crate) answered: Vec<(u64, Answered)>,
    pub(crate) standing: Standing,
}

/// Told when a commit is durable, or failed.
pub(crate) type Done = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

struct Job {
    changes: Vec<Change>,
    /// These changes must be made some time: they go into the next commit, if this one fails.
    is_owed: bool,
    done: Option<Done>,
}

/// The way to the thread. When it is closed or dropped, the thread writes what it was given, and ends.
#[derive(Debug)]
pub(crate) struct Store {
    /// What is on the way is bounded by what its users have: messages in the outbox, and in the hands of the application. The lock is held to send.
    jobs: Mutex<Option<Sender<Job>>>,
}

impl Store {
    /// Opens the file, or a place in memory, and reads it.
    pub(crate) fn open(path: Option<PathBuf>) -> Result<(Self, JoinHandle<()>, Kept), StoreError> {
        let (mut disk, kept) = match path {
            None => (None, Kept::default()),
            Some(path) => {
                let (disk, kept) = Disk::open(path)?;
                (Some(disk), kept)
            }
        };
        let (jobs, work) = mpsc::channel();
        let thread = thread::Builder::new().name("inbox-outbox".to_owned());
        let thread = thread
            .spawn(move || run(&work, disk.as_mut()))
            .map_err(|why| StoreError::Io {
                path: PathBuf::new(),
                kind: why.kind(),
            })?;
        let jobs = Mutex::new(Some(jobs));
        Ok((Store { jobs }, thread, kept))
    }

    /// Takes no more: the thread ends when it has written what it was given.
    pub(crate) fn close(&self) {
        self.jobs().take();
    }

    fn jobs(&self) -> MutexGuard<'_, Option<Sender<Job>>> {
        // Nothing in there is left half done.
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes changes durable, and says when they are.
    pub(crate) fn commit(&self, changes: Vec<Change>, done: impl FnOnce(Result<(), StoreError>) + Send + 'static) {
        self.give(changes, false, Some(Box::new(done)));
    }

    /// Makes changes durable some time, and says when they are, or that they are not yet.
    pub(crate) fn commit_some_time(
        &self,
        changes: Vec<Change>,
        done: impl FnOnce(Result<(), StoreError>) + Send + 'static,
    ) {
        self.give(changes, true, Some(Box::new(done)));
    }

    /// Makes changes durable some time.
    pub(crate) fn note(&self, changes: Vec<Change>) {
        if !changes.is_empty() {
            self.give(changes, true, None);
        }
    }

    fn give(&self, changes: Vec<Change>, is_owed: bool, done: Option<Done>) {
        let job = Job { changes, is_owed, done };
        let refused = match &*self.jobs() {
            Some(jobs) => jobs.send(job).err().map(|mpsc::SendError(job)| job),
            None => Some(job),
        };
        // Outside of the lock: who is told may ask for more.
        if let Some(done) = refused.and_then(|job| job.done) {
            done(Err(StoreError::Closed));
        }
    }
}

/// Jobs that go into one commit.
const JOBS_MAX: usize = 1000;

fn run(work: &Receiver<Job>, mut disk: Option<&mut Disk>) {
    let mut owed = Vec::new();
    while let Ok(first) = work.recv() {
        let mut jobs = vec![first];
        jobs.extend(work.try_iter().take(JOBS_MAX));
        let result = match &mut disk {
            None => Ok(()),
            Some(disk) => commit(disk, &mut owed, &jobs),
        };
        for done in jobs.into_iter().filter_map(|job| job.done) {
            done(result.clone());
        }
    }
    if !owed.is_empty() {
        error!("the outbox ends with {} changes that could not be written", owed.len());
    }
}

fn commit(disk: &mut Disk, owed: &mut Vec<Change>, jobs: &[Job]) -> Result<(), StoreError> {
    let changes = jobs.iter().flat_map(|job| &job.changes);
    match disk.commit(owed.iter().chain(changes)) {
        Ok(()) => owed.clear(),
        Err(why) => {
            warn!("the outbox could not be written: {why}");
            let later = jobs.iter().filter(|job| job.is_owed);
            owed.extend(later.flat_map(|job| job.changes.iter().cloned()));
            return Err(why);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
