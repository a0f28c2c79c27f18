//! The clients for Python and JavaScript: their types, their form, their tests against a broker, and a crowd of all clients together.

use std::path::Path;
use std::process::Command;

use crate::Workspace;
use crate::npm::Npm;
use crate::programs;
use crate::steps::run;
use crate::tools;

/// Of the crowd.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The seed of an earlier run, whose choices are made again.
    #[arg(long)]
    seed: Option<u64>,
}

/// The package for JavaScript, as programs can use it.
pub(crate) fn build(workspace: &Workspace) -> anyhow::Result<Npm> {
    let npm = Npm::find(workspace, "clients/js")?;
    npm.install()?;
    npm.run(&["run", "--silent", "build"])?;
    Ok(npm)
}

/// Checks both packages, of which that for JavaScript is built; their scenarios run against `inboxd`.
pub(crate) fn test(workspace: &Workspace, inboxd: &Path) -> anyhow::Result<()> {
    for arguments in ["mypy", "ruff check", "ruff format --check", "pytest"] {
        run(Command::new(workspace.python())
            .arg("-m")
            .args(arguments.split(' '))
            .current_dir(workspace.root.join("clients/python"))
            .env("INBOX_TEST_BROKER", inboxd))?;
    }
    let npm = Npm::find(workspace, "clients/js")?;
    npm.run(&["run", "--silent", "check"])?;
    run(npm.command(&["test", "--silent"]).env("INBOX_TEST_BROKER", inboxd))
}

/// 10,000 messages between 20 clients, in Rust, Python and JavaScript, through 50 cuts of their links and 10 kills of the broker, in release mode.
pub(crate) fn crowd(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<()> {
    tools::python(workspace)?;
    let npm = build(workspace)?;
    let mut test = programs::release_test(workspace, "sdk", 1)?;
    test.arg("crowd")
        .env("INBOX_CROWD", "large")
        .env("INBOX_TEST_PYTHON", workspace.python())
        .env("PATH", npm.path());
    if let Some(seed) = arguments.seed {
        test.env("INBOX_CROWD_SEED", seed.to_string());
    }
    run(&mut test)
}

impl From<u64> for Arguments {
    fn from(seed: u64) -> Self {
        Arguments { seed: Some(seed) }
    }
}
