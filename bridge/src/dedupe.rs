//! Which `id`s senders have used, so that a publish that repeats one is not stored again (contract rule 8).
//!
//! **Promise:** an `id` of (sender, inbox) is durable before the publish that brought it is acknowledged, and is known for
//! [`Limits::dedupe_window`] of the store's age, over restarts and crashes. What shortens that is counted ([`Counters::ids_forgotten`]): more than
//! [`DEDUPE_IDS_PER_SENDER_MAX`] of one sender to one inbox, or more than [`Limits::dedupe_ids_max`] of all.
//!
//! In memory an `id` is a number: a keyed hash of 128 bits of sender, inbox and `id`, by a key of this process, so that nobody can find two that
//! collide. On disk it is text. The `id`s of one commit are one value of a table, a *group*, because they are forgotten together, too.

mod groups;
#[cfg(test)]
mod tests;
mod window;

use std::hash::{BuildHasher, RandomState};

use inbox_store::{Batch, Store, StoreError};
use inbox_types::{Age, Budgets, ClientId, Counters, Limits, Message, Seq, party};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

use groups::Groups;
pub(crate) use groups::Pending;
pub(crate) use window::Look;
use window::{Known, Window};

const WINDOWS: usize = 64;
/// All `id`s together take no more than this part of the memory budget: so they never keep anybody out, nor do those that a restart brings back.
const BUDGET_PART: usize = 16;
/// What one `id` takes in memory, in bytes: in its group, its window and its line, with what their containers leave free.
const ID_BYTES: usize = 224;

/// The `id`s of all inboxes.
pub(crate) struct Dedupe {
    /// By sender and inbox. Taken with an inbox locked, and for a moment.
    windows: Box<[Mutex<Window>]>,
    /// The committer's. No window is locked for long with it.
    groups: Mutex<Groups>,
    keys: [RandomState; 2],
    time: Duration,
    ids_max: usize,
    counters: Arc<Counters>,
}

/// One use of an `id`, as numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Use {
    /// Of sender, inbox and `id`.
    key: u128,
    /// Of sender and inbox.
    line: u64,
    seq: Seq,
}

impl Dedupe {
    pub(crate) fn new(limits: &Limits, budgets: &Budgets, counters: Arc<Counters>) -> Self {
        Dedupe {
            windows: (0..WINDOWS).map(|_| Mutex::default()).collect(),
            groups: Mutex::new(Groups::new(&budgets.all)),
            keys: [RandomState::new(), RandomState::new()],
            time: limits.dedupe_window,
            ids_max: limits.dedupe_ids_max.min(budgets.all.limit() / BUDGET_PART / ID_BYTES),
            counters,
        }
    }

