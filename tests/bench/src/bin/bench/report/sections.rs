//! The sections of the report.

use std::fmt::Write;

use super::Report;
use crate::chart::{self, Bar, Line};
use crate::growth::SERIES;
use crate::machine::date;
use crate::million;
use crate::results::{Part, Variant};
use crate::statistics::{count, number};
use crate::workloads::{Column, Workload};

/// When and where it was measured, with which programs.
pub(super) fn circumstances(part: &Part) -> String {
    let machine = &part.machine;
    let mut text = format!(
        "\n## Machine, date and versions\n\n\
         | | |\n|---|---|\n\
         | Began | {}, and took {} minutes; {} rounds |\n\
         | Processor | {}, {} of them |\n\
         | Memory | {} GiB |\n\
         | Kernel | Linux {} |\n\
         | File system of the data | {} |\n",
        date(part.began_unix_s),
        count((part.took_s as f64 / 60.0).ceil()),
        part.rounds,
        machine.processor,
        machine.processors,
        number(machine.memory_gib),
        machine.kernel,
        machine.file_system,
    );
    let mut seen: Vec<&str> = Vec::new();
    for variant in &part.variants {
        if !seen.contains(&variant.peer.as_str()) {
            seen.push(&variant.peer);
            let commit = if variant.peer == "inboxd" {
                format!(", commit {}", part.commit)
            } else {
                String::new()
            };
            add(
                &mut text,
                format_args!("| {} | {}{commit} |\n", variant.peer, variant.version),
            );
        }
    }
    if !part.missing.is_empty() {
        text.push_str("\nNot found on this machine, and so not in the tables:\n\n");
        for (name, get) in &part.missing {
            add(&mut text, format_args!("* {name}: {get}\n"));
        }
    }
    text
}

/// What each PUBACK promises.
pub(super) fn promises(part: &Part) -> String {
    let mut text = "\n## What a PUBACK promises\n\nAs the documentation or the source of each broker says, with the settings used here.\n\n\
                    | Broker | When a publisher has the PUBACK |\n|---|---|\n"
        .to_owned();
    for variant in &part.variants {
        add(&mut text, format_args!("| {} | {} |\n", variant.name(), variant.puback));
    }
    text
}

/// Commands and files, to the letter.
pub(super) fn configurations(part: &Part) -> String {
    let mut text = "\n## Configurations\n\nTo the letter, but for `{dir}`, an empty directory, `{port}`, `{port2}` and `{port3}`, free ports, \
                    and `{config}`, the first file.\n"
        .to_owned();
    for variant in &part.variants {
        add(
            &mut text,
            format_args!("\n**{}**: `{}`\n", variant.name(), variant.command),
        );
        for (name, content) in &variant.files {
            add(
                &mut text,
                format_args!("\n`{name}`:\n\n```\n{}\n```\n", content.trim_end()),
            );
        }
    }
    text
}

impl Report {
    /// Title, sentence, chart and table of a workload; nothing if it was not run.
    pub(super) fn workload(&mut self, part: &Part, workload: &Workload) {
        let variants: Vec<&Variant> = part
            .variants
            .iter()
            .filter(|it| part.of(workload.name, &it.name()).next().is_some())
            .collect();
        let Some((first, reference)) = workload.columns.first().zip(variants.first()) else {
            return;
        };
        self.add(&format!("\n### {}\n\n{}\n\n", workload.title, workload.what));
        let title = format!("{}: {}", workload.title, first.heading);
        self.chart(workload.name, &title, bars(part, workload, first, &variants, &title));
        let headings: Vec<&str> = workload.columns.iter().map(|it| it.heading).collect();
        self.add(&format!(
            "| | {} | {} relative to {} | remarks |\n|---|{}\n",
            headings.join(" | "),
            first.heading,
            reference.name(),
            "---|".repeat(headings.len() + 2)
        ));
        let base = part.summary(workload.name, &reference.name(), first.figure);
        for variant in variants {
            let name = variant.name();
            let cell = |column: &Column| {
                let summary = part.summary(workload.name, &name, column.figure);
                summary.map_or_else(|| "–".to_owned(), |it| it.times(column.factor).text())
            };
            let cells: Vec<String> = workload.columns.iter().map(cell).collect();
            let ratio = part
                .summary(workload.name, &name, first.figure)
                .zip(base)
                .map_or_else(|| "–".to_owned(), |(it, base)| number(it.median / base.median));
            let remarks = remarks(part, workload.name, &name);
            self.add(&format!("| {name} | {} | {ratio} | {remarks} |\n", cells.join(" | ")));
        }
    }

