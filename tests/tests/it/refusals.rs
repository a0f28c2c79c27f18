//! Every refusal leaves a trace: a counter by cause, and a record that says what to do.

use std::io::Write;

use inbox_tests::{Broker, Connect, PublishPacket, RawClient, Version, Will, packet, string, wait_for};

/// Waits until the counters that the broker publishes, every ten seconds, are at least these.
fn wait_for_counters(broker: &Broker, wanted: &[(&str, u64)]) -> serde_json::Value {
    let mut watcher = RawClient::clean(broker, Version::V5, "watcher");
    watcher.subscribe("$SYS/inboxd/metrics", 1);
    wait_for(&format!("counters of {wanted:?}"), || {
        let metrics: serde_json::Value = serde_json::from_str(watcher.receive_and_ack().text()).unwrap();
        let is_reached = |(cause, least): &(&str, u64)| {
            let number = metrics[format!("refused_{cause}")].as_u64();
            number.unwrap_or_else(|| panic!("no counter of {cause} in {metrics}")) >= *least
        };
        wanted.iter().all(is_reached).then_some(metrics)
    })
}

#[test]
fn a_refused_subscription_is_told_and_counted_by_cause() {
    // Goal: 3.1.1 clients get 0x80, which many libraries do not look at: the log says who, what, why and what to do; so do the counters.
    let broker = Broker::with_config("[mqtt]\nsubscriptions_per_session_max = 2\n[router]\nfilters_max = 4\n");
    let mut early = RawClient::clean(&broker, Version::V5, "early");
    early.subscribe("$SYS/inboxd/metrics", 1);
    let refused = |id: &str, filter: &str| {
        let mut client = RawClient::clean(&broker, Version::V311, id);
        assert_eq!(client.subscribe(filter, 1).codes, [0x80], "{filter}");
    };
    refused("phone", "bob");
    refused("laptop", "$share/g/laptop");
    refused("crooked", "a/#/b");
    refused("curious", "$secret/x");
    refused("deep", &format!("{}x", "+/".repeat(128)));
    let mut hub = RawClient::clean(&broker, Version::V311, "hub");
    for filter in ["z/1", "z/2"] {
        assert_eq!(hub.subscribe(filter, 1).codes, [1]);
    }
    assert_eq!(hub.subscribe("z/3", 1).codes, [0x80]);
    let mut second = RawClient::clean(&broker, Version::V311, "second");
    assert_eq!(second.subscribe("y/1", 1).codes, [1]);
    assert_eq!(second.subscribe("y/2", 1).codes, [0x80]);
    let told = [
        (
            "subscribe_inbox_of_other",
            ["client=phone", "bob", "a topic with a slash"],
        ),
        (
            "subscribe_inbox_shared",
            ["client=laptop", "$share/g/laptop", "is read by"],
        ),
        (
            "subscribe_filter_invalid",
            ["client=crooked", "a/#/b", "correct the filter"],
        ),
        ("subscribe_filter_reserved", ["client=curious", "$secret/x", "$SYS"]),
        (
            "subscribe_session_limit",
            ["client=hub", "z/3", "mqtt.subscriptions_per_session_max"],
        ),
        ("subscribe_filter_limit", ["client=second", "y/2", "router.filters_max"]),
        (
            "subscribe_filter_levels",
            ["client=deep", "at most 128 levels", "router.engine"],
        ),
    ];
    for (cause, words) in told {
        broker.wait_for_log(&format!("cause={cause}"));
        let log = broker.stderr();
        let line = log
            .lines()
            .find(|line| line.contains(&format!("cause={cause}")))
            .unwrap();
        assert!(line.contains("INFO"), "{line}");
        for word in words {
            assert!(line.contains(word), "{word:?} is missing in {line}");
        }
    }
    let metrics = wait_for_counters(&broker, &told.map(|(cause, _)| (cause, 1)));
    for (cause, _) in told {
        assert_eq!(metrics[format!("refused_{cause}")], 1, "{cause}");
    }
}

