//! The trie against the rule of matching, and what publishers meet while subscriptions change.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicU64;

use hashbrown::HashMap;
use proptest::prelude::*;

use super::audience::Audience;
use super::member::Subscriber;
use super::trie::{LEVELS_MAX, TooManyLevels, Trie};
use super::*;
use crate::tests::{Setup, message, options, recorder, retained};
use crate::{Engine, OrdinaryDelivery, Sink};

fn member(session: u64, subscription: u32) -> Member {
    Member {
        subscriber: Arc::new(Subscriber::new(SessionKey(session), recorder())),
        subscription,
    }
}

/// The numbers of the subscriptions that match. Each filter has one, and it has one member.
fn matching(trie: &Trie, topic: &str) -> Vec<u32> {
    let mut found = Vec::new();
    trie.each_match(topic, &mut |audience| match audience {
        Audience::One(one) => found.push(one.subscription),
        Audience::Many(_) => panic!("there is one member"),
    });
    found.sort_unstable();
    found
}

fn level() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("a"), Just("b"), Just(""), Just("$SYS"), Just("é")]
}

fn topic() -> impl Strategy<Value = String> {
    prop::collection::vec(level(), 1..6)
        .prop_map(|levels| levels.join("/"))
        .prop_filter("a topic has a character", |topic| !topic.is_empty())
}

fn filter() -> impl Strategy<Value = String> {
    let level = prop_oneof![3 => level(), 2 => Just("+")];
    (prop::collection::vec(level, 1..6), any::<bool>())
        .prop_map(|(mut levels, has_rest)| {
            if has_rest {
                levels.pop();
                levels.push("#");
            }
            levels.join("/")
        })
        .prop_filter("a filter has a character", |filter| !filter.is_empty())
}

proptest! {
    #[test]
    fn mqtt_4_7_the_trie_finds_what_the_rule_of_matching_finds(
        changes in prop::collection::vec((filter(), any::<bool>()), 1..40),
        topics in prop::collection::vec(topic(), 1..10),
    ) {
        // Goal: after any additions and removals exactly the filters that match are found, once each; an empty trie has no edges left.
        let trie = Trie::default();
        let mut there = HashMap::<String, u32>::new();
        for (number, (filter, stays)) in (0..).zip(&changes) {
            let is_first = there.insert(filter.clone(), number).is_none();
            let joined = trie.join(filter, member(1, number), None).unwrap();
            prop_assert_eq!(joined.is_first, is_first);
            if !stays {
                there.remove(filter);
                prop_assert!(trie.part(filter, SessionKey(1), None));
                prop_assert!(!trie.part(filter, SessionKey(1), None));
            }
        }
        for topic in &topics {
            let matches = there.iter().filter(|(filter, _)| crate::matches(topic, filter));
            let expected: BTreeSet<u32> = matches.map(|(_, number)| *number).collect();
            prop_assert_eq!(matching(&trie, topic), Vec::from_iter(expected), "{}", topic);
        }
        for filter in there.keys() {
            prop_assert!(trie.part(filter, SessionKey(1), None));
        }
        prop_assert!(trie.is_empty());
    }
}

#[test]
fn filters_with_very_many_levels_are_refused() {
    // Goal: a filter of a thousand levels leaves nothing; a topic of as many is matched, without a stack that grows.
    let trie = Trie::default();
    let deep = |levels: usize| format!("{}#", "+/".repeat(levels - 1));
    assert_eq!(
        trie.join(&deep(LEVELS_MAX + 1), member(1, 1), None).err(),
        Some(TooManyLevels)
    );
    assert!(trie.is_empty());
    trie.join(&deep(LEVELS_MAX), member(1, 2), None).unwrap();
    assert_eq!(matching(&trie, &"x/".repeat(30_000)), [2]);
    assert!(matching(&trie, "x").is_empty());
}

/// Goal: while other sessions come and go with the same filters, each message reaches a session that stays once, in its publisher's order.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_stays_gets_everything_once_while_others_come_and_go() {
    const MESSAGES: u64 = 3_000;
    let setup = Arc::new(Setup::new(Engine::Native));
    let stays = recorder();
    for (number, filter) in (1..).zip(["a/b", "a/+", "#"]) {
        setup.subscribe(1, &stays, number, filter).await;
    }
    let is_over = Arc::new(AtomicBool::new(false));
    let comings: Vec<_> = (2..4)
        .map(|session| {
            let (setup, is_over) = (Arc::clone(&setup), Arc::clone(&is_over));
            tokio::spawn(async move {
                let sink = recorder();
                while !is_over.load(Ordering::Relaxed) {
                    for (number, filter) in (1..).zip(["a/b", "a/+", "#", "+/b"]) {
                        setup.share(session, &sink, number, filter, None).await;
                        setup.share(session, &sink, 10 + number, filter, Some("g")).await;
                    }
                    setup.router.close(SessionKey(session)).await;
                    sink.take();
                    yield_now().await;
                }
            })
        })
        .collect();
    let publishers: Vec<_> = (0..2)
        .map(|publisher| {
            let setup = Arc::clone(&setup);
            tokio::spawn(async move {
                for n in 0..MESSAGES {
                    setup.publish("a/b", &format!("{publisher} {n}")).await;
                    if n % 16 == 0 {
                        yield_now().await;
                    }
                }
            })
        })
        .collect();
    for publisher in publishers {
        publisher.await.unwrap();
    }
    is_over.store(true, Ordering::Relaxed);
    for coming in comings {
        coming.await.unwrap();
    }
    let mut got = HashMap::<(u32, String), Vec<u64>>::new();
    for delivery in stays.take() {
        let text = String::from_utf8_lossy(&delivery.message.payload).into_owned();
        let (publisher, n) = text.split_once(' ').unwrap();
        let of_one = got.entry((delivery.subscription, publisher.to_owned())).or_default();
        of_one.push(n.parse().unwrap());
    }
    assert_eq!(got.len(), 6);
    assert!(got.values().all(|numbers| numbers.iter().copied().eq(0..MESSAGES)));
    assert_eq!(setup.router.filters(), 3);
}

