//! `cargo xtask crash`: kill -9 again and again, with the crash test of the tests, against the release build.

use std::process::Command;

use crate::Workspace;
use crate::{programs, steps};

/// Builds and runs it with `arguments`.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> anyhow::Result<()> {
    let inboxd = programs::inboxd(workspace)?;
    let crash = programs::release(workspace, "inbox-tests", "crash")?;
    steps::run(Command::new(crash).args(arguments).env("INBOX_TEST_BROKER", inboxd))
}
