//! Readers: how they come and go, what they acknowledge, and pages of the store for them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Hub;
use super::unread::stored_unread;
use inbox_store::{Page, PageLimit, Store, StoreError, Trouble};
use inbox_types::{AttachmentId, ClientId, Entry, Message, PAGE_BYTES_MAX, Port, Seq};

/// A reader waits for something that the store knows: a page of its inbox, mostly.
#[derive(Debug)]
pub struct ReadRequest {
    pub(super) inbox: ClientId,
    pub(super) attachment: AttachmentId,
    pub(super) wanted: Wanted,
}

/// What it waits for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wanted {
    /// What is stored after this.
    After(Seq),
    /// How many left unread.
    Unread,
}

/// What the store said.
#[derive(Debug)]
pub enum Fetched {
    /// Messages, in order.
    Page(Page),
    /// So many left unread.
    Unread(u64),
}

impl Hub {
    /// From now on `port` gets the messages of `inbox`, from the oldest unacknowledged one (contract rule 4), with at most
    /// `window` of them unacknowledged.
    pub fn attach(&self, inbox: &ClientId, port: Arc<dyn Port>, window: u16) -> AttachmentId {
        self.attach_again(inbox, port, window, &[])
    }

    /// Like [`Hub::attach`], over a connection that was sent `in_flight`, in order, and has not acknowledged it: that is not sent again,
    /// and counts towards the window.
    pub fn attach_again(&self, inbox: &ClientId, port: Arc<dyn Port>, window: u16, in_flight: &[Seq]) -> AttachmentId {
        let attachment = AttachmentId(self.attachments.fetch_add(1, Ordering::Relaxed));
        self.step(inbox, self.clock.now(), |mailbox, cx, fx| {
            mailbox.attach(attachment, port, window, in_flight, self.seqs.last(), cx, fx);
        });
        attachment
    }

    /// Ends an attachment. Its unacknowledged messages stay.
    pub fn detach(&self, inbox: &ClientId, attachment: AttachmentId) {
        self.step_existing(inbox, self.clock.now(), |mailbox, cx, fx| {
            mailbox.detach(attachment, cx, fx)
        });
    }

    /// The client of `inbox` has these messages: they leave it (contract rule 5).
    pub fn acknowledge(&self, inbox: &ClientId, seqs: &[Seq]) {
        self.step(inbox, self.clock.now(), |mailbox, cx, fx| {
            for seq in seqs {
                mailbox.acknowledge(*seq, cx, fx);
            }
        });
    }

    /// The client of `inbox` had this message and does not want it: it leaves all the same (contract rule 5).
    pub fn reject(&self, inbox: &ClientId, seq: Seq, reason: u8) {
        self.step(inbox, self.clock.now(), |mailbox, cx, fx| {
            mailbox.reject(seq, reason, cx, fx)
        });
    }

    /// These messages were written to the client of `inbox` with QoS 0: they leave it when they have settled (contract rule 5).
    pub fn written(&self, inbox: &ClientId, seqs: &[Seq]) {
        self.step_existing(inbox, self.clock.now(), |mailbox, cx, fx| {
            for seq in seqs {
                mailbox.written(*seq, cx, fx);
            }
        });
    }

    /// Does what a reader asked for. Blocks on the store. What it lacked, if it did: then the reader waits, and the same is to be asked for
    /// again.
    pub fn read(&self, store: &dyn Store, request: &ReadRequest) -> Option<Trouble> {
        match self.fetch(store, request) {
            Ok(Some(fetched)) => self.hand_over(request, fetched),
            Ok(None) => {}
            Err(trouble) => return Some(trouble),
        }
        None
    }

    /// The first half of [`Hub::read`]: what the store says, if it is still wanted. A simulator lets time pass between the halves.
    ///
    /// # Errors
    /// What the store lacked; it is to be tried again.
    pub fn fetch(&self, store: &dyn Store, request: &ReadRequest) -> Result<Option<Fetched>, Trouble> {
        let limit = PageLimit {
            messages: self.limits.sizes.page_messages_max,
            bytes: PAGE_BYTES_MAX,
        };
        let wanted = self.step_existing(&request.inbox, self.clock.now(), |mailbox, _, _| {
            mailbox.is_attached(request.attachment)
        });
        if wanted != Some(true) {
            return Ok(None);
        }
        let fetched = match request.wanted {
            Wanted::After(after) => store.read(&request.inbox, after, limit).map(Fetched::Page),
            Wanted::Unread => stored_unread(store, &request.inbox).map(Fetched::Unread),
        };
        match fetched {
            Ok(fetched) => Ok(Some(fetched)),
            Err(StoreError::Troubled(trouble)) => {
                self.counters.reads_retried.add(1);
                if inbox_types::fault!(GiveUpReading) {
                    return Ok(None);
                }
                Err(trouble)
            }
            Err(error) => {
                self.observer.unreadable(&request.inbox, &error);
                Ok(None)
            }
        }
    }

    /// The second half of [`Hub::read`].
    pub fn hand_over(&self, request: &ReadRequest, fetched: Fetched) {
        let page = match fetched {
            Fetched::Page(page) => page,
            Fetched::Unread(count) => {
                self.step_existing(&request.inbox, self.clock.now(), |mailbox, cx, fx| {
                    // For an earlier reader it may be an earlier number: the inbox may have left memory since, and come back.
                    if mailbox.is_attached(request.attachment) {
                        mailbox.unread_read(count, cx, fx);
                    }
                });
                return;
            }
        };
        self.counters.pages_read.add(1);
        self.step_existing(&request.inbox, self.clock.now(), |mailbox, cx, fx| {
            mailbox.page(request.attachment, page, cx, fx);
        });
    }

    /// A message that leaves, if the store has it.
    pub(super) fn find(
        &self,
        store: &dyn Store,
        inbox: &ClientId,
        seq: Seq,
    ) -> Result<Option<Arc<Message>>, StoreError> {
        let page = match store.read(
            inbox,
            Seq(seq.0.saturating_sub(1)),
            PageLimit {
                messages: 1,
                bytes: PAGE_BYTES_MAX,
            },
        ) {
            Err(StoreError::Damaged { .. }) => return Ok(None),
            page => page?,
        };
        let entry = page.entries.into_iter().next().filter(|entry| entry.seq == seq);
        Ok(entry.map(|entry| entry.message))
    }

    /// The client of `inbox` cannot be sent this message; it stays, and the next ones go on.
    pub fn skip(&self, inbox: &ClientId, seq: Seq) {
        self.step_existing(inbox, self.clock.now(), |mailbox, cx, fx| mailbox.skip(seq, cx, fx));
    }

    /// What the store holds of an inbox, as far as that is known in memory: `None` if it is not, and while anything is on its way out. A simulator
    /// compares it with the store when no commit is under way.
    pub fn totals(&self, inbox: &ClientId) -> Option<inbox_store::InboxRecord> {
        let mut shard = self.shard(inbox).lock();
        let (_, mailbox) = shard.get_mut(inbox)?;
        mailbox.settled_totals()
    }

    /// Messages that expired leave their inbox. `entries` were just read from the store.
    pub fn expire(&self, inbox: &ClientId, entries: &[Entry]) {
        self.step(inbox, self.clock.now(), |mailbox, cx, fx| {
            for entry in entries {
                mailbox.expire_stored(entry, cx, fx);
            }
        });
    }
}
