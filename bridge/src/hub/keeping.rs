//! What the store keeps beside messages: whom clients take messages from, who wrote to whom, and what ordinary topics need.
//!
//! **Promise:** whoever is told yes finds it again after any crash. It goes with the next batch, in the order in which it came.

#![allow(
    clippy::disallowed_methods,
    reason = "what a batch made durable is proven here, as a message is in its mailbox (contract rule 3)"
)]

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use inbox_store::{Batch, Store, StoreError, Table, TableChange, TableKey};
use inbox_types::{BATCH_BYTES_MAX, ClientId, Kept, Outcome, Port, Proof, Refusal, Seq, Ticket};

use super::Hub;
use crate::mailbox::Origin;
use crate::tables::walk;

/// Changes that one batch takes, unless they come to [`BATCH_BYTES_MAX`] before: the next one follows at once.
const BATCH_CHANGES_MAX: usize = 4_096;

/// What waits for the next batch, in order.
pub(super) type Waiting = VecDeque<(TableChange, Option<Origin>)>;

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
        let table = match kept {
            Kept::Retained => Table::RETAINED,
            Kept::Session => Table::SESSIONS,
        };
        let Ok(key) = TableKey::new(key) else {
            unreachable!("whoever keeps something makes keys of a client ID or less, and of what tells records apart")
        };
        let origin = waits.map(|(port, ticket)| Origin { port, ticket });
        self.keep(table, key, value, origin);
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
        kept.push_back((change, origin));
        drop(kept);
        self.alarm.want(self.clock.now().mono);
    }

    /// Puts what waits into a batch. Gives who is to be told when that is durable, and whether more waits.
    pub(super) fn gather_kept(&self, batch: &mut Batch) -> (Vec<Origin>, bool) {
        let mut kept = self.kept.lock();
        let (mut origins, mut bytes) = (Vec::new(), 0);
        for _ in 0..BATCH_CHANGES_MAX {
            let Some((change, origin)) = kept.pop_front() else {
                break;
            };
            bytes += size(&change);
            batch.tables.push(change);
            origins.extend(origin);
            if bytes >= BATCH_BYTES_MAX {
                break;
            }
        }
        self.uncommitted_bytes.fetch_sub(bytes, Relaxed);
        (origins, !kept.is_empty())
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
        let bytes = waiting.iter().map(|(change, _)| size(change)).sum();
        self.uncommitted_bytes.fetch_sub(bytes, Relaxed);
        self.refuse_all(origins);
        self.refuse_all(waiting.into_iter().filter_map(|(_, origin)| origin));
    }

    fn refuse_all(&self, origins: impl IntoIterator<Item = Origin>) {
        let origins = origins.into_iter().map(Some);
        self.refuse(origins, &self.counters.refused_store_failed, Refusal::StoreFailed);
    }
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
    let mut all = Vec::new();
    walk(store, table, b"", |key, value| {
        all.push((key.clone(), value.clone()));
        ControlFlow::Continue(())
    })?;
    Ok(all)
}
