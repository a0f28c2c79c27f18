//! `cargo xtask dashboard`: builds the dashboard, which a broker that is built afterwards has in it.

use std::time::SystemTime;

use anyhow::Context;

use crate::Workspace;
use crate::npm::Npm;

/// Builds it into `dashboard/dist`.
pub(crate) fn build(workspace: &Workspace) -> anyhow::Result<()> {
    let npm = Npm::find(workspace, "dashboard")?;
    npm.install()?;
    npm.run(&["run", "--silent", "build"])?;
    // Cargo does not see a directory that was not there before.
    let embeds = workspace.root.join("broker/admin/build.rs");
    let file = std::fs::File::options().append(true).open(&embeds);
    file.and_then(|file| file.set_modified(SystemTime::now()))
        .with_context(|| format!("{} cannot be touched", embeds.display()))
}

/// Builds it, and checks its types, its form and its logic.
pub(crate) fn test(workspace: &Workspace) -> anyhow::Result<()> {
    build(workspace)?;
    let npm = Npm::find(workspace, "dashboard")?;
    npm.run(&["run", "--silent", "check"])?;
    npm.run(&["test", "--silent"])
}
