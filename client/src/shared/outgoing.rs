//! From `send` to what became of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{oneshot, watch};
use tracing::debug;

use super::{Command, Shared, State, now_us};
use crate::arrivals::{PacketRef, Verdict};
use crate::connection::Reply;
use crate::delivery::Pending;
use crate::error::{SendError, StoreError};
use crate::event::Event;
use crate::message::Message;
use crate::notice::{Receipt, ReceiptState};
use crate::options::can_have_an_inbox;
use crate::outbox::{Destination, NoRoom, Order, Record, Stage, hash_of};
use crate::sent::{Over, Progress, Sent, Stored};
use crate::store::Change;
use crate::undelivered::{NotToldWhy, Refusal, Refused, Undelivered};

const ID_BYTES_MAX: usize = 256;

impl Shared {
    /// Takes a message. It is durable when what is returned says so.
    pub(crate) fn submit(self: &Arc<Self>, to: Destination, message: Message) -> Result<Pending, SendError> {
        let payload = message.payload.clone();
        let record = Arc::new(self.record(to, message)?);
        let mut state = self.lock();
        match state.over {
            Some(Over::Stopped(reason)) => return Err(reason.into()),
            Some(Over::Closed) => return Err(SendError::Closed),
            None if state.is_closing => return Err(SendError::Closed),
            None => {}
        }
        if let Some(known) = state.known(&record, &payload) {
            let (saved, told) = oneshot::channel();
            let _kept = saved.send(Ok(()));
            return Ok(Pending {
                saved: told,
                sent: known,
            });
        }
        let reserved = state.outbox.reserve(record.clone(), payload.clone());
        let order = reserved.map_err(|why| self.no_room(&state, why, payload.len()))?;
        let progress = watch::Sender::new(progress_of(&record));
        let sent = sent(&record, &progress);
        state.progress.insert(order, progress);
        let waiting = state.outbox.waiting();
        drop(state);
        self.count(waiting);
        let (saved, told) = oneshot::channel();
        let shared = self.clone();
        let change = Change::Put { order, record, payload };
        self.store.commit(vec![change], move |result| {
            shared.saved(order, &result);
            // The application may have stopped waiting.
            let _nobody = saved.send(result.map_err(SendError::from));
        });
        Ok(Pending { saved: told, sent })
    }

    fn record(&self, to: Destination, message: Message) -> Result<Record, SendError> {
        if let Destination::Inbox(name) | Destination::About { to: name, .. } = &to
            && !can_have_an_inbox(name, &self.options.inbox_prefix)
        {
            return Err(SendError::Recipient { to: name.clone() });
        }
        if !message.has_texts_of_mqtt() {
            return Err(SendError::Text);
        }
        let id = message.id.unwrap_or_else(|| format!("{:032x}", rand::random::<u128>()));
        if !(1..=ID_BYTES_MAX).contains(&id.len()) {
            return Err(SendError::Id);
        }
        let now_us = now_us();
        let end = |after: Duration| now_us.saturating_add(u64::try_from(after.as_micros()).unwrap_or(u64::MAX));
        Ok(Record {
            to,
            id,
            content_type: message.content_type,
            collapse: message.collapse,
            receipts: message.receipts,
            properties: message.properties,
            sent_at_us: now_us,
            expires_at_us: message.expires_after.map(end),
            stage: Stage::Waiting,
            payload_hash: Some(hash_of(&message.payload)),
        })
    }

    fn no_room(&self, state: &State, why: NoRoom, bytes: usize) -> SendError {
        match why {
            NoRoom::SameId => SendError::SameId,
            NoRoom::TooLarge => SendError::TooLarge {
                bytes,
                bytes_max: self.options.limits.outbox_bytes_max,
            },
            NoRoom::Full => SendError::Full {
                messages: state.outbox.waiting(),
                bytes: state.outbox.bytes(),
            },
        }
    }

    fn saved(&self, order: Order, result: &Result<(), StoreError>) {
        let mut state = self.lock();
        match result {
            Ok(()) => state.outbox.saved(order),
            Err(_) => {
                state.outbox.remove(order);
                state.progress.remove(&order);
            }
        }
        let waiting = state.outbox.waiting();
        drop(state);
        self.count(waiting);
        self.wake.notify_one();
    }

    /// The broker answered a publish.
    pub(crate) fn answered(&self, order: Order, reply: Reply, is_inboxd: bool) {
        let refused = |reason| {
            let told = reply.told.clone();
            self.failed(order, Refused { reason, told }.into());
        };
        match reply.code {
            0x00 => self.accepted(order, reply),
            0x10 if is_inboxd => self.accepted(order, reply),
            0x10 if self.is_request(order) => self.failed(
                order,
                Undelivered::NotTold {
                    why: NotToldWhy::Broker,
                },
            ),
            0x10 => refused(Refusal::NobodyThere),
            // It passes: no room, or the broker's store is troubled. The last one cannot happen, and would pass.
            0x97 | 0x83 | 0x91 => self.hold(order, reply),
            0x87 => refused(Refusal::NotAuthorized),
            0x90 => refused(Refusal::NoInbox),
            0x99 => refused(Refusal::BadRequest),
            code => refused(Refusal::Other { code }),
        }
    }

