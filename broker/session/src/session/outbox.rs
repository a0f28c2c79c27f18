//! What waits for a session: mail, ordinary messages, outcomes of its own publishes, orders.
//!
//! Others put things in and wake the session's task; only the task takes them out. It belongs to the session, not to the
//! connection, so what comes while the client is away is there when it resumes. Everything in it is bounded: mail by the window of
//! the attachment and by [`inbox_types::UNTAKEN_BYTES_MAX`], outcomes by the publishes that the client may have open, ordinary messages, and mail with QoS 0 (which has no
//! window), by `queue_messages_max` and `queue_bytes_max`, retained messages by [`RETAINED_MESSAGES_MAX`], [`RETAINED_BYTES_MAX`] and a page for each subscription that is sent some.

mod ordinary;
mod waiting;

use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::task::{Context, Poll};

use inbox_types::{AttachmentId, Delivery, Outcome, Port, Qos, Room, Seq, Ticket};
use parking_lot::{MappedMutexGuard, Mutex, MutexGuard};
use tokio::sync::oneshot;

use super::Shared;
use super::order::{Asked, Holdings, Order, WantedFilters};
use crate::keeping::{Journal, Waits};
use waiting::Waiting;

/// Retained messages that wait, from which on the router keeps the others until some of them are taken.
const RETAINED_MESSAGES_MAX: usize = 1_024;
/// The same, in bytes.
const RETAINED_BYTES_MAX: usize = 1024 * 1024;

/// See the module's documentation.
#[derive(Debug)]
pub struct Outbox {
    /// Made when something waits: for most sessions without a connection nothing does.
    state: Mutex<Option<Box<Waiting>>>,
    shared: Arc<Shared>,
    online: AtomicBool,
    /// The inbox was told that there is no room, and has not been told otherwise. Changes under the lock of `state`.
    is_full: AtomicBool,
    /// Ordinary messages that wait here, for who must not lock it to know.
    ordinary_waiting: AtomicUsize,
    /// Operators wait in `state` to be told what the session has. Changes under that lock.
    is_asked: AtomicBool,
    /// Where its session is kept, from when it is on.
    journal: OnceLock<Arc<Journal>>,
}

