//! How the process ends: every exit code, with what the operator should look at.
//!
//! The numbers from 64 on are those of BSD's `sysexits.h`, which service managers and scripts know. The table in
//! `docs/operations.md` is checked against this file.

use std::process::ExitCode;

/// The exit code of `inboxd`. Bad flags end with 2 before any of this (clap does that).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It did what it was asked to; for the broker, an orderly shutdown.
    Ok = 0,
    /// Anything that has no code of its own.
    Failed = 1,
    /// The data directory is damaged, of another format version or engine, or not ours.
    DataUnusable = 65,
    /// The broker cannot listen: the address is in use, or not one of this machine.
    CannotListen = 69,
    /// The store failed while it ran; nothing was acknowledged after that.
    StoreFailed = 74,
    /// Another process uses the data directory.
    DataLocked = 75,
    /// The data directory, or the file of the audit log, cannot be created, read or written.
    NotPermitted = 77,
    /// The configuration, or `RUST_LOG`, is not valid.
    BadConfiguration = 78,
}

impl Exit {
    /// Every exit code.
    pub const ALL: [Exit; 8] = [
        Exit::Ok,
        Exit::Failed,
        Exit::DataUnusable,
        Exit::CannotListen,
        Exit::StoreFailed,
        Exit::DataLocked,
        Exit::NotPermitted,
        Exit::BadConfiguration,
    ];

    /// The number that the parent process sees.
    pub fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_lists_every_exit_code() {
        // Goal: docs/operations.md and the program agree; a code that is missing there, or only there, fails.
        let manual = include_str!("../../docs/operations.md");
        let section = manual
            .split("## Exit codes")
            .nth(1)
            .unwrap()
            .split("\n## ")
            .next()
            .unwrap();
        let mut listed: Vec<u8> = section
            .lines()
            .filter_map(|line| line.split('|').nth(1)?.trim().parse().ok())
            .collect();
        let mut known: Vec<u8> = Exit::ALL.iter().map(|exit| exit.code()).collect();
        known.push(2); // clap's
        listed.sort_unstable();
        known.sort_unstable();
        assert_eq!(listed, known);
    }
}
