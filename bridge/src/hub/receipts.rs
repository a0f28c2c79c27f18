//! Receipts (contract rule 11): into the batch that removes their messages, and out of it to the senders.

#![allow(
    clippy::disallowed_methods,
    reason = "that nothing is read is durable at once (contract rule 11)"
)]

use std::mem;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use inbox_store::{PageLimit, Store, StoreError, Table, TableKey};
use inbox_types::{
    Age, AttachmentId, ClientId, Delivery, Expiry, Message, Now, Outcome, PAGE_BYTES_MAX, Port, ReadMarks, Refusal,
    Room, Seq, Ticket, UNREAD_MAX,
};
use parking_lot::Mutex;
use tracing::warn;

use super::Hub;
use super::commit::{Gathering, refusal_for};
use crate::mailbox::{Due, Origin};
use crate::receipts::{self, Asking, Books, Deed, Receipt, State, Unread};
use crate::tables::walk;

/// Keys of what is unread that are looked at in one second, to forget what is too old.
const FADING_KEYS: usize = 256;
/// Then nobody looks for so many seconds.
const FADING_PAUSE: u32 = 600;

/// See the module's documentation.
#[derive(Default)]
pub(super) struct Receipts {
    /// Taken with an inbox locked, and for a moment.
    books: Mutex<Books>,
    /// Told by inboxes, with one of them locked.
    settled: Arc<Settled>,
    /// What applications say that they read.
    marks: Mutex<Vec<Marking>>,
    fading: Mutex<Fading>,
}

struct Marking {
    owner: ClientId,
    marks: ReadMarks,
    origin: Origin,
}

/// How far the search for what is too old has come.
#[derive(Default)]
struct Fading {
    after: Option<TableKey>,
    pause: u32,
}

/// Outcomes of receipts.
#[derive(Default)]
struct Settled(Mutex<Vec<(Ticket, Outcome)>>);

impl Port for Settled {
    fn deliver(&self, _: AttachmentId, _: Delivery) -> Room {
        Room::Left
    }

    fn settle(&self, ticket: Ticket, outcome: Outcome) {
        self.0.lock().push((ticket, outcome));
    }
}

impl Receipts {
    /// Whether the store could forget something.
    pub(super) fn has_done(&self) -> bool {
        !self.settled.0.lock().is_empty() || self.books.lock().has_done()
    }
}

impl Hub {
    /// The application of `owner` has read messages. `port` is told under `ticket` when that is durable.
    pub fn mark_read(&self, owner: &ClientId, marks: ReadMarks, port: &Arc<dyn Port>, ticket: Ticket) {
        let origin = Origin {
            port: port.clone(),
            ticket,
        };
        let mut all = self.receipts.marks.lock();
        // Looked at with the lock held: a failing hub passes by here once.
        if self.has_failed() {
            drop(all);
            return self.refuse(
                [Some(origin)],
                &self.counters.refused_store_failed,
                Refusal::StoreFailed,
            );
        }
        all.push(Marking {
            owner: owner.clone(),
            marks,
            origin,
        });
        drop(all);
        self.alarm.want(self.clock.now().mono);
    }

    /// Puts receipts into the batch that removes their messages. Tells whether something waits for the next one.
    pub(super) fn gather_receipts(&self, store: &dyn Store, gathering: &mut Gathering, now: Now) -> bool {
        self.note_settled();
        let age = self.age.age(now);
        let mut receipts = Vec::new();
        for (inbox, due) in mem::take(&mut gathering.due) {
            let Due {
                seq,
                about,
                told,
                at,
                is_unread,
            } = due;
            if let Some(unread) = is_unread.then(|| about.unread(age)).flatten() {
                self.keep_unread(store, gathering, &inbox, seq, &unread);
            }
            receipts.extend(told.map(|state| Receipt {
                inbox,
                seq,
                at,
                state,
                about,
            }));
        }
        let is_waiting = self.gather_marks(store, gathering, &mut receipts, now);
        self.counters.receipts.add(receipts.len() as u64);
        let mut books = self.receipts.books.lock();
        let Gathering {
            batch, receipts: told, ..
        } = gathering;
        let mut forgotten = books.take_done();
        if books.is_sending() {
            // What told of them is durable now.
            forgotten.extend(batch.puts.iter().filter_map(|(_, put)| books.is_written(put.seq)));
        }
        let forgotten = forgotten.into_iter().map(|number| receipts::deed_change(number, None));
        batch.tables.extend(forgotten);
        for telling in receipts::join(&receipts, &|inbox| self.observer.topic_of(inbox)) {
            let deed = books.begin(telling);
            let change = receipts::deed_change(deed.number, Some(&deed.telling));
            batch.tables.push(change);
            told.push(deed);
        }
        is_waiting
    }

