use hdrhistogram::Histogram;

use super::histogram::buckets;
use super::*;

struct Fake;

impl Measured for Fake {
    fn numbers(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("accepted", 7),
            ("memory_used", 4096),
            ("connections", 3),
            ("refused_publish_full", 5),
            ("refused_inbox_full", 6),
            ("something_new", 1),
        ]
    }

    fn histograms(&self) -> Vec<(Measure, Histogram<u64>)> {
        let mut histogram = Histogram::new(3).unwrap();
        histogram.record(700).unwrap();
        Measure::ALL.map(|measure| (measure, histogram.clone())).into()
    }
}

fn scraped(figures: Option<Arc<dyn Measured>>) -> String {
    let surroundings = Surroundings {
        version: "1.2.3",
        is_ready: true,
        started_at: 1.5,
        disk: Some((10, 20)),
        http_connections: 1,
        http_connections_refused: 2,
        http_requests: [0, 1, 2, 3, 4],
        api_denied: 0,
    };
    exposition(surroundings, figures)
}

#[test]
fn numbers_have_the_names_of_their_kind() {
    // Goal: counters end with _total, bytes with _bytes, refusals are one metric each with the cause as its label, and what has no name yet is
    // told nevertheless.
    let text = scraped(Some(Arc::new(Fake)));
    for line in [
        "inboxd_messages_accepted_total 7",
        "inboxd_memory_used_bytes 4096",
        "inboxd_connections 3",
        "inboxd_refusals_total{cause=\"publish_full\"} 5",
        "inboxd_inbox_refusals_total{cause=\"inbox_full\"} 6",
        "inboxd_something_new 1",
        "inboxd_build_info{version=\"1.2.3\"} 1",
        "inboxd_ready 1",
        "inboxd_store_disk_free_bytes 10",
        "inboxd_http_requests_total{code=\"4xx\"} 3",
        "process_start_time_seconds 1.5",
        "inboxd_puback_latency_seconds_bucket{le=\"0.001\"} 1",
        "inboxd_puback_latency_seconds_bucket{le=\"0.0005\"} 0",
        "inboxd_commit_messages_bucket{le=\"+Inf\"} 1",
        "# TYPE inboxd_commit_duration_seconds histogram",
        "# TYPE inboxd_fsync_duration_seconds histogram",
        "# UNIT inboxd_memory_used_bytes bytes",
    ] {
        assert!(text.lines().any(|known| known == line), "{line} is not in\n{text}");
    }
    for name in [
        "accepted",
        "memory_used",
        "connections",
        "refused_publish_full",
        "refused_inbox_full",
    ] {
        let metric = metric_of(name).unwrap();
        assert!(
            text.lines().any(|line| line.starts_with(&format!("{metric} "))),
            "{metric}"
        );
    }
    assert_eq!(metric_of("something_new"), None);
    assert!(text.ends_with("# EOF\n"));
    let before = scraped(None);
    assert!(
        before.contains("process_open_fds") && !before.contains("inboxd_connections "),
        "{before}"
    );
}

#[test]
fn no_metric_is_told_twice() {
    // Goal: OpenMetrics allows each family once.
    let text = scraped(Some(Arc::new(Fake)));
    let mut types: Vec<&str> = text.lines().filter(|line| line.starts_with("# TYPE ")).collect();
    let all = types.len();
    types.sort_unstable();
    types.dedup();
    assert_eq!(types.len(), all);
    let mut names: Vec<&str> = NUMBERS.iter().flat_map(|known| [known.name, known.metric]).collect();
    names.sort_unstable();
    assert!(
        names
            .windows(2)
            .all(|pair| pair[0] != pair[1] || !pair[0].starts_with("inboxd"))
    );
}

#[test]
fn buckets_add_up_to_all_that_was_measured() {
    // Goal: each value is in one bucket, at the edge in the lower one, beyond the last bound in +Inf; the sum is that of the values.
    let mut histogram = Histogram::<u64>::new(3).unwrap();
    for value in [1, 100, 101, 1000, 5_000_000] {
        histogram.record(value).unwrap();
    }
    let of = buckets(&histogram, &[0.0001, 0.001], 1e6);
    let counts: Vec<u64> = of.counts.iter().map(|(_, count)| *count).collect();
    assert_eq!((counts, of.count), (vec![2, 2, 1], 5));
    assert!((of.sum - 5.001_202).abs() < 0.01, "{}", of.sum);
    let empty = buckets(&Histogram::new(3).unwrap(), &[1.0], 1.0);
    assert_eq!((empty.sum, empty.count), (0.0, 0));
}
