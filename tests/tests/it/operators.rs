//! What operators see and ask over MQTT, while the broker is in use.

mod sessions;

use inbox_tests::{Broker, Connect, Props, PublishPacket, RawClient, Version, property, wait_until};
use serde_json::{Value, json};

/// An operator: a client that reads its own inbox for the answers.
struct Operator {
    client: RawClient,
    asked: u32,
}

impl Operator {
    fn of(broker: &Broker) -> Self {
        Operator {
            client: RawClient::reader(broker, Version::V5, "olga", 0),
            asked: 0,
        }
    }

    /// Gives the Correlation Data.
    fn request(&mut self, command: &str, parameters: &Value) -> String {
        self.asked += 1;
        let number = self.asked.to_string();
        let props = Props::new()
            .bytes(property::RESPONSE_TOPIC, "olga")
            .bytes(property::CORRELATION_DATA, &number);
        let topic = format!("$SYS/inboxd/api/{command}");
        let request = PublishPacket {
            props,
            ..PublishPacket::new(&topic, parameters.to_string(), 0, 0)
        };
        self.client.publish_packet(request);
        number
    }

    /// The whole answer.
    fn answer(&mut self, command: &str, parameters: &Value) -> Value {
        let number = self.request(command, parameters);
        let answer = self.client.receive();
        assert_eq!(answer.props.binary(property::CORRELATION_DATA), Some(number.as_bytes()));
        serde_json::from_str(answer.text()).unwrap()
    }

    fn ask(&mut self, command: &str, parameters: Value) -> Value {
        let answer = self.answer(command, &parameters);
        assert_eq!(answer["ok"], true, "{command} {parameters}: {answer}");
        answer["result"].clone()
    }

    fn refused(&mut self, command: &str, parameters: Value) -> (String, String) {
        let answer = self.answer(command, &parameters);
        assert_eq!(answer["ok"], false, "{command} {parameters}: {answer}");
        let text = |name: &str| answer["error"][name].as_str().unwrap().to_owned();
        (text("code"), text("message"))
    }
}

#[test]
fn rule_05_an_operator_purges_an_inbox_that_is_in_use() {
    // Goal: what a reader has in hand, what waits in the store and what is in memory leave; what comes afterwards is delivered, nothing purged
    // comes again, not after a restart either, and the event says how many there were.
    let mut broker = Broker::start();
    let mut watcher = RawClient::clean(&broker, Version::V5, "watcher");
    watcher.subscribe("$SYS/inboxd/event/purged", 1);
    let mut olga = Operator::of(&broker);
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    for n in 0..150 {
        alice.publish("bob", format!("old {n}"), 1);
    }
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    let in_hand = bob.receive();
    assert_eq!(in_hand.text(), "old 0");
    assert_eq!(
        olga.ask("inbox/purge", json!({"client": "bob"})),
        json!({"purged": 150})
    );
    let event: Value = serde_json::from_str(watcher.receive_and_ack().text()).unwrap();
    assert_eq!((&event["inbox"], &event["messages"]), (&json!("bob"), &json!(150)));
    alice.publish("bob", "new", 1);
    // The first window was sent before; nothing else of it comes.
    let mut last = in_hand;
    while last.text() != "new" {
        bob.acknowledge(&last);
        last = bob.receive();
    }
    bob.vanish();
    broker.crash_and_restart();
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    assert_eq!(bob.receive_and_ack().text(), "new");
    bob.expect_nothing();
}

