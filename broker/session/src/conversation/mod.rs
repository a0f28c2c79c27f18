//! A conversation with one client, from the first byte to the goodbye: a synchronous state machine with its timers inside.
//!
//! ```text
//!  Opening ──CONNECT──▶ Asking ──identity──▶ Waiting ──session──▶ Open ──ending──▶ Leaving ──session put away──▶ Goodbye ──▶ Over
//!     │                                        (packets both ways)                            ▲
//!     └── refused, or too late ───────────────────────────────────────────────────────────────┘
//! ```
//!
//! It does no I/O and reads no clock. Whoever drives it, a task with a socket or a simulator, gives it bytes and times, carries out
//! [`Conversation::next_step`], writes [`Conversation::out`], and comes back at [`Conversation::deadline`].
//!
//! **Promise:** what a client sent before its connection ended counts, in order; then it is told why; then its session is put away, and
//! with it its will is seen to. Every session that was opened comes back in a [`Step::Close`], unless the conversation is dropped.

mod counted;
mod ending;
mod handshake;
mod memory;
mod opening;
#[cfg(test)]
mod tests;
mod timers;
mod waking;

use std::sync::Arc;
use std::task::{Context, Poll};

use access::{Credentials, Identity, Origin};
use inbox_types::Now;

use crate::closed::Closed;
use crate::keeping::PendingWill;
use crate::session::{Ending, RouterCall, Session, Shared};
use crate::session_table::Routed;
use counted::Counted;
use ending::obey;
use handshake::{Admitted, Refused};
use memory::Memory;
use timers::Timers;

/// Bytes that are still read from a client that was told goodbye, so that the system does not reset the connection before it has
/// read why it ended.
const GOODBYE_BYTES_MAX: usize = 1024 * 1024;

/// What is to be carried out for a conversation, in order.
pub enum Step {
    /// Find out who the client is; then call [`Conversation::authenticated`].
    Authenticate(Credentials),
    /// Open the session of this client; then call [`Conversation::opened`].
    Open {
        /// The client.
        identity: Identity,
        /// It wants no past (MQTT 5, section 3.1.2.4).
        clean_start: bool,
        /// What is published when it disappears.
        will: Option<Arc<PendingWill>>,
    },
    /// Ask the router, as [`Place::route`](crate::Place::route) does; the answer goes to [`Conversation::routed`].
    Route(RouterCall),
    /// Put the session away, and see to the will: the connection has ended.
    Close(Box<Session>, Ending),
}

/// See the module's documentation.
pub struct Conversation {
    shared: Arc<Shared>,
    /// What the client showed before CONNECT is given away with that.
    origin: Origin,
    state: State,
    timers: Timers,
    memory: Memory,
    counted: Counted,
}

enum State {
    /// CONNECT is not complete.
    Opening,
    /// It is, and who the client is is to be found out, or its session is wanted.
    Admitted(Box<Admitted>),
    /// It is being found out who the client is.
    Asking(Box<Admitted>),
    /// Its session is being opened.
    Waiting(Box<Admitted>),
    Open(Box<Session>),
    /// What the client sent is finished; then the session is put away.
    Leaving(Box<Session>, Ending),
    /// The last bytes are written, and what still comes is read and dropped.
    Goodbye {
        last: Vec<u8>,
        read: usize,
        ending: Ending,
    },
    Over(Ending),
}

impl Conversation {
    /// A connection from `origin` was accepted.
    pub fn new(shared: Arc<Shared>, origin: Origin, now: Now) -> Self {
        let counted = Counted::of_address(&shared.quotas, origin.peer, now.mono);
        let timers = Timers::new(now.mono, counted.patience(shared.mqtt.connect_timeout));
        let memory = Memory::new(&shared.node.budgets);
        Conversation {
            shared,
            origin,
            state: State::Opening,
            timers,
            memory,
            counted,
        }
    }

    /// Whether CONNECT is not complete: the conversation can be given up without a word.
    pub fn is_opening(&self) -> bool {
        matches!(self.state, State::Opening)
    }

    /// Whether nothing more is written: the socket may be shut down when [`Conversation::out`] is empty.
    pub fn is_ending(&self) -> bool {
        matches!(self.state, State::Goodbye { .. } | State::Over(_))
    }

