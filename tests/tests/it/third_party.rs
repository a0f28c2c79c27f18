//! Stock clients: rumqttc for both versions, mosquitto_pub and mosquitto_sub, Paho for Python, MQTT.js. A story with several of them is in `home_assistant.rs`.

mod mqttjs;
mod paho;

use std::time::Duration;

use inbox_tests::tools::{mosquitto_pub, mosquitto_sub, mosquitto_sub_live, mosquitto_sub_output};
use inbox_tests::{Broker, DEADLINE, RawClient, Version};

fn numbers(n: usize) -> Vec<String> {
    (0..n).map(|i| i.to_string()).collect()
}

#[test]
fn mosquitto_ten_messages_wait_for_a_bob_who_never_connected() {
    // Goal: the first promise of the README, in both versions, with a kill -9 in between.
    for version in ["mqttv311", "mqttv5"] {
        let mut broker = Broker::start();
        for i in 0..10 {
            let text = i.to_string();
            mosquitto_pub(
                &broker,
                &["-V", version, "-i", "alice", "-t", "bob", "-q", "1", "-m", &text],
            );
            if i == 4 {
                broker.crash_and_restart();
            }
        }
        broker.crash_and_restart();
        let args = ["-V", version, "-i", "bob", "-t", "bob", "-q", "1", "-C", "10"];
        assert_eq!(mosquitto_sub(&broker, &args), numbers(10));
    }
}

#[test]
fn mosquitto_shows_the_user_properties() {
    // Goal: rule 7 with a stock client: `-V mqttv5` shows id, seq, from and at.
    let broker = Broker::start();
    mosquitto_pub(&broker, &["-i", "alice", "-t", "bob", "-q", "1", "-m", "hello"]);
    let args = [
        "-V", "mqttv5", "-i", "bob", "-t", "bob", "-q", "1", "-C", "1", "-F", "%p %P",
    ];
    let lines = mosquitto_sub(&broker, &args);
    assert!(lines[0].starts_with("hello "), "{lines:?}");
    for property in ["id:", "seq:", "from:alice", "at:"] {
        assert!(lines[0].contains(property), "{property} is missing in {lines:?}");
    }
}

#[test]
fn mosquitto_live_and_in_bulk() {
    // Goal: a subscriber that is there sees a file's worth of lines in order, with QoS 1 and 2 (`-l` sends each line).
    for qos in ["1", "2"] {
        let broker = Broker::start();
        let bob = mosquitto_sub_live(&broker, &["-i", "bob", "-t", "bob", "-q", qos, "-F", "got %p"]);
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("payload");
        std::fs::write(&file, "a file").unwrap();
        let args = ["-i", "alice", "-t", "bob", "-q", qos, "--repeat", "200", "-m", "again"];
        mosquitto_pub(&broker, &args);
        mosquitto_pub(
            &broker,
            &["-i", "alice", "-t", "bob", "-q", qos, "-f", file.to_str().unwrap()],
        );
        for _ in 0..200 {
            assert_eq!(bob.wait_for(|line| line.starts_with("got ")), "got again");
        }
        assert_eq!(bob.wait_for(|line| line.starts_with("got ")), "got a file");
    }
}

#[test]
fn mosquitto_is_told_why_it_may_not_read() {
    // Goal: rule 2 with a stock client: the refusal ends mosquitto_sub, which is not silent about it.
    let broker = Broker::start();
    let output = mosquitto_sub_output(
        &broker,
        &["-V", "mqttv5", "-i", "mallory", "-t", "bob", "-q", "1", "-C", "1"],
    );
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        stderr.contains("denied"),
        "mosquitto_sub ended with {} and said {stderr:?}",
        output.status
    );
    assert!(output.stdout.is_empty());
}

#[test]
fn mosquitto_ordinary_topics_retained_and_shared() {
    // Goal: what a broker is expected to do, with a stock client: wildcards, retained messages.
    let broker = Broker::start();
    mosquitto_pub(&broker, &["-t", "house/kitchen", "-r", "-q", "1", "-m", "21.5"]);
    mosquitto_pub(&broker, &["-t", "house/garden", "-r", "-q", "1", "-m", "12.0"]);
    let mut lines = mosquitto_sub(&broker, &["-t", "house/+", "-q", "1", "-C", "2", "-F", "%t %p %r"]);
    lines.sort();
    assert_eq!(lines, ["house/garden 12.0 1", "house/kitchen 21.5 1"]);
}

