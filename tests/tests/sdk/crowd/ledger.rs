//! What the peers of a crowd say, and what it must be.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

/// A sender and a recipient.
type Pair = (String, String);

/// The oracle: every `send` that returned is handed once to an application that acknowledges, in order per sender and recipient.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    sent: HashMap<Pair, BTreeSet<usize>>,
    received: HashMap<Pair, BTreeSet<usize>>,
    twice: usize,
    out_of_order: usize,
    /// What else was said: `ready`, `flushed`, `closed LEFT`, and how often.
    said: HashMap<String, usize>,
    /// The first faults, in words.
    faults: Vec<String>,
}

impl Ledger {
    /// `peer` said this line.
    pub(super) fn hear(&mut self, peer: &str, line: &str) {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["sent", to, number] => {
                let pair = (peer.to_owned(), to.to_owned());
                self.sent.entry(pair).or_default().insert(number.parse().unwrap());
            }
            ["got", from, number] => {
                let pair = (from.to_owned(), peer.to_owned());
                self.receive(pair, number.parse().unwrap());
            }
            _ => *self.said.entry(line.to_owned()).or_default() += 1,
        }
    }

    /// So many different messages were handed over.
    pub(super) fn received(&self) -> usize {
        self.received.values().map(BTreeSet::len).sum()
    }

    /// The next number of what `peer` writes to itself.
    pub(super) fn next(&self, peer: &str) -> usize {
        let sent = self.sent.get(&(peer.to_owned(), peer.to_owned()));
        sent.map_or(0, BTreeSet::len)
    }

    /// So many peers said this.
    pub(super) fn said(&self, line: &str) -> usize {
        self.said.get(line).copied().unwrap_or_default()
    }

    /// What was sent and never handed over.
    pub(super) fn lost(&self) -> usize {
        let nothing = BTreeSet::new();
        let lost = |(pair, sent): (&Pair, &BTreeSet<usize>)| {
            let received = self.received.get(pair).unwrap_or(&nothing);
            sent.difference(received).count()
        };
        self.sent.iter().map(lost).sum()
    }

    /// Whether the oracle holds for so many messages.
    pub(super) fn holds(&self, messages: usize) -> bool {
        let sent: usize = self.sent.values().map(BTreeSet::len).sum();
        let as_many = sent == messages && self.received() == messages;
        as_many && [self.lost(), self.twice, self.out_of_order] == [0; 3]
    }

    fn receive(&mut self, pair: Pair, number: usize) {
        let received = self.received.entry(pair.clone()).or_default();
        let expected = received.last().map_or(0, |last| last + 1);
        if !received.insert(number) {
            self.twice += 1;
        } else if number != expected {
            self.out_of_order += 1;
        } else {
            return;
        }
        if self.faults.len() < 20 {
            let (from, to) = pair;
            self.faults
                .push(format!("{from} to {to}: {number} came, and {expected} was to come"));
        }
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (lost, twice, out_of_order) = (self.lost(), self.twice, self.out_of_order);
        write!(
            f,
            "{} handed over, {lost} lost, {twice} twice, {out_of_order} out of order",
            self.received()
        )?;
        self.faults.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}
