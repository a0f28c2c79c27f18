//! Directives that become a key of inboxd.

use std::ops::RangeInclusive;

use inbox_bridge::format_size;

use super::lines::Line;
use super::spans::{expiration, number, truth};

/// MQTT packets end at 256 MiB.
const MESSAGE_BYTES_MAX: i64 = 255 << 20;
/// The least `memory.budget` beside the default cache.
const BUDGET_MIN: i64 = 192 << 20;
const WIDE_MAX: i64 = u16::MAX as i64;
const MANY_MAX: i64 = 10_000_000;

/// What becomes of a directive.
#[derive(Debug)]
pub(super) enum Meaning {
    /// A key gets this value, as TOML.
    Key(&'static str, String),
    /// It says what holds anyway.
    Same,
    /// It is not taken, for this reason.
    Refused(String),
    /// It is about something else than single keys.
    Other,
}

use Meaning::{Key, Same};

/// What a directive about the whole broker means.
pub(super) fn meaning(line: &Line) -> Meaning {
    let value = line.value.as_str();
    match line.name.as_str() {
        "max_packet_size" => bytes(value, "mqtt.message_bytes_max", 1..=MESSAGE_BYTES_MAX),
        "message_size_limit" if number(value) == Some(0) => Key("mqtt.message_bytes_max", "\"255MiB\"".to_owned()),
        "message_size_limit" => bytes(value, "mqtt.message_bytes_max", 1..=MESSAGE_BYTES_MAX),
        "max_queued_messages" => count(value, "mqtt.queue_messages_max", 1..=MANY_MAX),
        "max_queued_bytes" => bytes(value, "mqtt.queue_bytes_max", 1024..=1 << 40),
        "max_inflight_messages" if number(value) == Some(0) => Key("mqtt.in_flight_max", WIDE_MAX.to_string()),
        "max_inflight_messages" => count(value, "mqtt.in_flight_max", 1..=WIDE_MAX),
        "max_topic_alias" => count(value, "mqtt.topic_alias_max", 0..=WIDE_MAX),
        "max_keepalive" => match number(value).filter(|seconds| (0..=WIDE_MAX).contains(seconds)) {
            Some(seconds) => Key("mqtt.keep_alive_max", format!("\"{seconds}s\"")),
            None => refused("it is 0 to 65535 seconds"),
        },
        "global_max_connections" => count(value, "mqtt.connections_max", 1..=MANY_MAX),
        "global_max_clients" => count(value, "mqtt.sessions_max", 0..=MANY_MAX),
        "memory_limit" => bytes(value, "memory.budget", BUDGET_MIN..=1 << 50),
        "persistent_client_expiration" => match expiration(value) {
            Some(span) => Key("mqtt.session_expiry_max", format!("\"{span}\"")),
            None => refused("it is a number and one of h, d, w, m, y"),
        },
        "retain_available" => match truth(value) {
            Some(true) => Same,
            Some(false) => Key("router.retained_messages_max", "0".to_owned()),
            None => refused("it is true or false"),
        },
        "persistence" => refused(match truth(value) {
            Some(false) => "mail is always on disk: that is what inboxes are for",
            _ => {
                "mail always is; sessions, retained messages and what waits for ordinary topics are in memory, and gone after a restart"
            }
        }),
        _ => Meaning::Other,
    }
}

fn refused(why: &str) -> Meaning {
    Meaning::Refused(why.to_owned())
}

fn count(value: &str, key: &'static str, range: RangeInclusive<i64>) -> Meaning {
    match number(value).filter(|number| range.contains(number)) {
        Some(number) => Key(key, number.to_string()),
        None => out_of(key, &range.start().to_string(), &range.end().to_string()),
    }
}

fn bytes(value: &str, key: &'static str, range: RangeInclusive<i64>) -> Meaning {
    let size = |bytes: i64| format_size(bytes.unsigned_abs());
    match number(value).filter(|number| range.contains(number)) {
        Some(number) => Key(key, format!("\"{}\"", size(number))),
        None => out_of(key, &size(*range.start()), &size(*range.end())),
    }
}

fn out_of(key: &str, least: &str, most: &str) -> Meaning {
    Meaning::Refused(format!(
        "{key} is {least} to {most}; without a value here its default holds (inboxd.example.toml)"
    ))
}
