//! Home Assistant's habit, with stock clients: devices announce themselves by retained messages on `homeassistant/…/config`, the home is a client that keeps its
//! session and subscribes to all of them, and commands are published while somebody is away. The broker is killed in between, and nobody notices.

use inbox_tests::Broker;
use inbox_tests::tools::{amqtt, mosquitto_pub, mosquitto_sub, mqttjs, paho};

const DEVICES: usize = 3;
const COMMANDS: usize = 6;

/// Retained announcements of some devices, one of which was removed again.
fn announce(broker: &Broker, version: &str) {
    for device in 0..=DEVICES {
        let (topic, config) = (config_topic(device), config(device));
        mosquitto_pub(broker, &["-V", version, "-t", &topic, "-r", "-q", "1", "-m", "{}"]);
        mosquitto_pub(broker, &["-V", version, "-t", &topic, "-r", "-q", "1", "-m", &config]);
    }
    // An empty retained message takes the device away.
    let gone = config_topic(DEVICES);
    mosquitto_pub(broker, &["-V", version, "-t", &gone, "-r", "-q", "1", "-n"]);
}

fn config_topic(device: usize) -> String {
    format!("homeassistant/sensor/device{device}/config")
}

fn config(device: usize) -> String {
    format!("{{\"name\":\"device {device}\",\"state_topic\":\"devices/{device}/state\"}}")
}

/// What the home sees of the devices, sorted.
fn announced() -> Vec<String> {
    let line = |device| format!("{} {} retained", config_topic(device), config(device));
    (0..DEVICES).map(line).collect()
}

/// Publishes some commands, each acknowledged, while the broker is killed in the middle.
fn command(broker: &mut Broker, version: &str) {
    for n in 0..COMMANDS {
        if n == COMMANDS / 2 {
            broker.crash_and_restart();
        }
        let command = format!("command {n}");
        mosquitto_pub(
            broker,
            &["-V", version, "-t", "devices/1/set", "-q", "1", "-m", &command],
        );
    }
    broker.crash_and_restart();
}

fn commands() -> Vec<String> {
    (0..COMMANDS)
        .map(|n| format!("devices/1/set command {n} live"))
        .collect()
}

const BOTH: &[&str] = &["4", "5"];

/// The story with a client that has a script. It gets the version, how many messages it is to wait for, and how their topics begin; comes with a kept session, subscribes
/// where none is present, and prints `session` and whether it was present, and each message.
fn is_at_home_with(versions: &[&str], home: impl Fn(&Broker, &[&str; 3]) -> Vec<String>) {
    for version in versions {
        let name = if *version == "4" { "mqttv311" } else { "mqttv5" };
        let mut broker = Broker::start();
        announce(&broker, name);
        broker.crash_and_restart();
        let mut lines = home(&broker, &[version, &DEVICES.to_string(), "homeassistant/"]);
        lines.sort();
        let first = [announced(), vec!["session false".into()]].concat();
        assert_eq!(lines, first, "MQTT {version}: announcements are there after kill -9");
        command(&mut broker, name);
        let mut lines = home(&broker, &[version, &COMMANDS.to_string(), "devices/"]);
        // What was acknowledged right before the crash may come again.
        lines.retain(|line| !line.starts_with("homeassistant/"));
        let second = [vec!["session true".into()], commands()].concat();
        assert_eq!(
            lines, second,
            "MQTT {version}: the session is there, and what came for it"
        );
    }
}

#[test]
fn home_assistant_with_mosquitto_misses_nothing_over_kill_9() {
    // Goal: with `-c`, mosquitto_sub keeps its session: commands that came while it was away are there after kill -9. Whoever is new sees the devices, and not the one that
    // was removed.
    for version in ["mqttv311", "mqttv5"] {
        let mut broker = Broker::start();
        announce(&broker, version);
        let mut home = vec!["-V", version, "-i", "home", "-c", "-q", "1", "-t", "devices/+/set"];
        if version == "mqttv5" {
            home.extend(["-x", "3600"]);
        }
        assert!(mosquitto_sub(&broker, &[&home[..], &["-E"]].concat()).is_empty());
        command(&mut broker, version);
        let see = |who: &[&str], count: usize| {
            let mut args = who.to_vec();
            let count = count.to_string();
            args.extend(["-C", &count, "-F", "%t %p %r"]);
            mosquitto_sub(&broker, &args)
        };
        let commands: Vec<String> = commands().iter().map(|line| line.replace("live", "0")).collect();
        assert_eq!(see(&home, COMMANDS), commands, "{version}");
        let mut lines = see(&["-V", version, "-q", "1", "-t", "homeassistant/#"], DEVICES);
        lines.sort();
        let retained: Vec<String> = announced().iter().map(|line| line.replace("retained", "1")).collect();
        assert_eq!(lines, retained, "{version}");
    }
}

