//! Text that somebody else chose, in a form that neither breaks a line nor steers a terminal.
//!
//! MQTT lets a client ID or a topic hold line feeds, terminal sequences and marks that turn the direction of text (MQTT 5, section
//! 1.5.4 only advises against them). A log is read line by line, so a client could forge records with them.

use std::fmt::{self, Write};

/// Whether a terminal or an editor would act on `c` instead of showing it.
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c,
            // Direction: marks, embeddings, overrides, isolates.
            '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            // Line and paragraph separators.
            | '\u{2028}' | '\u{2029}'
            // Without width: what differs must look different.
            | '\u{00ad}' | '\u{180e}' | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2064}' | '\u{206a}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Passes text on to a writer, with [`steers`] characters as `\n`, `\u{1b}` and the like.
pub(super) struct Escaping<'w, W>(pub(super) &'w mut W);

impl<W: Write> Write for Escaping<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(steers) {
            let (plain, from) = rest.split_at(at);
            self.0.write_str(plain)?;
            let mut chars = from.chars();
            if let Some(c) = chars.next() {
                write!(self.0, "{}", c.escape_default())?;
            }
            rest = chars.as_str();
        }
        self.0.write_str(rest)
    }
}

/// `text` in one line that is safe to show.
pub fn in_one_line(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    // Writing to a string cannot fail.
    let _ = Escaping(&mut shown).write_str(text);
    shown
}

/// A JSON document in which strings hold no [`steers`] character as it is. JSON lets most of them stand; outside of strings there
/// are none but line breaks, which `document` must not have.
pub fn json_in_one_line(document: &str) -> String {
    let mut shown = String::with_capacity(document.len());
    for c in document.chars() {
        if steers(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                // Writing to a string cannot fail.
                let _ = write!(shown, "\\u{unit:04x}");
            }
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Writes the value of a field: as it is where it is one plain word, else in quotes, so that it cannot be taken for more fields.
pub(super) fn write_value(out: &mut impl Write, value: &str) -> fmt::Result {
    let is_word =
        !value.is_empty() && !value.contains(|c: char| c.is_whitespace() || matches!(c, '"' | '\\') || steers(c));
    if is_word {
        return out.write_str(value);
    }
    out.write_char('"')?;
    for c in value.chars() {
        match c {
            '"' | '\\' => write!(out, "\\{c}")?,
            c if steers(c) => write!(out, "{}", c.escape_default())?,
            c => out.write_char(c)?,
        }
    }
    out.write_char('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHOSEN: &str = "eve\n2026 ERROR \x1b[2J\u{9b}0m \u{202e}x\u{2066}\u{2028}\u{e0041}\u{7f}";

    #[test]
    fn nothing_that_steers_is_left() {
        // Goal: line feeds, terminal sequences of both widths, and marks of direction are shown, not obeyed.
        let plain = in_one_line(CHOSEN);
        assert!(!plain.contains(steers), "{plain:?}");
        assert!(
            plain.starts_with("eve\\n2026 ERROR \\u{1b}[2J\\u{9b}0m \\u{202e}x"),
            "{plain}"
        );
        assert_eq!(in_one_line("größe 日本 \"x\" \\"), "größe 日本 \"x\" \\");
    }

    #[test]
    fn json_says_the_same_as_before() {
        // Goal: a program that reads the document gets what the client chose, a terminal does not.
        let document = serde_json::to_string(CHOSEN).unwrap();
        let shown = json_in_one_line(&document);
        assert!(!shown.contains(steers), "{shown:?}");
        assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), CHOSEN);
    }

    #[test]
    fn a_value_cannot_be_taken_for_another_field() {
        // Goal: a client called `x reason=fine` does not add a field to its own record.
        let value = |text| {
            let mut out = String::new();
            write_value(&mut out, text).unwrap();
            out
        };
        assert_eq!(value("bob"), "bob");
        assert_eq!(value("x reason=fine"), "\"x reason=fine\"");
        assert_eq!(value("say \"hi\"\n\\"), "\"say \\\"hi\\\"\\n\\\\\"");
        assert_eq!(value(""), "\"\"");
    }
}
