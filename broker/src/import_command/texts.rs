//! What is written and said.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::{Note, PASSWORDS, Translated};

const HEADER: &str = "\
# A configuration of inboxd, made by `inboxd import-config` from a mosquitto.conf. inboxd.example.toml has every key, its default and the reason
# for it; docs/coming-from-mosquitto.md says what differs. `inboxd check-config --strict --config FILE` says what is not safe yet.
";

/// A key and its value as TOML, and the line that it comes from.
#[derive(Debug, Clone)]
pub(super) struct Set {
    pub(super) key: &'static str,
    pub(super) value: String,
    pub(super) from: String,
}

/// The configuration: keys without a section, sections, listeners; and what was not taken.
pub(super) fn configuration(keys: &[Set], listeners: &[String], notes: &[Note]) -> String {
    let mut text = HEADER.to_owned();
    let mut sorted: Vec<(Vec<&str>, &Set)> = keys.iter().map(|set| (set.key.rsplit('.').collect(), set)).collect();
    // Those of one section together, in a fixed order; those without one first.
    sorted.sort_by_key(|(_, set)| {
        set.key
            .rsplit_once('.')
            .map_or(("", set.key), |(section, key)| (section, key))
    });
    let mut section = "";
    for (_, Set { key, value, from }) in sorted {
        let (of, name) = key.rsplit_once('.').unwrap_or(("", key));
        if of != section {
            text += &format!("\n[{of}]\n");
            section = of;
        } else if of.is_empty() {
            text.push('\n');
        }
        text += &format!("# {from}\n{name} = {value}\n");
    }
    for listener in listeners {
        text += &format!("\n{listener}");
    }
    if !notes.is_empty() {
        text += "\n# Not taken, or not as it was:\n";
        for note in notes {
            text += &format!("#   {}\n", one_line(note));
        }
    }
    text
}

fn one_line(Note { place, text, why }: &Note) -> String {
    match place {
        Some((file, line)) => format!("{file}, line {line}: {text}: {why}"),
        None => format!("{text}: {why}"),
    }
}

/// A password file without passwords.
pub(super) fn passwords(users: &[String]) -> String {
    let mut text = "# The users of inboxd: `inboxd passwd FILE NAME` adds one. Passwords of Mosquitto cannot be taken over; these are to be added:\n".to_owned();
    for user in users {
        text += &format!("# {user}\n");
    }
    text
}

/// What was done, and what is left to do.
pub(super) fn summary(out: &Path, files: &[(PathBuf, String)], done: &Translated) -> String {
    let mut text = String::new();
    for (path, _) in files {
        text += &format!("Wrote {}\n", path.display());
    }
    if !done.notes.is_empty() {
        text += "\nNot taken, or not as it was:\n";
        for note in &done.notes {
            text += &format!("  {}\n", one_line(note));
        }
    }
    if let Some(users) = &done.users {
        let file = out.with_file_name(PASSWORDS);
        text += "\nUsers to add, each with a password (the client IDs of a user NAME are NAME, and those that begin with NAME~):\n";
        if users.is_empty() {
            text += &format!("  inboxd passwd {} NAME\n", file.display());
        }
        for user in users {
            text += &format!("  inboxd passwd {} '{}'\n", file.display(), user.replace('\'', r"'\''"));
        }
    }
    let _infallible = write!(
        text,
        "\nThen: inboxd check-config --strict --config {}\n",
        out.display()
    );
    text
}