#[test]
fn rule_05_a_look_with_mosquitto_sub_takes_nothing() {
    // Goal: rule 5 with a stock client: mosquitto_sub subscribes with QoS 0 unless told otherwise, and `-C 1` ends it at the first message.
    // Everything is there when it looks again, and with QoS 1 everything can be taken.
    for version in ["mqttv311", "mqttv5"] {
        // Starting and ending a process may take longer than a second.
        let broker = Broker::with_config("[inbox]\nqos0_settle = \"1m\"\n");
        for i in 0..10 {
            mosquitto_pub(&broker, &["-i", "alice", "-t", "bob", "-q", "1", "-m", &i.to_string()]);
        }
        for _ in 0..3 {
            let look = ["-V", version, "-i", "bob", "-t", "bob", "-C", "1"];
            assert_eq!(mosquitto_sub(&broker, &look), ["0"]);
        }
        let take = ["-V", version, "-i", "bob", "-t", "bob", "-q", "1", "-C", "10"];
        assert_eq!(mosquitto_sub(&broker, &take), numbers(10));
    }
}

mod rumqttc_v4 {
    use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, Packet, QoS};

    use super::*;

    fn client(broker: &Broker, name: &str) -> (AsyncClient, EventLoop) {
        let mut options = MqttOptions::new(name, "127.0.0.1", broker.port());
        options.set_keep_alive(Duration::from_secs(20)).set_clean_session(true);
        AsyncClient::new(options, 10)
    }

    /// Drives the client until `wanted` takes an event.
    async fn until<T>(events: &mut EventLoop, mut wanted: impl FnMut(&Event) -> Option<T>) -> T {
        let found = async {
            loop {
                if let Some(found) = wanted(&events.poll().await.expect("the connection holds")) {
                    return found;
                }
            }
        };
        tokio::time::timeout(DEADLINE, found).await.expect("the event comes")
    }

    #[tokio::test]
    async fn rumqttc_v4_offline_then_replayed() {
        // Goal: rules 3 and 4 with rumqttc's MQTT 3.1.1 client on both sides.
        let broker = Broker::start();
        let (alice, mut events) = client(&broker, "alice");
        for i in 0..50 {
            alice
                .publish("bob", QoS::AtLeastOnce, false, i.to_string())
                .await
                .unwrap();
            until(&mut events, |event| {
                matches!(event, Event::Incoming(Packet::PubAck(_))).then_some(())
            })
            .await;
        }
        let (bob, mut events) = client(&broker, "bob");
        bob.subscribe("bob", QoS::ExactlyOnce).await.unwrap();
        let mut texts = Vec::new();
        while texts.len() < 50 {
            texts.push(
                until(&mut events, |event| match event {
                    Event::Incoming(Packet::Publish(publish)) => Some(String::from_utf8(publish.payload.to_vec())),
                    _ => None,
                })
                .await
                .unwrap(),
            );
        }
        assert_eq!(texts, numbers(50));
    }
}

mod rumqttc_v5 {
    use rumqttc::v5::mqttbytes::QoS;
    use rumqttc::v5::mqttbytes::v5::{Packet, SubscribeReasonCode};
    use rumqttc::v5::{AsyncClient, Event, EventLoop, MqttOptions};

    use super::*;

    fn client(broker: &Broker, name: &str) -> (AsyncClient, EventLoop) {
        let mut options = MqttOptions::new(name, "127.0.0.1", broker.port());
        options.set_keep_alive(Duration::from_secs(20)).set_clean_start(true);
        AsyncClient::new(options, 10)
    }

    /// Drives the client until `wanted` takes an event.
    async fn until<T>(events: &mut EventLoop, mut wanted: impl FnMut(&Event) -> Option<T>) -> T {
        let found = async {
            loop {
                if let Some(found) = wanted(&events.poll().await.expect("the connection holds")) {
                    return found;
                }
            }
        };
        tokio::time::timeout(DEADLINE, found).await.expect("the event comes")
    }

