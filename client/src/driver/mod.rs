//! The task that keeps an inbox connected.
//!
//! ```text
//!            first CONNACK and SUBACK            lost
//! Connecting ───────────────────────▶ Connected ──────▶ Pausing ──▶ Connecting …
//!      │ refused for good                 │ taken over, refused        │ closed
//!      └───────────────▶ Over ◀───────────┴────────────────────────────┘
//! ```
//!
//! Everything that is decided is decided elsewhere: what is sent next by the outbox, what is handed over by the arrivals, when to ask and when to try
//! again by heartbeat and backoff. This carries it out.

mod inbound;
mod link;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, sleep_until};
use tracing::{Instrument, debug, debug_span, info, warn};

use crate::backoff::Backoff;
use crate::connection::Settings;
use crate::delivery::Delivery;
use crate::error::{ConnectError, Lost, LostWhy, StopReason};
use crate::event::Event;
use crate::heartbeat::Heartbeat;
use crate::sent::Over;
use crate::shared::{Command, Shared};
use crate::undelivered::{Refusal, Refused};

/// How the first attempt to connect went.
pub(crate) type FirstOutcome = Option<Result<(), ConnectError>>;

/// DISCONNECT: a packet was larger than the broker takes.
const PACKET_TOO_LARGE: u8 = 0x95;

/// DISCONNECT: another connection has the client ID.
const SESSION_TAKEN_OVER: u8 = 0x8e;
/// So often it is taken back, unless it was held for a stable time.
const TAKEN_BACK_MAX: u32 = 2;

/// How a connection ended.
#[derive(Debug)]
enum End {
    Closed,
    Stopped(StopReason),
    Lost(Lost),
}

/// See the module's documentation.
pub(crate) struct Driver {
    shared: Arc<Shared>,
    settings: Settings,
    commands: mpsc::UnboundedReceiver<Command>,
    mail: flume::Sender<Delivery>,
    first: watch::Sender<FirstOutcome>,
    backoff: Backoff,
    heartbeat: Heartbeat,
    /// Which connection this is; 0 before the first.
    connection: u64,
    /// The broker ended a connection because of a packet that was too large: which one it was shows when they go one by one.
    one_at_a_time: bool,
    taken_over: u32,
    connected_at: Option<Instant>,
}

impl Driver {
    pub(crate) fn new(
        shared: Arc<Shared>,
        settings: Settings,
        commands: mpsc::UnboundedReceiver<Command>,
        mail: flume::Sender<Delivery>,
        first: watch::Sender<FirstOutcome>,
    ) -> Self {
        let (reconnect, heartbeat) = (shared.options.reconnect, shared.options.heartbeat);
        Driver {
            shared,
            settings,
            commands,
            mail,
            first,
            backoff: Backoff::new(reconnect),
            heartbeat: Heartbeat::new(heartbeat, Instant::now()),
            connection: 0,
            one_at_a_time: false,
            taken_over: 0,
            connected_at: None,
        }
    }

    /// Runs until the inbox is closed, dropped or refused.
    pub(crate) async fn run(mut self) {
        let over = loop {
            self.connection += 1;
            let span = debug_span!(
                "connection",
                inbox = self.shared.options.client_id,
                number = self.connection
            );
            match self.connect().instrument(span).await {
                End::Closed => break Over::Closed,
                End::Stopped(StopReason::TakenOver) if self.is_taken_back() => {
                    let code = SESSION_TAKEN_OVER;
                    let why = LostWhy::Broker { code };
                    if !self.lost(Lost { why, told: None }).await {
                        break Over::Closed;
                    }
                }
                End::Stopped(reason) => {
                    warn!(inbox = self.shared.options.client_id, "stopped: {reason}");
                    break Over::Stopped(reason);
                }
                End::Lost(why) => {
                    if !self.lost(why).await {
                        break Over::Closed;
                    }
                }
            }
        };
        self.outcome(Err(match over {
            Over::Closed => ConnectError::Ended,
            Over::Stopped(reason) => reason.into(),
        }));
        self.shared.end(over);
    }

