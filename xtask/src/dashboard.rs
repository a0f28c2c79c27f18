//! `cargo xtask dashboard`: builds the dashboard, which a broker that is built afterwards has in it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use anyhow::Context;

use crate::Workspace;
use crate::steps::run;

/// The oldest Node that builds it.
const NODE_MIN: u32 = 20;
/// What is installed where Node is older: the release line with long support.
const NODE: &str = "node@22";

/// Builds it into `dashboard/dist`.
pub(crate) fn build(workspace: &Workspace) -> anyhow::Result<()> {
    let npm = Npm::find(workspace)?;
    npm.run(&["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"])?;
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
    let npm = Npm::find(workspace)?;
    npm.run(&["run", "--silent", "check"])?;
    npm.run(&["test", "--silent"])
}

struct Npm {
    dashboard: PathBuf,
    /// With a Node that is new enough.
    path: std::ffi::OsString,
}

impl Npm {
    fn find(workspace: &Workspace) -> anyhow::Result<Self> {
        let own = workspace.target.join("node");
        if !is_new_enough(Path::new("node")) && !is_new_enough(&own.join("node_modules/.bin/node")) {
            run(Command::new("npm")
                .args(["install", "--no-audit", "--no-fund", "--loglevel=error", "--prefix"])
                .args([own.as_os_str(), NODE.as_ref()]))?;
        }
        let before = std::env::var_os("PATH").unwrap_or_default();
        let mut path = std::env::split_paths(&before).collect::<Vec<_>>();
        if !is_new_enough(Path::new("node")) {
            path.insert(0, own.join("node_modules/.bin"));
        }
        Ok(Npm {
            dashboard: workspace.root.join("dashboard"),
            path: std::env::join_paths(path).context("PATH cannot be made")?,
        })
    }

    fn run(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let mut npm = Command::new("npm");
        run(npm.args(arguments).current_dir(&self.dashboard).env("PATH", &self.path))
    }
}

fn is_new_enough(node: &Path) -> bool {
    let version = Command::new(node).arg("--version").stderr(Stdio::null()).output();
    let version = version.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let major = |text: String| text.trim().trim_start_matches('v').split('.').next()?.parse().ok();
    version.ok().and_then(major).is_some_and(|major: u32| major >= NODE_MIN)
}
