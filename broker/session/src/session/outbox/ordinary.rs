//! What waits of ordinary topics.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;

use pubsub::{OrdinaryDelivery, Sink};

use super::{Outbox, RETAINED_BEFORE_MAX, Waiting, take};
use crate::session::subscriptions::outlives_connection;

impl Outbox {
    /// The next ordinary messages, as [`Outbox::take_mail`] gives mail, and how many had to be dropped since the last call.
    pub fn take_ordinary(&self, most: usize, bytes: usize, into: &mut Vec<OrdinaryDelivery>) -> u64 {
        let mut state = self.state.lock();
        take(
            &mut state.ordinary,
            most,
            bytes,
            |delivery| delivery.message.size(),
            into,
        );
        self.left(&mut state, into);
        std::mem::take(&mut state.overflowed)
    }

    /// The ordinary messages that wait for one subscription, which has ended.
    pub(crate) fn take_ordinary_of(&self, subscription: u32) -> Vec<OrdinaryDelivery> {
        let mut state = self.state.lock();
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
        let mut state = self.state.lock();
        state.retained = 0;
        let all = std::mem::take(&mut state.ordinary);
        self.ordinary_waits(&state);
        all
    }

    /// These were taken out.
    fn left(&self, state: &mut Waiting, taken: &[OrdinaryDelivery]) {
        for delivery in taken {
            match delivery.retained {
                true => state.retained -= 1,
                false => state.ordinary_bytes -= delivery.message.size(),
            }
        }
        self.ordinary_waits(state);
    }

    fn ordinary_waits(&self, state: &Waiting) {
        self.ordinary_waiting.store(state.ordinary.len(), Ordering::Relaxed);
    }
}

impl Sink for Outbox {
    fn deliver(&self, batch: &mut Vec<OrdinaryDelivery>) {
        let online = self.online();
        self.wake(|state| {
            // A subscription gets its retained messages whole: their number is limited where they are kept.
            let takes_retained = state.retained < RETAINED_BEFORE_MAX;
            for delivery in batch.drain(..) {
                if !online && !outlives_connection(&delivery) {
                    continue;
                }
                let live = state.ordinary.len() - state.retained;
                let size = delivery.message.size();
                let has_room = if delivery.retained {
                    takes_retained
                } else {
                    // One message is always taken, whatever its size.
                    live < self.queue_messages_max && (live == 0 || state.ordinary_bytes + size <= self.queue_bytes_max)
                };
                if has_room {
                    match delivery.retained {
                        true => state.retained += 1,
                        false => state.ordinary_bytes += size,
                    }
                    state.ordinary.push_back(delivery);
                } else {
                    state.overflowed += 1;
                }
            }
            self.ordinary_waits(state);
        });
    }

    fn lost(&self, messages: u64) {
        self.wake(|state| state.overflowed += messages);
    }

    fn waiting(&self) -> Option<usize> {
        self.online().then(|| self.ordinary_waiting.load(Ordering::Relaxed))
    }
}