#[test]
fn inboxes_are_listed_shown_and_looked_into() {
    // Goal: pages with a place to go on, payloads that are text or not and cut, what cannot be is said.
    let broker = Broker::start();
    let mut olga = Operator::of(&broker);
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    for (inbox, payload) in [
        ("b1", &b"one"[..]),
        ("b2", &[0xff, 0x00]),
        ("b2", b"two"),
        ("c", b"three"),
        ("<b>\n", b"four"),
    ] {
        alice.publish(inbox, payload, 1);
    }
    let first = olga.ask("inbox/list", json!({"limit": 2}));
    assert_eq!(
        first["inboxes"][0],
        json!({"client": "<b>\n", "messages": 1, "bytes": 4})
    );
    let next = first["next"].clone();
    assert_eq!(next, "b1");
    let rest = olga.ask("inbox/list", json!({"after": next}));
    assert_eq!(rest["inboxes"].as_array().unwrap().len(), 2);
    assert_eq!(rest.get("next"), None);
    let b = olga.ask("inbox/list", json!({"prefix": "b"}));
    assert_eq!(b["inboxes"].as_array().unwrap().len(), 2, "{b}");
    let shown = olga.ask("inbox/show", json!({"client": "b2"}));
    assert_eq!(
        (&shown["messages"], &shown["bytes"], &shown["reader"]),
        (&json!(2), &json!(5), &json!(false))
    );
    let peeked = olga.ask("inbox/peek", json!({"client": "b2", "payload_bytes_max": 2}));
    let messages = &peeked["messages"];
    assert_eq!(
        (&messages[0]["payload_hex"], &messages[0]["truncated"]),
        (&json!("ff00"), &json!(false))
    );
    assert_eq!(
        (&messages[1]["payload"], &messages[1]["truncated"]),
        (&json!("tw"), &json!(true))
    );
    assert_eq!(messages[1]["from"], "alice");
    let exported = olga.ask(
        "inbox/export",
        json!({"client": "b2", "limit": 1, "after": messages[0]["seq"]}),
    );
    assert_eq!(
        (&exported["messages"][0]["payload"], exported.get("next")),
        (&json!("two"), None)
    );
    let empty = olga.ask("inbox/show", json!({"client": "nobody"}));
    assert_eq!(empty["messages"], 0);
    for (command, parameters, code, word) in [
        ("inbox/show", json!({}), "bad-request", "client"),
        ("inbox/show", json!({"client": "bob", "all": 1}), "bad-request", "all"),
        ("inbox/show", json!({"client": ""}), "bad-request", "empty"),
        ("inbox/fold", json!({}), "bad-request", "inbox/list"),
        ("client/show", json!({"client": "nobody"}), "not-found", "connected"),
    ] {
        let (said, message) = olga.refused(command, parameters);
        assert_eq!(said, code);
        assert!(message.contains(word), "{message}");
    }
}

#[test]
fn clients_are_listed_disconnected_and_erased() {
    // Goal: who is connected and how; MQTT 5 is told 0x98; after erasing nothing of a client is left: no session, no mail, no lists.
    let mut broker = Broker::start();
    let mut olga = Operator::of(&broker);
    let (mut bob, _) = RawClient::connect(
        &broker,
        &Connect {
            clean: false,
            ..Connect::new(Version::V311, "bob")
        },
    );
    bob.subscribe("a/b", 1);
    let mut carol = RawClient::clean(&broker, Version::V5, "carol");
    let block = PublishPacket::new("$inbox/block", "{\"add\": [\"client:eve\"]}", 1, 9);
    carol.publish_packet(block);
    let list = olga.ask("client/list", json!({}));
    let ids: Vec<_> = list["clients"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["client"].clone())
        .collect();
    assert_eq!(ids, ["bob", "carol", "olga"]);
    assert_eq!(
        (&list["clients"][0]["protocol"], &list["clients"][0]["listener"]),
        (&json!("3.1.1"), &json!("mqtt"))
    );
    assert_eq!(
        olga.ask("client/disconnect", json!({"client": "carol"})),
        json!({"disconnected": true})
    );
    carol.expect_disconnect(&[0x98]);
    assert_eq!(
        olga.ask("client/disconnect", json!({"client": "nobody"})),
        json!({"disconnected": false})
    );
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    alice.publish("carol", "secret", 1);
    let erased = olga.ask("client/erase", json!({"client": "carol"}));
    assert_eq!((&erased["purged"], &erased["kept"]["lists"]), (&json!(1), &json!(1)));
    let erased = olga.ask("client/erase", json!({"client": "bob"}));
    assert_eq!(erased["session"], true);
    bob.expect_close();
    broker.crash_and_restart();
    let mut eve = RawClient::clean(&broker, Version::V5, "eve");
    eve.publish("carol", "not blocked any more", 1);
    let mut carol = RawClient::reader(&broker, Version::V5, "carol", 1);
    assert_eq!(carol.receive_and_ack().text(), "not blocked any more");
}

