//! What the calls of the application, the task of the connection and the thread of the store share.

mod incoming;
mod outgoing;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::{Notify, broadcast, mpsc, watch};

use crate::arrivals::{Arrivals, PacketRef, Verdict};
use crate::event::{Event, Status};
use crate::options::InboxOptions;
use crate::outbox::{Order, Outbox, OutboxLimits};
use crate::sent::{Over, Progress, Sent};
use crate::store::{Kept, Store};
pub(crate) use incoming::Counter;
pub(crate) use outgoing::request;

/// Events that a slow listener may leave waiting.
const EVENTS_MAX: usize = 1024;

/// What the task of the connection is asked to do.
#[derive(Debug)]
pub(crate) enum Command {
    /// An answer to a delivery is durable.
    Answer { packet: PacketRef, verdict: Verdict },
    /// Send what waits to be sent, say goodbye, and end.
    Close,
    /// End at once.
    Abandon,
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: InboxOptions,
    /// A plain lock: held for some steps in memory, never across an await, and never while the store is called, which may answer at once.
    state: Mutex<State>,
    store: Store,
    /// Something may be published.
    pub(crate) wake: Notify,
    /// What waits here is bounded: an answer for each message in the hands of the application, and receipts in the window.
    commands: mpsc::UnboundedSender<Command>,
    events: broadcast::Sender<Event>,
    /// Messages in the outbox without the broker's acknowledgement.
    waiting: watch::Sender<usize>,
}

/// What is under the lock.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) outbox: Outbox,
    pub(crate) arrivals: Arrivals,
    progress: HashMap<Order, watch::Sender<Progress>>,
    over: Option<Over>,
    is_closing: bool,
    /// Whether there is a connection, and to what kind of broker.
    connected: Option<bool>,
}

impl Shared {
    pub(crate) fn new(options: InboxOptions, store: Store, kept: Kept) -> (Self, mpsc::UnboundedReceiver<Command>) {
        let limits = options.limits;
        let mut outbox = Outbox::new(OutboxLimits {
            messages_max: limits.outbox_messages_max,
            bytes_max: limits.outbox_bytes_max,
            awaiting_max: limits.receipts_max,
            depth: limits.in_flight_per_recipient_max.max(1),
            retry: options.retry,
        });
        let mut progress = HashMap::new();
        for (order, record, payload) in kept.outbox {
            progress.insert(order, watch::Sender::new(outgoing::progress_of(&record)));
            outbox.restore(order, record.into(), payload);
        }
        let mut arrivals = Arrivals::new(limits.seen_max, limits.seen_for, kept.standing);
        for (number, answered) in kept.answered {
            arrivals.restore(number, answered);
        }
        let (commands, ordered) = mpsc::unbounded_channel();
        let shared = Shared {
            options,
            waiting: watch::Sender::new(outbox.waiting()),
            state: Mutex::new(State {
                outbox,
                arrivals,
                progress,
                over: None,
                is_closing: false,
                connected: None,
            }),
            store,
            wake: Notify::new(),
            commands,
            events: broadcast::Sender::new(EVENTS_MAX),
        };
        (shared, ordered)
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here is left half done by a panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn command(&self, command: Command) {
        // Without the task there is no connection.
        let _ended = self.commands.send(command);
    }

    pub(crate) fn tell(&self, event: Event) {
        // Nobody need listen.
        let _nobody = self.events.send(event);
    }

    pub(crate) fn listen(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Messages without the broker's acknowledgement, as their number changes.
    pub(crate) fn waiting(&self) -> watch::Receiver<usize> {
        self.waiting.subscribe()
    }

    /// Nothing is taken any more.
    pub(crate) fn begin_to_close(&self) {
        self.lock().is_closing = true;
    }

    /// The messages in the outbox and those whose receipts are awaited, oldest first.
    pub(crate) fn sent(&self) -> Vec<Sent> {
        let state = self.lock();
        let mut orders: Vec<(&Order, &watch::Sender<Progress>)> = state.progress.iter().collect();
        orders.sort_by_key(|(order, _)| **order);
        let sent = orders.into_iter().filter_map(|(order, progress)| {
            let record = state.outbox.record(*order)?;
            Some(outgoing::sent(record, progress))
        });
        sent.collect()
    }

    /// The end: everybody who waits is told, and the store takes no more.
    pub(crate) fn end(&self, over: Over) {
        let mut state = self.lock();
        state.over = Some(over);
        for (_, progress) in state.progress.drain() {
            progress.send_modify(|progress| progress.over = Some(over));
        }
        drop(state);
        if let Over::Stopped(reason) = over {
            self.tell(Event::Stopped { reason });
        }
        self.store.close();
        // Whoever waits for the outbox looks again.
        self.waiting.send_modify(|_| {});
    }

    /// There is a connection now, to inboxd or not, or there is none.
    pub(crate) fn connected(&self, is_inboxd: Option<bool>) {
        self.lock().connected = is_inboxd;
    }

    /// Whether it is connected.
    pub(crate) fn status(&self) -> Status {
        let state = self.lock();
        match (state.over, state.connected) {
            (Some(Over::Closed), _) => Status::Closed,
            (Some(Over::Stopped(reason)), _) => Status::Stopped { reason },
            (None, Some(is_inboxd)) => Status::Connected { is_inboxd },
            (None, None) => Status::Connecting,
        }
    }

    /// Whether it has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.lock().over.is_some()
    }

    /// Tells how many messages wait, if that changed.
    fn count(&self, messages: usize) {
        let is_new = self
            .waiting
            .send_if_modified(|before| std::mem::replace(before, messages) != messages);
        if is_new {
            self.tell(Event::Outbox { messages });
        }
    }
}

/// By the clock of this machine, in microseconds since 1970.
pub(crate) fn now_us() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or(u64::MAX)
}
