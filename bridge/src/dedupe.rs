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
/// What one `id` takes in memory, in bytes: in its window and its line, with what their containers leave free, where a sender uses few.
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

/// The `id` of a message and its payload, as numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Named {
    id: Id,
    payload: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Id {
    /// Of sender, inbox and `id`.
    key: [u64; 2],
    /// Of sender and inbox.
    line: u64,
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

    /// The `id` of a message to `inbox`; `None` when it is not to be known again.
    #[inline]
    pub(crate) fn name(&self, inbox: &ClientId, message: &Message) -> Option<Named> {
        (self.is_on() && message.is_named()).then(|| Named {
            id: self.id_of(
                inbox.as_str(),
                message.from.as_str(),
                message.id.as_deref().unwrap_or_default(),
            ),
            payload: fingerprint(&message.payload),
        })
    }

    /// Whether a message repeats one.
    pub(crate) fn look(&self, named: &Named, age: Age) -> Look {
        let known = self.window(named.id.line).lock().get(named.id);
        match known.filter(|known| age < known.at.after(self.time)) {
            None => Look::New,
            Some(_) if inbox_types::fault!(StoreRepeats) => Look::New,
            Some(known) if known.payload != named.payload => Look::OtherPayload,
            Some(known) => Look::Repeats(known.seq, known.is_delivered),
        }
    }

    /// A message was accepted as `seq`, at this age.
    pub(crate) fn remember(&self, named: &Named, seq: Seq, at: Age) {
        let Named { id, payload } = *named;
        let known = Known {
            key: id.key,
            seq,
            at,
            payload,
            is_delivered: false,
        };
        let was_one_too_many = self.window(id.line).lock().put(id.line, known);
        self.counters.ids_forgotten.add(u64::from(was_one_too_many));
    }

    /// A message was refused after all.
    pub(crate) fn forget(&self, inbox: &ClientId, message: &Message, seq: Seq) {
        let line = self.line(inbox.as_str(), message.from.as_str());
        self.window(line).lock().refused(line, seq);
    }

    /// A message was acknowledged by its reader.
    pub(crate) fn note_delivered(&self, inbox: &ClientId, message: &Message, seq: Seq) {
        let line = self.line(inbox.as_str(), message.from.as_str());
        self.window(line).lock().note_delivered(line, seq);
    }

    /// Adds to `batch` what makes the `id`s of its messages durable, and of those that were `read` before they were written; and removes what is
    /// forgotten. Messages that are `edits` have the `id` of the message that they replace, and that is what a repetition of the `id` repeats.
    pub(crate) fn gather(
        &self,
        batch: &mut Batch,
        read: &[(ClientId, Seq, Arc<Message>)],
        edits: &[Seq],
        age: Age,
    ) -> Option<Pending> {
        let mut groups = self.groups.lock();
        let stored = batch
            .puts
            .iter()
            .map(|(inbox, entry)| (inbox, entry.seq, &*entry.message));
        let read = read.iter().map(|(inbox, seq, message)| (inbox, *seq, &**message));
        let mut group = None;
        for (inbox, seq, message) in stored.chain(read) {
            if self.is_on() && message.is_named() && !edits.contains(&seq) {
                let group = group.get_or_insert_with(|| groups.begin(age));
                let line = |from: &str| self.line(inbox.as_str(), from);
                group.add(seq, inbox, message, fingerprint(&message.payload), line);
            }
        }
        batch.tables.extend(group.as_mut().map(Pending::change));
        // What nobody waits for is not written for its own sake, unless it has piled up.
        if !batch.is_empty() || groups.is_overdue(age, self.time) {
            let forgotten = groups.forget(age, self.time, self.ids_max, &mut batch.tables);
            for (line, up_to, is_early) in forgotten {
                let count = self.window(line).lock().forget(line, up_to);
                self.counters.ids_forgotten.add(if is_early { count as u64 } else { 0 });
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
            let id = self.id_of(kept.inbox, kept.from, kept.id);
            let is_over = age >= kept.at.after(self.time) || inbox_types::fault!(ForgetIds);
            if !is_over {
                let payload = kept.payload;
                self.remember(&Named { id, payload }, kept.seq, kept.at);
            }
            id.line
        })
    }

    fn id_of(&self, inbox: &str, from: &str, id: &str) -> Id {
        let from = if inbox_types::fault!(ShareIds) { "" } else { from };
        let line = self.line(inbox, from);
        // A party has several clients, and each its own ids.
        let device = from.strip_prefix(party(from));
        let [first, second] = &self.keys;
        let key = [first.hash_one((line, device, id)), second.hash_one((line, device, id))];
        Id { key, line }
    }

    fn line(&self, inbox: &str, from: &str) -> u64 {
        let from = if inbox_types::fault!(ShareIds) { "" } else { from };
        let [first, _] = &self.keys;
        first.hash_one((inbox, party(from)))
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
