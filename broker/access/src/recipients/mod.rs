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
use inbox_types::{Charge, ClientId, MemoryBudget};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};

pub use request::{ListKind, ListRefused};
pub use strangers::{Acquaintance, Strangers};

use crate::client_ids::party;
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

#[derive(Debug)]
struct Lists {
    block: Senders,
    allow: Senders,
    /// What they take in memory.
    bytes: usize,
}

/// The lists as they are kept and shown.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Shown {
    block: Vec<String>,
    allow: Vec<String>,
}

impl Shown {
    fn of(block: &Senders, allow: &Senders) -> Self {
        Shown {
            block: block.texts(),
            allow: allow.texts(),
        }
    }

    fn to_bytes(&self) -> Bytes {
        // Texts and lists of them are always JSON.
        serde_json::to_vec(self).unwrap_or_default().into()
    }

    fn into_senders(self) -> Result<(Senders, Senders), NoSender> {
        let read = |texts: Vec<String>| {
            let mut senders = Senders::default();
            texts.iter().try_for_each(|text| senders.add(text)).map(|()| senders)
        };
        Ok((read(self.block)?, read(self.allow)?))
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
        let shown: Shown = serde_json::from_slice(kept).map_err(|_| Unreadable)?;
        let (block, allow) = shown.into_senders().map_err(|NoSender| Unreadable)?;
        self.set(owner, block, allow, kept.len(), budget, usize::MAX);
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
        let (mut block, mut allow) = self
            .of(owner)
            .map_or_else(Default::default, |lists| (lists.block.clone(), lists.allow.clone()));
        request.change(match kind {
            ListKind::Block => &mut block,
            ListKind::Allow => &mut allow,
        })?;
        if block.len() + allow.len() > ENTRIES_MAX {
            return Err(ListRefused::TooMany);
        }
        if block.len() + allow.len() == 0 {
            self.remove(owner);
            return Ok(None);
        }
        let kept = Shown::of(&block, &allow).to_bytes();
        if kept.len() > KEPT_BYTES_MAX {
            return Err(ListRefused::TooLarge);
        }
        let most = budget.limit() / BUDGET_PART;
        match self.set(owner.clone(), block, allow, kept.len(), budget, most) {
            true => Ok(Some(kept)),
            false => Err(ListRefused::MemoryFull),
        }
    }

    /// The lists of `owner`, as JSON.
    pub fn show(&self, owner: &ClientId) -> Bytes {
        match self.of(owner) {
            Some(lists) => Shown::of(&lists.block, &lists.allow).to_bytes(),
            None => Shown::default().to_bytes(),
        }
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

    /// Tells whether there is room for it: what shrinks always has room.
    fn set(
        &self,
        owner: ClientId,
        block: Senders,
        allow: Senders,
        kept_bytes: usize,
        budget: &Arc<MemoryBudget>,
        most: usize,
    ) -> bool {
        let bytes = kept_bytes + ENTRY_BYTES * (block.len() + allow.len() + 2);
        let mut all = self.all.write();
        let before = all.lists.get(&owner).map_or(0, |lists| lists.bytes);
        let of_party = all
            .bytes_by_party
            .get(party(owner.as_str()))
            .copied()
            .unwrap_or_default();
        let is_too_much = all.bytes - before + bytes > most || of_party - before + bytes > PARTY_BYTES_MAX;
        if bytes > before && is_too_much && most < usize::MAX {
            return false;
        }
        all.take_out(&owner);
        all.bytes += bytes;
        let together = all.bytes;
        all.charge.get_or_insert_with(|| Charge::new(budget)).cover(together);
        *all.bytes_by_party.entry(party(owner.as_str()).into()).or_default() += bytes;
        let lists = Lists { block, allow, bytes };
        all.lists.insert(owner, Arc::new(lists));
        self.owners.store(all.lists.len(), Ordering::Relaxed);
        true
    }

    fn remove(&self, owner: &ClientId) {
        let mut all = self.all.write();
        all.take_out(owner);
        let together = all.bytes;
        all.charge = all.charge.take().filter(|_| together > 0);
        if let Some(charge) = &mut all.charge {
            charge.cover(together);
        }
        self.owners.store(all.lists.len(), Ordering::Relaxed);
    }
}

impl All {
    fn take_out(&mut self, owner: &ClientId) {
        let Some(lists) = self.lists.remove(owner) else { return };
        self.bytes -= lists.bytes;
        let party = party(owner.as_str());
        if let Some(bytes) = self.bytes_by_party.get_mut(party) {
            *bytes -= lists.bytes;
            if *bytes == 0 {
                self.bytes_by_party.remove(party);
            }
        }
    }
}
