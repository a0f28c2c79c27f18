//! `cargo xtask sim`: the simulator of the tests, built for release.

use std::process::Command;

use crate::Workspace;
use crate::steps;

/// Builds and runs it with `arguments`. Separate from the broker's own build: the simulator's broker can make mistakes on purpose.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> anyhow::Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let package = ["--release", "--package", "inbox-tests", "--bin", "sim"];
    let root = &workspace.root;
    steps::run(
        Command::new(&cargo)
            .current_dir(root)
            .args(["build", "--quiet", "--locked"])
            .args(package),
    )?;
    steps::run(Command::new(workspace.target.join("release").join("sim")).args(arguments))
}
