//! Contract rule 6: the acceptance order, and a `seq` that never repeats and never goes back.

use std::thread;

use inbox_tests::{AckKind, Broker, Connect, Props, PublishPacket, RawClient, Version};

#[test]
fn rule_06_seq_grows_strictly_across_crashes() {
    // Goal: five lives of the broker on one directory, kill -9 between them; live and replayed messages alike.
    let mut broker = Broker::start();
    let mut seqs = Vec::new();
    for _ in 0..5 {
        let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
        let mut alice = RawClient::clean(&broker, Version::V5, "alice");
        for i in 0..20 {
            alice.publish("bob", i.to_string(), 1);
            seqs.push(bob.receive_and_ack().seq());
        }
        bob.disconnect();
        alice.publish("bob", "offline", 1);
        let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
        seqs.push(bob.receive_and_ack().seq());
        bob.ping();
        broker.crash_and_restart();
    }
    // A message acknowledged just before a crash may come again (rule 7), with the seq that it had.
    assert!(
        seqs.windows(2).all(|pair| pair[0] <= pair[1]),
        "seq went back: {seqs:?}"
    );
    let distinct: std::collections::BTreeSet<_> = seqs.iter().collect();
    assert!(
        distinct.len() >= 5 * 20,
        "a seq was given to more than one message: {seqs:?}"
    );
}

#[test]
fn rule_06_a_seq_that_was_shown_is_never_given_to_another_message() {
    // Goal: delivery does not wait for the commit, so a reader may have seen a seq that the crash forgot. Whatever
    // comes after the crash has a seq above it, unless it is the same message.
    let mut broker = Broker::start();
    let mut shown: Vec<(u64, String)> = Vec::new();
    for life in 0..8 {
        let mut bob = RawClient::reader(&broker, Version::V5, "bob", 0);
        let mut alice = RawClient::clean(&broker, Version::V5, "alice");
        alice.send_publish(PublishPacket::new("bob", format!("life {life}"), 1, 0));
        let message = bob.receive();
        // Killed as soon as the reader saw it, long before or after the PUBACK.
        broker.crash_and_restart();
        for (seq, text) in &shown {
            assert!(
                message.seq() > *seq || message.text() == text,
                "seq {} was shown for {text}",
                message.seq()
            );
        }
        shown.push((message.seq(), message.text().to_owned()));
    }
}

#[test]
fn rule_06_a_seq_survives_being_replayed() {
    // Goal: the same message has the same seq at every delivery, over a restart.
    let mut broker = Broker::start();
    RawClient::clean(&broker, Version::V311, "alice").publish("bob", "same", 1);
    let first = RawClient::reader(&broker, Version::V5, "bob", 1).receive();
    let second = RawClient::reader(&broker, Version::V5, "bob", 1).receive();
    broker.crash_and_restart();
    let third = RawClient::reader(&broker, Version::V5, "bob", 1).receive();
    assert_eq!((first.seq(), first.seq()), (second.seq(), third.seq()));
    for name in ["id", "from", "at"] {
        let value = first.props.user(name);
        assert_eq!(
            (value, value),
            (second.props.user(name), third.props.user(name)),
            "user property {name}"
        );
    }
}

#[test]
fn rule_06_each_publishers_order_is_kept_among_many() {
    // Goal: eight publishers at once into one inbox with an online reader: per publisher nothing overtakes
    // (MQTT-4.6.0-6), and the seq grows with every delivery.
    let broker = Broker::start();
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    thread::scope(|scope| {
        for publisher in 0..8 {
            let broker = &broker;
            scope.spawn(move || {
                let version = Version::BOTH[publisher % 2];
                let mut client = RawClient::clean(broker, version, &format!("publisher-{publisher}"));
                for start in (0..250).step_by(25) {
                    let publish = |i: usize| PublishPacket::new("bob", format!("{publisher} {i}"), 1, 0);
                    let ids: Vec<_> = (start..start + 25).map(|i| client.send_publish(publish(i))).collect();
                    ids.into_iter()
                        .for_each(|id| assert_eq!(client.ack(AckKind::PubAck, id).reason, 0));
                }
            });
        }
        let (mut next, mut last_seq) = ([0; 8], 0);
        for _ in 0..8 * 250 {
            let message = bob.receive_and_ack();
            let (publisher, i) = message.text().split_once(' ').unwrap();
            let publisher: usize = publisher.parse().unwrap();
            assert_eq!(i.parse(), Ok(next[publisher]), "publisher {publisher} was reordered");
            next[publisher] += 1;
            assert!(message.seq() > last_seq);
            last_seq = message.seq();
        }
    });
}

#[test]
fn rule_06_each_delivery_names_the_one_before_it_and_the_epoch() {
    // Goal: with `prev` a reader proves that it missed nothing between two deliveries of a connection, over a replay and on; `epoch` is that
    // of CONNACK, also after a crash. Senders can set neither, nor what the broker marks its own messages with.
    let mut broker = Broker::start();
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    let forged = ["prev", "epoch", "dropped", "$inboxd", "$inboxd-receipt"];
    let forged = forged.iter().fold(Props::new(), |props, name| props.user(name, "1"));
    let epoch = |broker: &Broker| {
        let (_, connack) = RawClient::connect(broker, &Connect::new(Version::V5, "curious"));
        connack.props.user("epoch").map(str::to_owned)
    };
    let first = epoch(&broker);
    assert!(first.is_some());
    let send = |alice: &mut RawClient, qos| {
        alice.publish_packet(PublishPacket::new("bob", "x", qos, 0).props(forged.clone()));
    };
    send(&mut alice, 1);
    send(&mut alice, 2);
    for life in 0..2 {
        let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
        let mut alice = RawClient::clean(&broker, Version::V5, "alice");
        let mut prev = None;
        for n in 0..4 {
            if n >= 2 {
                send(&mut alice, n - 2);
            }
            let message = bob.receive();
            assert_eq!(message.props.user("prev"), prev.as_deref(), "life {life}, message {n}");
            assert_eq!(message.props.user("epoch"), first.as_deref());
            let others = message.props.users().into_iter();
            let others: Vec<_> = others
                .filter(|(name, _)| name.starts_with('$') || *name == "dropped")
                .collect();
            assert!(others.is_empty(), "{others:?}");
            prev = Some(message.seq().to_string());
        }
        broker.crash_and_restart();
        assert_eq!(epoch(&broker), first);
    }
}
