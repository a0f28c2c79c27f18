//! How a message comes into its inbox, or is refused (contract rules 3 and 9).

use std::sync::Arc;

use inbox_types::{Event, EventKind, InboxSize, Message, Outcome, Proof, Refusal, Seq, WhenFull};

use super::sharing::count_no_room;
use super::{Context, Durability, Effects, KEPT_BYTES_MAX, Mailbox, Origin, Young, grow};
use crate::notices::Replaced;

impl Mailbox {
    /// Takes a message with QoS 1 or 2; the outcome goes to `origin`, now or later. Tells whether it was accepted.
    pub(crate) fn publish(
        &mut self,
        seq: Seq,
        message: Arc<Message>,
        origin: Option<Origin>,
        cx: Context,
        fx: &mut Effects,
    ) -> bool {
        let size = message.size();
        // What does not fit into an empty inbox must not empty this one either.
        let never_fits = size as u64 > cx.size.bytes_max;
        let refuses = cx.limits.when_full == WhenFull::Refuse;
        let refusal = match () {
            () if never_fits => Some(Refusal::LargerThanInbox),
            () if refuses && !self.makes_room(seq, size, cx, fx) => Some(Refusal::InboxFull),
            () if !self.share_has_room(&message.from, size, cx) => Some(Refusal::SenderShare),
            () => None,
        };
        if let Some(refusal) = refusal {
            self.replaced.remove(&seq);
            self.names_shrink(seq);
            self.void_notice(seq, &message, fx);
            count_no_room(refusal, cx);
            if let Some(origin) = origin {
                let says_yes = inbox_types::fault!(FullSaysYes);
                origin.settle(if says_yes {
                    Outcome::Accepted(Proof::of(seq))
                } else {
                    Outcome::Refused(refusal)
                });
            }
            return false;
        }
        cx.counters.accepted.add(1);
        cx.events.tell(EventKind::Accepted, || Event::Accepted {
            inbox: cx.inbox.clone(),
            seq,
            from: message.from.clone(),
            id: message.id.clone(),
            traceparent: traceparent(&message),
        });
        let (early, origin) = if inbox_types::fault!(AckBeforeCommit) {
            (origin, None)
        } else {
            (None, origin)
        };
        if let Some(origin) = early {
            origin.settle(Outcome::Accepted(Proof::of(seq)));
        }
        let now = cx.now.mono;
        grow(&mut self.unstored, size);
        self.share_grows(seq, &message, size);
        self.names_grow(seq, &message);
        self.young.push_back(Young {
            seq,
            message,
            durability: Durability::Waiting,
            origin,
            held_until: now,
        });
        self.pump(cx, fx);
        // With its reader busy on it, the message may be acknowledged before the disk is needed at all.
        let is_sent = self.sent_up_to == seq;
        let held_until = if is_sent { now + cx.limits.commit_hold } else { now };
        if let Some(last) = self.young.back_mut().filter(|young| young.seq == seq) {
            last.held_until = held_until;
            fx.commit_by(held_until);
        }
        true
    }

    /// Takes a notice (contract rule 3). When it is durable it takes the place of the one that it replaces, so it needs no room of its own.
    pub(crate) fn publish_notice(
        &mut self,
        seq: Seq,
        message: Arc<Message>,
        replaces: Option<Replaced>,
        origin: Option<Origin>,
        cx: Context,
        fx: &mut Effects,
    ) {
        if let Some(replaces) = replaces {
            self.replaced.insert(seq, replaces);
        }
        self.publish(seq, message, origin, cx, fx);
    }

    /// Takes a message with QoS 0: for a reader that is there, or for nobody (contract rule 9).
    pub(crate) fn publish_qos0(&mut self, seq: Seq, message: Arc<Message>, cx: Context, fx: &mut Effects) {
        let is_too_much = self.qos0_waiting > 0 && self.qos0_bytes + message.size() > KEPT_BYTES_MAX;
        if self.reader.is_none() || self.qos0_waiting >= cx.limits.sizes.kept_max || is_too_much {
            cx.counters.qos0_undelivered.add(1);
            return;
        }
        let held_until = cx.now.mono;
        self.qos0_waiting += 1;
        self.qos0_bytes += message.size();
        self.young.push_back(Young {
            seq,
            message,
            durability: Durability::Never,
            origin: None,
            held_until,
        });
        self.pump(cx, fx);
    }

    /// Whether a message fits into an inbox that refuses what does not, when what has nearly left it makes room.
    #[inline]
    fn makes_room(&mut self, seq: Seq, size: usize, cx: Context, fx: &mut Effects) -> bool {
        if self.has_room(size, cx.size) {
            return true;
        }
        self.settle_for_room(|mailbox| !mailbox.has_room(size, cx.size), cx, fx);
        self.replaced.contains_key(&seq) || self.has_room(size, cx.size)
    }

    /// Whether a message of `size` bytes fits, as far as is known without asking the store.
    fn has_room(&self, size: usize, max: InboxSize) -> bool {
        let held = self.held();
        held.messages < max.messages_max && held.bytes + size as u64 <= max.bytes_max
    }
}

/// The trace that a message is part of, as its sender says.
fn traceparent(message: &Message) -> Option<Box<str>> {
    let properties = message.properties.as_deref()?;
    properties.user_property("traceparent").map(Box::from)
}
