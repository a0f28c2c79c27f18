//! What clients have the store keep beside messages: whom they take messages from.
//!
//! **Promise:** whoever is told yes finds it again after any crash. It goes with the next batch, in the order in which it came.

#![allow(
    clippy::disallowed_methods,
    reason = "what a batch made durable is proven here, as a message is in its mailbox (contract rule 3)"
)]

use std::sync::Arc;

use bytes::Bytes;
use inbox_store::{Batch, PageLimit, Store, StoreError, Table, TableChange, TableKey};
use inbox_types::{ClientId, Outcome, PAGE_BYTES_MAX, Port, Proof, Refusal, Seq, Ticket};

use super::Hub;
use crate::mailbox::Origin;

/// Entries of the table read at a time.
const PAGE_ENTRIES: usize = 1024;
/// Changes that one batch takes: each is small, and the next one follows at once.
const BATCH_CHANGES_MAX: usize = 256;

/// What waits for the next batch, in order.
pub(super) type Kept = Vec<(TableChange, Origin)>;

impl Hub {
    /// Keeps what the client of `owner` says of who may write to it. `port` is told under `ticket` when that is durable.
    pub fn keep_senders(&self, owner: &ClientId, said: Option<Bytes>, port: &Arc<dyn Port>, ticket: Ticket) {
        let origin = Origin {
            port: port.clone(),
            ticket,
        };
        let Ok(key) = TableKey::new(Bytes::copy_from_slice(owner.as_str().as_bytes())) else {
            unreachable!("a client ID has 1 to 1,024 bytes, and a key may have more");
        };
        let change = TableChange {
            table: Table::SENDERS,
            key,
            value: said,
        };
        let mut kept = self.kept.lock();
        // Looked at with the lock held: a failing hub passes by here once.
        if self.has_failed() {
            drop(kept);
            return self.refuse(
                [Some(origin)],
                &self.counters.refused_store_failed,
                Refusal::StoreFailed,
            );
        }
        kept.push((change, origin));
        drop(kept);
        self.alarm.want(self.clock.now().mono);
    }

    /// Puts what waits into a batch. Gives who is to be told when that is durable, and whether more waits.
    pub(super) fn gather_kept(&self, batch: &mut Batch) -> (Vec<Origin>, bool) {
        let mut kept = self.kept.lock();
        let now = kept.len().min(BATCH_CHANGES_MAX);
        let origins = kept.drain(..now).map(|(change, origin)| {
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
        let origins = origins.into_iter().chain(waiting.into_iter().map(|(_, origin)| origin));
        self.refuse(
            origins.map(Some),
            &self.counters.refused_store_failed,
            Refusal::StoreFailed,
        );
    }
}

/// What every client said of who may write to it.
///
/// # Errors
/// The store cannot be read.
pub fn kept_senders(store: &dyn Store) -> Result<Vec<(ClientId, Bytes)>, StoreError> {
    let limit = PageLimit {
        messages: PAGE_ENTRIES,
        bytes: PAGE_BYTES_MAX,
    };
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let page = store.scan(Table::SENDERS, b"", after.as_ref(), limit)?;
        after = page.entries.last().map(|(key, _)| key.clone());
        for (key, value) in page.entries {
            let owner = str::from_utf8(key.as_bytes()).ok();
            // Only client IDs were ever put there.
            if let Some(owner) = owner.and_then(|owner| ClientId::new(owner).ok()) {
                all.push((owner, value));
            }
        }
        if !page.more || after.is_none() {
            return Ok(all);
        }
    }
}
