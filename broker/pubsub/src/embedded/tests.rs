//! Failures of rumqttd's router, and what it never forgets.

use super::engine::{Engine as Rumqttd, Routed};
use super::subscriptions::{FilterIndex, Subscriptions};
use super::*;
use crate::tests::{Setup, options, recorder, retained};
use crate::{Engine, Sink};

const ENGINE: Engine = Engine::Rumqttd;

/// Goal: when rumqttd's router panics, in the middle of traffic too, no session notices: every message still arrives
/// once and in order, subscriptions and retained messages are there (issue: "a new router is started and live
/// subscriptions are put back").
#[tokio::test]
async fn a_panic_of_the_router_costs_nothing() {
    let (setup, sink, shared) = (Setup::new(ENGINE), recorder(), recorder());
    setup.subscribe(1, &sink, 1, "p/#").await;
    setup.subscribe(1, &sink, 2, "gone/#").await;
    setup.share(2, &shared, 3, "p/+", Some("g")).await;
    setup.router.unsubscribe(SessionKey(1), 2).await;
    setup.router.publish(retained("p/r", "kept")).await.unwrap();
    let mut expected = vec!["1 p/r kept".to_owned()];
    for n in 0..2_000 {
        if n % 700 == 100 {
            setup.crash().await;
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
        ..options(ENGINE)
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

/// Goal: a log that is overrun says exactly how many messages are gone, and the sinks of that filter are told.
#[test]
fn messages_lost_in_a_log_are_counted() {
    let mut engine = Rumqttd::start_sized(["l/#", "l/+", "other"].into_iter(), 1_000, 1_024).unwrap();
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
