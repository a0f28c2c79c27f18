//! MQTT over WebSocket.

use std::io::{Read, Write};
use std::net::TcpStream;

pub(super) use inbox_test_support::websocket::REQUEST as UPGRADE;
use inbox_tests::tools::{mqttjs, paho};
use inbox_tests::{Broker, RawClient, Version, told};

use super::{CONNACK, CONNACK_BYTES, CONNECT, Files, listener, text, tls_listener};

/// A connection whose upgrade was granted.
fn upgraded(broker: &Broker) -> TcpStream {
    upgraded_by(broker, UPGRADE)
}

/// The same, for this request.
pub(super) fn upgraded_by(broker: &Broker, request: &str) -> TcpStream {
    let mut socket = broker.socket("ws");
    socket.write_all(request.as_bytes()).unwrap();
    let (mut answer, mut byte) = (Vec::new(), [0]);
    while !answer.ends_with(b"\r\n\r\n") {
        socket.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    let answer = String::from_utf8(answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 101 ") && answer.contains("Sec-WebSocket-Protocol: mqtt\r\n"),
        "{answer}"
    );
    socket
}

/// A masked frame of at most 125 bytes with this first byte.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x11, 0x22, 0x33, 0x44];
    let masked = payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask);
    let mut frame = vec![first, 0x80 | u8::try_from(payload.len()).unwrap()];
    frame.extend(mask);
    frame.extend(masked);
    frame
}

#[test]
fn mqtt_6_0_0_2_packets_are_split_and_joined_anywhere() {
    // Goal: MQTT-6.0.0-2: a CONNECT in frames of one byte each and of one message in fragments, with pings between them; several packets in one
    // frame; the answers are binary frames (MQTT-6.0.0-1).
    let broker = Broker::with_config(&listener("ws", ""));
    let mut single: Vec<u8> = CONNECT.iter().flat_map(|byte| frame(0x82, &[*byte])).collect();
    single.extend(frame(0x82, b""));
    let (start, rest) = CONNECT.split_at(7);
    let fragments = [
        frame(0x02, start),
        frame(0x89, b"still there?"),
        frame(0x00, b""),
        frame(0x80, rest),
    ]
    .concat();
    let joined = frame(0x82, &[CONNECT, &[0xC0, 0], &[0xC0, 0]].concat());
    for (bytes, pong, behind) in [
        (single, &b""[..], &b""[..]),
        (fragments, b"\x8A\x0Cstill there?", b""),
        (joined, b"", &[0xD0, 0, 0xD0, 0]),
    ] {
        let mut socket = upgraded(&broker);
        socket.write_all(&bytes).unwrap();
        let mut expected = vec![0; pong.len() + 2 + CONNACK_BYTES + if behind.is_empty() { 0 } else { behind.len() }];
        socket.read_exact(&mut expected).unwrap();
        let connack = expected.strip_prefix(pong).expect("the ping is answered first");
        assert_eq!(connack[0], 0x82);
        assert_eq!(connack[2..6], *CONNACK);
        if !behind.is_empty() {
            assert!(connack.ends_with(behind), "{connack:?}");
        }
    }
}

#[test]
fn mqtt_6_0_0_1_a_text_frame_ends_the_connection() {
    // Goal: MQTT-6.0.0-1: text is closed with 1003, before CONNECT and after it, and the log says why; so is a frame of 2^63 bytes, with 1009, and one
    // without a mask, with 1002. The broker goes on.
    let broker = Broker::with_config(&listener("ws", ""));
    let enormous = [&[0x82, 0xFF][..], &(1_u64 << 63).to_be_bytes(), &[0; 4]].concat();
    for (bytes, status) in [
        (frame(0x81, b"hello"), 1003_u16),
        (enormous, 1009),
        (vec![0x82, 2, 0xC0, 0], 1002),
    ] {
        let close = [&[0x88, 2][..], &status.to_be_bytes()].concat();
        assert_eq!(told(upgraded(&broker), &bytes), close);
        let said = told(upgraded(&broker), &[frame(0x82, CONNECT), bytes].concat());
        assert!(said.starts_with(&[0x82]) && said.ends_with(&close), "{said:?}");
    }
    broker.wait_for_log("cause=packet_websocket");
    let mut socket = upgraded(&broker);
    socket.write_all(&frame(0x82, CONNECT)).unwrap();
    socket.read_exact(&mut [0; 2 + CONNACK_BYTES]).unwrap();
    // Close with 1000 is answered with the same.
    assert_eq!(told(socket, &frame(0x88, &[3, 0xE8])), [0x88, 2, 3, 0xE8]);
}

#[test]
fn a_shutdown_says_goodbye_over_websocket() {
    // Goal: at SIGTERM a client over WebSocket is told 0x8B by MQTT, then gets a close frame with 1000, and the broker ends in order.
    let mut broker = Broker::with_config(&listener("ws", ""));
    let mut socket = upgraded(&broker);
    socket.write_all(&frame(0x82, CONNECT)).unwrap();
    socket.read_exact(&mut [0; 2 + CONNACK_BYTES]).unwrap();
    let ended = std::thread::spawn(move || told(socket, b""));
    assert_eq!(broker.terminate().code, Some(0));
    let said = ended.join().unwrap();
    assert!(said[0] == 0x82 && said[2] == 0xE0 && said[4] == 0x8B, "{said:?}");
    assert!(said.ends_with(&[0x88, 2, 3, 0xE8]), "{said:?}");
}

