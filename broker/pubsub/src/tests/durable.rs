//! Retained messages in a store: what publishers are told, and what is there after a restart.

use std::collections::BTreeMap;
use std::time::Duration;

use inbox_types::{Refusal, Ticket};
use proptest::prelude::*;

use super::memory_store::{MemoryStore, port};
use super::*;

struct Kept {
    store: Arc<MemoryStore>,
    now: Arc<AtomicU64>,
    options: RouterOptions,
}

impl Kept {
    fn new(engine: Engine) -> Self {
        Kept {
            store: Arc::default(),
            now: Arc::new(AtomicU64::new(NOW.0)),
            options: options(engine),
        }
    }

    /// A run of the broker. Gives how many records it could not read.
    fn start(&self) -> (Setup, usize) {
        Setup::on(&self.store, &self.now, self.options.clone())
    }

    fn pass(&self, time: Duration) {
        self.now.fetch_add(time.as_micros() as u64, Ordering::Relaxed);
    }
}

fn at_least_once(topic: &str, payload: &str) -> OrdinaryMessage {
    OrdinaryMessage {
        qos: Qos::AtLeastOnce,
        ..retained(topic, payload)
    }
}

async fn a_retained_message_is_there_after_a_restart(engine: Engine) {
    // Goal: what was durable is there as it was published, under a long topic, too; what was cleared is not, and nothing of the broker's own.
    let kept = Kept::new(engine);
    let (setup, _) = kept.start();
    let long = format!("long/{}", "x".repeat(60_000));
    let full = OrdinaryMessage {
        qos: Qos::ExactlyOnce,
        expiry: expiry(NOW, Some(4)),
        properties: Some(Box::new(Properties {
            content_type: Some("text/plain".into()),
            user: vec![("k".into(), "1".into())],
            ..Properties::default()
        })),
        ..retained("a/full", "payload")
    };
    for message in [
        full.clone(),
        retained("a/gone", "x"),
        retained("$SYS/x", "x"),
        retained(&long, "y"),
    ] {
        setup.router.publish(message).await.unwrap();
    }
    setup.router.publish(retained("a/gone", "")).await.unwrap();
    assert_eq!((kept.store.commit(), kept.store.records().len()), (4, 2));
    setup.router.publish(retained("a/late", "not durable")).await.unwrap();
    kept.store.crash();
    let (setup, damaged) = kept.start();
    assert_eq!((damaged, setup.router.retained()), (0, 2));
    assert_eq!(setup.retained("#").await, [full, retained(&long, "y")]);
    assert!(setup.retained("$SYS/#").await.is_empty());
    setup.router.shutdown().await;
}

async fn a_publisher_waits_until_its_retained_message_is_durable(engine: Engine) {
    // Goal: with QoS 1 it is told after the commit, of a message as of one that clears, also where there is nothing to clear; subscribers have it at once.
    let kept = Kept::new(engine);
    let (setup, _) = kept.start();
    let ((told, port), live) = (port(), recorder());
    setup.subscribe(1, &live, 1, "a/b").await;
    for (ticket, payload) in [(1, "x"), (2, ""), (3, "")] {
        let later = setup
            .router
            .publish_for(at_least_once("a/b", payload), &port, Ticket(ticket));
        assert_eq!(later.await, Ok(Published::Later(Reach::Somebody)));
        setup.settle().await;
        assert_eq!((live.take().len(), told.take()), (1, Vec::new()));
        assert_eq!(kept.store.commit(), 1);
        assert_eq!(told.take(), [(Ticket(ticket), Ok(()))]);
    }
    let now = setup.router.publish_for(at_least_once("$SYS/b", "x"), &port, Ticket(4));
    assert!(matches!(now.await, Ok(Published::Now(_))));
    let later = setup.router.publish_for(at_least_once("a/b", "x"), &port, Ticket(5));
    later.await.unwrap();
    setup.settle().await;
    kept.store.fail();
    assert_eq!(told.take(), [(Ticket(5), Err(Refusal::StoreFailed))]);
}

async fn a_store_that_takes_nothing_new_refuses_what_is_to_be_retained(engine: Engine) {
    // Goal: nobody gets it, and its publisher is told why at once; a topic can be cleared while the disk is full, and not while the store is stuck.
    let kept = Kept::new(engine);
    let (setup, _) = kept.start();
    let ((told, port), live) = (port(), recorder());
    setup.router.publish(retained("a/b", "kept")).await.unwrap();
    setup.subscribe(1, &live, 1, "a/c").await;
    for why in [Refusal::DiskFull, Refusal::StoreTroubled] {
        kept.store.refuse(Some(why));
        let refused = setup
            .router
            .publish_for(at_least_once("a/c", "x"), &port, Ticket(1))
            .await;
        assert_eq!(refused, Err(PublishError::Refused(why)));
        let qos0 = setup.router.publish(retained("a/c", "x")).await;
        assert_eq!(qos0, Err(PublishError::Refused(why)));
        setup.publish("a/c", "not retained").await;
        let cleared = setup.router.publish(retained("a/b", "")).await;
        assert_eq!(cleared.is_ok(), why == Refusal::DiskFull);
    }
    setup.settle().await;
    assert_eq!(live.taken(), ["1 a/c not retained"; 2]);
    assert!(told.take().is_empty() && setup.retained("#").await.is_empty());
}

