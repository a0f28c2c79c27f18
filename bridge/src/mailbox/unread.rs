//! How many messages left an inbox unread (contract rule 5), so that a reader can know how many it missed.
//!
//! **Promise:** the number that a reader is told is durable, so it never goes back. It changes in the commit that removes what it counts; what
//! was never written is counted by the next commit, and a crash before that can forget it.

use inbox_store::{Table, TableChange, TableKey};
use inbox_types::{AttachmentId, ClientId};

use super::{Context, Effects, Mailbox};
use crate::tables::number;

/// See the module's documentation.
pub(super) struct Unread {
    /// `None` until somebody asked the store.
    durable: Option<u64>,
    /// To be counted by the next batch.
    waiting: u64,
    /// Counted by the batch that is being made durable.
    committing: u64,
}

impl Default for Unread {
    /// Of a store that counts none.
    fn default() -> Self {
        Unread {
            durable: Some(0),
            waiting: 0,
            committing: 0,
        }
    }
}

impl Unread {
    #[inline]
    pub(super) fn durable(&self) -> Option<u64> {
        self.durable
    }

    /// Whether some are to be counted.
    #[inline]
    pub(super) fn waits(&self) -> bool {
        self.waiting > 0
    }

    /// Whether all of them are counted, durably.
    pub(super) fn is_settled(&self) -> bool {
        self.waiting == 0 && self.committing == 0
    }

    /// Whether the store must be asked before the next batch.
    #[inline]
    pub(super) fn is_wanted(&self) -> bool {
        self.waiting > 0 && self.durable.is_none()
    }

    /// Counts what waits, in a batch.
    pub(super) fn gather(&mut self, inbox: &ClientId) -> Option<TableChange> {
        let durable = self.durable.filter(|_| self.waiting > 0)?;
        let waiting = std::mem::take(&mut self.waiting);
        if inbox_types::fault!(ForgetDropped) {
            return None;
        }
        self.committing += waiting;
        Some(change(inbox, durable + self.committing))
    }

    /// That batch is durable.
    pub(super) fn committed(&mut self) {
        let committing = std::mem::take(&mut self.committing);
        self.durable = self.durable.map(|durable| durable + committing);
    }
}

impl Mailbox {
    /// The store is to be asked how many left unread: not before then is anything delivered or counted.
    pub(crate) fn forget_unread(&mut self) {
        self.unread.durable = None;
    }

    /// The client is erased: it is told of none that left before.
    pub(crate) fn erase_unread(&mut self) {
        self.unread = Unread::default();
    }

    /// A reader came. It must be known before its first delivery; meanwhile a page is read as well.
    pub(super) fn ask_for_unread(&mut self, attachment: AttachmentId, fx: &mut Effects) {
        if self.unread.durable.is_none() {
            fx.unread = Some(attachment);
            if let Some(reader) = self.reader.as_mut() {
                reader.read_ahead(fx);
            }
        }
    }

    /// What the store counts.
    pub(crate) fn unread_read(&mut self, stored: u64, cx: Context, fx: &mut Effects) {
        // Known already, it may be more by now.
        self.unread.durable = self.unread.durable.or(Some(stored));
        self.pump(cx, fx);
    }

    /// Whether some that left unread are not counted, durably.
    #[inline]
    pub(crate) fn counts_unread(&self) -> bool {
        !self.unread.is_settled()
    }

    /// One more leaves unread. It is counted when its removal is written, or would be.
    pub(super) fn leaves_unread(&mut self, cx: Context, fx: &mut Effects) {
        if self.removals.is_empty() && !self.unread.waits() {
            self.removals_since = cx.now.mono;
        }
        self.unread.waiting += 1;
        fx.commit_by(self.removals_since + cx.limits.ack_flush_interval);
    }
}

/// So many of `inbox` left unread.
pub(crate) fn change(inbox: &ClientId, count: u64) -> TableChange {
    TableChange {
        table: Table::UNREAD,
        key: TableKey::of(inbox),
        value: Some(number(count)),
    }
}
