//! Completions for shells, and manual pages.

use std::fs;
use std::io;
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::failure::Failure;
use crate::output;

/// Prints completions.
pub(crate) fn completions(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "inbox", &mut script);
    output::write(&String::from_utf8_lossy(&script)).map(|_| ())
}

/// Writes `inbox.1` and a page for each command.
pub(crate) fn manual(dir: &Path) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::Output(error.kind());
    fs::create_dir_all(dir).map_err(failed)?;
    clap_mangen::generate_to(Cli::command(), dir).map_err(failed)
}
