//! What was understood of a `mosquitto.conf`, on the way to a configuration.

use std::path::PathBuf;

use super::acl;
use super::lines::{Line, lines};
use super::listeners::{Listeners, Written};
use super::settings::{self, Meaning};
use super::spans::{toml_path, toml_text, truth};
use super::texts::{self, Set};
use super::{Around, Note, PASSWORDS, RULES, Translated, unsupported};

/// The default of `mqtt.listen`.
const LOOPBACK: &str = "127.0.0.1";

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Draft {
    keys: Vec<Set>,
    notes: Vec<Note>,
    listeners: Listeners,
    anonymous: Vec<(Line, bool)>,
    password_file: Option<Line>,
    acl_file: Option<Line>,
    data: Option<Line>,
    log: Vec<Line>,
    /// Each `connection`, and the names of the directives that follow it.
    bridges: Vec<(Line, Vec<String>)>,
}

impl Draft {
    /// What `text` says.
    pub(super) fn of(text: &[u8]) -> Self {
        let mut draft = Draft::default();
        for line in lines(text) {
            draft.take(line);
        }
        draft
    }

    fn take(&mut self, line: Line) {
        match line.name.as_str() {
            "allow_anonymous" => match truth(&line.value) {
                Some(is_allowed) => self.anonymous.push((line, is_allowed)),
                None => self.refuse(&line, "it is true or false"),
            },
            "password_file" | "acl_file" if line.value.is_empty() => self.refuse(&line, "it names no file"),
            "password_file" => {
                if let Some(other) = self.password_file.replace(line) {
                    self.refuse(
                        &other,
                        "there is one password file for all listeners, and the last one was taken",
                    );
                }
            }
            "acl_file" => {
                if let Some(other) = self.acl_file.replace(line) {
                    self.refuse(
                        &other,
                        "there is one file of access rules for all listeners, and the last one was taken",
                    );
                }
            }
            "per_listener_settings" if truth(&line.value) == Some(false) => {}
            "per_listener_settings" => self.refuse(
                &line,
                "users, access rules and limits are the same on all listeners; look at what was made of those lines",
            ),
            "persistence_location" if line.value.is_empty() => self.refuse(&line, "it names no directory"),
            "persistence_location" => self.data = Some(line),
            "log_type" => self.log.push(line),
            "connection" => self.bridges.push((line, Vec::new())),
            name if unsupported::is_of_a_bridge(name) && !self.bridges.is_empty() => {
                if let Some((_, names)) = self.bridges.last_mut() {
                    names.push(line.bare_name().to_owned());
                }
            }
            _ if self.listeners.take(&line, &mut self.notes) => {}
            name => match settings::meaning(&line) {
                Meaning::Key(key, value) => self.put(key, value, line.text()),
                Meaning::Same => {}
                Meaning::Refused(why) => self.refuse(&line, why),
                Meaning::Other => {
                    let why = unsupported::why(name).unwrap_or("nothing is known of a directive of this name");
                    self.refuse(&line, why);
                }
            },
        }
    }

    /// A line that is not taken.
    fn refuse(&mut self, line: &Line, why: impl Into<String>) {
        self.notes.push(line.note(why));
    }

    /// Sets a key, in the place of what it was set to before.
    fn put(&mut self, key: &'static str, value: String, from: String) {
        self.keys.retain(|set| set.key != key);
        self.keys.push(Set { key, value, from });
    }

    /// The file of users.
    pub(super) fn password_file(&self) -> Option<PathBuf> {
        self.password_file.as_ref().map(|line| PathBuf::from(&line.value))
    }

    /// The file of access rules.
    pub(super) fn acl_file(&self) -> Option<PathBuf> {
        self.acl_file.as_ref().map(|line| PathBuf::from(&line.value))
    }

    /// The configuration, and what goes with it.
    pub(super) fn translated(mut self, around: &Around<'_>) -> Translated {
        let (data, log) = (self.data.take(), std::mem::take(&mut self.log));
        if let Some(line) = data {
            let path = around.from.join(&line.value).join("inboxd");
            self.put("data_dir", toml_path(&path), line.text());
        }
        self.level(&log);
        self.bridges();
        let users = self.users(around);
        let rules = self.rules(around);
        let certificates = self.listeners.names_users();
        if let Some(line) = &certificates {
            self.put("auth.certificate", "\"common-name\"".to_owned(), line.text());
        }
        let is_open = self.anonymous();
        // Whoever reaches it would be let in, which Mosquitto would not do either.
        let is_closed = !is_open && users.is_none() && certificates.is_none();
        let Written { main, others, most } = self.listeners.written(around, is_closed, &mut self.notes);
        let (address, from) = main.unwrap_or_else(|| self.own_address(&others));
        self.put("mqtt.listen", toml_text(&address), from);
        if let Some((most, lines)) = most {
            self.most(most, &lines);
        }
        self.notes
            .sort_by_key(|note| note.place.map_or((1, "", 0), |(file, line)| (0, file, line)));
        Translated {
            configuration: texts::configuration(&self.keys, &others, &self.notes),
            rules,
            users,
            notes: self.notes,
        }
    }

