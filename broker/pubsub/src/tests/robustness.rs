//! Load, limits, and failures of the router.

use hashbrown::HashMap;

use super::*;
use crate::embedded::engine::{Engine, Routed};
use crate::embedded::subscriptions::{FilterIndex, Subscriptions};
use crate::topic::{matches, router_name};

/// Goal: 100 sessions get every message of several publishers, each publisher's in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_sessions_get_everything_from_several_publishers() {
    let setup = Arc::new(Setup::new());
    let sinks: Vec<_> = (0..100).map(|_| recorder()).collect();
    for (session, sink) in (0..).zip(&sinks) {
        setup
            .subscribe(session, sink, 1, if session % 2 == 0 { "f/+" } else { "f/#" })
            .await;
    }
    let publishers: Vec<_> = (0..4)
        .map(|publisher| {
            let setup = Arc::clone(&setup);
            tokio::spawn(async move {
                for n in 0..500 {
                    setup.publish(&format!("f/{publisher}"), &n.to_string()).await;
                }
            })
        })
        .collect();
    for publisher in publishers {
        publisher.await.unwrap();
    }
    setup.settle().await;
    for sink in &sinks {
        let got = sink.take();
        assert_eq!(got.len(), 2_000);
        for publisher in 0..4 {
            let topic = format!("f/{publisher}");
            let order: Vec<_> = got
                .iter()
                .filter(|d| *d.message.topic == *topic)
                .map(|d| &d.message.payload)
                .collect();
            assert!(order.iter().zip(0..500).all(|(payload, n)| **payload == n.to_string()));
        }
    }
    assert_eq!(setup.router.lost(), 0);
}

/// Goal: when rumqttd's router panics, in the middle of traffic too, no session notices: every message still arrives
/// once and in order, subscriptions and retained messages are there (issue: "a new router is started and live
/// subscriptions are put back").
#[tokio::test]
async fn a_panic_of_the_router_costs_nothing() {
    let (setup, sink, shared) = (Setup::new(), recorder(), recorder());
    setup.subscribe(1, &sink, 1, "p/#").await;
    setup.subscribe(1, &sink, 2, "gone/#").await;
    setup.share(2, &shared, 3, "p/+", Some("g")).await;
    setup.router.unsubscribe(SessionKey(1), 2).await;
    setup.router.publish(retained("p/r", "kept")).await.unwrap();
    let mut expected = vec!["1 p/r kept".to_owned()];
    for n in 0..2_000 {
        if n % 700 == 100 {
            setup.router.commands.send(Command::Crash).await.ok().unwrap();
        }
        setup.publish("p/x", &n.to_string()).await;
        setup.publish("gone/x", "unseen").await;
        expected.push(format!("1 p/x {n}"));
    }
    setup.settle().await;
    assert_eq!(sink.taken(), expected);
    assert_eq!(shared.take().len(), 2_001);
    assert_eq!((setup.router.restarts(), setup.router.lost()), (3, 0));
    let late = recorder();
    setup.subscribe(3, &late, 9, "p/+").await;
    assert_eq!(late.taken(), ["9 p/r kept R"]);
}

/// Goal: what rumqttd never forgets (topics, filters) is freed by replacing its router, and no message is lost by that.
#[tokio::test]
async fn endless_topics_and_filters_are_forgotten() {
    let setup = Setup::with(RouterOptions {
        topics_max: 100,
        ..RouterOptions::default()
    });
    let (sink, other) = (recorder(), recorder());
    setup.subscribe(1, &sink, 1, "#").await;
    for n in 0..1_000 {
        setup.publish(&format!("t/{n}"), "x").await;
        if n % 100 == 99 {
            setup.settle().await;
        }
    }
    setup.settle().await;
    let expected: Vec<_> = (0..1_000).map(|n| format!("1 t/{n} x")).collect();
    assert_eq!(sink.taken(), expected);
    // The adapter replaces a router after it has answered, and before it takes the next command.
    setup.settle().await;
    let by_topics = setup.router.refreshes();
    assert!(by_topics > 0);
    for n in 0..1_500 {
        setup.subscribe(2, &other, 1, &format!("f/{n}")).await;
    }
    setup.publish("f/1499", "y").await;
    setup.settle().await;
    assert_eq!(other.taken(), ["1 f/1499 y"]);
    setup.settle().await;
    assert!(setup.router.refreshes() > by_topics);
    assert_eq!((setup.router.lost(), setup.router.restarts()), (0, 0));
}

