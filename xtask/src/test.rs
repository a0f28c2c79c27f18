//! `cargo xtask test`: all that continuous integration checks, cheapest first.
//!
//! The black-box tests run against the release build, which has to be made anyway to show that it can be. Everything
//! else is tested in the dev profile, with its assertions.

use crate::Workspace;
use crate::programs::{self, BENCH, cargo};
use crate::steps::Steps;
use crate::tools;

/// Runs every check; the first that fails ends it.
pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<()> {
    let mut steps = Steps::new();
    steps.run("tools", || tools::ensure(workspace))?;
    steps.command("format", cargo(workspace).args(["fmt", "--all", "--check"]))?;
    let deny = ["deny", "--workspace", "check", "bans", "licenses", "sources"];
    steps.command("dependencies", cargo(workspace).args(deny))?;
    let clippy = [
        "clippy",
        "--locked",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ];
    steps.command("lints", cargo(workspace).args(clippy))?;
    steps.run("structure", || programs::house(workspace, &[]))?;
    steps.command(
        "release build",
        cargo(workspace).args(["build", "--locked", "--release"]),
    )?;
    let inboxd = workspace.target.join("release").join("inboxd");
    steps.command(
        "tests",
        cargo(workspace)
            .args(["nextest", "run", "--locked", "--workspace"])
            .env("INBOX_TEST_BROKER", inboxd)
            .env("INBOX_TEST_PYTHON", workspace.python())
            .env("INBOX_TEST_MQTTJS", workspace.mqttjs().join("node_modules")),
    )?;
    steps.run("instruction counts", || programs::run(workspace, BENCH, "counts", &[]))?;
    steps.command(
        "documentation tests",
        cargo(workspace).args(["test", "--locked", "--workspace", "--doc"]),
    )?;
    steps.summary("ok");
    Ok(())
}
