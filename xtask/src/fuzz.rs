//! `cargo xtask fuzz`: the fuzz targets of `fuzz/`, with cargo-fuzz.
//!
//! Coverage instrumentation works with a stable compiler; sanitizers would need a nightly one. They are left out because there is no
//! unsafe code in this workspace (`unsafe_code = "deny"`) for them to watch: assertions and overflow checks are what finds things here.
//!
//! New inputs are kept in the target directory. The repository has few of them, which `--keep` chooses anew.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::Context;

use crate::Workspace;
use crate::steps::{Steps, run};
use crate::tools;

/// Name and longest input in bytes. A record of several pieces has more than 16 KiB.
const TARGETS: [(&str, usize); 8] = [
    ("session", 2048),
    ("clients", 2048),
    ("records", 20_000),
    ("backups", 4096),
    ("filters", 512),
    ("config", 2048),
    ("websocket", 1024),
    ("proxy", 512),
];
/// Inputs of one target that the repository keeps, beside those written by hand.
const INPUTS_MAX: usize = 48;
/// Above this a target is stopped: its broker holds a few kilobytes.
const MEMORY_MIB_MAX: usize = 1024;
/// An input that takes longer is a finding.
const INPUT_SECONDS_MAX: usize = 20;

/// What to do.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How long each target runs.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Afterwards, replace the inputs in the repository by those that reach most.
    #[arg(long)]
    keep: bool,
    /// Only this target.
    #[arg(value_parser = TARGETS.map(|(name, _)| name))]
    target: Option<String>,
}

/// Runs one target, or each in turn.
pub(crate) fn fuzz(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<()> {
    tools::cargo_tool(tools::CARGO_FUZZ)?;
    let mut steps = Steps::new();
    let wanted = |name: &str| arguments.target.as_deref().is_none_or(|target| target == name);
    for (name, length) in TARGETS.into_iter().filter(|(name, _)| wanted(name)) {
        let target = Target {
            workspace,
            name,
            length,
        };
        steps.run(name, || target.search(arguments.seconds))?;
        if arguments.keep {
            steps.run(&format!("{name}: inputs"), || target.keep())?;
        }
    }
    steps.summary("no crash");
    Ok(())
}

struct Target<'a> {
    workspace: &'a Workspace,
    name: &'static str,
    length: usize,
}

impl Target<'_> {
    /// What the repository has.
    fn committed(&self) -> PathBuf {
        self.workspace.root.join("fuzz/corpus").join(self.name)
    }

    /// What was found here, now and earlier.
    fn found(&self) -> PathBuf {
        self.workspace.target.join("fuzz-corpus").join(self.name)
    }

    fn search(&self, seconds: u64) -> anyhow::Result<()> {
        fs::create_dir_all(self.found()).context("no directory for what is found")?;
        let dictionary = self.workspace.root.join("fuzz").join(format!("{}.dict", self.name));
        let mut command = self.cargo_fuzz(&[&self.found(), &self.committed()]);
        command
            .arg(format!("-max_total_time={seconds}"))
            .arg("-print_final_stats=1");
        if dictionary.is_file() {
            command.arg(format!("-dict={}", dictionary.display()));
        }
        run(&mut command)
    }

    /// What was written by hand stays, and of what was found, the inputs that reach most.
    fn keep(&self) -> anyhow::Result<()> {
        let chosen = self.found().with_extension("chosen");
        if chosen.exists() {
            fs::remove_dir_all(&chosen).context("an earlier choice cannot be removed")?;
        }
        fs::create_dir_all(&chosen).context("no directory for the choice")?;
        let mut merge = self.cargo_fuzz(&[&chosen, &self.found(), &self.committed()]);
        // By what is reached, not by how often: otherwise hundreds are chosen.
        run(merge.args(["-set_cover_merge=1", "-use_counters=0", "-use_cmp=0"]))?;
        // libFuzzer writes first what adds most.
        let mut found = inputs(&chosen)?;
        found.sort_by_key(|(_, written)| *written);
        for (path, _) in inputs(&self.committed())?.iter().filter(|(path, _)| !is_seed(path)) {
            fs::remove_file(path).context("an old input cannot be removed")?;
        }
        for (path, _) in found.iter().take(INPUTS_MAX) {
            let name = path.file_name().unwrap_or_default();
            fs::copy(path, self.committed().join(name)).context("an input cannot be copied")?;
        }
        Ok(())
    }

    /// cargo-fuzz with the options that all runs have; those of libFuzzer may follow.
    fn cargo_fuzz(&self, corpora: &[&Path]) -> Command {
        let mut command = Command::new("cargo");
        command
            .current_dir(&self.workspace.root)
            .args(["fuzz", "run", "--sanitizer", "none", "--target-dir"])
            .arg(self.workspace.target.join("fuzz"))
            .arg(self.name)
            .args(corpora)
            .args(["--", &format!("-max_len={}", self.length)])
            .arg(format!("-rss_limit_mb={MEMORY_MIB_MAX}"))
            .arg(format!("-timeout={INPUT_SECONDS_MAX}"));
        command
    }
}

/// Written by hand.
fn is_seed(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with("seed-"))
}

/// The files of a corpus, with when they were written.
fn inputs(corpus: &Path) -> anyhow::Result<Vec<(PathBuf, SystemTime)>> {
    let list = || -> std::io::Result<_> {
        fs::read_dir(corpus)?
            .map(|entry| entry.and_then(|entry| Ok((entry.path(), entry.metadata()?.modified()?))))
            .collect()
    };
    list().with_context(|| format!("the inputs in {} cannot be listed", corpus.display()))
}
