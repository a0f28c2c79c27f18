//! Under which names one inbox holds its messages: the books behind collapsing, recalling and editing (contract rule 12).
//!
//! ```text
//!          the last page was read
//!  Reading ───────────────────────▶ Complete
//! ```
//!
//! A message has a name by its sender and `id`, and one by its sender and key of collapsing, if it has those. The books are begun when a message
//! first asks for another one by name, and are made from what the store holds, page by page. Nothing of them is on disk: a restart, or an inbox that was
//! forgotten, begins them anew.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};

use hashbrown::HashMap;

use inbox_store::InboxRecord;
use inbox_types::{ClientId, Message, Seq};

/// What one message with both names takes in these books, in bytes.
const MESSAGE_BYTES: usize = 256;

/// By sender and text, as a number: a keyed hash of 128 bits, by a key of these books, so that nobody can find two that collide.
pub(super) type Name = u128;

/// Of what a name is made, beside the sender.
#[derive(Debug, Clone, Copy, Hash)]
pub(super) enum By<'a> {
    Id(&'a str),
    Key(&'a str),
}

/// A message that has a name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named {
    names: [Option<Name>; 2],
    pub(super) size: usize,
    /// Its sender wants receipts.
    pub(super) asks: bool,
}

/// See the module's documentation.
#[derive(Default)]
pub(super) struct Names {
    hashers: [RandomState; 2],
    places: BTreeMap<Seq, Named>,
    named: HashMap<Name, BTreeSet<Seq>>,
    /// While reading: what the store holds up to here was looked at.
    read_to: Seq,
    is_complete: bool,
}

impl Names {
    /// While reading: after which seq the next page begins, of a store that holds so much.
    pub(super) fn wants_page(&mut self, stored: InboxRecord) -> Option<Seq> {
        self.is_complete |= stored.messages == 0;
        (!self.is_complete).then_some(self.read_to)
    }

    /// The next page was looked at, up to `last`; behind it there is `more`.
    pub(super) fn page_was_read(&mut self, last: Option<Seq>, more: bool) {
        self.read_to = last.unwrap_or(self.read_to);
        self.is_complete |= !more || last.is_none();
    }

    pub(super) fn name(&self, from: &ClientId, by: By) -> Name {
        let from = if inbox_types::fault!(AmendAnothers) {
            ""
        } else {
            from.as_str()
        };
        let [first, second] = &self.hashers;
        let whole = (from, by);
        u128::from(first.hash_one(whole)) << 64 | u128::from(second.hash_one(whole))
    }

    /// The inbox holds this message.
    pub(super) fn put(&mut self, seq: Seq, message: &Message) {
        let names = [message.id.as_deref().map(By::Id), message.collapse_key().map(By::Key)];
        if names.iter().all(Option::is_none) || self.places.contains_key(&seq) {
            return;
        }
        let names = names.map(|by| by.map(|by| self.name(&message.from, by)));
        for name in names.into_iter().flatten() {
            self.named.entry(name).or_default().insert(seq);
        }
        let named = Named {
            names,
            size: message.size(),
            asks: message.receipts_wanted().is_some(),
        };
        self.places.insert(seq, named);
    }

    /// The inbox holds it no more, if it did.
    pub(super) fn gone(&mut self, seq: Seq) {
        let names = self.places.remove(&seq).map(|named| named.names).unwrap_or_default();
        for name in names.into_iter().flatten() {
            if let Some(named) = self.named.get_mut(&name) {
                named.remove(&seq);
                if named.is_empty() {
                    self.named.remove(&name);
                }
            }
        }
    }

    /// The messages of this name before this one, the oldest first.
    pub(super) fn before(&self, name: Name, seq: Seq) -> impl DoubleEndedIterator<Item = Seq> {
        let named = self.named.get(&name).into_iter();
        named.flat_map(move |named| named.range(..seq).copied())
    }

    /// What is known of a message.
    pub(super) fn get(&self, seq: Seq) -> Option<Named> {
        self.places.get(&seq).copied()
    }

    /// What these books take in memory.
    pub(super) fn memory_bytes(&self) -> usize {
        self.places.len() * MESSAGE_BYTES
    }

    #[cfg(test)]
    pub(super) fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Which messages they know, and how many names, for the tests of the inbox.
    #[cfg(test)]
    pub(super) fn all(&self) -> (Vec<Seq>, usize) {
        let names = self.named.values().map(BTreeSet::len).sum();
        (self.places.keys().copied().collect(), names)
    }
}
