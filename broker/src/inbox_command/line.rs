//! One inbox, or one message, as one line: for people, or as JSON.
//!
//! What clients chose (IDs, payloads) is escaped, so that it can neither break a line nor steer a terminal.

use std::fmt::Write;

use inbox_bridge::{ClientId, Entry, InboxRecord, Message, Micros, message_id};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::logging::json_in_one_line;

/// Most characters of a payload in a line for people.
const PREVIEW_CHARS_MAX: usize = 60;

pub(super) fn list_header() -> String {
    format!("{:>10} {:>14} INBOX", "MESSAGES", "BYTES")
}

pub(super) fn list(client: &ClientId, record: &InboxRecord) -> String {
    format!("{:>10} {:>14} {}", record.messages, record.bytes, name(client.as_str()))
}

pub(super) fn list_json(client: &ClientId, record: &InboxRecord) -> String {
    json_in_one_line(
        &json!({ "inbox": client.as_str(), "messages": record.messages, "bytes": record.bytes }).to_string(),
    )
}

pub(super) fn show(entry: &Entry) -> String {
    let message = &entry.message;
    format!(
        "seq={} at={} from={} id={} qos={} bytes={} expires={} payload=\"{}\"",
        entry.seq,
        rfc3339(message.at),
        name(message.from.as_str()),
        name(&id(entry)),
        message.qos as u8,
        message.size(),
        rfc3339(leaves_at(message)),
        preview(&message.payload),
    )
}

pub(super) fn show_json(entry: &Entry) -> String {
    let message = &entry.message;
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    put("seq", json!(entry.seq.0));
    put("at", json!(rfc3339(message.at)));
    put("from", json!(message.from.as_str()));
    put("id", json!(id(entry)));
    put("qos", json!(message.qos as u8));
    put("bytes", json!(message.size()));
    put("expires", json!(rfc3339(leaves_at(message))));
    match std::str::from_utf8(&message.payload) {
        Ok(text) => put("payload", json!(text)),
        Err(_) => put("payload_hex", json!(hex(&message.payload))),
    };
    if let Some(properties) = &message.properties {
        if let Some(format) = properties.payload_format {
            put("payload_format", json!(format as u8));
        }
        if let Some(content_type) = &properties.content_type {
            put("content_type", json!(content_type));
        }
        if let Some(topic) = &properties.response_topic {
            put("response_topic", json!(topic));
        }
        if let Some(data) = &properties.correlation_data {
            put("correlation_data_hex", json!(hex(data)));
        }
        if !properties.user.is_empty() {
            put("user_properties", json!(properties.user));
        }
    }
    json_in_one_line(&Value::Object(fields).to_string())
}

/// The `id` that the recipient will see (contract rule 7).
fn id(entry: &Entry) -> String {
    entry
        .message
        .id
        .as_ref()
        .map_or_else(|| message_id(entry.seq), |id| id.to_string())
}

/// `text` as it is where it cannot be misread, and in quotes with escapes where it could.
fn name(text: &str) -> String {
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

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// When its time is over, by the clock that it was accepted by.
fn leaves_at(message: &Message) -> Micros {
    Micros(message.at.0.saturating_add(message.expiry.lives()))
}

/// `at` in UTC as RFC 3339 writes it, to the microsecond. What is later than the year 9999 is shown as its end.
fn rfc3339(at: Micros) -> String {
    let moment = i64::try_from(at.0)
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
            assert_eq!(rfc3339(Micros(seconds * 1_000_000)), text);
        }
        assert_eq!(rfc3339(Micros(1_000_001)), "1970-01-01T00:00:01.000001Z");
        assert_eq!(rfc3339(Micros(u64::MAX)), "9999-12-30T22:00:00.999999Z");
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