async fn a_damaged_record_costs_its_own_message(engine: Engine) {
    // Goal: the others are there, and publishing again heals it; one that is damaged later is told to whoever is owed it as lost.
    let mut kept = Kept::new(engine);
    kept.options.retained_cache_bytes = 0;
    let (setup, _) = kept.start();
    for topic in ["a/1", "a/2", "a/3"] {
        setup.router.publish(retained(topic, topic)).await.unwrap();
    }
    kept.store.commit();
    kept.store.put(b"a/2", b"\x01nonsense");
    let (setup, damaged) = kept.start();
    assert_eq!((damaged, setup.router.retained()), (1, 2));
    let payloads = async |setup: &Setup| -> Vec<_> {
        let all = setup.retained("#").await;
        all.iter().map(|message| message.payload.clone()).collect()
    };
    assert_eq!(payloads(&setup).await, ["a/1", "a/3"]);
    setup.router.publish(retained("a/2", "again")).await.unwrap();
    kept.store.commit();
    assert_eq!(payloads(&kept.start().0).await, ["a/1", "again", "a/3"]);
    kept.store.put(b"a/3", b"");
    let late = recorder();
    setup.subscribe(1, &late, 1, "#").await;
    assert_eq!((late.take().len(), late.lost()), (2, 1));
    kept.store.break_reading();
    setup.subscribe(1, &late, 1, "a/+").await;
    assert_eq!((late.take().len(), late.lost()), (0, 4));
    assert_eq!(setup.router.retained_unreadable(), 1 + 4);
}

async fn messages_beyond_the_cache_are_read_from_the_store(engine: Engine) {
    // Goal: all of them come, in order and whole, and those that are not durable without the store; one that is asked for by its name stays in memory.
    let mut kept = Kept::new(engine);
    kept.options.retained_cache_bytes = 20_000;
    let (setup, _) = kept.start();
    let payload = |n: usize| format!("{n} {}", "x".repeat(1_000));
    for n in 0..300 {
        setup
            .router
            .publish(retained(&format!("a/{n:03}"), &payload(n)))
            .await
            .unwrap();
        if n == 250 {
            kept.store.commit();
        }
    }
    let all = setup.retained("#").await;
    assert_eq!(all.len(), 300);
    assert!(all.iter().enumerate().all(|(n, message)| message.payload == payload(n)));
    let reads = || kept.store.reads.swap(0, Ordering::Relaxed);
    assert!((230..251).contains(&reads()));
    for expected in [1, 0] {
        assert_eq!(setup.retained("a/000").await.len(), 1);
        assert_eq!(reads(), expected);
    }
    kept.store.commit();
    let (setup, _) = kept.start();
    assert_eq!(setup.retained("#").await, all);
}

async fn mqtt_3_3_2_5_the_store_forgets_what_is_expired(engine: Engine) {
    // Goal: by the age of the store, over restarts: at the start, when looking through all, and when there is no room.
    let mut kept = Kept::new(engine);
    kept.options.retained_messages_max = 3;
    let (setup, _) = kept.start();
    for (topic, seconds) in [("a/1", 10), ("a/2", 20), ("a/3", 30)] {
        let message = OrdinaryMessage {
            expiry: expiry(Age(kept.now.load(Ordering::Relaxed)), Some(seconds)),
            ..retained(topic, "x")
        };
        setup.router.publish(message).await.unwrap();
    }
    kept.store.commit();
    kept.pass(Duration::from_secs(11));
    assert_eq!(setup.retained("#").await.len(), 2);
    let (setup, damaged) = kept.start();
    assert_eq!((damaged, setup.router.retained(), kept.store.commit()), (0, 2, 1));
    kept.pass(Duration::from_secs(10));
    setup.router.sweep_retained();
    assert_eq!((setup.router.retained(), kept.store.commit()), (1, 1));
    kept.pass(Duration::from_secs(10));
    for topic in ["b/1", "b/2", "b/3"] {
        setup.router.publish(retained(topic, "x")).await.unwrap();
    }
    assert_eq!((kept.store.commit(), kept.store.records().len()), (4, 3));
    let full = setup.router.publish(retained("b/4", "x")).await;
    assert_eq!(full, Err(PublishError::RetainedFull));
}

