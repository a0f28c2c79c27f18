//! Ordinary publish/subscribe: topics with a slash, wildcards, shared subscriptions, retained messages.
//!
//! One door, [`Router`], and two engines behind it:
//!
//! | | matches | is for |
//! |---|---|---|
//! | `native` | on the thread of the publisher, in tables that are read without locks | everything |
//! | `rumqttd` | on one thread, by rumqttd's router | comparing with it: it was the only one once |
//!
//! **Promise.** Every message that [`Router::publish`] took is handed exactly once to the sink of every subscription that
//! matches it and was made before: the messages of one publisher in the order of its calls, across all subscriptions of a
//! session. What a slow session does with its deliveries is the business of its [`Sink`]. Nothing here is durable:
//! retained messages live as long as the process.
//!
//! This crate is the only one that names rumqttd.

mod embedded;
mod native;
mod numbers;
mod orphans;
mod publisher;
mod retained;
mod topic;
mod turns;

#[cfg(test)]
mod tests;

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use bytes::Bytes;
use inbox_types::{Age, ClientId, Expiry, Properties, Qos};

use embedded::Embedded;
use native::Native;
pub use orphans::Orphan;
pub use publisher::{Published, Publisher};

/// Whether the router, and the retained messages with it, take the topic filter `filter` to match the topic `name`.
pub fn matches(name: &str, filter: &str) -> bool {
    topic::matches(&topic::router_name(name), &topic::router_name(filter))
}

/// Tells how old the broker's store is: the measure of how long messages wait.
pub type AgeSource = Arc<dyn Fn() -> Age + Send + Sync>;

/// How long a message of 0 seconds may be on its way to who is there: an interval of 0 is over at once everywhere else.
const UNDER_WAY: Duration = Duration::from_secs(1);

/// When an ordinary message that was accepted at this age expires; `seconds` is what its publisher asked for. One of 0 seconds still
/// reaches the subscribers that are there (MQTT-3.3.2-5 lets a delivery go on that has begun).
pub fn expiry(accepted: Age, seconds: Option<u32>) -> Option<Expiry> {
    let interval = seconds?;
    let lives = Duration::from_secs(interval.into()).max(UNDER_WAY);
    let lives = Expiry::new(accepted, None, lives).lives();
    Some(Expiry::of(accepted, lives, Some(interval)))
}

/// A message on an ordinary topic, as its publisher sent it. It does not change, so it is shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrdinaryMessage {
    /// The real topic name; valid, without wildcards.
    pub topic: Arc<str>,
    /// The publisher's RETAIN flag (MQTT 5, section 3.3.1.3).
    pub retain: bool,
    /// The publisher's QoS.
    pub qos: Qos,
    /// The authenticated client ID of the publisher.
    pub from: ClientId,
    /// When the message expires (MQTT 5 property 0x02).
    pub expiry: Option<Expiry>,
    /// The application's bytes: a copy that shares no buffer with anything else.
    pub payload: Bytes,
    /// Boxed because most messages have none.
    pub properties: Option<Box<Properties>>,
}

/// One message for one subscription of one session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrdinaryDelivery {
    /// The number that the session gave to [`Router::subscribe`].
    pub subscription: u32,
    /// The message.
    pub message: Arc<OrdinaryMessage>,
    /// It comes from the retained messages, because of a subscription, and is not a live one.
    pub retained: bool,
    /// Where a sink that keeps it has it. Engines know of no such place.
    pub kept: Option<NonZeroU64>,
}

/// Where the deliveries of a session go. It is called on the thread of a publisher, or of an engine, so it must return at once: it must not
/// block or panic, and must not wait for anything that waits for the router.
pub trait Sink: Send + Sync {
    /// Takes what it can of `batch`, in order; what is left in it afterwards is dropped. A batch with retained messages
    /// may be as long as [`RouterOptions::retained_messages_max`].
    fn deliver(&self, batch: &mut Vec<OrdinaryDelivery>);
    /// Whether it keeps what is published with QoS 1 and 2: then that comes through [`Sink::keep`]. It never stops.
    fn keeps(&self) -> bool {
        false
    }
    /// Takes a delivery, and has it kept. Who published it, if somebody waits, is held on to until it is.
    fn keep(&self, delivery: OrdinaryDelivery, _publisher: Option<Arc<Publisher>>) {
        self.deliver(&mut vec![delivery]);
    }
    /// The router lost this many messages for this session: an overflow that happened before the sink's own queue.
    fn lost(&self, messages: u64);
    /// How many messages wait for the client, or nothing if it is not connected: by this, shared subscriptions choose a member.
    fn waiting(&self) -> Option<usize> {
        Some(0)
    }
}

