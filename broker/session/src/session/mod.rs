//! An MQTT session: a synchronous state machine. Packets and deliveries go in, packets come out.
//!
//! **Promise:** a PUBACK or PUBREC with success is written only for an [`inbox_types::Proof`] (a publish to an inbox), or after
//! the router took the message (an ordinary topic); and they are written in the order of the publishes (MQTT-4.6.0-2).
//!
//! It does no I/O. Its task reads bytes and gives them to [`Session::receive`], carries out [`Session::next_call`] against the
//! router, lets [`Session::drain`] encode what waits, and writes [`Session::out`]. Calls to the inboxes are synchronous and do no I/O
//! either, so it makes them itself.
//!
//! ```text
//!               CONNECT                    connection ends, expiry > 0
//!   (nothing) ───────────▶ connected ────────────────────────────────▶ kept ──▶ CONNECT, clean start 0 ──▶ connected
//!                             │                                          │
//!                             └── connection ends, expiry 0              └── expires, or CONNECT with clean start 1
//!                                 ▼                                          ▼
//!                               (nothing)                                  (nothing)
//! ```
//!
//! What is kept: subscriptions, ordinary messages that wait, and both halves of QoS 1 and 2 transfers. Mail is not the session's:
//! it stays in the inbox whatever happens to the session.

mod absent;
mod acknowledged;
mod aliases;
mod amending;
mod answers;
mod awaiting_room;
mod bounce;
mod digits;
mod ending;
mod exactly_once;
mod fitting;
mod held;
mod in_flight;
mod inbound;
mod incoming;
mod kept;
mod limits;
mod link;
mod looked_at;
mod not_granted;
mod operators;
mod order;
mod orphans;
mod outbound;
mod outbox;
mod oversized;
mod own_user;
mod packet_ids;
mod proof;
mod rate;
mod receiving;
mod request;
mod restored;
mod review;
mod said;
mod shared;
mod stopwatch;
mod subject;
mod subscribe;
mod subscriptions;
#[cfg(test)]
mod tests;
mod waiting;

use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::sync::Arc;

use access::{Identity, Pace};
use inbox_types::{ClientId, Message, Now, Outcome, Seq, Ticket};

pub(crate) use absent::Absent;
pub use answers::RouteResult;
pub use ending::Ending;
pub use limits::{MqttLimits, V311Refusals};
pub use link::Link;
pub(crate) use link::TOKEN_METHOD;
pub use operators::{Operators, OperatorsRequest, Reply, is_operators_request};
pub use order::{Holdings, Order, Seen, Subscribed, WantedFilters};
pub use outbox::Outbox;
pub use request::is_request;
pub use restored::Resumed;
pub use shared::Shared;
pub use subscribe::{RouterCall, SubscribeCall, Wanted};

use bounce::Bounces;
use held::Held;
use in_flight::Outgoing;
use incoming::Incoming;
use kept::Keeping;
use mqtt_codec::encode;
use oversized::Oversized;
use proof::Proof;
use pubsub::SessionKey;
use rate::Rate;
use stopwatch::Stopwatch;
use subscribe::InboxSubscription;
use subscriptions::Subscriptions;

/// Encoded bytes that wait for the socket, above which nothing more is encoded and nothing more is read.
const OUT_BYTES_MAX: usize = 256 * 1024;

