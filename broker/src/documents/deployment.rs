//! `deploy/`: metrics that the Grafana dashboard and the alert rules name, and alerts that the page for operators explains.

use std::collections::BTreeSet;

use admin::{Measure, metric_of};

use super::observing::published;
use super::page::{quoted, read, section, table};

/// What `/metrics` has beside the numbers of the broker.
const OTHERS: [&str; 15] = [
    "inboxd_build_info",
    "inboxd_ready",
    "inboxd_store_disk_free_bytes",
    "inboxd_store_disk_size_bytes",
    "inboxd_http_connections",
    "inboxd_http_connections_refused_total",
    "inboxd_http_api_denied_total",
    "inboxd_http_requests_total",
    "process_start_time_seconds",
    "process_resident_memory_bytes",
    "process_virtual_memory_bytes",
    "process_threads",
    "process_cpu_seconds_total",
    "process_open_fds",
    "process_max_fds",
];

/// Every name of a metric.
pub(super) fn known() -> BTreeSet<String> {
    let mut known: BTreeSet<String> = OTHERS.map(str::to_owned).into();
    for name in published() {
        let metric =
            metric_of(&name).unwrap_or_else(|| panic!("{name} has no name in broker/admin/src/prometheus/names.rs"));
        known.insert(metric.split('{').next().unwrap().to_owned());
    }
    for measure in Measure::ALL {
        let name = measure.name();
        known.extend(["bucket", "sum", "count"].map(|part| format!("{name}_{part}")));
    }
    known
}

/// Every word that begins like one of our metrics.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let ours = words.filter(|word| word.starts_with("inboxd_") || word.starts_with("process_"));
    ours.map(str::to_owned).collect()
}

#[test]
fn every_metric_that_is_named_exists() {
    // Goal: no panel, no alert and no row of the manual asks for a metric that /metrics does not have; every counter has a name there.
    let known = known();
    for path in ["deploy/grafana/inboxd.json", "deploy/prometheus/alerts.yml"] {
        let named = named(&read(path));
        assert!(named.len() > 10, "{path}: {named:?}");
        let missing: Vec<_> = named.difference(&known).collect();
        assert!(missing.is_empty(), "{path}: {missing:?}");
    }
    let page = read("docs/operations.md");
    let missing: Vec<_> = named(section(&page, "## Metrics"))
        .difference(&known)
        .cloned()
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_alert_is_explained() {
    // Goal: the manual says of each alert what it means and what to do, and of no other.
    let rules = read("deploy/prometheus/alerts.yml");
    let alerts: BTreeSet<&str> = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .collect();
    let page = read("docs/operations.md");
    let rows = table(section(&page, "## Metrics"), "| Alert | What it means | What to do |");
    let explained: BTreeSet<&str> = rows.iter().flat_map(|row| quoted(&row[0])).collect();
    assert_eq!(alerts, explained);
}

#[test]
fn the_grafana_dashboard_is_whole() {
    // Goal: the file is JSON, its panels do not overlap, and each asks for something.
    let dashboard: serde_json::Value = serde_json::from_str(&read("deploy/grafana/inboxd.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut taken = BTreeSet::new();
    for panel in panels {
        assert!(!panel["targets"].as_array().unwrap().is_empty(), "{}", panel["title"]);
        let at = |name: &str| panel["gridPos"][name].as_u64().unwrap();
        assert!(at("x") + at("w") <= 24, "{}", panel["title"]);
        for x in at("x")..at("x") + at("w") {
            for y in at("y")..at("y") + at("h") {
                assert!(taken.insert((x, y)), "{} lies over another one", panel["title"]);
            }
        }
    }
    assert!(panels.len() > 15);
}
