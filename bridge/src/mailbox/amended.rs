//! What leaves with the batch that has another message in its place (contract rule 12).

use std::sync::Arc;

use super::amending::Amends;
use super::leaving::{Fate, left_unread};
use super::{Context, Durability, Effects, Mailbox, Unwritten, grow, shrink};
use inbox_store::Batch;
use inbox_types::{BATCH_BYTES_MAX, COLLAPSE, Left, Message, PublishState, ReceiptsWanted, Seq, Sizes};

/// What is to happen before a batch can take messages that amend.
pub(super) enum Wanted {
    /// Nothing: it may take what waits up to here.
    UpTo(Seq),
    /// This message is to be read.
    Message(Seq),
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
        let mut ready = Vec::new();
        'pending: for (seq, pending) in pending {
            for earlier in amending.names.before(pending.name, *seq) {
                match self.young_at(earlier) {
                    // It is in this batch already, since before the store was asked something: what replaces it goes with the next one.
                    Some((_, Durability::Committing)) => {
                        up_to = Seq(seq.0 - 1);
                        break 'pending;
                    }
                    None if !pending.read.contains_key(&earlier) && !self.is_with_reader(earlier) => {
                        return Wanted::Message(earlier);
                    }
                    _ => {}
                }
            }
            ready.push(*seq);
        }
        for seq in ready {
            self.amend_one(seq, cx, fx);
            if inbox_types::fault!(AmendApart) {
                up_to = up_to.min(Seq(seq.0 - 1));
            }
        }
        Wanted::UpTo(up_to)
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
        let Some(amending) = self.amending.as_mut() else { return };
        let Some(pending) = amending.pending.get_mut(&seq) else {
            return;
        };
        let read = std::mem::take(&mut pending.read);
        let left = pending.amends.left();
        let earlier = amending.names.before(pending.name, seq);
        let is_undelivered = |seq: &Seq| self.is_unread(*seq, cx) && !self.is_with_reader(*seq);
        let is_in_time = !earlier.is_empty() && earlier.iter().all(is_undelivered);
        let is_in_time = is_in_time || inbox_types::fault!(RecallTooLate);
        let fate = match left {
            // The receipts are those of the new one.
            Left::Edited if is_in_time => Fate::Replaced,
            left => Fate::Unread(left),
        };
        let mut last = None;
        let mut has_left = false;
        for seq in earlier {
            if inbox_types::fault!(CollapseNothing) && left == Left::Collapsed {
                continue;
            }
            if self.is_with_reader(seq) || self.is_leaving(seq) {
                continue;
            }
            let young = self.young_at(seq);
            let message = match young {
                Some((_, Durability::CommittingGone)) => continue,
                Some((at, _)) => self.young.get(at).map(|young| young.message.clone()),
                None => read.get(&seq).cloned().flatten(),
            };
            if let Some(message) = message {
                left_unread(seq, &message, left, cx, fx);
                self.withdraw(seq, &message, fate, cx, fx);
                has_left = true;
                last = Some(message);
            }
        }
        self.note_amended(seq, is_in_time, has_left, last, cx, fx);
    }

    /// Takes a message out, with the batch that has another one in its place.
    fn withdraw(&mut self, seq: Seq, message: &Arc<Message>, fate: Fate, cx: Context, fx: &mut Effects) {
        match self.young_at(seq) {
            Some((at, Durability::Waiting)) => {
                self.forget_place(seq);
                self.owe(seq, message, fate, cx, fx);
                self.leave_with_batch(at, PublishState::Stored);
                self.made_room(cx, fx);
            }
            young => self.remove(seq, young, (Some(message.size()), Some(message)), fate, cx, fx),
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
        last: Option<Arc<Message>>,
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
            Amends::Edit(_, new) if is_in_time => {
                let new = last.map_or_else(|| new.clone(), |last| in_place_of(new, &last));
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
        self.share_shrinks(seq);
        self.share_grows(seq, &new, new.size());
        if let Some(amending) = &mut self.amending {
            amending.names.gone(seq);
            amending.names.put(seq, &new);
        }
    }
}

/// The new message, with the key and the receipts of the earlier one, unless it has its own.
fn in_place_of(new: &Arc<Message>, earlier: &Message) -> Arc<Message> {
    let Some(said) = earlier.properties.as_deref() else {
        return new.clone();
    };
    let mut message = Message::clone(new);
    let asks = earlier.receipts_wanted().is_some();
    let mut carried = Vec::new();
    if message.collapse_key().is_none() {
        carried.push(COLLAPSE);
    }
    if asks
        && message
            .properties
            .as_ref()
            .is_none_or(|own| own.response_topic.is_none())
    {
        carried.push(ReceiptsWanted::PROPERTY);
        let properties = message.properties.get_or_insert_default();
        properties.response_topic.clone_from(&said.response_topic);
        properties.correlation_data.clone_from(&said.correlation_data);
    }
    let is_carried = |(name, _): &&(Box<str>, Box<str>)| carried.contains(&&**name);
    let user: Vec<_> = said.user.iter().filter(is_carried).cloned().collect();
    if !user.is_empty() {
        message.properties.get_or_insert_default().user.extend(user);
    }
    Arc::new(message)
}
