//! What is measured in several ways: what it costs inboxd in which way clients come (TCP, TLS, WebSocket), that it knows who they are, what they ask it
//! for, and which topics they use.

/// One way.
#[derive(Debug)]
pub(crate) struct Way {
    pub(crate) name: &'static str,
    /// Another broker, which is left out where it is not installed.
    pub(crate) peer: Option<&'static str>,
    /// Keys of a listener, with the gaps of files; nothing for the plain one.
    pub(crate) listener: &'static str,
    /// The rest of the configuration.
    pub(crate) more: &'static str,
    /// Arguments of the load generator.
    pub(crate) arguments: &'static [&'static str],
    /// Somebody watches meanwhile.
    pub(crate) is_watched: bool,
}

/// inboxd, as plain as it can be.
const PLAIN: Way = Way {
    name: "",
    peer: None,
    listener: "",
    more: "",
    arguments: &[],
    is_watched: false,
};

/// A workload, and the ways that it is measured with.
#[derive(Debug)]
pub(crate) struct Trial {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    /// Of the generator, in one line.
    pub(crate) arguments: &'static str,
    /// It takes minutes, so that it has one round.
    pub(crate) is_once: bool,
    /// Names of ways; the others are compared with the first.
    pub(crate) ways: &'static [&'static str],
    /// Heading, figure of the generator, and factor from its unit. The first one has ratios.
    pub(crate) columns: &'static [(&'static str, &'static str, f64)],
}

/// Trials that are one section of the page.
#[derive(Debug)]
pub(crate) struct Suite {
    /// Its heading.
    pub(crate) title: &'static str,
    /// What measures it and writes it.
    pub(crate) flag: &'static str,
    pub(crate) trials: &'static [Trial],
}

/// How clients come.
pub(crate) const WAYS_IN: Suite = Suite {
    title: "Ways in",
    flag: "--ways",
    trials: TRIALS,
};

/// What messages ask for.
pub(crate) const ASKED_FOR: Suite = Suite {
    title: "Dedupe and receipts",
    flag: "--receipts",
    trials: ASKING,
};

/// Topics that are no inboxes.
pub(crate) const ORDINARY: Suite = Suite {
    title: "Ordinary topics",
    flag: "--topics",
    trials: TOPICS,
};

/// Suites that the page has a section of.
pub(crate) const SUITES: [&Suite; 3] = [&WAYS_IN, &ASKED_FOR, &ORDINARY];

/// What client IDs, and so user names, begin with. The generator numbers readers and writers.
pub(crate) const PREFIX: &str = "bench";

const TCP: &str = "tcp";
const USERS: &str = "users, rules and quotas";
const NATIVE: &str = "native";
const RUMQTTD: &str = "rumqttd's router";
const WATCHED: &str = "watched";
const NOTHING: &str = "nothing";
pub(crate) const PASSWORD: &str = "a password of the benchmark";
const ORDINARY_TOPICS: &[&str] = &["--ordinary"];
const TLS: &[&str] = &["--transport", "tls", "--ca", "{dir}/ca.pem"];
pub(crate) const CERTIFICATE: &str = "certificate = \"{dir}/cert.pem\"\nkey = \"{dir}/key.pem\"\n";

