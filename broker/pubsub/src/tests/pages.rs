//! Very many retained messages for a subscription: as the sink has room, and never an old one after a newer one.

use std::collections::HashMap;

use super::memory_store::MemoryStore;
use super::*;

/// Takes so many retained messages before somebody takes them out.
#[derive(Default)]
struct Narrow {
    recorder: Recorder,
    hungry: Mutex<Vec<Arc<Notify>>>,
}

const ROOM: usize = 100;

impl Sink for Narrow {
    fn deliver(&self, batch: &mut Vec<OrdinaryDelivery>) {
        self.recorder.deliver(batch);
    }

    fn has_room(&self, wake: &Arc<Notify>) -> bool {
        let mut hungry = self.hungry.lock();
        let has_room = self.recorder.deliveries.lock().len() < ROOM;
        if !has_room {
            hungry.push(Arc::clone(wake));
        }
        has_room
    }

    fn lost(&self, messages: u64) {
        Sink::lost(&self.recorder, messages);
    }
}

impl Narrow {
    fn take(&self) -> Vec<OrdinaryDelivery> {
        let taken = self.recorder.take();
        for wake in std::mem::take(&mut *self.hungry.lock()) {
            wake.notify_one();
        }
        taken
    }

    /// Takes until nothing comes for a while that is long for what is in memory.
    async fn take_all(&self) -> Vec<OrdinaryDelivery> {
        let (mut all, mut quiet) = (Vec::new(), 0);
        while quiet < 100 {
            let taken = self.take();
            quiet = if taken.is_empty() { quiet + 1 } else { 0 };
            all.extend(taken);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        all
    }
}

const MESSAGES: usize = 5_000;

async fn with_many(engine: Engine) -> (Setup, Arc<Narrow>) {
    let options = RouterOptions {
        retained_cache_bytes: 100_000,
        ..options(engine)
    };
    let (store, now) = (Arc::<MemoryStore>::default(), Arc::new(AtomicU64::new(NOW.0)));
    let (setup, _) = Setup::on(&store, &now, options);
    for n in 0..MESSAGES {
        setup
            .router
            .publish(retained(&format!("a/{n:04}"), "old"))
            .await
            .unwrap();
    }
    store.commit();
    (setup, Arc::new(Narrow::default()))
}

async fn subscribe(setup: &Setup, sink: &Arc<Narrow>, filter: &str) {
    let sink = Arc::clone(sink) as Arc<dyn Sink>;
    let subscribed = setup.router.subscribe(SessionKey(1), sink, 1, filter, None, true);
    subscribed.await.unwrap();
}

async fn a_subscription_gets_all_its_retained_messages_as_its_sink_has_room(engine: Engine) {
    // Goal: no more than a page waits beyond the room; all come, once each, in order; two subscriptions of one session get theirs.
    let (setup, sink) = with_many(engine).await;
    subscribe(&setup, &sink, "#").await;
    let first = sink.recorder.deliveries.lock().len();
    assert!((ROOM..ROOM + 1_025).contains(&first), "{first}");
    let second = Arc::clone(&sink) as Arc<dyn Sink>;
    let subscribed = setup.router.subscribe(SessionKey(1), second, 2, "b/+", None, true);
    subscribed.await.unwrap();
    let second = Arc::clone(&sink) as Arc<dyn Sink>;
    let subscribed = setup.router.subscribe(SessionKey(1), second, 3, "a/0001", None, true);
    subscribed.await.unwrap();
    let all = sink.take_all().await;
    let of = |number: u32| -> Vec<_> {
        let theirs = all.iter().filter(|delivery| delivery.subscription == number);
        theirs.map(|delivery| delivery.message.topic.to_string()).collect()
    };
    let expected: Vec<_> = (0..MESSAGES).map(|n| format!("a/{n:04}")).collect();
    assert_eq!((of(1), of(2).len(), of(3)), (expected, 0, vec!["a/0001".to_owned()]));
    assert_eq!(sink.recorder.lost(), 0);
}

async fn the_last_message_of_a_topic_is_the_retained_one_although_others_come_meanwhile(engine: Engine) {
    // Goal: messages that are replaced, cleared or new while a subscriber is sent the others: it gets every live one, and no older one after it.
    let (setup, sink) = with_many(engine).await;
    subscribe(&setup, &sink, "a/#").await;
    let mut all = Vec::new();
    for n in (0..MESSAGES).step_by(3) {
        let (topic, payload) = (format!("a/{n:04}"), if n % 2 == 0 { "new" } else { "" });
        setup.router.publish(retained(&topic, payload)).await.unwrap();
        if n % 7 == 0 {
            all.extend(sink.take());
        }
    }
    setup.router.publish(retained("a/9999", "new")).await.unwrap();
    all.extend(sink.take_all().await);
    let (mut last, mut times) = (HashMap::new(), HashMap::new());
    for delivery in &all {
        let topic = delivery.message.topic.to_string();
        *times
            .entry((topic.clone(), delivery.message.payload.clone()))
            .or_insert(0) += 1;
        last.insert(topic, delivery.message.payload.clone());
    }
    assert!(times.values().all(|times| *times == 1), "one came twice");
    last.retain(|_, payload| !payload.is_empty());
    let kept = setup.retained("a/#").await.into_iter();
    let kept: HashMap<_, _> = kept.map(|m| (m.topic.to_string(), m.payload)).collect();
    assert_eq!(last, kept);
}

async fn nothing_comes_of_a_subscription_that_has_ended(engine: Engine) {
    // Goal: after unsubscribing, closing, or subscribing again without retained messages, the rest of them is not sent.
    let (setup, sink) = with_many(engine).await;
    for how in 0..4 {
        subscribe(&setup, &sink, "#").await;
        assert!(sink.recorder.deliveries.lock().len() < MESSAGES);
        match how {
            0 => setup.router.unsubscribe(SessionKey(1), 1).await,
            1 => setup.router.close_and_wait(SessionKey(1)).await,
            2 => {
                let quiet = Arc::clone(&sink) as Arc<dyn Sink>;
                let subscribed = setup.router.subscribe(SessionKey(1), quiet, 2, "#", None, false);
                subscribed.await.unwrap();
            }
            _ => setup.router.shutdown().await,
        }
        let seen = sink.take().len();
        assert!(seen < MESSAGES && sink.take_all().await.is_empty(), "{how}");
    }
}

of_every_engine! {
    a_subscription_gets_all_its_retained_messages_as_its_sink_has_room
    the_last_message_of_a_topic_is_the_retained_one_although_others_come_meanwhile
    nothing_comes_of_a_subscription_that_has_ended
}
