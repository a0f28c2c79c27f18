//! From what was measured to buckets.

use std::fmt;

use hdrhistogram::Histogram;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// From a PUBLISH with QoS 1 to its PUBACK, in microseconds.
    PubackLatency,
    /// From the acceptance of a message to its delivery to a reader that was there, in microseconds.
    DeliveryLatency,
    /// How long commits took, in microseconds.
    CommitDuration,
    /// Of that, how long the disk took to keep it (fsync), in microseconds.
    FsyncDuration,
    /// Messages in a commit.
    CommitMessages,
}

/// Seconds, as they are usually cut for services that answer within milliseconds.
const SECONDS: [f64; 17] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];
const MESSAGES: [f64; 13] = [
    1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10_000.0,
];

impl Measure {
    /// Every measure.
    pub const ALL: [Measure; 5] = [
        Measure::PubackLatency,
        Measure::DeliveryLatency,
        Measure::CommitDuration,
        Measure::FsyncDuration,
        Measure::CommitMessages,
    ];

    /// The name without its unit, and the help.
    fn described(self) -> (&'static str, &'static str) {
        match self {
            Measure::PubackLatency => ("inboxd_puback_latency", "From a PUBLISH with QoS 1 to its PUBACK"),
            Measure::DeliveryLatency => (
                "inboxd_delivery_latency",
                "From the acceptance of a message to its delivery to a reader that was there",
            ),
            Measure::CommitDuration => ("inboxd_commit_duration", "How long commits took"),
            Measure::FsyncDuration => ("inboxd_fsync_duration", "How long the disk took to keep a commit"),
            Measure::CommitMessages => ("inboxd_commit_messages", "Messages in a commit"),
        }
    }

    /// The whole name.
    pub fn name(self) -> String {
        let (name, _) = self.described();
        match self.unit() {
            Some(_) => format!("{name}_seconds"),
            None => name.to_owned(),
        }
    }

    fn unit(self) -> Option<Unit> {
        (self != Measure::CommitMessages).then_some(Unit::Seconds)
    }

    /// The upper bounds of the buckets, and how many of the histogram's units make one of theirs.
    fn bounds(self) -> (&'static [f64], f64) {
        match self {
            Measure::CommitMessages => (&MESSAGES, 1.0),
            _ => (&SECONDS, 1e6),
        }
    }
}

/// A histogram as Prometheus has it: the sum, the count, and the values in each bucket, the last of which has no upper bound.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Buckets {
    pub(super) sum: f64,
    pub(super) count: u64,
    pub(super) counts: Vec<(f64, u64)>,
}

/// Sorts what was measured into buckets. A value lies in its bucket as exactly as the histogram knows it.
pub(super) fn buckets(histogram: &Histogram<u64>, bounds: &[f64], scale: f64) -> Buckets {
    let mut counts = Vec::with_capacity(bounds.len() + 1);
    let mut before = 0;
    for bound in bounds {
        let up_to = histogram.count_between(0, (bound * scale).round() as u64);
        counts.push((*bound, up_to.saturating_sub(before)));
        before = up_to.max(before);
    }
    let count = histogram.len();
    // How the encoder writes +Inf.
    counts.push((f64::MAX, count.saturating_sub(before)));
    let sum = if count == 0 {
        0.0
    } else {
        histogram.mean() * count as f64 / scale
    };
    Buckets { sum, count, counts }
}

pub(super) fn encode(
    to: &mut DescriptorEncoder<'_>,
    measure: Measure,
    histogram: &Histogram<u64>,
) -> Result<(), fmt::Error> {
    let (bounds, scale) = measure.bounds();
    let Buckets { sum, count, counts } = buckets(histogram, bounds, scale);
    let ((name, help), unit) = (measure.described(), measure.unit());
    let mut metric = to.encode_descriptor(name, help, unit.as_ref(), MetricType::Histogram)?;
    metric.encode_histogram::<NoLabelSet>(sum, count, &counts, None)
}
