//! What was accepted, what arrived, and what that says about the broker.
//!
//! A *stream* is what one publisher sends to one inbox: its messages are numbered 0, 1, 2, …, and must arrive in that
//! order. A message is lost if it was acknowledged and never arrived; duplicated if it arrived again; out of order if it
//! arrived for the first time after a later one had.

/// Most messages of one stream, which bounds what a wrong number from the broker can allocate.
const STREAM_MESSAGES_MAX: u64 = 1 << 26;

/// One account per stream. Workers keep their own and [`Ledger::merge`] adds them up.
#[derive(Debug)]
pub(crate) struct Ledger {
    streams: Vec<Stream>,
    foreign: u64,
}

/// The verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub(crate) struct Verdict {
    /// Different messages that the broker acknowledged.
    pub(crate) accepted: u64,
    /// Different messages that arrived.
    pub(crate) delivered: u64,
    /// Acknowledged, never arrived.
    pub(crate) lost: u64,
    /// Arrivals of what had arrived before.
    pub(crate) duplicated: u64,
    /// First arrivals after a later message of the same stream.
    pub(crate) out_of_order: u64,
    /// Arrivals that this run did not send.
    pub(crate) foreign: u64,
}

#[derive(Debug, Clone, Default)]
struct Stream {
    accepted: Bits,
    delivered: Bits,
    /// One more than the largest number that arrived.
    end: u64,
    duplicated: u64,
    out_of_order: u64,
}

/// A set of message numbers.
#[derive(Debug, Clone, Default)]
struct Bits(Vec<u64>);

impl Ledger {
    /// Empty accounts.
    pub(crate) fn new(streams: usize) -> Self {
        Ledger {
            streams: vec![Stream::default(); streams],
            foreign: 0,
        }
    }

    /// The broker acknowledged message `number` of `stream`.
    pub(crate) fn accepted(&mut self, stream: u32, number: u64) {
        if let Some(account) = self.streams.get_mut(stream as usize)
            && number < STREAM_MESSAGES_MAX
        {
            account.accepted.insert(number);
        }
    }

    /// Message `number` of `stream` arrived. True if it was the first time.
    pub(crate) fn delivered(&mut self, stream: u32, number: u64) -> bool {
        let Some(account) = self
            .streams
            .get_mut(stream as usize)
            .filter(|_| number < STREAM_MESSAGES_MAX)
        else {
            self.foreign += 1;
            return false;
        };
        if !account.delivered.insert(number) {
            account.duplicated += 1;
            return false;
        }
        if number < account.end {
            account.out_of_order += 1;
        } else {
            account.end = number + 1;
        }
        true
    }

    /// Something arrived that is not this run's.
    pub(crate) fn foreign(&mut self) {
        self.foreign += 1;
    }

    /// Adds another worker's accounts. The arrivals of a stream must all be in one of the two.
    pub(crate) fn merge(&mut self, other: &Ledger) {
        for (mine, theirs) in self.streams.iter_mut().zip(&other.streams) {
            mine.accepted.union(&theirs.accepted);
            mine.delivered.union(&theirs.delivered);
            mine.end = mine.end.max(theirs.end);
            mine.duplicated += theirs.duplicated;
            mine.out_of_order += theirs.out_of_order;
        }
        self.foreign += other.foreign;
    }

    /// What the accounts say.
    pub(crate) fn verdict(&self) -> Verdict {
        let mut verdict = Verdict {
            foreign: self.foreign,
            ..Verdict::default()
        };
        for stream in &self.streams {
            verdict.accepted += stream.accepted.count();
            verdict.delivered += stream.delivered.count();
            verdict.lost += stream.accepted.count_without(&stream.delivered);
            verdict.duplicated += stream.duplicated;
            verdict.out_of_order += stream.out_of_order;
        }
        verdict
    }
}

impl Bits {
    /// True if `number` was not there.
    fn insert(&mut self, number: u64) -> bool {
        let (word, bit) = ((number / 64) as usize, 1 << (number % 64));
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        let Some(word) = self.0.get_mut(word) else { return false };
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    fn union(&mut self, other: &Bits) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            *mine |= theirs;
        }
    }

    fn count(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// How many are in `self` and not in `other`.
    fn count_without(&self, other: &Bits) -> u64 {
        let others = other.0.iter().copied().chain(std::iter::repeat(0));
        self.0
            .iter()
            .zip(others)
            .map(|(mine, theirs)| u64::from((mine & !theirs).count_ones()))
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(accepted: &[(u32, u64)], delivered: &[(u32, u64)]) -> Ledger {
        let mut ledger = Ledger::new(2);
        accepted
            .iter()
            .for_each(|&(stream, number)| ledger.accepted(stream, number));
        delivered.iter().for_each(|&(stream, number)| {
            ledger.delivered(stream, number);
        });
        ledger
    }

    /// Goal: a run in which everything arrives once and in order has a clean verdict (contract rules 3, 4 and 6).
    #[test]
    fn a_clean_run() {
        let messages = [(0, 0), (1, 0), (0, 1), (0, 64), (1, 1)];
        let verdict = ledger(&messages, &messages).verdict();
        assert_eq!(
            verdict,
            Verdict {
                accepted: 5,
                delivered: 5,
                ..Verdict::default()
            }
        );
    }

    /// Goal: an acknowledged message that never arrives is lost, one that was not acknowledged is not (rule 3).
    #[test]
    fn only_acknowledged_messages_can_be_lost() {
        let verdict = ledger(&[(0, 0), (0, 1), (0, 200), (1, 5)], &[(0, 0), (0, 2)]).verdict();
        assert_eq!((verdict.accepted, verdict.delivered, verdict.lost), (4, 2, 3));
        assert_eq!((verdict.duplicated, verdict.out_of_order, verdict.foreign), (0, 0, 0));
    }

    /// Goal: a repetition is a duplicate and no disorder, wherever it comes (rule 7).
    #[test]
    fn repetitions_are_duplicates() {
        let verdict = ledger(&[], &[(0, 0), (0, 1), (0, 0), (0, 1), (0, 1), (1, 0)]).verdict();
        assert_eq!((verdict.delivered, verdict.duplicated, verdict.out_of_order), (3, 3, 0));
    }

    /// Goal: a message that comes after a later one is out of order, once, and only within its own stream (rule 6).
    #[test]
    fn late_first_arrivals_are_out_of_order() {
        let verdict = ledger(&[], &[(0, 0), (0, 3), (0, 1), (0, 2), (0, 4), (1, 0)]).verdict();
        assert_eq!((verdict.delivered, verdict.duplicated, verdict.out_of_order), (6, 0, 2));
    }

    /// Goal: numbers that this run cannot have sent are counted, and allocate nothing.
    #[test]
    fn foreign_messages_are_counted() {
        let mut ledger = ledger(&[], &[(2, 0), (0, u64::MAX)]);
        ledger.foreign();
        assert_eq!(
            ledger.verdict(),
            Verdict {
                foreign: 3,
                ..Verdict::default()
            }
        );
    }

    /// Goal: what one worker's publishers had acknowledged and another's readers received is one account.
    #[test]
    fn workers_accounts_add_up() {
        let mut sum = ledger(&[(0, 0), (0, 1), (0, 130)], &[(1, 0), (1, 0)]);
        sum.merge(&ledger(&[(1, 0), (1, 1)], &[(0, 0), (0, 1)]));
        let verdict = sum.verdict();
        assert_eq!(
            (verdict.accepted, verdict.delivered, verdict.lost, verdict.duplicated),
            (5, 3, 2, 1)
        );
    }
}
