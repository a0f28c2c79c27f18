//! Numbers and times of Mosquitto in the form and the range of inboxd, and texts as TOML.

use std::path::Path;

const DAY: u64 = 24 * 3600;

/// A number that may be negative, where that means "no limit".
pub(super) fn number(value: &str) -> Option<i64> {
    value.parse().ok()
}

/// A switch, as Mosquitto reads it.
pub(super) fn truth(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

/// `2m`, `14d`, `1y`: hours, days, weeks, months and years; as a duration of inboxd.
pub(super) fn expiration(value: &str) -> Option<String> {
    let unit = value.chars().last()?;
    let amount: u64 = value.strip_suffix(unit)?.trim().parse().ok()?;
    let seconds = match unit {
        'h' => 3600,
        'd' => DAY,
        'w' => 7 * DAY,
        'm' => 30 * DAY,
        'y' => 365 * DAY,
        _ => return None,
    };
    // What is longer than can be said means "never" in both.
    let total = amount.checked_mul(seconds)?.min(u64::from(u32::MAX) - 1);
    Some(match total % DAY {
        0 => format!("{}d", total / DAY),
        _ if total % 3600 == 0 => format!("{}h", total / 3600),
        _ => format!("{total}s"),
    })
}

/// A text as TOML.
pub(super) fn toml_text(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// A path as TOML.
pub(super) fn toml_path(path: &Path) -> String {
    toml_text(&path.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_mosquitto_are_read() {
        // Goal: each unit of persistent_client_expiration, and nothing else.
        for (text, expected) in [
            ("36h", Some("36h")),
            ("48h", Some("2d")),
            ("14d", Some("14d")),
            ("2w", Some("14d")),
            ("2m", Some("60d")),
            ("1y", Some("365d")),
            ("1000y", Some("4294967294s")),
            ("5", None),
            ("d", None),
            ("-1d", None),
            ("99999999999999999999y", None),
            ("1é", None),
        ] {
            assert_eq!(expiration(text).as_deref(), expected, "{text}");
        }
    }
}
