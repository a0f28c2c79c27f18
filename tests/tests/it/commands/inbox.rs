//! `inboxd inbox` on a broker that runs.

use inbox_tests::{
    Broker, Props, PublishPacket, RawClient, Version, fails, inboxd_command, property, run_fed, succeeds,
};
use serde_json::Value;

/// More inboxes than one page of the API has.
const INBOXES: usize = 1200;
const PUBLISHERS: usize = 12;

/// Mail that is text, bytes, long, and full of what steers terminals.
fn with_mail() -> Broker {
    let broker = Broker::start();
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    alice.publish("bob", "one", 1);
    alice.publish("bob", [0xff, 0x00, b'x'], 1);
    alice.publish("bob", "ü\n\u{1b}[2J".repeat(1000), 1);
    let props = Props::new()
        .bytes(property::CONTENT_TYPE, "text/plain")
        .bytes(property::RESPONSE_TOPIC, "alice")
        .bytes(property::CORRELATION_DATA, "\u{1}\u{2}")
        .user("colour", "red")
        .user("id", "order 7");
    alice.publish_packet(PublishPacket {
        props,
        ..PublishPacket::new("bob", "four", 1, 77)
    });
    alice.publish("c: d?&%", "odd", 1);
    broker
}

#[test]
fn a_running_broker_and_a_stopped_one_say_the_same() {
    // Goal: lists, messages and exports have the same lines from the API and from the store, for people and as JSON, whatever clients chose.
    let mut broker = with_mail();
    let questions: [&[&str]; 9] = [
        &["inbox", "list"],
        &["inbox", "list", "--json"],
        &["inbox", "show", "bob"],
        &["inbox", "show", "bob", "--limit", "2"],
        &["inbox", "show", "bob", "--json"],
        &["inbox", "show", "bob", "--json", "--limit", "3"],
        &["inbox", "show", "c: d?&%", "--json"],
        &["inbox", "export", "bob"],
        &["inbox", "show", "bob", "--limit", "0"],
    ];
    let live = questions.map(|question| succeeds(&broker.run_on_data(question)));
    assert_eq!(broker.terminate().code, Some(0));
    for (question, live) in questions.iter().zip(&live) {
        assert_eq!(&succeeds(&broker.run_on_data(question)), live, "{question:?}");
    }
    assert_eq!(live[0].lines().count(), 3);
    assert_eq!(live[2].lines().count(), 4);
    assert!(
        !live[2].contains('\u{1b}') && live[2].contains(r#"payload="\xff\0x""#),
        "{}",
        live[2]
    );
    assert!(live[2].contains(r#"id="order 7""#), "{}", live[2]);
    let exported: Vec<Value> = live[7]
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(exported[0]["payload"], "one");
    assert_eq!(exported[1]["payload_hex"], "ff0078");
    assert_eq!(exported[3]["user_properties"], serde_json::json!([["colour", "red"]]));
}

#[test]
fn many_inboxes_and_messages_come_page_by_page() {
    // Goal: nothing is left out or told twice where there is more than one page of the API, or of an export.
    let broker = Broker::start();
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    for n in 0..205 {
        alice.publish("bob", n.to_string(), 1);
    }
    std::thread::scope(|scope| {
        for publisher in 0..PUBLISHERS {
            let broker = &broker;
            scope.spawn(move || {
                let mut client = RawClient::clean(broker, Version::V5, &format!("publisher {publisher}"));
                for n in 0..INBOXES / PUBLISHERS {
                    client.publish(&format!("n{publisher}-{n:04}"), "x", 1);
                }
            });
        }
    });
    let shown = succeeds(&broker.run_on_data(&["inbox", "show", "bob", "--json"]));
    let numbers: Vec<_> = shown
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["payload"].clone())
        .collect();
    assert_eq!(
        numbers,
        (0..205).map(|n| Value::from(n.to_string())).collect::<Vec<_>>()
    );
    assert_eq!(
        succeeds(&broker.run_on_data(&["inbox", "show", "bob"])).lines().count(),
        205
    );
    let some = broker.run_on_data(&["inbox", "show", "bob", "--limit", "150"]);
    assert_eq!(succeeds(&some).lines().count(), 150);
    let listed = succeeds(&broker.run_on_data(&["inbox", "list", "--json"]));
    let listed: Vec<_> = listed.lines().collect();
    let mut sorted = listed.clone();
    sorted.sort_unstable();
    sorted.dedup();
    // Those that the last publishes were for are in the store by now, or will be in a moment.
    assert!(listed.len() > 1000 && sorted.len() == listed.len(), "{}", listed.len());
}

#[test]
fn what_holds_nothing_is_said_on_standard_error() {
    // Goal: an unknown inbox is no failure, and scripts that count lines count right; a purge of it needs no question.
    let broker = Broker::start();
    let list = broker.run_on_data(&["inbox", "list"]);
    assert!(succeeds(&list).is_empty());
    assert!(String::from_utf8_lossy(&list.stderr).contains("no inbox holds anything"));
    for more in [&[][..], &["--json"]] {
        let shown = broker.run_on_data(&[&["inbox", "show", "nobody"], more].concat());
        assert!(succeeds(&shown).is_empty());
        assert!(String::from_utf8_lossy(&shown.stderr).contains("\"nobody\" holds nothing"));
    }
    assert!(succeeds(&broker.run_on_data(&["inbox", "export", "nobody"])).is_empty());
    let purged = broker.run_on_data(&["inbox", "purge", "nobody"]);
    assert_eq!(succeeds(&purged), "removed 0 messages of inbox \"nobody\"\n");
}

#[test]
fn an_inbox_in_use_is_purged_after_a_question() {
    // Goal: without "yes" nothing is lost; with it, what the reader has not acknowledged is gone, what comes later is delivered, and the audit log
    // names the command.
    let broker = Broker::start();
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    for n in 0..60 {
        alice.publish("bob", format!("old {n}"), 1);
    }
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    let mut last = bob.receive();
    let ask = |answer: &[u8]| {
        let mut command = inboxd_command();
        command.args(["inbox", "purge", "bob", "--data"]).arg(broker.data());
        run_fed(&mut command, answer)
    };
    fails(&ask(b"no\n"), 1, &["all 60 messages", "nothing was removed"]);
    fails(&ask(b""), 1, &["nothing was removed"]);
    assert_eq!(succeeds(&ask(b"yes\n")), "removed 60 messages of inbox \"bob\"\n");
    broker.wait_for_log("a command on this machine");
    alice.publish("bob", "new", 1);
    while last.text() != "new" {
        bob.acknowledge(&last);
        last = bob.receive();
    }
}

#[test]
fn everything_about_a_client_is_erased() {
    // Goal: mail and session are gone, and that is said; of a stopped broker it is not done by halves.
    let mut broker = Broker::start();
    RawClient::clean(&broker, Version::V5, "alice").publish("bob", "private", 1);
    let erased = succeeds(&broker.run_on_data(&["inbox", "erase", "bob", "--yes"]));
    assert!(erased.starts_with("erased of client \"bob\": 1 messages"), "{erased}");
    assert!(succeeds(&broker.run_on_data(&["inbox", "list"])).is_empty());
    fails(
        &broker.run_on_data(&["inbox", "erase", "bob"]),
        1,
        &["nothing was removed"],
    );
    assert_eq!(broker.terminate().code, Some(0));
    fails(
        &broker.run_on_data(&["inbox", "erase", "bob", "--yes"]),
        1,
        &["start the broker"],
    );
}
