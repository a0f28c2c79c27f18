//! The contract of ordinary topics, of each engine.
//!
//! What the router does for its users is here; `robustness` has what it withstands. Nothing waits by time: a
//! subscription is made only after everything published before it was delivered, so [`Setup::settle`] is a barrier.

mod robustness;

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

/// Goal: an empty payload clears a retained message only with RETAIN, and is still forwarded to those who are
/// subscribed (MQTT-3.3.1-6, MQTT-3.3.1-7).
async fn mqtt_3_3_1_6_only_an_empty_retained_message_clears(engine: Engine) {
    let (setup, live) = (Setup::new(engine), recorder());
    setup.subscribe(1, &live, 1, "a/b").await;
    setup.router.publish(retained("a/b", "kept")).await.unwrap();
    setup.publish("a/b", "").await;
    let late = recorder();
    setup.subscribe(2, &late, 7, "a/+").await;
    assert_eq!(late.taken(), ["7 a/b kept R"]);
    setup.router.publish(retained("a/b", "")).await.unwrap();
    let later = recorder();
    setup.subscribe(3, &later, 8, "a/+").await;
    assert!(later.taken().is_empty());
    let flags: Vec<_> = live
        .take()
        .iter()
        .map(|d| (d.message.payload.len(), d.message.retain, d.retained))
        .collect();
    assert_eq!(flags, [(4, true, false), (0, false, false), (0, true, false)]);
    assert_eq!(late.taken(), ["7 a/b "]);
}

/// Goal: retained messages come at every subscription that asks, all of them, and never to a shared one or an expired
/// one (MQTT 5, sections 3.8.3.1, 3.8.4 and 4.8.2; MQTT-3.3.2-5).
async fn mqtt_3_8_4_retained_messages_are_sent_again_on_subscribing_again(engine: Engine) {
    let (setup, sink) = (Setup::new(engine), recorder());
    for n in 0..1_500 {
        setup.router.publish(retained(&format!("r/{n:04}"), "x")).await.unwrap();
    }
    setup
        .router
        .publish(OrdinaryMessage {
            expiry: expiry(Age(0), Some(0)),
            ..retained("r/expired", "x")
        })
        .await
        .unwrap();
    let expected: Vec<_> = (0..1_500).map(|n| format!("1 r/{n:04} x R")).collect();
    setup.subscribe(1, &sink, 1, "r/#").await;
    assert_eq!(sink.taken(), expected);
    setup.subscribe(1, &sink, 1, "r/#").await;
    assert_eq!(sink.taken(), expected);
    setup.share(1, &sink, 2, "r/#", Some("group")).await;
    let quiet = Arc::clone(&sink) as Arc<dyn Sink>;
    setup
        .router
        .subscribe(SessionKey(1), quiet, 1, "r/#", None, false)
        .await
        .unwrap();
    assert!(sink.taken().is_empty());
}

/// Goal: a retained message beyond the limit is refused and reaches nobody; others go on.
async fn a_retained_message_beyond_the_limit_is_refused(engine: Engine) {
    let setup = Setup::with(RouterOptions {
        retained_messages_max: 1,
        ..options(engine)
    });
    let sink = recorder();
    setup.subscribe(1, &sink, 1, "#").await;
    setup.router.publish(retained("a/1", "x")).await.unwrap();
    assert_eq!(
        setup.router.publish(retained("a/2", "x")).await,
        Err(PublishError::RetainedFull)
    );
    setup.publish("a/2", "y").await;
    setup.settle().await;
    assert_eq!(sink.taken(), ["1 a/1 x", "1 a/2 y"]);
}

/// Goal: each message goes to one member of each (share, filter), in turn; equal share names with other filters are
/// other subscriptions, and plain subscriptions are not concerned (MQTT 5, section 4.8.2).
async fn mqtt_4_8_2_a_shared_subscription_delivers_to_one_member(engine: Engine) {
    let setup = Setup::new(engine);
    let sinks = [recorder(), recorder(), recorder()];
    setup.share(0, &sinks[0], 1, "s/+", Some("g")).await;
    setup.share(1, &sinks[1], 1, "s/+", Some("g")).await;
    setup.share(1, &sinks[1], 2, "s/#", Some("g")).await;
    setup.share(2, &sinks[2], 3, "s/+", Some("other")).await;
    setup.subscribe(2, &sinks[2], 4, "s/+").await;
    for n in 0..4 {
        setup.publish("s/x", &n.to_string()).await;
    }
    setup.settle().await;
    assert_eq!(sinks[0].taken(), ["1 s/x 0", "1 s/x 2"]);
    assert_eq!(
        sinks[1].taken(),
        ["2 s/x 0", "1 s/x 1", "2 s/x 1", "2 s/x 2", "1 s/x 3", "2 s/x 3"]
    );
    let all: Vec<_> = (0..4)
        .flat_map(|n| [format!("3 s/x {n}"), format!("4 s/x {n}")])
        .collect();
    assert_eq!(sinks[2].taken(), all);
}

