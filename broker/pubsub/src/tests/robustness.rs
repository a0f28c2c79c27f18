//! Load and limits.

use hashbrown::HashMap;

use super::*;

/// Goal: 100 sessions get every message of several publishers, each publisher's in order.
async fn a_hundred_sessions_get_everything_from_several_publishers(engine: Engine) {
    let setup = Arc::new(Setup::new(engine));
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

/// Goal: distinct filters are limited; sharing a known one, or using the room of one that is gone, is allowed.
async fn filters_beyond_the_limit_are_refused(engine: Engine) {
    let setup = Setup::with(RouterOptions {
        filters_max: 2,
        ..options(engine)
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
async fn many_filters_with_news_are_all_served(engine: Engine) {
    let (setup, sink) = (Setup::new(engine), recorder());
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
async fn shutdown_delivers_first_and_refuses_afterwards(engine: Engine) {
    let (setup, sink) = (Setup::new(engine), recorder());
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

/// Goal: whatever is subscribed, unsubscribed and published, and whenever rumqttd's router dies, every session gets exactly
/// what a plain model says, in its order.
async fn random_traffic_matches_a_plain_model(engine: Engine) {
    for seed in 1..=5_u64 {
        let setup = Setup::with(RouterOptions {
            topics_max: 60,
            ..options(engine)
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
                145..147 => setup.crash().await,
                _ => {
                    let levels = [(); 5].map(|()| ["a", "b", "c", "d"][random(4) as usize]);
                    let topic = levels[..1 + random(5) as usize].join("/");
                    setup.publish(&topic, &step.to_string()).await;
                    for (subscriptions, expected) in model.iter().zip(&mut expected) {
                        let matching = subscriptions.iter().filter(|(_, filter)| matches(&topic, filter));
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

of_every_engine! {
    a_hundred_sessions_get_everything_from_several_publishers
    filters_beyond_the_limit_are_refused
    many_filters_with_news_are_all_served
    shutdown_delivers_first_and_refuses_afterwards
    random_traffic_matches_a_plain_model
}
