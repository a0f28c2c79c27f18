//! Wills outlive the broker (docs/delivery.md, "Wills"): whoever was connected when it crashed, and does not come back, is told of as MQTT promises.

use std::fs;
use std::time::Duration;

use inbox_tests::{Broker, Connect, Props, PublishPacket, RawClient, Version, Will, property};

use crate::authentication::passwd;

/// Anonymous clients may be called so also where there are users.
const WATCHER: &str = "anonymous~watcher";
const CAROL: &str = "anonymous~carol";
/// Who comes back is back within this. What was acknowledged does not come again for long.
const GRACE: &str = "[will]\nafter_restart = \"4s\"\n[store]\nack_flush_interval = \"1ms\"\n";

/// Whose session is kept, and who sees wills, and its inbox.
fn watcher(broker: &Broker) -> RawClient {
    let (mut watcher, connack) = RawClient::connect(broker, &Connect::persistent(Version::V5, WATCHER));
    if !connack.session_present {
        watcher.subscribe(WATCHER, 1);
        watcher.subscribe("wills/#", 1);
    }
    watcher
}

/// A connection with a will to that topic, which says the name of its client.
fn willing(broker: &Broker, connect: Connect, topic: &str) -> RawClient {
    let will = Will::new(topic, &connect.client_id.clone());
    RawClient::connect(broker, &connect.will(will)).0
}

/// What comes until a marker that is published now.
fn until_marker(broker: &Broker, watcher: &mut RawClient) -> Vec<String> {
    RawClient::clean(broker, Version::V5, CAROL).publish("wills/marker", "marker", 1);
    let mut came = Vec::new();
    loop {
        let message = watcher.receive_and_ack();
        if message.text() == "marker" {
            came.sort();
            return came;
        }
        came.push(format!("{} of {}", message.topic, message.text()));
    }
}

/// Waits until this will has come. Gives what came before it.
fn until_will(watcher: &mut RawClient, name: &str) -> Vec<String> {
    let mut came = Vec::new();
    loop {
        let message = watcher.receive_and_ack();
        // What was acknowledged just before a crash comes again.
        if message.text() != "marker" {
            came.push(format!("{} of {}", message.topic, message.text()));
        }
        if message.text() == name {
            came.sort();
            return came;
        }
    }
}

#[test]
fn after_kill_9_the_wills_of_those_who_do_not_come_back_are_published_once() {
    // Goal: wills of clean and kept sessions, to inboxes and ordinary topics; not of those who came back, with clean start or not, nor of those who had said
    // goodbye; and after a further crash none of them again.
    for version in Version::BOTH {
        let mut broker = Broker::with_config(GRACE);
        watcher(&broker).disconnect();
        let mut open = Vec::new();
        for name in ["stays-away", "comes-back", "comes-back-clean"] {
            open.push(willing(&broker, Connect::new(version, name), &format!("wills/{name}")));
        }
        open.push(willing(
            &broker,
            Connect::persistent(version, "kept-away"),
            "wills/kept-away",
        ));
        open.push(willing(
            &broker,
            Connect::persistent(version, "kept-back"),
            "wills/kept-back",
        ));
        open.push(willing(&broker, Connect::new(version, "writes"), WATCHER));
        willing(&broker, Connect::new(version, "said-goodbye"), "wills/said-goodbye").disconnect();
        // Its goodbye is durable when this is.
        RawClient::clean(&broker, version, CAROL).publish("somebody", "", 1);
        broker.crash_and_restart();
        let back = [
            RawClient::connect(&broker, &Connect::persistent(version, "comes-back")).0,
            RawClient::connect(&broker, &Connect::new(version, "comes-back-clean")).0,
            RawClient::connect(&broker, &Connect::persistent(version, "kept-back")).0,
        ];
        let mut watcher = self::watcher(&broker);
        let mut came = Vec::new();
        while came.len() < 3 {
            let message = watcher.receive_and_ack();
            came.push(format!("{} of {}", message.topic, message.text()));
        }
        came.sort();
        assert_eq!(
            came,
            [
                "anonymous~watcher of writes",
                "wills/kept-away of kept-away",
                "wills/stays-away of stays-away",
            ]
        );
        assert_eq!(until_marker(&broker, &mut watcher), [""; 0]);
        watcher.disconnect();
        for client in back {
            client.disconnect();
        }
        // What was published is gone for good, and so is what had not to be.
        std::thread::sleep(Duration::from_millis(100));
        let mut last = willing(&broker, Connect::new(version, "last"), "wills/last");
        last.publish("somebody", "", 1);
        broker.crash_and_restart();
        let mut watcher = self::watcher(&broker);
        assert_eq!(until_will(&mut watcher, "last"), ["wills/last of last"]);
    }
}

#[test]
fn a_will_that_is_due_while_the_disk_is_nearly_full_waits() {
    // Goal: to an inbox and to an ordinary topic: refused after a crash, in a life in which nothing new is taken, and published in the next one.
    let mut broker = Broker::with_config("[will]\nafter_restart = \"1s\"\n");
    watcher(&broker).disconnect();
    let _open = [
        willing(&broker, Connect::new(Version::V5, "writes"), WATCHER),
        willing(&broker, Connect::new(Version::V311, "says"), "wills/says"),
    ];
    broker.kill9();
    let config = broker.data().with_file_name("inboxd.toml");
    let grace = fs::read_to_string(&config).unwrap();
    let with = |store: &str| fs::write(&config, format!("{grace}{store}")).unwrap();
    with("[store]\ndisk_free_bytes_min = \"1024TiB\"\n");
    broker.restart();
    for name in ["writes", "says"] {
        broker.wait_for_log(&format!("a will that is due waits client={name}"));
    }
    broker.kill9();
    with("");
    broker.restart();
    let mut watcher = watcher(&broker);
    let mut came = [watcher.receive_and_ack(), watcher.receive_and_ack()].map(|message| message.text().to_owned());
    came.sort();
    assert_eq!(came, ["says", "writes"]);
}

