//! What a sender says when it changes its mind about a message (contract rule 12): which message is meant.

use access::{NoObject, read_object};
use mqtt_codec::UserProperties;
use serde::Deserialize;

/// Why a request to take a message back, or to replace it, is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AmendmentRefused {
    /// It is not understood.
    #[error(
        "a request to $inbox/recall is JSON: {{\"to\": \"BOB\", \"id\": \"M1\"}}, with the id that the message was sent with"
    )]
    NotJson,
    /// It is too large.
    #[error("a request to $inbox/recall has at most 128 KiB, and names one message")]
    TooLarge,
    /// It does not say which message.
    #[error(
        "a publish to $inbox/edit is the new message; its user properties to = BOB and id = M1 say which one it replaces"
    )]
    NoNames,
    /// There is no such inbox.
    #[error("\"to\" names a client ID with an inbox: one topic level, without wildcards")]
    NoInbox,
}

/// Which message is meant.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Meant {
    /// Whose inbox it was sent to.
    pub(crate) to: Box<str>,
    /// The `id` that it was sent with.
    pub(crate) id: Box<str>,
}

/// Reads a request to `$inbox/recall`.
pub(crate) fn recall(request: &[u8]) -> Result<Meant, AmendmentRefused> {
    Ok(read_object(request)?)
}

/// Reads what a publish to `$inbox/edit` says beside the new message.
pub(crate) fn edit(user: UserProperties<'_>) -> Result<Meant, AmendmentRefused> {
    let named = |name| {
        let named = user.iter().find(|(known, _)| *known == name);
        named
            .map(|(_, value)| Box::from(value))
            .ok_or(AmendmentRefused::NoNames)
    };
    Ok(Meant {
        to: named("to")?,
        id: named("id")?,
    })
}

impl From<NoObject> for AmendmentRefused {
    fn from(no_object: NoObject) -> Self {
        match no_object {
            NoObject::NotJson => AmendmentRefused::NotJson,
            NoObject::TooLarge => AmendmentRefused::TooLarge,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_12_a_recall_says_which_message() {
        // Goal: recipient and id, as JSON, and nothing else; anything else is refused.
        let meant = recall(br#" {"to": "bob", "id": "m1"}"#).unwrap();
        assert_eq!((&*meant.to, &*meant.id), ("bob", "m1"));
        for wrong in [
            "",
            "{}",
            "[]",
            "m1",
            r#"{"to":"bob"}"#,
            r#"{"to":"bob","id":1}"#,
            r#"{"to":"b","id":"m","x":1}"#,
        ] {
            assert_eq!(recall(wrong.as_bytes()), Err(AmendmentRefused::NotJson), "{wrong}");
        }
        let long = format!(r#"{{"to":"bob","id":"{}"}}"#, "x".repeat(128 * 1024));
        assert_eq!(recall(long.as_bytes()), Err(AmendmentRefused::TooLarge));
    }
}
