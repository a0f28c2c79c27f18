//! The retained messages (MQTT 5, section 3.3.1.3).
//!
//! Our own table, because rumqttd's counts expiry down at every read, sends a truncated list, and sends nothing at all
//! when a filter is subscribed to again.

use std::collections::BTreeMap;
use std::sync::Arc;

use inbox_types::Age;

use super::topic::{has_wildcard, matches, router_name};
use super::{OrdinaryMessage, PublishError};

/// At most one message per topic. Ordered by topic, so that a subscriber gets them in an order that means something.
#[derive(Debug)]
pub(super) struct Retained {
    /// By [`router_name`], which is what filters are matched with.
    messages: BTreeMap<Box<str>, Arc<OrdinaryMessage>>,
    bytes: usize,
    messages_max: usize,
    bytes_max: usize,
}

impl Retained {
    pub(super) fn new(messages_max: usize, bytes_max: usize) -> Self {
        Retained {
            messages: BTreeMap::new(),
            bytes: 0,
            messages_max,
            bytes_max,
        }
    }

    /// Makes `message`, which has the RETAIN flag, the retained message of its topic. An empty payload clears the topic
    /// (MQTT-3.3.1-6, MQTT-3.3.1-7), and so does a message that has expired already.
    ///
    /// # Errors
    /// [`PublishError::RetainedFull`]; the table is as before, then.
    pub(super) fn put(&mut self, message: &Arc<OrdinaryMessage>, now: Age) -> Result<(), PublishError> {
        let name = router_name(&message.topic);
        if message.payload.is_empty() || message.is_expired(now) {
            self.remove(&name);
            return Ok(());
        }
        if !self.has_room(&name, message.size()) {
            self.remove_expired(now);
            if !self.has_room(&name, message.size()) {
                return Err(PublishError::RetainedFull);
            }
        }
        self.remove(&name);
        self.bytes += message.size();
        self.messages.insert(name.into(), Arc::clone(message));
        Ok(())
    }

    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    /// The retained messages that `filter` matches and that have not expired at `now`, in the order of their topics.
    pub(super) fn matching(&self, filter: &str, now: Age) -> Vec<Arc<OrdinaryMessage>> {
        let wanted = router_name(filter);
        if !has_wildcard(filter) {
            return self
                .messages
                .get(&*wanted)
                .filter(|m| !m.is_expired(now))
                .cloned()
                .into_iter()
                .collect();
        }
        self.messages
            .iter()
            .filter(|(name, message)| matches(name, &wanted) && !message.is_expired(now))
            .map(|(_, message)| Arc::clone(message))
            .collect()
    }

    fn has_room(&self, name: &str, size: usize) -> bool {
        let (messages, bytes) = self.messages.get(name).map_or((0, 0), |old| (1, old.size()));
        self.messages.len() - messages < self.messages_max && self.bytes - bytes + size <= self.bytes_max
    }

    fn remove(&mut self, name: &str) {
        if let Some(old) = self.messages.remove(name) {
            self.bytes -= old.size();
        }
    }

    fn remove_expired(&mut self, now: Age) {
        self.messages.retain(|_, message| !message.is_expired(now));
        self.bytes = self.messages.values().map(|message| message.size()).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::message;
    use super::*;
    use inbox_types::Expiry;

    fn retained(topic: &str, payload: &str, expires_at: Option<u64>) -> Arc<OrdinaryMessage> {
        Arc::new(OrdinaryMessage {
            retain: true,
            expiry: expires_at.map(|at| Expiry::of(Age(0), at - 1, None)),
            ..message(topic, payload)
        })
    }

    fn topics(table: &Retained, filter: &str, now: u64) -> Vec<String> {
        table
            .matching(filter, Age(now))
            .iter()
            .map(|m| m.topic.to_string())
            .collect()
    }

    /// Goal: one message per topic, the latest; an empty payload clears it (MQTT-3.3.1-5 to MQTT-3.3.1-7).
    #[test]
    fn mqtt_3_3_1_5_the_latest_message_is_retained_and_an_empty_one_clears_it() {
        let mut table = Retained::new(10, 1000);
        table.put(&retained("a/b", "1", None), Age(0)).unwrap();
        table.put(&retained("a/b", "22", None), Age(0)).unwrap();
        table.put(&retained("$SYS/x", "3", None), Age(0)).unwrap();
        assert_eq!(&*table.matching("a/+", Age(0))[0].payload, b"22");
        assert_eq!(topics(&table, "#", 0), ["a/b"]);
        assert_eq!(topics(&table, "$SYS/#", 0), ["$SYS/x"]);
        table.put(&retained("a/b", "", None), Age(0)).unwrap();
        assert!(topics(&table, "a/b", 0).is_empty());
        table.put(&retained("$SYS/x", "", None), Age(0)).unwrap();
        assert_eq!((table.messages.len(), table.bytes), (0, 0));
    }

    /// Goal: expired messages are never seen, however often the table was read before (MQTT-3.3.2-5).
    #[test]
    fn mqtt_3_3_2_5_an_expired_message_is_not_seen_and_reading_does_not_age_it() {
        let mut table = Retained::new(10, 1000);
        table.put(&retained("a/b", "1", Some(100)), Age(0)).unwrap();
        for now in 0..100 {
            assert_eq!(topics(&table, "#", now).len(), 1, "at {now}");
        }
        assert!(topics(&table, "#", 100).is_empty());
        assert!(topics(&table, "a/b", 100).is_empty());
        table.put(&retained("a/b", "late", Some(100)), Age(100)).unwrap();
        assert_eq!((table.messages.len(), table.bytes), (0, 0));
    }

    /// Goal: both limits refuse, a refusal changes nothing, and replacing, clearing and expiry make room.
    #[test]
    fn a_full_table_refuses_and_stays_as_it_was() {
        let mut table = Retained::new(2, 20);
        table.put(&retained("a/1", "xx", None), Age(0)).unwrap();
        table.put(&retained("a/2", "xx", Some(50)), Age(0)).unwrap();
        assert_eq!(
            table.put(&retained("a/3", "x", None), Age(0)),
            Err(PublishError::RetainedFull)
        );
        assert_eq!(
            table.put(&retained("a/1", "0123456789abc", None), Age(0)),
            Err(PublishError::RetainedFull)
        );
        assert_eq!(topics(&table, "#", 0), ["a/1", "a/2"]);
        table.put(&retained("a/1", "0123456789ab", None), Age(0)).unwrap();
        table.put(&retained("a/3", "xx", None), Age(50)).unwrap();
        assert_eq!(topics(&table, "#", 50), ["a/1", "a/3"]);
        assert_eq!(table.bytes, 20);
    }
}