/// Goal: distinct filters are limited; sharing a known one, or using the room of one that is gone, is allowed.
#[tokio::test]
async fn filters_beyond_the_limit_are_refused() {
    let setup = Setup::with(RouterOptions {
        filters_max: 2,
        ..RouterOptions::default()
    });
    let sink = recorder();
    setup.subscribe(1, &sink, 1, "a/1").await;
    setup.subscribe(1, &sink, 2, "a/2").await;
    let refused = Arc::clone(&sink) as Arc<dyn Sink>;
    let outcome = setup
        .router
        .subscribe(SessionKey(1), refused, 3, "a/3", None, true)
        .await;
    assert_eq!(outcome, Err(SubscribeError::FiltersFull(2)));
    setup.subscribe(2, &sink, 4, "a/1").await;
    setup.router.unsubscribe(SessionKey(1), 2).await;
    setup.subscribe(1, &sink, 3, "a/3").await;
}

/// Goal: many filters with news at once, more than the router serves in one go, are all served, also when each is new.
#[tokio::test]
async fn many_filters_with_news_are_all_served() {
    let (setup, sink) = (Setup::new(), recorder());
    for n in 0..700 {
        setup.subscribe(1, &sink, n, &format!("many/+/{n}")).await;
    }
    let mut expected = Vec::new();
    for round in 0..2 {
        for n in 0..700 {
            setup.publish(&format!("many/{round}/{n}"), "x").await;
            expected.push(format!("{n} many/{round}/{n} x"));
        }
    }
    setup.settle().await;
    assert_eq!(sink.taken(), expected);
    // One message that 511 filters match: every choice of wildcards in nine levels, but for the one without any.
    for choice in 1..512_u32 {
        let levels: Vec<_> = (0..9)
            .map(|level| if choice >> level & 1 == 1 { "+" } else { "x" })
            .collect();
        setup.subscribe(2, &sink, choice, &levels.join("/")).await;
    }
    setup.publish("x/x/x/x/x/x/x/x/x", "y").await;
    setup.settle().await;
    let mut numbers: Vec<_> = sink.take().iter().map(|d| d.subscription).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..512).collect::<Vec<_>>());
}

/// Goal: after shutdown everything published before is delivered, and every call says that it is over.
#[tokio::test]
async fn shutdown_delivers_first_and_refuses_afterwards() {
    let (setup, sink) = (Setup::new(), recorder());
    setup.subscribe(1, &sink, 1, "#").await;
    setup.publish("a/b", "last").await;
    setup.router.shutdown().await;
    assert_eq!(sink.taken(), ["1 a/b last"]);
    assert_eq!(
        setup.router.publish(message("a/b", "x")).await,
        Err(PublishError::Stopped)
    );
    assert_eq!(
        setup.router.publish(retained("a/b", "x")).await,
        Err(PublishError::Stopped)
    );
    let refused = Arc::clone(&sink) as Arc<dyn Sink>;
    let outcome = setup
        .router
        .subscribe(SessionKey(1), refused, 3, "a/3", None, true)
        .await;
    assert_eq!(outcome, Err(SubscribeError::Stopped));
    setup.router.close(SessionKey(1)).await;
    setup.router.shutdown().await;
}

