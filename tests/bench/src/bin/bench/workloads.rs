//! What is measured of every broker, and which figures of it are shown.

use super::results::Variant;

/// A workload of the comparison.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    /// What happens, in sentences.
    pub(crate) what: &'static str,
    kind: Kind,
    /// The first one is charted, and has ratios.
    pub(crate) columns: &'static [Column],
}

/// A figure of the load generator as it is shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    pub(crate) heading: &'static str,
    /// See [`super::results::Measurement::figure`].
    pub(crate) figure: &'static str,
    /// From the generator's unit to the heading's.
    pub(crate) factor: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Readers are there.
    Live(&'static [&'static str]),
    /// Readers come later: messages for so many clients.
    Mail,
    Storm,
    Idle,
}

/// How much is done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    /// Measured seconds of live traffic.
    pub(crate) seconds: u64,
    /// Messages that are stored and read.
    pub(crate) messages: u64,
    pub(crate) connections: u64,
    /// Clients that come at once.
    pub(crate) storm_clients: u64,
}

impl Size {
    pub(crate) const FULL: Size = Size {
        seconds: 5,
        messages: 200_000,
        connections: 10_000,
        storm_clients: 5000,
    };
    pub(crate) const QUICK: Size = Size {
        seconds: 2,
        messages: 20_000,
        connections: 1000,
        storm_clients: 500,
    };
}

/// Storing takes a slow broker no longer than this many seconds, by the rate that it had with readers there.
const STORING_S: f64 = 5.0;
/// A broker that would take longer than this to store what `storm` needs is not asked to, in seconds.
const STORM_STORING_S: f64 = 30.0;
/// Messages that wait for each client of `storm`.
const WAITING: u64 = 100;
/// With fewer, a rate means nothing.
const MESSAGES_MIN: f64 = 5000.0;

const CPU: Column = Column {
    heading: "broker µs/message",
    figure: "broker_cpu_us_per_message",
    factor: 1.0,
};
const MEMORY: Column = Column {
    heading: "MiB",
    figure: "broker_rss_kib",
    factor: 1.0 / 1024.0,
};

/// As the generator reports it.
const fn plain(heading: &'static str, figure: &'static str) -> Column {
    Column {
        heading,
        figure,
        factor: 1.0,
    }
}

const fn ms(heading: &'static str, figure: &'static str) -> Column {
    Column {
        heading,
        figure,
        factor: 1e-3,
    }
}

/// In the order in which they are run: the first one tells how fast a broker is.
pub(crate) const WORKLOADS: &[Workload] = &[
    Workload {
        name: "p2p",
        title: "Pairs, as fast as they can",
        what: "100 publishers, each with 16 messages of 256 bytes in flight to a reader of its own, which is there.",
        kind: Kind::Live(&["p2p", "--pairs", "100", "--window", "16"]),
        columns: &[
            plain("delivered/s", "delivered_per_s"),
            CPU,
            ms("PUBACK p50 ms", "puback_us.p50"),
            ms("PUBACK p99 ms", "puback_us.p99"),
            MEMORY,
            plain("generator µs/message", "generator_cpu_us_per_message"),
        ],
    },
    Workload {
        name: "p2p-5000",
        title: "Pairs at 5,000 messages/s",
        what: "The same pairs, but with messages sent on schedule, 5,000 a second in all, whatever the broker does. Latencies count from \
               the moment at which a message was to be sent.",
        kind: Kind::Live(&["p2p", "--pairs", "100", "--window", "16", "--rate", "5000"]),
        columns: &[
            ms("PUBACK p50 ms", "puback_us.p50"),
            ms("PUBACK p99 ms", "puback_us.p99"),
            ms("delivery p50 ms", "delivery_us.p50"),
            ms("delivery p99 ms", "delivery_us.p99"),
            CPU,
        ],
    },
    Workload {
        name: "offline",
        title: "Mail for absent clients: accepting it",
        what: "16 publishers with 64 messages of 256 bytes in flight store messages for 1,000 clients that are away. inboxd has never seen \
               these clients; for the others they have left a session. Brokers that were slow with readers there get fewer messages.",
        kind: Kind::Mail,
        columns: &[
            plain("accepted/s", "stored_per_s"),
            Column {
                figure: "store_broker_cpu_us_per_message",
                ..CPU
            },
            ms("PUBACK p50 ms", "store_puback_us.p50"),
            ms("PUBACK p99 ms", "store_puback_us.p99"),
            Column {
                figure: "store_broker_rss_kib",
                ..MEMORY
            },
        ],
    },
    Workload {
        name: "drain",
        title: "Mail for absent clients: reading it",
        what: "The same messages. The clients come back, 100 at a time, and each reads and acknowledges all its mail.",
        kind: Kind::Mail,
        columns: &[
            plain("read/s", "drained_per_s"),
            Column {
                figure: "drain_broker_cpu_us_per_message",
                ..CPU
            },
            ms("connection to SUBACK p99 ms", "connect_to_suback_us.p99"),
            Column {
                figure: "drain_broker_rss_kib",
                ..MEMORY
            },
        ],
    },
    Workload {
        name: "fanin",
        title: "Many publishers, one reader",
        what: "100 publishers with one message of 256 bytes in flight each, all to the same reader, which is there.",
        kind: Kind::Live(&["fanin", "--publishers", "100", "--window", "1"]),
        columns: &[
            plain("delivered/s", "delivered_per_s"),
            CPU,
            ms("PUBACK p50 ms", "puback_us.p50"),
            ms("PUBACK p99 ms", "puback_us.p99"),
        ],
    },
    Workload {
        name: "idle",
        title: "Connections that do nothing",
        what: "10,000 clients connect, with at most 64 connections being opened at a time, and subscribe to one topic each.",
        kind: Kind::Idle,
        columns: &[
            plain("connections/s", "connections_per_s"),
            plain("KiB/connection", "broker_rss_kib_per_connection"),
            plain("broker µs/connection", "connect_broker_cpu_us_per_connection"),
            ms("connection to SUBACK p99 ms", "connect_to_suback_us.p99"),
        ],
    },
    Workload {
        name: "storm",
        title: "Everybody comes back at once",
        what: "100 messages of 256 bytes wait for each of 5,000 clients, which then all connect, read and acknowledge at the same time.",
        kind: Kind::Storm,
        columns: &[
            plain("seconds until all are served", "drain_s"),
            plain("read/s", "drained_per_s"),
            Column {
                figure: "drain_broker_cpu_us_per_message",
                ..CPU
            },
            ms("connection to SUBACK p99 ms", "connect_to_suback_us.p99"),
            Column {
                figure: "drain_broker_rss_kib",
                ..MEMORY
            },
        ],
    },
];

