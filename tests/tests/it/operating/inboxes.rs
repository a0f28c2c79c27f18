//! `inboxd inbox` on the directory of a broker that is stopped.

use inbox_tests::{Broker, Props, PublishPacket, RawClient, Version, property};

use super::text;

/// A stopped broker with three messages for bob and one for carol.
fn stopped_with_mail() -> Broker {
    let mut broker = Broker::start();
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    for text in ["one", "two"] {
        alice.publish("bob", text, 1);
    }
    let props = Props::new().user("id", "order-17").four(property::MESSAGE_EXPIRY, 3600);
    alice.publish_packet(PublishPacket::new("bob", b"\x1b[31mthree\0", 1, 0).props(props));
    alice.publish("carol", "four", 1);
    assert_eq!(broker.terminate().code, Some(0));
    broker
}

#[test]
fn inbox_list_and_show_tell_what_waits() {
    // Goal: names and counts, then each message with sender and id; no control character reaches the terminal.
    let broker = stopped_with_mail();
    let list = broker.run_on_data(&["inbox", "list"]);
    assert_eq!(list.status.code(), Some(0), "{}", text(&list.stderr));
    let list = text(&list.stdout);
    let line = |name: &str| {
        list.lines()
            .find(|line| line.contains(name))
            .unwrap_or_else(|| panic!("{name}: {list}"))
    };
    assert!(line("bob").contains('3') && line("carol").contains('1'), "{list}");

    let show = broker.run_on_data(&["inbox", "show", "bob"]);
    assert_eq!(show.status.code(), Some(0), "{}", text(&show.stderr));
    let show = text(&show.stdout);
    for word in ["one", "two", "three", "alice", "order-17"] {
        assert!(show.contains(word), "{word:?} is missing in:\n{show}");
    }
    assert!(
        show.chars().all(|c| !c.is_control() || c == '\n'),
        "control characters in:\n{show:?}"
    );
    let order = ["one", "two", "three"].map(|word| show.find(word));
    assert!(order.is_sorted(), "acceptance order");
    assert!(!show.contains("four"));
}

#[test]
fn inbox_list_and_show_speak_json() {
    // Goal: `--json` gives what a program can read, line by line or as one document.
    let broker = stopped_with_mail();
    for args in [
        ["inbox", "list", "--json"].as_slice(),
        &["inbox", "show", "bob", "--json"],
    ] {
        let output = broker.run_on_data(args);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let stdout = text(&output.stdout);
        let values: Vec<serde_json::Value> = serde_json::Deserializer::from_str(&stdout)
            .into_iter()
            .collect::<Result<_, _>>()
            .expect("JSON");
        assert!(
            !values.is_empty() && stdout.contains("bob") | stdout.contains("alice"),
            "{stdout}"
        );
    }
}

#[test]
fn inbox_purge_empties_one_inbox() {
    // Goal: the mail of bob goes, that of carol stays, and how much went is told (rule 5).
    let mut broker = stopped_with_mail();
    let purge = broker.run_on_data(&["inbox", "purge", "bob", "--yes"]);
    assert_eq!(purge.status.code(), Some(0), "{}", text(&purge.stderr));
    assert!(text(&purge.stdout).contains('3'), "{}", text(&purge.stdout));
    broker.restart();
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    bob.expect_nothing();
    let mut carol = RawClient::reader(&broker, Version::V5, "carol", 1);
    assert_eq!(carol.texts(1), ["four"]);
}