#[test]
fn a_delay_that_had_begun_goes_on_over_an_orderly_restart_and_a_crash() {
    // Goal: a will with a delay, of a client that was away already, comes after the restart, once; but not when its client is back before.
    for is_crash in [false, true] {
        let mut broker = Broker::with_config("[will]\nafter_restart = \"1s\"\n");
        watcher(&broker).disconnect();
        for (name, delay) in [("late", 3), ("back", 600)] {
            let mut will = Will::new(&format!("wills/{name}"), name);
            will.props = Props::new().four(property::WILL_DELAY, delay);
            let (mut client, _) = RawClient::connect(&broker, &Connect::persistent(Version::V5, name).will(will));
            client.ping();
            client.vanish();
        }
        // Both are gone when their successors are.
        RawClient::clean(&broker, Version::V5, CAROL).publish("somebody", "", 1);
        match is_crash {
            true => broker.crash_and_restart(),
            false => {
                assert_eq!(broker.terminate().code, Some(0));
                broker.restart();
            }
        }
        let (back, connack) = RawClient::connect(&broker, &Connect::persistent(Version::V5, "back"));
        assert!(connack.session_present);
        let mut watcher = watcher(&broker);
        assert_eq!(until_will(&mut watcher, "late"), ["wills/late of late"]);
        assert_eq!(until_marker(&broker, &mut watcher), [""; 0]);
        back.disconnect();
    }
}

#[test]
fn a_retained_will_is_retained_after_a_crash() {
    // Goal: what Home Assistant and its like rely on: `offline` is there for whoever asks later.
    let mut broker = Broker::with_config("[will]\nafter_restart = \"1s\"\n");
    let mut will = Will::new("wills/lamp", "offline");
    will.retain = true;
    let connect = Connect::new(Version::V311, "lamp").will(will);
    let (mut lamp, _) = RawClient::connect(&broker, &connect);
    lamp.publish_packet(PublishPacket::new("wills/lamp", "online", 1, 0).retain());
    let mut watching = watcher(&broker);
    assert_eq!(watching.texts(1), ["online"]);
    watching.disconnect();
    broker.crash_and_restart();
    let mut watcher = watcher(&broker);
    assert_eq!(watcher.texts(1), ["offline"]);
    let mut later = RawClient::clean(&broker, Version::V311, "later");
    later.subscribe("wills/#", 1);
    assert_eq!(later.texts(1), ["offline"]);
}

#[test]
fn a_will_of_before_is_that_of_its_user() {
    // Goal: after a crash a will is published with the rights that its client had, by the rules of now.
    let directory = tempfile::tempdir().unwrap();
    let (users, acl) = (directory.path().join("users"), directory.path().join("acl.toml"));
    for (user, role) in [("alice", "staff"), ("bob", "guest")] {
        assert!(passwd(&users, &[user, "--role", role], user).status.success());
    }
    const RULES: &str = "[[role]]\nname = \"staff\"\npublish = [\"wills/#\"]\n[[role]]\nname = \"guest\"\npublish = [\"wills/bob\"]\n\
                         [[role]]\nname = \"anonymous\"\npublish = [\"wills/marker\"]\nsubscribe = [\"wills/#\"]\n";
    fs::write(&acl, RULES).unwrap();
    let mut broker = Broker::with_config(&format!(
        "[will]\nafter_restart = \"1s\"\n[auth]\npassword_file = {users:?}\nanonymous_on_loopback = true\n[access]\nacl_file = {acl:?}\n"
    ));
    watcher(&broker).disconnect();
    let open = ["bob", "alice"].map(|user| {
        let connect = Connect::new(Version::V5, user).login(user, user);
        willing(&broker, connect, &format!("wills/{user}"))
    });
    fs::write(&acl, RULES.replace("wills/bob", "other/bob")).unwrap();
    broker.crash_and_restart();
    let mut watcher = watcher(&broker);
    assert_eq!(until_will(&mut watcher, "alice"), ["wills/alice of alice"]);
    assert_eq!(until_marker(&broker, &mut watcher), [""; 0]);
    drop(open);
}

#[test]
fn with_zero_wills_are_in_memory_only() {
    // Goal: will.after_restart = "0s": a crash loses them, and nothing is left in the store.
    let mut broker = Broker::with_config("[will]\nafter_restart = \"0s\"\n");
    watcher(&broker).disconnect();
    let _open = willing(&broker, Connect::new(Version::V5, "away"), "wills/away");
    broker.crash_and_restart();
    let mut watcher = watcher(&broker);
    assert_eq!(until_marker(&broker, &mut watcher), [""; 0]);
    willing(&broker, Connect::new(Version::V5, "away"), "wills/away").vanish();
    assert_eq!(until_will(&mut watcher, "away"), ["wills/away of away"]);
}
