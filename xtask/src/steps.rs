//! Commands in a row: each is shown and timed, the first that fails ends the row, and a summary comes last.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context;

/// The steps up to now.
#[derive(Debug)]
pub(crate) struct Steps {
    started: Instant,
    done: Vec<(String, Duration)>,
}

impl Steps {
    pub(crate) fn new() -> Self {
        Steps {
            started: Instant::now(),
            done: Vec::new(),
        }
    }

    /// Runs `step` under `name`; when it fails the summary is shown here, because nothing comes after it.
    pub(crate) fn run(&mut self, name: &str, step: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
        eprintln!("\n==> {name}");
        let started = Instant::now();
        let outcome = step();
        let took = started.elapsed();
        self.done.push((name.to_owned(), took));
        if outcome.is_ok() {
            eprintln!("==> {name}: ok, {:.1} s", took.as_secs_f64());
        } else {
            self.summary("FAILED");
        }
        outcome.with_context(|| format!("step failed: {name}"))
    }

    /// Runs a command as a step.
    pub(crate) fn command(&mut self, name: &str, command: &mut Command) -> anyhow::Result<()> {
        self.run(name, || run(command))
    }

    /// The last lines: every step with its time, then `outcome` and the whole time.
    pub(crate) fn summary(&self, outcome: &str) {
        eprintln!("\n==> summary");
        for (name, took) in &self.done {
            eprintln!("{:>8.1} s  {name}", took.as_secs_f64());
        }
        eprintln!("{:>8.1} s  in all: {outcome}", self.started.elapsed().as_secs_f64());
    }
}

/// Runs a command that must succeed.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let shown = show(command);
    eprintln!("    {shown}");
    let status = command
        .status()
        .with_context(|| format!("`{shown}` could not be started"))?;
    anyhow::ensure!(status.success(), "`{shown}` ended with {status}");
    Ok(())
}

/// The command as one would type it.
fn show(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}