#[test]
fn the_board_shows_what_happens() {
    // Goal: the overview comes every second to who watches, with rates and percentiles; the largest inboxes; Mosquitto's names; events.
    let broker = Broker::start();
    let mut watcher = RawClient::clean(&broker, Version::V5, "watcher");
    watcher.subscribe("$SYS/inboxd/event/connected", 1);
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    // The watcher's own may be told yet.
    let event = loop {
        let event: Value = serde_json::from_str(watcher.receive_and_ack().text()).unwrap();
        if event["client"] == "alice" {
            break event;
        }
    };
    assert_eq!(event["listener"], "mqtt");
    watcher.unsubscribe("$SYS/inboxd/event/connected");
    for _ in 0..20 {
        alice.publish("bob", "x", 1);
    }
    watcher.subscribe("$SYS/inboxd/overview", 1);
    let mut until = |what: &str, is_there: &dyn Fn(&Value) -> bool| {
        for _ in 0..20 {
            alice.publish("bob", "x", 1);
            let overview: Value = serde_json::from_str(watcher.receive_and_ack().text()).unwrap();
            if is_there(&overview) {
                return;
            }
        }
        panic!("{what} is never shown");
    };
    until("a PUBACK's time", &|it| {
        it["latency_us"]["puback"]["p99"].as_u64() > Some(0)
    });
    until("a commit's time", &|it| {
        it["latency_us"]["commit"]["max"].as_u64() > Some(0)
    });
    until("mail", &|it| {
        it["inboxes"]["messages"].as_u64() > Some(20) && it["inboxes"]["with_mail"] == 1
    });
    until("a rate", &|it| it["rates"]["accepted"].as_f64() > Some(0.0));
    watcher.unsubscribe("$SYS/inboxd/overview");
    watcher.subscribe("$SYS/inboxd/top", 1);
    let is_top = |top: &Value| top["largest"][0]["client"] == "bob" && top["oldest"][0]["client"] == "bob";
    while !is_top(&serde_json::from_str(watcher.receive_and_ack().text()).unwrap()) {}
    watcher.unsubscribe("$SYS/inboxd/top");
    watcher.subscribe("$SYS/broker/version", 1);
    assert_eq!(
        watcher.receive_and_ack().text(),
        concat!("inboxd version ", env!("CARGO_PKG_VERSION"))
    );
    watcher.subscribe("$SYS/broker/messages/received", 1);
    let received: u64 = watcher.receive_and_ack().text().parse().unwrap();
    assert!(received < 1_000_000);
}

