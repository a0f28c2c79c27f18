//! How the process ends: every exit code, for scripts.
//!
//! The numbers from 64 on are those of BSD's `sysexits.h` where they fit, as those of `inboxd`. The table in `docs/inbox.md` is checked against
//! this file.

use std::process::ExitCode;

/// The exit code of `inbox`. Bad options end with 2 before any of this (clap does that).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// All is as it was asked for.
    Ok = 0,
    /// Anything that has no code of its own.
    Failed = 1,
    /// What was asked makes no sense as it stands.
    Usage = 2,
    /// For good: by the broker, by the recipient, or because the message expired or was dropped.
    Refused = 65,
    /// There is no connection to the broker.
    NoConnection = 69,
    /// Another program has the client ID, or its outbox.
    InUse = 73,
    /// The outbox, or standard output, cannot be read or written.
    Disk = 74,
    /// The time was over before it happened; it may still happen.
    NotInTime = 75,
    /// The broker is no inboxd, or an old one, and does not tell what was asked.
    NotTold = 76,
    /// The broker does not accept user and password, or does not let this user have this client ID.
    WrongPassword = 77,
    /// The settings cannot be used, or lead to a broker whose certificate is not accepted.
    BadConfiguration = 78,
    /// Of many messages, some got as far as was asked, and some did not.
    Partly = 79,
}

impl Exit {
    /// Every exit code.
    #[cfg(test)]
    const ALL: [Exit; 12] = [
        Exit::Ok,
        Exit::Failed,
        Exit::Usage,
        Exit::Refused,
        Exit::NoConnection,
        Exit::InUse,
        Exit::Disk,
        Exit::NotInTime,
        Exit::NotTold,
        Exit::WrongPassword,
        Exit::BadConfiguration,
        Exit::Partly,
    ];
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::AFTER_HELP;

    #[test]
    fn the_manual_and_the_help_list_every_exit_code() {
        // Goal: docs/inbox.md, --help and the program agree; a code that is missing there, or only there, fails.
        let manual = include_str!("../../../docs/inbox.md");
        let section = manual.split("\n## ").find(|part| part.starts_with("Exit codes"));
        let rows = section
            .unwrap()
            .lines()
            .filter_map(|line| line.strip_prefix("| ")?.split(' ').next());
        let documented: Vec<u8> = rows.filter_map(|code| code.parse().ok()).collect();
        assert_eq!(documented, Exit::ALL.map(|exit| exit as u8));
        for exit in Exit::ALL {
            let told = if exit == Exit::Failed {
                "1 anything else".to_owned()
            } else {
                format!("{} ", exit as u8)
            };
            assert!(AFTER_HELP.contains(&told), "{exit:?}");
        }
    }
}