    /// Where the listener is that there always is, when Mosquitto has none for MQTT over TCP.
    fn own_address(&mut self, others: &[String]) -> (String, String) {
        let is_free = |port: &u16| others.iter().all(|listener| !listener.contains(&format!(":{port}\"")));
        let port = (1883..=u16::MAX).find(is_free).unwrap_or(0);
        if !others.is_empty() {
            self.notes.push(Note {
                place: None,
                text: format!("mqtt.listen = \"{LOOPBACK}:{port}\""),
                why: "there is always a listener for MQTT in the clear; this one serves this machine alone".to_owned(),
            });
        }
        (format!("{LOOPBACK}:{port}"), "no listener for MQTT over TCP".to_owned())
    }

    /// One finding for each bridge.
    fn bridges(&mut self) {
        for (line, mut names) in std::mem::take(&mut self.bridges) {
            let why = unsupported::why(&line.name).unwrap_or_default();
            let lines = names.len();
            names.sort_unstable();
            names.dedup();
            let rest = match lines {
                0 => String::new(),
                1 => format!(" (1 more line is about it: {})", names.join(", ")),
                _ => format!(" ({lines} more lines are about it: {})", names.join(", ")),
            };
            self.refuse(&line, format!("{why}{rest}"));
        }
    }

    /// What listeners may have together. The whole broker may have a limit, too, and the lower one holds.
    fn most(&mut self, most: i64, lines: &[Line]) {
        const KEY: &str = "mqtt.connections_max";
        let whole = self.keys.iter().find(|set| set.key == KEY);
        let whole = whole.and_then(|set| Some((set.value.parse::<i64>().ok()?, set.from.clone())));
        let from: Vec<String> = lines.iter().map(Line::text).collect();
        let why = match (whole, lines) {
            (Some((whole, from)), _) if whole <= most => format!("{from} is lower, and was taken for all listeners"),
            (None, [_]) => return self.put(KEY, most.to_string(), from.join(", ")),
            _ => {
                self.put(KEY, most.to_string(), from.join(", "));
                format!("there is one limit for all listeners: {KEY} was set to {most}, the sum of theirs")
            }
        };
        for line in lines {
            self.refuse(line, why.clone());
        }
    }

    fn level(&mut self, log: &[Line]) {
        const LEVELS: [(&[&str], &str); 5] = [
            (&["all", "debug", "subscribe", "unsubscribe"], "debug"),
            (&["notice", "information", "websockets", "internal"], "info"),
            (&["warning"], "warn"),
            (&["error"], "error"),
            (&["none"], "off"),
        ];
        let said = |names: &[&str]| log.iter().find(|line| names.contains(&line.value.as_str()));
        if let Some((line, level)) = LEVELS.iter().find_map(|(names, level)| Some((said(names)?, level))) {
            self.put("log.level", format!("\"{level}\""), line.text());
        }
        for line in log {
            if !LEVELS.iter().any(|(names, _)| names.contains(&line.value.as_str())) {
                self.refuse(line, "nothing is known of a kind of log of this name");
            }
        }
    }

    fn users(&mut self, around: &Around<'_>) -> Option<Vec<String>> {
        let line = self.password_file.take()?;
        let file = format!("{}/{PASSWORDS}", around.to);
        self.put("auth.password_file", toml_text(&file), line.text());
        let why = match &around.users {
            None => "it cannot be read from here, so its users are not known; its hashes could not be used anyway: add each user".to_owned(),
            Some(users) => format!(
                "hashes of Mosquitto cannot be used (inboxd has argon2id): {} users have to be given passwords",
                users.len()
            ),
        };
        self.refuse(&line, format!("{why} with `inboxd passwd {file} NAME`"));
        Some(around.users.clone().unwrap_or_default())
    }

    fn rules(&mut self, around: &Around<'_>) -> Option<String> {
        let line = self.acl_file.take()?;
        let Some(text) = &around.rules else {
            self.refuse(
                &line,
                "it cannot be read from here, so nobody may do anything: write the rules into acl.toml (docs/security.md, \"Access rules\")",
            );
            self.put(
                "access.acl_file",
                toml_text(&format!("{}/{RULES}", around.to)),
                line.text(),
            );
            return Some(acl::nothing_allowed());
        };
        self.put(
            "access.acl_file",
            toml_text(&format!("{}/{RULES}", around.to)),
            line.text(),
        );
        Some(acl::translated(text, &mut self.notes))
    }

    /// Whether clients are let in that do not say who they are.
    fn anonymous(&mut self) -> bool {
        let said = std::mem::take(&mut self.anonymous);
        // Mosquitto without any listener serves this machine alone, and everybody there: as inboxd does.
        let is_allowed = said.iter().all(|(_, is_allowed)| *is_allowed) && !said.is_empty();
        if let Some((line, _)) = said.first().filter(|_| is_allowed) {
            self.put("mqtt.allow_anonymous", "true".to_owned(), line.text());
        }
        let some = said.iter().filter(|(_, one)| *one && !is_allowed);
        for (line, _) in some {
            let why = "another line says false, and it is one setting for all listeners: false was taken";
            self.notes.push(line.note(why));
        }
        is_allowed
    }
}