/// Names a session; unique among all sessions of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionKey(pub u64);

/// What finds the subscriptions of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Engine {
    /// Tables of this crate.
    #[default]
    Native,
    /// rumqttd's router.
    Rumqttd,
}

impl Engine {
    /// All of them.
    pub const ALL: [Engine; 2] = [Engine::Native, Engine::Rumqttd];

    /// Distinct filters that it can well have. Each costs rumqttd's router some 7 KB, and the first publish to each topic looks at all of them.
    pub const fn filters_max(self) -> usize {
        match self {
            Engine::Native => 10_000_000,
            Engine::Rumqttd => 10_000,
        }
    }
}

/// The limits of ordinary publish/subscribe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouterOptions {
    /// What finds the subscriptions of a topic.
    pub engine: Engine,
    /// Distinct filters subscribed to at the same time.
    pub filters_max: usize,
    /// Retained messages.
    pub retained_messages_max: usize,
    /// The sum of [`OrdinaryMessage::size`] of the retained messages, in bytes.
    pub retained_bytes_max: usize,
    /// Embedded: calls that wait for the router, before [`Router::publish`] and its siblings wait.
    pub queue_commands_max: usize,
    /// Embedded: bytes of accepted messages that are not yet with the sinks, before [`Router::publish`] waits.
    pub queue_bytes_max: usize,
    /// Embedded: distinct topics that the router remembers before it is replaced by a fresh one (nobody notices).
    pub topics_max: usize,
}

impl Default for RouterOptions {
    fn default() -> Self {
        RouterOptions {
            engine: Engine::default(),
            filters_max: Engine::default().filters_max(),
            retained_messages_max: 10_000,
            retained_bytes_max: 64 * 1024 * 1024,
            queue_commands_max: 1_024,
            queue_bytes_max: 32 * 1024 * 1024,
            topics_max: 100_000,
        }
    }
}

/// Why a message was not published. Nobody gets it, then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// MQTT 5 reason code 0x97.
    #[error(
        "the broker holds as many retained messages as it may; clear one with an empty retained payload, or raise \
         router.retained_messages_max or router.retained_bytes_max"
    )]
    RetainedFull,
    /// The router was shut down, or no router could be started.
    #[error("publish/subscribe on ordinary topics has stopped; restart the broker")]
    Stopped,
}

/// Why a subscription was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SubscribeError {
    /// MQTT 5 reason code 0x97.
    #[error("the broker holds as many different topic filters as it may ({0}); raise router.filters_max")]
    FiltersFull(usize),
    /// Each level of a filter with wildcards costs memory, and time of every publisher. MQTT 5 reason code 0x97.
    #[error("a topic filter with wildcards has at most {0} levels here; take one with fewer")]
    TooManyLevels(usize),
    /// The router was shut down, or no router could be started.
    #[error("publish/subscribe on ordinary topics has stopped; restart the broker")]
    Stopped,
}

/// Who a message can reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// No subscription matches its topic.
    Nobody,
    /// Some may.
    Somebody,
}

/// A handle to the ordinary topics; clones share one router. When the last handle goes, the router ends.
#[derive(Clone)]
pub struct Router {
    engine: Behind,
    counters: Arc<Counters>,
}

#[derive(Clone)]
enum Behind {
    Native(Arc<Native>),
    Rumqttd(Embedded),
}

/// What happened since the start.
#[derive(Debug, Default)]
struct Counters {
    restarts: AtomicU64,
    refreshes: AtomicU64,
    lost: AtomicU64,
    orphans_lost: AtomicU64,
    /// Of now.
    filters: AtomicU64,
    /// Of now.
    retained: AtomicU64,
}

/// A subscription that a session asks for.
struct Wanted {
    session: SessionKey,
    sink: Arc<dyn Sink>,
    subscription: u32,
    filter: Arc<str>,
    share: Option<Box<str>>,
    send_retained: bool,
}

/// Where a subscription is listed: by names, which stay what they are when tables change.
#[derive(Clone, PartialEq, Eq)]
struct Place {
    filter: Arc<str>,
    share: Option<Box<str>>,
}