/// Goal: members that are offline are passed over while another is online, and members that left are never chosen
/// (MQTT 5, section 4.8.2).
async fn mqtt_4_8_2_members_that_are_away_are_passed_over(engine: Engine) {
    let setup = Setup::new(engine);
    let sinks = [recorder(), recorder(), recorder()];
    for (session, sink) in (0..).zip(&sinks) {
        setup.share(session, sink, 1, "s/+", Some("g")).await;
    }
    sinks[0].offline.store(true, Ordering::Relaxed);
    for n in 0..4 {
        setup.publish("s/x", &n.to_string()).await;
    }
    setup.router.unsubscribe(SessionKey(1), 1).await;
    setup.publish("s/x", "4").await;
    setup.router.close(SessionKey(2)).await;
    setup.publish("s/x", "5").await;
    setup.router.close(SessionKey(0)).await;
    setup.publish("s/x", "6").await;
    setup.settle().await;
    assert_eq!(sinks[1].taken(), ["1 s/x 0", "1 s/x 2"]);
    assert_eq!(sinks[2].taken(), ["1 s/x 1", "1 s/x 3", "1 s/x 4"]);
    assert_eq!(sinks[0].taken(), ["1 s/x 5"]);
}

/// Goal: members for whom messages wait are passed over while others have fewer.
async fn mqtt_4_8_2_slow_members_are_passed_over(engine: Engine) {
    let setup = Setup::new(engine);
    let sinks = [recorder(), recorder(), recorder()];
    for (session, sink) in (0..).zip(&sinks) {
        setup.share(session, sink, 1, "s/+", Some("g")).await;
    }
    sinks[0].waiting.store(10, Ordering::Relaxed);
    sinks[2].waiting.store(1, Ordering::Relaxed);
    for n in 0..3 {
        setup.publish("s/x", &n.to_string()).await;
        setup.settle().await;
    }
    assert_eq!(sinks[1].taken(), ["1 s/x 0", "1 s/x 1", "1 s/x 2"]);
    sinks[1].offline.store(true, Ordering::Relaxed);
    setup.publish("s/x", "3").await;
    setup.settle().await;
    assert_eq!(sinks[2].taken(), ["1 s/x 3"]);
    assert!(sinks[0].taken().is_empty());
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

/// Goal: messages of a member that has left go to another one, in order; without another one they are counted as lost (MQTT 5, section 4.8.2).
async fn mqtt_4_8_2_what_a_member_leaves_goes_to_another(engine: Engine) {
    let (setup, sinks) = (Setup::new(engine), [recorder(), recorder()]);
    for (session, sink) in (0..).zip(&sinks) {
        setup.share(session, sink, 1, "s/+", Some("g")).await;
    }
    for n in 0..4 {
        setup.publish("s/x", &n.to_string()).await;
    }
    setup.router.close_and_wait(SessionKey(0)).await;
    let orphans = |sink: &Recorder| {
        let of = |delivery: OrdinaryDelivery| Orphan {
            filter: "s/+".into(),
            share: "g".into(),
            message: delivery.message,
        };
        sink.take().into_iter().map(of).collect::<Vec<_>>()
    };
    let left = orphans(&sinks[0]);
    assert_eq!((left.len(), setup.router.hand_over(left).await), (2, 0));
    let of_another_share = Orphan {
        filter: "s/+".into(),
        share: "h".into(),
        message: Arc::new(message("s/x", "4")),
    };
    assert_eq!(setup.router.hand_over(vec![of_another_share]).await, 1);
    let taken: Vec<_> = sinks[1].take();
    let texts = taken
        .iter()
        .map(|d| String::from_utf8_lossy(&d.message.payload).into_owned());
    assert_eq!(texts.collect::<Vec<_>>(), ["1", "3", "0", "2"]);
    setup.router.close_and_wait(SessionKey(1)).await;
    let nobody_is_left = vec![Orphan {
        filter: "s/+".into(),
        share: "g".into(),
        message: Arc::new(message("s/x", "5")),
    }];
    assert_eq!(setup.router.hand_over(nobody_is_left).await, 1);
    assert_eq!(setup.router.orphans_lost(), 2);
}

of_every_engine! {
    mqtt_4_7_wildcards_reach_the_subscriptions_that_match
    mqtt_3_3_a_message_arrives_as_it_was_published
    mqtt_4_6_0_6_the_order_of_publishing_is_kept_across_bursts_and_filters
    mqtt_3_3_1_6_only_an_empty_retained_message_clears
    mqtt_3_8_4_retained_messages_are_sent_again_on_subscribing_again
    a_retained_message_beyond_the_limit_is_refused
    mqtt_4_8_2_a_shared_subscription_delivers_to_one_member
    mqtt_4_8_2_members_that_are_away_are_passed_over
    mqtt_4_8_2_slow_members_are_passed_over
    mqtt_3_8_4_and_3_10_4_subscriptions_take_effect_when_the_call_returns
    mqtt_3_8_4_3_subscribing_again_replaces
    mqtt_3_4_2_1_a_publisher_is_told_that_nobody_is_there
    mqtt_4_8_2_what_a_member_leaves_goes_to_another
}
