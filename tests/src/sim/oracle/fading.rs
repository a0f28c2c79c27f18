//! What a value may be that the broker keeps in memory at once and on the disk a little later.

use std::collections::{BTreeSet, VecDeque};

/// What a value may be. After a crash it is one that it had since the last one that is safe for certain: changes reach the disk in order.
#[derive(Debug)]
pub(super) struct Fading<T> {
    safe: BTreeSet<T>,
    /// What it may have been after each change, and the tick of that.
    since: VecDeque<(u64, BTreeSet<T>)>,
}

impl<T: Ord + Clone + Default> Default for Fading<T> {
    fn default() -> Self {
        Fading {
            safe: BTreeSet::from([T::default()]),
            since: VecDeque::new(),
        }
    }
}

impl<T: Ord + Clone> Fading<T> {
    pub(super) fn now(&self) -> &BTreeSet<T> {
        self.since.back().map_or(&self.safe, |(_, now)| now)
    }

    pub(super) fn change(&mut self, tick: u64, to: BTreeSet<T>) {
        if to != *self.now() {
            self.since.push_back((tick, to));
        }
    }

    /// What it was at this tick is safe.
    pub(super) fn settle(&mut self, tick: u64) {
        while self.since.front().is_some_and(|(at, _)| *at <= tick) {
            if let Some((_, safe)) = self.since.pop_front() {
                self.safe = safe;
            }
        }
    }

    pub(super) fn crash(&mut self) {
        for (_, one) in std::mem::take(&mut self.since) {
            self.safe.extend(one);
        }
    }
}
