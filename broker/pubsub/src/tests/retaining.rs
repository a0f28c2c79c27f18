//! Retained messages (MQTT 5, section 3.3.1.3).

use super::*;

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

of_every_engine! {
    mqtt_3_3_1_6_only_an_empty_retained_message_clears
    mqtt_3_8_4_retained_messages_are_sent_again_on_subscribing_again
    a_retained_message_beyond_the_limit_is_refused
}
