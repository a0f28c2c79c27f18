//! From the access rules of Mosquitto to those of inboxd.
//!
//! Mosquitto knows topics alone. Here a topic of one level is an inbox: who may write to it is another list, and nobody but its owner reads it.

use access::Rules;

use super::Note;
use super::lines::{Line, lines, plain};

/// What the file is called in notes.
const ACL: &str = "acl_file";
const HEADER: &str = "\
# Access rules of inboxd, made by `inboxd import-config` from an acl_file of Mosquitto: docs/security.md, \"Access rules\", and acl.example.toml.
# A subscription needs all of its topics to be allowed. (Mosquitto grants any, and passes on what may be read.)
# `inboxd acl --config FILE test USER CLIENT publish TOPIC` says what they decide.

# Mosquitto's rules say who may write where, and everything else is denied: inboxes, too. Leave this out, and every user writes to every inbox.
[[role]]
name = \"authenticated\"
write_to = []
";

/// What a client with a role may do.
#[derive(Debug, Default)]
struct Role {
    name: String,
    /// The user that has it, for one that is a user's.
    member: Option<String>,
    publish: Vec<String>,
    subscribe: Vec<String>,
    deny_publish: Vec<String>,
    deny_subscribe: Vec<String>,
    write_to: Vec<String>,
    deny_write_to: Vec<String>,
}

/// What a line of Mosquitto allows or denies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Right {
    Read,
    Write,
    ReadWrite,
    Deny,
}

/// The names in a password file of Mosquitto.
pub(super) fn users_of(text: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(text);
    let named = text.lines().filter_map(|line| Some(line.split_once(':')?.0));
    let names = named.map(|name| plain(name.trim()));
    names
        .filter(|name| !name.is_empty() && !name.starts_with('#'))
        .collect()
}

/// Rules that allow nothing.
pub(super) fn nothing_allowed() -> String {
    HEADER.to_owned()
}

/// The rules that `text` says, as a file of inboxd.
pub(super) fn translated(text: &[u8], notes: &mut Vec<Note>) -> String {
    // Those before the first `user` are for clients without one, patterns are for all.
    let mut roles = vec![Role::named("anonymous", None), Role::named("everyone", None)];
    let mut current = Some(0);
    for line in lines(text) {
        let mut refuse = |why: &str| notes.push(note(&line, why));
        match line.name.as_str() {
            "user" => {
                current = roles.iter().position(|role| role.member.as_ref() == Some(&line.value));
                if current.is_none() && holds(&["members"], &line.value) {
                    roles.push(Role::named(&format!("user-{}", roles.len() - 1), Some(&line.value)));
                    current = Some(roles.len() - 1);
                } else if current.is_none() {
                    refuse(
                        "nobody can be a user of this name: `inboxd passwd` says which names there can be; what follows it is left out, too",
                    );
                }
            }
            "topic" => match current.and_then(|at| roles.get_mut(at)) {
                Some(role) => role.take(&line.value.replace('%', "%%"), &mut refuse),
                None => refuse("its user cannot be one"),
            },
            "pattern" => {
                if let Some(everyone) = roles.get_mut(1) {
                    everyone.take(&pattern(&line.value), &mut refuse);
                }
            }
            _ => refuse("it is topic, user or pattern"),
        }
    }
    let written: Vec<String> = roles.iter().filter_map(Role::written).collect();
    format!("{HEADER}{}", written.concat())
}

fn note(line: &Line, why: &str) -> Note {
    Note {
        place: Some((ACL, line.number)),
        ..line.note(why)
    }
}

/// A percent sign that stands for nothing is one.
fn pattern(text: &str) -> String {
    let escaped = text.replace('%', "%%");
    escaped.replace("%%c", "%c").replace("%%u", "%u")
}

/// Whether a role can have this in its lists of these names.
fn holds(keys: &[&str], text: &str) -> bool {
    let list = toml::Value::Array(vec![toml::Value::String(text.to_owned())]);
    let lists: String = keys.iter().map(|key| format!("{key} = {list}\n")).collect();
    Rules::parse(&format!("[[role]]\nname = \"x\"\n{lists}"), "").is_ok()
}

