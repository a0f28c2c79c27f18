//! What leaves with the batch that has another message in its place (contract rule 12).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::amending::Amends;
use super::leaving::{Fate, told_left};
use super::{Context, Durability, Effects, Mailbox, Unwritten, grow, shrink};
use inbox_store::Batch;
use inbox_types::{BATCH_BYTES_MAX, COLLAPSE, Left, Message, PublishState, ReceiptsWanted, Seq, Sizes};

/// Messages that are read at a time: the committer has others to serve.
const READ_AT_A_TIME: usize = 256;

/// What is to happen before a batch can take messages that amend.
pub(super) enum Wanted {
    /// Nothing: it may take what waits up to here.
    UpTo(Seq),
    /// These messages are to be read.
    Messages(Vec<Seq>),
}

impl Mailbox {
    /// A batch is about to take what waits. What that amends leaves with it.
    pub(super) fn amend(&mut self, batch: &Batch, bytes: usize, sizes: Sizes, cx: Context, fx: &mut Effects) -> Wanted {
        let Some(amending) = self.amending.as_ref().filter(|amending| !amending.pending.is_empty()) else {
            return Wanted::UpTo(Seq(u64::MAX));
        };
        let mut up_to = self.fits_up_to(batch, bytes, sizes);
        let pending = amending
            .pending
            .range(..=up_to)
            .filter(|(_, pending)| pending.done.is_none());
        let (mut ready, mut unread) = (Vec::new(), BTreeSet::new());
        for (seq, pending) in pending {
            let earlier = || amending.names.before(pending.name, *seq);
            let is_committing = |seq| matches!(self.young_at(seq), Some((_, Durability::Committing)));
            if earlier().any(is_committing) {
                // It is in this batch already, since before the store was asked something: what replaces it goes with the next one.
                up_to = Seq(seq.0 - 1);
                break;
            }
            let edited = earlier()
                .next_back()
                .filter(|_| matches!(pending.amends, Amends::Edit(..)));
            unread.extend(earlier().filter(|seq| self.is_to_be_read(*seq, edited)));
            ready.push(*seq);
            if unread.len() >= READ_AT_A_TIME {
                break;
            }
        }
        if !unread.is_empty() {
            return Wanted::Messages(unread.into_iter().take(READ_AT_A_TIME).collect());
        }
        for seq in ready {
            self.amend_one(seq, cx, fx);
            if inbox_types::fault!(AmendApart) {
                up_to = up_to.min(Seq(seq.0 - 1));
            }
        }
        if let Some(amending) = &mut self.amending {
            amending.read = BTreeMap::new();
        }
        Wanted::UpTo(up_to)
    }

    /// Whether a message is to be read before it leaves: of most of them nothing need be known.
    fn is_to_be_read(&self, seq: Seq, edited: Option<Seq>) -> bool {
        let Some(amending) = &self.amending else { return false };
        let is_of_use = edited == Some(seq) || amending.names.get(seq).is_some_and(|named| named.asks);
        let is_known = self.young_at(seq).is_some() || amending.read.contains_key(&seq);
        is_of_use && !is_known && !self.is_with_reader(seq)
    }

    /// The last message that waits and that the batch has room for.
    fn fits_up_to(&self, batch: &Batch, mut bytes: usize, sizes: Sizes) -> Seq {
        let mut last = Seq::ZERO;
        let waiting = self
            .young
            .iter()
            .filter(|young| young.durability == Durability::Waiting);
        for (taken, young) in waiting.enumerate() {
            let count = batch.puts.len() + taken;
            bytes += young.message.size();
            if count > 0 && (count >= sizes.batch_messages_max || bytes > BATCH_BYTES_MAX) {
                break;
            }
            last = young.seq;
        }
        last
    }

    fn amend_one(&mut self, seq: Seq, cx: Context, fx: &mut Effects) {
        let new = self.young_at(seq).and_then(|(at, _)| self.young.get(at));
        let Some(from) = new.map(|young| young.message.from.clone()) else {
            return;
        };
        let Some(amending) = &self.amending else { return };
        let Some(pending) = amending.pending.get(&seq) else {
            return;
        };
        let (left, id) = (pending.amends.left(), pending.amends.id());
        let all: Vec<_> = amending.names.before(pending.name, seq).collect();
        let is_undelivered = |seq: &Seq| self.is_unread(*seq, cx) && !self.is_with_reader(*seq);
        let is_in_time = !all.is_empty() && all.iter().all(is_undelivered);
        let is_in_time = is_in_time || inbox_types::fault!(RecallTooLate);
        let last = all.last().and_then(|last| self.earlier(*last));
        let replaces = match &pending.amends {
            Amends::Edit(_, new) if is_in_time => last.map(|last| in_place_of(new, &last)),
            _ => None,
        };
        let goes_on = replaces.as_ref().is_some_and(|(_, goes_on)| *goes_on);
        let mut has_left = false;
        for earlier in &all {
            let is_gone = matches!(self.young_at(*earlier), Some((_, Durability::CommittingGone)));
            let stays = inbox_types::fault!(CollapseNothing) && left == Left::Collapsed;
            if stays || is_gone || self.is_with_reader(*earlier) || self.is_leaving(*earlier) {
                continue;
            }
            let fate = match goes_on && all.last() == Some(earlier) {
                // The receipts are those of the new one.
                true => Fate::Replaced,
                false => Fate::Unread(left),
            };
            let message = self.earlier(*earlier);
            let id = message.as_ref().map_or(id.as_deref(), |message| message.id.as_deref());
            told_left(*earlier, &from, id, left, cx, fx);
            self.withdraw(*earlier, message.as_ref(), fate, cx, fx);
            has_left = true;
        }
        let new = replaces.map(|(new, _)| new);
        self.note_amended(seq, is_in_time, has_left, new, cx, fx);
    }

