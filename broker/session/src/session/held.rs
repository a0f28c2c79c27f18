//! How long the client holds what it was sent without acknowledging it: known only where that has a limit (`delivery.ack_timeout`).

use std::collections::VecDeque;
use std::time::Duration;

use super::Session;
use mqtt_codec::PacketId;

/// What the client was sent over this connection with QoS 1 or 2 and has not acknowledged, in the order of sending. It is bounded by the window.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Encoded, and where each ends among the bytes of the session: the broker's to write, and no fault of the client's.
    unwritten: VecDeque<(u64, PacketId)>,
    /// Written, and when.
    written: VecDeque<(Duration, PacketId)>,
}

impl Held {
    /// The client has the last word about it said.
    fn landed(&mut self, packet_id: PacketId) {
        // Clients mostly answer in order.
        if let Some(at) = self.written.iter().position(|(_, theirs)| *theirs == packet_id) {
            self.written.remove(at);
        } else if let Some(at) = self.unwritten.iter().position(|(_, theirs)| *theirs == packet_id) {
            self.unwritten.remove(at);
        }
    }
}

impl Session {
    /// A connection begins.
    pub(super) fn holds_nothing(&mut self) {
        self.held = self.shared.mqtt.ack_timeout.map(|_| Box::default());
    }

    /// A packet with this identifier, which the client is to answer, is the last one in `out`.
    pub(super) fn note_encoded(&mut self, packet_id: PacketId) {
        if let Some(held) = &mut self.held {
            let end = self.bytes_written + self.out.len() as u64;
            held.unwritten.push_back((end, packet_id));
        }
    }

    /// The client has answered to the end.
    pub(super) fn note_landed(&mut self, packet_id: PacketId) {
        if let Some(held) = &mut self.held {
            held.landed(packet_id);
        }
    }

    /// What [`Session::written`] was told of was written at `time`, by a clock that stands still while the client is not read.
    pub(crate) fn note_written(&mut self, time: Duration) {
        let Some(held) = &mut self.held else { return };
        let done = held.unwritten.partition_point(|(end, _)| *end <= self.bytes_written);
        held.written
            .extend(held.unwritten.drain(..done).map(|(_, packet_id)| (time, packet_id)));
    }

    /// When the oldest message was written that the client has not acknowledged, by the same clock; `None` also where nobody wants to know.
    #[inline]
    pub(crate) fn holds_since(&self) -> Option<Duration> {
        let oldest = self.held.as_ref()?.written.front();
        oldest.map(|(since, _)| *since)
    }
}
