//! MQTT.js, as its users write it.

use inbox_tests::tools::mqttjs;
use inbox_tests::{Broker, RawClient, Version};

/// Reads the own inbox with a kept session until "last" came; prints how many messages came, how many different ones, and whether in order.
/// With `cut`, the network connection is cut after so many messages, and MQTT.js connects again by itself.
const MQTTJS_KEPT_SESSION: &str = r#"
const mqtt = require("mqtt");
const [port, version, qos, limit, cut] = process.argv.slice(1).map(Number);
const options = {
  clientId: "bob", protocolVersion: version, clean: false, reconnectPeriod: 100, connectTimeout: 20000,
  properties: version === 5 ? { sessionExpiryInterval: 600, receiveMaximum: limit } : undefined,
};
const client = mqtt.connect(`mqtt://127.0.0.1:${port}`, options);
const seen = [];
let isCut = false;
client.on("error", (error) => { console.error(error); process.exit(1); });
client.on("connect", () => client.subscribe("bob", { qos }));
client.on("message", (topic, payload) => {
  if (payload.toString() === "last") {
    const sorted = seen.every((n, i) => i === 0 || seen[i - 1] <= n);
    console.log(seen.length, new Set(seen).size, sorted);
    return setTimeout(() => client.end(false, () => process.exit(0)), 200);
  }
  seen.push(Number(payload.toString()));
  if (cut && !isCut && seen.length === cut) {
    isCut = true;
    client.stream.destroy();
  }
});
setTimeout(() => { console.error("only", seen.length); process.exit(1); }, 25000);
"#;

#[test]
fn rule_04_mqttjs_subscribing_on_connect_gets_each_message_once() {
    // Goal: rule 4 with MQTT.js as its users write it: a kept session, `subscribe` in the connect event, and a receive maximum that is
    // smaller than what waits. Mail that came while it was away arrives once and in order, with QoS 1 and 2.
    for (version, protocol) in [(Version::V311, "4"), (Version::V5, "5")] {
        for (qos, window) in [("1", "100"), ("2", "100"), ("1", "7"), ("2", "7")] {
            let broker = Broker::start();
            let mut alice = RawClient::clean(&broker, version, "alice");
            let mut send = |range: std::ops::Range<usize>| {
                range.for_each(|i| alice.publish("bob", i.to_string(), 2));
                alice.publish("bob", "last", 2);
            };
            send(0..1);
            let run = || mqttjs(&broker, MQTTJS_KEPT_SESSION, &[protocol, qos, window, "0"]);
            assert_eq!(run(), ["1 1 true"]);
            send(1..151);
            assert_eq!(run(), ["150 150 true"], "{version:?}, QoS {qos}, window {window}");
        }
    }
}

#[test]
fn rule_04_mqttjs_that_loses_its_connection_misses_nothing() {
    // Goal: after a cut MQTT.js connects and subscribes again by itself; everything comes, and with QoS 2 nothing comes twice.
    for (version, protocol) in [(Version::V311, "4"), (Version::V5, "5")] {
        for qos in ["1", "2"] {
            let broker = Broker::start();
            let mut alice = RawClient::clean(&broker, version, "alice");
            (0..150).for_each(|i| alice.publish("bob", i.to_string(), 2));
            alice.publish("bob", "last", 2);
            let lines = mqttjs(&broker, MQTTJS_KEPT_SESSION, &[protocol, qos, "100", "60"]);
            let numbers: Vec<&str> = lines[0].split(' ').collect();
            assert_eq!(numbers[1], "150", "{version:?}, QoS {qos}: {lines:?}");
            if qos == "2" {
                assert_eq!(lines, ["150 150 true"], "{version:?}");
            }
        }
    }
}