impl Router {
    /// Starts the engine that `options` name. `now` is the age by which retained messages expire.
    ///
    /// # Errors
    /// The operating system gave no thread.
    pub fn start(options: RouterOptions, now: AgeSource) -> std::io::Result<Router> {
        let counters = Arc::new(Counters::default());
        let engine = match options.engine {
            Engine::Native => Behind::Native(Arc::new(Native::new(&options, now, Arc::clone(&counters)))),
            Engine::Rumqttd => Behind::Rumqttd(Embedded::start(&options, now, Arc::clone(&counters))?),
        };
        Ok(Router { engine, counters })
    }

    /// Publishes `message` to whoever is subscribed to its topic: every subscription made before gets it. With the RETAIN flag it also replaces the
    /// retained message of its topic, or clears it when the payload is empty (MQTT-3.3.1-5, MQTT-3.3.1-6). Tells who it can reach (MQTT 5, section
    /// 3.4.2.1); of a message with QoS 0 that may be unknown.
    ///
    /// # Errors
    /// See [`PublishError`].
    pub async fn publish(&self, message: OrdinaryMessage) -> Result<Reach, PublishError> {
        match &self.engine {
            Behind::Native(engine) => engine.publish_for(message, None).await,
            Behind::Rumqttd(engine) => engine.publish_for(message, None).await,
        }
        .map(Published::reach)
    }

    /// Subscribes `session` to `filter` (valid; without `$share/…/`), in the shared subscription `share` if there is
    /// one. Every message published after this returned is delivered. With `send_retained`, and unless it is shared
    /// (MQTT 5, section 4.8.2), the retained messages are in the sink, too, when this returns.
    ///
    /// A session that subscribes again to the same filter (in the same share) replaces its subscription and misses
    /// nothing in between (MQTT-3.8.4-3). A `subscription` number in use for another filter is moved to this one.
    ///
    /// # Errors
    /// See [`SubscribeError`]; the session's subscriptions are as before, then.
    pub async fn subscribe(
        &self,
        session: SessionKey,
        sink: Arc<dyn Sink>,
        subscription: u32,
        filter: &str,
        share: Option<&str>,
        send_retained: bool,
    ) -> Result<(), SubscribeError> {
        let wanted = Wanted {
            session,
            sink,
            subscription,
            filter: filter.into(),
            share: share.map(Box::from),
            send_retained: send_retained && share.is_none(),
        };
        match &self.engine {
            Behind::Native(engine) => engine.subscribe(wanted).await,
            Behind::Rumqttd(engine) => engine.subscribe(wanted).await,
        }
    }

    /// Who a message on `topic` that [`Router::publish`] took before can reach (MQTT 5, section 3.4.2.1).
    pub fn reach(&self, topic: &str) -> Reach {
        match &self.engine {
            Behind::Native(engine) => engine.reach(topic),
            Behind::Rumqttd(engine) => engine.reach(topic),
        }
    }

    /// Ends a subscription: what is published after this returned is not delivered. Unknown ones are ignored.
    pub async fn unsubscribe(&self, session: SessionKey, subscription: u32) {
        match &self.engine {
            Behind::Native(engine) => engine.unsubscribe(session, subscription),
            Behind::Rumqttd(engine) => engine.unsubscribe(session, subscription).await,
        }
    }

    /// Ends all subscriptions of `session` and lets go of its sink. Unknown sessions are ignored.
    pub async fn close(&self, session: SessionKey) {
        match &self.engine {
            Behind::Native(engine) => engine.close(session),
            Behind::Rumqttd(engine) => engine.close(session).await,
        }
    }

    /// Delivers what was published before, and makes every later call fail.
    pub async fn shutdown(&self) {
        match &self.engine {
            Behind::Native(engine) => engine.shutdown().await,
            Behind::Rumqttd(engine) => engine.shutdown().await,
        }
    }
}

impl OrdinaryMessage {
    /// What this message counts towards byte limits: topic, payload and properties, in bytes.
    pub fn size(&self) -> usize {
        let properties = self.properties.as_ref().map_or(0, |p| {
            p.content_type.as_ref().map_or(0, |s| s.len())
                + p.response_topic.as_ref().map_or(0, |s| s.len())
                + p.correlation_data.as_ref().map_or(0, |b| b.len())
                + p.user.iter().map(|(k, v)| k.len() + v.len()).sum::<usize>()
        });
        self.topic.len() + self.payload.len() + properties
    }

    /// Whether its time is over at `now`.
    pub fn is_expired(&self, now: Age) -> bool {
        self.expiry.is_some_and(|expiry| expiry.is_over(now))
    }
}
