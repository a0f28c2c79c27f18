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

use crate::denied::Denied;
use crate::identity::Identity;
use request::Request;
use senders::{NoSender, Senders};

/// Entries that both lists of a client have together.
const ENTRIES_MAX: usize = 1000;
/// The same in bytes, as they are kept.
const KEPT_BYTES_MAX: usize = 64 * 1024;
/// An entry takes so many bytes of memory, beside its text.
const ENTRY_BYTES: usize = 64;

/// The lists of all clients. In memory as a whole: a sender is judged without waiting.
#[derive(Debug, Default)]
pub struct Recipients {
    lists: RwLock<HashMap<ClientId, Arc<Lists>>>,
    /// How many there are: where nobody keeps lists, nobody waits for a lock.
    owners: AtomicUsize,
}

#[derive(Debug)]
struct Lists {
    block: Senders,
    allow: Senders,
    /// What they take of the memory budget.
    _charge: Charge,
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
        self.set(owner, block, allow, kept.len(), budget);
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
        self.set(owner.clone(), block, allow, kept.len(), budget);
        Ok(Some(kept))
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
        let lists = self.lists.read();
        let Some(lists) = lists.get(owner).filter(|_| who.client_id().as_str() != owner) else {
            return Ok(());
        };
        match lists.block.has(who) || (lists.allow.len() > 0 && !lists.allow.has(who)) {
            true => Err(Denied::Unwanted),
            false => Ok(()),
        }
    }

    fn of(&self, owner: &ClientId) -> Option<Arc<Lists>> {
        self.lists.read().get(owner).cloned()
    }

    fn set(&self, owner: ClientId, block: Senders, allow: Senders, bytes: usize, budget: &Arc<MemoryBudget>) {
        let mut charge = Charge::new(budget);
        charge.cover(bytes + ENTRY_BYTES * (block.len() + allow.len() + 2));
        let lists = Lists {
            block,
            allow,
            _charge: charge,
        };
        let mut all = self.lists.write();
        all.insert(owner, Arc::new(lists));
        self.owners.store(all.len(), Ordering::Relaxed);
    }

    fn remove(&self, owner: &ClientId) {
        let mut all = self.lists.write();
        all.remove(owner);
        self.owners.store(all.len(), Ordering::Relaxed);
    }
}
