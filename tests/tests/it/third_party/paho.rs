//! Paho for Python, as its users write it.

use inbox_tests::tools::paho;
use inbox_tests::{Broker, RawClient, Version};

const PAHO_KEPT_SESSION: &str = r#"
import sys, threading
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.packettypes import PacketTypes

port, version, qos, count = (int(argument) for argument in sys.argv[1:5])
protocol = {4: mqtt.MQTTv311, 5: mqtt.MQTTv5}[version]
seen, done = [], threading.Event()

more = {"clean_session": False} if version == 4 else {}
bob = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="bob", protocol=protocol, **more)

def on_connect(client, userdata, flags, reason, properties):
    client.subscribe("bob", qos)

def on_message(client, userdata, message):
    if message.payload == b"last":
        done.set()
    else:
        seen.append((int(message.payload), message.dup))

bob.on_connect, bob.on_message = on_connect, on_message
kwargs = {}
if version == 5:
    properties = Properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = 600
    kwargs = {"clean_start": False, "properties": properties}
bob.connect("127.0.0.1", port, keepalive=20, **kwargs)
bob.loop_start()
assert done.wait(30), seen
bob.disconnect()
bob.loop_stop()
print(len(seen), len(set(number for number, _ in seen)), seen == sorted(seen))
"#;

#[test]
fn rule_04_paho_subscribing_on_connect_gets_each_message_once() {
    // Goal: rule 4 with Paho as its users write it: a kept session, and `subscribe` in `on_connect`. Of 150 messages that wait for the
    // session, each is delivered once, in order, although the session is resumed and subscribes again: with the window full of them.
    for version in ["4", "5"] {
        for qos in ["1", "2"] {
            let broker = Broker::start();
            let v = if version == "4" { Version::V311 } else { Version::V5 };
            let mut alice = RawClient::clean(&broker, v, "alice");
            let send = |alice: &mut RawClient, range: std::ops::Range<usize>| {
                range.for_each(|i| alice.publish("bob", i.to_string(), 2));
                alice.publish("bob", "last", 2);
            };
            send(&mut alice, 0..1);
            assert_eq!(paho(&broker, PAHO_KEPT_SESSION, &[version, qos, "1"]), ["1 1 True"]);
            send(&mut alice, 1..151);
            assert_eq!(
                paho(&broker, PAHO_KEPT_SESSION, &[version, qos, "150"]),
                ["150 150 True"],
                "version {version}, QoS {qos}"
            );
        }
    }
}

const PAHO_EXCHANGE: &str = r#"
import sys, queue
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

port, version, clean = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "clean"
protocol = {4: mqtt.MQTTv311, 5: mqtt.MQTTv5}[version]
DEADLINE = 30

def client(name, **more):
    if version == 4:
        more["clean_session"] = clean
    c = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=protocol, **more)
    c.events = queue.Queue()
    c.on_connect = lambda c, u, flags, reason, props: c.events.put(("connect", reason.is_failure))
    c.on_subscribe = lambda c, u, mid, reasons, props: c.events.put(("subscribe", [r.value for r in reasons]))
    c.on_message = lambda c, u, m: c.events.put(("message", m))
    kwargs = {"clean_start": clean} if version == 5 else {}
    c.connect("127.0.0.1", port, keepalive=20, **kwargs)
    c.loop_start()
    assert c.events.get(timeout=DEADLINE) == ("connect", False)
    return c

# QoS 1 first: Paho shows a message of QoS 2 only when its PUBREL comes, which is after later ones of QoS 1.
alice = client("alice")
for i in range(100):
    info = alice.publish("bob", str(i), qos=1 + i // 50)
    info.wait_for_publish(DEADLINE)
    assert info.is_published(), f"publish {i} was not acknowledged"

bob = client("bob")
bob.subscribe("bob", qos=2)
kind, codes = bob.events.get(timeout=DEADLINE)
assert (kind, codes) == ("subscribe", [2]), (kind, codes)
for i in range(100):
    kind, m = bob.events.get(timeout=DEADLINE)
    assert kind == "message", kind
    line = f"{m.topic} {m.payload.decode()} {m.qos}"
    if version == 5:
        user = dict(m.properties.UserProperty)
        line += f" {user['from']} {int(user['seq']) > 0} {int(user['at']) > 0} {bool(user['id'])}"
    print(line)

bob.subscribe("alice", qos=1)
print("stranger", bob.events.get(timeout=DEADLINE)[1])
for c in (alice, bob):
    c.disconnect()
    c.loop_stop()
"#;

#[test]
fn paho_exchanges_messages_in_both_versions() {
    // Goal: publish before the reader ever connected, replay in order, user properties, refusal: with Paho for Python,
    // clean or not.
    for version in ["4", "5"] {
        for clean in ["clean", "kept"] {
            let broker = Broker::start();
            let lines = paho(&broker, PAHO_EXCHANGE, &[version, clean]);
            let more = if version == "5" { " alice True True True" } else { "" };
            let mut expected: Vec<_> = (0..100).map(|i| format!("bob {i} {}{more}", 1 + i / 50)).collect();
            expected.push(format!("stranger [{}]", if version == "5" { 135 } else { 128 }));
            assert_eq!(lines, expected, "MQTT {version}, {clean}");
        }
    }
}
