//! How the cost of inboxd grows with one quantity at a time.
//!
//! Stored messages beyond a million are in [`super::million`], because filling takes long.

use super::Bench;
use super::generator::Label;
use super::machine::processors;
use super::process::Broker;
use super::results::Measurement;
use super::workloads::Column;

/// A quantity that grows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Series {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    /// What grows, and its unit.
    pub(crate) quantity: &'static str,
    points: &'static [u64],
    /// The load generator's arguments; `{x}` is the point, and `{messages}` what suits it.
    arguments: &'static str,
    /// The first two are charted.
    pub(crate) columns: &'static [Column],
}

const fn column(heading: &'static str, figure: &'static str) -> Column {
    Column {
        heading,
        figure,
        factor: 1.0,
    }
}

/// Fewer messages than this do not tell a rate.
const MESSAGES_MIN: u64 = 200_000;
const TIMEOUT_S: u64 = 300;
/// The quantity of this series is not the generator's.
pub(crate) const CORES: &str = "cores";

pub(crate) const SERIES: &[Series] = &[
    Series {
        name: "clients",
        title: "Connected clients",
        quantity: "connected clients",
        points: &[1000, 2000, 5000, 10_000, 15_000],
        arguments: "idle --connections {x}",
        columns: &[
            column("KiB/connection", "broker_rss_kib_per_connection"),
            column("broker µs/connection", "connect_broker_cpu_us_per_connection"),
            column("connections/s", "connections_per_s"),
        ],
    },
    Series {
        name: "inboxes",
        title: "Offline inboxes",
        quantity: "inboxes that are written to",
        points: &[1000, 10_000, 100_000, 1_000_000],
        arguments: "offline --clients {x} --messages {messages} --publishers 16 --window 64 --bytes 256 --store-only",
        columns: &[
            column("accepted/s", "stored_per_s"),
            column("broker µs/message", "store_broker_cpu_us_per_message"),
            Column {
                heading: "MiB",
                figure: "store_broker_rss_kib",
                factor: 1.0 / 1024.0,
            },
        ],
    },
    Series {
        name: "payload",
        title: "Payload",
        quantity: "bytes of payload",
        points: &[16, 256, 4096, 65_536, 1_048_576],
        arguments: "p2p --pairs 16 --window 4 --bytes {x} --warmup 1 --seconds 4",
        columns: &[
            column("delivered/s", "delivered_per_s"),
            column("broker µs/message", "broker_cpu_us_per_message"),
        ],
    },
    Series {
        name: "pairs",
        title: "Pairs of clients",
        quantity: "pairs of a publisher and a reader",
        points: &[1, 10, 100, 1000, 5000],
        arguments: "p2p --pairs {x} --window 16 --bytes 256 --warmup 1 --seconds 4",
        columns: &[
            column("delivered/s", "delivered_per_s"),
            column("broker µs/message", "broker_cpu_us_per_message"),
            Column {
                heading: "MiB",
                figure: "broker_rss_kib",
                factor: 1.0 / 1024.0,
            },
        ],
    },
    Series {
        name: CORES,
        title: "Cores",
        quantity: "processors of the broker (taskset)",
        points: &[1, 2, 4, 8, 16, 32, 64],
        arguments: "p2p --pairs 100 --window 16 --bytes 256 --warmup 1 --seconds 4",
        columns: &[
            column("delivered/s", "delivered_per_s"),
            column("broker µs/message", "broker_cpu_us_per_message"),
        ],
    },
];

/// Runs every series with inboxd's default engine; with `is_quick`, the first points of each.
pub(crate) fn run(bench: &Bench, is_quick: bool) -> Vec<Measurement> {
    let mut done = Vec::new();
    for series in SERIES {
        eprintln!("\n==> growth: {}", series.title);
        let points = series.points.iter().copied();
        let points = points.filter(|&x| series.name != CORES || x as usize <= processors());
        for x in points.take(if is_quick { 2 } else { usize::MAX }) {
            done.push(point(bench, series, x));
        }
    }
    done
}

fn point(bench: &Bench, series: &Series, x: u64) -> Measurement {
    let label = |variant: String| Label {
        workload: series.name.to_owned(),
        variant,
        round: 1,
        x: Some(x as f64),
    };
    let Some(launch) = bench.launches.first() else {
        return label(String::new()).failed("there is no inboxd".to_owned());
    };
    let label = label(launch.variant.name());
    let (broker_cpus, generator_cpus) = match series.name {
        CORES => (Some(first_cpus(x as usize)), other_cpus(x as usize)),
        _ => (None, None),
    };
    match Broker::start(launch, &bench.scratch, broker_cpus.as_deref()) {
        Ok(broker) => bench.generator.measure(
            &label,
            &broker,
            &arguments(series.arguments, x),
            TIMEOUT_S,
            generator_cpus.as_deref(),
        ),
        Err(error) => {
            let measurement = label.failed(format!("{error:#}"));
            super::generator::say(&measurement);
            measurement
        }
    }
}

fn arguments(template: &str, x: u64) -> Vec<String> {
    let text = template
        .replace("{x}", &x.to_string())
        .replace("{messages}", &x.max(MESSAGES_MIN).to_string());
    text.split_ascii_whitespace().map(str::to_owned).collect()
}

fn first_cpus(count: usize) -> String {
    if count == 1 {
        "0".to_owned()
    } else {
        format!("0-{}", count - 1)
    }
}

/// The processors that the broker does not have; all, if it has all.
fn other_cpus(count: usize) -> Option<String> {
    (count < processors()).then(|| format!("{count}-{}", processors() - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the points go where they belong, and small ones still have enough messages for a rate.
    #[test]
    fn points_become_arguments() {
        let inboxes = SERIES.iter().find(|it| it.name == "inboxes").unwrap();
        let text = |x| arguments(inboxes.arguments, x).join(" ");
        assert!(text(1000).contains("--clients 1000 --messages 200000 "));
        assert!(text(1_000_000).contains("--clients 1000000 --messages 1000000 "));
        assert_eq!((first_cpus(1).as_str(), first_cpus(4).as_str()), ("0", "0-3"));
        assert_eq!(other_cpus(processors()), None);
    }
}
