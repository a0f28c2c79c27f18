//! Times as people read them.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The time of a message, with the day if that was another one than today.
pub(crate) fn clock(at_us: Option<u64>, zone: &TimeZone) -> String {
    let at = at_us.and_then(|at| i64::try_from(at).ok());
    let Some(at) = at.and_then(|at| Timestamp::from_microsecond(at).ok()) else {
        return "--:--".to_owned();
    };
    let at = at.to_zoned_datetime(zone.clone());
    let is_today = at.date() == Timestamp::now().to_zoned_datetime(zone.clone()).date();
    let form = if is_today { "%H:%M" } else { "%Y-%m-%d %H:%M" };
    at.strftime(form).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_the_time_of_here() {
        // Goal: hours and minutes of the local zone; a day that is not today is named; a broker that tells no time harms nothing.
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        assert_eq!(clock(Some(1_764_090_000_250_000), &zone), "2025-11-25 19:00");
        assert_eq!(clock(None, &zone), "--:--");
        assert_eq!(clock(Some(u64::MAX), &zone), "--:--");
        let now = u64::try_from(Timestamp::now().as_microsecond()).unwrap();
        assert_eq!(clock(Some(now), &zone).len(), 5);
    }
}
