//! Inboxes with a size of their own, by a rule (docs/security.md, contract rule 3).

use std::fs;

use inbox_tests::{Broker, PublishPacket, RawClient, Version, wait_until};
use rustix::process::Signal;

/// The reason codes of publishes to `inbox`, one after the other.
fn answers(broker: &Broker, inbox: &str, payloads: &[&str]) -> Vec<u8> {
    let mut alice = RawClient::clean(broker, Version::V5, "alice");
    let mut answer = |payload| {
        alice
            .publish_packet(PublishPacket::new(inbox, payload, 1, 0))
            .unwrap()
            .reason
    };
    payloads.iter().map(|payload| answer(*payload)).collect()
}

#[test]
fn rule_03_an_inbox_may_have_a_size_of_its_own() {
    // Goal: by rules that say nothing of senders, one inbox is larger than usual and others are smaller, by messages and by bytes. A reload changes that at
    // once, for inboxes with their readers there too; what an inbox holds above its new size stays; a file with a mistake changes nothing; and a
    // restart and a crash find the sizes of the file.
    let directory = tempfile::tempdir().unwrap();
    let acl = directory.path().join("acl.toml");
    // No users are known here, and with a file their rights are for it to say.
    let bob = |messages: u32| {
        let everyone = "[[role]]\nname = \"everyone\"\nwrite_to = [\"*\"]\n";
        format!("[[inbox]]\nof = \"bob\"\nmessages_max = {messages}\n{everyone}")
    };
    let sensors = "[[inbox]]\nof = \"sensor-*\"\nbytes_max = \"20B\"\n";
    fs::write(&acl, bob(3) + sensors).unwrap();
    let mut broker = Broker::with_config(&format!("[inbox]\nmessages_max = 2\n[access]\nacl_file = {acl:?}\n"));
    assert_eq!(answers(&broker, "bob", &["1", "2", "3", "4"]), [0, 0, 0, 0x97]);
    assert_eq!(answers(&broker, "carol", &["1", "2", "3"]), [0, 0, 0x97]);
    assert_eq!(
        answers(&broker, "sensor-1", &["twelve bytes", "nine more", "eight of"]),
        [0, 0x97, 0]
    );

    let reload = |broker: &Broker, rules: String, log: &str| {
        let seen = broker.stderr().matches(log).count();
        fs::write(&acl, rules).unwrap();
        broker.signal(Signal::HUP);
        wait_until(&format!("standard error says {log:?} again"), || {
            broker.stderr().matches(log).count() > seen
        });
    };
    let reloaded = "the configuration was reloaded";
    reload(&broker, bob(4), reloaded);
    assert_eq!(answers(&broker, "bob", &["4", "5"]), [0, 0x97]);
    assert_eq!(
        answers(&broker, "sensor-1", &["three"]),
        [0x97],
        "it has two messages, as any other may"
    );
    reload(
        &broker,
        "[[inbox]]\nof = \"bob\"\nmessages_max = 0\n".to_owned(),
        "line 3",
    );
    assert_eq!(answers(&broker, "bob", &["5"]), [0x97]);
    reload(&broker, bob(1), reloaded);
    assert_eq!(answers(&broker, "bob", &["5"]), [0x97]);

    assert_eq!(broker.terminate().code, Some(0));
    broker.restart();
    assert_eq!(answers(&broker, "bob", &["5"]), [0x97]);
    reload(&broker, bob(5), reloaded);
    broker.crash_and_restart();
    assert_eq!(answers(&broker, "bob", &["5", "6"]), [0, 0x97]);

    let mut reader = RawClient::reader(&broker, Version::V5, "bob", 1);
    assert_eq!(reader.texts(5), ["1", "2", "3", "4", "5"]);
    reader.ping();
    let mut carol = RawClient::reader(&broker, Version::V5, "carol", 1);
    assert_eq!(carol.texts(2), ["1", "2"]);
}