#[test]
fn a_trace_tells_where_a_message_is() {
    // Goal: what waited before, and every milestone of what comes: written for somebody who is away, delivered and acknowledged, or never written;
    // nothing of others; a trace ends when it is stopped, and one of everything is refused.
    let broker = Broker::with_config("[store]\ncommit_hold = \"1s\"\n");
    let mut olga = Operator::of(&broker);
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    alice.publish("bob", "earlier", 1);
    let (code, message) = olga.refused("trace/start", json!({}));
    assert_eq!(code, "bad-request");
    assert!(message.contains("\"to\""), "{message}");
    let trace = olga.ask("trace/start", json!({"to": "bob"}))["trace"].clone();
    let mut told = Vec::new();
    let next = |olga: &mut Operator, told: &mut Vec<(String, Value)>| {
        let said: Value = serde_json::from_str(olga.client.receive().text()).unwrap();
        assert_eq!(said["trace"], trace);
        let event = &said["event"];
        told.push((event["what"].as_str().unwrap().to_owned(), event["seq"].clone()));
    };
    next(&mut olga, &mut told);
    alice.publish("carol", "not this one", 1);
    alice.publish("bob", "written", 1);
    (0..2).for_each(|_| next(&mut olga, &mut told));
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    (0..2).for_each(|_| _ = bob.receive_and_ack());
    (0..4).for_each(|_| next(&mut olga, &mut told));
    alice.send_publish(PublishPacket::new("bob", "fast", 1, 77));
    bob.receive_and_ack();
    (0..3).for_each(|_| next(&mut olga, &mut told));
    let (first, second, third) = (told[0].1.clone(), told[1].1.clone(), told[7].1.clone());
    let of = |seq: &Value| {
        told.iter()
            .filter(|(_, of)| of == seq)
            .map(|(what, _)| what.as_str())
            .collect::<Vec<_>>()
    };
    assert_eq!(of(&first), ["waiting", "delivered", "acknowledged"]);
    assert_eq!(of(&second), ["accepted", "committed", "delivered", "acknowledged"]);
    assert_eq!(of(&third), ["accepted", "delivered", "cancelled"]);
    olga.request("trace/stop", &json!({"trace": trace}));
    // In any order: they come from two tasks.
    let mut last: Vec<Value> = (0..2)
        .map(|_| serde_json::from_str(olga.client.receive().text()).unwrap())
        .collect();
    last.sort_by_key(|said| said.get("ended").is_none());
    assert_eq!(last[0]["ended"], "stopped");
    assert_eq!(last[1]["result"], json!({"stopped": true}));
}

#[test]
fn a_trace_does_not_follow_what_it_tells() {
    // Goal: regression: a trace of one's own messages, answered to one's own inbox with QoS 1, followed its own answers, more than 10,000 a second.
    let broker = Broker::start();
    let mut olga = RawClient::reader(&broker, Version::V5, "olga", 1);
    let props = Props::new()
        .bytes(property::RESPONSE_TOPIC, "olga")
        .bytes(property::CORRELATION_DATA, "t");
    let start = PublishPacket::new("$SYS/inboxd/api/trace/start", "{\"from\": \"olga\"}", 1, 5).props(props);
    olga.publish_packet(start);
    let begun: Value = serde_json::from_str(olga.receive_and_ack().text()).unwrap();
    assert_eq!(begun["result"]["trace"], 1);
    olga.publish_packet(PublishPacket::new("olga", "a note to myself", 1, 6));
    // The note and what is told of it come, and then nothing that tells of what was told.
    let first = [olga.receive(), olga.receive()];
    std::thread::sleep(std::time::Duration::from_millis(500));
    let told = first.len() + olga.publishes_so_far().len();
    assert!(told < 10, "{told} messages");
}

#[test]
fn a_trace_ends_with_the_connection_that_began_it() {
    // Goal: regression: eight traces of operators who had gone kept everybody else from following anything for minutes.
    let broker = Broker::start();
    for n in 0..8 {
        let id = format!("olga{n}");
        let mut olga = RawClient::reader(&broker, Version::V5, &id, 0);
        let props = Props::new().bytes(property::RESPONSE_TOPIC, &id);
        let wanted = "{\"to\": \"quiet\", \"seconds\": 600}";
        olga.publish_packet(PublishPacket::new("$SYS/inboxd/api/trace/start", wanted, 0, 0).props(props));
        let begun: Value = serde_json::from_str(olga.receive().text()).unwrap();
        assert_eq!(begun["ok"], true);
        olga.vanish();
    }
    let mut olga = Operator::of(&broker);
    wait_until("they have ended", || {
        olga.answer("trace/start", &json!({"to": "bob"}))["ok"] == true
    });
}
