//! The contract of ordinary topics, of each engine.
//!
//! What the router does for its users is here, in `keeping`, in `retaining`, in `durable`, in `pages` and in `shared`; `robustness` has what it withstands. Nothing waits by time: a
//! subscription is made only after everything published before it was delivered, so [`Setup::settle`] is a barrier.

mod durable;
mod keeping;
mod memory_store;
mod pages;
mod retaining;
mod robustness;
mod shared;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::*;

/// Makes each of these functions a test of every engine.
macro_rules! of_every_engine {
    ($($name:ident)*) => {
        mod native {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::Engine::Native).await;
            })*
        }
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::Engine::Rumqttd).await;
            })*
        }
    };
}
use of_every_engine;

/// What the clock shows, always.
const NOW: Age = Age(10_000_000);
const BARRIER: SessionKey = SessionKey(u64::MAX);

/// A message from `alice`, at most once, not retained.
pub(super) fn message(topic: &str, payload: &str) -> OrdinaryMessage {
    OrdinaryMessage {
        topic: topic.into(),
        retain: false,
        qos: Qos::AtMostOnce,
        from: ClientId::new("alice").unwrap(),
        expiry: None,
        payload: Bytes::copy_from_slice(payload.as_bytes()),
        properties: None,
    }
}

pub(super) fn retained(topic: &str, payload: &str) -> OrdinaryMessage {
    OrdinaryMessage {
        retain: true,
        ..message(topic, payload)
    }
}

/// Remembers what it was given.
#[derive(Default)]
pub(super) struct Recorder {
    deliveries: Mutex<Vec<OrdinaryDelivery>>,
    lost: AtomicU64,
    offline: AtomicBool,
    waiting: AtomicUsize,
}

impl Sink for Recorder {
    fn deliver(&self, batch: &mut Vec<OrdinaryDelivery>) {
        self.deliveries.lock().append(batch);
    }

    fn lost(&self, messages: u64) {
        self.lost.fetch_add(messages, Ordering::Relaxed);
    }

    fn waiting(&self) -> Option<usize> {
        let is_online = !self.offline.load(Ordering::Relaxed);
        is_online.then(|| self.waiting.load(Ordering::Relaxed))
    }
}

impl Recorder {
    pub(super) fn take(&self) -> Vec<OrdinaryDelivery> {
        std::mem::take(&mut *self.deliveries.lock())
    }

    /// `subscription topic payload`, and ` R` for retained ones. The order of a session's subscriptions within one message is free, so it is
    /// by their numbers here.
    pub(super) fn taken(&self) -> Vec<String> {
        let mut all = self.take();
        all.chunk_by_mut(|a, b| Arc::ptr_eq(&a.message, &b.message))
            .for_each(|one| one.sort_by_key(|delivery| delivery.subscription));
        let text = |d: &OrdinaryDelivery| {
            let payload = String::from_utf8_lossy(&d.message.payload);
            format!(
                "{} {} {payload}{}",
                d.subscription,
                d.message.topic,
                if d.retained { " R" } else { "" }
            )
        };
        all.iter().map(text).collect()
    }

    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

pub(super) struct Setup {
    pub(super) router: Router,
}

/// What is usual with this engine.
pub(super) fn options(engine: Engine) -> RouterOptions {
    RouterOptions {
        engine,
        filters_max: engine.filters_max(),
        ..RouterOptions::default()
    }
}

impl Setup {
    pub(super) fn new(engine: Engine) -> Self {
        Self::with(options(engine))
    }

    pub(super) fn with(options: RouterOptions) -> Self {
        Setup {
            router: Router::start(options, Arc::new(|| NOW)).unwrap(),
        }
    }

    pub(super) async fn publish(&self, topic: &str, payload: &str) {
        self.router.publish(message(topic, payload)).await.unwrap();
    }

    pub(super) async fn subscribe(&self, session: u64, sink: &Arc<Recorder>, subscription: u32, filter: &str) {
        self.share(session, sink, subscription, filter, None).await;
    }