/// Goal: a log that is overrun says exactly how many messages are gone, and the sinks of that filter are told.
#[test]
fn messages_lost_in_a_log_are_counted() {
    let mut engine = Engine::start_sized(["l/#", "l/+", "other"].into_iter(), 1_000, 1_024).unwrap();
    let topic: Arc<str> = "l/x".into();
    let mut found = Routed::default();
    engine.route(std::iter::repeat_n(&topic, 10), &mut found).unwrap();
    assert_eq!((found.matches.len(), found.lost.len()), (20, 0));
    found.matches.clear();
    engine.route(std::iter::repeat_n(&topic, 400), &mut found).unwrap();
    for filter in [FilterIndex(0), FilterIndex(1)] {
        let arrived = found.matches.iter().filter(|m| m.filter == filter).count() as u64;
        let lost: u64 = found.lost.iter().filter(|(f, _)| *f == filter).map(|(_, n)| n).sum();
        assert!(lost > 0);
        assert_eq!(arrived + lost, 400);
    }
    engine.retire();

    let mut table = Subscriptions::new(10);
    let sinks = [recorder(), recorder()];
    table
        .add(
            SessionKey(1),
            Arc::clone(&sinks[0]) as Arc<dyn Sink>,
            1,
            &"l/#".into(),
            None,
        )
        .unwrap();
    table
        .add(
            SessionKey(2),
            Arc::clone(&sinks[1]) as Arc<dyn Sink>,
            1,
            &"l/+".into(),
            Some("g"),
        )
        .unwrap();
    table.lost(FilterIndex(1), 5);
    assert_eq!((sinks[0].lost(), sinks[1].lost()), (0, 5));
}

/// Goal: whatever is subscribed, unsubscribed and published, and whenever the router dies, every session gets exactly
/// what a plain model says, in its order.
#[tokio::test]
async fn random_traffic_matches_a_plain_model() {
    for seed in 1..=5_u64 {
        let setup = Setup::with(RouterOptions {
            topics_max: 60,
            ..RouterOptions::default()
        });
        let sinks: Vec<_> = (0..8).map(|_| recorder()).collect();
        let mut model: Vec<HashMap<u32, String>> = vec![HashMap::new(); 8];
        let mut expected: Vec<Vec<String>> = vec![Vec::new(); 8];
        let mut state = seed;
        let mut random = move |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        for step in 0..2_500 {
            let session = random(8) as usize;
            let number = random(40) as u32;
            match random(1_000) {
                0..100 => {
                    let levels = ["+", "a", "b", "c", "+"].map(|level| if random(6) == 0 { "#" } else { level });
                    let depth = 1 + random(5) as usize;
                    let depth = levels[..depth]
                        .iter()
                        .position(|level| *level == "#")
                        .map_or(depth, |at| at + 1);
                    let filter = levels[..depth].join("/");
                    setup.subscribe(session as u64, &sinks[session], number, &filter).await;
                    model[session].retain(|_, known| *known != filter);
                    model[session].insert(number, filter);
                }
                100..140 => {
                    setup.router.unsubscribe(SessionKey(session as u64), number).await;
                    model[session].remove(&number);
                }
                140..145 => {
                    setup.router.close(SessionKey(session as u64)).await;
                    model[session].clear();
                }
                145..147 => setup.router.commands.send(Command::Crash).await.ok().unwrap(),
                _ => {
                    let levels = [(); 5].map(|()| ["a", "b", "c", "d"][random(4) as usize]);
                    let topic = levels[..1 + random(5) as usize].join("/");
                    setup.publish(&topic, &step.to_string()).await;
                    for (subscriptions, expected) in model.iter().zip(&mut expected) {
                        let matching = subscriptions
                            .iter()
                            .filter(|(_, filter)| matches(&router_name(&topic), &router_name(filter)));
                        let mut numbers: Vec<_> = matching.map(|(number, _)| *number).collect();
                        numbers.sort_unstable();
                        expected.extend(numbers.iter().map(|number| format!("{number} {topic} {step}")));
                    }
                }
            }
        }
        setup.settle().await;
        for (session, sink) in sinks.iter().enumerate() {
            let mut got = sink.take();
            let step = |d: &OrdinaryDelivery| String::from_utf8_lossy(&d.message.payload).parse::<u32>().unwrap();
            assert!(
                got.is_sorted_by_key(step),
                "seed {seed}, session {session}: out of order"
            );
            // Within one message, the order of a session's overlapping subscriptions is free.
            got.sort_by_key(|d| (step(d), d.subscription));
            let got: Vec<_> = got
                .iter()
                .map(|d| {
                    format!(
                        "{} {} {}",
                        d.subscription,
                        d.message.topic,
                        String::from_utf8_lossy(&d.message.payload)
                    )
                })
                .collect();
            assert_eq!(got, expected[session], "seed {seed}, session {session}");
        }
        assert_eq!(setup.router.lost(), 0, "seed {seed}");
        setup.router.shutdown().await;
    }
}
