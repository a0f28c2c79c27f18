//! What waits of ordinary topics.

use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use inbox_types::{Outcome, Port, Qos, Ticket};
use pubsub::{OrdinaryDelivery, Publisher, Sink};
use tokio::sync::Notify;

use super::{Outbox, RETAINED_BYTES_MAX, RETAINED_MESSAGES_MAX, Waiting, take};
use crate::keeping::Waits;
use crate::session::subscriptions::{outlives_connection, sent_with};

impl Outbox {
    /// The next ordinary messages, as [`Outbox::take_mail`] gives mail, up to the first that `may_be_sent` says no of; and how many had to be dropped since
    /// the last call. Whoever says no sees to it that [`Outbox::try_ordinary`] or [`Waits::is_kept`] is called when that may have changed.
    pub fn take_ordinary(
        &self,
        most: usize,
        bytes: usize,
        may_be_sent: impl Fn(&OrdinaryDelivery) -> bool,
        into: &mut Vec<OrdinaryDelivery>,
    ) -> u64 {
        let mut state = self.state();
        let is_early = |delivery: &OrdinaryDelivery| !may_be_sent(delivery);
        let early = (self.journal()).and_then(|_| state.ordinary.iter().take(most).position(is_early));
        state.ordinary_is_early = early == Some(0);
        take(
            &mut state.ordinary,
            early.unwrap_or(most),
            bytes,
            |delivery| delivery.message.size(),
            into,
        );
        self.left(&mut state, into);
        std::mem::take(&mut state.overflowed)
    }

    /// What could not be sent yet may be now.
    pub(crate) fn try_ordinary(&self) {
        if let Some(state) = &mut *self.state.lock() {
            state.ordinary_is_early = false;
        }
    }

    /// The ordinary messages that wait for one subscription, which has ended.
    pub(crate) fn take_ordinary_of(&self, subscription: u32) -> Vec<OrdinaryDelivery> {
        let mut state = self.state();
        let (theirs, others): (Vec<_>, VecDeque<_>) = std::mem::take(&mut state.ordinary).into_iter().fold(
            (Vec::new(), VecDeque::new()),
            |(mut theirs, mut others), delivery| {
                match delivery.subscription == subscription {
                    true => theirs.push(delivery),
                    false => others.push_back(delivery),
                }
                (theirs, others)
            },
        );
        state.ordinary = others;
        self.left(&mut state, &theirs);
        theirs
    }

    /// All ordinary messages, of a session that has ended.
    pub(crate) fn take_all_ordinary(&self) -> VecDeque<OrdinaryDelivery> {
        let mut state = self.state();
        (state.retained, state.retained_bytes) = (0, 0);
        state.feed();
        let all = std::mem::take(&mut state.ordinary);
        self.ordinary_waits(&state);
        all
    }

    /// These were taken out.
    fn left(&self, state: &mut Waiting, taken: &[OrdinaryDelivery]) {
        for delivery in taken {
            let size = delivery.message.size();
            match delivery.retained {
                true => {
                    state.retained -= 1;
                    state.retained_bytes -= size;
                }
                false => state.ordinary_bytes -= size,
            }
        }
        state.feed();
        self.ordinary_waits(state);
    }

    fn ordinary_waits(&self, state: &Waiting) {
        self.ordinary_waiting.store(state.ordinary.len(), Ordering::Relaxed);
    }

    /// Ordinary messages that wait: how many, and their bytes.
    pub(crate) fn ordinary_waiting(&self) -> (usize, usize) {
        let state = self.state.lock();
        state.as_ref().map_or((0, 0), |state| {
            (state.ordinary.len(), state.ordinary_bytes + state.retained_bytes)
        })
    }

    /// What the store has for this session, which begins with it. It was in here before, so there is room for it.
    pub(crate) fn restore(&self, queued: Vec<OrdinaryDelivery>) {
        if queued.is_empty() {
            return;
        }
        let mut state = self.state();
        for delivery in queued {
            state.push(delivery);
        }
        self.ordinary_waits(&state);
    }

    fn take_in(&self, state: &mut Waiting, delivery: OrdinaryDelivery) {
        // Whoever sends retained messages waits for room.
        match delivery.retained || self.has_room_for(state, delivery.message.size()) {
            true => state.push(delivery),
            false => state.overflowed += 1,
        }
    }