#[derive(Debug, Clone)]
enum Step {
    /// A topic, and how many seconds it lives.
    Publish(u8, Option<u32>),
    Clear(u8),
    Commit,
    Pass(u32),
    Sweep,
    /// Nothing of what was not durable is left.
    Crash,
    Look,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..6_u8, prop::option::of(1..20_u32)).prop_map(|(topic, lives)| Step::Publish(topic, lives)),
        2 => (0..6_u8).prop_map(Step::Clear),
        2 => Just(Step::Commit),
        1 => (1..10_u32).prop_map(Step::Pass),
        1 => Just(Step::Sweep),
        1 => Just(Step::Crash),
        1 => Just(Step::Look),
    ]
}

/// By topic: the payload, and the second at which it is expired.
type Model = BTreeMap<String, (String, u64)>;

async fn follow(engine: Engine, steps: &[Step], cache_bytes: usize) -> Result<(), TestCaseError> {
    let mut kept = Kept::new(engine);
    kept.options.retained_cache_bytes = cache_bytes;
    let (mut setup, (told, port)) = (kept.start().0, port());
    let (mut current, mut durable, mut second) = (Model::new(), Model::new(), 0_u64);
    let mut waiting = Vec::new();
    for (n, step) in (0..).zip(steps.iter().chain([&Step::Look, &Step::Crash, &Step::Look])) {
        let change = match *step {
            Step::Publish(topic, lives) => Some((topic, format!("{n} {}", "x".repeat(n as usize % 90)), lives)),
            Step::Clear(topic) => Some((topic, String::new(), None)),
            _ => None,
        };
        if let Some((topic, payload, lives)) = change {
            let topic = format!("t/{topic}");
            let message = OrdinaryMessage {
                expiry: expiry(Age(kept.now.load(Ordering::Relaxed)), lives),
                ..at_least_once(&topic, &payload)
            };
            let published = setup.router.publish_for(message, &port, Ticket(n)).await;
            prop_assert!(matches!(published, Ok(Published::Later(_))));
            waiting.push(Ticket(n));
            let ends = lives.map_or(u64::MAX, |lives| second + u64::from(lives));
            match payload.is_empty() {
                true => drop(current.remove(&topic)),
                false => drop(current.insert(topic, (payload, ends))),
            }
        }
        match *step {
            Step::Commit => {
                setup.settle().await;
                prop_assert!(told.take().is_empty());
                kept.store.commit();
                let answers = told
                    .take()
                    .into_iter()
                    .map(|(ticket, outcome)| outcome.map(|()| ticket));
                prop_assert_eq!(answers.collect::<Result<Vec<_>, _>>(), Ok(std::mem::take(&mut waiting)));
                durable.clone_from(&current);
            }
            Step::Pass(seconds) => {
                kept.pass(Duration::from_secs(seconds.into()));
                second += u64::from(seconds);
            }
            Step::Sweep => setup.router.sweep_retained(),
            Step::Crash => {
                setup.router.shutdown().await;
                kept.store.crash();
                let (again, damaged) = kept.start();
                prop_assert_eq!(damaged, 0);
                // Nobody was told of these, and those who waited are gone.
                (setup, current) = (again, durable.clone());
                waiting.clear();
                told.take();
            }
            Step::Look => {
                let found = setup.retained("#").await.into_iter();
                let found = found.map(|m| (m.topic.to_string(), String::from_utf8_lossy(&m.payload).into_owned()));
                let lives = current.iter().filter(|(_, (_, ends))| *ends >= second);
                let expected = lives.map(|(topic, (payload, _))| (topic.clone(), payload.clone()));
                prop_assert_eq!(found.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
            }
            Step::Publish(..) | Step::Clear(_) => {}
        }
    }
    setup.router.shutdown().await;
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn what_is_retained_is_what_a_model_says(
        steps in prop::collection::vec(step(), 1..60), is_embedded in any::<bool>(), cache in prop_oneof![Just(0), Just(1_000), Just(1_000_000)],
    ) {
        // Goal: after any publishes, clearings, expiries and crashes, a new subscriber gets what is retained: after a crash what was durable; and who
        // waits is told at the commit, in order.
        let engine = if is_embedded { Engine::Rumqttd } else { Engine::Native };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        runtime.block_on(follow(engine, &steps, cache))?;
    }
}

of_every_engine! {
    a_retained_message_is_there_after_a_restart
    a_publisher_waits_until_its_retained_message_is_durable
    a_store_that_takes_nothing_new_refuses_what_is_to_be_retained
    a_damaged_record_costs_its_own_message
    messages_beyond_the_cache_are_read_from_the_store
    mqtt_3_3_2_5_the_store_forgets_what_is_expired
}
