//! Cargo, and the programs of the workspace built for release.

use std::path::PathBuf;
use std::process::Command;

use crate::Workspace;
use crate::steps;

/// The crate of the black-box tests, the simulator and the crash test.
pub(crate) const TESTS: &str = "inbox-tests";
/// The crate of the benchmarks and the load generator.
pub(crate) const BENCH: &str = "inbox-bench";

/// Cargo, in the workspace.
pub(crate) fn cargo(workspace: &Workspace) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(&workspace.root);
    command
}

/// Builds one program and tells where it is. One program a build, because what the tests need of the broker's library is not to be
/// in the broker.
pub(crate) fn release(workspace: &Workspace, package: &str, program: &str) -> anyhow::Result<PathBuf> {
    let build = ["build", "--quiet", "--locked", "--release"];
    steps::run(
        cargo(workspace)
            .args(build)
            .args(["--package", package, "--bin", program]),
    )?;
    Ok(workspace.target.join("release").join(program))
}

/// Builds the broker.
pub(crate) fn inboxd(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    release(workspace, "inboxd", "inboxd")
}

/// Builds the command line of the SDK.
pub(crate) fn inbox(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    release(workspace, "inbox-cli", "inbox")
}

/// Builds a program of `package`, and runs it with `arguments`.
pub(crate) fn run(workspace: &Workspace, package: &str, program: &str, arguments: &[String]) -> anyhow::Result<()> {
    let program = release(workspace, package, program)?;
    steps::run(Command::new(program).args(arguments))
}

/// The checks on the structure. They read files and are done in a moment, so they are not built for release.
pub(crate) fn house(workspace: &Workspace, arguments: &[String]) -> anyhow::Result<()> {
    let run = ["run", "--quiet", "--locked", "--package", "inbox-house", "--"];
    steps::run(cargo(workspace).args(run).args(arguments))
}

/// kill -9 again and again, against the release build.
pub(crate) fn crash(workspace: &Workspace, arguments: &[String]) -> anyhow::Result<()> {
    let inboxd = inboxd(workspace)?;
    let crash = release(workspace, TESTS, "crash")?;
    steps::run(Command::new(crash).args(arguments).env("INBOX_TEST_BROKER", inboxd))
}

/// A test binary of the tests in release mode, against the release build of the broker. Not by nextest, which ends a test after a few
/// minutes.
pub(crate) fn release_test(workspace: &Workspace, binary: &str, threads: u32) -> anyhow::Result<Command> {
    let inboxd = inboxd(workspace)?;
    let mut command = cargo(workspace);
    command
        .args(["test", "--locked", "--release", "--package", TESTS, "--test", binary])
        .args(["--", "--nocapture", "--test-threads", &threads.to_string()])
        .env("INBOX_TEST_BROKER", inboxd);
    Ok(command)
}