    #[tokio::test]
    async fn rumqttc_v5_offline_then_replayed() {
        // Goal: rules 3, 4 and 7 with rumqttc's MQTT 5 client on both sides, QoS 1 and 2.
        let broker = Broker::start();
        let (alice, mut events) = client(&broker, "alice");
        for i in 0..50 {
            let qos = if i % 2 == 0 { QoS::AtLeastOnce } else { QoS::ExactlyOnce };
            alice.publish("bob", qos, false, i.to_string()).await.unwrap();
            until(&mut events, |event| {
                matches!(event, Event::Incoming(Packet::PubAck(_) | Packet::PubComp(_))).then_some(())
            })
            .await;
        }
        let (bob, mut events) = client(&broker, "bob");
        bob.subscribe("bob", QoS::ExactlyOnce).await.unwrap();
        let mut texts = Vec::new();
        while texts.len() < 50 {
            let publish = until(&mut events, |event| match event {
                Event::Incoming(Packet::Publish(publish)) => Some(publish.clone()),
                _ => None,
            })
            .await;
            let properties = publish.properties.expect("user properties").user_properties;
            for name in ["id", "seq", "from", "at"] {
                assert!(
                    properties.iter().any(|(key, _)| key == name),
                    "{name} is missing in {properties:?}"
                );
            }
            texts.push(String::from_utf8(publish.payload.to_vec()).unwrap());
        }
        assert_eq!(texts, numbers(50));
    }

    #[tokio::test]
    async fn rumqttc_v5_is_refused_a_strangers_inbox() {
        // Goal: rule 2: 0x87 arrives as NotAuthorized.
        let broker = Broker::start();
        let (mallory, mut events) = client(&broker, "mallory");
        mallory.subscribe("bob", QoS::AtLeastOnce).await.unwrap();
        let codes = until(&mut events, |event| match event {
            Event::Incoming(Packet::SubAck(suback)) => Some(suback.return_codes.clone()),
            _ => None,
        })
        .await;
        assert_eq!(codes, [SubscribeReasonCode::NotAuthorized]);
    }
}

#[test]
fn different_clients_understand_each_other() {
    // Goal: mosquitto_pub (3.1.1) to a raw MQTT 5 reader and back, through inboxes.
    let broker = Broker::start();
    let mut raw = RawClient::reader(&broker, Version::V5, "raw", 1);
    mosquitto_pub(&broker, &["-i", "mosquitto", "-t", "raw", "-q", "1", "-m", "over"]);
    assert_eq!(raw.texts(1), ["over"]);
    raw.publish("mosquitto", "and back", 2);
    assert_eq!(
        mosquitto_sub(&broker, &["-i", "mosquitto", "-t", "mosquitto", "-C", "1"]),
        ["and back"]
    );
}

const PAHO_TO_NOBODY: &str = r#"
import sys, queue
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

told = queue.Queue()
c = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="alice", protocol=mqtt.MQTTv5)
c.on_publish = lambda c, u, mid, reason, props: told.put((reason.value, reason.is_failure))
c.connect("127.0.0.1", int(sys.argv[1]))
c.loop_start()
for qos in (1, 2):
    info = c.publish("no/body", "x", qos=qos)
    info.wait_for_publish(30)
    assert info.is_published()
    print(qos, *told.get(timeout=30))
c.disconnect()
c.loop_stop()
"#;

#[test]
fn stock_clients_take_no_matching_subscribers_for_a_success() {
    // Goal: PUBACK and PUBREC 0x10 (section 3.4.2.1): mosquitto_pub ends with 0 and without a warning, Paho sees a publish that is done.
    let broker = Broker::start();
    for version in ["mqttv311", "mqttv5"] {
        for qos in ["1", "2"] {
            let output = mosquitto_pub(
                &broker,
                &["-V", version, "-i", "alice", "-t", "no/body", "-q", qos, "-m", "x"],
            );
            assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        }
    }
    let lines = inbox_tests::tools::paho(&broker, PAHO_TO_NOBODY, &[]);
    // Paho tells of QoS 2 what PUBCOMP said.
    assert_eq!(lines, ["1 16 False", "2 0 False"]);
}
