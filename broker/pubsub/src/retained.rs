//! The retained messages (MQTT 5, section 3.3.1.3).
//!
//! Our own table, because rumqttd's counts expiry down at every read, sends a truncated list, and sends nothing at all
//! when a filter is subscribed to again.

use std::collections::BTreeMap;
use std::sync::Arc;

use inbox_types::Age;

use super::topic::{has_wildcard, matches, router_name};
use super::{OrdinaryDelivery, OrdinaryMessage, PublishError};

/// At most one message per topic. Ordered by topic, so that a subscriber gets them in an order that means something.
#[derive(Debug)]
pub(super) struct Retained {
    /// By [`router_name`], which is what filters are matched with.
    messages: BTreeMap<Box<str>, Arc<OrdinaryMessage>>,
    /// Those of clients, to which the limits apply.
    counted: usize,
    /// The sum of their sizes.
    bytes: usize,
    messages_max: usize,
    bytes_max: usize,
}

impl Retained {
    pub(super) fn new(messages_max: usize, bytes_max: usize) -> Self {
        Retained {
            messages: BTreeMap::new(),
            counted: 0,
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
        if !self.has_room(&name, message) {
            self.remove_expired(now);
            if !self.has_room(&name, message) {
                return Err(PublishError::RetainedFull);
            }
        }
        self.remove(&name);
        let (messages, bytes) = counts(message);
        self.counted += messages;
        self.bytes += bytes;
        self.messages.insert(name.into(), Arc::clone(message));
        Ok(())
    }

    /// How many there are, of clients.
    pub(super) fn len(&self) -> usize {
        self.counted
    }

    /// The retained messages that `filter` matches and that have not expired at `now`, in the order of their topics.
    fn matching(&self, filter: &str, now: Age) -> Vec<Arc<OrdinaryMessage>> {
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

    /// What a new subscription is owed of them.
    pub(super) fn owed(&self, subscription: u32, filter: &str, now: Age) -> Vec<OrdinaryDelivery> {
        let owed = |message| OrdinaryDelivery {
            subscription,
            message,
            retained: true,
            kept: None,
        };
        self.matching(filter, now).into_iter().map(owed).collect()
    }

    fn has_room(&self, name: &str, message: &OrdinaryMessage) -> bool {
        let (old_messages, old_bytes) = self.messages.get(name).map_or((0, 0), |old| counts(old));
        let (messages, bytes) = counts(message);
        messages == 0
            || (self.counted - old_messages < self.messages_max && self.bytes - old_bytes + bytes <= self.bytes_max)
    }

    fn remove(&mut self, name: &str) {
        if let Some(old) = self.messages.remove(name) {
            let (messages, bytes) = counts(&old);
            self.counted -= messages;
            self.bytes -= bytes;
        }
    }

    fn remove_expired(&mut self, now: Age) {
        self.messages.retain(|_, message| !message.is_expired(now));
        let counted = self.messages.values().map(|message| counts(message));
        (self.counted, self.bytes) = counted.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    }
}

/// What a message counts for, in messages and in bytes. Only the broker publishes to topics with a $, and takes nobody's room with it.
fn counts(message: &OrdinaryMessage) -> (usize, usize) {
    match message.topic.starts_with('$') {
        true => (0, 0),
        false => (1, message.size()),
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

    /// Goal: what the broker itself retains takes no room of clients, and always has some.
    #[test]
    fn topics_of_the_broker_do_not_count() {
        let mut table = Retained::new(1, 20);
        table.put(&retained("a/1", "x", None), Age(0)).unwrap();
        for topic in ["$SYS/1", "$SYS/2", "$SYS/1"] {
            table
                .put(&retained(topic, "a value of the broker", None), Age(0))
                .unwrap();
        }
        assert_eq!((table.len(), table.bytes), (1, 4));
        assert_eq!(topics(&table, "$SYS/+", 0), ["$SYS/1", "$SYS/2"]);
        assert_eq!(
            table.put(&retained("a/2", "x", None), Age(0)),
            Err(PublishError::RetainedFull)
        );
        table.put(&retained("$SYS/1", "", None), Age(0)).unwrap();
        table.put(&retained("a/1", "", None), Age(0)).unwrap();
        assert_eq!((table.len(), table.bytes, table.messages.len()), (0, 0, 1));
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
