//! Contract rule 1: which topics are inboxes, and what an inbox does with flags and payloads.

use inbox_tests::{Broker, BrokerOptions, Connect, PublishPacket, RawClient, Version};

#[test]
fn rule_01_a_topic_of_one_level_is_the_inbox_of_that_client() {
    // Goal: whatever the versions of sender and reader, a message to `bob` waits for client bob.
    for (sender, reader) in [(Version::V311, Version::V5), (Version::V5, Version::V311)] {
        let broker = Broker::start();
        RawClient::clean(&broker, sender, "alice").publish("bob", "hello", 1);
        let mut bob = RawClient::reader(&broker, reader, "bob", 1);
        let message = bob.receive_and_ack();
        assert_eq!(
            (message.topic.as_str(), message.text()),
            ("bob", "hello"),
            "{sender:?} to {reader:?}"
        );
    }
}

#[test]
fn rule_01_a_topic_with_a_slash_is_ordinary() {
    // Goal: `bob/news` belongs to nobody: who subscribes later does not get what was said before.
    let broker = Broker::start();
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    alice.publish("bob/news", "before", 1);
    let mut bob = RawClient::clean(&broker, Version::V5, "bob");
    bob.subscribe("bob/news", 1);
    alice.publish("bob/news", "after", 1);
    assert_eq!(bob.texts(1), ["after"]);
}

#[test]
fn rule_01_wildcards_never_match_inboxes() {
    // Goal: neither a stranger nor the owner sees an inbox through a wildcard, as `#` never matches `$` topics
    // (MQTT-4.7.2-1). The message to an ordinary topic afterwards shows that the subscriptions work.
    let broker = Broker::start();
    let mut spy = RawClient::clean(&broker, Version::V5, "spy");
    let mut bob = RawClient::clean(&broker, Version::V311, "bob");
    for client in [&mut spy, &mut bob] {
        assert_eq!(client.subscribe("#", 1).codes, [1]);
        assert_eq!(client.subscribe("+", 1).codes, [1]);
    }
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    alice.publish("bob", "secret", 1);
    alice.publish("bob", "secret", 0);
    alice.publish("news/today", "public", 1);
    assert_eq!(spy.texts(1), ["public"]);
    assert_eq!(bob.texts(1), ["public"]);
    // The secret still waits for its owner.
    bob.subscribe("bob", 1);
    assert_eq!(bob.texts(1), ["secret"]);
}

#[test]
fn rule_01_shared_subscriptions_never_match_inboxes() {
    // Goal: `$share/group/bob` reads nobody's inbox, not even for bob.
    let broker = Broker::start();
    let mut bob = RawClient::clean(&broker, Version::V5, "bob");
    let mut spy = RawClient::clean(&broker, Version::V5, "spy");
    for client in [&mut spy, &mut bob] {
        // Granted or refused, it matches nothing.
        client.subscribe("$share/group/bob", 1);
        client.subscribe("$share/group/+", 1);
        client.subscribe("marker/now", 1);
    }
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    alice.publish("bob", "secret", 1);
    alice.publish("marker/now", "marker", 1);
    assert_eq!(spy.texts(1), ["marker"]);
    assert_eq!(bob.texts(1), ["marker"]);
}

#[test]
fn rule_01_a_prefix_moves_all_inboxes() {
    // Goal: with `inbox.prefix`, `inbox/bob` is the inbox, and `bob` is an ordinary topic that anyone may read.
    let env = vec![("INBOXD_INBOX__PREFIX".to_owned(), "inbox/".to_owned())];
    for options in [
        BrokerOptions {
            config: Some("[inbox]\nprefix = \"inbox/\"\n".into()),
            ..Default::default()
        },
        BrokerOptions {
            env,
            ..Default::default()
        },
    ] {
        let broker = Broker::start_with(options);
        let mut alice = RawClient::clean(&broker, Version::V5, "alice");
        let mut spy = RawClient::clean(&broker, Version::V5, "spy");
        assert_eq!(spy.subscribe("inbox/bob", 1).codes, [0x87]);
        spy.subscribe("inbox/#", 1);
        spy.subscribe("+/bob", 1);
        assert_eq!(spy.subscribe("bob", 1).codes, [1]);

        alice.publish("inbox/bob", "mail", 1);
        alice.publish("bob", "ordinary", 1);
        assert_eq!(spy.texts(1), ["ordinary"]);

        let mut bob = RawClient::clean(&broker, Version::V5, "bob");
        assert_eq!(bob.subscribe("inbox/bob", 1).codes, [1]);
        let message = bob.receive_and_ack();
        assert_eq!((message.topic.as_str(), message.text()), ("inbox/bob", "mail"));
    }
}

#[test]
fn rule_01_a_retain_flag_is_dropped_on_an_inbox() {
    // Goal: RETAIN on a publish to an inbox makes a message like any other: delivered once, without the flag.
    let broker = Broker::start();
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    let ack = alice.publish_packet(PublishPacket::new("bob", "once", 1, 0).retain());
    assert_eq!(ack.unwrap().reason, 0);
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    let message = bob.receive_and_ack();
    assert_eq!((message.text(), message.retain), ("once", false));
    // Acknowledged, so a new subscription has nothing to replay and no retained message either.
    bob.subscribe("bob", 1);
    let ack = alice.publish_packet(PublishPacket::new("bob", "live", 1, 0).retain());
    assert_eq!(ack.unwrap().reason, 0);
    let message = bob.receive_and_ack();
    assert_eq!((message.text(), message.retain), ("live", false));
}

#[test]
fn rule_01_an_empty_payload_is_a_message() {
    // Goal: an empty payload is stored and replayed; with RETAIN too, where an ordinary topic would be cleared.
    let broker = Broker::start();
    let mut alice = RawClient::clean(&broker, Version::V311, "alice");
    alice.publish("bob", "", 1);
    alice.publish_packet(PublishPacket::new("bob", "", 1, 0).retain());
    alice.publish("bob", "end", 1);
    let mut bob = RawClient::reader(&broker, Version::V311, "bob", 1);
    assert_eq!(bob.texts(3), ["", "", "end"]);
}

#[test]
fn rule_01_a_client_id_with_a_slash_or_wildcard_connects_and_has_no_inbox() {
    // Goal: such clients are served; a topic that looks like their name is ordinary.
    let broker = Broker::start();
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    for (id, version) in [
        ("factory/press", Version::V311),
        ("a+b", Version::V5),
        ("c#", Version::V311),
    ] {
        let (mut client, _) = RawClient::connect(&broker, &Connect::new(version, id));
        client.subscribe("marker/now", 1);
        alice.publish("marker/now", id, 1);
        assert_eq!(client.texts(1), [id]);
    }
    alice.publish("factory/press", "before", 1);
    let mut press = RawClient::clean(&broker, Version::V5, "factory/press");
    assert_eq!(press.subscribe("factory/press", 1).codes, [1]);
    alice.publish("factory/press", "after", 1);
    assert_eq!(press.texts(1), ["after"]);
    // Anyone may read it, because it is not an inbox.
    assert_eq!(alice.subscribe("factory/press", 1).codes, [1]);
}

#[test]
fn rule_01_a_name_that_starts_with_a_dollar_is_no_inbox() {
    // Goal: nothing waits under `$bob`, whatever the publisher was answered.
    let broker = Broker::start();
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    alice.publish_packet(PublishPacket::new("$bob", "lost", 1, 0));
    let mut bob = RawClient::clean(&broker, Version::V5, "$bob");
    bob.subscribe("$bob", 1);
    bob.expect_nothing();
}
