//! What is written to clients, and those that hold it without acknowledging it (contract rule 4, `delivery.ack_timeout`).

use std::collections::{BTreeMap, VecDeque};

use super::{Check, Oracle};
use crate::{AckKind, Packet, Version};

/// The reason code of the end of such a client.
const STUCK: u8 = 0x83;
const SECOND: u64 = 1_000_000;

/// What a connection was sent, and its client has not acknowledged to the end.
#[derive(Default)]
pub(super) struct Held {
    /// Where each ends among the bytes of the connection.
    unwritten: VecDeque<(u64, u16)>,
    /// When each was written.
    written: BTreeMap<u16, u64>,
    /// The broker did not read when it was last looked at, and when it last began to.
    is_unread: bool,
    reads_since: u64,
    /// When it was last sent mail, the last times first: as much as it may be in a second.
    sent: VecDeque<u64>,
}

impl Held {
    pub(super) fn encoded(&mut self, end: u64, packet: &Packet) {
        let packet_id = match packet {
            Packet::Publish(publish) if publish.qos > 0 => publish.packet_id,
            Packet::Ack(ack) if ack.kind == AckKind::PubRel => ack.packet_id,
            _ => return,
        };
        let is_known = self.unwritten.iter().any(|(_, theirs)| *theirs == packet_id);
        // PUBREL is the next word about what was sent, or the first one over this connection.
        if !is_known && !self.written.contains_key(&packet_id) {
            self.unwritten.push_back((end, packet_id));
        }
    }

    pub(super) fn written(&mut self, to: u64, now: u64) {
        let done = self.unwritten.partition_point(|(end, _)| *end <= to);
        self.written
            .extend(self.unwritten.drain(..done).map(|(_, packet_id)| (packet_id, now)));
    }

    pub(super) fn landed(&mut self, packet_id: u16) {
        self.written.remove(&packet_id);
        self.unwritten.retain(|(_, theirs)| *theirs != packet_id);
    }
}

impl Oracle {
    /// A client is sent one more piece of mail (`delivery.rate`): in any second, no more than a full bucket and what flows into it.
    pub(super) fn check_rate(&mut self, at: usize) -> Check {
        let now = self.now;
        let (Some(rate), Some(link)) = (self.terms.delivery_rate, self.links.get_mut(&at)) else {
            return Ok(());
        };
        let sent = &mut link.held.sent;
        sent.push_back(now);
        while sent.front().is_some_and(|first| first + SECOND <= now) {
            sent.pop_front();
        }
        match sent.len() as u64 <= 2 * rate {
            true => Ok(()),
            false => Err(format!(
                "rule 4: c{} is sent {} messages in a second",
                link.client,
                sent.len()
            )),
        }
    }

    /// The socket took some bytes.
    pub(in crate::sim) fn wrote(&mut self, at: usize, bytes: usize, mono: Option<u64>) {
        self.tick += 1;
        let Some(link) = self.links.get_mut(&at) else { return };
        link.written += bytes as u64;
        let gone = link.publishes.partition_point(|(end, _)| *end <= link.written);
        link.publishes.drain(..gone);
        link.held.written(link.written, self.now);
        let done = link.unwritten.partition_point(|(end, _)| *end <= link.written);
        for (_, mail) in link.unwritten.drain(..done) {
            if self.terms.settle > 0 {
                link.settling.push_back((self.now, mail));
            } else {
                self.ledger
                    .gone(mail, self.tick, mono.map(|mono| mono + self.terms.flush));
            }
        }
    }

    /// Whether the broker takes what this connection sends now.
    pub(in crate::sim) fn reads(&mut self, at: usize, reads: bool) {
        let now = self.now;
        if let Some(held) = self.links.get_mut(&at).map(|link| &mut link.held) {
            if held.is_unread || !reads {
                held.reads_since = now;
            }
            held.is_unread = !reads;
        }
    }

    /// A connection goes on after it had a turn.
    pub(in crate::sim) fn check_acknowledges(&self, at: usize) -> Check {
        let (Some(timeout), Some(link)) = (self.terms.ack_timeout, self.links.get(&at)) else {
            return Ok(());
        };
        let Some(oldest) = link.held.written.values().min() else {
            return Ok(());
        };
        if !link.held.is_unread && self.now >= link.held.reads_since.max(*oldest) + timeout {
            return Err(format!(
                "rule 4: c{} holds a message for longer than it may, and is still there",
                link.client
            ));
        }
        Ok(())
    }

    /// The broker ended a connection.
    pub(in crate::sim) fn check_was_stuck(&self, at: usize, code: Option<u8>) -> Check {
        let Some(link) = self.links.get(&at) else { return Ok(()) };
        // MQTT 3.1.1 has other ends that would have this code.
        if code != Some(STUCK) || link.version == Version::V311 {
            return Ok(());
        }
        let oldest = link.held.written.values().min();
        let may_end = |timeout: u64| oldest.is_some_and(|oldest| *oldest + timeout <= self.now);
        match self.terms.ack_timeout.is_some_and(may_end) {
            true => Ok(()),
            false => Err(format!(
                "rule 4: c{} was ended, and holds nothing for so long",
                link.client
            )),
        }
    }
}
