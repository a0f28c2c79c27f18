//! What MQTT 5 forwards unaltered on ordinary topics (section 3.3.2.3).

use inbox_tests::property::*;
use inbox_tests::{Broker, Props, PublishPacket, RawClient, Version};

#[test]
fn properties_are_forwarded_unaltered_and_in_order() {
    // Goal: MQTT-3.3.2-4, -15, -16, -17, -18, -20, on an ordinary topic: also under the names that an inbox sets.
    let broker = Broker::start();
    let mut bob = RawClient::clean(&broker, Version::V5, "bob");
    let mut old = RawClient::clean(&broker, Version::V311, "old");
    bob.subscribe("a/b", 1);
    old.subscribe("a/b", 1);
    let props = Props::new()
        .byte(PAYLOAD_FORMAT, 1)
        .bytes(CONTENT_TYPE, "text/plain")
        .bytes(RESPONSE_TOPIC, "alice")
        .bytes(CORRELATION_DATA, [0, 1, 255])
        .user("z", "1")
        .user("seq", "mine")
        .user("z", "2")
        .user("", "");
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    alice.publish_packet(PublishPacket::new("a/b", "hi", 1, 0).props(props));
    let message = bob.receive_and_ack();
    assert_eq!(message.props.number(PAYLOAD_FORMAT), Some(1));
    assert_eq!(message.props.text(CONTENT_TYPE), Some("text/plain"));
    assert_eq!(message.props.text(RESPONSE_TOPIC), Some("alice"));
    assert_eq!(message.props.binary(CORRELATION_DATA), Some([0, 1, 255].as_slice()));
    assert_eq!(
        message.props.users(),
        [("z", "1"), ("seq", "mine"), ("z", "2"), ("", "")]
    );
    assert_eq!(old.texts(1), ["hi"]);
}

#[test]
fn request_and_response_over_inboxes() {
    // Goal: section 4.10 with the requester's inbox as the response topic: nothing else is needed to answer.
    let broker = Broker::start();
    let mut alice = RawClient::reader(&broker, Version::V5, "alice", 1);
    let mut service = RawClient::reader(&broker, Version::V5, "service", 1);
    let props = Props::new()
        .bytes(RESPONSE_TOPIC, "alice")
        .bytes(CORRELATION_DATA, "17");
    alice.publish_packet(PublishPacket::new("service", "6 * 7", 1, 0).props(props));
    let request = service.receive_and_ack();
    let topic = request.props.text(RESPONSE_TOPIC).unwrap().to_owned();
    let props = Props::new().bytes(CORRELATION_DATA, request.props.binary(CORRELATION_DATA).unwrap());
    service.publish_packet(PublishPacket::new(topic, "42", 1, 0).props(props));
    let response = alice.receive_and_ack();
    assert_eq!(
        (response.text(), response.props.binary(CORRELATION_DATA)),
        ("42", Some(b"17".as_slice()))
    );
    assert_eq!(response.props.user("from"), Some("service"));
}
