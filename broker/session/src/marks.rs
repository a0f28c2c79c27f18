//! What an application says of the messages that it was given: which of them it has read (contract rule 11).

use access::{NoObject, read_object};
use inbox_types::{ClientId, ReadMarks, Seq};
use serde::Deserialize;

/// Why a request about read messages is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MarksRefused {
    /// It is not understood.
    #[error(
        "a request to $inbox/read is JSON: {{\"from\": \"ALICE\", \"ids\": [\"M1\"]}}, or {{\"up_to\": SEQ}}, or all of these; one to $inbox/receipts is {{\"read\": true}} or {{\"read\": false}}"
    )]
    NotJson,
    /// It is too large.
    #[error("a request to $inbox/read has at most 128 KiB; send several, or use \"up_to\"")]
    TooLarge,
    /// There is no inbox that it could be for.
    #[error("this client has no inbox: its client ID holds / + or #, or begins with $")]
    NoInbox,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Marks {
    from: Option<String>,
    ids: Option<Vec<Box<str>>>,
    up_to: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Receipts {
    read: bool,
}

/// Reads a request to `$inbox/read`.
pub(crate) fn marks(request: &[u8]) -> Result<ReadMarks, MarksRefused> {
    let Marks { from, ids, up_to } = read_object(request)?;
    if ids.is_none() && up_to.is_none() {
        return Err(MarksRefused::NotJson);
    }
    let from = from.map(|from| ClientId::new(&from)).transpose();
    Ok(ReadMarks {
        from: from.map_err(|_| MarksRefused::NotJson)?,
        ids,
        up_to: up_to.map(Seq),
    })
}

/// Reads a request to `$inbox/receipts`: whether senders are to be told what was read.
pub(crate) fn tells_reading(request: &[u8]) -> Result<bool, MarksRefused> {
    let Receipts { read } = read_object(request)?;
    Ok(read)
}

impl From<NoObject> for MarksRefused {
    fn from(no_object: NoObject) -> Self {
        match no_object {
            NoObject::NotJson => MarksRefused::NotJson,
            NoObject::TooLarge => MarksRefused::TooLarge,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_11_a_request_says_which_messages_were_read() {
        // Goal: by sender, by id, up to a seq, or all of these; anything else is refused as a whole.
        let read = marks(br#" {"from": "alice", "ids": ["m1", "m2"], "up_to": 9}"#).unwrap();
        assert_eq!(read.from.unwrap().as_str(), "alice");
        assert_eq!((read.ids.unwrap().len(), read.up_to), (2, Some(Seq(9))));
        assert!(marks(br#"{"up_to": 9}"#).is_ok() && marks(br#"{"ids": []}"#).is_ok());
        for wrong in [
            "",
            "{}",
            "[]",
            r#"{"from": "alice"}"#,
            r#"{"up_to": -1}"#,
            r#"{"up_to": 1, "x": 2}"#,
            r#"{"from": "", "up_to": 1}"#,
        ] {
            assert_eq!(marks(wrong.as_bytes()), Err(MarksRefused::NotJson), "{wrong}");
        }
        let long = format!(r#"{{"ids": ["{}"]}}"#, "x".repeat(128 * 1024));
        assert_eq!(marks(long.as_bytes()), Err(MarksRefused::TooLarge));
        assert_eq!(
            (tells_reading(br#"{"read":false}"#), tells_reading(br#"{"read":true}"#)),
            (Ok(false), Ok(true))
        );
        assert!(tells_reading(b"false").is_err() && tells_reading(br#"{"read":1}"#).is_err());
    }
}