    /// Whether any is remembered at all.
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        !self.time.is_zero()
    }

    /// Whether this message is to be known again.
    #[inline]
    pub(crate) fn concerns(&self, message: &Message) -> bool {
        message.id.is_some() && self.is_on()
    }

    /// Whether a message to `inbox` repeats one.
    pub(crate) fn look(&self, inbox: &ClientId, message: &Message, age: Age) -> Look {
        let used = self.name(inbox, message, Seq::ZERO);
        let known = self.window(used.line).lock().get(used.key);
        match known.filter(|known| age < known.at.after(self.time)) {
            None => Look::New,
            Some(_) if inbox_types::fault!(StoreRepeats) => Look::New,
            Some(known) if known.payload != fingerprint(&message.payload) => Look::OtherPayload,
            Some(known) => Look::Repeats(known.seq, known.is_delivered),
        }
    }

    /// A message was accepted as `seq`.
    pub(crate) fn remember(&self, inbox: &ClientId, message: &Message, seq: Seq) {
        let used = self.name(inbox, message, seq);
        self.put(used, fingerprint(&message.payload), message.expiry.accepted());
    }

    fn put(&self, used: Use, payload: u64, at: Age) {
        let known = Known {
            seq: used.seq,
            at,
            payload,
            is_delivered: false,
        };
        let was_one_too_many = self.window(used.line).lock().put(used, known);
        self.counters.ids_forgotten.add(u64::from(was_one_too_many));
    }

    /// A message was refused after all.
    pub(crate) fn forget(&self, inbox: &ClientId, message: &Message, seq: Seq) {
        let used = self.name(inbox, message, seq);
        self.window(used.line).lock().refused(used);
    }

    /// A message was acknowledged by its reader.
    pub(crate) fn note_delivered(&self, inbox: &ClientId, message: &Message, seq: Seq) {
        let used = self.name(inbox, message, seq);
        self.window(used.line).lock().note_delivered(used);
    }

    /// Adds to `batch` what makes the `id`s of its messages durable, and of those that were `read` before they were written; and removes what is
    /// forgotten.
    pub(crate) fn gather(
        &self,
        batch: &mut Batch,
        read: &[(ClientId, Seq, Arc<Message>)],
        age: Age,
    ) -> Option<Pending> {
        let mut groups = self.groups.lock();
        let stored = batch
            .puts
            .iter()
            .map(|(inbox, entry)| (inbox, entry.seq, &*entry.message));
        let read = read.iter().map(|(inbox, seq, message)| (inbox, *seq, &**message));
        let mut group = None;
        for (inbox, seq, message) in stored.chain(read).filter(|(_, _, message)| self.concerns(message)) {
            let used = self.name(inbox, message, seq);
            // An edit has the `id` of the message that it replaces, and that is what a repetition of the `id` repeats.
            let known = self.window(used.line).lock().get(used.key);
            if known.is_some_and(|known| known.seq == seq) {
                let group = group.get_or_insert_with(|| groups.begin(age));
                group.add(used, inbox, message);
            }
        }
        if let Some(change) = group.as_ref().map(Pending::change) {
            batch.tables.push(change);
        }
        // What nobody waits for is not written for its own sake, unless it has piled up.
        if !batch.is_empty() || groups.is_overdue(age, self.time) {
            let forgotten = groups.forget(age, self.time, self.ids_max, &mut batch.tables);
            let early = forgotten.iter().filter(|(_, is_early)| *is_early).count();
            self.counters.ids_forgotten.add(early as u64);
            for (used, _) in forgotten {
                self.window(used.line).lock().forgotten(used);
            }
        }
        group
    }

    /// The group is durable.
    pub(crate) fn committed(&self, group: Pending) {
        self.groups.lock().committed(group);
    }

    /// Whether the committer should come although nothing else is to be written.
    pub(crate) fn is_overdue(&self, age: Age) -> bool {
        self.groups.lock().is_overdue(age, self.time)
    }

    /// Takes in what `store` has of earlier runs.
    pub(crate) fn load(&self, store: &dyn Store, age: Age) -> Result<(), StoreError> {
        let mut groups = self.groups.lock();
        groups.load(store, |kept| {
            let used = self.key_of(kept.inbox, kept.from, kept.id, kept.seq);
            let is_over = age >= kept.at.after(self.time) || inbox_types::fault!(ForgetIds);
            if !is_over {
                self.put(used, kept.payload, kept.at);
            }
            used
        })
    }

    fn name(&self, inbox: &ClientId, message: &Message, seq: Seq) -> Use {
        let id = message.id.as_deref().unwrap_or_default();
        self.key_of(inbox.as_str(), message.from.as_str(), id, seq)
    }

    fn key_of(&self, inbox: &str, from: &str, id: &str, seq: Seq) -> Use {
        let from = if inbox_types::fault!(ShareIds) { "" } else { from };
        let [first, second] = &self.keys;
        let whole = (inbox, from, id);
        Use {
            key: u128::from(first.hash_one(whole)) << 64 | u128::from(second.hash_one(whole)),
            line: first.hash_one((inbox, party(from))),
            seq,
        }
    }

    fn window(&self, line: u64) -> &Mutex<Window> {
        match self.windows.get(line as usize % WINDOWS) {
            Some(window) => window,
            None => unreachable!("a remainder is smaller than its divisor"),
        }
    }
}

/// What a payload is known again by: a sender that finds two payloads of one fingerprint cheats itself alone.
fn fingerprint(payload: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(payload)
}
