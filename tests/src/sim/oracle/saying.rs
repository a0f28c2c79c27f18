//! What the broker says to its clients, packet by packet.

use super::{Check, Oracle};
use crate::Packet;

impl Oracle {
    /// The broker encoded a packet.
    pub(in crate::sim) fn says(
        &mut self,
        at: usize,
        packet: &Packet,
        bytes: usize,
        names: &[String],
        now: u64,
    ) -> Check {
        if let Some(link) = self.links.get_mut(&at) {
            link.encoded += bytes as u64;
            if matches!(packet, Packet::Publish(_)) {
                link.publishes.push_back((link.encoded, bytes));
            }
            link.held.encoded(link.encoded, packet);
        }
        self.check_may_be_told(at, packet)?;
        match packet {
            Packet::ConnAck(connack) => self.connack(at, connack.session_present, connack.code),
            Packet::Ack(ack) => self.ack(at, ack),
            Packet::Publish(publish) => self.publish(at, publish, names, now),
            Packet::SubAck(suback) => self.suback(at, suback.packet_id, &suback.codes),
            Packet::UnsubAck(unsuback) => {
                let Some(link) = self.links.get_mut(&at) else {
                    return Ok(());
                };
                if link.unsubscribes.remove(&unsuback.packet_id) == Some(true) {
                    link.attachment = None;
                    self.sessions[link.client].reads = None;
                    // What still waits for the socket settles if the client subscribes again before it is written, else it stays.
                    link.unwritten.clear();
                    if let Some(mut link) = self.links.remove(&at) {
                        self.stop_settling(&mut link);
                        self.links.insert(at, link);
                    }
                }
                Ok(())
            }
            Packet::PingResp | Packet::Disconnect(..) | Packet::Auth(..) => Ok(()),
        }
    }
}
