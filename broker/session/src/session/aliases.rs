//! Topic aliases (MQTT 5, section 3.3.2.3.4). They live as long as the connection.

/// Most aliases that the broker uses towards one client. They help with few topics, and each costs memory.
const OUT_MAX: u16 = 8;

/// Aliases in one connection, in both directions.
#[derive(Debug, Default)]
pub(super) struct Aliases {
    received: Vec<(u16, Box<str>)>,
    sent: Vec<Box<str>>,
    sent_max: u16,
}

/// How a topic is sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TopicOut<'t> {
    pub(super) topic: &'t str,
    pub(super) alias: Option<u16>,
}

impl Aliases {
    /// The client takes aliases up to `maximum`; 0 is none.
    pub(super) fn new(maximum: u16) -> Self {
        Aliases {
            sent_max: maximum.min(OUT_MAX),
            ..Aliases::default()
        }
    }

    /// The client sent `topic` with `alias`: it means that topic from now on.
    pub(super) fn set(&mut self, alias: u16, topic: &str) {
        match self.received.iter_mut().find(|(known, _)| *known == alias) {
            Some((_, old)) => *old = topic.into(),
            None => self.received.push((alias, topic.into())),
        }
    }

    /// What `alias` means.
    pub(super) fn get(&self, alias: u16) -> Option<&str> {
        self.received
            .iter()
            .find(|(known, _)| *known == alias)
            .map(|(_, topic)| &**topic)
    }

    /// How to send `topic`, without noting it: [`Aliases::sent`] does that when it was sent.
    pub(super) fn topic_out<'t>(&self, topic: &'t str) -> TopicOut<'t> {
        if let Some(at) = self.sent.iter().position(|known| **known == *topic) {
            return TopicOut {
                topic: "",
                alias: Some(at as u16 + 1),
            };
        }
        let alias = (self.sent.len() < usize::from(self.sent_max)).then_some(self.sent.len() as u16 + 1);
        TopicOut { topic, alias }
    }

    /// `topic` went out as `out` says.
    pub(super) fn sent(&mut self, topic: &str, out: &TopicOut<'_>) {
        if !out.topic.is_empty() && out.alias.is_some() {
            self.sent.push(topic.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_spelled_once() {
        // Goal: the first message sets the alias, later ones use it, and no more are set than the client allows.
        let mut aliases = Aliases::new(1);
        let first = aliases.topic_out("a/b");
        assert_eq!(
            first,
            TopicOut {
                topic: "a/b",
                alias: Some(1)
            }
        );
        aliases.sent("a/b", &first);
        assert_eq!(
            aliases.topic_out("a/b"),
            TopicOut {
                topic: "",
                alias: Some(1)
            }
        );
        assert_eq!(
            aliases.topic_out("c/d"),
            TopicOut {
                topic: "c/d",
                alias: None
            }
        );
        assert_eq!(
            Aliases::new(0).topic_out("a/b"),
            TopicOut {
                topic: "a/b",
                alias: None
            }
        );
    }

    #[test]
    fn a_received_alias_means_the_last_topic_sent_with_it() {
        // Goal: MQTT 5, section 3.3.2.3.4: a mapping can be replaced.
        let mut aliases = Aliases::new(0);
        assert_eq!(aliases.get(3), None);
        aliases.set(3, "x/y");
        aliases.set(3, "x/z");
        assert_eq!(aliases.get(3), Some("x/z"));
    }
}