#[test]
fn suback_and_log_say_the_same_about_inboxes() {
    // Goal: whoever takes a topic of one level for ordinary publish/subscribe learns at once what it is and what to use.
    let broker = Broker::start();
    let mut eve = RawClient::clean(&broker, Version::V5, "eve");
    let suback = eve.subscribe("sensor", 1);
    assert_eq!(suback.codes, [0x87]);
    let said = suback.props.text(0x1f).expect("a reason string").to_owned();
    for word in [
        "inbox of the client with the ID \"sensor\"",
        "a topic with a slash",
        "your own inbox is \"eve\"",
    ] {
        assert!(said.contains(word), "{word:?} is missing in {said}");
    }
    broker.wait_for_log(&said);
    let prefixed = Broker::with_config("[inbox]\nprefix = \"inbox/\"\n");
    let mut eve = RawClient::clean(&prefixed, Version::V5, "eve");
    let suback = eve.subscribe("inbox/bob", 1);
    let said = suback.props.text(0x1f).expect("a reason string").to_owned();
    assert!(
        said.contains("does not begin with \"inbox/\"") && said.contains("inbox/eve"),
        "{said}"
    );
}

#[test]
fn refused_publishes_and_connections_are_told_and_counted_by_cause() {
    // Goal: a counter and a sentence for each way of being turned away.
    let broker = Broker::with_config(
        "[mqtt]\nconnect_timeout = \"300ms\"\nmessage_bytes_max = \"1KiB\"\n[inbox]\nmessages_max = 1\n[router]\nretained_messages_max = 1\n",
    );
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    alice.publish("bob", "1", 1);
    assert_eq!(
        alice
            .publish_packet(PublishPacket::new("bob", "2", 1, 7))
            .unwrap()
            .reason,
        0x97
    );
    alice.publish_packet(PublishPacket::new("a/1", "r", 1, 8).retain());
    assert_eq!(
        alice
            .publish_packet(PublishPacket::new("a/2", "r", 1, 9).retain())
            .unwrap()
            .reason,
        0x97
    );
    alice.send_publish(PublishPacket::new("a/1", vec![b'x'; 2000], 1, 10));
    alice.wait_for_disconnect();

    let mut bytes = Connect::new(Version::V311, "old").encode();
    bytes[8] = 9;
    let mut client = RawClient::open(&broker, Version::V5);
    client.send(&bytes);
    client.next_or_close();
    let long = Connect::new(Version::V5, &"x".repeat(2000)).encode();
    let mut client = RawClient::open(&broker, Version::V5);
    client.send(&long);
    client.next_or_close();
    let mut will = Will::new("a/b", "");
    will.payload = vec![b'x'; 2000];
    let mut client = RawClient::open(&broker, Version::V5);
    client.send(&Connect::new(Version::V5, "large").will(will).encode());
    client.next_or_close();
    let mut browser = broker.socket("mqtt");
    browser.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let _silent = broker.socket("mqtt");
    let mut rude = RawClient::clean(&broker, Version::V5, "rude");
    rude.send(&[0xf1, 0]);
    rude.wait_for_disconnect();
    let mut same = RawClient::clean(&broker, Version::V5, "same");
    let _other = RawClient::clean(&broker, Version::V5, "same");
    same.expect_disconnect(&[0x8e]);

    let told = [
        ("publish_full", 1, "what=bob"),
        ("publish_retained_full", 1, "what=a/2"),
        ("packet_too_large", 1, "mqtt.message_bytes_max"),
        ("connect_version", 1, "client=127.0.0.1"),
        ("connect_client_id", 1, "1 to 1,024 bytes"),
        ("connect_too_large", 1, "mqtt.message_bytes_max"),
        ("connect_missing", 1, "is no MQTT client"),
        ("connect_timeout", 1, "mqtt.connect_timeout"),
        ("packet_malformed", 1, "client=rude"),
        ("taken_over", 1, "client=same"),
    ];
    for (cause, _, word) in told {
        let text = format!("cause={cause}");
        broker.wait_for_log(&text);
        let log = broker.stderr();
        assert!(
            log.lines().any(|line| line.contains(&text) && line.contains(word)),
            "{cause} without {word:?}: {log}"
        );
    }
    wait_for_counters(&broker, &told.map(|(cause, least, _)| (cause, least)));
}

