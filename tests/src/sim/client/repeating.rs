//! A client publishes again what it published, with the same `id` (contract rule 8): what it has no answer to, and now and then what it has one to.

use super::{Client, Open, Sent, body};
use crate::sim::ledger::Ledger;
use crate::sim::oracle::Said;
use crate::sim::random::Random;
use crate::{Props, PublishPacket, Version, property};

/// Messages that a client remembers to repeat.
const SAFE_MAX: usize = 8;

/// Asks for receipts to the inbox of this name.
pub(super) fn asking(props: Props, asked: &str, to: &str) -> Props {
    props
        .user("receipt", asked)
        .bytes(property::RESPONSE_TOPIC, to.as_bytes())
}

impl Client {
    /// Says that everything was read that came so far.
    pub(super) fn mark_read(&mut self, random: &mut Random) -> Vec<Sent> {
        if self.version != Version::V5 || self.persona.is_some() || self.open.len() >= self.window {
            return Vec::new();
        }
        let packet_id = self.free_id();
        let up_to = if random.percent(70) {
            self.last_seq
        } else {
            self.last_seq / 2
        };
        let open = Open {
            to: self.at,
            qos: 1,
            ..Open::default()
        };
        self.begin(packet_id, open);
        let request = format!("{{\"up_to\":{up_to}}}");
        let packet = PublishPacket::new("$inbox/read", request, 1, packet_id);
        vec![(packet.encode(self.version), Said::Mark { up_to, packet_id })]
    }

    /// Whether a message can be published again as the same. Who may write to whom changes where clients have users, so there none is.
    pub(super) fn may_repeat(&self, mail: usize, ledger: &Ledger) -> bool {
        let mail = ledger.get(mail);
        let is_named = mail.id.is_some() && mail.qos == 1 && !mail.asks_for_room;
        is_named && self.repeats && self.version == Version::V5 && self.persona.is_none()
    }

    /// PUBACK came.
    pub(super) fn note_safe(&mut self, packet_id: u16, ledger: &Ledger) {
        let mail = self.open.get(&packet_id).and_then(|open| open.mail);
        if let Some(mail) = mail.filter(|mail| self.may_repeat(*mail, ledger)) {
            self.safe.push_back(mail);
            while self.safe.len() > SAFE_MAX {
                self.safe.pop_front();
            }
        }
    }

    /// One of those that are acknowledged.
    pub(super) fn any_safe(&mut self, random: &mut Random) -> Option<usize> {
        self.can_repeat().then(|| self.safe[random.below(self.safe.len())])
    }

    /// The last one that was acknowledged: some clients make sure of it when the broker does not know their sessions any more.
    pub(super) fn last_safe(&self, random: &mut Random) -> Option<usize> {
        let last = self.safe.back().filter(|_| self.can_repeat() && random.percent(50));
        last.copied()
    }

    fn can_repeat(&self) -> bool {
        self.version == Version::V5 && self.open.len() < self.window && !self.safe.is_empty()
    }

    pub(super) fn repeat(&mut self, mail: usize, ledger: &mut Ledger) -> Option<Sent> {
        if self.open.len() >= self.window {
            return None;
        }
        let packet_id = self.free_id();
        let open = Open {
            mail: Some(mail),
            to: ledger.get(mail).to,
            qos: 1,
            ..Open::default()
        };
        self.begin(packet_id, open);
        Some(self.named_packet(mail, packet_id, false, ledger))
    }

    pub(super) fn named_packet(&self, mail: usize, packet_id: u16, dup: bool, ledger: &mut Ledger) -> Sent {
        ledger.get_mut(mail).repeated = true;
        let known = ledger.get(mail);
        let (to, length, expiry) = (known.to, known.length, known.expiry);
        let mut props = Props::new().user("id", known.id.as_deref().unwrap_or_default());
        let asked = match known.wants {
            (true, true) => "delivered,read",
            (true, false) => "delivered",
            (false, true) => "read",
            (false, false) => "",
        };
        if !asked.is_empty() {
            props = asking(props, asked, &self.names[self.at]);
        }
        if let Some(key) = known.key {
            props = props.user("collapse", key);
        }
        if let Some(expiry) = expiry {
            props = props.four(property::MESSAGE_EXPIRY, expiry);
        }
        let body = body(ledger, Some(mail), length);
        let mut packet = PublishPacket::new(&self.names[to], body, 1, packet_id).props(props);
        if dup {
            packet = packet.dup();
        }
        let said = Said::Publish {
            mail: Some(mail),
            qos: 1,
            packet_id,
        };
        (packet.encode(self.version), said)
    }
}
