//! A door to topic filters, for fuzzing: everything in the broker that reads or matches one.

use inbox_bridge::ClientId;

use mqtt_session::{Destination, InboxNames};

use mqtt_codec::{TopicFilter, topic_name_fault};

/// What a valid topic filter says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter(TopicFilter);

impl Filter {
    /// Checks `text`, a filter of a SUBSCRIBE.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        TopicFilter::parse(text).map(Filter).map_err(|error| error.to_string())
    }

    /// The share name and the filter behind it; `None` and the filter when it is not of a shared subscription.
    pub fn parts(&self) -> (Option<&str>, &str) {
        (self.0.share_group(), self.0.filter())
    }

    /// Whether it can match more than one topic.
    pub fn has_wildcards(&self) -> bool {
        self.0.has_wildcards()
    }

    /// Whether it matches `topic`, as sessions see it.
    pub fn matches(&self, topic: &str) -> bool {
        self.0.matches(topic)
    }

    /// Whether it matches `topic`, as the router and its retained messages see it.
    pub fn matches_in_router(&self, topic: &str) -> bool {
        pubsub::matches(topic, self.0.filter())
    }
}

/// Whether `text`, a string that MQTT allows, is a topic name.
pub fn is_topic_name(text: &str) -> bool {
    topic_name_fault(text).is_none()
}

/// Whose inbox a topic is; `None` when it is ordinary, or no client may publish to it.
pub fn inbox_of(prefix: &str, topic: &str) -> Option<ClientId> {
    match InboxNames::new(prefix).destination(topic) {
        Destination::Inbox(id) => Some(id),
        Destination::Ordinary | Destination::Reserved(_) | Destination::Forbidden(_) => None,
    }
}

/// The topic of a client's inbox.
pub fn topic_of_inbox(prefix: &str, id: &ClientId) -> Option<Box<str>> {
    InboxNames::new(prefix).topic_of(id)
}