/// `drain` is the second half of `offline`, and has no run of its own.
pub(crate) const HALVES: (&str, &str) = ("offline", "drain");

impl Workload {
    /// The workload of this name.
    pub(crate) fn named(name: &str) -> Option<&'static Workload> {
        WORKLOADS.iter().find(|it| it.name == name)
    }

    /// Whether it is run for this variant: settings for speed are shown where the messages pass through, and where they are kept.
    pub(crate) fn is_for(&self, variant: &Variant) -> bool {
        !variant.is_fastest || matches!(self.name, "p2p" | "offline" | "drain")
    }

    /// The arguments of the load generator for a broker that delivered `pace` messages/s with readers there, if that is known; or why
    /// it is not run.
    pub(crate) fn arguments(&self, size: Size, variant: &Variant, pace: Option<f64>) -> Result<Vec<String>, String> {
        let mut words: Vec<String> = Vec::new();
        let mut add = |text: &str| words.extend(text.split_ascii_whitespace().map(str::to_owned));
        let presubscribe = if variant.needs_sessions { "--presubscribe" } else { "" };
        match self.kind {
            Kind::Live(arguments) => {
                add(&arguments.join(" "));
                add(&format!("--bytes 256 --warmup 1 --seconds {}", size.seconds));
                if variant.needs_sessions && !variant.is_fastest {
                    add("--keep-session");
                }
            }
            Kind::Mail => {
                let least = MESSAGES_MIN.min(size.messages as f64);
                let messages = pace.map_or(size.messages as f64, |pace| {
                    (pace * STORING_S).clamp(least, size.messages as f64)
                });
                add(&format!(
                    "offline --clients 1000 --messages {messages:.0} --publishers 16 --window 64 --bytes 256 {presubscribe}"
                ));
            }
            Kind::Storm => {
                let messages = size.storm_clients * WAITING;
                if let Some(pace) = pace.filter(|pace| messages as f64 / pace > STORM_STORING_S) {
                    return Err(format!(
                        "left out: at {pace:.0} messages/s it would take {:.0} s to store what is to be read",
                        messages as f64 / pace
                    ));
                }
                add(&format!(
                    "storm --clients {} --waiting {WAITING} --bytes 256 {presubscribe}",
                    size.storm_clients
                ));
            }
            Kind::Idle => add(&format!("idle --connections {}", size.connections)),
        }
        Ok(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer() -> Variant {
        Variant {
            needs_sessions: true,
            ..Default::default()
        }
    }

    /// Goal: a slow broker gets fewer messages, but never too few, and is not asked to store for minutes.
    #[test]
    fn slow_brokers_get_less_to_do() {
        let messages = |pace| {
            let words = Workload::named("offline")
                .unwrap()
                .arguments(Size::FULL, &peer(), pace)
                .unwrap();
            let at = words.iter().position(|word| word == "--messages").unwrap();
            words[at + 1].parse::<u64>().unwrap()
        };
        assert_eq!(messages(None), 200_000);
        assert_eq!(messages(Some(1e6)), 200_000);
        assert_eq!(messages(Some(10_000.0)), 50_000);
        assert_eq!(messages(Some(1.0)), 5000);
        let storm = Workload::named("storm").unwrap();
        assert!(
            storm
                .arguments(Size::FULL, &peer(), Some(1000.0))
                .unwrap_err()
                .contains("500 s")
        );
        assert!(storm.arguments(Size::FULL, &peer(), Some(100_000.0)).is_ok());
    }

    /// Goal: brokers that keep messages for sessions only get sessions; inboxd gets clients that it has never seen.
    #[test]
    fn sessions_are_for_those_that_need_them() {
        let words = |name, variant: &Variant| {
            Workload::named(name)
                .unwrap()
                .arguments(Size::FULL, variant, None)
                .unwrap()
        };
        let fastest = Variant {
            is_fastest: true,
            ..peer()
        };
        for (name, flag) in [
            ("p2p", "--keep-session"),
            ("offline", "--presubscribe"),
            ("storm", "--presubscribe"),
        ] {
            let has = |variant: &Variant| words(name, variant).iter().any(|word| word == flag);
            assert!(has(&peer()) && !has(&Variant::default()), "{name}");
        }
        assert!(!words("p2p", &fastest).iter().any(|word| word == "--keep-session"));
        assert!(!Workload::named("storm").unwrap().is_for(&fastest));
    }
}
