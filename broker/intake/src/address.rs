//! Which topics are inboxes, and whose (contract rule 1).

use access::Target;
use inbox_types::ClientId;

/// Where a message goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// Somebody's inbox.
    Inbox(ClientId),
    /// Publish/subscribe.
    Ordinary,
    /// A topic of the broker's own, which begins with `$`.
    Reserved,
    /// A topic that clients do not publish to. The text says why.
    Forbidden(&'static str),
}

impl Destination {
    /// What a message on `topic` names by going here; `None`: nothing.
    pub fn target<'t>(&'t self, topic: &'t str) -> Option<Target<'t>> {
        match self {
            Destination::Inbox(owner) => Some(Target::Inbox(owner.as_str())),
            Destination::Ordinary => Some(Target::Ordinary(topic)),
            Destination::Reserved => Some(Target::Reserved(topic)),
            Destination::Forbidden(_) => None,
        }
    }
}

/// The names of inboxes: a prefix and a client ID without a slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxNames {
    prefix: Box<str>,
}

impl InboxNames {
    /// Inboxes are the topics of one level more than `prefix`, which is empty or ends with a slash.
    pub fn new(prefix: &str) -> Self {
        InboxNames { prefix: prefix.into() }
    }

    /// What the topics of all inboxes begin with; it is empty or ends with a slash.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Where a message on `topic`, a valid topic name, goes.
    pub fn destination(&self, topic: &str) -> Destination {
        if topic.starts_with('$') {
            return Destination::Reserved;
        }
        match self.inbox_name(topic) {
            None => Destination::Ordinary,
            Some(name) => match ClientId::new(name) {
                Ok(id) => Destination::Inbox(id),
                Err(_) => Destination::Forbidden("this topic is an inbox by its form, but no client ID is that long"),
            },
        }
    }

    /// The name in `topic`, if it is an inbox by its form. Of a topic filter this says the same: only one that names an inbox
    /// literally is an inbox, as wildcards never match inboxes.
    pub fn inbox_name<'t>(&self, topic: &'t str) -> Option<&'t str> {
        let name = topic.strip_prefix(&*self.prefix)?;
        // By bytes: topics are short, and each publish to another inbox than the last is looked at.
        let has_levels_or_wildcards = name.bytes().any(|byte| matches!(byte, b'/' | b'+' | b'#'));
        let is_inbox = !name.is_empty() && !has_levels_or_wildcards && !topic.starts_with('$');
        is_inbox.then_some(name)
    }

    /// What the topic filter `filter` names. A broken shared subscription names nothing but itself.
    pub fn named_by<'f>(&self, filter: &'f str) -> Target<'f> {
        let unshared = filter
            .strip_prefix("$share/")
            .and_then(|shared| shared.split_once('/'))
            .filter(|(share, _)| !share.is_empty() && !share.contains(['+', '#']))
            .map(|(_, filter)| filter);
        let topics = unshared.unwrap_or(filter);
        match self.inbox_name(topics) {
            Some(owner) if unshared.is_some() => Target::SharedInbox(owner),
            Some(owner) => Target::Inbox(owner),
            None if topics.starts_with('$') => Target::Reserved(topics),
            None => Target::Ordinary(topics),
        }
    }

    /// Whether `topic` names the inbox of `id`, which has one.
    pub fn is_inbox_of(&self, topic: &str, id: &ClientId) -> bool {
        topic.strip_prefix(&*self.prefix) == Some(id.as_str())
    }

    /// The topic of the inbox of `id`; `None` when it has none, because its ID is not one topic level.
    pub fn topic_of(&self, id: &ClientId) -> Option<Box<str>> {
        let topic = format!("{}{id}", self.prefix);
        self.inbox_name(&topic)?;
        Some(topic.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inbox(id: &str) -> Destination {
        Destination::Inbox(ClientId::new(id).unwrap())
    }

    #[test]
    fn one_level_is_an_inbox_and_a_slash_is_not() {
        // Goal: contract rule 1, without a prefix.
        let names = InboxNames::new("");
        assert_eq!(names.destination("bob"), inbox("bob"));
        assert_eq!(names.destination("a b.c@d"), inbox("a b.c@d"));
        assert_eq!(names.destination("bob/x"), Destination::Ordinary);
        assert_eq!(names.destination("/bob"), Destination::Ordinary);
        assert_eq!(names.destination("$SYS"), Destination::Reserved);
        assert!(matches!(
            names.destination(&"x".repeat(2000)),
            Destination::Forbidden(_)
        ));
        assert_eq!(names.inbox_name("+"), None);
        assert_eq!(names.inbox_name("#"), None);
    }

    #[test]
    fn a_prefix_moves_all_inboxes() {
        // Goal: contract rule 1, with a prefix.
        let names = InboxNames::new("inbox/");
        assert_eq!(names.destination("inbox/bob"), inbox("bob"));
        assert_eq!(names.destination("bob"), Destination::Ordinary);
        assert_eq!(names.destination("inbox/"), Destination::Ordinary);
        assert_eq!(names.destination("inbox/bob/x"), Destination::Ordinary);
        assert_eq!(
            names.topic_of(&ClientId::new("bob").unwrap()).as_deref(),
            Some("inbox/bob")
        );
        let bob = ClientId::new("bob").unwrap();
        assert!(names.is_inbox_of("inbox/bob", &bob));
        assert!(!names.is_inbox_of("bob", &bob) && !names.is_inbox_of("inbox/bobby", &bob));
    }

    #[test]
    fn a_client_id_that_is_no_topic_level_has_no_inbox() {
        // Goal: contract rule 1, last sentence but one.
        let names = InboxNames::new("");
        for id in ["a/b", "a+", "#", "$x"] {
            assert_eq!(names.topic_of(&ClientId::new(id).unwrap()), None, "{id}");
        }
    }
}
