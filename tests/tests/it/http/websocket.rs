//! MQTT over WebSocket on the HTTP port.

use std::io::{Read, Write};

use inbox_test_support::websocket::REQUEST;
use inbox_tests::tools::mqttjs;
use inbox_tests::{Broker, RawClient, Version, head};

use super::{Told, ask_with, get};
use crate::transports::websocket::frame;

const SCRIPT: &str = r#"
const mqtt = require("mqtt");
const url = `ws://127.0.0.1:${process.argv[2]}/mqtt`;
const client = mqtt.connect(url, { clientId: "bob", protocolVersion: Number(process.argv[3]), clean: true, reconnectPeriod: 0 });
client.on("error", (error) => { console.error(error); process.exit(1); });
client.on("connect", () => client.subscribe("bob", { qos: 1 }, () => client.publish("bob", "from the browser", { qos: 1 })));
const seen = [];
client.on("message", (topic, payload) => {
  seen.push(payload.toString());
  if (seen.length === 2) setTimeout(() => client.end(false, () => { console.log(seen.join(", ")); process.exit(0); }), 200);
});
setTimeout(() => { console.error("only", seen); process.exit(1); }, 25000);
"#;

#[test]
fn mqttjs_reads_and_writes_mail() {
    // Goal: MQTT.js over ws:// on the HTTP port: mail that waits comes, and what it publishes is accepted, with MQTT 3.1.1 and 5; it counts as an
    // MQTT connection of the listener "http".
    let broker = Broker::start();
    for version in ["4", "5"] {
        RawClient::clean(&broker, Version::V5, "alice").publish("bob", "by TCP", 1);
        let port = broker.port_of("http").to_string();
        assert_eq!(mqttjs(&broker, SCRIPT, &[&port, version]), ["by TCP, from the browser"]);
    }
    broker.wait_for_log("listener=http");
}

#[test]
fn a_proxy_may_use_a_connection_that_it_has() {
    // Goal: an upgrade that comes behind other requests on one connection is granted, as proxies keep connections; the CONNECT behind it is
    // answered, and the connection is no longer one of HTTP.
    let broker = Broker::start();
    let mut socket = broker.socket("http");
    socket
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    assert!(head(&mut socket).starts_with("HTTP/1.1 200 "));
    let mut body = [0; "{\"alive\":true}".len()];
    socket.read_exact(&mut body).unwrap();
    socket.write_all(REQUEST.as_bytes()).unwrap();
    let answer = head(&mut socket).to_ascii_lowercase();
    assert!(
        answer.starts_with("http/1.1 101 ") && answer.contains("sec-websocket-protocol: mqtt\r\n"),
        "{answer}"
    );
    socket
        .write_all(&frame(0x82, b"\x10\x10\0\x04MQTT\x05\x02\0\0\0\0\x03ann"))
        .unwrap();
    let mut connack = [0; 6];
    socket.read_exact(&mut connack).unwrap();
    assert_eq!((connack[0], connack[2]), (0x82, 0x20));
    let metrics = get(&broker, "/metrics").body;
    assert!(
        metrics.contains("\ninboxd_connections 1\n") && metrics.contains("\ninboxd_http_connections 1\n"),
        "{metrics}"
    );
}

#[test]
fn pages_of_this_port_and_listed_ones_may_connect() {
    // Goal: the origin of the port itself is let in, and a listed one; others are told why, in the log, too; a name that points to this machine is
    // not this machine (DNS rebinding).
    let broker = Broker::with_config("[http]\norigins = [\"https://ops.example\"]\n");
    let port = broker.port_of("http");
    let rest = "Upgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n";
    let with = |host: &str, origin: &str| -> Told {
        let headers = format!("Connection: Upgrade\r\nHost: {host}\r\nOrigin: {origin}\r\n{rest}");
        let mut socket = broker.socket("http");
        socket
            .write_all(format!("GET /mqtt HTTP/1.1\r\n{headers}\r\n").as_bytes())
            .unwrap();
        let head = head(&mut socket);
        Told {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head,
            body: String::new(),
        }
    };
    let here = format!("127.0.0.1:{port}");
    assert_eq!(with(&here, &format!("http://{here}")).status, 101);
    assert_eq!(with(&here, "https://ops.example").status, 101);
    assert_eq!(with(&here, "https://evil.example").status, 403);
    assert_eq!(with("rebound.example", "http://rebound.example").status, 403);
    broker.wait_for_log("connect_origin");
    let plain = ask_with(&broker, "http", "GET /mqtt", "Host: localhost\r\n");
    assert!(
        plain.status == 426 && plain.head.contains("upgrade: websocket"),
        "{plain:?}"
    );
}
