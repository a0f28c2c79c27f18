//! Events as they are told under `$SYS/inboxd/event/`.

use inbox_bridge::{Event, EventKind, Micros, message_id};
use serde_json::{Value, json};

/// Events that wait to be published. Beyond, they are only counted and logged, and how many were missed is logged.
pub(super) const EVENTS_MAX: usize = 1024;

/// Every kind of event that is told. They are rare beside messages, and the audit log listens to most of them, too.
pub(super) const KINDS: [EventKind; 6] = [
    EventKind::Connected,
    EventKind::Disconnected,
    EventKind::TurnedAway,
    EventKind::Refused,
    EventKind::Left,
    EventKind::Purged,
];

/// The last levels of the topics that tell this event, and what each of them says.
pub(super) fn told(event: &Event, now: Micros) -> Vec<(&'static str, Value)> {
    let at = now.0;
    match event {
        Event::Connected {
            client,
            peer,
            listener,
            user,
            ..
        } => vec![(
            "connected",
            json!({"at": at, "client": client.as_str(), "user": user, "peer": peer.to_string(), "listener": listener.as_deref()}),
        )],
        Event::Disconnected {
            client,
            peer,
            user,
            reason,
            cause,
            why,
        } => {
            let said = json!({
                "at": at, "client": client.as_str(), "user": user, "peer": peer.to_string(),
                "reason": reason, "cause": cause, "why": why,
            });
            let takeover = (*cause == Some("taken_over")).then(|| ("takeover", said.clone()));
            [("disconnected", said)].into_iter().chain(takeover).collect()
        }
        Event::TurnedAway {
            peer,
            client,
            cause,
            why,
            ..
        } => {
            let who = client.as_deref().map_or_else(|| peer.to_string(), str::to_owned);
            vec![refused(at, &who, "", cause, why)]
        }
        Event::Refused { who, what, cause, why } => {
            let full = matches!(*cause, "publish_full" | "publish_share")
                .then(|| ("inbox-full", json!({"at": at, "inbox": what, "from": who})));
            [refused(at, who, what, cause, why)].into_iter().chain(full).collect()
        }
        // Its sender wanted it so, and traces show it: as often as senders replace what they sent, nobody need be told.
        Event::Left { why, .. } if why.is_withdrawn() => Vec::new(),
        Event::Left {
            inbox,
            seq,
            from,
            id,
            why,
        } => {
            let id = message_id(id.as_deref(), *seq);
            let reason = why.as_str();
            let said = json!({
                "at": at, "inbox": inbox.as_str(), "seq": seq.0, "id": id, "from": from.as_str(), "reason": reason,
            });
            vec![(reason, said)]
        }
        Event::Purged { inbox, up_to, messages } => {
            vec![(
                "purged",
                json!({"at": at, "inbox": inbox.as_str(), "up_to": up_to.0, "messages": messages}),
            )]
        }
        _ => Vec::new(),
    }
}

fn refused(at: u64, who: &str, what: &str, cause: &str, why: &str) -> (&'static str, Value) {
    (
        "refused",
        json!({"at": at, "who": who, "what": what, "cause": cause, "why": why}),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use inbox_bridge::ClientId;

    #[test]
    fn a_takeover_and_a_full_inbox_have_topics_of_their_own() {
        // Goal: who watches only those need not look through all ends of connections and all refusals.
        let names = |event: &Event| {
            told(event, Micros(1))
                .into_iter()
                .map(|(name, _)| name)
                .collect::<Vec<_>>()
        };
        let ended = |cause| Event::Disconnected {
            client: ClientId::new("bob").unwrap(),
            peer: ([127, 0, 0, 1], 1).into(),
            user: None,
            reason: None,
            cause,
            why: "…".into(),
        };
        assert_eq!(names(&ended(None)), ["disconnected"]);
        assert_eq!(names(&ended(Some("taken_over"))), ["disconnected", "takeover"]);
        let refused = |cause| Event::Refused {
            who: "alice".into(),
            what: "bob".into(),
            cause,
            why: "…".into(),
        };
        assert_eq!(names(&refused("publish_topic")), ["refused"]);
        assert_eq!(names(&refused("publish_full")), ["refused", "inbox-full"]);
    }
}
