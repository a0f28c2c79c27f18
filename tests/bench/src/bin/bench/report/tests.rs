use super::*;

/// Three brokers, two rounds, and one of everything else, as it would be on disk.
const CANNED: &str = r#"{
  "comparison": {
    "began_unix_s": 951868799, "took_s": 61, "rounds": 2, "commit": "abc1234",
    "machine": {"processor": "Test 1", "processors": 2, "memory_gib": 8.0, "kernel": "6.1", "file_system": "ext4"},
    "missing": [["nats", "`get nats`"]],
    "variants": [
      {"peer": "inboxd", "setting": "sled", "version": "inboxd 0.1.0", "command": "inboxd --config {config}",
       "files": [["inboxd.toml", "[store]\nengine = \"sled\"\n"]], "puback": "On disk.", "needs_sessions": false, "is_fastest": false},
      {"peer": "mosquitto", "setting": "durable", "version": "mosquitto 2", "command": "mosquitto -c {config}",
       "files": [["mosquitto.conf", "listener {port}\n"]], "puback": "In memory.", "needs_sessions": true, "is_fastest": false},
      {"peer": "broken", "setting": "", "version": "0", "command": "broken {port}",
       "files": [], "puback": "None.", "needs_sessions": true, "is_fastest": false}
    ],
    "measurements": [
      {"workload": "p2p", "variant": "inboxd sled", "round": 1, "x": null, "at_unix_s": 1, "load_average": 0.1, "arguments": [],
       "figures": {"delivered_per_s": 400000.0, "broker_cpu_us_per_message": 2.0, "lost": 0,
         "broker_lone_threads_us_per_message": {"commit": 0.5}}, "is_clean": true, "failure": null},
      {"workload": "p2p", "variant": "inboxd sled", "round": 2, "x": null, "at_unix_s": 2, "load_average": 0.1, "arguments": [],
       "figures": {"delivered_per_s": 420000.0, "broker_cpu_us_per_message": 2.0, "lost": 0}, "is_clean": true, "failure": null},
      {"workload": "p2p", "variant": "mosquitto durable", "round": 1, "x": null, "at_unix_s": 3, "load_average": 0.1, "arguments": [],
       "figures": {"delivered_per_s": 41000.0, "lost": 7}, "is_clean": false, "failure": null},
      {"workload": "p2p", "variant": "broken", "round": 1, "x": null, "at_unix_s": 4, "load_average": 0.1, "arguments": [],
       "figures": {}, "is_clean": false, "failure": "it ended. Look at its log"},
      {"workload": "idle", "variant": "inboxd sled", "round": 1, "x": null, "at_unix_s": 5, "load_average": 0.1, "arguments": [],
       "figures": {"connections_per_s": 15000.0, "broker_rss_kib_per_connection": 6.5, "broker_rss_before_kib": 10240,
         "connect_broker_cpu_us_per_connection": 32.0}, "is_clean": true, "failure": null},
      {"workload": "million-fill", "variant": "inboxd sled", "round": 1, "x": 1000000.0, "at_unix_s": 6, "load_average": 0.1,
       "arguments": [], "figures": {"stored_per_s": 70000.0, "store_broker_rss_kib": 204800}, "is_clean": true, "failure": null},
      {"workload": "million", "variant": "inboxd sled", "round": 1, "x": null, "at_unix_s": 6, "load_average": 0.1,
       "arguments": [], "figures": {"stored_per_s": 70000.0}, "is_clean": true, "failure": null}
    ]
  },
  "growth": null
}"#;

fn results() -> Results {
    serde_json::from_str(CANNED).unwrap()
}

/// Goal: medians, ranges, ratios, failures and losses of the rounds are in the tables, and nothing else is.
#[test]
fn tables_show_what_was_measured() {
    let page = write(&results()).unwrap().page;
    for line in [
        "| inboxd sled | 410,000 (400,000–420,000) | 2.00 | – | – | – | – | 1.00 |  |",
        "| mosquitto durable | 41,000 | – | – | – | – | – | 0.10 | 7 acknowledged but not delivered |",
        "| broken | – | – | – | – | – | – | – | 1 of 1 rounds: it ended |",
        "| pairs: delivered/s | sled | ≥ 400,000 | 410,000 | met |",
        "| pairs: delivered/s, against mosquitto | sled | ≥ 5× | 10.0× | met |",
        "| idle: KiB/connection | sled | ≤ 6 | 6.50 | **not met** |",
        "| inboxd sled | 1,000,000 | 70,000 | – | 200 |  |",
        "| Began | 2000-02-29 23:59 UTC, and took 2 minutes; 2 rounds |",
        "* nats: `get nats`",
        "| mosquitto durable | In memory. |",
    ] {
        assert!(page.lines().any(|it| it == line), "{line}\n{page}");
    }
    assert!(
        page.contains("listener {port}\n```"),
        "configurations are shown to the letter"
    );
    assert!(
        !page.contains("Everybody comes back"),
        "a workload that was not run is not shown"
    );
    assert!(page.contains("cargo xtask bench --growth` does it"));
}

/// Goal: the model is arithmetic on the medians: 32 cores at 2 µs, a lone thread at 0.5 µs, 6.5 KiB for each connection.
#[test]
fn the_model_follows_from_the_figures() {
    let page = write(&results()).unwrap().page;
    assert!(
        page.contains(
            "| readers are there | 2.00 | 16.0 million/s | `commit` 0.50 µs: 2.00 million/s | 2.00 million/s |"
        ),
        "{page}"
    );
    assert!(page.contains("10.0 MiB at the beginning and 6.50 KiB for each, 6.21 GiB in all"));
    assert!(page.contains("takes 32.0 s of processor time, and so 1.00 s on 32 cores"));
}

/// Goal: every chart on the page is a file, and every file is on the page; saving removes charts of earlier pages only.
#[test]
fn charts_and_page_belong_together() {
    let report = write(&results()).unwrap();
    assert!(!report.charts.is_empty());
    for (name, svg) in &report.charts {
        assert!(
            report.page.contains(&format!("(benchmarks/{name})")) && svg.ends_with("</svg>\n"),
            "{name}"
        );
    }
    assert_eq!(report.page.matches("](benchmarks/").count(), report.charts.len());
    let docs = std::env::temp_dir().join(format!("inboxd-report-{}", std::process::id()));
    fs::create_dir_all(docs.join("benchmarks")).unwrap();
    fs::write(docs.join("benchmarks/old.svg"), "old").unwrap();
    fs::write(docs.join("benchmarks/kept.txt"), "kept").unwrap();
    report.save(&docs).unwrap();
    assert_eq!(fs::read_to_string(docs.join("benchmarks.md")).unwrap(), report.page);
    assert!(!docs.join("benchmarks/old.svg").exists() && docs.join("benchmarks/kept.txt").exists());
    assert!(docs.join("benchmarks/p2p.svg").exists());
    fs::remove_dir_all(docs).unwrap();
}

/// Goal: without results there is no page.
#[test]
fn nothing_is_not_reported() {
    assert!(
        write(&Results::default())
            .unwrap_err()
            .to_string()
            .contains("cargo xtask bench")
    );
}
