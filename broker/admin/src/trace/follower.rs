//! Which events are about the messages that a trace follows: a state machine without I/O.

use std::collections::HashSet;

use inbox_bridge::{ClientId, Entry, Event, Micros, Seq, message_id};
use serde_json::{Map, Value, json};

/// Messages that one trace follows at a time. Beyond, new ones are not followed, and that is told.
const FOLLOWED_MAX: usize = 10_000;

/// Which messages are to be followed: those to whom, from whom, and with which `id`; at least one of these is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) from: Option<ClientId>,
    pub(super) to: Option<ClientId>,
    pub(super) id: Option<String>,
}

impl Wanted {
    fn is(&self, inbox: &ClientId, from: &ClientId, id: &str) -> bool {
        let is_to = self.to.as_ref().is_none_or(|wanted| wanted == inbox);
        let is_from = self.from.as_ref().is_none_or(|wanted| wanted == from);
        is_to && is_from && self.id.as_deref().is_none_or(|wanted| wanted == id)
    }

    /// Whether a refusal may be about such a message: of an `id` nothing is known then.
    fn may_be(&self, topic: &str, from: &str) -> bool {
        // Behind the prefix of inboxes, if there is one.
        let is_inbox_of = |wanted: &ClientId| {
            let before = topic.strip_suffix(wanted.as_str());
            before.is_some_and(|before| before.is_empty() || (before.ends_with('/') && !before.starts_with('$')))
        };
        let is_to = self.to.as_ref().is_none_or(is_inbox_of);
        let is_from = self.from.as_ref().is_none_or(|wanted| *wanted.as_str() == *from);
        is_to && is_from
    }
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Follower {
    wanted: Wanted,
    followed: HashSet<(ClientId, Seq)>,
    is_full: bool,
}

impl Follower {
    pub(super) fn new(wanted: Wanted) -> Self {
        Follower {
            wanted,
            followed: HashSet::new(),
            is_full: false,
        }
    }

    /// A message waited already. Gives what is told of it.
    pub(super) fn finds(&mut self, inbox: &ClientId, entry: &Entry) -> Option<Value> {
        let message = &entry.message;
        let id = message_id(message.id.as_deref(), entry.seq);
        if !self.wanted.is(inbox, &message.from, &id) {
            return None;
        }
        self.followed.insert((inbox.clone(), entry.seq));
        Some(told("waiting", message.at.0, inbox, entry.seq, |more| {
            more("from", json!(message.from.as_str()));
            more("id", json!(id));
        }))
    }

    /// What is told of an event, if it is about a message that is followed.
    pub(super) fn hears(&mut self, event: &Event, now: Micros) -> Option<Value> {
        let at = now.0;
        match event {
            Event::Accepted {
                inbox, seq, from, id, ..
            } => {
                let id = message_id(id.as_deref(), *seq);
                if !self.wanted.is(inbox, from, &id) {
                    return None;
                }
                if self.followed.len() >= FOLLOWED_MAX {
                    let is_news = !std::mem::replace(&mut self.is_full, true);
                    return is_news.then(|| json!({"what": "too-many", "at": at, "followed": FOLLOWED_MAX}));
                }
                self.is_full = false;
                self.followed.insert((inbox.clone(), *seq));
                Some(told("accepted", at, inbox, *seq, |more| {
                    more("from", json!(from.as_str()));
                    more("id", json!(id));
                }))
            }
            Event::Committed { inbox, seq } => self.about(inbox, *seq, "committed", at),
            Event::Delivered { inbox, seq, dup } => {
                let mut said = self.about(inbox, *seq, "delivered", at)?;
                if let Some(fields) = said.as_object_mut() {
                    fields.insert("dup".to_owned(), json!(dup));
                }
                Some(said)
            }
            Event::Acknowledged {
                inbox,
                seq,
                is_cancelled,
            } => {
                let what = if *is_cancelled { "cancelled" } else { "acknowledged" };
                let said = self.about(inbox, *seq, what, at);
                self.forget(inbox, *seq);
                said
            }
            Event::Left { inbox, seq, why, .. } => {
                let said = self.about(inbox, *seq, why.as_str(), at);
                self.forget(inbox, *seq);
                said
            }
            Event::Purged { inbox, up_to, .. } => {
                let before = self.followed.len();
                self.followed.retain(|(of, seq)| of != inbox || seq > up_to);
                let messages = before - self.followed.len();
                let said = || json!({"what": "purged", "at": at, "inbox": inbox.as_str(), "up_to": up_to.0, "messages": messages});
                (messages > 0).then(said)
            }
            Event::Refused { who, what, cause, why }
                if cause.starts_with("publish") && self.wanted.may_be(what, who) =>
            {
                Some(json!({"what": "refused", "at": at, "inbox": what, "from": who, "cause": cause, "why": why}))
            }
            _ => None,
        }
    }