/// See the module's documentation.
pub struct Session {
    id: ClientId,
    /// Of the present connection, or of the last one.
    identity: Identity,
    /// Until when that is proven; `None`: as long as the connection lasts.
    proof: Option<Box<Proof>>,
    key: SessionKey,
    shared: Arc<Shared>,
    outbox: Arc<Outbox>,
    inbox_topic: Option<Box<str>>,
    /// The broker made it up, and its client may not know it.
    id_is_assigned: bool,
    inbox: Option<InboxSubscription>,
    subscriptions: Subscriptions,
    incoming: Incoming,
    bouncing: Bounces,
    /// The rest of this packet is to come, and to be thrown away.
    oversized: Option<Box<Oversized>>,
    outgoing: Outgoing,
    /// `None` where the client may hold it for ever.
    held: Option<Box<Held>>,
    /// `None` where mail is sent as fast as the client takes it.
    rate: Option<Box<Rate>>,
    /// The present connection, or the last one.
    link: Link,
    /// Encoded, not written yet.
    out: Vec<u8>,
    calls: VecDeque<RouterCall>,
    /// How fast the client may publish; `None`: as fast as it can.
    pace: Option<Box<Pace>>,
    /// The client has published over the present connection.
    publishes: bool,
    /// A SUBSCRIBE is among `calls`. What the client sent after it waits: it may be about the same filters.
    is_subscribing: bool,
    keeping: Keeping,
    /// Mail that is written when `bytes_written` gets there, and begins to settle then: it was sent with QoS 0 (contract rule 5).
    settle_when_written: VecDeque<(u64, Seq)>,
    /// What the socket took, over all connections.
    bytes_written: u64,
    /// Mail that the client acknowledged, for the inbox to be told at once.
    acknowledged: Vec<Seq>,
    /// The same of ordinary messages that are kept: their places in the journal.
    done: Vec<NonZeroU64>,
    /// Mail that it does not want, and why.
    rejected: Vec<(Seq, u8)>,
    outcomes: Vec<(Ticket, Outcome)>,
    stopwatch: Stopwatch,
    /// Requests that are to be answered when they have their outcome.
    replies: Vec<(Ticket, Reply)>,
    /// Publishes of the packets that are being received, for one inbox. [`Session::receive`] leaves none behind.
    to_hand_in: Vec<(Arc<Message>, Ticket)>,
    for_inbox: Option<ClientId>,
    /// The inbox of the last publish: mostly that of the next one too.
    last_inbox: Option<ClientId>,
}

impl Session {
    /// A session that has no past.
    pub fn new(id: ClientId, key: SessionKey, shared: Arc<Shared>) -> Box<Self> {
        Absent::new(id, key, &shared).wake()
    }

    /// Whose session it is.
    pub fn id(&self) -> &ClientId {
        &self.id
    }

    /// Who its client is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// It was found out who the client is that connects now.
    pub fn identified(&mut self, identity: Identity, now: Now) {
        self.pace = self.shared.quotas.pace(&identity);
        self.proven(identity, now);
    }

    /// The name by which the router knows it.
    pub fn key(&self) -> SessionKey {
        self.key
    }

