//! Recipients decide, too: each client can keep a list of senders whom it does not take messages from, and one of those whom alone it does.
//!
//! **Promise:** what a client is told yes about holds from then on, and after any restart: whoever drives this keeps what [`Recipients::edit`]
//! gives, and brings it back to [`Recipients::restore`]. Messages that are in the inbox already stay.

mod request;
mod senders;
mod strangers;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use inbox_types::{Charge, ClientId, MemoryBudget, party};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};

pub use request::{ListKind, ListRefused, NoObject, read_object};
pub use strangers::{Acquaintance, Strangers};

use crate::denied::Denied;
use crate::identity::Identity;
use request::Request;
use senders::{NoSender, Senders};

/// Entries that both lists of a client have together.
const ENTRIES_MAX: usize = 1000;
/// The same in bytes, as they are kept.
const KEPT_BYTES_MAX: usize = 64 * 1024;
/// What the lists of one party, a user with all of its clients, take in memory at most, in bytes.
const PARTY_BYTES_MAX: usize = 256 * 1024;
/// What all lists take together: this part of the memory budget. So they never keep anybody out, nor does what a restart brings back.
const BUDGET_PART: usize = 16;
/// An entry takes so many bytes of memory, beside its text.
const ENTRY_BYTES: usize = 64;

/// The lists of all clients. In memory as a whole: a sender is judged without waiting.
#[derive(Debug, Default)]
pub struct Recipients {
    all: RwLock<All>,
    /// How many there are: where nobody keeps lists, nobody waits for a lock.
    owners: AtomicUsize,
}

#[derive(Debug, Default)]
struct All {
    lists: HashMap<ClientId, Arc<Lists>>,
    /// What they take by party, and together.
    bytes_by_party: HashMap<Box<str>, usize>,
    bytes: usize,
    /// The same, of the memory budget.
    charge: Option<Charge>,
}

#[derive(Debug, Clone, Default)]
struct Lists {
    block: Senders,
    allow: Senders,
    /// Senders are not told what was read.
    hides_reading: bool,
    /// What they take in memory, once they are [`All::put`] there.
    bytes: usize,
}

impl Lists {
    fn len(&self) -> usize {
        self.block.len() + self.allow.len()
    }
}

/// The lists as they are kept and shown.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Shown {
    block: Vec<String>,
    allow: Vec<String>,
    /// Whether senders are told what was read; they are where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    read_receipts: Option<bool>,
}

impl Shown {
    fn of(lists: &Lists) -> Self {
        Shown {
            block: lists.block.texts(),
            allow: lists.allow.texts(),
            read_receipts: lists.hides_reading.then_some(false),
        }
    }

    fn to_bytes(&self) -> Bytes {
        // Texts and lists of them are always JSON.
        serde_json::to_vec(self).unwrap_or_default().into()
    }

    fn into_lists(self) -> Result<Lists, NoSender> {
        let read = |texts: Vec<String>| {
            let mut senders = Senders::default();
            texts.iter().try_for_each(|text| senders.add(text)).map(|()| senders)
        };
        Ok(Lists {
            block: read(self.block)?,
            allow: read(self.allow)?,
            hides_reading: self.read_receipts == Some(false),
            bytes: 0,
        })
    }
}

/// What was kept is no list: it is damaged, or of a later version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the lists of senders that this client keeps cannot be read; until it sets them again, they are empty")]
pub struct Unreadable;

impl Recipients {
    /// What the client `owner` had kept in an earlier run.
    ///
    /// # Errors
    /// It cannot be read. The client has no lists then.
    pub fn restore(&self, owner: ClientId, kept: &[u8], budget: &Arc<MemoryBudget>) -> Result<(), Unreadable> {
        if inbox_types::fault!(ForgetLists) {
            return Ok(());
        }
        let shown: Shown = serde_json::from_slice(kept).map_err(|_| Unreadable)?;
        let lists = shown.into_lists().map_err(|NoSender| Unreadable)?;
        let bytes = bytes_of(&lists, kept.len());
        self.put(&mut self.all.write(), owner, Some(Lists { bytes, ..lists }), budget);
        Ok(())
    }

    /// The client `owner` asks for a change of one of its lists, which holds from now on. Gives what is to be kept for it; `None`: nothing
    /// any more.
    ///
    /// # Errors
    /// It is no request, or asks for too much; nothing changes.
    pub fn edit(
        &self,
        owner: &ClientId,
        kind: ListKind,
        request: &[u8],
        budget: &Arc<MemoryBudget>,
    ) -> Result<Option<Bytes>, ListRefused> {
        let request = Request::parse(request)?;
        self.change(owner, budget, |lists| {
            request.change(match kind {
                ListKind::Block => &mut lists.block,
                ListKind::Allow => &mut lists.allow,
            })
        })
    }

