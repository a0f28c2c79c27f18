//! `/metrics`.

use std::collections::BTreeMap;

use inbox_tests::{Broker, RawClient, Version};

use super::get;

/// Every sample by its name with its labels. Fails where the text is not OpenMetrics.
fn parsed(text: &str) -> BTreeMap<String, f64> {
    let (mut types, mut samples) = (BTreeMap::new(), BTreeMap::new());
    let mut lines = text.lines().peekable();
    let mut family = String::new();
    while let Some(line) = lines.next() {
        if line == "# EOF" {
            assert!(
                lines.peek().is_none() && text.ends_with("# EOF\n"),
                "something follows the end"
            );
            return samples;
        }
        if let Some(described) = line.strip_prefix("# ") {
            let (what, rest) = described.split_once(' ').unwrap();
            let (name, value) = rest.split_once(' ').unwrap();
            assert!(matches!(what, "HELP" | "TYPE" | "UNIT") && !value.is_empty(), "{line}");
            if what == "TYPE" {
                assert!(
                    types.insert(name.to_owned(), value.to_owned()).is_none(),
                    "{name} is there twice"
                );
                family = name.to_owned();
            }
            continue;
        }
        let (name, value) = line.rsplit_once(' ').unwrap();
        let bare = name.split('{').next().unwrap();
        assert!(
            bare.bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'),
            "{line}"
        );
        let suffix = bare
            .strip_prefix(&family)
            .unwrap_or_else(|| panic!("{line} is not of the family {family}"));
        let allowed: &[&str] = match types[&family].as_str() {
            "counter" => &["_total"],
            "gauge" => &[""],
            "histogram" => &["_bucket", "_sum", "_count"],
            other => panic!("{other}"),
        };
        assert!(allowed.contains(&suffix), "{line}");
        assert!(
            samples.insert(name.to_owned(), value.parse().unwrap()).is_none(),
            "{name} is there twice"
        );
    }
    panic!("there is no # EOF");
}

#[test]
fn every_counter_is_there_and_counts() {
    // Goal: the text is OpenMetrics; every counter of docs/protocol.md is in it under its name; traffic moves them; no label names a client.
    let broker = Broker::start();
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    (0..3).for_each(|n| alice.publish("bob", n.to_string(), 1));
    let told = get(&broker, "/metrics");
    assert!(
        told.head
            .contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"),
        "{}",
        told.head
    );
    let samples = parsed(&told.body);
    let page = include_str!("../../../../docs/protocol.md");
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let names = rows.flat_map(|row| row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2));
    let mut found = 0;
    for metric in names.filter_map(admin::metric_of) {
        // A cause is one that is known nowhere else.
        found += usize::from(samples.contains_key(&metric));
        assert!(
            samples.contains_key(&metric) || metric.contains('…'),
            "{metric} is not in {}",
            told.body
        );
    }
    assert!(found > 80, "{found}");
    assert_eq!(
        (samples["inboxd_messages_accepted_total"], samples["inboxd_connections"]),
        (3.0, 1.0)
    );
    assert!(samples["process_resident_memory_bytes"] > 1e6 && samples["inboxd_ready"] == 1.0);
    assert!(samples["inboxd_store_disk_size_bytes"] > samples["inboxd_store_disk_free_bytes"]);
    assert!(!told.body.contains("alice") && !told.body.contains("bob"));
}