    fn keep_unread(&self, store: &dyn Store, gathering: &mut Gathering, inbox: &ClientId, seq: Seq, unread: &Unread) {
        let tables = &mut gathering.batch.tables;
        tables.push(receipts::unread_change(receipts::unread_key(inbox, seq), Some(unread)));
        let mut books = self.receipts.books.lock();
        if books.add_unread(inbox) > UNREAD_MAX {
            drop(books);
            let prefix = receipts::unread_prefix(inbox);
            let oldest = store.scan(Table::RECEIPTS, &prefix, None, limit(1));
            if let Some((oldest, _)) = oldest.ok().and_then(|page| page.entries.into_iter().next()) {
                tables.push(receipts::unread_change(oldest.as_bytes().to_vec(), None));
                self.receipts.books.lock().take_unread(inbox);
            }
        }
    }

    /// What applications read. Those wait whose inbox has acknowledgements that are not durable: they may be about these messages.
    fn gather_marks(
        &self,
        store: &dyn Store,
        gathering: &mut Gathering,
        receipts: &mut Vec<Receipt>,
        now: Now,
    ) -> bool {
        let mut waiting = Vec::new();
        for marking in mem::take(&mut *self.receipts.marks.lock()) {
            let is_owing = self.step_existing(&marking.owner, now, |mailbox, _, _| mailbox.is_owing());
            if is_owing == Some(true) {
                waiting.push(marking);
                continue;
            }
            match self.read_marked(store, &marking, now) {
                Ok(read) => {
                    for (key, receipt) in read {
                        gathering.batch.tables.push(receipts::unread_change(key, None));
                        self.receipts.books.lock().take_unread(&marking.owner);
                        receipts.push(receipt);
                    }
                    gathering.kept.push(marking.origin);
                }
                Err(error) => marking.origin.settle(Outcome::Refused(refusal_for(&error))),
            }
        }
        if gathering.batch.is_empty() && receipts.is_empty() {
            // Nothing is written for those who read nothing new.
            Hub::settle_kept(mem::take(&mut gathering.kept));
        }
        let is_waiting = !waiting.is_empty();
        self.receipts.marks.lock().splice(0..0, waiting);
        is_waiting
    }

    /// What is to be told, and the keys under which it waited.
    fn read_marked(
        &self,
        store: &dyn Store,
        marking: &Marking,
        now: Now,
    ) -> Result<Vec<(Vec<u8>, Receipt)>, StoreError> {
        let Marking { owner, marks, .. } = marking;
        let mut read = Vec::new();
        if !self.receipts.books.lock().has_unread(owner) {
            return Ok(read);
        }
        let prefix = receipts::unread_prefix(owner);
        walk(store, Table::RECEIPTS, &prefix, |key, value| {
            let Some((_, seq, unread)) = receipts::read_unread(key, value) else {
                return ControlFlow::Continue(());
            };
            if marks.up_to.is_some_and(|up_to| seq > up_to) {
                return ControlFlow::Break(());
            }
            if is_marked(marks, &unread) {
                let receipt = Receipt {
                    inbox: owner.clone(),
                    seq,
                    at: now.wall,
                    state: State::Read,
                    about: Asking::Kept(unread),
                };
                read.push((key.as_bytes().to_vec(), receipt));
            }
            ControlFlow::Continue(())
        })?;
        Ok(read)
    }

    /// Receipts are durable: they are published.
    pub(super) fn tell(&self, deeds: Vec<Deed>) {
        for deed in deeds {
            self.tell_one(deed);
        }
    }

    fn tell_one(&self, deed: Deed) {
        let now = self.clock.now();
        let topic = &*deed.telling.to.topic;
        match self.observer.inbox_named(topic) {
            Some(inbox) => self.tell_inbox(&inbox, deed, now),
            None => {
                self.observer.receipt(topic, self.receipt_message(&deed, now));
                self.receipts.books.lock().finish(&deed);
            }
        }
    }

