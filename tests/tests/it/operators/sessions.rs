//! Sessions as operators see them, and end them, over MQTT.

use inbox_tests::{Broker, Connect, PublishPacket, RawClient, Version};
use serde_json::{Value, json};

use super::Operator;

/// A client ID that no path, log or terminal takes for granted.
const STRANGE: &str = "b/ö? #1 \u{202e}\"%2F";

/// A client whose session is kept.
fn kept(broker: &Broker, version: Version, name: &str) -> (RawClient, bool) {
    let (mut client, connack) = RawClient::connect(broker, &Connect::persistent(version, name));
    client.complete();
    (client, connack.session_present)
}

/// What is the same after a crash: not whether its client is there, and to the second when it ends.
fn lasting(sessions: &Value) -> Vec<Value> {
    let sessions = sessions["sessions"].as_array().unwrap().iter();
    let lasting = sessions.filter(|session| session["durable"] == true).cloned();
    lasting
        .map(|mut session| {
            for name in ["connected", "protocol", "expires_at"] {
                session.as_object_mut().unwrap().remove(name);
            }
            session
        })
        .collect()
}

#[test]
fn sessions_are_seen_with_what_they_hold() {
    // Goal: of who is there and who is away, of both versions and any client ID: subscriptions with their QoS, what waits, and when they end; the same after kill -9.
    for version in Version::BOTH {
        let mut broker = Broker::start();
        let mut olga = Operator::of(&broker);
        let (mut bob, _) = kept(&broker, version, STRANGE);
        for (filter, qos) in [("news/#", 1), ("a/b", 0), ("ü/+", 2)] {
            bob.subscribe(filter, qos);
        }
        bob.unsubscribe("a/b");
        bob.disconnect();
        let (mut carol, _) = kept(&broker, version, "carol");
        carol.subscribe("news/today", 1);
        carol.subscribe("carol", 1);
        let mut alice = RawClient::clean(&broker, version, "alice");
        for (topic, qos) in [("news/today", 1), ("ü/x", 2), ("news/x", 0)] {
            alice.publish(topic, "12345", qos);
        }
        // It is in her hands, and so it is counted until she acknowledges it.
        assert_eq!(carol.receive().text(), "12345");
        let before = olga.ask("session/list", json!({}));
        let ids: Vec<_> = before["sessions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| &one["client"])
            .collect();
        assert_eq!(ids, ["alice", STRANGE, "carol", "olga"]);
        let of = |list: &Value, at: usize, name: &str| list["sessions"][at][name].clone();
        assert_eq!(
            (of(&before, 0, "durable"), of(&before, 0, "subscriptions")),
            (json!(false), json!(0))
        );
        assert_eq!(
            (of(&before, 1, "subscriptions"), of(&before, 1, "messages")),
            (json!(2), json!(2))
        );
        assert_eq!(
            (of(&before, 1, "connected"), of(&before, 1, "protocol")),
            (json!(false), Value::Null)
        );
        assert!(of(&before, 1, "bytes").as_u64() > Some(10) && of(&before, 1, "expires_at").is_u64());
        assert_eq!(
            (of(&before, 2, "subscriptions"), of(&before, 2, "messages")),
            (json!(2), json!(1))
        );
        let protocol = if version == Version::V5 { "5" } else { "3.1.1" };
        assert_eq!(
            (of(&before, 2, "connected"), of(&before, 2, "protocol")),
            (json!(true), json!(protocol))
        );
        assert_eq!(of(&before, 2, "expires_at"), Value::Null, "she is there");
        let show = |olga: &mut Operator| olga.ask("session/show", json!({"client": STRANGE}));
        let shown = show(&mut olga);
        let filters = json!([{"filter": "news/#", "qos": 1}, {"filter": "ü/+", "qos": 2}]);
        assert_eq!((&shown["filters"], shown.get("next")), (&filters, None));
        let carols = olga.ask("session/show", json!({"client": "carol", "limit": 1}));
        assert_eq!(carols["filters"], json!([{"filter": "carol", "qos": 1}]));
        let rest = olga.ask("session/show", json!({"client": "carol", "after": carols["next"]}));
        assert_eq!(rest["filters"], json!([{"filter": "news/today", "qos": 1}]));

        broker.crash_and_restart();
        let mut olga = Operator::of(&broker);
        let after = olga.ask("session/list", json!({}));
        assert_eq!(lasting(&after), lasting(&before));
        assert_eq!(show(&mut olga)["filters"], filters);
        let (code, _) = olga.refused("session/show", json!({"client": "nobody"}));
        assert_eq!(code, "not-found");
    }
}

#[test]
fn a_session_that_was_ended_does_not_come_back() {
    // Goal: of a client that is away and of one that is there (MQTT 5 is told 0x98), the session is gone when that is said, over kill -9; its mail is not.
    for version in Version::BOTH {
        let mut broker = Broker::start();
        let mut olga = Operator::of(&broker);
        let (mut away, _) = kept(&broker, version, STRANGE);
        let (mut there, _) = kept(&broker, version, "there");
        for client in [&mut away, &mut there] {
            client.subscribe("news/#", 1);
        }
        away.disconnect();
        let mut alice = RawClient::clean(&broker, version, "alice");
        alice.publish("news/today", "waits", 1);
        alice.publish("there", "mail", 1);
        for client in [STRANGE, "there"] {
            assert_eq!(
                olga.ask("session/end", json!({"client": client})),
                json!({"ended": true})
            );
        }
        assert_eq!(
            olga.ask("session/end", json!({"client": "nobody"})),
            json!({"ended": false})
        );
        broker.crash_and_restart();
        match version {
            Version::V5 => there.expect_disconnect(&[0x98]),
            Version::V311 => there.expect_close(),
        }
        let mut olga = Operator::of(&broker);
        assert_eq!(lasting(&olga.ask("session/list", json!({}))), Vec::<Value>::new());
        let (mut away, is_present) = kept(&broker, version, STRANGE);
        assert!(!is_present);
        away.expect_nothing();
        let (mut there, is_present) = kept(&broker, version, "there");
        assert!(!is_present);
        there.subscribe("there", 1);
        assert_eq!(there.texts(1), ["mail"]);
        there.expect_nothing();
    }
}

#[test]
fn what_a_session_owes_its_group_is_not_ended_with_it() {
    // Goal: what waited for a shared subscription of a session that an operator ends is another member's, over kill -9.
    let mut broker = Broker::start();
    let mut olga = Operator::of(&broker);
    let (mut one, _) = kept(&broker, Version::V5, "one");
    one.subscribe("$share/group/jobs/#", 1);
    let (mut alice, _) = kept(&broker, Version::V5, "alice");
    alice.publish("jobs/1", "first", 1);
    assert_eq!(one.receive().text(), "first");
    let (mut other, _) = kept(&broker, Version::V5, "other");
    other.subscribe("$share/group/jobs/#", 1);
    other.disconnect();
    assert_eq!(
        olga.ask("session/end", json!({"client": "one"})),
        json!({"ended": true})
    );
    broker.crash_and_restart();
    let (mut other, is_present) = kept(&broker, Version::V5, "other");
    assert!(is_present);
    assert_eq!(other.texts(1), ["first"]);
}

#[test]
fn a_client_that_reads_nothing_is_seen_and_its_session_ended() {
    // Goal: what its connection cannot write keeps nobody from asking it, or from ending it.
    let broker = Broker::start();
    let mut olga = Operator::of(&broker);
    let (mut stuck, _) = kept(&broker, Version::V5, "stuck");
    stuck.subscribe("flood/#", 0);
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    for n in 0..2000_u16 {
        alice.send_publish(PublishPacket::new("flood/x", vec![b'x'; 10_000], 0, n));
    }
    alice.publish("flood/last", "x", 1);
    let shown = olga.ask("session/show", json!({"client": "stuck"}));
    assert_eq!(
        (&shown["connected"], &shown["subscriptions"]),
        (&json!(true), &json!(1))
    );
    assert!(shown["messages"].as_u64() > Some(0), "{shown}");
    assert_eq!(
        olga.ask("session/end", json!({"client": "stuck"})),
        json!({"ended": true})
    );
    let (code, _) = olga.refused("session/show", json!({"client": "stuck"}));
    assert_eq!(code, "not-found");
}
