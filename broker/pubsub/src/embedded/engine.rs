//! rumqttd's router, kept at arm's length: topics in, matching filters out.
//!
//! **Promise.** When [`Engine::route`] returns `Ok`, it has reported every match of every topic of the batch, once.
//! When it returns an error nothing is known, and the batch can be routed again with another engine.
//!
//! One link carries everything: subscriptions, publishes and forwards. How the promise is kept, given rumqttd 0.20:
//! * **Completeness.** The router answers a PINGREQ when it next serves the link, acknowledgements first, then up to
//!   [`SERVED_REQUESTS`] filters with news, each with all it has. So after the publishes we ping until between two
//!   answers it had news of fewer filters than that and did not stall (`Unschedule`): then there is nothing left.
//! * **No overrun.** A batch is smaller than a segment of a filter's log, so a log cannot drop what was not read.
//!   (Offsets are checked nevertheless; a jump is reported as a loss.)
//! * **No blocking.** The router's queue has room for 1,000 events, and a batch is one event; so `send` does not block
//!   even when the router hangs, and a deadline notices that it does.
//! * **No unsubscribing.** In rumqttd an UNSUBSCRIBE in one batch with a matching publish leaves a reader behind that
//!   never goes. Filters, topics and read messages are freed by starting another engine instead ([`Engine::is_worn`]).
//! * **An end.** rumqttd's router has no shutdown: its thread waits forever on a channel that it itself keeps open. But
//!   it panics when a removed link says `Ready`, so that is how [`Engine::retire`] ends it; a panic hook keeps this
//!   quiet.

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Once};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hashbrown::{HashMap, HashSet};
use parking_lot::Mutex;
use rumqttd::local::{LinkBuilder, LinkRx, LinkTx};
use rumqttd::protocol::{
    Disconnect, DisconnectReasonCode, Filter, Packet, PingReq, Publish, QoS, RetainForwardRule, Subscribe,
    SubscribeProperties,
};
use rumqttd::{Forward, Notification, RouterConfig};

use super::subscriptions::FilterIndex;
use crate::topic::router_name;

/// Most messages in a batch.
pub(super) const BATCH_MESSAGES_MAX: usize = 512;
/// Most bytes in a batch, as [`batch_cost`] counts them; a batch of one message may exceed it.
pub(super) const BATCH_COST_MAX: usize = SEGMENT_BYTES;

/// Bytes in a segment of a filter's log, as the router counts them.
const SEGMENT_BYTES: usize = 16 * 1024;
/// Segments of a filter's log: one that is being filled, and one that its reader may still be in.
const SEGMENTS: usize = 2;
/// What the router adds to topic and payload when it counts.
const MESSAGE_OVERHEAD_BYTES: usize = 4;
/// A token is a u64.
const TOKEN_BYTES: usize = 8;
/// Filters with news that the router serves in one go (100), less a few that may turn out to have none.
const SERVED_REQUESTS: usize = 90;
/// New filters between two pings: they count as filters with news.
const NEW_FILTERS_MAX: usize = 40;
/// A router that says nothing for so long, while it is asked, hangs. Matching a full batch of new topics against 10,000
/// filters takes it some seconds.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// Bytes of distinct topic names that a router may remember; it keeps each several times.
const TOPIC_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Messages that the logs may hold, at about 400 bytes each whatever their payload.
const LOGGED_MESSAGES_MAX: usize = 250_000;
/// Messages that the log of one filter may hold.
const FILTER_LOGGED_MAX: usize = SEGMENTS * (SEGMENT_BYTES / (MESSAGE_OVERHEAD_BYTES + TOKEN_BYTES + 3) + 1);

const _: () = assert!(BATCH_COST_MAX <= (SEGMENTS - 1) * SEGMENT_BYTES);
const _: () = assert!(NEW_FILTERS_MAX < SERVED_REQUESTS);

/// The router is of no use any more.
#[derive(Debug, thiserror::Error)]
pub(super) enum EngineError {
    /// Its thread ended, or it closed the link.
    #[error("rumqttd's router ended")]
    Ended,
    /// It does not answer.
    #[error("rumqttd's router did not answer for {} s", SILENCE_MAX.as_secs())]
    Silent,
}

/// The message at place `message` of the batch matches `filter`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Match {
    pub(super) message: u32,
    pub(super) filter: FilterIndex,
}

/// What routing a batch found.
#[derive(Debug, Default)]
pub(super) struct Routed {
    /// In no particular order.
    pub(super) matches: Vec<Match>,
    /// Messages that a filter's log dropped before they were read.
    pub(super) lost: Vec<(FilterIndex, u64)>,
}

/// A running router and our link to it.
pub(super) struct Engine {
    id: usize,
    tx: LinkTx,
    rx: LinkRx,
    filters: Vec<FilterLog>,
    /// Filters that the router was told since the last batch.
    new_filters: usize,
    /// The router's name of each topic, shared with its logs.
    topics: HashMap<Arc<str>, Bytes>,
    topic_bytes: usize,
    topics_max: usize,
    /// The token of the first message of the next batch.
    next_token: u64,
    /// Messages that the logs hold at most.
    logged: usize,
}

