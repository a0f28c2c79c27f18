//! `cargo xtask load`: the load generator of the tests, built for release.

use std::process::Command;

use crate::Workspace;
use crate::steps;

/// Builds and runs it with `arguments`.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> anyhow::Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let package = ["--release", "--package", "inbox-tests", "--bin", "load"];
    let root = &workspace.root;
    steps::run(
        Command::new(&cargo)
            .current_dir(root)
            .args(["build", "--quiet", "--locked"])
            .args(package),
    )?;
    steps::run(Command::new(workspace.target.join("release").join("load")).args(arguments))
}