    /// Whether there is room for a live message of this size. One is always taken, whatever its size.
    fn has_room_for(&self, state: &Waiting, size: usize) -> bool {
        let limits = &self.shared.mqtt;
        let live = state.ordinary.len() - state.retained;
        live < limits.queue_messages_max && (live == 0 || state.ordinary_bytes + size <= limits.queue_bytes_max)
    }
}

impl Waiting {
    fn push(&mut self, delivery: OrdinaryDelivery) {
        match delivery.retained {
            true => {
                self.retained += 1;
                self.retained_bytes += delivery.message.size();
            }
            false => self.ordinary_bytes += delivery.message.size(),
        }
        self.ordinary.push_back(delivery);
    }

    fn has_room_for_retained(&self) -> bool {
        self.retained < RETAINED_MESSAGES_MAX && self.retained_bytes < RETAINED_BYTES_MAX
    }

    /// Tells those who have more retained messages that there is room, if there is.
    fn feed(&mut self) {
        if !self.hungry.is_empty() && self.has_room_for_retained() {
            self.hungry.drain(..).for_each(|wake| wake.notify_one());
        }
    }
}

impl Waits for Outbox {
    fn is_kept(&self, taken: &[NonZeroU64]) {
        if taken.is_empty() && !self.online() {
            return;
        }
        self.wake(|state| {
            state.ordinary_is_early = false;
            state.taken.extend(taken);
        });
    }
}

impl Sink for Outbox {
    fn deliver(&self, batch: &mut Vec<OrdinaryDelivery>) {
        if !self.online() {
            batch.retain(outlives_connection);
        }
        if batch.is_empty() {
            return;
        }
        self.wake(|state| {
            for mut delivery in batch.drain(..) {
                if delivery.retained && sent_with(&delivery) == Qos::ExactlyOnce {
                    // It is sent with the packet identifier of its place.
                    delivery.kept = self
                        .journal()
                        .and_then(|journal| journal.hold(&delivery, None, self.online()));
                }
                self.take_in(state, delivery);
            }
            self.ordinary_waits(state);
        });
    }

    fn deliver_one(&self, delivery: OrdinaryDelivery) {
        if self.online() || outlives_connection(&delivery) {
            self.wake(|state| {
                self.take_in(state, delivery);
                self.ordinary_waits(state);
            });
        }
    }

    fn keeps(&self) -> bool {
        self.journal().is_some()
    }

    fn keep(&self, mut delivery: OrdinaryDelivery, publisher: Option<Arc<Publisher>>) {
        let Some(journal) = self.journal().filter(|_| outlives_connection(&delivery)) else {
            return self.deliver_one(delivery);
        };
        if let Some(why) = journal.refuses() {
            // As mail is refused: nothing new is kept now. Where nobody waits for the answer, it is dropped and counted.
            return match publisher {
                Some(publisher) => publisher.settle(Ticket(0), Outcome::Refused(why)),
                None => self.wake(|state| state.overflowed += 1),
            };
        }
        let online = self.online();
        if !online && inbox_types::fault!(LoseWhileAway) {
            return;
        }
        self.wake(|state| {
            if !self.has_room_for(state, delivery.message.size()) {
                state.overflowed += 1;
                return;
            }
            // Under the lock, so that places are in the order in which messages wait.
            delivery.kept = journal.hold(&delivery, publisher.clone(), online);
            state.push(delivery);
            self.ordinary_waits(state);
        });
        // Without the lock: who is let go of last may be told here, and it may be this session's own client.
        drop(publisher);
    }

    fn has_room(&self, wake: &Arc<Notify>) -> bool {
        let mut state = self.state();
        let has_room = state.has_room_for_retained();
        if !has_room && !state.hungry.iter().any(|known| Arc::ptr_eq(known, wake)) {
            state.hungry.push(Arc::clone(wake));
        }
        has_room
    }

    fn lost(&self, messages: u64) {
        self.wake(|state| state.overflowed += messages);
    }

    fn waiting(&self) -> Option<usize> {
        self.online().then(|| self.ordinary_waiting.load(Ordering::Relaxed))
    }
}
