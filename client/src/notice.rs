//! What the broker itself says in the own inbox (docs/protocol.md, "Notices").

use serde::Deserialize;

use crate::undelivered::DropReason;

/// A notice of the broker's.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// What became of messages.
    Receipts(Vec<Receipt>),
    /// There is room at this topic again.
    Room {
        topic: String,
    },
    Other,
}

/// What became of one message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Receipt {
    pub(crate) id: String,
    pub(crate) topic: String,
    pub(crate) seq: Option<u64>,
    pub(crate) state: ReceiptState,
}

/// What a receipt says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReceiptState {
    Delivered,
    Read,
    Expired,
    Dropped(DropReason),
    Rejected(u8),
}

#[derive(Deserialize)]
struct Body {
    notice: String,
    topic: Option<String>,
    #[serde(default)]
    receipts: Vec<Line>,
}

#[derive(Deserialize)]
struct Line {
    id: Option<String>,
    topic: String,
    seq: Option<u64>,
    state: String,
    why: Option<String>,
    reason: Option<u8>,
}

impl Notice {
    /// Reads one; what later versions may add is passed over.
    pub(crate) fn parse(payload: &[u8]) -> Notice {
        let Ok(body) = serde_json::from_slice::<Body>(payload) else {
            return Notice::Other;
        };
        match (body.notice.as_str(), body.topic) {
            ("receipt", _) => Notice::Receipts(body.receipts.into_iter().filter_map(Line::receipt).collect()),
            ("room", Some(topic)) => Notice::Room { topic },
            _ => Notice::Other,
        }
    }
}

impl Line {
    fn receipt(self) -> Option<Receipt> {
        let state = match self.state.as_str() {
            "delivered" => ReceiptState::Delivered,
            "read" => ReceiptState::Read,
            "expired" => ReceiptState::Expired,
            "dropped" => ReceiptState::Dropped(match self.why.as_deref() {
                Some("overflow") => DropReason::Overflow,
                Some("purged") => DropReason::Purged,
                Some("idle") => DropReason::Idle,
                Some("collapsed") => DropReason::Collapsed,
                Some("recalled") => DropReason::Recalled,
                Some("edited") => DropReason::Edited,
                _ => DropReason::Other,
            }),
            "refused" => ReceiptState::Rejected(self.reason.unwrap_or(0x80)),
            _ => return None,
        };
        Some(Receipt {
            id: self.id?,
            topic: self.topic,
            seq: self.seq,
            state,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receipts_are_read_and_what_is_unknown_is_passed_over() {
        // Goal: the states of docs/protocol.md; a state or notice of a later version, or no JSON at all, harms nothing.
        let receipts = br#"{"notice":"receipt","receipts":[
            {"at":1,"id":"m1","seq":7,"state":"delivered","topic":"bob"},
            {"at":1,"id":"m2","seq":8,"state":"dropped","why":"purged","topic":"bob"},
            {"at":1,"id":"m3","seq":9,"state":"refused","reason":131,"topic":"bob"},
            {"at":1,"id":"m4","seq":9,"state":"seen by the cat","topic":"bob"},
            {"at":1,"seq":9,"state":"read","topic":"bob"}]}"#;
        let Notice::Receipts(read) = Notice::parse(receipts) else {
            panic!("they are receipts")
        };
        let states: Vec<_> = read
            .iter()
            .map(|receipt| (receipt.id.as_str(), receipt.state))
            .collect();
        assert_eq!(
            states,
            [
                ("m1", ReceiptState::Delivered),
                ("m2", ReceiptState::Dropped(DropReason::Purged)),
                ("m3", ReceiptState::Rejected(0x83)),
            ]
        );
        let room = br#"{"at":1764090000250000,"notice":"room","seq":1,"topic":"bob"}"#;
        let topic = "bob".to_owned();
        assert_eq!(Notice::parse(room), Notice::Room { topic });
        for other in [&b"{\"notice\":\"later\"}"[..], b"[]", b"\xff", b""] {
            assert_eq!(Notice::parse(other), Notice::Other);
        }
    }
}
