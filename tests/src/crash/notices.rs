//! Refused publishes of MQTT 3.1.1 publishers, and the notices about them (contract rule 3).
//!
//! An acknowledgement means there: the message is in the recipient's inbox, or its refusal is in the publisher's own. So publishers also
//! send what must be refused, a payload that is too large or a topic that can be nobody's inbox, and in lives with a nearly full disk
//! other publishes are refused, too. Whatever was acknowledged and not delivered must be named by a notice in the end. A notice names the
//! newest hundred of what it counts; what it counts beyond these stands for as many that are named nowhere.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::message::{self, PUBLISHERS};
use crate::Publish;
use crate::build::Version;

/// `mqtt.message_bytes_max` of the broker; no message that is to be accepted is larger.
pub(super) const PAYLOAD_BYTES_MAX: usize = 256 * 1024;
/// A client ID has no more.
const CLIENT_ID_BYTES_MAX: usize = 1024;

/// A publish that must be refused.
#[derive(Debug, Clone)]
pub(super) struct Refusable {
    pub(super) topic: String,
    pub(super) payload: String,
    reason: u64,
}

impl Refusable {
    /// One of two kinds. `number` tells it from the publisher's others.
    pub(super) fn new(publisher: usize, number: u64, too_large: bool) -> Self {
        let head = format!("refuse {publisher} {number} ");
        match too_large {
            true => Refusable {
                topic: message::name(0),
                payload: head + &"x".repeat(PAYLOAD_BYTES_MAX),
                reason: 0x95,
            },
            false => Refusable {
                topic: "n".repeat(CLIENT_ID_BYTES_MAX + 1),
                payload: head,
                reason: 0x90,
            },
        }
    }
}

/// What one publisher was told, and must have been told.
#[derive(Debug, Default)]
struct Books {
    /// Acknowledged refusals: topic and reason by the SHA-256 of the payload.
    due: HashMap<String, (String, u64)>,
    /// What notices named, the same way.
    named: HashMap<String, (String, u64)>,
    /// Notices, each once: one that comes again counts nothing anew.
    seen: HashSet<Vec<u8>>,
    /// What they counted beyond what they named.
    unnamed: u64,
}

#[derive(Debug, Default)]
pub(super) struct Notices([Mutex<Books>; PUBLISHERS]);

impl Notices {
    /// A publish that must be refused was acknowledged.
    pub(super) fn due(&self, publisher: usize, refusable: &Refusable) {
        let about = (refusable.topic.clone(), refusable.reason);
        let mut books = self.0[publisher].lock().unwrap();
        books.due.insert(sha256(refusable.payload.as_bytes()), about);
    }

    /// The publisher received a notice. `None` when it is none.
    pub(super) fn told(&self, publisher: usize, publish: &Publish) -> Option<()> {
        let notice: Value = serde_json::from_slice(&publish.payload).ok()?;
        let (topic, reason) = (notice["topic"].as_str()?, notice["reason"].as_u64()?);
        let (count, messages) = (notice["count"].as_u64()?, notice["messages"].as_array()?);
        if notice["notice"] != "refused" || publish.topic != client_id(publisher) || count < messages.len() as u64 {
            return None;
        }
        let mut books = self.0[publisher].lock().unwrap();
        if books.seen.insert(publish.payload.to_vec()) {
            books.unnamed += count - messages.len() as u64;
        }
        for message in messages {
            let about = (topic.to_owned(), reason);
            books.named.insert(message["sha256"].as_str()?.to_owned(), about);
        }
        Some(())
    }

    /// Whether a notice named this payload.
    pub(super) fn names(&self, publisher: usize, payload: &[u8]) -> bool {
        let books = self.0[publisher].lock().unwrap();
        !books.named.is_empty() && books.named.contains_key(&sha256(payload))
    }

    /// Refusals that were acknowledged and that no notice names as they were, of this publisher.
    pub(super) fn missing(&self, publisher: usize) -> u64 {
        let books = self.0[publisher].lock().unwrap();
        let is_missing = |(payload, about): &(&String, &(String, u64))| books.named.get(*payload) != Some(about);
        books.due.iter().filter(is_missing).count() as u64
    }

    /// What notices counted without a name, of this publisher.
    pub(super) fn unnamed(&self, publisher: usize) -> u64 {
        self.0[publisher].lock().unwrap().unnamed
    }

    /// Acknowledged refusals of the kinds that must be refused, and notices received.
    pub(super) fn counts(&self) -> (u64, u64) {
        self.0.iter().fold((0, 0), |(due, seen), books| {
            let books = books.lock().unwrap();
            (due + books.due.len() as u64, seen + books.seen.len() as u64)
        })
    }
}

/// The client ID of a publisher.
pub(super) fn client_id(publisher: usize) -> String {
    format!("publisher-{publisher}")
}

/// Whether the publisher speaks the version whose refusals are notices.
pub(super) fn is_bounced(publisher: usize) -> bool {
    version(publisher) == Version::V311
}

/// The version that a publisher speaks.
pub(super) fn version(publisher: usize) -> Version {
    Version::BOTH[publisher % 2]
}

fn sha256(payload: &[u8]) -> String {
    Sha256::digest(payload)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