    /// A message that is to be amended, where it is known: in memory, or read from the store.
    fn earlier(&self, seq: Seq) -> Option<Arc<Message>> {
        match self.young_at(seq) {
            Some((at, _)) => self.young.get(at).map(|young| young.message.clone()),
            None => self.amending.as_ref()?.read.get(&seq)?.clone(),
        }
    }

    /// Takes a message out, with the batch that has another one in its place.
    fn withdraw(&mut self, seq: Seq, message: Option<&Arc<Message>>, fate: Fate, cx: Context, fx: &mut Effects) {
        match (self.young_at(seq), message) {
            (Some((at, Durability::Waiting)), Some(message)) => {
                let state = self.state_left(seq, fate);
                self.forget_place(seq);
                self.amended(seq);
                self.owe(seq, message, fate, cx, fx);
                self.leave_with_batch(at, state);
                self.made_room(cx, fx);
            }
            (young, message) => {
                let named = self.amending.as_ref().and_then(|amending| amending.names.get(seq));
                let size = named.map(|named| named.size);
                self.remove(seq, young, (size, message), fate, cx, fx);
            }
        }
    }

    /// A message that waits is not written; its publisher is told when the batch is durable.
    fn leave_with_batch(&mut self, at: usize, state: PublishState) {
        if let Some(young) = self.take_young(at) {
            self.unwritten.push(Unwritten {
                seq: young.seq,
                message: young.message,
                origin: young.origin,
                state,
            });
        }
    }

    /// What was to be amended is.
    fn note_amended(
        &mut self,
        seq: Seq,
        is_in_time: bool,
        has_left: bool,
        new: Option<Arc<Message>>,
        cx: Context,
        fx: &mut Effects,
    ) {
        let Some(pending) = self
            .amending
            .as_mut()
            .and_then(|amending| amending.pending.get_mut(&seq))
        else {
            return;
        };
        match &pending.amends {
            Amends::Collapse(_) if has_left => pending.done = Some(PublishState::Stored),
            Amends::Collapse(_) => drop(self.amended(seq)),
            Amends::Recall(_) if is_in_time => {
                if let Some((at, _)) = self.young_at(seq) {
                    self.forget_place(seq);
                    self.leave_with_batch(at, PublishState::Recalled);
                    self.made_room(cx, fx);
                }
            }
            Amends::Edit(_, plain) if is_in_time => {
                let new = new.unwrap_or_else(|| plain.clone());
                pending.done = Some(PublishState::Edited);
                self.say_otherwise(seq, new);
            }
            Amends::Recall(_) | Amends::Edit(..) => pending.done = Some(PublishState::Told),
        }
    }

    /// A message that waits, and that nobody was sent, is another one.
    fn say_otherwise(&mut self, seq: Seq, new: Arc<Message>) {
        let Some((at, _)) = self.young_at(seq) else { return };
        let Some(young) = self.young.get_mut(at) else { return };
        let old = std::mem::replace(&mut young.message, new.clone());
        shrink(&mut self.unstored, old.size());
        grow(&mut self.unstored, new.size());
        self.forget_place(seq);
        self.share_grows(seq, &new, new.size());
        self.names_grow(seq, &new);
    }
}

/// The new message, with the key and the receipts of the earlier one, unless it has its own; and whether the receipts go on with it.
fn in_place_of(new: &Arc<Message>, earlier: &Message) -> (Arc<Message>, bool) {
    let Some(said) = earlier.properties.as_deref() else {
        return (new.clone(), false);
    };
    let mut message = Message::clone(new);
    let properties = message.properties.get_or_insert_default();
    // There is one Response Topic in a message: where the new one has its own, the receipts of the earlier one end here.
    let goes_on = earlier.receipts_wanted().is_some() && properties.response_topic.is_none();
    let mut carried = Vec::new();
    if new.collapse_key().is_none() {
        carried.push(COLLAPSE);
    }
    if goes_on {
        // Without a Response Topic it meant nothing.
        properties.user.retain(|(name, _)| **name != *ReceiptsWanted::PROPERTY);
        carried.push(ReceiptsWanted::PROPERTY);
        properties.response_topic.clone_from(&said.response_topic);
        properties.correlation_data.clone_from(&said.correlation_data);
    }
    let is_carried = |(name, _): &&(Box<str>, Box<str>)| carried.contains(&&**name);
    properties.user.extend(said.user.iter().filter(is_carried).cloned());
    message.properties = message.properties.filter(|own| !own.is_empty());
    (Arc::new(message), goes_on)
}