#[test]
fn a_client_in_a_loop_does_not_fill_the_log() {
    // Goal: five records of a client and a cause, and how many were left out when there is one more; every refusal counts.
    let mut broker = Broker::start();
    let mut eve = RawClient::clean(&broker, Version::V5, "eve");
    for _ in 0..500 {
        assert_eq!(eve.subscribe("bob", 1).codes, [0x87]);
    }
    let mut other = RawClient::clean(&broker, Version::V5, "other");
    assert_eq!(other.subscribe("bob", 1).codes, [0x87]);
    broker.wait_for_log("left_out=495");
    let metrics = wait_for_counters(&broker, &[("subscribe_inbox_of_other", 501)]);
    assert_eq!(metrics["refused_subscribe_inbox_of_other"], 501);
    let log = broker.terminate().stderr;
    assert_eq!(log.matches("cause=subscribe_inbox_of_other").count(), 6, "{log}");
}

#[test]
fn a_session_holds_ten_thousand_subscriptions() {
    // Goal: a home hub subscribes to one topic per entity, in many packets and in one; the log says that it is a large one, and
    // nothing gets slow: it is served in time, and so is everybody else.
    let broker = Broker::start();
    let mut hub = RawClient::clean(&broker, Version::V311, "hub");
    for at in (0..10_000).step_by(2_500) {
        let mut body = vec![0, 7];
        for entity in at..at + 2_500 {
            body.extend(string(format!("home/entity-{entity}/state")));
            body.push(1);
        }
        hub.send(&packet(0x82, &body));
        let suback = hub.wait_for("SUBACK", |packet| match packet {
            inbox_tests::Packet::SubAck(suback) => Some(suback.clone()),
            _ => None,
        });
        assert!(suback.codes.len() == 2_500 && suback.codes.iter().all(|code| *code == 1));
    }
    assert_eq!(hub.subscribe("one/too/many", 1).codes, [0x80]);
    broker.wait_for_log("a session holds 101 subscriptions now");
    let mut sensor = RawClient::clean(&broker, Version::V5, "sensor");
    for entity in [0, 5_000, 9_999] {
        sensor.publish(&format!("home/entity-{entity}/state"), "on", 1);
        assert_eq!(hub.receive_and_ack().topic, format!("home/entity-{entity}/state"));
    }
}

#[test]
fn a_will_that_finds_no_room_is_told_and_is_not_one_that_was_published() {
    // Goal: the client is gone and nobody waits for the answer, so the log names the will, and the counters do not call it published.
    let broker = Broker::with_config("[inbox]\nmessages_max = 1\n");
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    alice.publish("bob", "1", 1);
    for qos in [1, 2] {
        let mut will = Will::new("bob", "gone");
        will.qos = qos;
        let mut client = RawClient::open(&broker, Version::V5);
        client.send(&Connect::new(Version::V5, "mortal").will(will).encode());
        client.next_or_close();
        drop(client);
    }
    let metrics = wait_for_counters(&broker, &[("publish_will", 2)]);
    assert_eq!(metrics["wills_published"], 0);
    broker.wait_for_log("cause=publish_will");
    let log = broker.stderr();
    let told = log.lines().find(|line| line.contains("cause=publish_will")).unwrap();
    assert!(
        told.contains("what=bob") && told.contains("client=mortal") && told.contains("inbox is full"),
        "{told}"
    );
    let mut will = Will::new("carol", "gone");
    will.qos = 1;
    let mut client = RawClient::open(&broker, Version::V5);
    client.send(&Connect::new(Version::V5, "mortal").will(will).encode());
    client.next_or_close();
    drop(client);
    let mut carol = RawClient::clean(&broker, Version::V5, "carol");
    carol.subscribe("carol", 1);
    assert_eq!(carol.receive_and_ack().text(), "gone");
}
