//! What Prometheus wants to know of every process.

use std::fmt;

use procfs::process::Process;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

use super::gauge;

pub(super) fn encode(to: &mut DescriptorEncoder<'_>, started_at: f64) -> Result<(), fmt::Error> {
    let help = "When the process started, in seconds since 1970";
    let started = to.encode_descriptor("process_start_time", help, Some(&Unit::Seconds), MetricType::Gauge)?;
    ConstGauge::new(started_at).encode(started)?;
    // Without /proc the rest is not told.
    let Ok(process) = Process::myself() else { return Ok(()) };
    if let Ok(stat) = process.stat() {
        let bytes = Some(&Unit::Bytes);
        let resident = stat.rss.saturating_mul(procfs::page_size());
        gauge(
            to,
            "process_resident_memory",
            "Memory of the process that is in RAM",
            bytes,
            resident,
        )?;
        gauge(
            to,
            "process_virtual_memory",
            "Address space of the process",
            bytes,
            stat.vsize,
        )?;
        gauge(
            to,
            "process_threads",
            "Threads of the process",
            None,
            stat.num_threads.unsigned_abs(),
        )?;
        let seconds = (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64;
        let cpu = to.encode_descriptor(
            "process_cpu",
            "Time that processors worked for the process",
            Some(&Unit::Seconds),
            MetricType::Counter,
        )?;
        ConstCounter::new(seconds).encode(cpu)?;
    }
    if let Ok(open) = process.fd_count() {
        gauge(to, "process_open_fds", "Open file descriptors", None, open as u64)?;
    }
    let most = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    gauge(
        to,
        "process_max_fds",
        "File descriptors that the process may have",
        None,
        most.unwrap_or(u64::MAX),
    )
}
