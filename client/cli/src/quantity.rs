//! Times as people write them at the command line.

use std::time::Duration;

/// How long to wait; `None` is for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Patience(pub(crate) Option<Duration>);

/// What is wrong with a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a time is a whole number and ms, s, m, h or d, like 30s or 7d")]
pub(crate) struct NoDuration;

/// A time: `500ms`, `30s`, `5m`, `2h`, `7d`.
pub(crate) fn duration(text: &str) -> Result<Duration, NoDuration> {
    let split = text.find(|c: char| !c.is_ascii_digit()).ok_or(NoDuration)?;
    let (number, unit) = text.split_at(split);
    let number: u64 = number.parse().map_err(|_| NoDuration)?;
    let ms = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60 * 1000,
        "h" => 3600 * 1000,
        "d" => 24 * 3600 * 1000,
        _ => return Err(NoDuration),
    };
    number.checked_mul(ms).map(Duration::from_millis).ok_or(NoDuration)
}

/// The same, where 0 is for ever.
pub(crate) fn patience(text: &str) -> Result<Patience, NoDuration> {
    if text == "0" {
        return Ok(Patience(None));
    }
    let time = duration(text)?;
    Ok(Patience((!time.is_zero()).then_some(time)))
}

/// A lifetime: MQTT counts whole seconds.
pub(crate) fn lifetime(text: &str) -> Result<Duration, NoDuration> {
    duration(text).and_then(|time| if time.as_secs() > 0 { Ok(time) } else { Err(NoDuration) })
}

impl std::fmt::Display for Patience {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(time) => write!(f, "{time:?}"),
            None => f.write_str("0"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit() {
        // Goal: every unit; 0 waits for ever; what has no unit, or another one, or overflows, is refused.
        for (text, ms) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("5m", 300_000),
            ("2h", 7_200_000),
            ("1d", 86_400_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for bad in ["", "30", "s", "-1s", "1.5s", "1w", "99999999999999999d", "30 s"] {
            assert_eq!(duration(bad), Err(NoDuration), "{bad}");
        }
        assert_eq!(patience("0"), Ok(Patience(None)));
        assert_eq!(patience("0s"), Ok(Patience(None)));
        assert_eq!(patience("1s"), Ok(Patience(Some(Duration::from_secs(1)))));
        assert_eq!(lifetime("500ms"), Err(NoDuration));
    }
}
