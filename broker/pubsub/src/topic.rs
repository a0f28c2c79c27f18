//! Names inside rumqttd's router.
//!
//! The router refuses filters that begin with `$`, and matches a topic by slicing off its first byte. So ordinary names
//! live under `t/` there, and names that begin with `$` under `s/`: `#` becomes `t/#`, which matches no `$SYS` topic
//! (MQTT-4.7.2-1), and `$SYS/#` becomes `s/SYS/#`.

/// What rumqttd calls the topic or filter `name`.
pub(super) fn router_name(name: &str) -> String {
    match name.strip_prefix('$') {
        Some(rest) => ["s/", rest].concat(),
        None => ["t/", name].concat(),
    }
}

/// Whether a filter can match more than one topic (MQTT 5, section 4.7.1).
pub(super) fn has_wildcard(filter: &str) -> bool {
    filter.contains(['+', '#'])
}

/// Whether two [`router_name`]s match. Asking rumqttd keeps retained and live messages of one mind.
pub(super) fn matches(topic: &str, filter: &str) -> bool {
    rumqttd::protocol::matches(topic, filter)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: wildcards at the first level never meet `$` topics, and `$` filters work (MQTT-4.7.2-1, section 4.7.2).
    #[test]
    fn mqtt_4_7_2_1_wildcards_do_not_match_dollar_topics() {
        let cases = [
            ("a/b", "#", true),
            ("$SYS/uptime", "#", false),
            ("$SYS/uptime", "+/uptime", false),
            ("$SYS/uptime", "$SYS/#", true),
            ("$SYS", "$SYS/#", true),
            ("$SYS/uptime", "$SYS/+", true),
            ("SYS/uptime", "$SYS/+", false),
            ("$SYS/uptime", "SYS/+", false),
        ];
        for (topic, filter, expected) in cases {
            assert_eq!(
                matches(&router_name(topic), &router_name(filter)),
                expected,
                "{topic} {filter}"
            );
        }
    }

    /// Goal: the examples of MQTT 5, section 4.7.1, and empty and multi-byte levels, survive the change of name.
    #[test]
    fn mqtt_4_7_1_wildcards_match_as_the_specification_says() {
        let cases = [
            ("sport/tennis/player1", "sport/tennis/player1/#", true),
            ("sport/tennis/player1/ranking", "sport/tennis/player1/#", true),
            ("sport", "sport/#", true),
            ("sport", "sport/+", false),
            ("sport/", "sport/+", true),
            ("/finance", "+/+", true),
            ("/finance", "/+", true),
            ("/finance", "+", false),
            ("/", "+/+", true),
            ("é/ü", "é/+", true),
            ("é/ü", "#", true),
            ("a/b", "A/b", false),
        ];
        for (topic, filter, expected) in cases {
            assert_eq!(
                matches(&router_name(topic), &router_name(filter)),
                expected,
                "{topic} {filter}"
            );
        }
        assert!(has_wildcard("a/+/b") && has_wildcard("#") && !has_wildcard("a/b"));
    }
}