    /// The client `owner` says whether senders are told what it read. Gives what is to be kept, as [`Recipients::edit`] does.
    ///
    /// # Errors
    /// Nothing more is kept for clients.
    pub fn tell_reading(
        &self,
        owner: &ClientId,
        tells: bool,
        budget: &Arc<MemoryBudget>,
    ) -> Result<Option<Bytes>, ListRefused> {
        self.change(owner, budget, |lists| {
            lists.hides_reading = !tells;
            Ok(())
        })
    }

    /// Whether senders are told what `owner` read.
    pub fn tells_reading(&self, owner: &ClientId) -> bool {
        self.are_none() || !self.of(owner).is_some_and(|lists| lists.hides_reading)
    }

    fn change(
        &self,
        owner: &ClientId,
        budget: &Arc<MemoryBudget>,
        change: impl FnOnce(&mut Lists) -> Result<(), ListRefused>,
    ) -> Result<Option<Bytes>, ListRefused> {
        // Nobody else edits them: a client ID has one connection. So senders need not wait meanwhile.
        let before = self.of(owner).unwrap_or_default();
        let mut lists = Lists::clone(&before);
        change(&mut lists)?;
        if lists.len() > ENTRIES_MAX {
            return Err(ListRefused::TooMany);
        }
        if lists.len() == 0 && !lists.hides_reading {
            self.put(&mut self.all.write(), owner.clone(), None, budget);
            return Ok(None);
        }
        let kept = Shown::of(&lists).to_bytes();
        if kept.len() > KEPT_BYTES_MAX {
            return Err(ListRefused::TooLarge);
        }
        lists.bytes = bytes_of(&lists, kept.len());
        // What shrinks always has room.
        let more = lists.bytes.saturating_sub(before.bytes);
        let mut all = self.all.write();
        if more > 0 && !all.have_room(owner, more, budget) {
            return Err(ListRefused::MemoryFull);
        }
        self.put(&mut all, owner.clone(), Some(lists), budget);
        Ok(Some(kept))
    }

    /// Forgets the lists of `owner`. Tells whether there were any; what is kept of them is to be removed, too.
    pub fn forget(&self, owner: &ClientId, budget: &Arc<MemoryBudget>) -> bool {
        let mut all = self.all.write();
        let had_any = all.lists.contains_key(owner);
        self.put(&mut all, owner.clone(), None, budget);
        had_any
    }

    /// The lists of `owner`, as JSON.
    pub fn show(&self, owner: &ClientId) -> Bytes {
        Shown::of(&self.of(owner).unwrap_or_default()).to_bytes()
    }

    /// Whether no client keeps lists.
    #[inline]
    pub(crate) fn are_none(&self) -> bool {
        self.owners.load(Ordering::Relaxed) == 0
    }

    /// Whether `owner` takes messages from `who`. Nobody is kept from its own inbox.
    pub(crate) fn judge(&self, who: &Identity, owner: &str) -> Result<(), Denied> {
        let all = self.all.read();
        let Some(lists) = all.lists.get(owner).filter(|_| who.client_id().as_str() != owner) else {
            return Ok(());
        };
        match lists.block.has(who) || (lists.allow.len() > 0 && !lists.allow.has(who)) {
            true => Err(Denied::Unwanted),
            false => Ok(()),
        }
    }

    fn of(&self, owner: &ClientId) -> Option<Arc<Lists>> {
        self.all.read().lists.get(owner).cloned()
    }

    /// From now on `owner` has these lists, or none.
    fn put(&self, all: &mut All, owner: ClientId, lists: Option<Lists>, budget: &Arc<MemoryBudget>) {
        all.put(owner, lists, budget);
        self.owners.store(all.lists.len(), Ordering::Relaxed);
    }
}

impl All {
    /// Whether the lists of `owner` may take so many bytes more.
    fn have_room(&self, owner: &ClientId, more: usize, budget: &MemoryBudget) -> bool {
        let of_party = self.bytes_by_party.get(party(owner.as_str())).copied();
        self.bytes + more <= budget.limit() / BUDGET_PART && of_party.unwrap_or_default() + more <= PARTY_BYTES_MAX
    }

    fn put(&mut self, owner: ClientId, lists: Option<Lists>, budget: &Arc<MemoryBudget>) {
        let party = party(owner.as_str());
        let before = self.lists.remove(&owner).map_or(0, |lists| lists.bytes);
        let after = lists.as_ref().map_or(0, |lists| lists.bytes);
        let of_party = self.bytes_by_party.entry(party.into()).or_default();
        *of_party = *of_party - before + after;
        if *of_party == 0 {
            self.bytes_by_party.remove(party);
        }
        self.bytes = self.bytes - before + after;
        self.lists.extend(lists.map(|lists| (owner, Arc::new(lists))));
        match self.bytes {
            0 => self.charge = None,
            bytes => self.charge.get_or_insert_with(|| Charge::new(budget)).cover(bytes),
        }
    }
}

/// What lists take in memory that are kept as so many bytes.
fn bytes_of(lists: &Lists, kept_bytes: usize) -> usize {
    kept_bytes + ENTRY_BYTES * (lists.len() + 2)
}
