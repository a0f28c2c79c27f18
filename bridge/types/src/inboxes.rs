//! How sessions, gateways and the broker itself reach the inboxes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::age::Age;
use crate::budget::Budgets;
use crate::client_id::ClientId;
use crate::clock::{Clock, Now};
use crate::counters::Counters;
use crate::epoch::Epoch;
use crate::events::Events;
use crate::message::{Message, Seq};
use crate::port::{AttachmentId, Port, Refusal, Ticket};
use crate::timings::Timings;

/// The inboxes, wherever they are: in this process, or on the node that owns them. Nothing here waits for a disk or a network; what
/// takes its time comes through a [`Port`].
///
/// It is asked once per batch and not once per message where that is possible, so that the call through a table costs nothing that
/// could be measured.
pub trait Inboxes: Send + Sync {
    /// Takes `messages` with QoS 1 or 2 for `inbox` that came at `now`, in this order, and leaves the list empty. `port` is told the
    /// outcome of each under its ticket, perhaps before this returns (contract rule 3).
    fn publish(&self, inbox: &ClientId, port: &Arc<dyn Port>, messages: &mut Vec<(Arc<Message>, Ticket)>, now: Now);
    /// A sender changes its mind about an earlier message of its own to `inbox` (contract rule 12). `port` is told under `ticket` what came of it. An edit
    /// brings the new `message`; of a recall it says who, and when.
    fn amend(&self, inbox: &ClientId, amendment: Amendment, message: Message, port: &Arc<dyn Port>, ticket: Ticket);
    /// Passes on a message with QoS 0, if the client of `inbox` is there (contract rule 9).
    fn publish_qos0(&self, inbox: &ClientId, message: Arc<Message>);

    /// From now on `port` gets the messages of `inbox`, from the oldest unacknowledged one (contract rule 4), with at most `window` of
    /// them unacknowledged. Its connection was sent `in_flight`, in order, and has not acknowledged it: that is not sent again, and
    /// counts towards the window.
    fn attach(&self, inbox: &ClientId, port: Arc<dyn Port>, window: u16, in_flight: &[Seq]) -> AttachmentId;
    /// Ends an attachment. Its unacknowledged messages stay.
    fn detach(&self, inbox: &ClientId, attachment: AttachmentId);
    /// The client of `inbox` has these messages: they leave it (contract rule 5).
    fn acknowledge(&self, inbox: &ClientId, seqs: &[Seq]);
    /// The client of `inbox` had this message and does not want it, for this reason code of 0x80 or above: it leaves all the same.
    fn reject(&self, inbox: &ClientId, seq: Seq, reason: u8);
    /// The application of `inbox` has read messages: their senders are told who asked for it (contract rule 11). `port` is told under `ticket` when
    /// that is durable.
    fn mark_read(&self, inbox: &ClientId, marks: ReadMarks, port: &Arc<dyn Port>, ticket: Ticket);
    /// These messages were written to the client of `inbox` with QoS 0: they leave it when they have settled (contract rule 5).
    fn written(&self, inbox: &ClientId, seqs: &[Seq]);
    /// The client of `inbox` cannot take this message: it stays, and the next ones go on.
    fn skip(&self, inbox: &ClientId, seq: Seq);
    /// The client has taken what it was sent, and takes more: see [`crate::Room`].
    fn resume(&self, inbox: &ClientId, attachment: AttachmentId);

    /// Tells `sender`, in its own inbox, that publishes of it were `refused` (contract rule 3). `port` is told under `ticket` whether
    /// that is durable.
    fn notify(&self, sender: &ClientId, refused: &RefusedPublishes, port: &Arc<dyn Port>, ticket: Ticket);
    /// A notice was refused in its turn: later ones are not joined to it.
    fn forget_notice(&self, sender: &ClientId, refused: &RefusedPublishes);

    /// A publish of `sender` was refused for `why`. If that is a want of room, the sender is told once, in its own inbox, when there is room
    /// again. It is remembered in memory only.
    fn await_room(&self, sender: &ClientId, wanted: WantedRoom, why: Refusal);

    /// Keeps what the client of `owner` says of who may write to it, until it says something else; `None`: nothing any more. `port` is told
    /// under `ticket` when that is durable.
    fn keep_senders(&self, owner: &ClientId, said: Option<Bytes>, port: &Arc<dyn Port>, ticket: Ticket);

    /// Keeps who wrote to whom: keys, and their values from now on, if they have any. Nobody waits for it: it is durable soon, and what is
    /// published after this is not durable much before it.
    fn keep_acquaintances(&self, changes: Vec<(Bytes, Option<Bytes>)>);