    fn is_request(&self, order: Order) -> bool {
        let state = self.lock();
        state.outbox.record(order).is_some_and(|record| record.to.is_request())
    }

    fn accepted(&self, order: Order, reply: Reply) {
        let is_delivered = reply.state.as_deref() == Some("delivered");
        let is_told = reply.state.is_some();
        let stage = match is_delivered {
            true => Stage::Delivered { seq: reply.seq },
            false => Stage::Stored { seq: reply.seq },
        };
        let mut state = self.lock();
        let Some(record) = state.outbox.record(order) else {
            return;
        };
        let awaited = record.receipts.read || record.receipts.delivered && !is_delivered;
        let keep = is_told && awaited && !record.to.is_request();
        let Some((record, forgotten)) = state.outbox.accepted(order, stage, keep) else {
            return;
        };
        let mut changes = vec![match keep {
            true => Change::Update { order, record },
            false => Change::Remove { order },
        }];
        changes.extend(forgotten.map(|oldest| state.forget(oldest)));
        state.progressed(order, !keep, |progress| {
            progress.stored = Some(Stored { seq: reply.seq });
            progress.delivered |= is_delivered;
            progress.untold = (!is_told).then_some(NotToldWhy::Broker);
            progress.answer = reply.state;
        });
        let waiting = state.outbox.waiting();
        drop(state);
        // If this is not kept, the message is sent again after a restart, and the broker knows its id.
        self.store.note(changes);
        self.count(waiting);
    }

    fn hold(&self, order: Order, reply: Reply) {
        let now = Instant::now();
        let mut state = self.lock();
        let Some(until) = state.outbox.refused_for_now(order, now, rand::random()) else {
            return;
        };
        let to = state.outbox.record(order).map(|record| record.to.shown().to_owned());
        drop(state);
        self.tell(Event::Held {
            to: to.unwrap_or_default(),
            code: reply.code,
            told: reply.told,
            again_in: until.saturating_duration_since(now),
        });
    }

    /// A message ended for good. It is told when it cannot be sent again any more, not even after a crash.
    pub(crate) fn failed(&self, order: Order, why: Undelivered) {
        let mut state = self.lock();
        state.outbox.remove(order);
        let waiting = state.outbox.waiting();
        let progress = state.progress.remove(&order);
        drop(state);
        self.store
            .commit_some_time(vec![Change::Remove { order }], move |_result| {
                if let Some(progress) = progress {
                    progress.send_modify(|progress| progress.failed = Some(why));
                }
            });
        self.count(waiting);
    }

    /// Ends what is over, lets go what was held back long enough, and says when to look again.
    pub(crate) fn tick(&self, now: Instant) -> Option<Instant> {
        let now_us = now_us();
        let mut state = self.lock();
        let released = state.outbox.release(now);
        let expired = state.outbox.expired(now_us);
        let end = state.outbox.next_end(now_us);
        drop(state);
        for order in expired {
            self.failed(order, Undelivered::Expired);
        }
        let end = end.map(|end| now + Duration::from_micros(end.saturating_sub(now_us)));
        released.into_iter().chain(end).min()
    }

    /// Takes a message back that was not published. Gives whether it was there, and was not.
    pub(crate) fn take_back(&self, to: &str, id: &str) -> bool {
        let mut state = self.lock();
        let order = state.outbox.find(&Destination::Inbox(to.to_owned()), id);
        let Some(order) = order.filter(|order| state.outbox.take_back(*order)) else {
            return false;
        };
        drop(state);
        self.failed(order, Undelivered::Recalled);
        true
    }

    /// There is room at a topic.
    pub(crate) fn room(&self, topic: &str) {
        let name = topic.strip_prefix(&self.options.inbox_prefix).unwrap_or(topic);
        self.lock().outbox.room(&Destination::Inbox(name.to_owned()));
        self.wake.notify_one();
    }

    /// Receipts came, in this packet. It is acknowledged when what they say is durable.
    pub(crate) fn receipts(self: &Arc<Self>, receipts: Vec<Receipt>, packet: PacketRef) {
        let state = self.lock();
        let known: Vec<(Order, Receipt)> = receipts
            .into_iter()
            .filter_map(|receipt| Some((self.whose(&state, &receipt)?, receipt)))
            .collect();
        let changes: Vec<Change> = known
            .iter()
            .filter_map(|(order, receipt)| change(*order, state.outbox.record(*order)?, receipt))
            .collect();
        drop(state);
        let shared = self.clone();
        let done = move |result: Result<(), StoreError>| {
            if let Err(why) = result {
                // Nothing is acknowledged, so they come again.
                return shared.tell(Event::StoreTrouble { why });
            }
            for (order, receipt) in known {
                shared.told(order, &receipt);
            }
            let verdict = Verdict::Acknowledged;
            shared.command(Command::Answer { packet, verdict });
        };
        match changes.is_empty() {
            true => done(Ok(())),
            false => self.store.commit(changes, done),
        }
    }

