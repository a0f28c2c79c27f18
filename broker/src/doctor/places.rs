//! What the broker uses of the machine: its data directory, its files, its ports.

use std::io::ErrorKind;

use super::Finding;
use super::machine::{Directory, FileState, Machine, NamedFile, Port, PortState};

/// Any access by users who are neither the owner nor of the group.
const OTHERS: u32 = 0o007;
/// Writing by them.
const OTHERS_WRITE: u32 = 0o002;
/// Access by anybody but the owner.
const NOT_OWNER: u32 = 0o077;
const ROOT: u32 = 0;

/// Everything that is to be said about these.
pub(super) fn judge(machine: &Machine) -> Vec<Finding> {
    let mut found = vec![directory(&machine.data, machine.user)];
    found.extend(machine.files.iter().map(|file| named_file(file, machine.user)));
    let is_running = machine.data.used_by.is_some();
    found.extend(machine.ports.iter().map(|listener| port(listener, is_running)));
    found
}

fn directory(data: &Directory, user: u32) -> Finding {
    const ABOUT: &str = "data";
    let path = data.path.display();
    if !data.is_directory {
        return Finding::must(
            ABOUT,
            format!("{path} is no directory; set data_dir to one, or to one that can be made"),
        );
    }
    if !data.is_writable {
        return Finding::must(
            ABOUT,
            format!(
                "user {user} may not write to {path}, which belongs to user {}; run this as the user of the broker, or give it the directory \
                 (chown, and chmod 700)",
                data.owner
            ),
        );
    }
    if let Some(process) = data.used_by {
        let by = match process {
            0 => "a process".to_owned(),
            process => format!("process {process}"),
        };
        return Finding::ok(ABOUT, format!("{path} is in use by {by}: a broker runs on it"));
    }
    if !data.exists {
        return Finding::ok(
            ABOUT,
            format!("{path} is not there yet; the broker makes it, for its user alone"),
        );
    }
    if data.mode & NOT_OWNER != 0 && data.owner != user {
        return Finding::should(
            ABOUT,
            format!(
                "{path} is open to others (mode {:o}), and user {user} cannot close it; `chmod 700` it as its owner, user {}",
                data.mode & 0o7777,
                data.owner
            ),
        );
    }
    match data.owner {
        ROOT => Finding::should(
            ABOUT,
            format!(
                "{path} belongs to root, and the broker needs no root: run it as a user of its own (docs/operations.md, \"systemd\")"
            ),
        ),
        owner => Finding::ok(ABOUT, format!("{path} belongs to user {owner}, and can be written to")),
    }
}

fn named_file(file: &NamedFile, user: u32) -> Finding {
    const ABOUT: &str = "file";
    let NamedFile { what, is_secret, .. } = *file;
    let path = file.path.display();
    let (owner, mode) = match file.state {
        FileState::There { owner, mode } => (owner, mode & 0o7777),
        FileState::Unreadable(ErrorKind::NotFound) if file.is_made => {
            return Finding::ok(
                ABOUT,
                format!("the {what} {path} is not there yet; the broker makes it"),
            );
        }
        FileState::Unreadable(ErrorKind::NotFound) => {
            return Finding::must(
                ABOUT,
                format!("the {what} {path} is not there; make it, or correct the configuration"),
            );
        }
        FileState::Unreadable(_) => {
            return Finding::must(
                ABOUT,
                format!(
                    "user {user} may not read the {what} {path}; give it to the user of the broker (chown, chmod 600)"
                ),
            );
        }
    };
    if is_secret && mode & OTHERS != 0 {
        return Finding::must(
            ABOUT,
            format!(
                "every user of this machine can read or change the {what} {path} (mode {mode:o}); make it the broker's alone (chmod 600)"
            ),
        );
    }
    if mode & OTHERS_WRITE != 0 {
        return Finding::must(
            ABOUT,
            format!(
                "every user of this machine can change the {what} {path} (mode {mode:o}); take that from them (chmod o-w)"
            ),
        );
    }
    if owner != user && owner != ROOT && user != ROOT {
        return Finding::should(
            ABOUT,
            format!(
                "the {what} {path} belongs to user {owner}, who can change it; give it to the user of the broker, or to root"
            ),
        );
    }
    Finding::ok(ABOUT, format!("the {what} {path} is well kept (mode {mode:o})"))
}

fn port(port: &Port, is_running: bool) -> Finding {
    const ABOUT: &str = "port";
    let Port {
        name,
        address,
        is_auto,
        state,
    } = port;
    match state {
        PortState::Free if is_running && *is_auto => Finding::ok(
            ABOUT,
            format!("{address} is free; the broker that runs took another port for the listener {name:?}"),
        ),
        PortState::Free if is_running => Finding::should(
            ABOUT,
            format!(
                "nobody listens on {address} (listener {name:?}), although a broker has the data directory open: it was started with another \
                 configuration; restart it"
            ),
        ),
        PortState::Free => Finding::ok(ABOUT, format!("{address} is free for the listener {name:?}")),
        PortState::Taken if is_running => Finding::ok(
            ABOUT,
            format!("{address} (listener {name:?}) is in use, and so is the data directory: a broker runs"),
        ),
        PortState::Taken if *is_auto => Finding::ok(
            ABOUT,
            format!(
                "{address} (listener {name:?}) is in use by another program; a free port is taken instead, unless an address is set"
            ),
        ),
        PortState::Taken => Finding::must(
            ABOUT,
            format!(
                "{address} (listener {name:?}) is in use by another program, such as another broker; stop that (`ss -tlnp` shows it), or choose \
                 another address"
            ),
        ),
        PortState::Refused(ErrorKind::PermissionDenied) => Finding::must(
            ABOUT,
            format!(
                "{address} (listener {name:?}) needs a permission, as ports below 1024 do; choose a higher port, or give it with \
                 AmbientCapabilities=CAP_NET_BIND_SERVICE in the systemd unit"
            ),
        ),
        PortState::Refused(_) => Finding::must(
            ABOUT,
            format!("{address} (listener {name:?}) is not an address of this machine; choose one that is"),
        ),
    }
}