    /// Keeps `value` under `key` among what is `kept` for ordinary topics, until another one takes its place; `None`: nothing any more. Values of one
    /// key become durable in the order of the calls. Who `waits`, a port and its ticket, is told when this one is.
    fn keep(&self, kept: Kept, key: Bytes, value: Option<Bytes>, waits: Option<(Arc<dyn Port>, Ticket)>);
    /// Has `source` asked, about `by` that time on the monotonic clock (a batch is for many), for what it has to keep: see [`Keeping::gather`].
    fn keep_from(&self, source: Arc<dyn Keeping>, by: Duration);
    /// What is `kept` under keys that begin with `prefix` is kept no longer, in the order of the keys. Nothing may be kept under them after this.
    fn forget(&self, kept: Kept, prefix: Bytes);

    /// Why new things should not be kept now, if they should not be: as messages to inboxes are refused. Taking away what is kept goes on, but for
    /// [`Refusal::StoreTroubled`] and [`Refusal::StoreFailed`].
    fn refuses(&self) -> Option<Refusal>;

    /// How old their store is at `now`: the measure of how long messages wait (contract rule 5).
    fn age(&self, now: Now) -> Age;
    /// Whether more is accepted than the disk keeps up with: publishers should not be read from for a while.
    fn is_congested(&self) -> bool;
    /// Whether new messages are refused because the store lacks something for now. It ends by itself.
    fn is_troubled(&self) -> bool;
}

/// What their store keeps for ordinary topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kept {
    /// Retained messages.
    Retained,
    /// Sessions that outlive their connections.
    Session,
    /// Wills that are not published yet.
    Will,
}

/// How long changes are held back, because they may become void.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holds {
    /// A message that its reader may acknowledge first.
    pub message: Duration,
    /// A removal.
    pub removal: Duration,
}

/// A change of what is kept.
pub struct KeptChange {
    /// Where.
    pub kept: Kept,
    /// Under which key.
    pub key: Bytes,
    /// What, from now on; `None`: nothing.
    pub value: Option<Bytes>,
    /// Who is told when that is durable.
    pub waits: Option<(Arc<dyn Port>, Ticket)>,
}

/// Somebody who has changes of what is kept, and gives them when a batch is made: what is void by then costs nothing.
pub trait Keeping: Send + Sync {
    /// Gives what is due at `now`, in order, or everything; it is in the next batch. Tells when there is more.
    fn gather(&self, now: Duration, all: bool, into: &mut Vec<KeptChange>) -> Option<Duration>;
}

/// Publishes that were refused for one reason, to be told to their sender.
#[derive(Debug, Clone)]
pub struct RefusedPublishes {
    /// Where they were to go.
    pub topic: Arc<str>,
    /// The reason code that an MQTT 5 client would be told.
    pub reason: u8,
    /// The sentence that goes with it.
    pub why: Arc<str>,
    /// The SHA-256 of each payload, in the order of the publishes.
    pub payloads: Vec<[u8; 32]>,
}

/// How a sender changes its mind about a message: about all of its own in that inbox with this `id`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Amendment {
    /// It takes it back.
    Recall(Box<str>),
    /// Another one takes its place.
    Edit(Box<str>),
}

/// Which messages an application says that it has read. Of those that meet all conditions, the ones that its inbox had and acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReadMarks {
    /// Of this sender.
    pub from: Option<ClientId>,
    /// With one of these `id`s.
    pub ids: Option<Vec<Box<str>>>,
    /// Up to this seq.
    pub up_to: Option<Seq>,
}

/// The room that a refused publish wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedRoom {
    /// Where it was to go.
    pub inbox: ClientId,
    /// The topic of that inbox.
    pub topic: Arc<str>,
    /// The message's size, as it counts towards the limits of inboxes.
    pub bytes: usize,
}

/// One broker, as its sessions see it.
#[derive(Clone)]
pub struct Node {
    /// The inboxes.
    pub inboxes: Arc<dyn Inboxes>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What clients may make it keep in memory.
    pub budgets: Arc<Budgets>,
    /// What is counted of inboxes.
    pub counters: Arc<Counters>,
    /// What happens.
    pub events: Arc<Events>,
    /// How long things take.
    pub timings: Arc<Timings>,
    /// How long mail is kept that asks for no expiry of its own.
    pub time_to_live: Duration,
    /// How long what is to be kept may wait for the commit.
    pub holds: Holds,
    /// Which life of the store this is, where it has a name.
    pub epoch: Option<Epoch>,
}

impl Node {
    /// The time.
    pub fn now(&self) -> Now {
        self.clock.now()
    }

    /// [`Now::mono`] alone.
    pub fn mono(&self) -> Duration {
        self.clock.mono()
    }
}
