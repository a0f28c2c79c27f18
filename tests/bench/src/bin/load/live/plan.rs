//! Who writes to whom, and when.

use crate::asks::Asks;
use crate::options::Pace;

pub(super) const SECOND_NS: u64 = 1_000_000_000;

/// What to drive.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) name: &'static str,
    /// Publisher p writes to inbox p modulo the readers.
    pub(crate) publishers: usize,
    pub(crate) readers: usize,
    pub(crate) pace: &'a Pace,
}

impl Plan<'_> {
    /// How many receipts senders are told for a message.
    pub(crate) fn receipts(&self) -> u64 {
        self.pace.asks.map_or(0, Asks::receipts)
    }

    /// Whether there are any.
    pub(crate) fn tells_senders(&self) -> bool {
        self.receipts() > 0
    }
}

/// When things happen, in nanoseconds of the run's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule {
    /// Publishing begins.
    pub(super) begin: u64,
    /// Messages due from now on count in the latencies.
    pub(super) measure_from: u64,
    /// Nothing is due any more.
    pub(crate) measure_to: u64,
}

impl Schedule {
    /// Whether what is due then counts in the latencies.
    pub(crate) fn measures(&self, due_ns: u64) -> bool {
        (self.measure_from..self.measure_to).contains(&due_ns)
    }

    /// When message `number` of publisher `index` is due at `rate` messages/s: the publishers take turns.
    pub(crate) fn due_ns(&self, publishers: usize, rate: u64, index: usize, number: u64) -> u64 {
        let place = u128::from(number) * publishers as u128 + index as u128;
        let after_ns = place * u128::from(SECOND_NS) / u128::from(rate);
        self.begin.saturating_add(u64::try_from(after_ns).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the open loop sends exactly at its rate, whosever turn it is, from the beginning of the schedule.
    #[test]
    fn the_schedule_keeps_its_rate() {
        let schedule = Schedule {
            begin: 500,
            measure_from: 1000,
            measure_to: 2000,
        };
        let due: Vec<u64> = [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1)]
            .map(|(index, number)| schedule.due_ns(3, 1000, index, number) - 500)
            .to_vec();
        assert_eq!(due, [0, 1_000_000, 2_000_000, 3_000_000, 4_000_000]);
        assert_eq!(schedule.due_ns(3, 10_000_000, 0, u64::MAX), u64::MAX);
        assert!(schedule.measures(1000) && schedule.measures(1999) && !schedule.measures(2000));
    }
}
