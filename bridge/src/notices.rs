//! Notices: what the broker itself writes into inboxes.
//!
//! Those of refused publishes (contract rule 3): MQTT 3.1.1 has no answer that says no, so the refusal goes into the sender's own inbox,
//! and the sender is told yes when it is durable there.
//!
//! Notices about the same topic for the same reason are joined while the earlier one is unread: the later one says all that the earlier one
//! said, and takes its place. What is known of the earlier ones is in memory only, so joining begins anew after a restart, and for senders
//! that were forgotten for want of room.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::receipts;
use bytes::Bytes;
use hashbrown::{HashMap, HashSet};
use inbox_types::{
    ClientId, Expiry, Message, Micros, NOTICE_FROM, NOTICE_MESSAGES_MAX, NOTICES_OPEN_MAX, Qos, RefusedPublishes, Seq,
    hexadecimal,
};

/// The notices that may be unread.
#[derive(Debug, Default)]
pub(crate) struct Notices {
    open: HashMap<Key, Open>,
    /// The keys of `open`, the oldest first.
    order: VecDeque<Key>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    sender: ClientId,
    topic: Arc<str>,
    reason: u8,
}

impl Key {
    fn new(sender: &ClientId, refused: &RefusedPublishes) -> Self {
        Key {
            sender: sender.clone(),
            topic: refused.topic.clone(),
            reason: refused.reason,
        }
    }
}

#[derive(Debug)]
struct Open {
    seq: Seq,
    size: usize,
    expiry: Expiry,
    count: u64,
    first_at: Micros,
    payloads: VecDeque<[u8; 32]>,
}

/// The notice whose place a new one takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Replaced {
    pub(crate) seq: Seq,
    pub(crate) size: usize,
}

impl Notices {
    /// The notice that is to be stored as `seq`, and the one that it replaces. `is_unread` tells of an earlier notice whether nobody was sent
    /// it.
    pub(crate) fn add(
        &mut self,
        sender: &ClientId,
        refused: &RefusedPublishes,
        seq: Seq,
        (now, expiry): (Micros, Expiry),
        is_unread: impl Fn(Seq) -> bool,
    ) -> (Message, Option<Replaced>) {
        let key = Key::new(sender, refused);
        let earlier = self.open.remove(&key);
        if earlier.is_none() {
            self.make_room();
            self.order.push_back(key.clone());
        }
        let earlier = earlier.filter(|open| is_unread(open.seq) && !open.expiry.is_over(expiry.accepted()));
        let replaced = earlier.as_ref().map(|open| Replaced {
            seq: open.seq,
            size: open.size,
        });
        let mut open = earlier.unwrap_or_else(|| Open {
            seq,
            size: 0,
            expiry,
            count: 0,
            first_at: now,
            payloads: VecDeque::new(),
        });
        open.count += refused.payloads.len() as u64;
        open.payloads.extend(&refused.payloads);
        open.payloads
            .drain(..open.payloads.len().saturating_sub(NOTICE_MESSAGES_MAX));
        let message = Message {
            payload: open.text(refused, now),
            ..message(now, expiry)
        };
        (open.seq, open.size, open.expiry) = (seq, message.size(), expiry);
        self.open.insert(key, open);
        (message, replaced)
    }

    /// The notice about this was not stored.
    pub(crate) fn forget(&mut self, sender: &ClientId, refused: &RefusedPublishes) {
        let key = Key::new(sender, refused);
        if self.open.remove(&key).is_some() {
            self.order.retain(|open| *open != key);
        }
    }

    /// These notices to `sender` were not stored, or left: none takes their place.
    pub(crate) fn void(&mut self, sender: &ClientId, seqs: &[Seq]) {
        self.open
            .retain(|key, open| key.sender != *sender || !seqs.contains(&open.seq));
        let open = &self.open;
        self.order.retain(|key| open.contains_key(key));
    }

    /// Nothing is left in the inboxes of these senders.
    pub(crate) fn emptied(&mut self, senders: &HashSet<ClientId>) {
        self.open.retain(|key, _| !senders.contains(&key.sender));
        let open = &self.open;
        self.order.retain(|key| open.contains_key(key));
    }

    fn make_room(&mut self) {
        while self.order.len() >= NOTICES_OPEN_MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.open.remove(&oldest);
            }
        }
    }
}

impl Open {
    fn text(&self, refused: &RefusedPublishes, now: Micros) -> Bytes {
        let messages: Vec<_> = self
            .payloads
            .iter()
            .map(|payload| serde_json::json!({ "sha256": hexadecimal(payload) }))
            .collect();
        let text = serde_json::json!({
            "notice": "refused",
            "topic": &*refused.topic,
            "reason": refused.reason,
            "why": &*refused.why,
            "count": self.count,
            "first_at": self.first_at.0,
            "last_at": now.0,
            "messages": messages,
        });
        text.to_string().into()
    }
}

/// There is room again for what was to go to `topic`. It says its seq, which MQTT 3.1.1 does not show: a notice that comes again is known by it.
pub(crate) fn room(topic: &str, seq: Seq, now: Micros, expiry: Expiry) -> Message {
    let text = serde_json::json!({ "notice": "room", "topic": topic, "at": now.0, "seq": seq.0 });
    Message {
        payload: text.to_string().into(),
        ..message(now, expiry)
    }
}

