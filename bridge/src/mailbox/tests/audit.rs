//! What must be true of an inbox after every step, whatever happened.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::mailbox::{Durability, Mailbox, Young, grow};
use inbox_store::InboxRecord;
use inbox_types::{Entry, Message, party};

impl Mailbox {
    /// Says what is wrong with its books. `stored`: what the store holds, unless a commit was written and not reported.
    pub(crate) fn audit(&self, stored: Option<InboxRecord>, now: Duration) -> Result<(), String> {
        let is = |durability: Durability| self.young.iter().filter(move |young| young.durability == durability);
        let mut unstored = InboxRecord::default();
        for durability in [Durability::Waiting, Durability::Committing, Durability::CommittingGone] {
            is(durability).for_each(|young| grow(&mut unstored, young.message.size()));
        }
        ensure(unstored == self.unstored, || {
            format!("{unstored:?} is young, {:?} is in the books", self.unstored)
        })?;
        let waiting_qos0 = is(Durability::Never).count();
        ensure(waiting_qos0 == self.qos0_waiting, || {
            format!("{waiting_qos0} with QoS 0 wait, not {}", self.qos0_waiting)
        })?;
        let qos0_bytes: usize = is(Durability::Never).map(|young| young.message.size()).sum();
        ensure(qos0_bytes == self.qos0_bytes, || {
            format!("{qos0_bytes} bytes with QoS 0 wait, not {}", self.qos0_bytes)
        })?;
        let kept: usize = is(Durability::Durable).map(|young| young.message.size()).sum();
        ensure(kept == self.kept_bytes, || {
            format!("{kept} bytes are kept, {} in the books", self.kept_bytes)
        })?;
        let is_sorted = self.young.iter().is_sorted_by(|a, b| a.seq < b.seq);
        ensure(is_sorted, || "young messages are out of order".into())?;
        let mut sizes = self.removals.values().chain(self.removals_committing.values());
        if let (Some(stored), Some(mut totals)) = (stored, self.totals)
            && sizes.clone().all(Option::is_some)
        {
            sizes.by_ref().flatten().for_each(|size| grow(&mut totals, *size));
            ensure(totals == stored, || {
                format!("{stored:?} is stored, and with what leaves {totals:?} is in the books")
            })?;
        }
        if let (Some(stored), Some(totals)) = (stored, self.totals) {
            let leaving = self.removals.len() + self.removals_committing.len();
            ensure(totals.messages + leaving as u64 >= stored.messages, || {
                "the inbox thinks that it is emptier than it is".into()
            })?;
        }
        let awaits_commit =
            is(Durability::Waiting).next().is_some() || !self.removals.is_empty() || self.unread.waits();
        ensure(!awaits_commit || self.visit_at.is_some(), || {
            "something waits, and no committer was asked for".into()
        })?;
        let held = is(Durability::Waiting).map(|young| young.held_until).min();
        let in_time = held
            .zip(self.visit_at)
            .is_none_or(|(held, visit)| visit <= held.max(now));
        ensure(in_time, || {
            format!(
                "a message is held until {held:?}, and the committer comes at {:?}",
                self.visit_at
            )
        })?;
        // One that waits to know what left unread need not go on.
        let knows = self.unread.durable().is_some();
        self.reader
            .as_ref()
            .filter(|_| knows)
            .map_or(Ok(()), |reader| reader.audit().map_or(Ok(()), |why| Err(why.into())))
    }
}

impl Mailbox {
    /// Says what is wrong with the books of who holds how much, if they are complete. `stored`: all that the store holds, between commits.
    pub(crate) fn audit_shares(&self, stored: &[Entry]) -> Result<(), String> {
        let Some(shares) = self.shares.as_ref().filter(|shares| shares.wants_page().is_none()) else {
            return Ok(());
        };
        let counts = |young: &&Young| matches!(young.durability, Durability::Waiting | Durability::Committing);
        let young = self.young.iter().filter(counts);
        let stored = stored.iter().filter(|entry| !self.is_leaving(entry.seq));
        let held: BTreeMap<_, _> = stored
            .map(|entry| (entry.seq, &entry.message))
            .chain(young.map(|young| (young.seq, &young.message)))
            .map(|(seq, message)| (seq, (party(message.from.as_str()).to_owned(), message.size())))
            .collect();
        ensure(held == shares.all(), || {
            format!("{held:?} is held, {:?} is in the books", shares.all())
        })
    }
}

impl Mailbox {
    /// The same of the books of names.
    pub(crate) fn audit_names(&self, stored: &[Entry]) -> Result<(), String> {
        let Some((known, names)) = self.names_known() else {
            return Ok(());
        };
        let counts = |young: &&Young| matches!(young.durability, Durability::Waiting | Durability::Committing);
        let young = self
            .young
            .iter()
            .filter(counts)
            .map(|young| (young.seq, &young.message));
        let stored = stored.iter().filter(|entry| !self.is_leaving(entry.seq));
        let mut held: BTreeMap<_, _> = stored.map(|entry| (entry.seq, &entry.message)).chain(young).collect();
        held.retain(|_, message| message.id.is_some() || message.collapse_key().is_some());
        let of = |message: &Message| usize::from(message.id.is_some()) + usize::from(message.collapse_key().is_some());
        let held_names = held.values().map(|message| of(message)).sum::<usize>();
        let held: Vec<_> = held.into_keys().collect();
        ensure(held == known && held_names == names, || {
            format!("{held:?} with {held_names} names are held, {known:?} with {names} are in the books")
        })
    }
}

fn ensure(holds: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(why()) }
}
