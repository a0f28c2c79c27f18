//! Shared subscriptions (MQTT 5, section 4.8.2).

use super::*;

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
            publisher: None,
        };
        sink.take().into_iter().map(of).collect::<Vec<_>>()
    };
    let left = orphans(&sinks[0]);
    assert_eq!((left.len(), setup.router.hand_over(left).await), (2, 0));
    let of_another_share = Orphan {
        filter: "s/+".into(),
        share: "h".into(),
        message: Arc::new(message("s/x", "4")),
        publisher: None,
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
        publisher: None,
    }];
    assert_eq!(setup.router.hand_over(nobody_is_left).await, 1);
    assert_eq!(setup.router.orphans_lost(), 2);
}

of_every_engine! {
    mqtt_4_8_2_a_shared_subscription_delivers_to_one_member
    mqtt_4_8_2_members_that_are_away_are_passed_over
    mqtt_4_8_2_slow_members_are_passed_over
    mqtt_4_8_2_what_a_member_leaves_goes_to_another
}
