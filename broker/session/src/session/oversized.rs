//! A PUBLISH of MQTT 3.1.1 that is larger than any packet that is taken. Closing the connection would make the client send it again for ever
//! (contract rule 3), so it is read to its end, hashed and forgotten on the way, and then refused by a notice like any other.

use std::sync::Arc;

use inbox_types::Qos;
use mqtt_codec::{DecodeError, PacketId};
use sha2::{Digest, Sha256};

use super::subject::Subject;
use super::{Ending, Session};
use crate::not_published::NotPublished;

/// Of which the beginning was read.
pub(super) struct Oversized {
    topic: Arc<str>,
    answers: Option<(PacketId, Qos)>,
    payload_bytes: usize,
    /// Bytes of the payload that are still to come.
    left: usize,
    hasher: Sha256,
}

impl Session {
    /// Whether `error` is about a packet that [`Session::begin_oversized`] can do something about.
    pub(super) fn can_pass_over(&self, error: &DecodeError, bytes: &[u8]) -> bool {
        let is_publish = bytes.first().is_some_and(|first| first >> 4 == 3);
        matches!(error, DecodeError::TooLarge { .. }) && is_publish && self.bounces()
    }

    /// Reads the beginning of a packet that is too large. Gives the bytes that were used; `None` when there are too few.
    pub(super) fn begin_oversized(&mut self, bytes: &[u8]) -> Result<Option<usize>, Ending> {
        let Some(mqtt_codec::BegunPublish { publish, used, left }) = mqtt_codec::begin_publish(bytes)? else {
            return Ok(None);
        };
        self.oversized = Some(Box::new(Oversized {
            topic: publish.topic.into(),
            answers: publish.packet_id.map(|packet_id| (packet_id, publish.qos)),
            payload_bytes: publish.payload.len() + left,
            left,
            hasher: Sha256::new_with_prefix(publish.payload),
        }));
        self.pass_over(&[])?;
        Ok(Some(used))
    }

    /// Goes on with a packet that is too large. Gives the bytes that were used.
    pub(super) fn pass_over(&mut self, bytes: &[u8]) -> Result<usize, Ending> {
        let Some(oversized) = self.oversized.as_mut() else {
            return Ok(0);
        };
        let (payload, _) = bytes.split_at(oversized.left.min(bytes.len()));
        oversized.hasher.update(payload);
        oversized.left -= payload.len();
        if oversized.left == 0
            && let Some(all) = self.oversized.take()
        {
            let why = NotPublished::TooLarge {
                bytes: all.payload_bytes,
                max: self.shared.mqtt.message_bytes_max,
            };
            let subject = Subject::Hashed(Box::new((all.topic, all.hasher.finalize().into())));
            self.refuse_unread(all.answers, subject, why)?;
        }
        Ok(payload.len())
    }
}
