//! `id`s as the store keeps them: the uses of one commit are one value of the table [`Table::DEDUPE`], under a number that counts up.
//! `docs/storage-format.md` has it to the byte.

use std::collections::VecDeque;
use std::mem;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use inbox_store::{Store, StoreError, Table, TableChange, TableKey};
use inbox_types::{Age, Charge, ClientId, MemoryBudget, Message, Seq};
use tracing::warn;

use super::ID_BYTES;
use crate::tables::{read_number, walk};

/// The first byte of a value.
const FORMAT: u8 = 2;
/// The same, where names were written again and again.
const EARLIER_FORMAT: u8 = 1;
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
    ids: usize,
    /// Of each sender to an inbox: the last.
    lines: Vec<(u64, Seq)>,
}

/// A group on its way into the store.
pub(crate) struct Pending {
    group: Group,
    value: Vec<u8>,
    /// The inbox and the sender of the last one.
    last: Option<(ClientId, ClientId)>,
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
    /// `line` gives the number of a sender to this inbox.
    pub(super) fn add(
        &mut self,
        seq: Seq,
        inbox: &ClientId,
        message: &Message,
        payload: u64,
        line: impl Fn(&str) -> u64,
    ) {
        self.group.ids += 1;
        let accepted = message.expiry.accepted();
        for number in [seq.0, accepted.0, payload] {
            self.value.extend_from_slice(&number.to_be_bytes());
        }
        let from = &message.from;
        let is_as_before = self
            .last
            .as_ref()
            .is_some_and(|last| (&last.0, &last.1) == (inbox, from));
        if is_as_before {
            self.group.goes_on(seq);
            self.put_texts(["", ""]);
        } else {
            self.last = Some((inbox.clone(), from.clone()));
            self.group.lines.push((line(from.as_str()), seq));
            self.put_texts([inbox.as_str(), from.as_str()]);
        }
        self.put_texts([message.id.as_deref().unwrap_or_default()]);
    }

    fn put_texts<const N: usize>(&mut self, texts: [&str; N]) {
        for text in texts {
            // A client ID has 1,024 bytes at most, and MQTT writes the length of a user property in two.
            let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
            self.value.extend_from_slice(&length.to_be_bytes());
            let text = text.as_bytes();
            self.value
                .extend_from_slice(text.get(..usize::from(length)).unwrap_or(text));
        }
    }

    /// What the batch is to have. Nothing can be added after that.
    pub(super) fn change(&mut self) -> TableChange {
        change(self.group.number, Some(mem::take(&mut self.value).into()))
    }
}

impl Group {
    fn new(number: u64, at: Age) -> Self {
        Group {
            number,
            at,
            ids: 0,
            lines: Vec::new(),
        }
    }

    /// One more of the last line.
    fn goes_on(&mut self, seq: Seq) {
        if let Some((_, last)) = self.lines.last_mut() {
            *last = seq.max(*last);
        }
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
        Pending {
            group: Group::new(number, age),
            value,
            last: None,
        }
    }

    pub(super) fn committed(&mut self, pending: Pending) {
        self.push(pending.group);
    }

    fn push(&mut self, group: Group) {
        self.ids += group.ids;
        self.all.push_back(group);
        self.charge.cover(self.ids * ID_BYTES);
    }

    /// Whether something should have been forgotten for a while.
    pub(super) fn is_overdue(&self, age: Age, window: Duration) -> bool {
        let oldest = self.all.front();
        oldest.is_some_and(|oldest| age >= oldest.at.after(window + OVERDUE_AFTER))
    }

    /// Forgets what is older than the window, and what is too much. Gives the lines, up to where they are forgotten, and whether that was before its time.
    pub(super) fn forget(
        &mut self,
        age: Age,
        window: Duration,
        ids_max: usize,
        changes: &mut Vec<TableChange>,
    ) -> Vec<(u64, Seq, bool)> {
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
            self.ids -= group.ids;
            forgotten.extend(group.lines.into_iter().map(|(line, last)| (line, last, is_early)));
            changes.push(change(group.number, None));
        }
        self.charge.cover(self.ids * ID_BYTES);
        forgotten
    }

    /// Reads what the store has, in order. `take` is told of each use, and gives its line.
    pub(super) fn load(&mut self, store: &dyn Store, mut take: impl FnMut(&Kept<'_>) -> u64) -> Result<(), StoreError> {
        walk(store, Table::DEDUPE, b"", |key, value| {
            if let Some(number) = read_number(key.as_bytes()) {
                let mut group = Group::new(number, Age(0));
                let read = read(value, |kept| {
                    let line = take(kept);
                    group.ids += 1;
                    match group.lines.last() {
                        Some((last, _)) if *last == line => group.goes_on(kept.seq),
                        _ => group.lines.push((line, kept.seq)),
                    }
                });
                match read {
                    Some(at) => {
                        self.next = self.next.max(number + 1);
                        self.push(Group { at, ..group });
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
    let (&(FORMAT | EARLIER_FORMAT), mut rest) = value.split_first()? else {
        return None;
    };
    let rest = &mut rest;
    let written = Age(number(rest)?);
    let (mut inbox, mut from) = ("", "");
    while !rest.is_empty() {
        let (seq, at, payload) = (Seq(number(rest)?), Age(number(rest)?), number(rest)?);
        let (other_inbox, other_from, id) = (text(rest)?, text(rest)?, text(rest)?);
        if !other_inbox.is_empty() {
            (inbox, from) = (other_inbox, other_from);
        }
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
