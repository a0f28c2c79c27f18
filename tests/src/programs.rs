//! Where the programs are that tests start, and the command line of the SDK.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The program that `variable` names, or the one in the target directory that this test was built in.
pub(crate) fn program(variable: &str, package: &str, name: &str) -> PathBuf {
    if let Some(path) = std::env::var_os(variable) {
        return path.into();
    }
    // target/PROFILE/deps/it-HASH
    let test = std::env::current_exe().unwrap();
    let profile = test
        .ancestors()
        .find(|dir| dir.join("deps").is_dir())
        .expect("a test lives in a target directory");
    let path = profile.join(name);
    assert!(
        path.is_file(),
        "{} is not there; build it with `cargo build --package {package}`, or run `cargo xtask test`",
        path.display()
    );
    path
}

/// `inbox` (`INBOX_TEST_CLI`) without arguments, for a user whose files are in `home` and who has set nothing else.
pub fn inbox_command(home: &Path) -> Command {
    let mut command = Command::new(program("INBOX_TEST_CLI", "inbox-cli", "inbox"));
    let names = std::env::vars_os().map(|(name, _)| name);
    for name in names.filter(|name| {
        ["INBOX_", "XDG_"]
            .iter()
            .any(|set| name.to_string_lossy().starts_with(set))
    }) {
        command.env_remove(name);
    }
    command.env("HOME", home).current_dir(home);
    command
}
