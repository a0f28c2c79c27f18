//! Properties in CONNECT.

use inbox_tests::{Connect, Props, Will, property};

use super::{V5, check, with};

#[test]
fn properties_of_connect_are_checked() {
    // Goal: MQTT-2.2.2-1, MQTT-3.1.4-1, MQTT-4.12.0-1, MQTT-4.13.1-1, MQTT-3.3.2-14: each property of CONNECT and of
    // the will, twice, out of range, where it does not belong; and an authentication method, of which this broker
    // knows none.
    let will = |props| {
        let mut will = Will::new("w/t", "x");
        will.props = props;
        Connect::new(V5, "rude").will(will).encode()
    };
    let mut rows = vec![
        (
            "receive maximum 0",
            with(Props::new().two(property::RECEIVE_MAXIMUM, 0)),
            0x82,
        ),
        (
            "maximum packet size 0",
            with(Props::new().four(property::MAXIMUM_PACKET_SIZE, 0)),
            0x82,
        ),
        (
            "problem information 2",
            with(Props::new().byte(property::REQUEST_PROBLEM, 2)),
            0x82,
        ),
        (
            "response information 2",
            with(Props::new().byte(property::REQUEST_RESPONSE, 2)),
            0x82,
        ),
        (
            "data without a method",
            with(Props::new().bytes(property::AUTHENTICATION_DATA, "x")),
            0x82,
        ),
        (
            "an unknown method",
            with(Props::new().bytes(property::AUTHENTICATION_METHOD, "x")),
            0x8c,
        ),
        (
            "of PUBLISH",
            with(Props::new().bytes(property::CONTENT_TYPE, "a")),
            0x81,
        ),
        ("of a will", with(Props::new().four(property::WILL_DELAY, 1)), 0x81),
        (
            "of a server",
            with(Props::new().two(property::SERVER_KEEP_ALIVE, 1)),
            0x81,
        ),
        ("unknown", with(Props::new().byte(0x7e, 1)), 0x81),
        (
            "topic alias in a will",
            will(Props::new().two(property::TOPIC_ALIAS, 1)),
            0x81,
        ),
        (
            "session expiry in a will",
            will(Props::new().four(property::SESSION_EXPIRY, 1)),
            0x81,
        ),
        (
            "format 2 in a will",
            will(Props::new().byte(property::PAYLOAD_FORMAT, 2)),
            0x82,
        ),
        (
            "a wildcard in a will's response topic",
            will(Props::new().bytes(property::RESPONSE_TOPIC, "+")),
            0x90,
        ),
    ];
    for twice in [
        Props::new()
            .four(property::SESSION_EXPIRY, 1)
            .four(property::SESSION_EXPIRY, 1),
        Props::new()
            .two(property::RECEIVE_MAXIMUM, 1)
            .two(property::RECEIVE_MAXIMUM, 1),
        Props::new()
            .four(property::MAXIMUM_PACKET_SIZE, 99)
            .four(property::MAXIMUM_PACKET_SIZE, 99),
        Props::new()
            .two(property::TOPIC_ALIAS_MAXIMUM, 1)
            .two(property::TOPIC_ALIAS_MAXIMUM, 1),
        Props::new()
            .byte(property::REQUEST_PROBLEM, 1)
            .byte(property::REQUEST_PROBLEM, 1),
        Props::new()
            .byte(property::REQUEST_RESPONSE, 1)
            .byte(property::REQUEST_RESPONSE, 1),
        Props::new()
            .bytes(property::AUTHENTICATION_METHOD, "x")
            .bytes(property::AUTHENTICATION_METHOD, "x"),
    ] {
        rows.push(("twice", with(twice), 0x82));
    }
    let delay = Props::new().four(property::WILL_DELAY, 1);
    rows.push((
        "will delay twice",
        will(delay.clone().four(property::WILL_DELAY, 1)),
        0x82,
    ));
    rows.push((
        "everything a will can have",
        will(delay.user("a", "1").user("a", "1").byte(property::PAYLOAD_FORMAT, 0)),
        0,
    ));
    rows.push(("user properties", with(Props::new().user("a", "1").user("a", "1")), 0));
    let rows: Vec<_> = rows
        .into_iter()
        .map(|(what, bytes, code)| (what, V5, bytes, Some(code)))
        .collect();
    check(&rows);
}
