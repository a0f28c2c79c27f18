//! What the store keeps beside messages: whom clients take messages from, who wrote to whom, and what ordinary topics need.
//!
//! **Promise:** whoever is told yes finds it again after any crash. It goes with the next batch, in the order in which it came.

#![allow(
    clippy::disallowed_methods,
    reason = "what a batch made durable is proven here, as a message is in its mailbox (contract rule 3)"
)]

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::Bytes;
use inbox_store::{Batch, PageLimit, Store, StoreError, Table, TableChange, TableKey};
use inbox_types::{BATCH_BYTES_MAX, ClientId, Keeping, Kept, KeptChange, Outcome, Port, Proof, Refusal, Seq, Ticket};

use super::Hub;
use super::commit::Gathering;
use crate::mailbox::Origin;
use crate::tables::entries;

/// Changes that one batch takes, unless they come to [`BATCH_BYTES_MAX`] before: the next one follows at once.
const BATCH_CHANGES_MAX: usize = 4_096;

/// Sources are asked at multiples of this, in nanoseconds, so that one batch has what is due of thousands of them.
const STEP: u64 = 2_000_000;

/// What waits for the next batch, in order.
pub(super) type Waiting = VecDeque<Wanted>;

/// Who is to be asked for what it has to keep, and by when.
pub(super) type Sources = Vec<(Duration, Arc<dyn Keeping>)>;

/// What somebody wants of a table.
pub(super) enum Wanted {
    Change(TableChange, Option<Origin>),
    /// The keys that begin so are to go.
    Forget(Table, Bytes),
}

impl Hub {
    /// Keeps what the client of `owner` says of who may write to it. `port` is told under `ticket` when that is durable.
    pub fn keep_senders(&self, owner: &ClientId, said: Option<Bytes>, port: &Arc<dyn Port>, ticket: Ticket) {
        let origin = Origin {
            port: port.clone(),
            ticket,
        };
        if inbox_types::fault!(AckListsEarly) {
            port.settle(ticket, Outcome::Accepted(Proof::of(Seq::ZERO)));
        }
        self.keep(Table::SENDERS, TableKey::of(owner), said, Some(origin));
    }

    /// Keeps who wrote to whom. A batch that is gathered later than this has it.
    pub fn keep_acquaintances(&self, changes: Vec<(Bytes, Option<Bytes>)>) {
        for (key, value) in changes {
            let Ok(key) = TableKey::new(key) else {
                unreachable!("a client ID has 1 to 1,024 bytes, and a key may have 256 more");
            };
            self.keep(Table::ACQUAINTANCES, key, value, None);
        }
    }

    /// Keeps something for ordinary topics. Its bytes count as accepted and not yet durable.
    pub fn keep_ordinary(&self, kept: Kept, key: Bytes, value: Option<Bytes>, waits: Option<(Arc<dyn Port>, Ticket)>) {
        let (change, origin) = change_of(KeptChange {
            kept,
            key,
            value,
            waits,
        });
        self.keep(change.table, change.key, change.value, origin);
    }

    /// Has `source` asked by then, or within [`STEP`] of it. It may be asked earlier, and more than once.
    pub fn keep_from(&self, source: Arc<dyn Keeping>, by: Duration) {
        let by = stepped(by, self.clock.mono());
        self.keeping.lock().push((by, source));
        self.alarm.want(by);
    }

    /// Has everything removed whose key begins with `prefix`.
    pub fn forget(&self, kept: Kept, prefix: Bytes) {
        self.kept.lock().push_back(Wanted::Forget(table_of(kept), prefix));
        self.alarm.want(self.clock.now().mono);
    }

    /// Asks those who have something to keep that is due. Tells when there is more.
    pub(super) fn gather_sources(&self, now: Duration, all: bool, gathering: &mut Gathering) -> Option<Duration> {
        let sources = std::mem::take(&mut *self.keeping.lock());
        let (mut changes, mut later, mut next, mut bytes) = (Vec::new(), Vec::new(), None, 0);
        for (by, source) in sources {
            let has_room = gathering.batch.tables.len() < BATCH_CHANGES_MAX && bytes < BATCH_BYTES_MAX;
            let more = match has_room && (all || by <= now) {
                true => source.gather(now, all, &mut changes),
                false => Some(by),
            };
            if let Some(by) = more {
                let by = stepped(by, now);
                next = Some(next.map_or(by, |next: Duration| next.min(by)));
                later.push((by, source));
            }
            for change in changes.drain(..) {
                let (change, origin) = change_of(change);
                bytes += size(&change);
                gathering.batch.tables.push(change);
                gathering.kept.extend(origin);
            }
        }
        // Before those that came meanwhile: who found no room is the first to have some.
        let mut waiting = self.keeping.lock();
        later.append(&mut waiting);
        *waiting = later;
        next
    }

    /// Has the age of the store saved, if that is due.
    pub fn keep_age(&self) {
        let now = self.clock.now();
        if self.age.is_due(now) || self.dedupe.is_overdue(self.age.age(now)) || self.receipts.has_done() {
            self.alarm.want(now.mono);
        }
    }

