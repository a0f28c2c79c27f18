//! `id`s as the store keeps them: the uses of one commit are one value of the table [`Table::DEDUPE`], under a number that counts up.
//! `docs/storage-format.md` has it to the byte.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use inbox_store::{Store, StoreError, Table, TableChange, TableKey};
use inbox_types::{Age, Charge, ClientId, MemoryBudget, Message, Seq};
use tracing::warn;

use super::{ID_BYTES, Use, fingerprint};
use crate::tables::{read_number, walk};

/// The first byte of a value.
const FORMAT: u8 = 1;
/// What is forgotten is removed from the store together with something else, or when it is overdue by this.
const OVERDUE_AFTER: Duration = Duration::from_secs(60);
/// Groups that one batch removes: each is small, and the next batch goes on.
const REMOVED_MAX: usize = 256;

/// The groups that the store holds, the oldest first.
pub(super) struct Groups {
    all: VecDeque<Group>,
    ids: usize,
    next: u64,
    charge: Charge,
}

struct Group {
    number: u64,
    /// Of its commit: none of its messages was accepted later.
    at: Age,
    uses: Vec<Use>,
}

/// A group on its way into the store.
pub(crate) struct Pending {
    group: Group,
    value: Vec<u8>,
}

/// One use as it is kept.
pub(super) struct Kept<'v> {
    pub(super) seq: Seq,
    /// When its message was accepted.
    pub(super) at: Age,
    pub(super) payload: u64,
    pub(super) inbox: &'v str,
    pub(super) from: &'v str,
    pub(super) id: &'v str,
}

impl Pending {
    pub(super) fn add(&mut self, used: Use, inbox: &ClientId, message: &Message) {
        self.group.uses.push(used);
        let accepted = message.expiry.accepted();
        for number in [used.seq.0, accepted.0, fingerprint(&message.payload)] {
            self.value.extend_from_slice(&number.to_be_bytes());
        }
        let id = message.id.as_deref().unwrap_or_default();
        for text in [inbox.as_str(), message.from.as_str(), id] {
            // A client ID has 1,024 bytes at most, and MQTT writes the length of a user property in two.
            let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
            self.value.extend_from_slice(&length.to_be_bytes());
            let text = text.as_bytes();
            self.value
                .extend_from_slice(text.get(..usize::from(length)).unwrap_or(text));
        }
    }

    pub(super) fn change(&self) -> TableChange {
        change(self.group.number, Some(Bytes::copy_from_slice(&self.value)))
    }
}

impl Groups {
    pub(super) fn new(budget: &Arc<MemoryBudget>) -> Self {
        Groups {
            all: VecDeque::new(),
            ids: 0,
            next: 1,
            charge: Charge::new(budget),
        }
    }

    /// A group of what is committed at `age`.
    pub(super) fn begin(&mut self, age: Age) -> Pending {
        let number = self.next;
        self.next += 1;
        let mut value = vec![FORMAT];
        value.extend_from_slice(&age.0.to_be_bytes());
        let uses = Vec::new();
        let group = Group { number, at: age, uses };
        Pending { group, value }
    }

    pub(super) fn committed(&mut self, pending: Pending) {
        self.push(pending.group);
    }

    fn push(&mut self, group: Group) {
        self.ids += group.uses.len();
        self.all.push_back(group);
        self.charge.cover(self.ids * ID_BYTES);
    }

    /// Whether something should have been forgotten for a while.
    pub(super) fn is_overdue(&self, age: Age, window: Duration) -> bool {
        let oldest = self.all.front();
        oldest.is_some_and(|oldest| age >= oldest.at.after(window + OVERDUE_AFTER))
    }

    /// Forgets what is older than the window, and what is too much. Gives the uses, and of each whether it was before its time.
    pub(super) fn forget(
        &mut self,
        age: Age,
        window: Duration,
        ids_max: usize,
        changes: &mut Vec<TableChange>,
    ) -> Vec<(Use, bool)> {
        let mut forgotten = Vec::new();
        for _ in 0..REMOVED_MAX {
            let is_over = |group: &Group| age >= group.at.after(window);
            let Some(is_early) = self.all.front().map(|group| !is_over(group)) else {
                break;
            };
            if is_early && self.ids <= ids_max {
                break;
            }
            let Some(group) = self.all.pop_front() else { break };
            self.ids -= group.uses.len();
            forgotten.extend(group.uses.into_iter().map(|used| (used, is_early)));
            changes.push(change(group.number, None));
        }
        self.charge.cover(self.ids * ID_BYTES);
        forgotten
    }

    /// Reads what the store has, in order. `take` is told of each use.
    pub(super) fn load(&mut self, store: &dyn Store, mut take: impl FnMut(&Kept<'_>) -> Use) -> Result<(), StoreError> {
        walk(store, Table::DEDUPE, b"", |key, value| {
            if let Some(number) = read_number(key.as_bytes()) {
                let mut uses = Vec::new();
                match read(value, |kept| uses.push(take(kept))) {
                    Some(at) => {
                        self.next = self.next.max(number + 1);
                        self.push(Group { number, at, uses });
                    }
                    None => warn!(
                        "ids that senders used cannot be read: what repeats one of them may be stored again (group {number})"
                    ),
                }
            }
            ControlFlow::Continue(())
        })
    }
}

fn change(number: u64, value: Option<Bytes>) -> TableChange {
    let Ok(key) = TableKey::new(number.to_be_bytes().to_vec()) else {
        unreachable!("eight bytes are a key");
    };
    TableChange {
        table: Table::DEDUPE,
        key,
        value,
    }
}

/// Reads a group; `None` when it is none. What was understood before is told.
fn read(value: &[u8], mut each: impl FnMut(&Kept<'_>)) -> Option<Age> {
    let rest = &mut value.strip_prefix(&[FORMAT])?;
    let written = Age(number(rest)?);
    while !rest.is_empty() {
        let (seq, at, payload) = (Seq(number(rest)?), Age(number(rest)?), number(rest)?);
        let (inbox, from, id) = (text(rest)?, text(rest)?, text(rest)?);
        let kept = Kept {
            seq,
            at,
            payload,
            inbox,
            from,
            id,
        };
        each(&kept);
    }
    Some(written)
}

fn number(rest: &mut &[u8]) -> Option<u64> {
    let (number, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(u64::from_be_bytes(*number))
}

fn text<'v>(rest: &mut &'v [u8]) -> Option<&'v str> {
    let (length, after) = rest.split_first_chunk()?;
    let (text, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    *rest = after;
    std::str::from_utf8(text).ok()
}