const PAHO: &str = r#"
import sys, queue
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.packettypes import PacketTypes

port, version, count = (int(argument) for argument in sys.argv[1:4])
prefix = sys.argv[4]
came = queue.Queue()
more = {"clean_session": False} if version == 4 else {}
home = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="home", protocol=version, **more)

def on_connect(client, userdata, flags, reason, properties):
    assert not reason.is_failure, reason
    print("session", str(flags.session_present).lower())
    if not flags.session_present:
        client.subscribe([("homeassistant/#", 1), ("devices/+/set", 1)])

home.on_connect = on_connect
home.on_message = lambda client, userdata, message: came.put(message)
kwargs = {}
if version == 5:
    properties = Properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = 3600
    kwargs = {"clean_start": False, "properties": properties}
home.connect("127.0.0.1", port, keepalive=20, **kwargs)
home.loop_start()
while count > 0:
    message = came.get(timeout=30)
    print(message.topic, message.payload.decode(), "retained" if message.retain else "live")
    count -= message.topic.startswith(prefix)
# What was acknowledged is on its way before this.
home.disconnect()
home.loop_stop()
"#;

#[test]
fn home_assistant_with_paho_misses_nothing_over_kill_9() {
    // Goal: the library of Home Assistant, as it uses it: a session that is kept, and subscriptions that are made where none is present.
    is_at_home_with(BOTH, |broker, args| paho(broker, PAHO, args));
}

const MQTTJS: &str = r#"
const mqtt = require("mqtt");
const [port, version, count] = process.argv.slice(1, 4).map(Number);
const prefix = process.argv[4];
const home = mqtt.connect(`mqtt://127.0.0.1:${port}`, {
  clientId: "home", protocolVersion: version, clean: false, resubscribe: false, reconnectPeriod: 100, connectTimeout: 20000,
  properties: version === 5 ? { sessionExpiryInterval: 3600 } : undefined,
});
let came = 0;
home.on("error", (error) => { console.error(error); process.exit(1); });
home.on("connect", (connack) => {
  console.log("session", connack.sessionPresent);
  if (!connack.sessionPresent) home.subscribe(["homeassistant/#", "devices/+/set"], { qos: 1 });
});
home.on("message", (topic, payload, packet) => {
  console.log(topic, payload.toString(), packet.retain ? "retained" : "live");
  came += topic.startsWith(prefix) ? 1 : 0;
  // After this message is acknowledged.
  if (came === count) setImmediate(() => home.end(false, () => process.exit(0)));
});
setTimeout(() => { console.error("only", came); process.exit(1); }, 25000);
"#;

#[test]
fn home_assistant_with_mqttjs_misses_nothing_over_kill_9() {
    // Goal: MQTT.js, which bridges like Zigbee2MQTT are made with.
    is_at_home_with(BOTH, |broker, args| mqttjs(broker, MQTTJS, args));
}

/// It does not tell its user what CONNACK said of the session, and cannot know better than the test.
const AMQTT: &str = r#"
import asyncio, sys
from amqtt.client import MQTTClient

port, count, prefix = int(sys.argv[1]), int(sys.argv[3]), sys.argv[4]

async def main(count):
    home = MQTTClient(client_id="home", config={"auto_reconnect": False})
    await home.connect(f"mqtt://127.0.0.1:{port}/", cleansession=False)
    if prefix == "homeassistant/":
        await home.subscribe([("homeassistant/#", 1), ("devices/+/set", 1)])
    while count > 0:
        message = await home.deliver_message(timeout_duration=30)
        retained = message.publish_packet.retain_flag
        print(message.topic, bytes(message.data).decode(), "retained" if retained else "live")
        count -= message.topic.startswith(prefix)
    await home.disconnect()

asyncio.run(main(count))
"#;

#[test]
fn home_assistant_with_amqtt_misses_nothing_over_kill_9() {
    // Goal: a client in pure Python, of MQTT 3.1.1 only.
    is_at_home_with(&["4"], |broker, args| {
        let is_first = args[2] == "homeassistant/";
        let session = format!("session {}", !is_first);
        [vec![session], amqtt(broker, AMQTT, args)].concat()
    });
}
