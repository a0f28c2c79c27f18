//! Senders that change their minds: messages that replace earlier ones, or take them back (contract rule 12).
//!
//! ```text
//!  Waiting ── in a batch: what it is about is looked for ──▶ Done ── the batch is durable ──▶ its publisher is told
//! ```
//!
//! What it is about leaves in the batch that takes it, and is *undelivered* if no reader has it now. A recall of what no reader was ever sent is
//! never written. Until the batch is durable, nothing is delivered from there on: after a crash the earlier message is there again, and its
//! reader must not have seen the later one first.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::leaving::Fate;
use super::names::{By, Name, Names};
use super::{Context, Durability, Effects, Mailbox, Origin, Young};
use bytes::Bytes;
use inbox_store::{InboxRecord, Page};
use inbox_types::{Left, Message, PublishState, Seq};

/// What a message does to earlier ones of its sender.
pub(crate) enum Amends {
    /// It takes the place of those with this key.
    Collapse(Box<str>),
    /// It takes those with this `id` back; it is the notice that its reader gets if that is too late.
    Recall(Box<str>),
    /// It replaces those with this `id`, as the message here; it is what its reader gets if that is too late.
    Edit(Box<str>, Arc<Message>),
}

impl Amends {
    fn by(&self) -> By<'_> {
        match self {
            Amends::Collapse(key) => By::Key(key),
            Amends::Recall(id) | Amends::Edit(id, _) => By::Id(id),
        }
    }

    /// The `id` of what it is about, where it says one.
    pub(super) fn id(&self) -> Option<Box<str>> {
        match self {
            Amends::Collapse(_) => None,
            Amends::Recall(id) | Amends::Edit(id, _) => Some(id.clone()),
        }
    }

    pub(super) fn left(&self) -> Left {
        match self {
            Amends::Collapse(_) => Left::Collapsed,
            Amends::Recall(_) => Left::Recalled,
            Amends::Edit(..) => Left::Edited,
        }
    }
}

/// See the module's documentation.
#[derive(Default)]
pub(super) struct Amending {
    pub(super) names: Names,
    pub(super) pending: BTreeMap<Seq, Pending>,
    /// What the next batch takes messages out of, and that was read from the store, without the payloads: receipts are made of the rest. `None` where it is
    /// not to be had.
    pub(super) read: BTreeMap<Seq, Option<Arc<Message>>>,
}

/// A message that amends, and is not durable.
pub(super) struct Pending {
    pub(super) name: Name,
    pub(super) amends: Amends,
    /// What its publisher is told when the batch is durable that has it.
    pub(super) done: Option<PublishState>,
}

/// What few inboxes need. It is kept out of the steps of all others, which look only whether there is any.
impl Amending {
    #[cold]
    fn gone(&mut self, seq: Seq) {
        self.names.gone(seq);
        // Whoever published one that is done is told when its batch is durable, whatever becomes of it.
        if self.pending.get(&seq).is_some_and(|pending| pending.done.is_none()) {
            self.pending.remove(&seq);
        }
    }

    #[cold]
    fn state_left(&self, seq: Seq) -> PublishState {
        match self.pending.get(&seq).map(|pending| (pending.done, &pending.amends)) {
            Some((Some(done), _)) => done,
            // A notice to its reader, which leaves as any message may.
            Some((None, Amends::Recall(_) | Amends::Edit(..))) => PublishState::Told,
            Some((None, Amends::Collapse(_))) | None => PublishState::Stored,
        }
    }

    #[cold]
    fn durable(&mut self, seq: Seq) -> PublishState {
        let pending = self.pending.remove(&seq);
        pending.and_then(|pending| pending.done).unwrap_or(PublishState::Stored)
    }

    #[cold]
    fn holds_back(&self, seq: Seq) -> bool {
        let pending = self.pending.get(&seq);
        pending.is_some_and(|pending| pending.done.is_some() || !matches!(pending.amends, Amends::Collapse(_)))
    }
}

impl Mailbox {
    /// Takes a message that amends earlier ones; the outcome goes to `origin`.
    pub(crate) fn publish_amending(
        &mut self,
        seq: Seq,
        message: Arc<Message>,
        amends: Amends,
        origin: Option<Origin>,
        cx: Context,
        fx: &mut Effects,
    ) {
        self.amends(seq, &message, amends);
        self.publish(seq, message, origin, cx, fx);
    }

    /// A message that is about to be accepted amends earlier ones.
    pub(super) fn amends(&mut self, seq: Seq, message: &Message, amends: Amends) {
        let young = &self.young;
        let amending = self.amending.get_or_insert_with(|| {
            let mut names = Names::default();
            let is_here = |young: &&Young| !matches!(young.durability, Durability::Never | Durability::CommittingGone);
            for young in young.iter().filter(is_here) {
                names.put(young.seq, &young.message);
            }
            Box::new(Amending {
                names,
                ..Amending::default()
            })
        });
        let pending = Pending {
            name: amending.names.name(&message.from, amends.by()),
            amends,
            done: None,
        };
        amending.pending.insert(seq, pending);
    }

