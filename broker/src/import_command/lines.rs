//! The lines of a `mosquitto.conf`: a directive, and the rest of the line is its value.

use super::Note;

/// What the files are called in notes.
pub(super) const CONF: &str = "mosquitto.conf";

/// A directive of Mosquitto.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// From 1 on.
    pub(super) number: usize,
    pub(super) name: String,
    /// What follows, without spaces around it.
    pub(super) value: String,
}

impl Line {
    /// Why it was not taken, or not as it is.
    pub(super) fn note(&self, why: impl Into<String>) -> Note {
        Note {
            place: Some((CONF, self.number)),
            text: self.text(),
            why: why.into(),
        }
    }

    /// The name without what was glued to it by mistake.
    pub(super) fn bare_name(&self) -> &str {
        self.name.split('=').next().unwrap_or_default()
    }

    /// As it is in the file, but for a value that may be a secret: it goes to terminals and into files that are shown to others.
    pub(super) fn text(&self) -> String {
        match is_secret(&self.name) {
            true => format!("{} (its value is not shown)", self.bare_name()),
            false => format!("{} {}", self.name, self.value).trim_end().to_owned(),
        }
    }
}

/// Whether a directive of this name may have a secret as its value: names of plugins' options can be anything, and so can misspelt ones.
fn is_secret(name: &str) -> bool {
    const WORDS: [&str; 6] = ["pass", "pasw", "pwd", "secret", "token", "psk"];
    let name = name.to_ascii_lowercase();
    let is_option = ["auth_opt_", "plugin_opt_"]
        .iter()
        .any(|beginning| name.starts_with(beginning));
    is_option || !name.ends_with("_file") && WORDS.iter().any(|word| name.contains(word))
}

/// Every directive of a file. What is no UTF-8 is replaced, and control characters are.
pub(super) fn lines(text: &[u8]) -> Vec<Line> {
    let text = String::from_utf8_lossy(text);
    let numbered = text.lines().enumerate().map(|(at, line)| (at + 1, plain(line.trim())));
    let said = numbered.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    said.map(|(number, line)| {
        let (name, value) = line.split_once([' ', '\t']).unwrap_or((&line, ""));
        Line {
            number,
            name: name.to_owned(),
            value: value.trim().to_owned(),
        }
    })
    .collect()
}

/// Without characters that can be in no comment of TOML and steer a terminal.
pub(super) fn plain(text: &str) -> String {
    let shown = |c: char| match c.is_control() && c != '\t' || is_direction(c) {
        true => char::REPLACEMENT_CHARACTER,
        false => c,
    };
    text.chars().map(shown).collect()
}

/// Marks that turn the direction of text around.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
