//! `cargo xtask mutants`: cargo-mutants changes one thing at a time in the code that keeps the promises, and runs the unit tests. A
//! change that no test notices is a survivor: a test is missing, or the code is.
//!
//! docs/reliability.md has the survivors that were looked at, and why they are left.

use std::fs;

use anyhow::Context;

use crate::Workspace;
use crate::programs::cargo;
use crate::tools;

/// What is changed: the crate, whose unit tests are to notice, and the files in it.
const SUBJECTS: [(&str, &[&str]); 2] = [
    (
        "inbox-bridge",
        &["bridge/src/mailbox/**/*.rs", "bridge/src/hub/commit.rs"],
    ),
    ("mqtt-session", &["broker/session/src/**/*.rs"]),
];

/// What to do.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only one part of many, from 0: `--shard 0/20`
    #[arg(long)]
    shard: Option<String>,
    /// Only changes whose name has this in it, a file for instance (a regular expression)
    #[arg(long)]
    only: Option<String>,
    /// Show what would be changed
    #[arg(long)]
    list: bool,
}

/// Runs it for each subject, and shows the survivors of both.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<()> {
    tools::cargo_tool(tools::CARGO_MUTANTS)?;
    let mut survivors = Vec::new();
    for (package, files) in SUBJECTS {
        let output = workspace.target.join("mutants").join(package);
        fs::create_dir_all(&output).context("no directory for the outcome")?;
        let mut command = cargo(workspace);
        command.args([
            "mutants",
            "--no-shuffle",
            "--colors",
            "never",
            "--test-package",
            package,
        ]);
        command.arg("--output").arg(&output);
        command.args(files.iter().flat_map(|file| ["--file", file]));
        command.args(arguments.shard.iter().flat_map(|it| ["--shard", it]));
        command.args(arguments.only.iter().flat_map(|it| ["--re", it]));
        command.args(arguments.list.then_some("--list"));
        // Unit tests only: those of whole brokers would take an hour for each change.
        command.args(["--test-tool", "nextest", "--", "--lib"]);
        // It fails when there are survivors, which is a result here.
        let status = command.status().context("cargo-mutants could not be started")?;
        anyhow::ensure!(
            matches!(status.code(), Some(0 | 2 | 3)),
            "cargo-mutants ended with {status}"
        );
        for kind in ["missed.txt", "timeout.txt"] {
            let list = fs::read_to_string(output.join("mutants.out").join(kind)).unwrap_or_default();
            survivors.extend(list.lines().map(str::to_owned));
        }
    }
    if !arguments.list {
        eprintln!("\n{} survivors\n{}", survivors.len(), survivors.join("\n"));
    }
    Ok(())
}
