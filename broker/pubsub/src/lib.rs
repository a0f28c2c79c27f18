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
//! session. What a slow session does with its deliveries is the business of its [`Sink`]. Retained messages are durable where there is a
//! [`RetainedStore`], and nothing else here is.
//!
//! This crate is the only one that names rumqttd.

mod embedded;
mod native;
mod numbers;
mod options;
mod orphans;
mod place;
mod publisher;
mod retained;
mod together;
mod topic;
mod turns;

#[cfg(test)]
mod tests;

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use arcstr::ArcStr;
use bytes::Bytes;
use inbox_types::{Age, ClientId, Expiry, Properties, Qos, Refusal};
use tokio::sync::Notify;

use embedded::Embedded;
use native::Native;
pub use options::{Engine, RouterOptions};
pub use orphans::Orphan;
use place::Place;
pub use publisher::{Published, Publisher};
use retained::Retaining;
pub use retained::{Damaged, RetainedStore, Unreadable};
pub use together::{Keeper, Together};

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
    /// Takes what it can of `batch`, in order; what is left in it afterwards is dropped.
    fn deliver(&self, batch: &mut Vec<OrdinaryDelivery>);
    /// The same of a single one.
    fn deliver_one(&self, delivery: OrdinaryDelivery) {
        self.deliver(&mut vec![delivery]);
    }
    /// Whether it takes more retained messages, a page of them. If not, `wake` is notified when it does. It has room for a page that is not large,
    /// also when others come in between.
    fn has_room(&self, _wake: &Arc<Notify>) -> bool {
        true
    }
    /// Whether it keeps what is published with QoS 1 and 2: then that comes through [`Sink::keep`]. It never stops.
    fn keeps(&self) -> bool {
        false
    }
    /// Takes a delivery, and has it kept. Who published it, if somebody waits, is held on to until it is.
    fn keep(&self, delivery: OrdinaryDelivery, _publisher: Option<Arc<Publisher>>) {
        self.deliver_one(delivery);
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

/// Why a message was not published. Nobody gets it, then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// MQTT 5 reason code 0x97.
    #[error(
        "the broker holds as many retained messages as it may; clear one with an empty retained payload, or raise \
         router.retained_messages_max or router.retained_bytes_max"
    )]
    RetainedFull,
    /// It is to be retained, and the store takes nothing new.
    #[error(transparent)]
    Refused(#[from] Refusal),
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
    retaining: Arc<Retaining>,
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
    retained_unreadable: AtomicU64,
}

/// A subscription that a session asks for.
struct Wanted {
    session: SessionKey,
    sink: Arc<dyn Sink>,
    subscription: u32,
    filter: ArcStr,
    share: Option<Box<str>>,
    send_retained: bool,
}

impl Router {
    /// Starts the engine that `options` name. `now` is the age by which retained messages expire. These are in memory only.
    ///
    /// # Errors
    /// The operating system gave no thread.
    pub fn start(options: RouterOptions, now: AgeSource) -> std::io::Result<Router> {
        Router::start_on(options, now, None)
    }

    /// The same, and what is retained is kept in `store`. What that has of earlier runs is to be brought back by [`Router::restore`].
    ///
    /// # Errors
    /// The operating system gave no thread.
    pub fn start_keeping(
        options: RouterOptions,
        now: AgeSource,
        store: Arc<dyn RetainedStore>,
    ) -> std::io::Result<Router> {
        Router::start_on(options, now, Some(store))
    }

    fn start_on(
        options: RouterOptions,
        now: AgeSource,
        store: Option<Arc<dyn RetainedStore>>,
    ) -> std::io::Result<Router> {
        let counters = Arc::new(Counters::default());
        let retaining = Arc::new(Retaining::new(&options, store, now, Arc::clone(&counters)));
        let (ours, counted) = (Arc::clone(&retaining), Arc::clone(&counters));
        let engine = match options.engine {
            Engine::Native => Behind::Native(Arc::new(Native::new(&options, ours, counted))),
            Engine::Rumqttd => Behind::Rumqttd(Embedded::start(&options, ours, counted)?),
        };
        Ok(Router {
            engine,
            retaining,
            counters,
        })
    }

    /// Publishes `message` to whoever is subscribed to its topic: every subscription made before gets it. With the RETAIN flag it also replaces the
    /// retained message of its topic, or clears it when the payload is empty (MQTT-3.3.1-5, MQTT-3.3.1-6). Tells who it can reach (MQTT 5, section
    /// 3.4.2.1); of a message with QoS 0 that may be unknown.
    ///
    /// # Errors
    /// See [`PublishError`].
    pub async fn publish(&self, message: impl Into<Arc<OrdinaryMessage>>) -> Result<Reach, PublishError> {
        let message = message.into();
        match &self.engine {
            Behind::Native(engine) => engine.publish_for(message, None, None).await,
            Behind::Rumqttd(engine) => engine.publish_for(message, None, None).await,
        }
        .map(Published::reach)
    }

    /// Subscribes `session` to `filter` (valid; without `$share/…/`), in the shared subscription `share` if there is
    /// one. Every message published after this returned is delivered. With `send_retained`, and unless it is shared
    /// (MQTT 5, section 4.8.2), the retained messages are in the sink, too, when this returns, as many as it has room for; the others come when it has.
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
        filter: impl Into<ArcStr>,
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
        let replay = match &self.engine {
            Behind::Native(engine) => engine.subscribe(wanted).await?,
            Behind::Rumqttd(engine) => engine.subscribe(wanted).await?,
        };
        if let Some(replay) = replay {
            self.replay(replay).await;
        }
        Ok(())
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
        self.retaining.unsubscribed(session, subscription);
        match &self.engine {
            Behind::Native(engine) => engine.unsubscribe(session, subscription),
            Behind::Rumqttd(engine) => engine.unsubscribe(session, subscription).await,
        }
    }

    /// Ends all subscriptions of `session` and lets go of its sink. Unknown sessions are ignored.
    pub async fn close(&self, session: SessionKey) {
        self.retaining.closed(session);
        match &self.engine {
            Behind::Native(engine) => engine.close(session),
            Behind::Rumqttd(engine) => engine.close(session).await,
        }
    }

    /// Gives back memory that very many subscriptions took while they were made: to be called by the thread that made them.
    pub fn trim(&self) {
        if let Behind::Native(engine) = &self.engine {
            engine.trim();
        }
    }

    /// Delivers what was published before, and makes every later call fail.
    pub async fn shutdown(&self) {
        self.retaining.end_all();
        match &self.engine {
            Behind::Native(engine) => engine.shutdown().await,
            Behind::Rumqttd(engine) => engine.shutdown().await,
        }
    }
}

impl Behind {
    /// Delivers retained messages, in a turn of their own.
    async fn hand(&self, page: retained::Page) {
        match self {
            Behind::Native(engine) => engine.hand(page).await,
            Behind::Rumqttd(engine) => engine.hand(page).await,
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