    pub(super) fn keep(&self, table: Table, key: TableKey, value: Option<Bytes>, origin: Option<Origin>) {
        let mut kept = self.kept.lock();
        // Looked at with the lock held: a failing hub passes by here once.
        if self.has_failed() {
            drop(kept);
            return self.refuse_all(origin);
        }
        let change = TableChange { table, key, value };
        self.uncommitted_bytes.fetch_add(size(&change), Relaxed);
        kept.push_back(Wanted::Change(change, origin));
        drop(kept);
        self.alarm.want(self.clock.now().mono);
    }

    /// Puts what waits into a batch. Gives who is to be told when that is durable, and whether more waits.
    pub(super) fn gather_kept(&self, store: &dyn Store, batch: &mut Batch) -> (Vec<Origin>, bool) {
        let (mut origins, mut bytes) = (Vec::new(), 0);
        for at in 0..BATCH_CHANGES_MAX {
            let next = self.kept.lock().pop_front();
            match next {
                None => break,
                Some(Wanted::Change(change, origin)) => {
                    bytes += size(&change);
                    batch.tables.push(change);
                    origins.extend(origin);
                    if bytes >= BATCH_BYTES_MAX {
                        break;
                    }
                }
                // It looks at what the store has, where nothing of this batch is yet.
                Some(Wanted::Forget(table, prefix)) => {
                    let is_over = at == 0 && forget(store, table, &prefix, batch);
                    if !is_over {
                        self.kept.lock().push_front(Wanted::Forget(table, prefix));
                    }
                    break;
                }
            }
        }
        self.uncommitted_bytes.fetch_sub(bytes, Relaxed);
        (origins, !self.kept.lock().is_empty())
    }

    /// The batch is durable.
    pub(super) fn settle_kept(origins: Vec<Origin>) {
        for origin in origins {
            origin.settle(Outcome::Accepted(Proof::of(Seq::ZERO)));
        }
    }

    /// Nothing will be durable any more.
    pub(super) fn refuse_kept(&self, origins: Vec<Origin>) {
        let waiting = std::mem::take(&mut *self.kept.lock());
        let changes = waiting.into_iter().filter_map(|wanted| match wanted {
            Wanted::Change(change, origin) => Some((size(&change), origin)),
            Wanted::Forget(..) => None,
        });
        let (bytes, waiting): (Vec<_>, Vec<_>) = changes.unzip();
        self.uncommitted_bytes.fetch_sub(bytes.iter().sum(), Relaxed);
        self.refuse_all(origins);
        self.refuse_all(waiting.into_iter().flatten());
        let (mut changes, sources) = (Vec::new(), std::mem::take(&mut *self.keeping.lock()));
        for (_, source) in sources {
            source.gather(Duration::MAX, true, &mut changes);
        }
        self.refuse_all(changes.into_iter().filter_map(|change| change_of(change).1));
    }

    fn refuse_all(&self, origins: impl IntoIterator<Item = Origin>) {
        let origins = origins.into_iter().map(Some);
        self.refuse(origins, &self.counters.refused_store_failed, Refusal::StoreFailed);
    }
}

/// When a source is asked that wants to be by then: at once, or at the next step.
fn stepped(by: Duration, now: Duration) -> Duration {
    match by <= now {
        true => by,
        false => {
            let nanos = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX - STEP);
            Duration::from_nanos(nanos.next_multiple_of(STEP))
        }
    }
}

fn table_of(kept: Kept) -> Table {
    match kept {
        Kept::Retained => Table::RETAINED,
        Kept::Session => Table::SESSIONS,
        Kept::Will => Table::WILLS,
    }
}

fn change_of(change: KeptChange) -> (TableChange, Option<Origin>) {
    let Ok(key) = TableKey::new(change.key) else {
        unreachable!("whoever keeps something makes keys of a client ID or less, and of what tells records apart")
    };
    let (table, value) = (table_of(change.kept), change.value);
    let origin = change.waits.map(|(port, ticket)| Origin { port, ticket });
    (TableChange { table, key, value }, origin)
}

/// Removes the first of the keys that begin with `prefix`. Tells whether these were all. What cannot be read stays, and is looked at when the store
/// is opened.
fn forget(store: &dyn Store, table: Table, prefix: &[u8], batch: &mut Batch) -> bool {
    let at_a_time = PageLimit {
        messages: BATCH_CHANGES_MAX,
        bytes: BATCH_BYTES_MAX,
    };
    let Ok(page) = store.scan(table, prefix, None, at_a_time) else {
        return true;
    };
    let removals = page.entries.into_iter().map(|(key, _)| TableChange {
        table,
        key,
        value: None,
    });
    batch.tables.extend(removals);
    !page.more
}

/// What a change takes of memory, and of a batch, in bytes.
fn size(change: &TableChange) -> usize {
    change.key.as_bytes().len() + change.value.as_ref().map_or(0, Bytes::len)
}

/// Everything that is kept in a table: keys and values.
///
/// # Errors
/// The store cannot be read.
pub fn kept(store: &dyn Store, table: Table) -> Result<Vec<(TableKey, Bytes)>, StoreError> {
    entries(store, table).collect()
}
