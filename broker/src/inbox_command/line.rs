//! One inbox, or one message, as one line: for people, or as JSON.
//!
//! What clients chose (IDs, payloads) is escaped, so that it can neither break a line nor steer a terminal.

use std::borrow::Cow;

use inbox_bridge::hexadecimal;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::logging::json_in_one_line;

/// Most characters of a payload in a line for people.
const PREVIEW_CHARS_MAX: usize = 60;

pub(super) fn list_header() -> String {
    format!("{:>10} {:>14} INBOX", "MESSAGES", "BYTES")
}

pub(super) fn list(client: &str, messages: u64, bytes: u64, json: bool) -> String {
    match json {
        true => json_in_one_line(&json!({ "inbox": client, "messages": messages, "bytes": bytes }).to_string()),
        false => format!("{messages:>10} {bytes:>14} {}", name(client)),
    }
}

/// A message of the API.
#[derive(Debug)]
pub(super) struct Shown<'a> {
    seq: u64,
    /// When it was accepted, and when it leaves, in microseconds since 1970.
    at: u64,
    leaves_at: u64,
    from: &'a str,
    /// The `id` that the recipient will see (contract rule 7).
    id: &'a str,
    qos: u64,
    bytes: u64,
    payload: Cow<'a, [u8]>,
    /// What its sender gave it.
    properties: Map<String, Value>,
}

/// The properties that a message may have.
const PROPERTIES: [&str; 5] = [
    "payload_format",
    "content_type",
    "response_topic",
    "correlation_data_hex",
    "user_properties",
];

impl<'a> Shown<'a> {
    /// `None` where it is none.
    pub(super) fn told(message: &'a Value) -> Option<Self> {
        let number = |name: &str| message.get(name).and_then(Value::as_u64);
        let text = |name: &str| message.get(name).and_then(Value::as_str);
        let given = PROPERTIES
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), message.get(*name)?.clone())));
        Some(Shown {
            seq: number("seq")?,
            at: number("at")?,
            leaves_at: number("expires_at").unwrap_or(u64::MAX),
            from: text("from")?,
            id: text("id")?,
            qos: number("qos")?,
            bytes: number("bytes")?,
            payload: match text("payload") {
                Some(text) => Cow::Borrowed(text.as_bytes()),
                None => Cow::Owned(unhex(text("payload_hex")?)?),
            },
            properties: given.collect(),
        })
    }

    pub(super) fn line(&self, json: bool) -> String {
        match json {
            true => self.json(),
            false => format!(
                "seq={} at={} from={} id={} qos={} bytes={} expires={} payload=\"{}\"",
                self.seq,
                rfc3339(self.at),
                name(self.from),
                name(self.id),
                self.qos,
                self.bytes,
                rfc3339(self.leaves_at),
                preview(&self.payload),
            ),
        }
    }

    fn json(&self) -> String {
        let mut fields = self.properties.clone();
        let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
        put("seq", json!(self.seq));
        put("at", json!(rfc3339(self.at)));
        put("from", json!(self.from));
        put("id", json!(self.id));
        put("qos", json!(self.qos));
        put("bytes", json!(self.bytes));
        put("expires", json!(rfc3339(self.leaves_at)));
        match str::from_utf8(&self.payload) {
            Ok(text) => put("payload", json!(text)),
            Err(_) => put("payload_hex", json!(hexadecimal(&self.payload))),
        };
        json_in_one_line(&Value::Object(fields).to_string())
    }
}

/// A line of an export, which is whole JSON already.
pub(super) fn exported(message: &Value) -> String {
    json_in_one_line(&message.to_string())
}

/// `text` as it is where it cannot be misread, and in quotes with escapes where it could.
pub(crate) fn name(text: &str) -> String {
    let is_plain = !text.is_empty()
        && text
            .chars()
            .all(|c| !c.is_whitespace() && c != '"' && c != '\\' && c.escape_debug().count() == 1);
    if is_plain { text.to_owned() } else { format!("{text:?}") }
}

/// The first characters of a payload; bytes that are not UTF-8, and what a terminal would act on, are escaped.
fn preview(payload: &[u8]) -> String {
    let mut shown = String::new();
    let mut count = 0;
    for chunk in payload.utf8_chunks() {
        let valid = chunk.valid().chars().map(|c| c.escape_debug().to_string());
        let invalid = chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}"));
        for piece in valid.chain(invalid) {
            count += piece.chars().count();
            if count > PREVIEW_CHARS_MAX {
                shown.push('…');
                return shown;
            }
            shown.push_str(&piece);
        }
    }
    shown
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    let byte = |two: &[u8]| u8::from_str_radix(str::from_utf8(two).ok()?, 16).ok();
    digits.map(byte).collect()
}

/// `at`, in microseconds since 1970, in UTC as RFC 3339 writes it, to the microsecond. What is later than the year 9999 is shown as its end.
pub(crate) fn rfc3339(at: u64) -> String {
    let moment = i64::try_from(at)
        .ok()
        .and_then(|us| Timestamp::from_microsecond(us).ok());
    format!("{:.6}", moment.unwrap_or(Timestamp::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339_in_utc() {
        // Goal: dates around leap days and centuries are right (checked against `date -u -d @…`).
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_399, "2000-02-28T23:59:59.000000Z"),
            (951_782_400, "2000-02-29T00:00:00.000000Z"),
            (951_868_800, "2000-03-01T00:00:00.000000Z"),
            (1_735_689_599, "2024-12-31T23:59:59.000000Z"),
            (1_795_247_171, "2026-11-21T07:46:11.000000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000000Z"),
            (253_402_207_199, "9999-12-30T21:59:59.000000Z"),
        ] {
            assert_eq!(rfc3339(seconds * 1_000_000), text);
        }
        assert_eq!(rfc3339(1_000_001), "1970-01-01T00:00:01.000001Z");
        assert_eq!(rfc3339(u64::MAX), "9999-12-30T22:00:00.999999Z");
    }

    #[test]
    fn what_clients_chose_cannot_steer_the_terminal() {
        // Goal: line breaks, escape sequences and text direction marks are shown, not obeyed.
        assert_eq!(preview(b"a\n\x1b[31m\"b\\"), "a\\n\\u{1b}[31m\\\"b\\\\");
        assert_eq!(preview("größe \u{202e}x".as_bytes()), "größe \\u{202e}x");
        assert_eq!(preview(&[b'a', 0xff, 0xfe, b'b']), "a\\xff\\xfeb");
        assert_eq!(name("bob"), "bob");
        assert_eq!(name("a b\n"), "\"a b\\n\"");
        assert_eq!(name(""), "\"\"");
    }

    #[test]
    fn previews_have_at_most_sixty_characters() {
        // Goal: a long payload is cut, between characters and never inside an escape.
        assert_eq!(preview("ä".repeat(60).as_bytes()), "ä".repeat(60));
        assert_eq!(preview("ä".repeat(61).as_bytes()), format!("{}…", "ä".repeat(60)));
        assert_eq!(preview(&[0xff; 16]), format!("{}…", "\\xff".repeat(15)));
        assert_eq!(preview(b""), "");
    }
}
