//! What happens to a connection, in one line for each change.

use inbox_client::{Event, Events};

/// Makes lines of events. No I/O.
#[derive(Debug, Default)]
pub(crate) struct Narrator {
    /// Whether there was a connection when it was last told.
    is_connected: Option<bool>,
    /// Whether a connection is told when none was lost.
    tells_the_first: bool,
}

impl Narrator {
    /// For a conversation: the first connection is told, too.
    pub(crate) fn talkative() -> Self {
        Narrator {
            tells_the_first: true,
            ..Narrator::default()
        }
    }

    /// What is to be said, if anything.
    pub(crate) fn line(&mut self, event: &Event) -> Option<String> {
        match event {
            Event::Connected { .. } => {
                let before = self.is_connected.replace(true);
                (before == Some(false) || before.is_none() && self.tells_the_first).then(|| "connected".to_owned())
            }
            Event::Disconnected { why, .. } => match self.is_connected.replace(false) {
                Some(true) => Some(format!("connection lost, trying again: {why}")),
                None => Some(format!("no connection to the broker, trying again: {why}")),
                Some(false) => None,
            },
            Event::PlainBroker => Some(
                "this broker is not inboxd: it keeps nothing for who is away, names no senders, and does not tell what was delivered".to_owned(),
            ),
            Event::Held { to, code: 0x97, .. } => Some(format!("there is no room in the inbox of {to}, trying again")),
            Event::Held { to, told, .. } => {
                let told = told.as_deref().map(|told| format!(": {told}")).unwrap_or_default();
                Some(format!("the broker cannot take messages to {to} now, trying again{told}"))
            }
            Event::Dropped { messages } => Some(format!(
                "{messages} messages left this inbox unread: they expired, or it was full or emptied"
            )),
            Event::Gap { after, prev } => Some(format!("messages between {after} and {prev} did not come")),
            Event::EpochChanged { .. } => {
                Some("the broker's store is another one, or an older state of it: old messages may come again".to_owned())
            }
            Event::StoreTrouble { why } => Some(format!("a repeat may go unnoticed: {why}")),
            _ => None,
        }
    }
}

/// Says it, until the inbox has ended.
pub(crate) async fn narrate(mut events: Events, say: impl Fn(&str)) {
    let mut narrator = Narrator::default();
    while let Some(event) = events.next().await {
        if let Some(line) = narrator.line(&event) {
            say(&line);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use inbox_client::{Lost, LostWhy};

    use super::*;

    #[test]
    fn each_change_is_one_line() {
        // Goal: attempts that fail after the first say nothing; neither does the first connection, unless it is asked for.
        let lost = Event::Disconnected {
            why: Lost {
                why: LostWhy::Network,
                told: None,
            },
            again_in: Duration::ZERO,
        };
        let here = Event::Connected { is_inboxd: true };
        for tells_the_first in [false, true] {
            let mut narrator = Narrator {
                tells_the_first,
                ..Narrator::default()
            };
            let events = [&here, &lost, &lost, &here, &here, &lost];
            let lines: Vec<_> = events
                .iter()
                .map(|event| narrator.line(event).map(|line| line.len() > 9))
                .collect();
            let first = tells_the_first.then_some(false);
            assert_eq!(lines, [first, Some(true), None, Some(false), None, Some(true)]);
        }
        let mut narrator = Narrator::default();
        assert!(
            narrator
                .line(&lost)
                .is_some_and(|line| line.starts_with("no connection"))
        );
        assert_eq!(narrator.line(&here).as_deref(), Some("connected"));
    }
}