    fn whose(&self, state: &State, receipt: &Receipt) -> Option<Order> {
        let name = receipt.topic.strip_prefix(&self.options.inbox_prefix);
        let names = name.into_iter().chain([receipt.topic.as_str()]);
        let mut orders = names.filter_map(|name| {
            let to = Destination::Inbox(name.to_owned());
            state.outbox.find(&to, &receipt.id)
        });
        let found = orders.next();
        if found.is_none() {
            debug!(id = receipt.id, "a receipt of a message that is not awaited");
        }
        found
    }

    fn told(&self, order: Order, receipt: &Receipt) {
        let mut state = self.lock();
        let Some(record) = state.outbox.record(order).cloned() else {
            return;
        };
        let seq = receipt.seq.or(record.seq());
        let keep = keeps(&record, receipt.state);
        // Who told of it has it: also while its PUBACK is on the way.
        let accepted = state.outbox.accepted(order, Stage::Delivered { seq }, keep);
        let forgotten = accepted.and_then(|(_, forgotten)| forgotten);
        let forget = forgotten.map(|oldest| state.forget(oldest));
        state.progressed(order, !keep, |progress| {
            let stored = Some(Stored { seq });
            match receipt.state {
                ReceiptState::Delivered => (progress.stored, progress.delivered) = (stored, true),
                ReceiptState::Read => (progress.stored, progress.delivered, progress.read) = (stored, true, true),
                ReceiptState::Expired => progress.failed = Some(Undelivered::Expired),
                ReceiptState::Dropped(why) => progress.failed = Some(Undelivered::Dropped { why }),
                ReceiptState::Rejected(code) => progress.failed = Some(Undelivered::Rejected { code }),
            }
        });
        let waiting = state.outbox.waiting();
        drop(state);
        self.store.note(forget.into_iter().collect());
        self.count(waiting);
        self.wake.notify_one();
    }
}

impl State {
    /// The same message, if it was sent before and is not through.
    fn known(&self, record: &Record, payload: &Bytes) -> Option<Sent> {
        let order = self.outbox.find(&record.to, &record.id)?;
        let progress = self.progress.get(&order)?;
        let is_same = self.outbox.is_the_same(order, payload);
        is_same.then(|| sent(record, progress))
    }

    /// Too many messages wait for receipts.
    fn forget(&mut self, oldest: Order) -> Change {
        self.progressed(oldest, true, |progress| progress.untold = Some(NotToldWhy::Forgotten));
        Change::Remove { order: oldest }
    }

    /// Notes how far a message is; with `is_last` nothing more comes.
    fn progressed(&mut self, order: Order, is_last: bool, note: impl FnOnce(&mut Progress)) {
        if let Some(progress) = self.progress.get(&order) {
            progress.send_modify(note);
        }
        if is_last {
            self.progress.remove(&order);
        }
    }
}

/// Whether more may be told after this.
fn keeps(record: &Record, state: ReceiptState) -> bool {
    state == ReceiptState::Delivered && record.receipts.read
}

/// What a receipt changes.
fn change(order: Order, record: &Arc<Record>, receipt: &Receipt) -> Option<Change> {
    if !keeps(record, receipt.state) {
        return Some(Change::Remove { order });
    }
    let stage = Stage::Delivered {
        seq: receipt.seq.or(record.seq()),
    };
    if record.stage == stage {
        return None;
    }
    let record = Arc::new(Record {
        stage,
        ..Record::clone(record)
    });
    Some(Change::Update { order, record })
}

/// What is known of a message by what is kept of it.
pub(super) fn progress_of(record: &Record) -> Progress {
    let mut progress = Progress::asking(record.receipts);
    match record.stage {
        Stage::Waiting => {}
        Stage::Stored { seq } => progress.stored = Some(Stored { seq }),
        Stage::Delivered { seq } => (progress.stored, progress.delivered) = (Some(Stored { seq }), true),
    }
    progress
}

/// A handle of a message.
pub(super) fn sent(record: &Record, progress: &watch::Sender<Progress>) -> Sent {
    Sent {
        to: record.to.shown().to_owned(),
        id: record.id.clone(),
        progress: progress.subscribe(),
    }
}

/// A request, whose answer is awaited.
pub(crate) fn request(payload: Bytes) -> Message {
    let request = Message::bytes(payload).content_type("application/json");
    request.receipts(crate::message::Receipts::NONE)
}