fn message(at: Micros, expiry: Expiry) -> Message {
    Message {
        from: NOTICE_FROM.clone(),
        id: None,
        at,
        expiry,
        qos: Qos::AtLeastOnce,
        payload: Bytes::new(),
        properties: Some(Box::new(receipts::marked("notice"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: (Micros, Expiry) = (Micros(10), Expiry::of(inbox_types::Age(10), 990, None));

    fn refused(topic: &str, payloads: &[u8]) -> RefusedPublishes {
        RefusedPublishes {
            topic: topic.into(),
            reason: 0x97,
            why: "the \"inbox\" is full".into(),
            payloads: payloads.iter().map(|byte| [*byte; 32]).collect(),
        }
    }

    fn said(message: &Message) -> serde_json::Value {
        serde_json::from_slice(&message.payload).unwrap()
    }

    // Goal: rule 3: notices about one topic for one reason are joined while they are unread, and no longer; others are apart.
    #[test]
    fn rule_03_unread_notices_are_joined() {
        let (mut notices, alice) = (Notices::default(), ClientId::new("alice").unwrap());
        let (first, replaced) = notices.add(&alice, &refused("bob", &[1]), Seq(1), NOW, |_| true);
        assert_eq!((said(&first)["count"].as_u64(), replaced), (Some(1), None));
        let (second, replaced) = notices.add(&alice, &refused("bob", &[2, 3]), Seq(2), NOW, |_| true);
        let size = first.size();
        assert_eq!(replaced, Some(Replaced { seq: Seq(1), size }));
        let said = said(&second);
        assert_eq!(
            (said["count"].as_u64(), said["topic"].as_str(), said["reason"].as_u64()),
            (Some(3), Some("bob"), Some(0x97))
        );
        assert_eq!(said["messages"][2]["sha256"], "03".repeat(32));
        assert_eq!(said["messages"].as_array().unwrap().len(), 3);
        for other in [
            refused("carol", &[4]),
            RefusedPublishes {
                reason: 0x83,
                ..refused("bob", &[5])
            },
        ] {
            assert_eq!(notices.add(&alice, &other, Seq(3), NOW, |_| true).1, None);
        }
        let (third, replaced) = notices.add(&alice, &refused("bob", &[6]), Seq(4), NOW, |_| false);
        assert_eq!(
            (self::said(&third)["count"].as_u64(), replaced),
            (Some(1), None),
            "it was read"
        );
    }

    // Goal: a notice is small however long nobody reads it: the newest hundred are named, all are counted.
    #[test]
    fn rule_03_a_notice_names_the_newest_hundred() {
        let (mut notices, alice) = (Notices::default(), ClientId::new("alice").unwrap());
        let mut last = None;
        for n in 0..250_u8 {
            let (message, _) = notices.add(&alice, &refused("bob", &[n]), Seq(u64::from(n) + 1), NOW, |_| true);
            last = Some(said(&message));
        }
        let last = last.unwrap();
        assert_eq!(
            (last["count"].as_u64(), last["messages"].as_array().unwrap().len()),
            (Some(250), 100)
        );
        assert_eq!(last["messages"][0]["sha256"], "96".repeat(32));
    }

    // Goal: a notice that was refused was never stored, so the next one takes nobody's place, and others are as before.
    #[test]
    fn rule_03_a_refused_notice_is_not_replaced() {
        let (mut notices, alice) = (Notices::default(), ClientId::new("alice").unwrap());
        notices.add(&alice, &refused("bob", &[1]), Seq(1), NOW, |_| true);
        let carol = notices.add(&alice, &refused("carol", &[2]), Seq(2), NOW, |_| true).0;
        notices.void(&alice, &[Seq(1)]);
        assert_eq!(notices.order.len(), notices.open.len());
        let (next, replaced) = notices.add(&alice, &refused("bob", &[3]), Seq(3), NOW, |_| true);
        assert_eq!((said(&next)["count"].as_u64(), replaced), (Some(1), None));
        let replaced = notices.add(&alice, &refused("carol", &[4]), Seq(4), NOW, |_| true).1;
        let size = carol.size();
        assert_eq!(replaced, Some(Replaced { seq: Seq(2), size }));
    }

    // Goal: what is remembered of open notices is bounded, and one that was not stored is not counted.
    #[test]
    fn rule_03_open_notices_are_bounded() {
        let mut notices = Notices::default();
        for n in 0..2 * NOTICES_OPEN_MAX {
            let sender = ClientId::new(&format!("c{n}")).unwrap();
            notices.add(&sender, &refused("bob", &[1]), Seq(n as u64 + 1), NOW, |_| true);
        }
        assert_eq!(
            (notices.open.len(), notices.order.len()),
            (NOTICES_OPEN_MAX, NOTICES_OPEN_MAX)
        );
        let newest = ClientId::new(&format!("c{}", 2 * NOTICES_OPEN_MAX - 1)).unwrap();
        notices.forget(&newest, &refused("bob", &[]));
        assert_eq!(notices.open.len(), notices.order.len());
        assert_eq!(
            notices.add(&newest, &refused("bob", &[1]), Seq(9), NOW, |_| true).1,
            None
        );
    }
}