impl Outbox {
    /// Its mail counts against the budget of `shared`; ordinary messages do so by themselves.
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        Outbox {
            state: Mutex::new(None),
            shared: shared.clone(),
            online: AtomicBool::new(false),
            is_full: AtomicBool::new(false),
            ordinary_waiting: AtomicUsize::new(0),
            is_asked: AtomicBool::new(false),
            journal: OnceLock::new(),
        }
    }

    /// What its session shares with others.
    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Whether a connection serves this session.
    pub fn set_online(&self, online: bool) {
        self.online.store(online, Ordering::Release);
        if !online {
            if let Some(journal) = self.journal.get() {
                journal.hold_no_more();
            }
            let mut state = self.state.lock();
            let Some(state) = &mut *state else { return };
            state.mail = VecDeque::new();
            state.mail_bytes = 0;
            state.charge.settle(0);
            state.mail_qos0 = 0;
            state.unwritten = 0;
            state.ordinary_is_early = false;
            state.waker = None;
            // They look again, elsewhere.
            state.asked = Vec::new();
            state.ordinary.shrink_to_fit();
        }
    }

    /// Its session is put away. To be called as [`Outbox::forget_order`] is.
    pub(crate) fn rest(&self) {
        let mut state = self.state.lock();
        if let Some(waiting) = &mut *state {
            waiting.order = None;
            if waiting.is_nothing() {
                *state = None;
            }
        }
    }

    /// Where its session is kept, if it is.
    pub(crate) fn journal(&self) -> Option<&Arc<Journal>> {
        self.journal.get()
    }

    /// Itself, as a journal knows it.
    pub(crate) fn waits(self: &Arc<Self>) -> Weak<dyn Waits> {
        let session: Weak<Outbox> = Arc::downgrade(self);
        session
    }

    /// Its session is kept from now on, there.
    pub(crate) fn keep_in(&self, journal: Arc<Journal>) {
        // It does not move.
        let _already = self.journal.set(journal);
    }

    /// A new connection serves this session: what was ordered of the one before it is not for it. To be called under the lock under
    /// which orders are given, or one for the new connection might be lost.
    pub fn forget_order(&self) {
        self.state().order = None;
    }

    /// The inbox starts over: what waits of it will come again.
    pub fn forget_mail(&self) {
        let mut state = self.state();
        state.mail.clear();
        state.mail_bytes = 0;
        state.mail_qos0 = 0;
        // What comes next is told anew.
        self.is_full.store(false, Ordering::Relaxed);
    }

    /// Whether the inbox waits to be told that there is room.
    pub(crate) fn is_full(&self) -> bool {
        self.is_full.load(Ordering::Relaxed)
    }

    /// Whether there is room again, with `unwritten` bytes that the socket has not taken. The inbox is to be told, then.
    pub(crate) fn has_room_again(&self, unwritten: usize) -> bool {
        let mut state = self.state();
        state.unwritten = unwritten;
        // At half, or the inbox would be asked for each message.
        let has_room = state.mail_bytes + unwritten <= self.shared.mqtt.untaken_bytes_max / 2;
        if has_room {
            self.is_full.store(false, Ordering::Relaxed);
        }
        has_room
    }

    /// Has the connection do this.
    pub fn order(&self, order: Order) {
        // Whoever is to end need not look at anything, and a session that is to end with its connection ends whoever wants the connection to.
        let stays = |earlier: &Order| order == Order::Review || *earlier == Order::Forget;
        self.wake(|state| state.order = state.order.filter(stays).or(Some(order)));
    }

    /// Ready when anything waits that the session can use: mail and ordinary messages only when it can send such.
    pub fn poll_any(&self, mail: bool, ordinary: bool, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state();
        let ordinary = ordinary && !state.ordinary.is_empty() && !state.ordinary_is_early;
        let messages = ordinary || (mail && !state.mail.is_empty());
        if messages
            || !state.outcomes.is_empty()
            || !state.taken.is_empty()
            || state.order.is_some()
            || !state.asked.is_empty()
        {
            return Poll::Ready(());
        }
        match &state.waker {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            _ => state.waker = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// Has the connection tell an operator what the session has. Where there is none, or no more, nothing is received.
    pub(crate) fn ask(&self, wanted: WantedFilters) -> oneshot::Receiver<Holdings> {
        let (tell, told) = oneshot::channel();
        self.wake(|state| {
            if self.online() {
                // Of some the patience has ended.
                state.asked.retain(|earlier| !earlier.tell.is_closed());
                state.asked.push(Asked { wanted, tell });
                self.is_asked.store(true, Ordering::Relaxed);
            }
        });
        told
    }

    /// Operators who are to be told.
    pub(super) fn take_asked(&self) -> Vec<Asked> {
        if !self.is_asked.load(Ordering::Relaxed) {
            return Vec::new();
        }
        let mut state = self.state();
        self.is_asked.store(false, Ordering::Relaxed);
        std::mem::take(&mut state.asked)
    }

    /// What the connection must do; to end it must as long as this is asked.
    pub fn take_order(&self) -> Option<Order> {
        let mut state = self.state();
        state.order.take_if(|order| *order == Order::Review).or(state.order)
    }

    /// The outcomes that came; `into` gives its room in exchange. Gives places of messages that the client has, of which the journal has that now.
    pub fn take_outcomes(&self, into: &mut Vec<(Ticket, Outcome)>) -> Vec<NonZeroU64> {
        into.clear();
        let mut state = self.state();
        std::mem::swap(&mut state.outcomes, into);
        std::mem::take(&mut state.taken)
    }

    /// The next pieces of mail, at most `most` and not many more than `bytes`, and how many with QoS 0 had to be dropped since the
    /// last call. `unwritten` bytes are encoded already.
    pub fn take_mail(
        &self,
        most: usize,
        bytes: usize,
        unwritten: usize,
        into: &mut Vec<(AttachmentId, Delivery)>,
    ) -> u64 {
        let mut state = self.state();
        let taken = take(
            &mut state.mail,
            most,
            bytes,
            |(_, delivery)| delivery.message.size(),
            into,
        );
        state.mail_bytes -= taken;
        let waiting = state.mail_bytes;
        state.charge.cover(waiting);
        state.unwritten = unwritten + taken;
        if state.mail_qos0 > 0 {
            state.mail_qos0 -= into.iter().filter(|(_, delivery)| is_qos0(delivery)).count();
        }
        std::mem::take(&mut state.mail_overflowed)
    }

    /// The next piece of mail for `attachment`. What is left of earlier attachments is dropped: the inbox started over.
    pub fn next_mail(&self, attachment: AttachmentId) -> Option<(Seq, Qos)> {
        let mut state = self.state();
        while let Some((theirs, delivery)) = state.mail.front() {
            if *theirs == attachment {
                return Some((delivery.seq, delivery.message.qos));
            }
            let (qos0, bytes) = (is_qos0(delivery), delivery.message.size());
            state.mail.pop_front();
            state.mail_bytes -= bytes;
            state.mail_qos0 -= usize::from(qos0);
        }
        None
    }

    /// Whether the next ordinary message is sent with QoS 0.
    pub fn next_ordinary_is_qos0(&self) -> bool {
        let state = self.state();
        state
            .ordinary
            .front()
            .is_some_and(|next| !super::subscriptions::outlives_connection(next))
    }

    /// The client has this piece of mail: it need not be sent.
    pub fn withdraw(&self, seq: Seq) {
        let mut state = self.state();
        let state = &mut *state;
        // Not one with QoS 0, which nobody acknowledges.
        state.mail.retain(|(_, delivery)| {
            let stays = delivery.seq != seq;
            state.mail_bytes -= if stays { 0 } else { delivery.message.size() };
            stays
        });
    }

    /// Gives back memory that an idle connection does not need.
    pub fn shrink(&self) {
        let mut state = self.state();
        let waiting = state.mail_bytes;
        state.charge.settle(waiting);
        state.mail.shrink_to(8);
        state.ordinary.shrink_to(8);
        state.outcomes.shrink_to(8);
    }

    /// Mail that the session has not taken yet: messages, and bytes.
    pub fn mail_waiting(&self) -> (usize, usize) {
        let state = self.state();
        (state.mail.len(), state.mail_bytes)
    }

    fn state(&self) -> MappedMutexGuard<'_, Waiting> {
        let make = || Box::new(Waiting::new(&self.shared.node.budgets.all));
        MutexGuard::map(self.state.lock(), |state| &mut **state.get_or_insert_with(make))
    }

    /// Whether a connection serves this session.
    pub(crate) fn online(&self) -> bool {
        self.online.load(Ordering::Acquire)
    }

    fn wake<R>(&self, change: impl FnOnce(&mut Waiting) -> R) -> R {
        let mut state = self.state();
        let result = change(&mut state);
        // One wake-up per batch: the task registers again when it has found nothing more.
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        result
    }
}

