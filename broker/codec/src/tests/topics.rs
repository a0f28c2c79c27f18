//! Topic filters.

use crate::topic::{FilterError, TopicFilter};

#[track_caller]
fn filter(text: &str) -> TopicFilter {
    TopicFilter::parse(text).unwrap_or_else(|error| panic!("{text} is a filter: {error}"))
}

#[test]
fn filters_match_as_the_specification_says() {
    // Goal: the examples of section 4.7.1 and 4.7.2, and the corners between levels.
    for (text, topic, expected) in [
        ("a/b", "a/b", true),
        ("a/b", "a/B", false),
        ("a/b", "a", false),
        ("a/b", "a/b/c", false),
        ("a/b", "a/b/", false),
        ("sport/tennis/player1/#", "sport/tennis/player1", true),
        ("sport/tennis/player1/#", "sport/tennis/player1/ranking", true),
        ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true),
        ("sport/tennis/player1/#", "sport/tennis/player12", false),
        ("sport/#", "sport", true),
        ("#", "a", true),
        ("#", "/a/b", true),
        ("sport/tennis/+", "sport/tennis/player1", true),
        ("sport/tennis/+", "sport/tennis/player1/ranking", false),
        ("sport/+", "sport", false),
        ("sport/+", "sport/", true),
        ("+/tennis/#", "sport/tennis", true),
        ("+/+", "/finance", true),
        ("/+", "/finance", true),
        ("+", "/finance", false),
        ("+", "finance", true),
        ("#", "$SYS/uptime", false),
        ("+/monitor/clients", "$SYS/monitor/clients", false),
        ("$SYS/#", "$SYS/monitor/clients", true),
        ("$SYS/monitor/+", "$SYS/monitor/clients", true),
        ("a/#", "a/$b", true),
        ("a/+", "a/$b", true),
        ("$share/group/a/+", "a/b", true),
        ("$share/group/a/+", "$share/group/a/b", false),
        ("$share/group/#", "$SYS/uptime", false),
        ("$share/group//a", "/a", true),
        ("//", "//", true),
        ("//", "/", false),
        ("ä/+", "ä/ö", true),
    ] {
        assert_eq!(filter(text).matches(topic), expected, "{text} on {topic}");
    }
}

#[test]
fn a_shared_filter_knows_its_parts() {
    // Goal: section 4.8.2; what merely looks like $share is an ordinary filter.
    let shared = filter("$share/consumers/sport/+");
    assert_eq!(shared.share_group(), Some("consumers"));
    assert_eq!(shared.filter(), "sport/+");
    assert_eq!(shared.as_str(), "$share/consumers/sport/+");
    assert!(shared.has_wildcards());
    assert!(!filter("$share/consumers/sport").has_wildcards());
    for plain in ["$shared/a/b", "a/$share/b", "$SHARE/a/b", "share/a/b"] {
        assert_eq!((filter(plain).share_group(), filter(plain).filter()), (None, plain));
    }
    assert!(filter("#").has_wildcards() && filter("a/+/b").has_wildcards() && !filter("a/b").has_wildcards());
}

#[test]
fn bad_filters_are_refused() {
    // Goal: MQTT-4.7.1-1, MQTT-4.7.1-2, MQTT-4.7.3-1 to -3, MQTT-4.8.2-1, MQTT-4.8.2-2.
    for (text, error) in [
        ("", FilterError::Empty),
        ("a\0b", FilterError::Nul),
        ("sport/tennis#", FilterError::MultiLevelWildcard),
        ("sport/#/ranking", FilterError::MultiLevelWildcard),
        ("##", FilterError::MultiLevelWildcard),
        ("#/", FilterError::MultiLevelWildcard),
        ("+#", FilterError::MultiLevelWildcard),
        ("sport+", FilterError::SingleLevelWildcard),
        ("sport/+a/b", FilterError::SingleLevelWildcard),
        ("++", FilterError::SingleLevelWildcard),
        ("$share", FilterError::ShareName),
        ("$share/", FilterError::ShareName),
        ("$share//a", FilterError::ShareName),
        ("$share/+/a", FilterError::ShareName),
        ("$share/a#/a", FilterError::ShareName),
        ("$share/group", FilterError::ShareFilter),
        ("$share/group/", FilterError::ShareFilter),
        ("$share/group/a#", FilterError::MultiLevelWildcard),
    ] {
        assert_eq!(TopicFilter::parse(text), Err(error), "{text:?}");
    }
    assert!(TopicFilter::parse(&"a".repeat(65_535)).is_ok());
    assert_eq!(TopicFilter::parse(&"a".repeat(65_536)), Err(FilterError::TooLong));
}
