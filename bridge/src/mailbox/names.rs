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

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};

use hashbrown::HashMap;

use inbox_store::InboxRecord;
use inbox_types::{ClientId, Message, Seq};

/// What one message with both names takes in these books, in bytes.
const MESSAGE_BYTES: usize = 192;

/// By sender and text, as a number: a keyed hash of 128 bits, by a key of these books, so that nobody can find two that collide.
pub(super) type Name = u128;

/// Of what a name is made, beside the sender.
#[derive(Debug, Clone, Copy, Hash)]
pub(super) enum By<'a> {
    Id(&'a str),
    Key(&'a str),
}

/// See the module's documentation.
#[derive(Default)]
pub(super) struct Names {
    hashers: [RandomState; 2],
    places: BTreeMap<Seq, [Option<Name>; 2]>,
    /// In the order of their seqs.
    named: HashMap<Name, Vec<Seq>>,
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
            let named = self.named.entry(name).or_default();
            named.insert(named.partition_point(|other| *other < seq), seq);
        }
        self.places.insert(seq, names);
    }

    /// The inbox holds it no more, if it did.
    pub(super) fn gone(&mut self, seq: Seq) {
        let names = self.places.remove(&seq).unwrap_or_default();
        for name in names.into_iter().flatten() {
            if let Some(named) = self.named.get_mut(&name) {
                named.retain(|other| *other != seq);
                if named.is_empty() {
                    self.named.remove(&name);
                }
            }
        }
    }

    /// The messages of this name before this one, the oldest first.
    pub(super) fn before(&self, name: Name, seq: Seq) -> Vec<Seq> {
        let named = self.named.get(&name).into_iter().flatten().copied();
        named.take_while(|other| *other < seq).collect()
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
        let names = self.named.values().map(Vec::len).sum();
        (self.places.keys().copied().collect(), names)
    }
}