    /// A million inboxes.
    pub(super) fn million(&mut self, part: &Part) {
        let own: Vec<String> = part.variants.iter().map(Variant::name).collect();
        let own: Vec<&String> = own
            .iter()
            .filter(|name| part.of(million::ACCEPT, name).next().is_some())
            .collect();
        if own.is_empty() {
            return;
        }
        let biggest = own
            .iter()
            .flat_map(|name| part.curve(million::FILL, name, "stored_per_s", 1.0))
            .fold(0.0, |most: f64, (x, _)| most.max(x));
        self.add(&format!(
            "\n### {} messages for absent clients, ten for each\n\n\
             Stored in five steps, the first of which is one message for each inbox; then inboxd is ended in order and started again, and \
             then killed with -9 and started again. Ready is the time from starting the process to its ready line. Once, not in rounds.\n\n",
            number(biggest)
        ));
        let curves = |figure: &str, factor: f64| -> Vec<Line> {
            own.iter()
                .map(|name| Line {
                    name: (*name).clone(),
                    points: part.curve(million::FILL, name, figure, factor),
                })
                .collect()
        };
        for (name, unit, figure, factor) in [
            ("stored-rate", "accepted/s", "stored_per_s", 1.0),
            ("stored-memory", "MiB resident", "store_broker_rss_kib", 1.0 / 1024.0),
        ] {
            let title = format!("Stored messages: {unit}");
            let svg = chart::lines(
                &title,
                "stored messages at the end of the step",
                unit,
                &curves(figure, factor),
            );
            self.chart(name, &title, svg);
        }
        self.million_filled(part, &own);
        self.million_restarted(part, &own);
    }

    fn million_filled(&mut self, part: &Part, own: &[&String]) {
        self.add("| | messages stored | accepted/s | broker µs/message | MiB | remarks |\n|---|---|---|---|---|---|\n");
        for name in own {
            for measurement in part.of(million::FILL, name) {
                let cell = |figure: &str, factor: f64| cell(measurement.figure(figure).map(|it| it * factor));
                self.add(&format!(
                    "| {name} | {} | {} | {} | {} | {} |\n",
                    measurement.x.map(count).unwrap_or_default(),
                    cell("stored_per_s", 1.0),
                    cell("store_broker_cpu_us_per_message", 1.0),
                    cell("store_broker_rss_kib", 1.0 / 1024.0),
                    measurement.failure.clone().unwrap_or_default()
                ));
            }
        }
    }

    fn million_restarted(&mut self, part: &Part, own: &[&String]) {
        self.add("\n| | ready after an orderly end, s | MiB | ready after kill -9, s | MiB | remarks |\n|---|---|---|---|---|---|\n");
        for name in own {
            for measurement in part.of(million::RESTART, name) {
                let cell = |figure: &str, factor: f64| cell(measurement.figure(figure).map(|it| it * factor));
                self.add(&format!(
                    "| {name} | {} | {} | {} | {} | {} |\n",
                    cell("orderly_ready_s", 1.0),
                    cell("orderly_rss_kib", 1.0 / 1024.0),
                    cell("killed_ready_s", 1.0),
                    cell("killed_rss_kib", 1.0 / 1024.0),
                    measurement.failure.clone().unwrap_or_default()
                ));
            }
        }
    }

