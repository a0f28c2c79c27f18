//! Packets of the client: cut off, decoded, and given to who acts on them.

use std::time::Duration;

use inbox_types::Now;

use super::{Ending, OUT_BYTES_MAX, Session};
use crate::closed::Closed;
use mqtt_codec::{Packet, Version, encode};

impl Session {
    /// Takes the whole packets at the start of `input` and acts on them. Gives the bytes that were used; the rest is the beginning
    /// of a packet, or waits until the client may send more.
    pub fn receive(&mut self, input: &[u8], now: Now) -> Result<usize, Ending> {
        // Nothing counts that comes after the end of what proves who the client is.
        if !inbox_types::fault!(TakeAfterTokenEnd) {
            self.check_proof(now)?;
        }
        let received = self.receive_packets(input, now);
        // What came before a packet that ends the connection counts.
        self.hand_in(now);
        self.tell_acknowledged();
        self.stopwatch.tell_received(&self.shared.metrics);
        received
    }

    fn receive_packets(&mut self, input: &[u8], now: Now) -> Result<usize, Ending> {
        let mut used = 0;
        while let Some(rest) = input
            .get(used..)
            .filter(|rest| !rest.is_empty() && self.takes_packets())
        {
            if self.oversized.is_some() {
                used += self.pass_over(rest)?;
                continue;
            }
            let max = self.shared.packet_bytes_max;
            let framed = match self.link.is_v31 {
                true => mqtt_codec::frame_v31(rest, max),
                false => mqtt_codec::frame(rest, max),
            };
            let length = match framed {
                Ok(Some(length)) => length,
                Ok(None) => break,
                Err(error) if self.can_pass_over(&error, rest) => match self.begin_oversized(rest)? {
                    Some(begun) => {
                        used += begun;
                        continue;
                    }
                    None => break,
                },
                Err(error) => return Err(error.into()),
            };
            let bytes = rest.get(..length).unwrap_or_default();
            used += length;
            self.stopwatch.packets_received += 1;
            let packet = match self.link.is_v31 {
                true => mqtt_codec::decode_v31(bytes),
                false => mqtt_codec::decode(self.link.version, bytes),
            };
            // By reference: packets are large, and their parts are looked at where they are.
            match &packet {
                Ok(packet) => self.packet(packet, now)?,
                Err(error) => return Err((*error).into()),
            }
        }
        Ok(used)
    }

    /// Whether bytes from the client are wanted: not while it does not read its answers, nor while too much of what it sent is
    /// unanswered (MQTT 3.1.1 has no receive maximum), nor while it publishes faster than it may.
    pub fn takes_packets(&self) -> bool {
        self.out.len() < OUT_BYTES_MAX
            && !self.is_subscribing
            && self.waits_until().is_none()
            && !(self.link.version == Version::V311 && self.incoming.is_full(&self.shared.mqtt))
    }

    /// Until when the client is not read because it publishes faster than it may, on the monotonic clock.
    pub fn waits_until(&self) -> Option<Duration> {
        self.pace.as_ref().and_then(|pace| pace.waits_until())
    }

    /// It is `now`, on the monotonic clock.
    pub(crate) fn time_passed(&mut self, now: Duration) {
        if let Some(pace) = &mut self.pace {
            pace.time_passed(now);
        }
    }

    fn packet(&mut self, packet: &Packet<'_>, now: Now) -> Result<(), Ending> {
        if !matches!(packet, Packet::Publish(_) | Packet::PubAck(_)) {
            self.hand_in(now);
        }
        match packet {
            Packet::Publish(publish) => self.publish(publish, now),
            Packet::PubAck(ack) => self.puback(*ack),
            Packet::PubRec(ack) => self.pubrec(*ack),
            Packet::PubRel(ack) => self.pubrel(*ack),
            Packet::PubComp(ack) => self.pubcomp(*ack),
            Packet::Subscribe(subscribe) => self.subscribe(subscribe),
            Packet::Unsubscribe(unsubscribe) => self.unsubscribe(unsubscribe),
            Packet::PingReq => {
                encode::pingresp(&mut self.out);
                Ok(())
            }
            Packet::Disconnect(disconnect) => Err(self.link.disconnect(*disconnect, &self.shared.mqtt)),
            Packet::Auth(auth) => self.renew(auth, now),
            Packet::Unexpected(kind) => Err(Closed::Unexpected(*kind).into()),
        }
    }
}
