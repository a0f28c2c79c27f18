//! Metrics for Prometheus: the broker's counters under names by its conventions, as OpenMetrics text.
//!
//! Nothing is counted here, and nothing is kept: each scrape reads the counters that are there. No label names a client, so that the number
//! of series does not grow with the number of clients.

mod histogram;
mod names;
mod process;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use hdrhistogram::Histogram;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

pub use histogram::Measure;
pub(crate) use names::INBOX_REFUSALS;
pub use names::metric_of;
use names::{Kind, Known, NUMBERS};

/// What is measured, and read at each scrape.
pub trait Measured: Send + Sync + 'static {
    /// Every number of `$SYS/inboxd/metrics` by its name there.
    fn numbers(&self) -> Vec<(&'static str, u64)>;

    /// What is measured since the start, never reset: times in microseconds, sizes in messages.
    fn histograms(&self) -> Vec<(Measure, Histogram<u64>)> {
        Vec::new()
    }
}

/// What is known of the broker beside its figures.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Surroundings {
    /// The version of this program.
    pub(crate) version: &'static str,
    /// Whether the broker takes new messages.
    pub(crate) is_ready: bool,
    /// Seconds since 1970 at which the process started.
    pub(crate) started_at: f64,
    /// Free and all bytes of the file system that has the store.
    pub(crate) disk: Option<(u64, u64)>,
    /// HTTP connections that are open.
    pub(crate) http_connections: u64,
    /// HTTP connections that were refused because there were too many.
    pub(crate) http_connections_refused: u64,
    /// HTTP requests by the first digit of their answer's status.
    pub(crate) http_requests: [u64; 5],
    /// Requests to the API that came without a right.
    pub(crate) api_denied: u64,
}

/// Everything as OpenMetrics text.
pub(crate) fn exposition(surroundings: Surroundings, figures: Option<Arc<dyn Measured>>) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Scrape { surroundings, figures }));
    let mut text = String::with_capacity(16 * 1024);
    // Writing to a string does not fail.
    let _ = encode(&mut text, &registry);
    text
}

struct Scrape {
    surroundings: Surroundings,
    figures: Option<Arc<dyn Measured>>,
}

impl fmt::Debug for Scrape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scrape").finish_non_exhaustive()
    }
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let to = &mut encoder;
        let of = &self.surroundings;
        let info = to.encode_descriptor(
            "inboxd_build_info",
            "The version of the broker; always 1",
            None,
            MetricType::Gauge,
        )?;
        one_of(info, "version", of.version, 1)?;
        gauge(
            to,
            "inboxd_ready",
            "1 while the broker takes new messages, as /readyz says",
            None,
            of.is_ready.into(),
        )?;
        process::encode(to, of.started_at)?;
        if let Some((free, size)) = of.disk {
            let (bytes, of_disk) = (Some(&Unit::Bytes), "of the file system that has the store");
            gauge(
                to,
                "inboxd_store_disk_free",
                &format!("Free bytes {of_disk}"),
                bytes,
                free,
            )?;
            gauge(
                to,
                "inboxd_store_disk_size",
                &format!("All bytes {of_disk}"),
                bytes,
                size,
            )?;
        }
        gauge(
            to,
            "inboxd_http_connections",
            "Open connections that speak HTTP",
            None,
            of.http_connections,
        )?;
        let refused = of.http_connections_refused;
        counter(
            to,
            "inboxd_http_connections_refused",
            "HTTP connections refused: too many (http.connections_max)",
            refused,
        )?;
        counter(
            to,
            "inboxd_http_api_denied",
            "Requests to the API without the right to them",
            of.api_denied,
        )?;
        let mut requests = to.encode_descriptor(
            "inboxd_http_requests",
            "HTTP requests by their answer",
            None,
            MetricType::Counter,
        )?;
        for (class, number) in ["1xx", "2xx", "3xx", "4xx", "5xx"].into_iter().zip(of.http_requests) {
            let labels = [("code", class)];
            ConstCounter::new(number).encode(requests.encode_family(&labels)?)?;
        }
        let Some(figures) = &self.figures else { return Ok(()) };
        self::numbers(to, &figures.numbers())?;
        for (measure, histogram) in figures.histograms() {
            histogram::encode(to, measure, &histogram)?;
        }
        Ok(())
    }
}

/// The broker's numbers: one metric each, and the refusals as one metric of causes.
fn numbers(to: &mut DescriptorEncoder<'_>, numbers: &[(&'static str, u64)]) -> Result<(), fmt::Error> {
    for (name, number) in numbers {
        match NUMBERS.iter().find(|known| known.name == *name) {
            Some(Known {
                kind: Kind::Counter,
                metric,
                help,
                ..
            }) => counter(to, metric, help, *number)?,
            Some(Known {
                kind: Kind::Gauge,
                metric,
                help,
                ..
            }) => gauge(to, metric, help, None, *number)?,
            Some(Known {
                kind: Kind::Bytes,
                metric,
                help,
                ..
            }) => gauge(to, metric, help, Some(&Unit::Bytes), *number)?,
            None if name.starts_with("refused_") => {}
            // It is better told under a makeshift name than not at all.
            None => gauge(
                to,
                &format!("inboxd_{name}"),
                "As in $SYS/inboxd/metrics",
                None,
                *number,
            )?,
        }
    }
    let refused = || {
        numbers
            .iter()
            .filter_map(|(name, number)| Some((name.strip_prefix("refused_")?, *number)))
    };
    let of_inboxes = |cause: &str| INBOX_REFUSALS.contains(&cause);
    family(
        to,
        "inboxd_refusals",
        "What was refused, by cause (docs/protocol.md)",
        refused().filter(|(cause, _)| !of_inboxes(cause)),
    )?;
    let help = "Messages for inboxes that were refused, by cause";
    family(
        to,
        "inboxd_inbox_refusals",
        help,
        refused().filter(|(cause, _)| of_inboxes(cause)),
    )
}

fn family<'n>(
    to: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    by_cause: impl Iterator<Item = (&'n str, u64)>,
) -> Result<(), fmt::Error> {
    let mut metric = to.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (cause, number) in by_cause {
        let labels = [("cause", cause)];
        ConstCounter::new(number).encode(metric.encode_family(&labels)?)?;
    }
    Ok(())
}

fn one_of(mut metric: MetricEncoder<'_>, label: &str, value: &str, number: i64) -> Result<(), fmt::Error> {
    let labels = [(label, value)];
    ConstGauge::new(number).encode(metric.encode_family(&labels)?)
}

fn gauge(
    to: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    unit: Option<&Unit>,
    value: u64,
) -> Result<(), fmt::Error> {
    let value = i64::try_from(value).unwrap_or(i64::MAX);
    ConstGauge::new(value).encode(to.encode_descriptor(name, help, unit, MetricType::Gauge)?)
}

fn counter(to: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> Result<(), fmt::Error> {
    ConstCounter::new(value).encode(to.encode_descriptor(name, help, None, MetricType::Counter)?)
}
