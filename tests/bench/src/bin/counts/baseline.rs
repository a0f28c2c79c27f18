//! The accepted counts, and how others compare with them.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

const INTRODUCTION: &str = "\
# Instructions per message on the hot paths. `cargo xtask counts` compares with these, and with --accept writes them.
";

/// Instructions per message, by benchmark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Baseline {
    /// What made the program, and what it ran on.
    #[serde(rename = "counted-with")]
    pub(super) environment: String,
    #[serde(flatten)]
    counts: BTreeMap<String, u64>,
}

impl Baseline {
    pub(super) fn new(environment: String) -> Self {
        Baseline {
            environment,
            counts: BTreeMap::new(),
        }
    }

    pub(super) fn set(&mut self, name: &str, count: u64) {
        self.counts.insert(name.to_owned(), count);
    }

    /// Reads what [`Baseline::to_text`] wrote.
    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        Ok(toml::from_str(text)?)
    }

    pub(super) fn to_text(&self) -> anyhow::Result<String> {
        Ok(format!("{INTRODUCTION}{}", toml::to_string(self)?))
    }

    pub(super) fn print(&self) {
        for (name, count) in &self.counts {
            eprintln!("    {name}: {count} instructions per message");
        }
    }
}

/// How one count compares.
pub(super) struct Verdict<'a> {
    name: &'a str,
    tolerance_percent: u64,
    now: u64,
    accepted: Option<u64>,
}

impl<'a> Verdict<'a> {
    /// Of the benchmark `name`, which was counted.
    pub(super) fn of(name: &'a str, tolerance_percent: u64, now: &Baseline, accepted: &Baseline) -> Self {
        Verdict {
            name,
            tolerance_percent,
            now: now.counts.get(name).copied().unwrap_or_default(),
            accepted: accepted.counts.get(name).copied(),
        }
    }

    /// Whether the count is the accepted one, as near as is asked for.
    pub(super) fn is_within(&self) -> bool {
        self.accepted
            .is_some_and(|accepted| 100 * self.now.abs_diff(accepted) <= self.tolerance_percent * accepted)
    }
}

impl fmt::Display for Verdict<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} instructions per message", self.name, self.now)?;
        let Some(accepted) = self.accepted else {
            return write!(f, ", and the baseline says nothing about it");
        };
        let percent = 100.0 * self.now.abs_diff(accepted) as f64 / accepted.max(1) as f64;
        let direction = if self.now < accepted { "less" } else { "more" };
        let tolerance = self.tolerance_percent;
        write!(
            f,
            ", {percent:.1} % {direction} than the baseline of {accepted} (tolerance {tolerance} %)"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_baseline_is_read_as_it_was_written() {
        // Goal: nothing is lost between --accept and the next comparison.
        let mut baseline = Baseline::new("rustc 1.95.0 (x 2026-04-14), glibc 2.36, x86_64".to_owned());
        baseline.set("p2p-v5", 8089);
        baseline.set("offline", 8455);
        assert_eq!(Baseline::parse(&baseline.to_text().unwrap()).unwrap(), baseline);
        assert!(Baseline::parse("p2p-v5 8089").is_err());
        assert!(Baseline::parse("counted-with = \"x\"\np2p-v5 = \"many\"").is_err());
        assert!(Baseline::parse("p2p-v5 = 8089").is_err(), "nobody says what counted it");
    }

    #[test]
    fn a_verdict_is_a_sentence() {
        // Goal: which benchmark, by how much, and what was allowed.
        let (mut now, mut accepted) = (Baseline::new(String::new()), Baseline::new(String::new()));
        now.set("offline", 9000);
        accepted.set("offline", 8000);
        let verdict = Verdict::of("offline", 3, &now, &accepted);
        assert!(!verdict.is_within());
        assert_eq!(
            verdict.to_string(),
            "offline: 9000 instructions per message, 12.5 % more than the baseline of 8000 (tolerance 3 %)"
        );
    }
}