/// To measure something else of the configuration, add it here, and its name to a trial below.
pub(crate) const WAYS: &[Way] = &[
    Way { name: TCP, ..PLAIN },
    Way {
        name: "tls",
        listener: "transport = \"tls\"\n",
        arguments: TLS,
        ..PLAIN
    },
    Way {
        name: "ws",
        listener: "transport = \"ws\"\n",
        arguments: &["--transport", "ws"],
        ..PLAIN
    },
    Way {
        name: "wss",
        listener: "transport = \"wss\"\n",
        arguments: &["--transport", "wss", "--ca", "{dir}/ca.pem"],
        ..PLAIN
    },
    Way {
        name: "tls with client certificates",
        listener: "transport = \"tls\"\nclient_certificates = \"required\"\nclient_ca = \"{dir}/ca.pem\"\n",
        arguments: &[
            "--transport",
            "tls",
            "--ca",
            "{dir}/ca.pem",
            "--cert",
            "{dir}/client-cert.pem",
            "--key",
            "{dir}/client-key.pem",
        ],
        ..PLAIN
    },
    Way {
        name: USERS,
        more: "[auth]\npassword_file = \"{dir}/users\"\n[quota]\nconnections_per_address = 1000000\nconnects_per_second = 1000000\n\
               connections_per_user = 10\npublishes_per_second = 1000000\npublish_bytes_per_second = \"1GiB\"\n\
               [access]\nacl_file = \"{dir}/acl.toml\"\n",
        arguments: &["--prefix", PREFIX, "--password", PASSWORD],
        ..PLAIN
    },
    Way {
        name: NOTHING,
        arguments: &["--asks", "nothing"],
        ..PLAIN
    },
    Way {
        name: "an id",
        arguments: &["--asks", "id"],
        ..PLAIN
    },
    Way {
        name: "an id, and delivered",
        arguments: &["--asks", "delivered"],
        ..PLAIN
    },
    Way {
        name: "an id, delivered and read",
        arguments: &["--asks", "read"],
        ..PLAIN
    },
    Way {
        name: NATIVE,
        arguments: ORDINARY_TOPICS,
        ..PLAIN
    },
    Way {
        name: RUMQTTD,
        more: "[router]\nengine = \"rumqttd\"\n",
        arguments: ORDINARY_TOPICS,
        ..PLAIN
    },
    Way {
        name: "FlashMQ",
        peer: Some("flashmq"),
        arguments: ORDINARY_TOPICS,
        ..PLAIN
    },
    Way {
        name: "Mosquitto",
        peer: Some("mosquitto"),
        arguments: ORDINARY_TOPICS,
        ..PLAIN
    },
    Way {
        name: WATCHED,
        more: "[http]\nlisten = \"127.0.0.1:{port2}\"\n",
        is_watched: true,
        ..PLAIN
    },
];

const PAIRS: &str = "p2p --pairs 100 --window 16 --warmup 1 --seconds 4";
const PAIRS_COLUMNS: &[(&str, &str, f64)] = &[
    ("delivered/s", "delivered_per_s", 1.0),
    ("broker µs/message", "broker_cpu_us_per_message", 1.0),
    ("PUBACK p50 ms", "puback_us.p50", 1e-3),
    ("PUBACK p99 ms", "puback_us.p99", 1e-3),
];

const ASKING: &[Trial] = &[
    Trial {
        name: "pairs with MQTT 5",
        what: "100 publishers, each with 16 messages of 256 bytes in flight to a reader of its own, which is there. Every message has an `id`, and asks for receipts: its \
           sender subscribes to its own inbox, receives them there, and acknowledges them. Where messages ask to be told that they are read, their readers say so by \
           `$inbox/read`, of all that they have, one request at a time. A run is clean when every message was delivered, and every receipt came.",
        arguments: PAIRS,
        is_once: false,
        ways: &[NOTHING, "an id", "an id, and delivered", "an id, delivered and read"],
        columns: &[
            ("delivered/s", "delivered_per_s", 1.0),
            ("broker µs/message", "broker_cpu_us_per_message", 1.0),
            ("PUBACK p50 ms", "puback_us.p50", 1e-3),
            ("receipts in one message", "receipts_per_packet", 1.0),
        ],
    },
    Trial {
        name: "stored mail with MQTT 5",
        what: "16 publishers, each with 64 messages of 256 bytes in flight, store 200,000 messages for 1,000 clients that are away. Then the clients come, 100 at a \
               time, and acknowledge all; then, where messages ask for receipts, their senders come for these, and acknowledge them. Messages/s: of all that \
               together. A run is clean when every message was delivered, and every receipt came.",
        arguments: "offline",
        is_once: false,
        ways: &[NOTHING, "an id", "an id, and delivered"],
        columns: &[
            ("messages/s", "through_per_s", 1.0),
            ("broker µs/message", "through_broker_cpu_us_per_message", 1.0),
            ("stored/s", "stored_per_s", 1.0),
            ("drained/s", "drained_per_s", 1.0),
        ],
    },
];