    /// Notes the loss, and waits until the next attempt. `false`: there is to be none.
    async fn lost(&mut self, why: Lost) -> bool {
        let now = Instant::now();
        self.shared.connected(None);
        self.suspect(&why);
        self.shared.lock().outbox.lost();
        self.heartbeat.lost();
        let again_in = self.backoff.lost(now, rand::random());
        info!(inbox = self.shared.options.client_id, ?again_in, "no connection: {why}");
        self.outcome(Err(why.clone().into()));
        self.shared.tell(Event::Disconnected { why, again_in });
        self.pause(again_in).await
    }

    /// Whether to take the client ID back. The other connection may be an earlier attempt of this very client, which came late; another program that
    /// uses the same client ID would take it again and again.
    fn is_taken_back(&mut self) -> bool {
        let stable = self.shared.options.reconnect.stable;
        if self.connected_at.take().is_some_and(|at| at.elapsed() >= stable) {
            self.taken_over = 0;
        }
        self.taken_over += 1;
        self.taken_over <= TAKEN_BACK_MAX
    }

    /// A packet too large ends the connection, and nothing says which one it was: the next ones go alone.
    fn suspect(&mut self, why: &Lost) {
        let code = PACKET_TOO_LARGE;
        if why.why != (LostWhy::Broker { code }) {
            return;
        }
        let in_flight: Vec<_> = self.shared.lock().outbox.in_flight().collect();
        if let [order] = in_flight.as_slice() {
            let reason = Refusal::TooLarge;
            let told = why.told.clone();
            self.shared.failed(*order, Refused { reason, told }.into());
            self.one_at_a_time = false;
        } else {
            self.one_at_a_time = true;
        }
    }

    async fn pause(&mut self, pause: Duration) -> bool {
        let end = sleep(pause);
        tokio::pin!(end);
        loop {
            let tick = self.shared.tick(Instant::now());
            tokio::select! {
                () = &mut end => return true,
                command = self.commands.recv() => match command {
                    // The packet it answers is gone with its connection.
                    Some(Command::Answer { .. }) => {}
                    Some(Command::Close | Command::Abandon) | None => return false,
                },
                () = until(tick) => {}
                () = self.shared.wake.notified() => {}
            }
        }
    }

    /// Only the first outcome counts.
    fn outcome(&self, outcome: Result<(), ConnectError>) {
        self.first.send_if_modified(|first| {
            let is_first = first.is_none();
            if is_first {
                *first = Some(outcome);
            }
            is_first
        });
    }

    fn connected(&mut self, epoch: Option<&str>) {
        let mut state = self.shared.lock();
        let known = state.arrivals.standing().epoch.clone();
        let changed = state.arrivals.connected(epoch);
        drop(state);
        if epoch.is_some() && known.as_deref() != epoch {
            self.shared.note_standing();
        }
        if let Some(before) = changed {
            warn!(before, "the broker's store is another one, or an older state of it");
            self.shared.tell(Event::EpochChanged { before });
        }
    }

    fn subscribed(&mut self, is_inboxd: bool) {
        self.backoff.connected(Instant::now());
        self.connected_at = Some(Instant::now());
        self.shared.connected(Some(is_inboxd));
        self.outcome(Ok(()));
        debug!(is_inboxd, "connected");
        self.shared.tell(Event::Connected { is_inboxd });
        if !is_inboxd {
            warn!("the broker is not inboxd: mail does not wait for who is away, and nobody tells of delivery");
            self.shared.tell(Event::PlainBroker);
        }
    }
}

/// Waits until then, or for ever.
async fn until(then: Option<Instant>) {
    match then {
        Some(then) => sleep_until(then.into()).await,
        None => std::future::pending().await,
    }
}
