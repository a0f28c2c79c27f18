//! `cargo xtask test`: all that continuous integration checks, cheapest first.
//!
//! The black-box tests run against the release build, which has to be made anyway to show that it can be. Everything
//! else is tested in the dev profile, with its assertions. What is built for release is built beside what is not: the end of either keeps one
//! processor busy, and cargo locks the two apart.

use std::thread;

use crate::Workspace;
use crate::clients;
use crate::dashboard;
use crate::programs::{self, BENCH, cargo};
use crate::steps::{self, Steps};
use crate::tools;

/// The black-box tests of ordinary topics: they are run with both engines of these.
const ORDINARY: &str = "binary(it) & test(/^(kept_sessions|mqtt::(ordinary|retained|shared|subscriptions|wills)|conformance::(delivering|retaining|subscribing))::/)";

/// Runs every check; the first that fails ends it.
pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<()> {
    let mut steps = Steps::new();
    steps.run("tools", || tools::ensure(workspace))?;
    steps.command("format", cargo(workspace).args(["fmt", "--all", "--check"]))?;
    let deny = ["deny", "--workspace", "check", "bans", "licenses", "sources"];
    steps.command("dependencies", cargo(workspace).args(deny))?;
    // It goes into the broker.
    steps.run("dashboard", || dashboard::test(workspace))?;
    steps.command("downloads", cargo(workspace).args(["fetch", "--locked"]))?;
    thread::scope(|scope| {
        let release = scope.spawn(|| build_for_release(workspace));
        let checked = check(workspace, &mut steps);
        let built = steps.run("the rest of the release builds", || {
            release.join().unwrap_or_else(|_| anyhow::bail!("a thread panicked"))
        });
        checked.and(built)
    })?;
    let release = workspace.target.join("release");
    let (inboxd, inbox) = (release.join("inboxd"), release.join("inbox"));
    steps.run("tests", || {
        // Some of their clients are in JavaScript.
        let npm = clients::build(workspace)?;
        steps::run(
            cargo(workspace)
                .args(["nextest", "run", "--locked", "--workspace"])
                .env("PATH", npm.path())
                .env("INBOX_TEST_BROKER", &inboxd)
                .env("INBOX_TEST_CLI", inbox)
                .env("INBOX_TEST_PYTHON", workspace.python())
                .env("INBOX_TEST_MQTTJS", workspace.mqttjs().join("node_modules"))
                .env("INBOX_TEST_DASHBOARD", workspace.root.join("dashboard")),
        )
    })?;
    steps.run("ordinary topics by rumqttd", || {
        steps::run(
            cargo(workspace)
                // Of the workspace, as the tests before: of one package all would be built anew.
                .args(["nextest", "run", "--locked", "--workspace", "--filterset", ORDINARY])
                .env("INBOX_TEST_BROKER", &inboxd)
                .env("INBOX_TEST_PYTHON", workspace.python())
                .env("INBOX_TEST_ROUTER", "rumqttd"),
        )
    })?;
    steps.run("clients", || clients::test(workspace, &inboxd))?;
    steps.run("instruction counts", || programs::run(workspace, BENCH, "counts", &[]))?;
    steps.command(
        "documentation tests",
        cargo(workspace).args(["test", "--locked", "--workspace", "--doc"]),
    )?;
    steps.summary("ok");
    Ok(())
}

fn build_for_release(workspace: &Workspace) -> anyhow::Result<()> {
    programs::inboxd(workspace)?;
    programs::inbox(workspace)?;
    programs::release(workspace, BENCH, "counts").map(|_| ())
}

/// What needs no release build.
fn check(workspace: &Workspace, steps: &mut Steps) -> anyhow::Result<()> {
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
        "tests, built",
        cargo(workspace).args(["nextest", "run", "--locked", "--workspace", "--no-run"]),
    )
}