    pub(super) async fn share(
        &self,
        session: u64,
        sink: &Arc<Recorder>,
        subscription: u32,
        filter: &str,
        share: Option<&str>,
    ) {
        let sink = Arc::clone(sink) as Arc<dyn Sink>;
        self.router
            .subscribe(SessionKey(session), sink, subscription, filter, share, true)
            .await
            .unwrap();
    }

    /// Makes rumqttd's router panic, if that is the engine.
    pub(super) async fn crash(&self) {
        if let Behind::Rumqttd(engine) = &self.router.engine {
            engine.crash().await;
        }
    }

    /// Returns when everything published before is in the sinks.
    pub(super) async fn settle(&self) {
        let sink = Arc::new(Recorder::default());
        self.router
            .subscribe(BARRIER, sink, 0, "barrier/only", None, false)
            .await
            .unwrap();
    }
}

pub(super) fn recorder() -> Arc<Recorder> {
    Arc::default()
}

/// Goal: a message meets each matching subscription once, with the number of that subscription, and no `$` topic meets
/// a wildcard (MQTT 5, sections 4.7.1 and 4.7.2).
async fn mqtt_4_7_wildcards_reach_the_subscriptions_that_match(engine: Engine) {
    let (setup, sink) = (Setup::new(engine), recorder());
    for (number, filter) in (1..).zip(["#", "a/+", "a/#", "+/b", "$SYS/#", "a/b"]) {
        setup.subscribe(1, &sink, number, filter).await;
    }
    for topic in ["a/b", "a/c", "a", "/b", "$SYS/b", "é/b"] {
        setup.publish(topic, "x").await;
    }
    setup.settle().await;
    let expected = [
        "1 a/b x",
        "2 a/b x",
        "3 a/b x",
        "4 a/b x",
        "6 a/b x",
        "1 a/c x",
        "2 a/c x",
        "3 a/c x",
        "1 a x",
        "3 a x",
        "1 /b x",
        "4 /b x",
        "5 $SYS/b x",
        "1 é/b x",
        "4 é/b x",
    ];
    assert_eq!(sink.taken(), expected);
    setup.router.shutdown().await;
}

/// Goal: everything that the publisher said arrives as it was said, an empty payload included (MQTT 5, section 3.3).
async fn mqtt_3_3_a_message_arrives_as_it_was_published(engine: Engine) {
    let (setup, sink) = (Setup::new(engine), recorder());
    setup.subscribe(1, &sink, 1, "a/b").await;
    let user = vec![("k".into(), "1".into()), ("k".into(), "2".into())];
    let full = OrdinaryMessage {
        qos: Qos::ExactlyOnce,
        expiry: expiry(NOW, Some(4)),
        properties: Some(Box::new(Properties {
            content_type: Some("text/plain".into()),
            user,
            ..Properties::default()
        })),
        ..retained("a/b", "payload")
    };
    let empty = OrdinaryMessage {
        qos: Qos::AtLeastOnce,
        ..message("a/b", "")
    };
    setup.router.publish(full.clone()).await.unwrap();
    setup.router.publish(empty.clone()).await.unwrap();
    setup.settle().await;
    let got: Vec<_> = sink
        .take()
        .into_iter()
        .map(|d| (d.subscription, (*d.message).clone(), d.retained))
        .collect();
    assert_eq!(got, [(1, full, false), (1, empty, false)]);
}

/// Goal: what one publisher sends arrives in its order, across bursts, topics and overlapping subscriptions
/// (MQTT-4.6.0-6).
async fn mqtt_4_6_0_6_the_order_of_publishing_is_kept_across_bursts_and_filters(engine: Engine) {
    let (setup, sink) = (Setup::new(engine), recorder());
    for (number, filter) in (1..).zip(["a/#", "b/+", "+/x"]) {
        setup.subscribe(1, &sink, number, filter).await;
    }
    let mut expected = Vec::new();
    for n in 0..3_000 {
        let topic = if n % 2 == 0 { "a/x" } else { "b/x" };
        setup.publish(topic, &n.to_string()).await;
        expected.push(format!("{} {topic} {n}", 1 + n % 2));
        expected.push(format!("3 {topic} {n}"));
    }
    setup.settle().await;
    assert_eq!(sink.taken(), expected);
    assert_eq!((setup.router.lost(), setup.router.restarts()), (0, 0));
}

/// Goal: what is published after `subscribe` returned is delivered, and nothing after `unsubscribe` returned, also when
/// the same filter comes back (MQTT 5, sections 3.8.4 and 3.10.4).
async fn mqtt_3_8_4_and_3_10_4_subscriptions_take_effect_when_the_call_returns(engine: Engine) {
    let (setup, sink) = (Setup::new(engine), recorder());
    let mut expected = Vec::new();
    for n in 0..300 {
        setup.publish("x/y", "before").await;
        setup.subscribe(1, &sink, n, "x/y").await;
        setup.publish("x/y", &n.to_string()).await;
        setup.router.unsubscribe(SessionKey(1), n).await;
        expected.push(format!("{n} x/y {n}"));
    }
    setup.settle().await;
    assert_eq!(sink.taken(), expected);
}

/// Goal: subscribing again to the same filter replaces the subscription, so a message still comes once; a number moved
/// to another filter leaves the old one (MQTT-3.8.4-3).
async fn mqtt_3_8_4_3_subscribing_again_replaces(engine: Engine) {
    let (setup, sink) = (Setup::new(engine), recorder());
    setup.subscribe(1, &sink, 1, "a/b").await;
    setup.subscribe(1, &sink, 2, "a/b").await;
    setup.publish("a/b", "one").await;
    setup.router.unsubscribe(SessionKey(1), 1).await;
    setup.publish("a/b", "two").await;
    setup.subscribe(1, &sink, 2, "c/d").await;
    setup.publish("a/b", "three").await;
    setup.publish("c/d", "four").await;
    setup.settle().await;
    assert_eq!(sink.taken(), ["2 a/b one", "2 a/b two", "2 c/d four"]);
}

/// Goal: "nobody" is said when nobody is subscribed, and never otherwise; a shared subscription is somebody (MQTT 5, section 3.4.2.1).
async fn mqtt_3_4_2_1_a_publisher_is_told_that_nobody_is_there(engine: Engine) {
    let (setup, sink) = (Setup::new(engine), recorder());
    let reach = async |topic: &str| {
        let message = OrdinaryMessage {
            qos: Qos::AtLeastOnce,
            ..message(topic, "x")
        };
        setup.router.publish(message).await.unwrap()
    };
    assert_eq!(reach("a/b").await, Reach::Nobody);
    setup.subscribe(1, &sink, 1, "a/b").await;
    setup.subscribe(1, &sink, 2, "c/+/#").await;
    setup.share(2, &sink, 1, "s/b", Some("g")).await;
    for topic in ["a/b", "c/d", "c/d/e/f", "s/b"] {
        assert_eq!(reach(topic).await, Reach::Somebody, "{topic}");
    }
    for topic in ["a", "a/b/c", "c", "s"] {
        assert_eq!(reach(topic).await, Reach::Nobody, "{topic}");
    }
    setup.router.close(SessionKey(1)).await;
    setup.settle().await;
    assert_eq!((reach("a/b").await, reach("c/d").await), (Reach::Nobody, Reach::Nobody));
}

of_every_engine! {
    mqtt_4_7_wildcards_reach_the_subscriptions_that_match
    mqtt_3_3_a_message_arrives_as_it_was_published
    mqtt_4_6_0_6_the_order_of_publishing_is_kept_across_bursts_and_filters
    mqtt_3_8_4_and_3_10_4_subscriptions_take_effect_when_the_call_returns
    mqtt_3_8_4_3_subscribing_again_replaces
    mqtt_3_4_2_1_a_publisher_is_told_that_nobody_is_there
}