    fn about(&self, inbox: &ClientId, seq: Seq, what: &str, at: u64) -> Option<Value> {
        let is_followed = self.followed.contains(&(inbox.clone(), seq));
        is_followed.then(|| told(what, at, inbox, seq, |_| ()))
    }

    fn forget(&mut self, inbox: &ClientId, seq: Seq) {
        self.followed.remove(&(inbox.clone(), seq));
    }
}

fn told(what: &str, at: u64, inbox: &ClientId, seq: Seq, more: impl FnOnce(&mut dyn FnMut(&str, Value))) -> Value {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| {
        fields.insert(name.to_owned(), value);
    };
    put("what", json!(what));
    put("at", json!(at));
    put("inbox", json!(inbox.as_str()));
    put("seq", json!(seq.0));
    more(&mut put);
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> ClientId {
        ClientId::new(name).unwrap()
    }

    fn accepted(inbox: &str, seq: u64, from: &str, id_: Option<&str>) -> Event {
        Event::Accepted {
            inbox: id(inbox),
            seq: Seq(seq),
            from: id(from),
            id: id_.map(Box::from),
            traceparent: None,
        }
    }

    fn acknowledged(inbox: &str, seq: u64) -> Event {
        Event::Acknowledged {
            inbox: id(inbox),
            seq: Seq(seq),
            is_cancelled: true,
        }
    }

    fn hears(follower: &mut Follower, event: &Event) -> Option<String> {
        let said = follower.hears(event, Micros(5))?;
        Some(said["what"].as_str().unwrap().to_owned())
    }

    #[test]
    fn only_the_messages_that_are_wanted_are_followed() {
        // Goal: by recipient, sender and id; what comes of others, or of a message that was done, is not told.
        let mut follower = Follower::new(Wanted {
            from: Some(id("alice")),
            to: Some(id("bob")),
            id: Some("m1".into()),
        });
        let told = |follower: &mut Follower, event| hears(follower, &event);
        assert_eq!(told(&mut follower, accepted("bob", 1, "alice", Some("m2"))), None);
        assert_eq!(told(&mut follower, accepted("bob", 2, "eve", Some("m1"))), None);
        assert_eq!(told(&mut follower, accepted("carol", 3, "alice", Some("m1"))), None);
        assert_eq!(
            told(&mut follower, accepted("bob", 4, "alice", Some("m1"))),
            Some("accepted".into())
        );
        for seq in [1, 2, 3] {
            assert_eq!(told(&mut follower, acknowledged("bob", seq)), None);
        }
        assert_eq!(told(&mut follower, acknowledged("carol", 4)), None);
        assert_eq!(told(&mut follower, acknowledged("bob", 4)), Some("cancelled".into()));
        assert_eq!(told(&mut follower, acknowledged("bob", 4)), None);
    }

    #[test]
    fn what_is_followed_is_bounded_and_that_is_told_once() {
        // Goal: a flood does not fill the memory; when there is room again, new messages are followed again.
        let mut follower = Follower::new(Wanted {
            to: Some(id("bob")),
            ..Wanted::default()
        });
        for seq in 0..FOLLOWED_MAX as u64 {
            assert!(
                follower
                    .hears(&accepted("bob", seq, "alice", None), Micros(1))
                    .is_some()
            );
        }
        let more = accepted("bob", 1 << 40, "alice", None);
        assert_eq!(hears(&mut follower, &more), Some("too-many".into()));
        assert_eq!(hears(&mut follower, &more), None);
        hears(&mut follower, &acknowledged("bob", 0));
        assert_eq!(hears(&mut follower, &more), Some("accepted".into()));
        let purged = Event::Purged {
            inbox: id("bob"),
            up_to: Seq(u64::MAX),
            messages: 9,
        };
        let told = follower.hears(&purged, Micros(5)).unwrap();
        assert_eq!(
            (&told["what"], &told["up_to"], &told["messages"]),
            (&json!("purged"), &json!(u64::MAX), &json!(FOLLOWED_MAX))
        );
        assert!(follower.followed.is_empty());
    }
}