    /// What waits for it.
    pub fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }

    /// The terms of the present connection, or of the last one.
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// Whether the router knows this session.
    pub fn uses_router(&self) -> bool {
        !self.subscriptions.is_empty()
    }

    /// What is encoded and not written, for a connection that ends.
    pub fn take_out(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// A connection begins to serve this session: CONNACK is written to `out`, and if the session has a past, it goes on.
    pub fn connected(&mut self, link: Link, session_present: bool, assigned_id: bool) {
        self.outbox.set_online(true);
        self.publishes = false;
        self.link = link;
        self.id_is_assigned = assigned_id;
        self.link.write_connack(
            &mut self.out,
            session_present,
            assigned_id.then_some(self.id.as_str()),
            &self.shared,
        );
        self.keep_from_now();
        self.hold_connack_until_will_is_kept();
        self.outgoing.resume(self.inbox.is_some());
        self.holds_nothing();
        self.is_paced_from_now();
        self.review_subscriptions();
        if self.inbox.is_some() {
            self.attach();
        }
    }

    /// The connection ended, and its calls are carried out. Mail in flight goes back to the inbox; the rest of the session is kept
    /// as it is.
    pub fn disconnected(&mut self) {
        self.leave();
        self.incoming.disconnected();
        self.stopwatch.disconnected();
        self.replies = Vec::new();
        self.drop_kept_answer();
        self.oversized = None;
        self.out = Vec::new();
        self.settle_when_written = VecDeque::new();
        self.held = None;
        self.link.forget_aliases();
    }

    /// Nobody serves the session any more: neither its inbox nor a shared subscription waits for it.
    pub(crate) fn leave(&mut self) {
        if let Some(attachment) = self.inbox.as_mut().and_then(|inbox| inbox.attachment.take()) {
            self.shared.node.inboxes.detach(&self.id, attachment);
        }
        self.outbox.set_online(false);
    }

    /// Encodes what waits: answers to publishes, then mail, then ordinary messages, as far as the client takes them.
    pub fn drain(&mut self, now: Now) -> Result<(), Ending> {
        self.check_proof(now)?;
        self.settle_outcomes()?;
        // SUBACK comes first.
        if !self.keeping.waits() {
            self.send_waiting(now);
            self.reserve_ids();
        }
        self.stopwatch.tell_sent(&self.shared.metrics);
        self.ask_for_more();
        Ok(())
    }

    /// Tells the inbox that there is room again for what it held back: most of what was sent is taken.
    fn ask_for_more(&mut self) {
        if self.outbox.is_full()
            && self.outbox.has_room_again(self.out.len())
            && let Some(attachment) = self.inbox.as_ref().and_then(|inbox| inbox.attachment)
        {
            self.shared.node.inboxes.resume(&self.id, attachment);
        }
    }

    /// Whether messages for the client could be encoded now.
    pub fn can_send(&self) -> bool {
        self.out.len() < OUT_BYTES_MAX && (self.room() > 0 || self.passes_full_window())
    }

    /// Whether mail could be, but for the rate.
    fn can_send_mail(&self) -> bool {
        self.out.len() < OUT_BYTES_MAX && (self.room() > 0 || self.next_mail_needs_no_place())
    }

    /// Ready when anything waits that the session can use.
    pub(crate) fn poll_waiting(&self, cx: &mut std::task::Context<'_>) -> std::task::Poll<()> {
        let can_send = self.can_send();
        self.outbox.poll_any(can_send && !self.mail_has_to_wait(), can_send, cx)
    }

    /// Whether the client has published over the present connection: such clients are slowed down when memory is scarce.
    pub fn publishes(&self) -> bool {
        self.publishes
    }

    /// Bytes of memory that [`Session::out`] takes.
    pub fn out_capacity(&self) -> usize {
        self.out.capacity()
    }

    /// What is to be written to the socket.
    pub fn out(&self) -> &[u8] {
        &self.out
    }

    /// The first `n` bytes of [`Session::out`] are written.
    pub fn written(&mut self, n: usize) {
        self.bytes_written += n as u64;
        if n < self.out.len() {
            self.out.drain(..n);
        } else if self.out.capacity() > 2 * OUT_BYTES_MAX {
            // A large message's memory is not kept.
            self.out = Vec::new();
        } else {
            self.out.clear();
        }
        let done = self
            .settle_when_written
            .partition_point(|(end, _)| *end <= self.bytes_written);
        if done > 0 {
            let written: Vec<_> = self.settle_when_written.drain(..done).map(|(_, seq)| seq).collect();
            self.shared.node.inboxes.written(&self.id, &written);
        }
        self.ask_for_more();
    }

    /// The call to carry out next. All of them are to be carried out, also when the connection ends meanwhile: they come from packets
    /// that were received before it did.
    pub fn next_call(&mut self) -> Option<RouterCall> {
        self.calls.pop_front()
    }

    /// Encodes the DISCONNECT that goes with `ending`, if the client is to get one.
    pub fn say_goodbye(&mut self, ending: &Ending) {
        if let Ending::Closed(closed) = ending {
            if self.keeping.connack_waits() {
                // Nothing comes before CONNACK (MQTT-3.14.0-1).
                return;
            }
            let why = closed.to_string();
            let why = self.link.fits_reason(&why, 0).then_some(&*why);
            encode::disconnect(&mut self.out, self.link.version, closed.reason_code(), why);
        }
    }

    /// Gives back memory that an idle connection does not need.
    pub fn shrink(&mut self) {
        if self.out.is_empty() {
            self.out = Vec::new();
        }
        self.outcomes = Vec::new();
        self.to_hand_in = Vec::new();
        self.settle_when_written.shrink_to_fit();
        self.calls.shrink_to_fit();
        self.acknowledged = Vec::new();
        self.done = Vec::new();
        self.rejected = Vec::new();
        self.incoming.shrink();
        self.bouncing.shrink();
        self.outgoing.shrink();
        self.outbox.shrink();
    }
}

/// A session that goes with its connection's task, because that panicked, gives back what others hold for it.
impl Drop for Session {
    fn drop(&mut self) {
        self.leave();
    }
}
