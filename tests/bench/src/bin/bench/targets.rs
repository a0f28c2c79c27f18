//! What inboxd is to reach, on two processors that it shares with the load generator.

use super::million;
use super::results::{Part, Variant};
use super::statistics::{count, number};

/// A figure and its bound.
#[derive(Debug, Clone, Copy)]
struct Target {
    text: &'static str,
    /// The engine that it is for; for all of them without one.
    engine: Option<&'static str>,
    workload: &'static str,
    figure: &'static str,
    factor: f64,
    bound: Bound,
}

#[derive(Debug, Clone, Copy)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
    /// So many times the best setting of a peer, or the one setting that is named.
    Times(f64, &'static str, Option<&'static str>),
}

/// A target and what was measured.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) text: String,
    pub(crate) variant: String,
    pub(crate) bound: String,
    pub(crate) measured: String,
    pub(crate) is_met: bool,
}

const fn target(text: &'static str, workload: &'static str, figure: &'static str, bound: Bound) -> Target {
    Target {
        text,
        engine: None,
        workload,
        figure,
        factor: 1.0,
        bound,
    }
}

/// Of traffic at a fixed rate: at most so many milliseconds.
const fn latency(text: &'static str, figure: &'static str, ms: f64) -> Target {
    Target {
        factor: 1e-3,
        ..target(text, "p2p-5000", figure, Bound::AtMost(ms))
    }
}

const TARGETS: &[Target] = &[
    target(
        "pairs: delivered/s",
        "p2p",
        "delivered_per_s",
        Bound::AtLeast(400_000.0),
    ),
    target(
        "pairs: broker µs/message",
        "p2p",
        "broker_cpu_us_per_message",
        Bound::AtMost(2.5),
    ),
    target(
        "pairs: delivered/s, against rumqttd",
        "p2p",
        "delivered_per_s",
        Bound::Times(2.0, "rumqttd", None),
    ),
    target(
        "pairs: delivered/s, against mosquitto",
        "p2p",
        "delivered_per_s",
        Bound::Times(5.0, "mosquitto", None),
    ),
    target(
        "pairs: delivered/s, against rabbitmq quorum",
        "p2p",
        "delivered_per_s",
        Bound::Times(20.0, "rabbitmq", Some("quorum")),
    ),
    latency("pairs at 5,000/s: PUBACK p50 ms", "puback_us.p50", 0.3),
    latency("pairs at 5,000/s: PUBACK p99 ms", "puback_us.p99", 3.0),
    latency("pairs at 5,000/s: delivery p50 ms", "delivery_us.p50", 0.2),
    latency("pairs at 5,000/s: delivery p99 ms", "delivery_us.p99", 2.0),
    Target {
        engine: Some("sled"),
        ..target(
            "1,000 absent clients: accepted/s",
            "offline",
            "stored_per_s",
            Bound::AtLeast(200_000.0),
        )
    },
    Target {
        engine: Some("fjall"),
        ..target(
            "1,000 absent clients: accepted/s",
            "offline",
            "stored_per_s",
            Bound::AtLeast(150_000.0),
        )
    },
    target(
        "1,000,000 absent clients: accepted/s",
        million::ACCEPT,
        "stored_per_s",
        Bound::AtLeast(60_000.0),
    ),
    target(
        "1,000 clients come back: read/s",
        "drain",
        "drained_per_s",
        Bound::AtLeast(200_000.0),
    ),
    target(
        "idle: KiB/connection",
        "idle",
        "broker_rss_kib_per_connection",
        Bound::AtMost(6.0),
    ),
    target(
        "idle: connections/s",
        "idle",
        "connections_per_s",
        Bound::AtLeast(15_000.0),
    ),
    target(
        "5,000 clients come back at once: s until all are served",
        "storm",
        "drain_s",
        Bound::AtMost(4.0),
    ),
    target(
        "1,000,000 inboxes with 10 messages each: s from start to ready",
        million::RESTART,
        "orderly_ready_s",
        Bound::AtMost(3.0),
    ),
    target(
        "the same after kill -9: s from start to ready",
        million::RESTART,
        "killed_ready_s",
        Bound::AtMost(3.0),
    ),
    Target {
        factor: 1.0 / 1024.0,
        ..target(
            "the same: MiB resident",
            million::RESTART,
            "orderly_rss_kib",
            Bound::AtMost(300.0),
        )
    },
];

/// Every target for which there is a figure.
pub(crate) fn rows(part: &Part) -> Vec<Row> {
    let own: Vec<&Variant> = part.variants.iter().filter(|it| it.peer == "inboxd").collect();
    TARGETS
        .iter()
        .flat_map(|target| {
            own.iter()
                .filter_map(|variant| row(part, target, variant))
                .collect::<Vec<_>>()
        })
        .collect()
}

fn row(part: &Part, target: &Target, variant: &Variant) -> Option<Row> {
    if target.engine.is_some_and(|engine| engine != variant.setting) {
        return None;
    }
    let median = |variant: &Variant| {
        let summary = part.summary(target.workload, &variant.name(), target.figure)?;
        Some(summary.median * target.factor)
    };
    let value = median(variant)?;
    let (bound, measured, is_met) = match target.bound {
        Bound::AtLeast(least) => (format!("≥ {}", count(least)), number(value), value >= least),
        Bound::AtMost(most) => (format!("≤ {}", count(most)), number(value), value <= most),
        Bound::Times(times, peer, setting) => {
            let theirs = part
                .variants
                .iter()
                .filter(|it| it.peer == peer && setting.is_none_or(|setting| it.setting == setting))
                .filter_map(median)
                .max_by(f64::total_cmp)?;
            (
                format!("≥ {}×", count(times)),
                format!("{}×", number(value / theirs)),
                value >= times * theirs,
            )
        }
    };
    Some(Row {
        text: target.text.to_owned(),
        variant: variant.name(),
        bound,
        measured,
        is_met,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::Measurement;

    fn variant(peer: &str, setting: &str) -> Variant {
        Variant {
            peer: peer.to_owned(),
            setting: setting.to_owned(),
            ..Default::default()
        }
    }

    fn delivered(variant: &Variant, per_s: f64) -> Measurement {
        Measurement {
            workload: "p2p".to_owned(),
            variant: variant.name(),
            figures: [("delivered_per_s".to_owned(), per_s.into())].into(),
            ..Default::default()
        }
    }

    /// Goal: a target is judged by the median, ratios against the peer's best setting, and without figures there is no verdict.
    #[test]
    fn targets_are_judged_by_figures() {
        let variants = [
            variant("inboxd", "sled"),
            variant("mosquitto", "durable"),
            variant("mosquitto", "fastest"),
        ];
        let [own, durable, fastest] = &variants;
        let part = Part {
            measurements: vec![
                delivered(own, 300_000.0),
                delivered(own, 500_000.0),
                delivered(own, 410_000.0),
                delivered(durable, 40_000.0),
                delivered(fastest, 100_000.0),
            ],
            variants: variants.to_vec(),
            ..Default::default()
        };
        let rows = rows(&part);
        assert_eq!(rows.len(), 2);
        assert_eq!((rows[0].measured.as_str(), rows[0].is_met), ("410,000", true));
        assert_eq!(
            (rows[1].measured.as_str(), rows[1].bound.as_str(), rows[1].is_met),
            ("4.10×", "≥ 5×", false)
        );
    }
}
