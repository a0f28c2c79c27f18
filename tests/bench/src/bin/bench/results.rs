//! What was measured, as it is kept in the target directory, so that a report can be written again without measuring.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::machine::Machine;
use super::statistics::Summary;

/// Everything that was measured last.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Results {
    /// inboxd against others.
    pub(crate) comparison: Option<Part>,
    /// inboxd alone, as one quantity grows.
    pub(crate) growth: Option<Part>,
    /// Sections that are measured alone, by what measures them ([`super::suites::Suite::flag`]).
    #[serde(default)]
    pub(crate) suites: BTreeMap<String, Part>,
}

/// One run of the benchmark. Figures are compared within a part only.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Part {
    /// When it began, in seconds since 1970.
    pub(crate) began_unix_s: u64,
    /// How long it took.
    pub(crate) took_s: u64,
    pub(crate) rounds: u32,
    pub(crate) machine: Machine,
    /// Of inboxd, as git describes it.
    pub(crate) commit: String,
    pub(crate) variants: Vec<Variant>,
    /// Brokers that were not found, and how to get them.
    pub(crate) missing: Vec<(String, String)>,
    pub(crate) measurements: Vec<Measurement>,
}

/// A broker with one of its settings.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Variant {
    /// The broker.
    pub(crate) peer: String,
    /// Which of its settings, in a word or two.
    pub(crate) setting: String,
    pub(crate) version: String,
    /// With `{port}`, `{dir}` and `{config}` where those are filled in.
    pub(crate) command: String,
    /// Its configuration files, by name, with the same gaps.
    pub(crate) files: Vec<(String, String)>,
    /// What its PUBACK promises with this setting.
    pub(crate) puback: String,
    /// Whether it keeps messages only for sessions (clean session = 0), so that readers must use them.
    pub(crate) needs_sessions: bool,
    /// Whether this setting is for speed, and not for safety.
    pub(crate) is_fastest: bool,
}

/// One run of the load generator, or one start of a broker.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Measurement {
    pub(crate) workload: String,
    /// [`Variant::name`].
    pub(crate) variant: String,
    /// From 1.
    pub(crate) round: u32,
    /// The quantity that grows, where there is one.
    pub(crate) x: Option<f64>,
    pub(crate) at_unix_s: u64,
    /// Of the machine, before it began.
    pub(crate) load_average: f64,
    /// Of the load generator.
    pub(crate) arguments: Vec<String>,
    pub(crate) figures: BTreeMap<String, Value>,
    /// No message was lost, out of order, foreign or not delivered.
    pub(crate) is_clean: bool,
    /// Why there are no figures.
    pub(crate) failure: Option<String>,
}

impl Variant {
    /// How it is called in tables and results.
    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.peer, self.setting).trim().to_owned()
    }
}

impl Measurement {
    /// A figure, or with a point one of its quantiles or parts: `puback_us.p50`.
    pub(crate) fn figure(&self, path: &str) -> Option<f64> {
        let (name, part) = path.split_once('.').unwrap_or((path, ""));
        let figure = self.figures.get(name)?;
        if part.is_empty() {
            figure.as_f64()
        } else {
            figure.get(part)?.as_f64()
        }
    }
}

impl Part {
    /// The measurements of a workload and a variant.
    pub(crate) fn of<'a>(&'a self, workload: &'a str, variant: &'a str) -> impl Iterator<Item = &'a Measurement> {
        self.measurements
            .iter()
            .filter(move |it| it.workload == workload && it.variant == variant)
    }

    /// What all rounds say about a figure.
    pub(crate) fn summary(&self, workload: &str, variant: &str, path: &str) -> Option<Summary> {
        Summary::of(self.of(workload, variant).filter_map(|it| it.figure(path)))
    }

    /// A figure of a workload over the quantity that grows.
    pub(crate) fn curve(&self, workload: &str, variant: &str, path: &str, factor: f64) -> Vec<(f64, f64)> {
        self.of(workload, variant)
            .filter_map(|it| Some((it.x?, it.figure(path)? * factor)))
            .collect()
    }

    /// inboxd as it is by default: the first variant.
    pub(crate) fn reference(&self) -> Option<&Variant> {
        self.variants.first()
    }
}

impl Results {
    /// What is kept in `file`; nothing if there is no such file.
    pub(crate) fn load(file: &Path) -> anyhow::Result<Self> {
        if !file.exists() {
            return Ok(Results::default());
        }
        let text = fs::read_to_string(file)?;
        serde_json::from_str(&text).with_context(|| {
            format!(
                "{} is not what this version of the benchmark writes: remove it, and measure again",
                file.display()
            )
        })
    }

    /// Keeps them in `file`.
    pub(crate) fn save(&self, file: &Path) -> anyhow::Result<()> {
        fs::write(file, serde_json::to_string_pretty(self)? + "\n")
            .with_context(|| format!("{} could not be written", file.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: figures are found by their name and part, and what is not there is not taken for a number.
    #[test]
    fn figures_are_found_by_path() {
        let measurement = Measurement {
            figures: BTreeMap::from([
                ("delivered_per_s".to_owned(), 5.0.into()),
                ("puback_us".to_owned(), serde_json::json!({"p99.9": 7.5})),
            ]),
            ..Default::default()
        };
        assert_eq!(measurement.figure("delivered_per_s"), Some(5.0));
        assert_eq!(measurement.figure("puback_us.p99.9"), Some(7.5));
        assert_eq!(measurement.figure("puback_us"), None);
        assert_eq!(measurement.figure("puback_us.p50"), None);
        assert_eq!(measurement.figure("nothing"), None);
    }
}
