//! A will, as long as it may have to be published.
//!
//! **Promise.** CONNACK means that the will is durable: if the broker crashes, and the client does not come back, it is published after the restart.

use std::sync::{Arc, OnceLock};

use access::Identity;
use bytes::Bytes;
use inbox_types::{Age, Kept, Node, Port, Ticket};

use super::wills::{RestoredWill, Will, connection_of, write_will};

/// A will that is not published yet, and where the store has it.
#[derive(Debug)]
pub struct PendingWill {
    /// What is to be published.
    pub will: Will,
    key: OnceLock<Bytes>,
    /// Its client had a connection when the broker ended: any new one means that it has not disappeared.
    pub(crate) is_of_before: bool,
}

impl PendingWill {
    /// Of a connection that begins. It is in memory only.
    pub fn new(will: Will) -> Self {
        PendingWill {
            will,
            key: OnceLock::new(),
            is_of_before: false,
        }
    }

    /// One that the store has.
    pub(crate) fn restored(restored: RestoredWill) -> Self {
        PendingWill {
            will: restored.will,
            key: restored.key.into(),
            is_of_before: restored.due.is_none(),
        }
    }

    /// Has the store keep it there, as the will of `who`. Who `waits` is told when that is durable. A delay ends with the session at the latest (MQTT 5,
    /// section 3.1.3.2.2), and so it does where a crash ends the connection.
    pub(crate) fn keep(
        &self,
        key: Bytes,
        who: &Identity,
        session_expiry: u32,
        node: &Node,
        waits: (Arc<dyn Port>, Ticket),
    ) {
        let mut will = self.will.clone();
        will.delay = will.delay.min(session_expiry);
        let record = write_will(who, &will, None);
        let key = self.key.get_or_init(|| key).clone();
        node.inboxes.keep(Kept::Will, key, Some(record), Some(waits));
    }

    /// The connection has ended, and the will is due at that age of the store.
    pub(crate) fn is_due_at(&self, due: Age, who: &Identity, node: &Node) {
        if let Some(key) = self.key.get() {
            let record = write_will(who, &self.will, Some(due));
            node.inboxes.keep(Kept::Will, key.clone(), Some(record), None);
        }
    }

    /// An `id` by which it is known when it is published again, after a crash (contract rule 8); `None`: no crash publishes it.
    pub(crate) fn id(&self) -> Option<Box<str>> {
        let connection = self.key.get().and_then(|key| connection_of(key))?;
        let digits: String = connection.iter().map(|byte| format!("{byte:02x}")).collect();
        Some(format!("will-{digits}").into())
    }

    /// Whether the store has it, or is to have it.
    pub(crate) fn is_kept(&self) -> bool {
        self.key.get().is_some()
    }

    /// It is published, or does not have to be.
    pub fn forget(&self, node: &Node) {
        if let Some(key) = self.key.get() {
            node.inboxes.keep(Kept::Will, key.clone(), None, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use inbox_types::{ClientId, MemoryBudget, Qos};
    use pubsub::SessionKey;

    use super::super::wills::{FoundWill, found_will, will_key};
    use super::*;

    #[test]
    fn a_will_is_known_again_after_a_crash() {
        // Goal: what a crash publishes again has the `id` that it had; that of another connection has another one, and one in memory only has none.
        let who = Identity::anonymous(ClientId::new("bob").unwrap());
        let will = Will {
            topic: "alice".into(),
            qos: Qos::AtLeastOnce,
            retain: false,
            delay: 0,
            message_expiry: None,
            payload: Bytes::new(),
            properties: None,
        };
        let restored = |nth: u32| {
            let key = will_key(who.client_id(), Age(7), SessionKey(1), nth);
            let record = write_will(&who, &will, None);
            let FoundWill::Will(restored) = found_will(&key, &record, &MemoryBudget::new(usize::MAX)) else {
                panic!("it is one");
            };
            PendingWill::restored(*restored).id()
        };
        let before = PendingWill::new(will.clone());
        assert_eq!(before.id(), None);
        let key = will_key(who.client_id(), Age(7), SessionKey(1), 2);
        before.key.set(key).unwrap();
        assert!(before.id().is_some_and(|id| id.starts_with("will-")));
        assert_eq!(restored(2), before.id());
        assert_ne!(restored(3), before.id());
    }
}