    /// Whether the socket is to be closed.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over(_))
    }

    /// How the conversation ended, when it has.
    pub fn ending(&self) -> Option<&Ending> {
        match &self.state {
            State::Goodbye { ending, .. } | State::Over(ending) => Some(ending),
            _ => None,
        }
    }

    /// The session, while a connection serves it.
    pub fn session(&self) -> Option<&Session> {
        match &self.state {
            State::Open(session) => Some(session),
            _ => None,
        }
    }

    /// The session, when the connection is given up half-way: for [`crate::Place::abandon`].
    pub fn take_session(&mut self) -> Option<Box<Session>> {
        match std::mem::replace(&mut self.state, State::Over(Ending::Lost)) {
            State::Open(session) | State::Leaving(session, _) => Some(session),
            _ => None,
        }
    }

    /// Acts on what is at the start of `input`. Gives the bytes that were used; the others are the beginning of a packet, or are not
    /// wanted yet, and are to be offered again, with what follows.
    pub fn receive(&mut self, input: &[u8], now: Now) -> usize {
        match &mut self.state {
            State::Open(session) => {
                let received = session.receive(input, now);
                self.received(received, now)
            }
            State::Opening => self.look_for_connect(input, now),
            State::Goodbye { read, ending, .. } => {
                *read += input.len();
                if *read >= GOODBYE_BYTES_MAX {
                    self.state = State::Over(ending.clone());
                }
                input.len()
            }
            State::Over(_) => input.len(),
            State::Admitted(_) | State::Asking(_) | State::Waiting(_) | State::Leaving(..) => 0,
        }
    }

    /// Whether packets that were received before can be acted on now.
    pub fn takes_packets(&self) -> bool {
        matches!(&self.state, State::Open(session) if session.takes_packets())
    }

    /// One turn: encodes what waits. Then every step is to be carried out, with another turn when there was one, and
    /// [`Conversation::out`] written.
    pub fn turn(&mut self, now: Now) {
        if let State::Open(session) = &mut self.state {
            session.time_passed(now.mono);
            session.tell_who_asked();
            let turned = match session.outbox().take_order() {
                Some(order) => obey(session, order).and_then(|()| session.drain(now)),
                None => session.drain(now),
            };
            self.received(turned.map(|()| 0), now);
        }
    }

    /// What is to be carried out next. All of it is, also when the connection ends meanwhile: it comes from packets that were received
    /// before it did.
    pub fn next_step(&mut self, now: Now) -> Option<Step> {
        match &mut self.state {
            State::Open(session) => session.next_call().map(Step::Route),
            State::Opening | State::Asking(_) | State::Waiting(_) | State::Goodbye { .. } | State::Over(_) => None,
            State::Admitted(_) | State::Leaving(..) => self.step_over(now),
        }
    }

    /// Whether [`Conversation::next_step`] has one.
    pub fn has_steps(&self) -> bool {
        matches!(self.state, State::Admitted(_) | State::Leaving(..))
    }

    /// The router has seen to what was asked of it.
    pub fn routed(&mut self, routed: Routed, now: Now) {
        let (session, leaves) = match &mut self.state {
            State::Open(session) => (session, false),
            State::Leaving(session, _) => (session, true),
            _ => return,
        };
        match routed {
            Routed::Published(ticket, result) => {
                let routed = session.routed(ticket, result);
                // How a connection ends that is leaving is settled already.
                if !leaves {
                    self.received(routed.map(|()| 0), now);
                }
            }
            Routed::Dropped(why) => session.dropped("", why),
            Routed::Subscribed(call) => session.subscribed(call),
            Routed::Done => {}
        }
    }

    /// The network connection is gone.
    pub fn lost(&mut self, now: Now) {
        match &self.state {
            State::Opening => self.refuse(&Refused::Lost, now),
            State::Open(_) => self.end(Ending::Lost),
            State::Goodbye { ending, .. } => self.state = State::Over(ending.clone()),
            State::Admitted(_) | State::Asking(_) | State::Waiting(_) | State::Leaving(..) | State::Over(_) => {}
        }
    }

    /// What is to be written to the socket.
    pub fn out(&self) -> &[u8] {
        match &self.state {
            State::Open(session) => session.out(),
            State::Goodbye { last, .. } => last,
            _ => &[],
        }
    }

    /// The first `n` bytes of [`Conversation::out`] were taken by the socket.
    pub fn written(&mut self, n: usize, now: Now) {
        match &mut self.state {
            State::Open(session) => {
                session.written(n);
                session.note_written(self.timers.read_time(now.mono));
                self.timers.written(now.mono);
            }
            State::Goodbye { last, .. } => {
                last.drain(..n.min(last.len()));
            }
            _ => {}
        }
    }

    /// Whether bytes of the client are wanted: not while it is behind, or the disk.
    pub fn wants_bytes(&mut self, now: Now) -> bool {
        let wants = match &self.state {
            State::Open(session) => session.takes_packets() && !self.is_held_up(session, now),
            State::Opening | State::Goodbye { .. } => true,
            State::Admitted(_) | State::Asking(_) | State::Waiting(_) | State::Leaving(..) | State::Over(_) => false,
        };
        self.timers.reads(wants, now.mono);
        wants
    }

    /// The disk is behind, or the client publishes and memory is scarce.
    fn is_held_up(&self, session: &Session, now: Now) -> bool {
        let node = &self.shared.node;
        node.inboxes.is_congested() || (session.publishes() && self.memory.is_slowed_down(&node.budgets, now.mono))
    }

    /// Something was read, and `partial` bytes, in a buffer of `capacity`, wait for the rest of their packet.
    pub fn keeps_partial(&mut self, partial: usize, capacity: usize, now: Now) {
        if self
            .memory
            .received(&self.shared.node.budgets, partial, capacity, now.mono)
        {
            return;
        }
        match self.state {
            State::Open(_) => self.end(Closed::PartialsFull.into()),
            State::Opening => self.refuse(&Refused::Closed(Closed::PartialsFull), now),
            _ => return,
        }
        self.shared.metrics.half_packets_refused.add(1);
    }

    /// What came and is not used takes `capacity` bytes, beside what is to be written.
    pub fn keeps(&mut self, capacity: usize, is_idle: bool) {
        let out = match &self.state {
            State::Open(session) => session.out_capacity(),
            _ => 0,
        };
        self.memory.keeps(capacity + out, is_idle);
    }

    /// Ready when something waits that could be written.
    pub fn poll_waiting(&self, cx: &mut Context<'_>) -> Poll<()> {
        match &self.state {
            State::Open(session) => session.poll_waiting(cx),
            _ => Poll::Pending,
        }
    }

    /// Something happened: the memory that an idle conversation does not need is kept for a while.
    pub fn is_active(&mut self, now: Now) {
        self.timers.active(now.mono);
    }

    /// Notes what came of acting on what the client sent. Gives the bytes that were used.
    fn received(&mut self, received: Result<usize, Ending>, now: Now) -> usize {
        match received {
            Ok(used) => {
                if used > 0 {
                    self.timers.packet(now.mono);
                }
                used
            }
            Err(ending) => {
                self.end(ending);
                0
            }
        }
    }

    /// The steps between two states.
    fn step_over(&mut self, now: Now) -> Option<Step> {
        match std::mem::replace(&mut self.state, State::Opening) {
            State::Admitted(mut admitted) => {
                if let Some(credentials) = admitted.credentials.take() {
                    self.state = State::Asking(admitted);
                    return Some(Step::Authenticate(credentials));
                }
                if let Some(will) = admitted.link.will.as_mut().and_then(Arc::get_mut) {
                    will.will.payload = self.shared.node.budgets.all.payload(&will.will.payload);
                }
                let open = admitted.identity.clone().map(|identity| Step::Open {
                    identity,
                    clean_start: admitted.clean_start,
                    will: admitted.link.will.clone(),
                });
                self.state = State::Waiting(admitted);
                open
            }
            State::Leaving(mut session, ending) => {
                if let Some(call) = session.next_call() {
                    self.state = State::Leaving(session, ending);
                    return Some(Step::Route(call));
                }
                self.tell_ending(&session, &ending);
                session.say_goodbye(&ending);
                self.say_goodbye(session.take_out(), ending.clone(), ending == Ending::Lost, now);
                Some(Step::Close(session, ending))
            }
            other => {
                self.state = other;
                None
            }
        }
    }
}