    /// A message is accepted.
    #[inline]
    pub(super) fn names_grow(&mut self, seq: Seq, message: &Arc<Message>) {
        if let Some(key) = message.collapse_key()
            && !self
                .amending
                .as_ref()
                .is_some_and(|amending| amending.pending.contains_key(&seq))
        {
            self.amends(seq, message, Amends::Collapse(key.into()));
        }
        if let Some(amending) = &mut self.amending {
            amending.names.put(seq, message);
        }
    }

    /// A message has left, or was refused.
    #[inline]
    pub(super) fn names_shrink(&mut self, seq: Seq) {
        if let Some(amending) = &mut self.amending {
            amending.gone(seq);
        }
    }

    /// What the publisher of a message that leaves is told of it, if it is not told something else.
    #[inline]
    pub(super) fn state_left(&self, seq: Seq, fate: Fate) -> PublishState {
        match &self.amending {
            _ if fate == Fate::Read => PublishState::Delivered,
            Some(amending) => amending.state_left(seq),
            None => PublishState::Stored,
        }
    }

    /// Before anything is written, with the totals known: after which seq a page of the store is wanted, to find what is to be amended.
    pub(super) fn wants_names(&mut self, stored: InboxRecord) -> Option<Seq> {
        let amending = self.amending.as_mut()?;
        let is_asked = amending.pending.values().any(|pending| pending.done.is_none());
        amending.names.wants_page(stored).filter(|_| is_asked)
    }

    /// The page that was wanted, read while no commit was under way.
    pub(crate) fn names_read(&mut self, page: &Page) {
        let Some(mut amending) = self.amending.take() else {
            return;
        };
        for entry in page.entries.iter().filter(|entry| !self.is_leaving(entry.seq)) {
            amending.names.put(entry.seq, &entry.message);
        }
        let last = page.entries.last().map(|last| last.seq);
        amending.names.page_was_read(last, page.more);
        self.amending = Some(amending);
    }

    /// A message that is to be amended, read from the store, if it is there.
    pub(crate) fn earlier_read(&mut self, seq: Seq, message: Option<Arc<Message>>) {
        if let Some(amending) = &mut self.amending {
            let without_payload = |message: Arc<Message>| {
                let mut message = Arc::unwrap_or_clone(message);
                message.payload = Bytes::new();
                Arc::new(message)
            };
            amending.read.insert(seq, message.map(without_payload));
        }
    }

    /// Memory is scarce: names are looked up again when they are needed. Tells whether any were known.
    pub(crate) fn forget_names(&mut self) -> bool {
        let is_idle = self
            .amending
            .as_ref()
            .is_some_and(|amending| amending.pending.is_empty());
        is_idle && self.amending.take().is_some()
    }

    /// What the books of names know, if they are complete: which messages, and how many names.
    #[cfg(test)]
    pub(super) fn names_known(&self) -> Option<(Vec<Seq>, usize)> {
        let amending = self.amending.as_ref()?;
        amending.names.is_complete().then(|| amending.names.all())
    }

    pub(super) fn names_bytes(&self) -> usize {
        self.amending
            .as_ref()
            .map_or(0, |amending| amending.names.memory_bytes())
    }

    /// Whether this message is not to be delivered before it is durable.
    #[inline]
    pub(super) fn is_held_back(&self, seq: Seq) -> bool {
        self.amending.as_ref().is_some_and(|amending| amending.holds_back(seq))
    }

    /// Those of its messages that took the places of others, with their `id`s, and are not durable. Some of them have left for a later one with their key,
    /// in the batch that has both.
    pub(crate) fn edits(&self) -> impl Iterator<Item = Seq> {
        let pending = self.amending.iter().flat_map(|amending| &amending.pending);
        let is_edit = |pending: &Pending| pending.done == Some(PublishState::Edited);
        let here = pending
            .filter(move |(_, pending)| is_edit(pending))
            .map(|(seq, _)| *seq);
        let unwritten = self.unwritten_committing.iter();
        here.chain(
            unwritten
                .filter(|one| one.state == PublishState::Edited)
                .map(|one| one.seq),
        )
    }

    /// The batch is durable that has this message: what its publisher is told.
    #[inline]
    pub(super) fn amended(&mut self, seq: Seq) -> PublishState {
        match &mut self.amending {
            Some(amending) => amending.durable(seq),
            None => PublishState::Stored,
        }
    }
}