#[test]
fn mqtt_6_0_0_3_a_client_asks_for_the_subprotocol() {
    // Goal: MQTT-6.0.0-3 and -4, and every other request that does not begin MQTT: each gets an HTTP answer with a sentence that says what to do, and a
    // record; requests that never end, or are none, end too.
    let config = listener("ws", "path = \"/inbox\"\norigins = [\"https://example.org\"]");
    let broker = Broker::with_config(&format!("{config}[mqtt]\nconnect_timeout = \"1s\"\n"));
    let good = UPGRADE.replace("/mqtt", "/inbox");
    let browser = |origin: &str| good.replace("Host:", &format!("Origin: {origin}\r\nHost:"));
    for (request, status, says) in [
        (good.replace(": mqtt", ": chat"), "400", "subprotocol \"mqtt\""),
        (UPGRADE.to_owned(), "404", "path"),
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), "426", "MQTT broker"),
        (good.replace("Version: 13", "Version: 7"), "426", "version 13"),
        (browser("https://evil.example"), "403", "origins"),
        (format!("{good}early"), "400", "before it was answered"),
        (format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(9000)), "431", "8 KiB"),
        ("\u{10}\u{c}MQTT".to_owned(), "400", "not HTTP"),
    ] {
        let answer = String::from_utf8(told(broker.socket("ws"), request.as_bytes())).unwrap();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.contains(says),
            "{answer}"
        );
    }
    broker.wait_for_log("cause=connect_websocket");
    broker.wait_for_log("cause=connect_origin");
    assert_eq!(told(broker.socket("ws"), &good.as_bytes()[..80]), b"");
    broker.wait_for_log("cause=connect_timeout");
    let mut page = broker.socket("ws");
    page.write_all(browser("https://example.org").as_bytes()).unwrap();
    let mut answer = [0; 12];
    page.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 101");
}

/// Publishes to its own inbox and to another one, and reads its own. The size crosses frames.
const MQTTJS: &str = r#"
const mqtt = require("mqtt");
const [port, version, url, ca] = process.argv.slice(1);
const options = { clientId: "bob", protocolVersion: Number(version), clean: true };
if (ca) options.ca = require("fs").readFileSync(ca);
const client = mqtt.connect(url.replace("PORT", port), options);
client.on("error", (error) => { console.error(error); process.exit(1); });
const came = new Promise((resolve) => client.on("message", (topic, payload) => resolve([topic, payload])));
client.on("connect", async () => {
  await client.subscribeAsync("bob", { qos: 1 });
  await client.publishAsync("bob", Buffer.alloc(200000, "x"), { qos: 2 });
  await client.publishAsync("alice", "from a browser", { qos: 1 });
  const [topic, payload] = await came;
  console.log(topic, payload.length, payload.equals(Buffer.alloc(200000, "x")));
  // Time for the acknowledgement to leave.
  setTimeout(() => client.end(false, () => process.exit(0)), 200);
});
setTimeout(() => { console.error("nothing came"); process.exit(1); }, 25000);
"#;

#[test]
fn mqttjs_reads_its_inbox_over_websocket() {
    // Goal: MQTT.js as its users write it, over ws and wss, at each default path, in both versions: an inbox is read and another one is written.
    let files = Files::of_a_broker();
    let broker = Broker::with_config(&(listener("ws", "") + &tls_listener(&files, "wss", "")));
    let ca = text(&files, "ca.pem");
    for version in ["4", "5"] {
        for (name, path, more) in [("ws", "", None), ("ws", "/mqtt", None), ("wss", "/mqtt", Some(&ca))] {
            let url = format!("{name}://127.0.0.1:{}{path}", broker.port_of(name));
            let mut args = vec![version, &url];
            args.extend(more.map(String::as_str));
            assert_eq!(
                mqttjs(&broker, MQTTJS, &args),
                ["bob 200000 true"],
                "MQTT {version} {url}"
            );
            let mut alice = RawClient::reader(&broker, Version::V5, "alice", 1);
            assert_eq!(alice.receive_and_ack().payload, b"from a browser");
            alice.disconnect();
        }
    }
}

const PAHO: &str = r#"
import sys, queue
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

version, port, ca = int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
came = queue.Queue()
bob = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="bob", protocol={4: mqtt.MQTTv311, 5: mqtt.MQTTv5}[version], transport="websockets")
if ca:
    bob.tls_set(ca_certs=ca)
bob.on_connect = lambda c, u, flags, reason, props: c.subscribe("bob", 1)
bob.on_subscribe = lambda c, u, mid, reasons, props: c.publish("bob", b"y" * 100000, qos=1)
bob.on_message = lambda c, u, message: came.put(message.payload)
bob.connect("127.0.0.1", port)
bob.loop_start()
print(came.get(timeout=30) == b"y" * 100000)
bob.disconnect()
bob.loop_stop()
"#;

#[test]
fn paho_reads_its_inbox_over_websocket() {
    // Goal: Paho for Python over ws and wss, in both versions. It sends an Origin that names the broker itself.
    let files = Files::of_a_broker();
    let broker = Broker::with_config(&(listener("ws", "") + &tls_listener(&files, "wss", "")));
    let ca = text(&files, "ca.pem");
    for version in ["4", "5"] {
        for (name, ca) in [("ws", ""), ("wss", &*ca)] {
            let port = broker.port_of(name).to_string();
            assert_eq!(
                paho(&broker, PAHO, &[version, &port, ca]),
                ["True"],
                "MQTT {version} over {name}"
            );
        }
    }
}
