//! A client changes its mind about what it sent (contract rule 12): later messages replace earlier ones, it takes one back, or edits it.

use super::{Client, Open, Sent, body};
use crate::sim::ledger::Ledger;
use crate::sim::oracle::Said;
use crate::sim::random::Random;
use crate::{Props, PublishPacket, Version};

/// Messages that a client remembers to change its mind about.
const REMEMBERED_MAX: usize = 6;
/// Keys of collapsing; others use the same ones.
const KEYS: [&str; 3] = ["temperature", "door", "battery"];

/// A message that is taken back, or replaced.
#[derive(Debug, Clone)]
pub(super) struct Amend {
    of: usize,
    is_edit: bool,
}

impl Client {
    /// Gives a message a key, now and then.
    pub(super) fn collapse(&self, mail: usize, props: Props, random: &mut Random, ledger: &mut Ledger) -> Props {
        if self.persona.is_some() || !random.percent(15) {
            return props;
        }
        let key = random.pick(&KEYS);
        ledger.get_mut(mail).key = Some(key);
        props.user("collapse", key)
    }

    /// It may change its mind about a message that it just sent.
    pub(super) fn remember(&mut self, mail: usize, ledger: &Ledger) {
        let mine = ledger.get(mail);
        if mine.id.is_some() && mine.qos > 0 && mine.wants == (false, false) {
            self.remembered.push_back(mail);
            while self.remembered.len() > REMEMBERED_MAX {
                self.remembered.pop_front();
            }
        }
    }

    /// Takes a message back, or replaces it.
    pub(super) fn amend(&mut self, random: &mut Random, ledger: &mut Ledger) -> Vec<Sent> {
        let can = self.version == Version::V5 && self.persona.is_none() && self.open.len() < self.window;
        if !can || self.remembered.is_empty() {
            return Vec::new();
        }
        let amend = Amend {
            of: self.remembered[random.below(self.remembered.len())],
            is_edit: random.percent(50),
        };
        let packet_id = self.free_id();
        self.order.push_back(packet_id);
        vec![self.amend_as(&amend, packet_id, false, random, ledger)]
    }

    /// Each transmission is another one: of an edit, another message.
    pub(super) fn amend_as(
        &mut self,
        amend: &Amend,
        packet_id: u16,
        dup: bool,
        random: &mut Random,
        ledger: &mut Ledger,
    ) -> Sent {
        let of = ledger.get(amend.of);
        let (to, id) = (of.to, of.id.clone().unwrap_or_default());
        let open = Open {
            amend: Some(amend.clone()),
            to,
            qos: 1,
            ..Open::default()
        };
        self.open.insert(packet_id, open);
        let (packet, said) = if amend.is_edit {
            let mail = ledger.sending(self.at, to, 1, None);
            ledger.get_mut(mail).amends = Some(id.clone());
            let props = Props::new().user("to", &self.names[to]).user("id", &id);
            let packet = PublishPacket::new("$inbox/edit", body(ledger, Some(mail), random.below(60)), 1, packet_id);
            let said = Said::Publish {
                mail: Some(mail),
                qos: 1,
                packet_id,
            };
            (packet.props(props), said)
        } else {
            let request = format!("{{\"to\":\"{}\",\"id\":\"{id}\"}}", self.names[to]);
            let packet = PublishPacket::new("$inbox/recall", request, 1, packet_id);
            (packet, Said::Recall { to, id, packet_id })
        };
        let packet = if dup { packet.dup() } else { packet };
        (packet.encode(self.version), said)
    }
}
