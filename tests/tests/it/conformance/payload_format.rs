//! The payload format indicator and its neighbours, on every way that a message can take.

use inbox_tests::{Broker, Connect, Props, Publish, PublishPacket, RawClient, Version, Will, property};

const V5: Version = Version::V5;
const FORMATS: [Option<u8>; 3] = [None, Some(0), Some(1)];

fn props(format: Option<u8>) -> Props {
    format.map_or_else(Props::new, |format| Props::new().byte(property::PAYLOAD_FORMAT, format))
}

fn format(message: &Publish) -> Option<u8> {
    message
        .props
        .number(property::PAYLOAD_FORMAT)
        .map(|format| format as u8)
}

#[test]
fn the_payload_format_is_passed_on_by_ordinary_topics() {
    // Goal: MQTT-3.3.2-4: none, 0 and 1, live with each QoS, retained, and queued for a session that is away.
    let broker = Broker::start();
    let kept = Connect::persistent(V5, "away");
    let (mut away, _) = RawClient::connect(&broker, &kept);
    away.subscribe("a/#", 1);
    away.disconnect();
    let mut bob = RawClient::clean(&broker, V5, "bob");
    bob.subscribe("a/#", 2);
    let mut alice = RawClient::clean(&broker, V5, "alice");
    for (n, said) in FORMATS.into_iter().enumerate() {
        for qos in 0..3 {
            alice.publish_packet(PublishPacket::new("a/live", "x", qos, 0).props(props(said)));
            assert_eq!(format(&bob.receive_and_ack()), said);
        }
        alice.publish_packet(
            PublishPacket::new(format!("r/{n}"), "x", 1, 0)
                .retain()
                .props(props(said)),
        );
    }
    assert_eq!(bob.subscribe("r/#", 1).codes, [1]);
    for said in FORMATS {
        assert_eq!(format(&bob.receive_and_ack()), said);
    }
    let (mut away, _) = RawClient::connect(&broker, &kept);
    for said in FORMATS {
        for _ in [1, 2] {
            assert_eq!(format(&away.receive_and_ack()), said);
        }
    }
}

#[test]
fn the_payload_format_is_passed_on_by_inboxes() {
    // Goal: MQTT-3.3.2-4 for mail: to a reader that is there, to one that comes later, and over a crash of the
    // broker.
    let mut broker = Broker::start();
    let mut bob = RawClient::reader(&broker, V5, "bob", 2);
    let mut alice = RawClient::clean(&broker, V5, "alice");
    for said in FORMATS {
        for qos in 0..3 {
            alice.publish_packet(PublishPacket::new("bob", "x", qos, 0).props(props(said)));
            assert_eq!(format(&bob.receive_and_ack()), said);
        }
        alice.publish_packet(PublishPacket::new("carol", "x", 1, 0).props(props(said)));
    }
    drop((alice, bob));
    broker.crash_and_restart();
    let mut carol = RawClient::reader(&broker, V5, "carol", 1);
    for said in FORMATS {
        assert_eq!(format(&carol.receive_and_ack()), said);
    }
}

#[test]
fn the_payload_format_of_a_will_is_passed_on() {
    // Goal: MQTT-3.3.2-4, MQTT-3.1.3-10, MQTT-3.1.2-14, MQTT-3.1.2-15: a will with every property, retained and not,
    // to an ordinary topic and to an inbox.
    let broker = Broker::start();
    let mut bob = RawClient::reader(&broker, V5, "bob", 1);
    bob.subscribe("w/#", 0b1001);
    for said in FORMATS {
        for retain in [false, true] {
            for topic in ["w/t", "bob"] {
                let mut will = Will::new(topic, "gone");
                will.retain = retain;
                will.props = props(said)
                    .bytes(property::CONTENT_TYPE, "text/plain")
                    .bytes(property::RESPONSE_TOPIC, "a/b")
                    .bytes(property::CORRELATION_DATA, [0, 255])
                    .user("b", "1")
                    .user("a", "2")
                    .user("b", "3");
                RawClient::connect(&broker, &Connect::new(V5, "alice").will(will))
                    .0
                    .vanish();
                let got = bob.receive_and_ack();
                assert_eq!((got.topic.as_str(), got.text(), format(&got)), (topic, "gone", said));
                assert_eq!(got.retain, retain && topic == "w/t");
                assert_eq!(got.props.text(property::CONTENT_TYPE), Some("text/plain"));
                assert_eq!(got.props.text(property::RESPONSE_TOPIC), Some("a/b"));
                assert_eq!(got.props.binary(property::CORRELATION_DATA), Some(&[0, 255][..]));
                let users = got.props.users();
                assert!(users.ends_with(&[("b", "1"), ("a", "2"), ("b", "3")]), "{users:?}");
            }
        }
        let mut later = RawClient::clean(&broker, V5, "later");
        later.subscribe("w/t", 1);
        assert_eq!(format(&later.receive_and_ack()), said);
    }
}
