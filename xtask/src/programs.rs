//! Cargo, and the programs of the workspace built for release.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Workspace;
use crate::steps;

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

/// Builds a program of the tests, and runs it with `arguments`.
pub(crate) fn run(workspace: &Workspace, program: &str, arguments: &[String]) -> anyhow::Result<()> {
    let program = release(workspace, "inbox-tests", program)?;
    steps::run(Command::new(program).args(arguments))
}

/// What a program says on standard output, without the end of the line. `None` if it fails.
pub(crate) fn output(program: &str, arguments: &[&str], directory: &Path) -> Option<String> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(directory)
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
