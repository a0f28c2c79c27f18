//! Who holds how much of one inbox: the books behind `inbox.sender_share`.
//!
//! ```text
//!            the last page was read
//!  Counting ────────────────────────▶ Complete
//! ```
//!
//! They are begun when the inbox holds more than one sender may, which without them says nothing about anybody, and are made from what the store
//! holds, page by page. Nothing of them is on disk: a restart, or an inbox that was forgotten, begins them anew. Each message is in them by its
//! seq, so that it leaves them with what only its seq is known of, and counts once however often it is told of. That takes about
//! [`MESSAGE_BYTES`] for each.

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashMap;

use super::{grow, shrink};
use inbox_store::InboxRecord;
use inbox_types::{ClientId, Seq, party};

/// What one message takes in these books, in bytes: a place in a tree that is two thirds full.
pub(super) const MESSAGE_BYTES: usize = 64;
/// What one sender takes, beside its name.
const SENDER_BYTES: usize = 96;

/// See the module's documentation. A sender is a party: a user with all of its clients ([`party`]).
#[derive(Debug, Default)]
pub(super) struct Shares {
    messages: BTreeMap<Seq, (Arc<str>, usize)>,
    /// Who holds anything, and how much.
    senders: HashMap<Arc<str>, InboxRecord>,
    /// The bytes of the names in `senders`.
    names_bytes: usize,
    /// While counting: what the store holds up to here was looked at.
    read_to: Seq,
    is_complete: bool,
}

impl Shares {
    /// While counting: after which seq the next page begins.
    pub(super) fn wants_page(&self) -> Option<Seq> {
        (!self.is_complete).then_some(self.read_to)
    }

    /// The next page was looked at, up to `last`; behind it there is `more`.
    pub(super) fn page_was_read(&mut self, last: Option<Seq>, more: bool) {
        self.read_to = last.unwrap_or(self.read_to);
        self.is_complete = !more || last.is_none();
    }

    /// The inbox holds this message.
    pub(super) fn put(&mut self, seq: Seq, from: &ClientId, size: usize) {
        if self.messages.contains_key(&seq) {
            return;
        }
        let name = party(from.as_str());
        let party = match self.senders.get_key_value(name) {
            Some((party, _)) => party.clone(),
            None => {
                self.names_bytes += name.len();
                Arc::from(name)
            }
        };
        grow(self.senders.entry(party.clone()).or_default(), size);
        self.messages.insert(seq, (party, size));
    }

    /// The inbox holds it no more, if it did.
    pub(super) fn gone(&mut self, seq: Seq) {
        let Some((party, size)) = self.messages.remove(&seq) else {
            return;
        };
        if let Some(held) = self.senders.get_mut(&party) {
            shrink(held, size);
            if held.messages == 0 {
                self.senders.remove(&party);
                self.names_bytes -= party.len();
            }
        }
    }

    /// Whether the sender may add a message of `size` bytes, where one may hold `max` messages and bytes. One message it always may: what is
    /// larger than a share by itself would be refused for ever.
    pub(super) fn has_room(&self, from: &ClientId, size: usize, max: (u64, u64)) -> bool {
        let held = self.senders.get(party(from.as_str())).copied().unwrap_or_default();
        held.messages == 0 || (held.messages < max.0 && held.bytes + size as u64 <= max.1)
    }

    /// What these books take in memory.
    pub(super) fn memory_bytes(&self) -> usize {
        self.messages.len() * MESSAGE_BYTES + self.senders.len() * SENDER_BYTES + self.names_bytes
    }

    /// What they say, for the tests of the inbox: who holds which message of which size.
    #[cfg(test)]
    pub(super) fn all(&self) -> BTreeMap<Seq, (String, usize)> {
        let messages = self.messages.iter();
        messages
            .map(|(seq, (party, size))| (*seq, (party.to_string(), *size)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::hub::tests::kit::id;

    const MAX: (u64, u64) = (3, 60);
    const NAMES: [&str; 4] = ["ann", "ann~phone", "bob", "cyd"];

    #[derive(Debug, Clone)]
    enum Op {
        Put { seq: u64, from: usize, size: usize },
        Gone { seq: u64 },
        Ask { from: usize, size: usize },
    }

    fn ops() -> impl Strategy<Value = Vec<Op>> {
        let (seq, from, size) = (0..12_u64, 0..NAMES.len(), 0..70_usize);
        let op = prop_oneof![
            3 => (seq.clone(), from.clone(), size.clone()).prop_map(|(seq, from, size)| Op::Put { seq, from, size }),
            2 => seq.prop_map(|seq| Op::Gone { seq }),
            2 => (from, size).prop_map(|(from, size)| Op::Ask { from, size }),
        ];
        prop::collection::vec(op, 1..80)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        // Goal: the books say what a plain list of messages says, whatever comes and leaves, twice or in any order, and they take nothing when
        // nothing is held.
        #[test]
        fn the_books_agree_with_a_list(ops in ops()) {
            let (mut shares, mut list) = (Shares::default(), BTreeMap::new());
            for op in ops {
                match op {
                    Op::Put { seq, from, size } => {
                        shares.put(Seq(seq), &id(NAMES[from]), size);
                        list.entry(seq).or_insert((from, size as u64));
                    }
                    Op::Gone { seq } => {
                        shares.gone(Seq(seq));
                        list.remove(&seq);
                    }
                    Op::Ask { from, size } => {
                        let party = |at: usize| NAMES[at].split('~').next();
                        let held = list.values().filter(|(other, _)| party(*other) == party(from));
                        let (messages, bytes) = held.fold((0, 0), |(n, sum), (_, size)| (n + 1, sum + size));
                        let fits = messages == 0 || (messages < MAX.0 && bytes + size as u64 <= MAX.1);
                        prop_assert_eq!(shares.has_room(&id(NAMES[from]), size, MAX), fits);
                    }
                }
            }
            for seq in list.into_keys() {
                shares.gone(Seq(seq));
            }
            prop_assert_eq!((shares.memory_bytes(), shares.senders.len()), (0, 0));
        }
    }

    // Goal: pages are asked for from where the last one ended, until there are no more; a store that says more and gives none ends it, too.
    #[test]
    fn counting_ends_with_the_last_page() {
        let mut shares = Shares::default();
        assert_eq!(shares.wants_page(), Some(Seq::ZERO));
        shares.page_was_read(Some(Seq(4)), true);
        assert_eq!(shares.wants_page(), Some(Seq(4)));
        shares.page_was_read(None, true);
        assert_eq!(shares.wants_page(), None);
    }
}
