//! What clients may do, from outside: the rules of a file, what is answered, and what a reload does (docs/security.md).

use std::fs;
use std::path::Path;

use inbox_tests::{Ack, Broker, Connect, PublishPacket, RawClient, Version, inboxd_command, run_inboxd, wait_until};
use rustix::process::Signal;

use crate::authentication::passwd;

const RULES: &str = r#"[[role]]
name = "everyone"
subscribe = ["news/#"]
[[role]]
name = "staff"
publish = ["news/#", "task/%u/#"]
subscribe = ["task/#"]
deny_subscribe = ["task/private/#"]
[[inbox]]
of = "ceo"
allow = ["role:staff"]
[[role]]
name = "anonymous"
write_to = ["desk"]
"#;
const VERSIONS: [Version; 2] = [Version::V311, Version::V5];

/// A broker whose users have their names as passwords, with these rules.
fn broker(directory: &Path, rules: &str) -> Broker {
    let (users, acl) = (directory.join("users"), directory.join("acl.toml"));
    for (user, roles) in [
        ("alice", &["--role", "staff"][..]),
        ("bob", &[]),
        ("ceo", &[]),
        ("olga", &["--role", "ops"]),
    ] {
        assert!(passwd(&users, &[&[user], roles].concat(), user).status.success());
    }
    fs::write(&acl, rules).unwrap();
    Broker::with_config(&format!(
        "[auth]\npassword_file = {users:?}\nanonymous_on_loopback = true\n[access]\nacl_file = {acl:?}\n"
    ))
}

fn client(broker: &Broker, version: Version, id: &str, user: &str) -> RawClient {
    let connect = Connect::new(version, id);
    let connect = if user.is_empty() {
        connect
    } else {
        connect.login(user, user)
    };
    let (client, answer) = RawClient::connect(broker, &connect);
    assert_eq!(answer.code, 0, "{id} of {user}");
    client
}

/// The reason code of the answer to a publish with QoS 1.
fn published(client: &mut RawClient, topic: &str) -> u8 {
    let ack: Option<Ack> = client.publish_packet(PublishPacket::new(topic, "x", 1, 0));
    ack.unwrap().reason
}

#[test]
fn each_action_has_its_answer_in_both_versions() {
    // Goal: a table of users, actions and answers, written by hand. MQTT 3.1.1 has no code for a refused publish: it is acknowledged, and
    // the refusal is in the sender's own inbox (contract rule 3).
    let directory = tempfile::tempdir().unwrap();
    let broker = broker(directory.path(), RULES);
    for version in VERSIONS {
        let denied = match version {
            Version::V311 => 0x80,
            Version::V5 => 0x87,
        };
        for (user, filter, granted) in [
            ("alice", "news/#", true),
            ("alice", "task/bob/x", true),
            ("alice", "task/#", false),
            ("alice", "task/private/1", false),
            ("alice", "other/x", false),
            ("alice", "alice", true),
            ("alice", "bob", false),
            ("alice", "$share/g/task/a", true),
            ("alice", "$share/g/other/a", false),
            ("alice", "$SYS/#", false),
            ("bob", "task/a", false),
            ("bob", "news/+", true),
            ("bob", "#", false),
            ("olga", "$SYS/#", true),
            ("olga", "alice", false),
            ("", "news/x", true),
            ("", "task/x", false),
        ] {
            let id = if user.is_empty() { "anonymous~1" } else { user };
            let code = client(&broker, version, id, user).subscribe(filter, 1).codes[0];
            assert_eq!(code, if granted { 1 } else { denied }, "{version:?} {user} {filter}");
        }
    }
    for (user, topic, code) in [
        ("alice", "news/x", 0),
        ("alice", "task/alice/x", 0),
        ("alice", "task/bob/x", 0x87),
        ("alice", "ceo", 0),
        ("alice", "bob", 0),
        ("bob", "ceo", 0x87),
        ("bob", "alice", 0),
        ("bob", "news/x", 0x87),
        ("", "desk", 0),
        ("", "bob", 0x87),
        ("olga", "$SYS/x", 0x90),
    ] {
        let id = if user.is_empty() { "anonymous~1" } else { user };
        let answer = published(&mut client(&broker, Version::V5, id, user), topic);
        // Nobody is subscribed to ordinary topics here, which is told, too.
        let is_ordinary = topic.contains('/') && answer == 0x10;
        assert!(
            answer == code || (code == 0 && is_ordinary),
            "{user} {topic}: {answer:#x}"
        );
    }
}

#[test]
fn rule_03_a_denied_publish_of_mqtt_311_is_in_the_senders_inbox() {
    // Goal: PUBACK, and a notice that says which topic and why; what was allowed arrives, what was denied does not.
    let directory = tempfile::tempdir().unwrap();
    let broker = broker(directory.path(), RULES);
    let mut bob = client(&broker, Version::V311, "bob", "bob");
    bob.publish("ceo", "let me in", 1);
    bob.publish("alice", "hello", 1);
    bob.subscribe("bob", 1);
    let notice: serde_json::Value = serde_json::from_slice(&bob.receive().payload).unwrap();
    assert_eq!(
        (notice["topic"].as_str(), notice["reason"].as_u64()),
        (Some("ceo"), Some(0x87))
    );
    assert!(notice["why"].as_str().unwrap().contains("line 10"), "{notice}");
    let mut ceo = client(&broker, Version::V5, "ceo", "ceo");
    ceo.subscribe("ceo", 1);
    ceo.expect_nothing();
}

