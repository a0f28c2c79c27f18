//! A stored message as JSON.

use inbox_bridge::{Entry, Properties, hexadecimal, message_id};
use serde_json::{Map, Value, json};

/// The message as a line of an export: whole.
pub fn exported(entry: &Entry) -> Value {
    shown(entry, usize::MAX)
}

/// The message, with at most so many bytes of its payload.
pub(super) fn shown(entry: &Entry, payload_bytes_max: usize) -> Value {
    let message = &entry.message;
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    put("seq", json!(entry.seq.0));
    put("at", json!(message.at.0));
    put("from", json!(message.from.as_str()));
    put("id", json!(message_id(message.id.as_deref(), entry.seq)));
    put("qos", json!(message.qos as u8));
    put("bytes", json!(message.size()));
    put("expires_at", json!(message.at.0.saturating_add(message.expiry.lives())));
    let truncated = message.payload.len() > payload_bytes_max;
    let payload = message.payload.get(..payload_bytes_max).unwrap_or(&message.payload);
    match readable(payload, truncated) {
        Some(text) => put("payload", json!(text)),
        None => put("payload_hex", json!(hexadecimal(payload))),
    };
    put("payload_bytes", json!(message.payload.len()));
    put("truncated", json!(truncated));
    fields.extend(message.properties.as_deref().map(properties).unwrap_or_default());
    Value::Object(fields)
}

/// What a message says of its payload, as JSON, by the names that exports have.
pub fn properties(given: &Properties) -> Map<String, Value> {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    if let Some(format) = given.payload_format {
        put("payload_format", json!(format as u8));
    }
    if let Some(content_type) = &given.content_type {
        put("content_type", json!(content_type));
    }
    if let Some(topic) = &given.response_topic {
        put("response_topic", json!(topic));
    }
    if let Some(data) = &given.correlation_data {
        put("correlation_data_hex", json!(hexadecimal(data)));
    }
    if !given.user.is_empty() {
        put("user_properties", json!(given.user));
    }
    fields
}

/// The payload as text, if it is UTF-8. One that was cut may end in the middle of a character.
fn readable(payload: &[u8], truncated: bool) -> Option<&str> {
    match std::str::from_utf8(payload) {
        Ok(text) => Some(text),
        Err(error) if truncated && error.error_len().is_none() => {
            std::str::from_utf8(payload.get(..error.valid_up_to())?).ok()
        }
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_that_is_cut_within_a_character_is_text_nevertheless() {
        // Goal: the beginning of a text stays text; bytes that are none are told as such.
        let text = "größe".as_bytes();
        assert_eq!(readable(&text[..3], true), Some("gr"));
        assert_eq!(readable(&text[..4], true), Some("grö"));
        assert_eq!(readable(&text[..3], false), None);
        assert_eq!(readable(&[0xff, 0xfe, b'a'], true), None);
    }
}
