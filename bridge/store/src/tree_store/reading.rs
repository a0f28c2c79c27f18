//! Reading a store: what is in the log and what is in the tree, put together.

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;

use super::Shared;
use crate::blocks::{self, Block, Placed, Unreadable};
use crate::error::{Damage, StoreError};
use crate::store::{InboxRecord, Page, PageLimit};
use crate::table::{Table, TableKey, TablePage};
use crate::tables;
use crate::totals::{self, Said};
use crate::tree::Tree;
use inbox_types::{ClientId, Entry, Seq};

/// Most messages whose left-over pieces are remembered until the next checkpoint.
const STRAYS_MAX: usize = 1024;
/// How often totals are looked up while checkpoints come between, before an inbox is counted.
const TOTALS_TRIES: usize = 3;

impl<T: Tree> Shared<T> {
    pub(super) fn stray(&self, message: &[u8]) {
        let mut strays = self.strays.lock();
        if strays.len() < STRAYS_MAX {
            strays.insert(message.to_vec());
        }
    }

    /// Hands every message of `inbox` above `after` to `each`, in order, until that breaks off. Of what is in the log there are at most
    /// `limit` messages, so `each` must not want more than that.
    pub(super) fn visit(
        &self,
        tree: &T,
        inbox: &ClientId,
        after: Seq,
        limit: usize,
        mut each: impl FnMut(Visited<'_, T>) -> Result<ControlFlow<()>, StoreError>,
    ) -> Result<(), StoreError> {
        let _reading = self.reading.read();
        // Before the blocks: what a checkpoint moves meanwhile is then seen twice, and not missed.
        let view = self.recent.lock().index.view(inbox, after, limit);
        let mut logged = view.entries.iter().peekable();
        let strays = |message: &[u8]| self.stray(message);
        for block in blocks::of(tree, inbox, Seq(after.0.saturating_add(1)), &strays)? {
            let block = block?;
            for placed in block.messages() {
                if placed.seq <= after || view.removals.binary_search(&placed.seq).is_ok() {
                    continue;
                }
                while let Some(entry) = logged.next_if(|entry| entry.seq < placed.seq) {
                    if each(Visited::Logged(entry))?.is_break() {
                        return Ok(());
                    }
                }
                let is_logged_too = logged.peek().is_some_and(|entry| entry.seq == placed.seq);
                if !is_logged_too && each(Visited::Stored(&block, &placed))?.is_break() {
                    return Ok(());
                }
            }
        }
        for entry in logged {
            if each(Visited::Logged(entry))?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// What an inbox holds, from what is kept of it in total.
    pub(super) fn record(&self, tree: &T, inbox: &ClientId) -> Result<InboxRecord, StoreError> {
        for _ in 0..TOTALS_TRIES {
            let Some(logged) = self.recent.lock().totals(inbox).filter(|_| self.keeps_totals) else {
                break;
            };
            let stored = match totals::read(tree, inbox)? {
                Said::Nothing => InboxRecord::default(),
                Said::Total(record) => record,
                Said::Damaged => break,
            };
            // A checkpoint may have moved messages from the one to the other meanwhile.
            if self.recent.lock().is_as_then(inbox, &logged) {
                return Ok(stored.plus(logged.record));
            }
        }
        self.count(tree, inbox)
    }

    fn count(&self, tree: &T, inbox: &ClientId) -> Result<InboxRecord, StoreError> {
        let mut record = InboxRecord::default();
        self.visit(tree, inbox, Seq::ZERO, usize::MAX, |found| {
            record.add(found.size());
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(record)
    }

    pub(super) fn page(&self, tree: &T, inbox: &ClientId, after: Seq, limit: PageLimit) -> Result<Page, StoreError> {
        let (mut page, mut bytes) = (Page::default(), 0_usize);
        self.visit(tree, inbox, after, limit.messages.saturating_add(1), |found| {
            let is_first = page.entries.is_empty();
            if !is_first && (page.entries.len() >= limit.messages || bytes + found.size() > limit.bytes) {
                page.more = true;
                return Ok(ControlFlow::Break(()));
            }
            match found.load(tree)? {
                Ok(entry) => {
                    bytes += entry.message.size();
                    page.entries.push(entry);
                }
                Err(Unreadable::Removed) => {}
                Err(Unreadable::Damaged(why)) if is_first => {
                    let why = Damage {
                        seq: found.seq(),
                        kind: why,
                    };
                    return Err(StoreError::Damaged {
                        inbox: inbox.clone(),
                        why: Arc::new(why),
                    });
                }
                // What comes before the damage is good; the next page begins with the damage and says so.
                Err(Unreadable::Damaged(_)) => {
                    page.more = true;
                    return Ok(ControlFlow::Break(()));
                }
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(page)
    }

    /// The first inbox after `after` that may hold something.
    pub(super) fn next_inbox(&self, tree: &T, after: Option<&ClientId>) -> Result<Option<ClientId>, StoreError> {
        // In this order, because inboxes move from the one to the other.
        let logged = self.recent.lock().index.next_inbox(after);
        let stored = blocks::next_inbox(tree, after, &|message| self.stray(message))?;
        Ok(logged.into_iter().chain(stored).min())
    }

    /// The value of a key in a table.
    pub(super) fn value(&self, tree: &T, table: Table, key: &TableKey) -> Result<Option<Bytes>, StoreError> {
        let _reading = self.reading.read();
        let logged = self.recent.lock().index.tables().get(table, key).cloned();
        match logged {
            Some(change) => Ok(change.value),
            None => tables::get(tree, table, key),
        }
    }

    /// A part of a table. The checkpointing thread does not write to tables meanwhile, so this is what they are at one moment.
    pub(super) fn table_page(
        &self,
        tree: &T,
        table: Table,
        prefix: &[u8],
        after: Option<&TableKey>,
        limit: PageLimit,
    ) -> Result<TablePage, StoreError> {
        let _reading = self.reading.read();
        let most = limit.messages.saturating_add(1);
        let view = self.recent.lock().index.tables().view(table, prefix, after, most);
        let mut logged = view.into_iter().peekable();
        let mut stored = tables::range(tree, table, prefix, after).peekable();
        let (mut page, mut bytes) = (TablePage::default(), 0_usize);
        loop {
            let is_stored = match (logged.peek(), stored.peek()) {
                (Some((key, _)), Some(Ok((other, _)))) => {
                    if other == key {
                        stored.next();
                        continue;
                    }
                    other < key
                }
                (_, other) => other.is_some(),
            };
            let (key, value) = if is_stored {
                let Some(next) = stored.next() else { break };
                let (key, head) = next?;
                let value = tables::load(tree, table, &key, head.as_ref())?;
                (key, Some(value))
            } else {
                let Some(next) = logged.next() else { break };
                next
            };
            let Some(value) = value else { continue };
            let is_first = page.entries.is_empty();
            if !is_first && (page.entries.len() >= limit.messages || bytes + value.len() > limit.bytes) {
                page.more = true;
                break;
            }
            bytes += value.len();
            page.entries.push((key, value));
        }
        Ok(page)
    }
}

/// A message of an inbox, wherever it is.
pub(super) enum Visited<'a, T: Tree> {
    Logged(&'a Entry),
    Stored(&'a Block<T>, &'a Placed<'a>),
}

impl<T: Tree> Visited<'_, T> {
    pub(super) fn seq(&self) -> Seq {
        match self {
            Visited::Logged(entry) => entry.seq,
            Visited::Stored(_, placed) => placed.seq,
        }
    }

    pub(super) fn size(&self) -> usize {
        match self {
            Visited::Logged(entry) => entry.message.size(),
            Visited::Stored(_, placed) => placed.size,
        }
    }

    pub(super) fn load(&self, tree: &T) -> Result<Result<Entry, Unreadable>, StoreError> {
        match self {
            Visited::Logged(entry) => Ok(Ok((*entry).clone())),
            Visited::Stored(block, placed) => Ok(block.load(tree, placed)?.map(|message| Entry {
                seq: placed.seq,
                message: Arc::new(message),
            })),
        }
    }
}
