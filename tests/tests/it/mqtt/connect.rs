//! CONNECT, CONNACK and DISCONNECT (sections 3.1, 3.2 and 3.14).

use inbox_tests::{Broker, Connect, Packet, Props, RawClient, Version, property};

#[test]
fn both_versions_are_recognised_on_one_listener() {
    // Goal: the protocol level in CONNECT decides, connection by connection (section 3.1.2.2).
    let broker = Broker::start();
    let mut clients: Vec<_> = (0..10)
        .map(|i| RawClient::clean(&broker, Version::BOTH[i % 2], &format!("client-{i}")))
        .collect();
    for client in &mut clients {
        client.ping();
    }
}

#[test]
fn connack_tells_the_limits_of_the_broker() {
    // Goal: section 3.2.2.3: a Receive Maximum, a Maximum Packet Size and a Topic Alias Maximum that are not 0, and
    // nothing that would forbid retained messages, wildcards, subscription identifiers, shared subscriptions or QoS 2.
    let broker = Broker::start();
    let (_client, connack) = RawClient::connect(&broker, &Connect::new(Version::V5, "alice"));
    assert!(!connack.session_present);
    assert!(connack.props.number(property::RECEIVE_MAXIMUM).is_none_or(|n| n > 0));
    let packet_max = connack.props.number(property::MAXIMUM_PACKET_SIZE);
    assert!(
        packet_max.is_some_and(|n| n > 1024 * 1024),
        "the limit of packets is told: {packet_max:?}"
    );
    for (id, name) in [
        (0x25, "retain"),
        (0x28, "wildcards"),
        (0x29, "subscription ids"),
        (0x2a, "shared"),
    ] {
        assert_ne!(connack.props.number(id), Some(0), "{name} must be available");
    }
    assert_eq!(
        connack.props.number(0x24),
        None,
        "Maximum QoS is sent only below 2 (section 3.2.2.3.4)"
    );
}

#[test]
fn an_empty_client_id_is_assigned_one() {
    // Goal: MQTT-3.1.3-6, MQTT-3.2.2-16: the name is told, is its own inbox, and differs from connection to connection.
    let broker = Broker::start();
    let mut names = Vec::new();
    for _ in 0..3 {
        let (mut client, connack) = RawClient::connect(&broker, &Connect::new(Version::V5, ""));
        let name = connack
            .props
            .text(property::ASSIGNED_CLIENT_ID)
            .expect("an assigned client ID")
            .to_owned();
        assert_eq!(client.subscribe(&name, 1).codes, [1]);
        client.publish(&name, "to myself", 1);
        assert_eq!(client.texts(1), ["to myself"]);
        names.push(name);
    }
    names.dedup();
    assert_eq!(names.len(), 3, "{names:?}");
}

#[test]
fn a_given_client_id_is_not_assigned() {
    // Goal: Assigned Client Identifier is only for a client that gave none (section 3.2.2.3.7).
    let broker = Broker::start();
    let (_client, connack) = RawClient::connect(&broker, &Connect::new(Version::V5, "alice"));
    assert_eq!(connack.props.text(property::ASSIGNED_CLIENT_ID), None);
}

#[test]
fn an_empty_client_id_in_3_1_1_needs_a_clean_session() {
    // Goal: MQTT-3.1.3-7 and -8: with clean session it is served, without it gets return code 2 and the close.
    let broker = Broker::start();
    RawClient::clean(&broker, Version::V311, "").ping();
    let mut client = RawClient::open(&broker, Version::V311);
    let mut connect = Connect::new(Version::V311, "");
    connect.clean = false;
    client.send(&connect.encode());
    assert_eq!(client.connack().code, 2);
    client.expect_close();
}

#[test]
fn disconnect_closes_the_connection() {
    // Goal: MQTT-3.14.4-1 and -2: after DISCONNECT nothing is sent and the network connection is closed.
    let broker = Broker::start();
    for version in Version::BOTH {
        RawClient::clean(&broker, version, "alice").disconnect();
    }
}

#[test]
fn packets_may_follow_connect_at_once() {
    // Goal: a client need not wait for CONNACK (section 3.1.4, non-normative); byte by byte or all in one segment.
    let broker = Broker::start();
    for version in Version::BOTH {
        let mut bytes = Connect::new(version, "hasty").encode();
        bytes.extend(inbox_tests::subscribe(version, 1, "hasty", 1, &Props::new()));
        bytes.extend(inbox_tests::PublishPacket::new("hasty", "self", 1, 2).encode(version));
        bytes.extend(inbox_tests::ping());
        for piece in [1, bytes.len()] {
            let mut client = RawClient::open(&broker, version);
            bytes.chunks(piece).for_each(|piece| client.send(piece));
            client.connack();
            assert!(matches!(client.next(), Packet::SubAck(_)));
            assert_eq!(client.texts(1), ["self"]);
            client.ack(inbox_tests::AckKind::PubAck, 2);
            client.wait_for("PINGRESP", |packet| matches!(packet, Packet::PingResp).then_some(()));
            client.disconnect();
        }
    }
}

#[test]
fn an_authentication_method_is_refused() {
    // Goal: a server that does not know the method says 0x8C (MQTT-4.12.0-1).
    let broker = Broker::start();
    let connect = Connect::new(Version::V5, "alice").props(Props::new().bytes(property::AUTHENTICATION_METHOD, "X"));
    let mut client = RawClient::open(&broker, Version::V5);
    client.send(&connect.encode());
    assert_eq!(client.connack().code, 0x8c);
    client.expect_close();
}
