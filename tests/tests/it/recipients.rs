//! Recipients decide, too: the lists of senders that a client keeps for its own inbox (docs/protocol.md).

use inbox_tests::tools::{mosquitto_pub, mosquitto_sub};
use inbox_tests::{
    Ack, Broker, Connect, Props, PublishPacket, RawClient, Version, Will, property, run_fed, succeeds, wait_until,
};
use serde_json::{Value, json};

const BLOCK: &str = "$inbox/block";
const ALLOW: &str = "$inbox/allow";

fn ask(client: &mut RawClient, topic: &str, request: &str) -> u8 {
    let ack: Option<Ack> = client.publish_packet(PublishPacket::new(topic, request, 1, 0));
    ack.unwrap().reason
}

fn published(client: &mut RawClient, topic: &str) -> u8 {
    ask(client, topic, "x")
}

#[test]
fn rule_02_a_client_chooses_whom_it_takes_messages_from() {
    // Goal: a block and an allowance hold when they are acknowledged, for QoS 1 and 2, QoS 0 and wills, and survive kill -9; what was in the inbox
    // stays; others are not meant, and nobody is kept from its own inbox.
    let mut broker = Broker::start();
    let mut bob = RawClient::clean(&broker, Version::V5, "bob");
    let mut eve = RawClient::clean(&broker, Version::V5, "eve");
    assert_eq!(published(&mut eve, "bob"), 0);
    assert_eq!(ask(&mut bob, BLOCK, r#"{"add": ["client:eve", "client:spam-*"]}"#), 0);
    assert_eq!(published(&mut eve, "bob"), 0x87);
    assert_eq!(published(&mut eve, "carol"), 0);
    assert_eq!(
        published(&mut RawClient::clean(&broker, Version::V5, "spam-9"), "bob"),
        0x87
    );
    assert_eq!(
        published(&mut RawClient::clean(&broker, Version::V5, "alice"), "bob"),
        0
    );
    let will = Will {
        qos: 1,
        ..Will::new("bob", "a will")
    };
    let (dying, _) = RawClient::connect(&broker, &Connect::new(Version::V5, "spam-1").will(will));
    dying.vanish();
    broker.wait_for_log("a will was not published");

    broker.crash_and_restart();
    let mut eve = RawClient::clean(&broker, Version::V5, "eve");
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    assert_eq!(bob.texts(2), ["x", "x"], "eve's first, and alice's");
    eve.publish("bob", "qos 0", 0);
    assert_eq!(published(&mut eve, "bob"), 0x87);
    assert_eq!(ask(&mut bob, ALLOW, r#"{"set": ["client:alice"]}"#), 0);
    assert_eq!(ask(&mut bob, BLOCK, r#"{"remove": ["client:eve"]}"#), 0);
    assert_eq!(published(&mut eve, "bob"), 0x87);
    assert_eq!(
        published(&mut RawClient::clean(&broker, Version::V5, "alice"), "bob"),
        0
    );
    bob.publish("bob", "to myself", 1);
    assert_eq!(bob.texts(2), ["x", "to myself"]);
    assert_eq!(ask(&mut bob, ALLOW, r#"{"set": []}"#), 0);
    assert_eq!(published(&mut eve, "bob"), 0);
}

#[test]
fn a_request_is_answered_where_its_client_may_publish() {
    // Goal: the response has both lists and the correlation data, on an ordinary topic and in the own inbox; an empty request asks; what is no
    // request is refused with 0x99 and has no response.
    let broker = Broker::start();
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    bob.subscribe("bob/answers", 1);
    let request = |text: &str, response: &str| {
        let props = Props::new().bytes(property::RESPONSE_TOPIC, response);
        PublishPacket::new(BLOCK, text, 1, 0).props(props.bytes(property::CORRELATION_DATA, "42"))
    };
    let lists = |block: &[&str]| json!({"block": block, "allow": []});
    for (text, topic, block) in [
        (r#"{"add": ["client:eve"]}"#, "bob/answers", &["client:eve"][..]),
        ("", "bob", &["client:eve"]),
        (
            r#"{"add": ["user:mallory"], "remove": ["client:eve"]}"#,
            "bob",
            &["user:mallory"],
        ),
    ] {
        assert_eq!(bob.publish_packet(request(text, topic)).unwrap().reason, 0);
        let answer = bob.receive_and_ack();
        let said: Value = serde_json::from_slice(&answer.payload).unwrap();
        assert_eq!((said, answer.topic.as_str()), (lists(block), topic));
        assert_eq!(answer.props.binary(property::CORRELATION_DATA), Some(&b"42"[..]));
    }
    for (text, code) in [("eve", 0x99), (r#"{"add": ["eve"]}"#, 0x99), (r#"{"block": []}"#, 0x99)] {
        assert_eq!(bob.publish_packet(request(text, "bob")).unwrap().reason, code, "{text}");
    }
    assert_eq!(published(&mut bob, "$inbox/other"), 0x90);
    bob.expect_nothing();
    let mut nameless = RawClient::clean(&broker, Version::V5, "a/b");
    assert_eq!(ask(&mut nameless, BLOCK, ""), 0x90, "it has no inbox");
}

#[test]
fn stock_tools_of_mqtt_311_can_ask_and_are_told_of_mistakes() {
    // Goal: mosquitto_pub changes a list, with QoS 1 and 0; a mistake is a notice in the own inbox (contract rule 3).
    let broker = Broker::start();
    for (qos, id) in [("1", "bob"), ("0", "carol")] {
        let add = r#"{"add": ["client:eve"]}"#;
        mosquitto_pub(
            &broker,
            &["-V", "mqttv311", "-i", id, "-q", qos, "-t", BLOCK, "-m", add],
        );
        let mut eve = RawClient::clean(&broker, Version::V5, "eve");
        assert_eq!(published(&mut eve, id), 0x87);
    }
    mosquitto_pub(
        &broker,
        &["-V", "mqttv311", "-i", "bob", "-q", "1", "-t", ALLOW, "-m", "alice"],
    );
    let notice = mosquitto_sub(
        &broker,
        &["-V", "mqttv311", "-i", "bob", "-q", "1", "-t", "bob", "-C", "1"],
    );
    let notice: Value = serde_json::from_str(&notice[0]).unwrap();
    assert_eq!(
        (notice["topic"].as_str(), notice["reason"].as_u64()),
        (Some(ALLOW), Some(0x99))
    );
}

#[test]
fn rule_02_strangers_wait_for_an_answer() {
    // Goal: with inbox.strangers_max a stranger writes so many messages and is told 0x97 then, also after kill -9; an answer opens the way for good;
    // who was written to first is no stranger.
    let mut broker = Broker::with_config("[inbox]\nstrangers_max = 2\n");
    let mut eve = RawClient::clean(&broker, Version::V5, "eve");
    assert_eq!([(); 3].map(|()| published(&mut eve, "bob")), [0, 0, 0x97]);
    assert_eq!(published(&mut eve, "carol"), 0);
    let mut bob = RawClient::clean(&broker, Version::V5, "bob");
    assert_eq!([(); 3].map(|()| published(&mut bob, "eve")), [0; 3], "she wrote to him");
    assert_eq!([(); 3].map(|()| published(&mut eve, "bob")), [0; 3], "he answered");
    let mut mallory = RawClient::clean(&broker, Version::V5, "mallory");
    assert_eq!([(); 3].map(|()| published(&mut mallory, "bob")), [0, 0, 0x97]);
    broker.crash_and_restart();
    let mut mallory = RawClient::clean(&broker, Version::V5, "mallory");
    assert_eq!(published(&mut mallory, "bob"), 0x97);
    let mut eve = RawClient::clean(&broker, Version::V5, "eve");
    assert_eq!([(); 3].map(|()| published(&mut eve, "bob")), [0; 3]);
}

#[test]
fn rule_02_only_names_that_a_user_may_have_take_mail_where_that_is_wanted() {
    // Goal: `inbox.registered_only` refuses mail, by PUBACK 0x90 and by a notice to 3.1.1, for client IDs that no user may have; devices of users
    // take it before they ever came; a user that is added counts at SIGHUP. It is not taken beside users whom nobody can list.
    let directory = tempfile::tempdir().unwrap();
    let (file, more) = (directory.path().join("users"), directory.path().join("more"));
    let add = |file: &std::path::Path, user: &str| {
        let mut command = inbox_tests::inboxd_command();
        succeeds(&run_fed(command.arg("passwd").arg(file).arg(user), b"secret\n"));
    };
    add(&file, "alice");
    let config = format!("[inbox]\nregistered_only = true\n[auth]\npassword_file = {file:?}\n");
    let broker = Broker::with_config(&config);
    let connect = |version, id: &str| Connect::new(version, id).login("alice", b"secret");
    let (mut alice, _) = RawClient::connect(&broker, &connect(Version::V5, "alice"));
    let answers = ["alice~phone", "alice", "bob", "bob~alice", "auto-0123"].map(|to| published(&mut alice, to));
    assert_eq!(answers, [0, 0, 0x90, 0x90, 0x90]);
    let (mut old, _) = RawClient::connect(&broker, &connect(Version::V311, "alice~old"));
    old.subscribe("alice~old", 1);
    old.publish("bob", "x", 1);
    assert!(old.receive_and_ack().text().contains("registered_only"));
    broker.wait_for_log("cause=publish_unregistered");
    add(&file, "bob");
    broker.signal(rustix::process::Signal::HUP);
    broker.wait_for_log("password file");
    wait_until("bob is known", || published(&mut alice, "bob") == 0);
    std::fs::write(&more, format!("{config}[auth.jwt]\nsecret_file = {file:?}\n")).unwrap();
    let output = inbox_tests::run_inboxd(&["check-config", "--config", more.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.code() == Some(78) && said.contains("list of all users"),
        "{said}"
    );
}
