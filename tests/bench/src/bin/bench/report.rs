//! The report: docs/benchmarks.md and its charts, from results and nothing else.
//!
//! Sentences about results are made from the numbers, or say nothing about them, so that measuring again cannot make them untrue.

mod sections;
mod ways;

use std::fs;
use std::path::Path;

use anyhow::Context;

use super::results::{Part, Results};
use super::suites::{SUITES, Suite};
use super::targets;
use super::workloads::WORKLOADS;

/// A page and its charts.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) page: String,
    /// File names with their content.
    pub(crate) charts: Vec<(String, String)>,
}

const INTRODUCTION: &str = "\
# Benchmarks

`cargo xtask bench` measured what is on this page, and wrote it. Do not edit it: run it again.

Figures are the machine's as much as the brokers'. Those of one table come from one run, in which the brokers took turns; figures of
different runs must not be compared. Everything is on one machine: broker and load generator share its processors and talk over
loopback, and the broker's data is on the machine's disk. Each run of a workload has a freshly started broker with an empty directory.

The load generator (`cargo xtask load --help`) speaks MQTT 3.1.1 with QoS 1, and every connection has its own client ID. It keeps an
account of every message; where one was lost, out of order or not delivered, the table says so. Processor time and memory are those of
the broker's process, from `/proc`. All brokers may have 100 messages in flight to a reader, where they have such a setting.

Promises differ, and so do prices: look at [what a PUBACK promises](#what-a-puback-promises) before comparing. Peers are shown with
their most durable setting that was practical, where readers use sessions that are kept (clean session = 0) because only those are
written to disk, and with their fastest setting. inboxd has one setting, which is durable, per engine of its store.
";

const AGAIN: &str = "\
## Measuring again

```
cargo xtask bench                    # the comparison, and this page again
cargo xtask bench --growth           # the growth of inboxd's costs, and this page again
cargo xtask bench --ways             # TLS, WebSocket and users, and their section of this page again
cargo xtask bench --receipts         # ids and receipts, and their section of this page again
cargo xtask bench --quick            # a short try; this page stays
cargo xtask bench --report           # this page again, from what was measured last
cargo xtask bench --peers mosquitto  # with these peers only
cargo xtask bench --peer 'other=/opt/other --listen 127.0.0.1:{port} --data {dir}'
```

Leave the machine alone meanwhile. The load average before each run, and every figure, is in `bench/results.json` in Cargo's target
directory. `--peer mosquitto='/opt/mosquitto -c {config}'` starts another build of a known broker with the configuration shown here.

Not on this page: what sessions cost whose clients are away (`cargo run --release -p inbox-bench --bin absent`); their figures are in
[operations.md](operations.md#sessions-whose-clients-are-away).
";

/// The whole page.
pub(crate) fn write(results: &Results) -> anyhow::Result<Report> {
    let part = results
        .comparison
        .as_ref()
        .context("there are no results to report: run `cargo xtask bench` first")?;
    let mut report = Report::default();
    report.add(INTRODUCTION);
    report.add(&sections::circumstances(part));
    report.targets(part);
    report.add("\n## The comparison\n");
    for workload in WORKLOADS {
        report.workload(part, workload);
    }
    report.million(part);
    report.growth(results.growth.as_ref());
    if let Some(model) = super::model::section(part) {
        report.add("\n## What the model says for 32 cores and 1,000,000 connections\n\n");
        report.add(&model);
    }
    report.add(&sections::promises(part));
    report.add(&sections::configurations(part));
    report.add("\n");
    report.add(AGAIN);
    for suite in SUITES {
        if let Some(part) = results.suites.get(suite.flag) {
            report.page = ways::put_into(&report.page, suite, &ways::section(suite, part));
        }
    }
    Ok(report)
}

/// The tables alone, for the terminal; with the targets if the workloads had their full size.
pub(crate) fn tables(part: &Part, has_targets: bool) -> String {
    let mut report = Report::default();
    if has_targets {
        report.targets(part);
    }
    for workload in WORKLOADS {
        report.workload(part, workload);
    }
    report.million(part);
    report.without_charts()
}

/// A section that is measured alone, for the terminal.
pub(crate) fn suite_tables(suite: &Suite, part: &Part) -> String {
    ways::section(suite, part)
}

/// Writes that section into the page that is there.
pub(crate) fn save_suite(suite: &Suite, part: Option<&Part>, docs: &Path) -> anyhow::Result<()> {
    let part = part.context("it was not measured")?;
    let file = docs.join("benchmarks.md");
    let page = fs::read_to_string(&file)?;
    fs::write(&file, ways::put_into(&page, suite, &ways::section(suite, part)))?;
    Ok(())
}

/// The tables of growth, for the terminal.
pub(crate) fn growth_tables(part: &Part) -> String {
    let mut report = Report::default();
    report.growth(Some(part));
    report.without_charts()
}

impl Report {
    /// Writes the page and its charts into `docs`, and removes charts of earlier pages.
    pub(crate) fn save(&self, docs: &Path) -> anyhow::Result<()> {
        let charts = docs.join("benchmarks");
        fs::create_dir_all(&charts)?;
        for entry in fs::read_dir(&charts)? {
            let file = entry?.path();
            if file.extension().is_some_and(|it| it == "svg") {
                fs::remove_file(file)?;
            }
        }
        for (name, svg) in &self.charts {
            fs::write(charts.join(name), svg)?;
        }
        fs::write(docs.join("benchmarks.md"), &self.page)?;
        Ok(())
    }

    fn without_charts(&self) -> String {
        let parts = self.page.split("\n\n").filter(|part| !part.starts_with("!["));
        parts.collect::<Vec<_>>().join("\n\n")
    }

    fn add(&mut self, text: &str) {
        self.page.push_str(text);
    }

    /// Adds a chart, if there is one.
    fn chart(&mut self, name: &str, title: &str, svg: Option<String>) {
        if let Some(svg) = svg {
            self.add(&format!("![{title}](benchmarks/{name}.svg)\n\n"));
            self.charts.push((format!("{name}.svg"), svg));
        }
    }

    fn targets(&mut self, part: &Part) {
        let rows = targets::rows(part);
        if rows.is_empty() {
            return;
        }
        self.add(
            "\n## Targets\n\nThey are for two processors, shared with the load generator, and messages of 256 bytes. Figures are medians.\n\n\
             | | inboxd | target | measured | |\n|---|---|---|---|---|\n",
        );
        for row in rows {
            let verdict = if row.is_met { "met" } else { "**not met**" };
            let engine = row.variant.trim_start_matches("inboxd ");
            self.add(&format!(
                "| {} | {engine} | {} | {} | {verdict} |\n",
                row.text, row.bound, row.measured
            ));
        }
    }
}

#[cfg(test)]
mod tests;