const FLEET_COLUMNS: &[(&str, &str, f64)] = &[
    ("broker µs/message", "broker_cpu_us_per_message", 1.0),
    ("PUBACK p50 ms", "puback_us.p50", 1e-3),
    ("PUBACK p99 ms", "puback_us.p99", 1e-3),
    ("delivery p99 ms", "delivery_us.p99", 1e-3),
];
const TOPICS_WAYS: &[&str] = &[NATIVE, RUMQTTD, "FlashMQ", "Mosquitto"];

const TOPICS: &[Trial] = &[
    Trial {
        name: "pairs with ordinary topics",
        what: "100 publishers, each with 16 messages of 256 bytes in flight to `devices/ID/cmd`, with a subscriber of its own, which is there. Other brokers have the settings of their best speed. A run is \
               clean when every message was delivered.",
        arguments: PAIRS,
        is_once: false,
        ways: TOPICS_WAYS,
        columns: PAIRS_COLUMNS,
    },
    Trial {
        name: "2,000 pairs with ordinary topics",
        what: "The same with 2,000 pairs.",
        arguments: "p2p --pairs 2000 --window 16 --warmup 1 --seconds 4",
        is_once: false,
        ways: TOPICS_WAYS,
        columns: PAIRS_COLUMNS,
    },
    Trial {
        name: "a fleet",
        what: "4,000 devices, each subscribed to `devices/ID/cmd`, and as many publishers, who send 2,000 messages of 256 bytes a second in all.",
        arguments: "p2p --pairs 4000 --rate 2000 --warmup 1 --seconds 5",
        is_once: false,
        ways: TOPICS_WAYS,
        columns: FLEET_COLUMNS,
    },
];

const TRIALS: &[Trial] = &[
    Trial {
        name: "pairs",
        what: "100 publishers, each with 16 messages of 256 bytes in flight to a reader of its own, which is there.",
        arguments: PAIRS,
        is_once: false,
        ways: &[TCP, "tls", "ws", "wss", USERS],
        columns: PAIRS_COLUMNS,
    },
    Trial {
        name: "watched",
        what: "The same, with a dashboard open (the board and the events of `$SYS`), and `/metrics` scraped every 5 s.",
        arguments: PAIRS,
        is_once: false,
        ways: &[TCP, WATCHED],
        columns: PAIRS_COLUMNS,
    },
    Trial {
        name: "idle connections",
        what: "5,000 clients connect, with at most 64 connections being opened at a time and a whole handshake for each, and subscribe to one topic each.",
        arguments: "idle --connections 5000",
        is_once: false,
        ways: &[TCP, "tls", "ws", "wss", "tls with client certificates"],
        columns: &[
            ("KiB/connection", "broker_rss_kib_per_connection", 1.0),
            ("broker µs/connection", "connect_broker_cpu_us_per_connection", 1.0),
            ("connections/s", "connections_per_s", 1.0),
        ],
    },
    Trial {
        name: "5,000 users come back",
        what: "5,000 users with passwords connect for the first time, 16 at a time; then all leave, and come back at once. Without users: the same clients.",
        arguments: "reconnect --clients 5000",
        is_once: true,
        ways: &[TCP, USERS],
        columns: &[
            ("s until all are back", "again_s", 1.0),
            ("broker µs/connection", "again_broker_cpu_us_per_connection", 1.0),
            ("connection to SUBACK p99 ms", "again_connect_to_suback_us.p99", 1e-3),
            ("s for the first time", "first_s", 1.0),
            ("broker µs/connection then", "first_broker_cpu_us_per_connection", 1.0),
        ],
    },
];
