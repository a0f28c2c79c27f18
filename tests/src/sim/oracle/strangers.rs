//! Who is a stranger to whom, and how many messages strangers wrote (contract rule 2, `inbox.strangers_max`).

use std::collections::{BTreeMap, BTreeSet};

use super::fading::Fading;
use crate::sim::users::{Bearer, party};

/// What a party knows of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
enum Known {
    #[default]
    Nothing,
    /// It wrote so many messages.
    Wrote(u32),
    /// It was written to.
    Met,
}

type Key = (&'static str, &'static str);

/// See the module's documentation.
pub(super) struct Strangers {
    most: u32,
    known: BTreeMap<Key, Fading<Known>>,
}

impl Strangers {
    pub(super) fn new(most: u32) -> Self {
        Strangers {
            most,
            known: BTreeMap::new(),
        }
    }

    fn of(&self, key: Key) -> BTreeSet<Known> {
        let nothing = || BTreeSet::from([Known::Nothing]);
        self.known.get(&key).map_or_else(nothing, |known| known.now().clone())
    }

    /// What the owner may know of a sender: as the party that its client ID says, and as its user.
    fn pairs(&self, who: Bearer, to: usize) -> Vec<(Known, Known)> {
        let (by_id, by_user) = ((party(to), party(who.client)), (party(to), who.user()));
        let all = self.of(by_id);
        if by_id == by_user {
            return all.into_iter().map(|known| (known, known)).collect();
        }
        let by_user = self.of(by_user);
        let with = |id| by_user.iter().map(move |user| (id, *user));
        all.into_iter().flat_map(with).collect()
    }

    fn allows(&self, (by_id, by_user): (Known, Known)) -> bool {
        by_id == Known::Met || !matches!(by_user, Known::Wrote(messages) if messages >= self.most)
    }

    /// Whether the sender may write there, and whether it may not: both, where a crash has made that uncertain.
    pub(super) fn judge(&self, who: Bearer, to: usize) -> (bool, bool) {
        if who.user() == party(to) {
            return (true, false);
        }
        let pairs = self.pairs(who, to);
        let may = pairs.iter().any(|pair| self.allows(*pair));
        (may, pairs.iter().any(|pair| !self.allows(*pair)))
    }

    /// The sender wrote there; if not `for_certain`, perhaps not. Whoever passes by the limit writes whatever is known.
    pub(super) fn wrote(&mut self, who: Bearer, to: usize, for_certain: bool, tick: u64) {
        if who.user() == party(to) {
            return;
        }
        let (own, theirs) = ((party(who.client), party(to)), (party(to), who.user()));
        // A client that writes to its own inbox has met itself.
        let is_self = own == (party(to), party(who.client));
        let mut after = BTreeSet::new();
        for pair in self.pairs(who, to) {
            let allows = who.token.is_service || self.allows(pair);
            if !for_certain || !allows {
                after.insert(pair.1);
            }
            if allows {
                after.insert(match pair {
                    (Known::Met, known) => known,
                    (_, known) if is_self => known,
                    (_, Known::Nothing) => Known::Wrote(1),
                    (_, Known::Wrote(messages)) => Known::Wrote(messages + 1),
                    (_, Known::Met) => Known::Met,
                });
            }
        }
        let mut met = BTreeSet::from([Known::Met]);
        let denies = !who.token.is_service && self.judge(who, to).1;
        if denies || !for_certain {
            met.extend(self.of(own));
        }
        self.known.entry(theirs).or_default().change(tick, after);
        self.known.entry(own).or_default().change(tick, met);
    }

    pub(super) fn settle(&mut self, tick: u64) {
        self.known.values_mut().for_each(|known| known.settle(tick));
    }

    pub(super) fn crash(&mut self) {
        self.known.values_mut().for_each(Fading::crash);
    }
}
