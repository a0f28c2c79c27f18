//! Averages of rates over the last minutes, as Mosquitto's `$SYS/broker/load/` has them: per minute, each interval weighing less by age
//! (an exponential moving average).

use std::time::Duration;

/// The averages of one number that grows.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Load {
    last: u64,
    /// Over 1, 5 and 15 minutes; per minute.
    averages: [f64; 3],
}

pub(super) const MINUTES: [u32; 3] = [1, 5, 15];

impl Load {
    /// The number is `total` now, `elapsed` after the last time.
    pub(super) fn note(&mut self, total: u64, elapsed: Duration) -> [f64; 3] {
        let seconds = elapsed.as_secs_f64();
        if seconds > 0.0 {
            let per_minute = total.saturating_sub(self.last) as f64 * 60.0 / seconds;
            for (average, minutes) in self.averages.iter_mut().zip(MINUTES) {
                let keeps = (-seconds / (60.0 * f64::from(minutes))).exp();
                *average = per_minute + keeps * (*average - per_minute);
            }
        }
        self.last = total;
        self.averages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_rate_becomes_the_average_and_goes_away_again() {
        // Goal: after many minutes at 10 a second the averages are 600 a minute; after one minute of silence the first is down to 1/e.
        let mut load = Load::default();
        let mut total = 0;
        for _ in 0..1_000 {
            total += 100;
            load.note(total, Duration::from_secs(10));
        }
        let [one, _, fifteen] = load.averages;
        assert!(
            (one - 600.0).abs() < 0.1 && (fifteen - 600.0).abs() < 1.0,
            "{one} {fifteen}"
        );
        for _ in 0..6 {
            load.note(total, Duration::from_secs(10));
        }
        let [one, _, fifteen] = load.averages;
        assert!(
            (one - 600.0 / std::f64::consts::E).abs() < 1.0 && fifteen > 550.0,
            "{one} {fifteen}"
        );
    }
}
