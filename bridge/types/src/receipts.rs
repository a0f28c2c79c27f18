//! What senders ask to be told of their messages afterwards (contract rule 11).

use crate::message::{Message, Properties};

/// What the sender of a message wants to be told: that its recipient acknowledged it, that its recipient's application says it was read, or both. Whoever
/// asks for one of them is also told when the message leaves the inbox in another way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReceiptsWanted {
    /// When it is acknowledged.
    pub delivered: bool,
    /// When it is read.
    pub read: bool,
}

/// The sender asks for something that there is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "of a message with a Response Topic, the user property receipt is delivered, read, or delivered,read; send it again with one of these"
)]
pub struct NoSuchReceipt;

impl ReceiptsWanted {
    /// The user property that asks.
    pub const PROPERTY: &str = "receipt";

    /// What these properties ask for. Without a Response Topic it is nothing, whatever they say.
    ///
    /// # Errors
    /// There is no such receipt.
    pub fn of(properties: &Properties) -> Result<Option<Self>, NoSuchReceipt> {
        if properties.response_topic.is_none() {
            return Ok(None);
        }
        let mut wanted = ReceiptsWanted::default();
        let asking = properties.user.iter().filter(|(name, _)| **name == *Self::PROPERTY);
        for what in asking.flat_map(|(_, what)| what.split(',')) {
            match what.trim() {
                "delivered" => wanted.delivered = true,
                "read" => wanted.read = true,
                _ => return Err(NoSuchReceipt),
            }
        }
        Ok((wanted.delivered || wanted.read).then_some(wanted))
    }
}

impl Message {
    /// Whether its sender can want nothing but that it is delivered: neither to be told of it later, nor that it is known again. Most messages are so.
    #[inline]
    pub fn asks_nothing(&self) -> bool {
        self.id.is_none() && self.properties.is_none()
    }

    /// What its sender asks to be told of it. Only what is understood was accepted.
    #[inline]
    pub fn receipts_wanted(&self) -> Option<ReceiptsWanted> {
        let properties = self.properties.as_deref()?;
        properties.response_topic.as_ref()?;
        ReceiptsWanted::of(properties).ok().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(response_topic: Option<&str>, asked: &[&str]) -> Result<Option<(bool, bool)>, NoSuchReceipt> {
        let properties = Properties {
            response_topic: response_topic.map(Box::from),
            user: asked.iter().map(|what| ("receipt".into(), Box::from(*what))).collect(),
            ..Properties::default()
        };
        let wanted = ReceiptsWanted::of(&properties)?;
        Ok(wanted.map(|wanted| (wanted.delivered, wanted.read)))
    }

    #[test]
    fn rule_11_what_is_asked_for_is_understood_or_refused() {
        // Goal: one or both, in one property or two; nothing without a Response Topic, where the property is the application's own.
        assert_eq!(of(Some("alice"), &["delivered"]), Ok(Some((true, false))));
        assert_eq!(of(Some("alice"), &["read"]), Ok(Some((false, true))));
        assert_eq!(of(Some("alice"), &["delivered, read"]), Ok(Some((true, true))));
        assert_eq!(of(Some("alice"), &["read", "delivered"]), Ok(Some((true, true))));
        assert_eq!(of(Some("alice"), &[]), Ok(None));
        assert_eq!(of(None, &["number 7"]), Ok(None));
        for wrong in ["", "yes", "delivered;read", "Delivered"] {
            assert_eq!(of(Some("alice"), &[wrong]), Err(NoSuchReceipt), "{wrong}");
        }
    }
}
