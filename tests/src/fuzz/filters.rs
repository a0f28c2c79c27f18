//! Topic filters: what parses, and what it matches, against a matcher so simple that it can be read beside section 4.7.

use intake::{Destination, InboxNames};
use mqtt_codec::{TopicFilter, topic_name_fault};

/// A filter, a newline, and topics, one on each line.
pub fn filters(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (filter_text, topics) = text.split_once('\n').unwrap_or((text, "a/b"));
    let filter = TopicFilter::parse(filter_text);
    assert_eq!(filter.is_ok(), is_valid(filter_text), "{filter_text:?}: {filter:?}");
    if let Ok(filter) = &filter {
        let read = (filter.share_group(), filter.filter());
        assert_eq!(read, parts(filter_text), "{filter_text:?}");
        assert_eq!(
            filter.has_wildcards(),
            parts(filter_text).1.contains(['+', '#']),
            "{filter_text:?}"
        );
    }
    for topic in topics.split('\n').filter(|topic| !topic.contains('\0')) {
        let is_name = !topic.is_empty() && !topic.contains(['+', '#']);
        assert_eq!(topic_name_fault(topic).is_none(), is_name, "{topic:?}");
        if is_name {
            inboxes(topic);
        }
        if let (Ok(filter), true) = (&filter, is_name) {
            let expected = matches(parts(filter_text).1, topic);
            assert_eq!(filter.matches(topic), expected, "{filter_text:?} {topic:?}");
            assert_eq!(
                pubsub::matches(topic, filter.filter()),
                expected,
                "ordinary topics: {filter_text:?} {topic:?}"
            );
        }
    }
}

/// Contract rule 1: with and without a prefix.
fn inboxes(topic: &str) {
    for prefix in ["", "inbox/"] {
        let name = topic.strip_prefix(prefix).unwrap_or_default();
        let is_inbox = !name.is_empty() && name.len() <= 1024 && !name.contains('/') && !topic.starts_with('$');
        let names = InboxNames::new(prefix);
        let inbox = match names.destination(topic) {
            Destination::Inbox(id) => Some(id),
            Destination::Ordinary | Destination::Reserved | Destination::Forbidden(_) => None,
        };
        assert_eq!(
            inbox.as_ref().map(|id| id.as_str()),
            is_inbox.then_some(name),
            "{prefix:?} {topic:?}"
        );
        if let Some(id) = inbox {
            assert_eq!(names.topic_of(&id).as_deref(), Some(topic), "one inbox has one topic");
        }
    }
}

/// The share name and the filter (section 4.8.2).
fn parts(text: &str) -> (Option<&str>, &str) {
    match text.strip_prefix("$share/").and_then(|rest| rest.split_once('/')) {
        Some((name, filter)) => (Some(name), filter),
        None => (None, text),
    }
}

fn is_valid(text: &str) -> bool {
    if text.len() > 65_535 || text.contains('\0') || text == "$share" {
        return false;
    }
    let (name, filter) = parts(text);
    let share_is_valid = match name {
        Some(name) => !name.is_empty() && !name.contains(['+', '#']),
        None => !text.starts_with("$share/"),
    };
    let levels: Vec<&str> = filter.split('/').collect();
    let level_is_valid = |at: usize| match levels[at] {
        "+" => true,
        "#" => at + 1 == levels.len(),
        other => !other.contains(['+', '#']),
    };
    !filter.is_empty() && share_is_valid && (0..levels.len()).all(level_is_valid)
}

fn matches(filter: &str, topic: &str) -> bool {
    // MQTT-4.7.2-1.
    if topic.starts_with('$') && (filter.starts_with('+') || filter.starts_with('#')) {
        return false;
    }
    let (filter, topic): (Vec<_>, Vec<_>) = (filter.split('/').collect(), topic.split('/').collect());
    levels_match(&filter, &topic)
}

fn levels_match(filter: &[&str], topic: &[&str]) -> bool {
    match (filter.first(), topic.first()) {
        (Some(&"#"), _) => true,
        (Some(&"+"), Some(_)) => levels_match(&filter[1..], &topic[1..]),
        (Some(wanted), Some(level)) => wanted == level && levels_match(&filter[1..], &topic[1..]),
        (None, None) => true,
        _ => false,
    }
}
