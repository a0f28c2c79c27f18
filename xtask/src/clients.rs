//! The clients for Python and JavaScript: their types, their form, and their tests against a broker.

use std::path::Path;
use std::process::Command;

use crate::Workspace;
use crate::npm::Npm;
use crate::steps::run;

/// Checks both packages; their scenarios run against `inboxd`.
pub(crate) fn test(workspace: &Workspace, inboxd: &Path) -> anyhow::Result<()> {
    for arguments in ["mypy", "ruff check", "ruff format --check", "pytest"] {
        run(Command::new(workspace.python())
            .arg("-m")
            .args(arguments.split(' '))
            .current_dir(workspace.root.join("clients/python"))
            .env("INBOX_TEST_BROKER", inboxd))?;
    }
    let npm = Npm::find(workspace, "clients/js")?;
    npm.install()?;
    npm.run(&["run", "--silent", "check"])?;
    run(npm.command(&["test", "--silent"]).env("INBOX_TEST_BROKER", inboxd))
}
