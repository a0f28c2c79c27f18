//! How a chat looks. No I/O.

use std::fmt::Display;

use inbox_client::{Delivery, DeliveryKind, SentState};
use jiff::tz::TimeZone;

use crate::clock::clock;
use crate::output::one_line;

/// So much of a line is repeated to say which one is meant.
pub(super) const EXCERPT: usize = 40;

/// With or without characters beside ASCII.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    is_ascii: bool,
}

impl Style {
    pub(super) fn new(is_ascii: bool) -> Self {
        Style { is_ascii }
    }

    /// How far an own line is.
    pub(super) fn mark(self, state: &SentState, text: &str) -> Option<String> {
        let (fancy, plain, word) = match state {
            SentState::Waiting => return None,
            SentState::Stored(_) => ("✓", "+", "stored"),
            SentState::Delivered => ("✓✓", "++", "delivered"),
            SentState::Read => ("✓✓", "++", "read"),
            SentState::Failed(why) => return Some(self.failed(why, text)),
        };
        let mark = if self.is_ascii { plain } else { fancy };
        Some(format!("   {mark:2} {word:9} | {}", excerpt(text, EXCERPT, self)))
    }

    /// An own line that does not get there.
    pub(super) fn failed(self, why: &dyn Display, text: &str) -> String {
        let mark = if self.is_ascii { "x" } else { "✗" };
        format!("   {mark:2} failed    | {}: {why}", excerpt(text, EXCERPT, self))
    }

    /// What somebody says. `old` is what an edit or a recall is about.
    pub(super) fn incoming(self, delivery: &Delivery, with: &str, old: Option<&str>, zone: &TimeZone) -> String {
        let time = clock(delivery.at_us, zone);
        let from = match delivery.from.as_str() {
            "" => "somebody".into(),
            from => one_line(from.as_bytes()),
        };
        let stranger = if delivery.from == with {
            ""
        } else {
            " (not in this chat)"
        };
        let text = one_line(&delivery.payload);
        match (&delivery.kind, old) {
            (DeliveryKind::Recall { .. }, Some(old)) => format!("{time} {from}{stranger} took back: {old}"),
            (DeliveryKind::Recall { .. }, None) => format!("{time} {from}{stranger} took a message back"),
            (DeliveryKind::Edit { .. }, Some(old)) => format!("{time} {from}{stranger} changed \"{old}\" to: {text}"),
            (DeliveryKind::Edit { .. }, None) => format!("{time} {from}{stranger} changed a message to: {text}"),
            _ => format!("{time} {from}{stranger}: {text}"),
        }
    }
}

/// How a text begins, in one line.
pub(super) fn excerpt(text: &str, chars_max: usize, style: Style) -> String {
    let line = one_line(text.as_bytes());
    match line.char_indices().nth(chars_max) {
        None => line.into_owned(),
        Some((end, _)) => {
            let dots = if style.is_ascii { "..." } else { "…" };
            format!("{}{dots}", line.get(..end).unwrap_or(&line))
        }
    }
}

#[cfg(test)]
mod tests {
    use inbox_client::{Stored, Undelivered};

    use super::*;

    #[test]
    fn own_lines_show_how_far_they_are() {
        // Goal: the words of the issue, in both styles; long lines are cut, and cannot act on the terminal.
        let stored = SentState::Stored(Stored { seq: None });
        let (fancy, plain) = (Style::new(false), Style::new(true));
        assert_eq!(fancy.mark(&stored, "hi").as_deref(), Some("   ✓  stored    | hi"));
        assert_eq!(
            fancy.mark(&SentState::Delivered, "hi").as_deref(),
            Some("   ✓✓ delivered | hi")
        );
        assert_eq!(
            fancy.mark(&SentState::Read, "hi").as_deref(),
            Some("   ✓✓ read      | hi")
        );
        assert_eq!(fancy.mark(&SentState::Waiting, "hi"), None);
        let long = "\x1b".to_owned() + &"x".repeat(100);
        for state in [
            stored,
            SentState::Delivered,
            SentState::Read,
            SentState::Failed(Undelivered::Expired),
        ] {
            let line = plain.mark(&state, &long).unwrap();
            assert!(
                line.is_ascii() && !line.contains('\x1b') && line.contains("..."),
                "{line}"
            );
        }
    }
}