    fn tell_inbox(&self, inbox: &ClientId, deed: Deed, now: Now) {
        let message = Arc::new(self.receipt_message(&deed, now));
        let mut deed = Some(deed);
        if !self.disk_is_scarce.load(Ordering::Relaxed) {
            self.step(inbox, now, |mailbox, cx, fx| {
                let Some((seq, deed)) = self.seq_to_keep(now).zip(deed.take()) else {
                    return;
                };
                let origin = Origin {
                    ticket: self.receipts.books.lock().sending(deed, seq),
                    port: self.receipts.settled.clone(),
                };
                let _is_taken = mailbox.publish(seq, message.clone(), Some(origin), cx, fx);
                #[cfg(feature = "testing")]
                if _is_taken {
                    inbox_types::given(inbox, seq, &message);
                }
            });
        }
        if let Some(deed) = deed {
            let lost = self.receipts.books.lock().put_off(deed);
            self.counters.receipts_lost.add(lost);
        }
    }

    fn receipt_message(&self, deed: &Deed, now: Now) -> Message {
        let expiry = Expiry::new(self.age(now), None, self.limits.time_to_live);
        receipts::message(&deed.telling, now.wall, expiry)
    }

    fn note_settled(&self) {
        let settled = mem::take(&mut *self.receipts.settled.0.lock());
        let mut books = self.receipts.books.lock();
        for (ticket, outcome) in settled {
            let lost = books.settled(ticket, &outcome);
            self.counters.receipts_lost.add(lost);
        }
    }

    /// What found no room is tried again.
    pub fn tell_again(&self) {
        self.note_settled();
        let again = self.receipts.books.lock().take_again();
        if self.has_failed() {
            return;
        }
        for deed in again {
            self.tell_one(deed);
        }
    }

    /// What earlier runs left: receipts to publish, and what is unread.
    pub(super) fn load_receipts(&self, store: &dyn Store) -> Result<(), StoreError> {
        let mut deeds = Vec::new();
        walk(store, Table::RECEIPTS, receipts::ALL_DEEDS, |key, value| {
            match receipts::read_deed(key, value) {
                Some(deed) => deeds.push(deed),
                None => {
                    self.counters.receipts_lost.add(1);
                    warn!("a receipt cannot be read, so its sender is not told");
                }
            }
            ControlFlow::Continue(())
        })?;
        walk(store, Table::RECEIPTS, receipts::ALL_UNREAD, |key, value| {
            if let Some((inbox, ..)) = receipts::read_unread(key, value).filter(|_| !inbox_types::fault!(ForgetUnread))
            {
                self.receipts.books.lock().add_unread(&inbox);
            }
            ControlFlow::Continue(())
        })?;
        deeds.iter().for_each(|deed| self.receipts.books.lock().resume(deed));
        self.tell(deeds);
        Ok(())
    }

    /// What has waited for longer than mail may to be read is forgotten, a little in each second.
    pub fn fade_unread(&self, store: &dyn Store) {
        let mut fading = self.receipts.fading.lock();
        if fading.pause > 0 {
            fading.pause -= 1;
            return;
        }
        let page = store.scan(
            Table::RECEIPTS,
            receipts::ALL_UNREAD,
            fading.after.as_ref(),
            limit(FADING_KEYS),
        );
        let Ok(page) = page else { return };
        let age = self.age(self.now());
        for (key, value) in &page.entries {
            let read = receipts::read_unread(key, value);
            let is_over = |unread: &Unread| age.since(Age(unread.since)) >= self.limits.time_to_live;
            if let Some((inbox, ..)) = read.filter(|(.., unread)| is_over(unread)) {
                self.keep(Table::RECEIPTS, key.clone(), None, None);
                self.receipts.books.lock().take_unread(&inbox);
            }
        }
        fading.after = page.entries.last().map(|(key, _)| key.clone());
        if !page.more {
            *fading = Fading {
                after: None,
                pause: FADING_PAUSE,
            };
        }
    }

    /// Nothing will be durable any more.
    pub(super) fn refuse_marks(&self) {
        let marks = mem::take(&mut *self.receipts.marks.lock());
        let origins = marks.into_iter().map(|marking| Some(marking.origin));
        self.refuse(origins, &self.counters.refused_store_failed, Refusal::StoreFailed);
    }
}

fn is_marked(marks: &ReadMarks, unread: &Unread) -> bool {
    let is_from = marks.from.as_ref().is_none_or(|from| from.as_str() == &*unread.from);
    let is_one = |ids: &Vec<Box<str>>| unread.id.as_ref().is_some_and(|id| ids.contains(id));
    is_from && marks.ids.as_ref().is_none_or(is_one)
}

fn limit(messages: usize) -> PageLimit {
    PageLimit {
        messages,
        bytes: PAGE_BYTES_MAX,
    }
}