impl Port for Outbox {
    fn deliver(&self, attachment: AttachmentId, delivery: Delivery) -> Room {
        self.wake(|state| {
            let qos0 = is_qos0(&delivery);
            if qos0 && state.mail_qos0 >= self.shared.mqtt.queue_messages_max && !inbox_types::fault!(UnboundedQos0) {
                state.mail_overflowed += 1;
            } else {
                state.mail_qos0 += usize::from(qos0);
                state.mail_bytes += delivery.message.size();
                state.charge.cover(state.mail_bytes);
                state.mail.push_back((attachment, delivery));
            }
            if state.mail_bytes + state.unwritten < self.shared.mqtt.untaken_bytes_max {
                return Room::Left;
            }
            self.is_full.store(true, Ordering::Relaxed);
            Room::Full
        })
    }

    fn settle(&self, ticket: Ticket, outcome: Outcome) {
        self.wake(|state| state.outcomes.push((ticket, outcome)));
    }

    fn settle_all(&self, settled: &mut Vec<(Ticket, Outcome)>) {
        self.wake(|state| state.outcomes.append(settled));
    }
}

fn is_qos0(delivery: &Delivery) -> bool {
    delivery.message.qos == Qos::AtMostOnce
}

/// Moves the first ones to `into`, which is empty. Gives the sum of their sizes.
fn take<T>(from: &mut VecDeque<T>, most: usize, bytes: usize, size: impl Fn(&T) -> usize, into: &mut Vec<T>) -> usize {
    let mut taken = 0;
    for _ in 0..most {
        let Some(next) = from.pop_front() else { break };
        taken += size(&next);
        into.push(next);
        if taken >= bytes {
            break;
        }
    }
    taken
}
