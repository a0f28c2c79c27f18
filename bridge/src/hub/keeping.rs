//! What the store keeps beside messages: whom clients take messages from, and who wrote to whom.
//!
//! **Promise:** whoever is told yes finds it again after any crash. It goes with the next batch, in the order in which it came.

#![allow(
    clippy::disallowed_methods,
    reason = "what a batch made durable is proven here, as a message is in its mailbox (contract rule 3)"
)]

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use inbox_store::{Batch, Store, StoreError, Table, TableChange, TableKey};
use inbox_types::{ClientId, Outcome, Port, Proof, Refusal, Seq, Ticket};

use super::Hub;
use crate::mailbox::Origin;
use crate::tables::walk;

/// Changes that one batch takes: each is small, and the next one follows at once.
const BATCH_CHANGES_MAX: usize = 256;

/// What waits for the next batch, in order.
pub(super) type Kept = Vec<(TableChange, Option<Origin>)>;

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
        kept.push((TableChange { table, key, value }, origin));
        drop(kept);
        self.alarm.want(self.clock.now().mono);
    }

    /// Puts what waits into a batch. Gives who is to be told when that is durable, and whether more waits.
    pub(super) fn gather_kept(&self, batch: &mut Batch) -> (Vec<Origin>, bool) {
        let mut kept = self.kept.lock();
        let now = kept.len().min(BATCH_CHANGES_MAX);
        let origins = kept.drain(..now).filter_map(|(change, origin)| {
            batch.tables.push(change);
            origin
        });
        let origins = origins.collect();
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
        self.refuse_all(origins);
        self.refuse_all(waiting.into_iter().filter_map(|(_, origin)| origin));
    }

    fn refuse_all(&self, origins: impl IntoIterator<Item = Origin>) {
        let origins = origins.into_iter().map(Some);
        self.refuse(origins, &self.counters.refused_store_failed, Refusal::StoreFailed);
    }
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
