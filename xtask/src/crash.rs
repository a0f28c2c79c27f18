//! `cargo xtask crash`: kill -9 again and again, with the crash test of the tests, against the release build.

use std::path::PathBuf;
use std::process::Command;

use crate::Workspace;
use crate::steps;

/// Builds and runs it with `arguments`.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> anyhow::Result<()> {
    let inboxd = build(workspace)?;
    let crash = workspace.target.join("release").join("crash");
    steps::run(Command::new(crash).args(arguments).env("INBOX_TEST_BROKER", inboxd))
}

/// Builds the broker, and the programs that test it from outside. Tells where the broker is. Two builds, because what the tests
/// need of the broker's library is not to be in the broker.
pub(crate) fn build(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    for package in [["inboxd", "inboxd"], ["inbox-tests", "crash"]] {
        let [package, program] = package;
        steps::run(cargo(workspace).args([
            "build",
            "--quiet",
            "--locked",
            "--release",
            "--package",
            package,
            "--bin",
            program,
        ]))?;
    }
    Ok(workspace.target.join("release").join("inboxd"))
}

/// Cargo, in the workspace.
pub(crate) fn cargo(workspace: &Workspace) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(&workspace.root);
    command
}
