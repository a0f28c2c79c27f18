//! `inboxd doctor`: what of this machine does not go well with the configuration, and what to do about it.
//!
//! [`gather`] reads what there is into a [`Machine`] and changes nothing; [`limits`] and [`places`] judge that, without I/O.

mod gather;
mod limits;
mod machine;
mod places;
mod proc_files;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io::{self, Write};
use std::path::Path;

use crate::config::Config;
use crate::said::answer;
use machine::Machine;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    /// It is well as it is.
    Ok,
    /// The broker works, and would do better.
    Should,
    /// The broker does not start, does not keep what it promises, or is open to others.
    Must,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Level::Ok => "ok",
            Level::Should => "should",
            Level::Must => "must",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    level: Level,
    /// What it is about, in one word.
    about: &'static str,
    /// What there is, and what to do.
    says: String,
}

impl Finding {
    fn ok(about: &'static str, says: impl Into<String>) -> Self {
        Finding::new(Level::Ok, about, says)
    }

    fn should(about: &'static str, says: impl Into<String>) -> Self {
        Finding::new(Level::Should, about, says)
    }

    fn must(about: &'static str, says: impl Into<String>) -> Self {
        Finding::new(Level::Must, about, says)
    }

    fn new(level: Level, about: &'static str, says: impl Into<String>) -> Self {
        let says = says.into();
        Finding { level, about, says }
    }

    fn json(&self) -> serde_json::Value {
        serde_json::json!({"level": self.level.name(), "about": self.about, "says": self.says})
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<6}  {:<11}  {}", self.level.name(), self.about, self.says)
    }
}

/// Everything that is to be said of `machine`, where a broker with `config` is to run.
fn examine(config: &Config, machine: &Machine) -> Vec<Finding> {
    let mut found = limits::judge(config, machine);
    found.extend(places::judge(machine));
    found
}

/// Looks at this machine for a broker with `config`, which comes from the file at `source`, and tells on `out` what it finds: a line each,
/// or a JSON object each. Gives whether nothing must be changed.
///
/// # Errors
/// `out` cannot be written to. A reader that went away (`| head`) is none.
pub fn run(config: &Config, source: Option<&Path>, json: bool, out: &mut dyn Write) -> io::Result<bool> {
    let found = examine(config, &gather::machine(config, source));
    let count = |level| found.iter().filter(|finding| finding.level == level).count();
    let (must, should) = (count(Level::Must), count(Level::Should));
    let mut text = String::new();
    for finding in &found {
        text += &match json {
            true => format!("{}\n", finding.json()),
            false => format!("{finding}\n"),
        };
    }
    if !json {
        text += &match (must, should) {
            (0, 0) => "nothing is to be changed\n".to_owned(),
            (0, _) => format!("nothing must be changed; {should} should be\n"),
            _ => format!("{must} must be changed, {should} should be\n"),
        };
    }
    answer(out, &text)?;
    Ok(must == 0)
}
