//! Durations and sizes as people write them: `"10s"`, `"30d"`, `"256KiB"`.

use std::time::Duration;

/// Duration units with their milliseconds, largest first.
const DURATION_UNITS: [(&str, u64); 5] = [
    ("d", 24 * 3600 * 1000),
    ("h", 3600 * 1000),
    ("m", 60 * 1000),
    ("s", 1000),
    ("ms", 1),
];

/// Size units with their bytes, largest first.
const SIZE_UNITS: [(&str, u64); 5] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

/// Reads a whole number and its unit (ms, s, m, h or d); `None` for anything else, and beyond 64 bits of milliseconds.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let (_, millis) = DURATION_UNITS.iter().find(|(name, _)| *name == unit)?;
    number.checked_mul(*millis).map(Duration::from_millis)
}

/// Writes `duration`, to the millisecond, so that [`parse_duration`] reads it back.
pub fn format_duration(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if millis == 0 {
        return "0s".to_owned();
    }
    largest_exact(millis, &DURATION_UNITS)
}

/// Reads a whole number of bytes, with or without a unit (B, KiB, MiB, GiB, TiB; the case does not matter).
pub fn parse_size(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    if unit.is_empty() {
        return Some(number);
    }
    let (_, bytes) = SIZE_UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    number.checked_mul(*bytes)
}

/// Writes `bytes` so that [`parse_size`] reads it back.
pub fn format_size(bytes: u64) -> String {
    if bytes == 0 {
        return "0B".to_owned();
    }
    largest_exact(bytes, &SIZE_UNITS)
}

/// The digits at the start as a number, and what follows them; blanks around both are ignored.
fn split(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at_checked(end)?;
    Some((digits.parse().ok()?, unit.trim_start()))
}

/// `amount` in the largest unit that divides it; `units` end with the unit of `amount`, so one always does.
fn largest_exact(amount: u64, units: &[(&str, u64)]) -> String {
    units
        .iter()
        .find(|(_, factor)| amount.is_multiple_of(*factor))
        .map_or_else(
            || amount.to_string(),
            |(name, factor)| format!("{}{name}", amount / factor),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit_and_survive_a_round_trip() {
        // Goal: every duration that is written can be read back, and a bare number is never taken for one.
        for (text, millis) in [
            ("10s", 10_000),
            ("200ms", 200),
            ("30d", 2_592_000_000),
            ("90m", 5_400_000),
            ("0s", 0),
        ] {
            assert_eq!(parse_duration(text), Some(Duration::from_millis(millis)), "{text}");
            assert_eq!(
                parse_duration(&format_duration(Duration::from_millis(millis))),
                parse_duration(text),
                "{text}"
            );
        }
        assert_eq!(format_duration(Duration::from_secs(7 * 24 * 3600)), "7d");
        assert_eq!(format_duration(Duration::from_millis(1500)), "1500ms");
        assert_eq!(parse_duration(" 5 s "), Some(Duration::from_secs(5)));
        for bad in [
            "",
            "10",
            "s",
            "-1s",
            "1.5s",
            "10S",
            "10sec",
            "1h30m",
            "99999999999999999999s",
            "9999999999999999d",
        ] {
            assert_eq!(parse_duration(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn sizes_are_binary_and_survive_a_round_trip() {
        // Goal: every size that is written can be read back; decimal units, which people use for both, are refused.
        for (text, bytes) in [
            ("1MiB", 1 << 20),
            ("256KiB", 256 << 10),
            ("2gib", 2 << 30),
            ("1 TiB", 1 << 40),
            ("7", 7),
        ] {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
            assert_eq!(parse_size(&format_size(bytes)), Some(bytes), "{text}");
        }
        assert_eq!(format_size(128 << 20), "128MiB");
        assert_eq!(format_size(1000), "1000B");
        assert_eq!(format_size(0), "0B");
        for bad in ["", "MiB", "1MB", "1M", "1.5MiB", "-1", "1e3", "99999999TiB"] {
            assert_eq!(parse_size(bad), None, "{bad:?}");
        }
    }
}