/// Goal: whoever subscribes while a retained message changes ends with what is retained, and misses none that comes after.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_last_message_that_a_subscriber_gets_is_the_one_that_is_retained() {
    let setup = Arc::new(Setup::new(Engine::Native));
    let publishers: Vec<_> = (0..2)
        .map(|publisher| {
            let setup = Arc::clone(&setup);
            tokio::spawn(async move {
                for n in 0..2_000 {
                    let message = retained("r/x", &format!("{publisher} {n}"));
                    setup.router.publish(message).await.unwrap();
                    yield_now().await;
                }
            })
        })
        .collect();
    let mut sinks = Vec::new();
    for session in 0..200 {
        let sink = recorder();
        setup
            .subscribe(session, &sink, 1, if session % 2 == 0 { "r/x" } else { "r/+" })
            .await;
        sinks.push(sink);
        yield_now().await;
    }
    for publisher in publishers {
        publisher.await.unwrap();
    }
    let late = recorder();
    setup.subscribe(1_000, &late, 1, "r/x").await;
    let kept = late.take().pop().unwrap().message;
    for sink in sinks {
        let got = sink.take();
        assert_eq!(got.last().map(|delivery| &delivery.message), Some(&kept));
        let mut next = [0, 0];
        for delivery in got.iter().filter(|delivery| !delivery.retained) {
            let text = String::from_utf8_lossy(&delivery.message.payload);
            let (publisher, n) = text.split_once(' ').unwrap();
            let (publisher, n): (usize, u32) = (publisher.parse().unwrap(), n.parse().unwrap());
            assert!(
                next[publisher] == 0 || next[publisher] == n,
                "one was missed before {text}"
            );
            next[publisher] = n + 1;
        }
    }
}

/// Goal: a message for very many sessions reaches each of them, and others have the thread in between.
#[tokio::test]
async fn a_large_crowd_is_served_in_parts() {
    #[derive(Default)]
    struct Counter(AtomicU64);
    impl Sink for Counter {
        fn deliver(&self, batch: &mut Vec<OrdinaryDelivery>) {
            self.0.fetch_add(batch.len() as u64, Ordering::Relaxed);
        }
        fn lost(&self, _: u64) {}
    }
    let setup = Setup::with(options(Engine::Native));
    let sink = Arc::new(Counter::default());
    let sessions = 3 * AT_ONCE_MAX as u64 + 7;
    for session in 0..sessions {
        let sink = Arc::clone(&sink) as Arc<dyn Sink>;
        let subscribed = setup
            .router
            .subscribe(SessionKey(session), sink, 1, "all/#", None, false);
        subscribed.await.unwrap();
    }
    let others = Arc::new(AtomicU64::new(0));
    let turns = Arc::clone(&others);
    let other = tokio::spawn(async move {
        loop {
            turns.fetch_add(1, Ordering::Relaxed);
            yield_now().await;
        }
    });
    let reach = setup.router.publish(message("all/x", "x")).await;
    other.abort();
    assert_eq!(reach, Ok(Reach::Somebody));
    assert_eq!(sink.0.load(Ordering::Relaxed), sessions);
    assert!(others.load(Ordering::Relaxed) >= 3);
}

/// Goal: whoever closed a session has its sink alone, whatever the maps keep for a while; what is published meanwhile goes nowhere.
#[tokio::test]
async fn the_sink_of_a_closed_session_is_let_go() {
    let (setup, sink) = (Setup::new(Engine::Native), recorder());
    for (number, filter) in (1..).zip(["a/b", "a/#"]) {
        setup.subscribe(1, &sink, number, filter).await;
    }
    setup.share(1, &sink, 3, "a/b", Some("g")).await;
    setup.router.close_and_wait(SessionKey(1)).await;
    assert_eq!(Arc::strong_count(&sink), 1);
    setup.publish("a/b", "x").await;
    setup.subscribe(2, &sink, 1, "a/b").await;
    setup.router.unsubscribe(SessionKey(2), 1).await;
    assert_eq!(Arc::strong_count(&sink), 1);
    assert!(sink.take().is_empty());
}
