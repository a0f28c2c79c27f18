//! npm, with a Node that is new enough.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context;

use crate::Workspace;
use crate::steps::run;

/// The oldest Node that the packages run on.
const NODE_MIN: u32 = 20;
/// What is installed where Node is older: the release line with long support.
const NODE: &str = "node@22";

/// npm in one package of the workspace.
pub(crate) struct Npm {
    package: PathBuf,
    /// With a Node that is new enough.
    path: OsString,
}

impl Npm {
    pub(crate) fn find(workspace: &Workspace, package: &str) -> anyhow::Result<Self> {
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
            package: workspace.root.join(package),
            path: std::env::join_paths(path).context("PATH cannot be made")?,
        })
    }

    /// What the lock file names; nothing of it is run while it is installed.
    pub(crate) fn install(&self) -> anyhow::Result<()> {
        self.run(&["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"])
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> anyhow::Result<()> {
        run(&mut self.command(arguments))
    }

    /// `PATH` of programs that need such a Node.
    pub(crate) fn path(&self) -> &OsStr {
        &self.path
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut npm = Command::new("npm");
        npm.args(arguments).current_dir(&self.package).env("PATH", &self.path);
        npm
    }
}

fn is_new_enough(node: &Path) -> bool {
    let version = Command::new(node).arg("--version").stderr(Stdio::null()).output();
    let version = version.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let major = |text: String| text.trim().trim_start_matches('v').split('.').next()?.parse().ok();
    version.ok().and_then(major).is_some_and(|major: u32| major >= NODE_MIN)
}