#[test]
fn a_reload_takes_away_what_clients_have() {
    // Goal: at SIGHUP new rules hold at once for clients that are connected: their publishes, the subscriptions that they have, and their client
    // ID; also for a session that is kept. A file with a mistake changes nothing.
    let directory = tempfile::tempdir().unwrap();
    let rules = format!("{RULES}[[role]]\nname = \"gateway\"\nmembers = [\"bob\"]\nclient_ids = [\"sensor-*\"]\n");
    let broker = broker(directory.path(), &rules);
    let reload = |rules: &str, log: &str| {
        fs::write(directory.path().join("acl.toml"), rules).unwrap();
        broker.signal(Signal::HUP);
        broker.wait_for_log(log);
    };
    let mut alice = client(&broker, Version::V5, "alice", "alice");
    let mut sensor = client(&broker, Version::V5, "sensor-7", "bob");
    let kept = Connect::persistent(Version::V5, "bob").login("bob", "bob");
    let (mut bob, _) = RawClient::connect(&broker, &kept);
    assert_eq!(bob.subscribe("news/#", 1).codes, [1]);
    bob.disconnect();
    assert_eq!(alice.subscribe("task/alice/#", 1).codes, [1]);
    assert_eq!(published(&mut alice, "task/alice/1"), 0);
    assert_eq!(alice.receive_and_ack().topic, "task/alice/1");

    reload("[[role]]\nname = \"staff\"\npublsh = []\n", "line 3");
    assert_eq!(published(&mut alice, "task/alice/2"), 0);
    assert_eq!(alice.receive_and_ack().topic, "task/alice/2");

    reload(
        "[[role]]\nname = \"staff\"\npublish = [\"news/#\", \"task/%u/#\"]\n[[inbox]]\nof = \"ceo\"\ndeny = [\"*\"]\n",
        "subscription_withdrawn",
    );
    sensor.expect_disconnect(&[0x87]);
    // The end of a subscription is noticed a moment later.
    wait_until("nobody is subscribed to alice's tasks any more", || {
        published(&mut alice, "task/alice/3") == 0x10
    });
    assert_eq!(published(&mut alice, "ceo"), 0x87);
    published(&mut alice, "news/1");
    let (mut bob, resumed) = RawClient::connect(&broker, &kept);
    assert!(resumed.session_present);
    bob.expect_nothing();
    wait_until("nobody is subscribed to the news any more", || {
        published(&mut alice, "news/2") == 0x10
    });
    bob.expect_nothing();
    let mut sensor = RawClient::open(&broker, Version::V5);
    sensor.send(&Connect::new(Version::V5, "sensor-7").login("bob", "bob").encode());
    assert_eq!(sensor.connack().code, 0x87);
}

#[test]
fn a_denial_is_logged_once_for_each_client_and_rule() {
    // Goal: a client in a loop writes one line, and is counted each time.
    let directory = tempfile::tempdir().unwrap();
    let mut broker = broker(directory.path(), RULES);
    let mut bob = client(&broker, Version::V5, "bob", "bob");
    for _ in 0..20 {
        assert_eq!(published(&mut bob, "ceo"), 0x87);
        assert_eq!(published(&mut bob, "news/1"), 0x87);
    }
    let log = broker.terminate().stderr;
    assert!(log.contains("no access rule allows it"), "{log}");
    let lines = log.lines().filter(|line| line.contains("publish_not_authorized"));
    assert_eq!(lines.count(), 2, "{log}");
}

#[test]
fn a_file_with_a_mistake_is_refused_at_the_start_and_by_check_config() {
    // Goal: 78, and the line; and `inboxd acl test` answers from the same file, with its exit code.
    let directory = tempfile::tempdir().unwrap();
    let [config, acl, data] = ["inboxd.toml", "acl.toml", "data"].map(|name| directory.path().join(name));
    fs::write(
        &config,
        format!("data_dir = {data:?}\n[mqtt]\nlisten = \"127.0.0.1:0\"\n[access]\nacl_file = {acl:?}\n"),
    )
    .unwrap();
    let config = config.to_str().unwrap();
    fs::write(&acl, "[[role]]\nname = \"everyone\"\nsubscribe = [\"a/#/b\"]\n").unwrap();
    for command in ["check-config", "serve"] {
        let output = run_inboxd(&[command, "--config", config]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            output.status.code() == Some(78) && said.contains("line 3"),
            "{command}: {said}"
        );
    }
    fs::write(&acl, "[[role]]\nname = \"everyone\"\nsubscribe = [\"a/#\"]\n").unwrap();
    let ask = |action: &[&str]| {
        let mut command = inboxd_command();
        let output = command
            .args(["acl", "--config", config, "test"])
            .args(action)
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, said) = ask(&["alice", "alice", "subscribe", "a/b"]);
    assert!(code == Some(0) && said.contains("line 3"), "{said}");
    let (code, said) = ask(&["-", "alice", "subscribe", "b/b"]);
    assert!(code == Some(1) && said.starts_with("denied"), "{said}");
}