impl Role {
    fn named(name: &str, member: Option<&str>) -> Self {
        Role {
            name: name.to_owned(),
            member: member.map(str::to_owned),
            ..Role::default()
        }
    }

    /// Takes `[read|write|readwrite|deny] TOPIC`.
    fn take(&mut self, rule: &str, refuse: &mut impl FnMut(&str)) {
        let (word, rest) = rule.split_once([' ', '\t']).unwrap_or((rule, ""));
        let (right, topic) = match word {
            "read" => (Right::Read, rest),
            "write" => (Right::Write, rest),
            "readwrite" => (Right::ReadWrite, rest),
            "deny" => (Right::Deny, rest),
            _ => (Right::ReadWrite, rule),
        };
        let topic = topic.trim();
        match topic {
            "" => refuse("it names no topic"),
            _ if topic.starts_with('$') => self.take_reserved(right, topic, refuse),
            _ if !topic.contains(['/', '+', '#']) => self.take_inbox(right, topic, refuse),
            _ if !holds(&["publish", "subscribe"], topic) => {
                refuse("it is no topic filter: + and # are whole levels, and # is the last one")
            }
            _ => self.take_topic(right, topic),
        }
    }

    fn take_topic(&mut self, right: Right, topic: &str) {
        let lists = match right {
            Right::Read => vec![&mut self.subscribe],
            Right::Write => vec![&mut self.publish],
            Right::ReadWrite => vec![&mut self.publish, &mut self.subscribe],
            Right::Deny => vec![&mut self.deny_publish, &mut self.deny_subscribe],
        };
        lists.into_iter().for_each(|list| list.push(topic.to_owned()));
        // For Mosquitto these have topics of one level, too.
        if matches!(topic, "#" | "+" | "+/#") {
            match right {
                Right::Read => {}
                Right::Write | Right::ReadWrite => self.write_to.push("*".to_owned()),
                Right::Deny => self.deny_write_to.push("*".to_owned()),
            }
        }
    }

    fn take_inbox(&mut self, right: Right, owner: &str, refuse: &mut impl FnMut(&str)) {
        // A star at the end would stand for others.
        if owner.contains('*') || !holds(&["write_to"], owner) {
            return refuse("it is an inbox, and no client ID of a rule can be written so");
        }
        match right {
            Right::Read => {}
            Right::Write | Right::ReadWrite => self.write_to.push(owner.to_owned()),
            Right::Deny => self.deny_write_to.push(owner.to_owned()),
        }
        if matches!(right, Right::Read | Right::ReadWrite) {
            refuse("a topic of one level is the inbox of the client of that name, and only that client reads it");
        }
    }

    fn take_reserved(&mut self, right: Right, topic: &str, refuse: &mut impl FnMut(&str)) {
        let list = match right {
            Right::Read | Right::ReadWrite => &mut self.subscribe,
            Right::Deny => &mut self.deny_subscribe,
            Right::Write => return refuse("topics that begin with $ are the broker's to publish to"),
        };
        match holds(&["subscribe"], topic) {
            true => list.push(topic.to_owned()),
            false => return refuse("it is no topic filter: + and # are whole levels, and # is the last one"),
        }
        if right == Right::ReadWrite {
            refuse("only reading was taken: topics that begin with $ are the broker's to publish to");
        }
    }

    fn written(&self) -> Option<String> {
        let lists = [
            ("publish", &self.publish),
            ("deny_publish", &self.deny_publish),
            ("subscribe", &self.subscribe),
            ("deny_subscribe", &self.deny_subscribe),
            ("write_to", &self.write_to),
            ("deny_write_to", &self.deny_write_to),
        ];
        if lists.iter().all(|(_, list)| list.is_empty()) {
            return None;
        }
        let array = |texts: &[String]| toml::Value::Array(texts.iter().cloned().map(toml::Value::String).collect());
        let mut text = format!("\n[[role]]\nname = \"{}\"\n", self.name);
        if let Some(member) = &self.member {
            text += &format!("members = {}\n", array(std::slice::from_ref(member)));
        }
        for (key, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
            text += &format!("{key} = {}\n", array(list));
        }
        Some(text)
    }
}