/// What we know of the router's log of one filter.
#[derive(Debug, Default)]
struct FilterLog {
    /// The offset of the next message that it forwards.
    next_offset: u64,
    logged: usize,
}

/// What a topic counts towards [`BATCH_COST_MAX`], in bytes.
pub(super) fn batch_cost(topic: &str) -> usize {
    // Its prefix may be a byte longer than what it replaces; see `router_name`.
    MESSAGE_OVERHEAD_BYTES + TOKEN_BYTES + 2 + topic.len()
}

impl Engine {
    /// Starts a router that knows `filters`, by their place in the list.
    pub(super) fn start<'a>(filters: impl Iterator<Item = &'a str>, topics_max: usize) -> Result<Engine, EngineError> {
        Self::start_sized(filters, topics_max, SEGMENT_BYTES)
    }

    /// [`Engine::start`], with segments so small that a test can overrun them.
    pub(super) fn start_sized<'a>(
        filters: impl Iterator<Item = &'a str>,
        topics_max: usize,
        segment_bytes: usize,
    ) -> Result<Engine, EngineError> {
        /// Names routers, so that the panic hook can tell them apart.
        static NEXT_ID: AtomicUsize = AtomicUsize::new(0);

        install_panic_hook();
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let config = RouterConfig {
            max_connections: 2,
            max_outgoing_packet_count: 2 * BATCH_MESSAGES_MAX as u64,
            max_segment_size: segment_bytes,
            max_segment_count: SEGMENTS,
            // The router remembers which filters a topic matches, but only if there is one; without this log, which
            // nobody reads, every publish to a topic without subscribers would look at all filters.
            initialized_filters: Some(vec!["#".to_owned()]),
            ..RouterConfig::default()
        };
        let events = rumqttd::Router::new(id, config).spawn();
        let (tx, rx, _) = LinkBuilder::new("adapter", events)
            .build()
            .map_err(|_| EngineError::Ended)?;
        let mut engine = Engine {
            id,
            tx,
            rx,
            filters: Vec::new(),
            new_filters: 0,
            topics: HashMap::new(),
            topic_bytes: 0,
            topics_max,
            next_token: 0,
            // The log that nobody reads.
            logged: FILTER_LOGGED_MAX,
        };
        for filter in filters {
            engine.subscribe(filter)?;
        }
        Ok(engine)
    }

    /// Tells the router a filter, whose index is the next one. It must be told only once.
    pub(super) fn subscribe(&mut self, filter: &str) -> Result<(), EngineError> {
        self.filters.push(FilterLog::default());
        let filter = Filter {
            path: router_name(filter),
            qos: QoS::AtMostOnce,
            nolocal: false,
            preserve_retain: false,
            retain_forward_rule: RetainForwardRule::Never,
        };
        // The identifier names the filter in its forwards. 0 is not allowed, so it is the index plus one.
        let identifier = SubscribeProperties {
            id: Some(self.filters.len()),
            user_properties: Vec::new(),
        };
        let packet = Packet::Subscribe(
            Subscribe {
                pkid: 0,
                filters: vec![filter],
            },
            Some(identifier),
        );
        self.tx.buffer().push_back(packet);
        self.new_filters += 1;
        if self.new_filters >= NEW_FILTERS_MAX {
            self.ping()?;
            self.finish(0, &mut Routed::default())?;
        }
        Ok(())
    }

    /// Adds to `found` what `topics` match: at most [`BATCH_MESSAGES_MAX`] topics, of at most [`BATCH_COST_MAX`].
    pub(super) fn route<'a>(
        &mut self,
        topics: impl ExactSizeIterator<Item = &'a Arc<str>>,
        found: &mut Routed,
    ) -> Result<(), EngineError> {
        let first_token = self.next_token;
        self.next_token += topics.len() as u64;
        let packets: Vec<_> = (first_token..)
            .zip(topics)
            .map(|(token, topic)| {
                let token = Bytes::copy_from_slice(&token.to_be_bytes());
                Packet::Publish(Publish::new(self.topic(topic), token, false), None)
            })
            .collect();
        self.tx.buffer().extend(packets);
        self.ping()?;
        self.finish(first_token, found)
    }

    /// Whether the router remembers so much that it is time for another one.
    pub(super) fn is_worn(&self) -> bool {
        self.topics.len() >= self.topics_max
            || self.topic_bytes >= TOPIC_BYTES_MAX
            || self.logged >= LOGGED_MESSAGES_MAX
    }

    /// Ends the router's thread, which frees its memory.
    pub(super) fn retire(mut self) {
        retired().lock().insert(self.id);
        if self.crash().is_err() {
            // It had ended already.
            retired().lock().remove(&self.id);
        }
    }

    /// Makes the router panic: a link that is gone says that it is ready.
    pub(super) fn crash(&mut self) -> Result<(), EngineError> {
        let reason_code = DisconnectReasonCode::NormalDisconnection;
        self.send(Packet::Disconnect(Disconnect { reason_code }, None))?;
        self.rx.ready().map_err(|_| EngineError::Ended)
    }

    fn topic(&mut self, topic: &Arc<str>) -> Bytes {
        if let Some(name) = self.topics.get(topic) {
            return name.clone();
        }
        let name = Bytes::from(router_name(topic));
        self.topic_bytes += name.len();
        self.topics.insert(Arc::clone(topic), name.clone());
        name
    }

    fn ping(&mut self) -> Result<(), EngineError> {
        self.send(Packet::PingReq(PingReq))
    }

    /// Queues `packet` and wakes the router.
    fn send(&mut self, packet: Packet) -> Result<(), EngineError> {
        // `LinkTx::send` is async in name only: it sends with the blocking call of its channel, which has room.
        let sending = pin!(self.tx.send(packet));
        match sending.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(_)) => Ok(()),
            Poll::Ready(Err(_)) | Poll::Pending => Err(EngineError::Ended),
        }
    }

    /// Reads until the router has nothing more to say about the batch. A ping is under way.
    fn finish(&mut self, first_token: u64, found: &mut Routed) -> Result<(), EngineError> {
        let mut rounds = 0;
        loop {
            let round = self.read_news(first_token, found)?;
            rounds += 1;
            // What comes before the first answer may be from before the batch reached the router.
            if rounds > 1 && !round.stalled && round.filters + self.new_filters <= SERVED_REQUESTS {
                self.new_filters = 0;
                return Ok(());
            }
            self.ping()?;
        }
    }

    /// Reads up to the answer to the ping that is under way.
    fn read_news(&mut self, first_token: u64, found: &mut Routed) -> Result<News, EngineError> {
        let deadline = Instant::now() + SILENCE_MAX;
        let mut round = News::default();
        let mut last = None;
        loop {
            let notification = self.rx.recv_deadline(deadline).map_err(|error| match error {
                rumqttd::local::LinkError::RecvTimeout(flume::RecvTimeoutError::Timeout) => EngineError::Silent,
                _ => EngineError::Ended,
            })?;
            match notification {
                Some(Notification::Forward(forward)) => {
                    let filter = self.record(&forward, first_token, found);
                    round.filters += usize::from(filter != last);
                    last = filter;
                }
                Some(Notification::Unschedule) => {
                    round.stalled = true;
                    self.rx.ready().map_err(|_| EngineError::Ended)?;
                }
                Some(Notification::DeviceAck(ack)) => {
                    if matches!(Packet::from(ack), Packet::PingResp(_)) {
                        return Ok(round);
                    }
                }
                Some(Notification::Disconnect(..)) => return Err(EngineError::Ended),
                Some(_) | None => {}
            }
        }
    }

    /// Notes one forward; returns its filter.
    fn record(&mut self, forward: &Forward, first_token: u64, found: &mut Routed) -> Option<FilterIndex> {
        let identifier = forward.properties.as_ref()?.subscription_identifiers.first()?;
        let index = identifier.checked_sub(1)?;
        let filter = FilterIndex(u32::try_from(index).ok()?);
        let log = self.filters.get_mut(index)?;
        let (_, offset) = forward.cursor?;
        if offset > log.next_offset {
            found.lost.push((filter, offset - log.next_offset));
        }
        log.next_offset = offset + 1;
        if log.logged < FILTER_LOGGED_MAX {
            log.logged += 1;
            self.logged += 1;
        }
        let token = u64::from_be_bytes(forward.publish.payload.as_ref().try_into().ok()?);
        match token
            .checked_sub(first_token)
            .and_then(|place| u32::try_from(place).ok())
        {
            Some(message) => found.matches.push(Match { message, filter }),
            // It belongs to a batch that is done: the argument for completeness above has a hole.
            None => found.lost.push((filter, 1)),
        }
        Some(filter)
    }
}

/// What came between two answers to pings.
#[derive(Debug, Default)]
struct News {
    /// How often the filter changed from one forward to the next: at least the number of filters with news.
    filters: usize,
    /// The router stopped serving the link until we said that we are ready.
    stalled: bool,
}

/// Routers whose panic is meant.
fn retired() -> &'static Mutex<HashSet<usize>> {
    static RETIRED: Mutex<Option<&'static Mutex<HashSet<usize>>>> = Mutex::new(None);
    RETIRED.lock().get_or_insert_with(|| Box::leak(Box::default()))
}

/// Keeps the panics of retired routers quiet; all others go to the hook that was there before.
fn install_panic_hook() {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let thread = std::thread::current();
            let id = thread
                .name()
                .and_then(|name| name.strip_prefix("router-"))
                .and_then(|id| id.parse().ok());
            if !id.is_some_and(|id: usize| retired().lock().remove(&id)) {
                before(info);
            }
        }));
    });
}