    /// How costs grow.
    pub(super) fn growth(&mut self, part: Option<&Part>) {
        self.add("\n## Growth\n\n");
        let Some((part, variant)) = part.and_then(|part| Some((part, part.reference()?.name()))) else {
            return self.add("Not measured with these results: `cargo xtask bench --growth` does it.\n");
        };
        self.add(&format!(
            "{variant}, alone: one quantity grows, and all others stay. Each point is one run. Began {}, on {} × {}, commit {}.\n",
            date(part.began_unix_s),
            part.machine.processors,
            part.machine.processor,
            part.commit
        ));
        for series in SERIES {
            if part.of(series.name, &variant).next().is_none() {
                continue;
            }
            self.add(&format!("\n### {}\n\n", series.title));
            for (at, column) in series.columns.iter().take(2).enumerate() {
                let title = format!("{}: {}", series.title, column.heading);
                let line = Line {
                    name: variant.clone(),
                    points: part.curve(series.name, &variant, column.figure, column.factor),
                };
                let svg = chart::lines(&title, series.quantity, column.heading, &[line]);
                self.chart(&format!("growth-{}-{}", series.name, at + 1), &title, svg);
            }
            let headings: Vec<&str> = series.columns.iter().map(|it| it.heading).collect();
            self.add(&format!(
                "| {} | {} | remarks |\n|---|{}\n",
                series.quantity,
                headings.join(" | "),
                "---|".repeat(headings.len() + 1)
            ));
            for measurement in part.of(series.name, &variant) {
                let cells = series.columns.iter();
                let cells = cells.map(|it| cell(measurement.figure(it.figure).map(|value| value * it.factor)));
                self.add(&format!(
                    "| {} | {} | {} |\n",
                    measurement.x.map(count).unwrap_or_default(),
                    cells.collect::<Vec<_>>().join(" | "),
                    measurement.failure.clone().unwrap_or_default()
                ));
            }
        }
    }
}

fn bars(part: &Part, workload: &Workload, column: &Column, variants: &[&Variant], title: &str) -> Option<String> {
    let bars: Vec<Bar> = variants
        .iter()
        .filter_map(|variant| {
            let value = part.summary(workload.name, &variant.name(), column.figure)?;
            Some(Bar {
                name: variant.name(),
                value: value.times(column.factor),
                is_own: variant.peer == "inboxd",
            })
        })
        .collect();
    chart::bars(title, column.heading, &bars)
}

fn cell(value: Option<f64>) -> String {
    value.filter(|it| it.is_finite()).map_or_else(|| "–".to_owned(), number)
}

/// What the figures do not say: failures, messages that went wrong, and fewer messages than others had.
fn remarks(part: &Part, workload: &str, variant: &str) -> String {
    let mut remarks: Vec<String> = Vec::new();
    let runs = || part.of(workload, variant);
    let failures: Vec<&String> = runs().filter_map(|it| it.failure.as_ref()).collect();
    if let Some(failure) = failures.first() {
        // The first sentence says what happened; the others say what a user of the load generator could do.
        let failure = failure.split(". ").next().unwrap_or_default();
        remarks.push(format!("{} of {} rounds: {failure}", failures.len(), runs().count()));
    }
    for (figure, what) in [
        ("lost", "acknowledged but not delivered"),
        ("not_acknowledged", "not acknowledged"),
        ("out_of_order", "out of order"),
        ("foreign", "not this run's"),
        ("duplicated", "duplicates"),
        ("stalled_clients", "clients that did not get everything"),
    ] {
        let messages: f64 = runs().filter_map(|it| it.figure(figure)).sum();
        if messages > 0.0 {
            remarks.push(format!("{} {what}", count(messages)));
        }
    }
    let messages = |variant: &str| {
        let stored = part.of(workload, variant).filter_map(|it| {
            let at = it.arguments.iter().position(|word| word == "--messages")?;
            it.arguments.get(at + 1)?.parse::<f64>().ok()
        });
        stored.fold(None, |least: Option<f64>, it| {
            Some(least.map_or(it, |least| least.min(it)))
        })
    };
    let most = part.reference().and_then(|it| messages(&it.name()));
    if let Some((own, most)) = messages(variant).zip(most)
        && own < most
    {
        remarks.push(format!("{} messages instead of {}", count(own), count(most)));
    }
    remarks.join("; ")
}

fn add(text: &mut String, more: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    text.write_fmt(more).unwrap_or_default();
}
