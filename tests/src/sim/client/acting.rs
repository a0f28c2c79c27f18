//! What a client does by itself: it publishes, subscribes, leaves, and acknowledges late.

use super::repeating::asking;
use super::{Client, Manner, Open, Sent, body};
use crate::sim::ledger::Ledger;
use crate::sim::oracle::{Filter, Said};
use crate::sim::random::Random;
use crate::{Props, PublishPacket, Version, disconnect, ping, property, subscribe, unsubscribe};

/// What nobody publishes to: these clients read their inboxes, and ordinary topics are others' (`sim/ordinary/`).
const NOBODYS: &str = "nobodys/#";

impl Client {
    /// Something to do, by chance.
    pub(in crate::sim) fn act(&mut self, random: &mut Random, ledger: &mut Ledger) -> Vec<Sent> {
        if self.persona.is_some() && random.percent(15) {
            return self.act_as_user(random);
        }
        match random.below(100) {
            0..55 => (0..random.between(1, 5))
                .filter_map(|_| self.publish(random, ledger))
                .collect(),
            55..75 if self.manner != Manner::Never => {
                let most = random.pick(&[1, 2, usize::MAX]);
                self.acknowledge(most, random)
            }
            75..88 if !self.reads || random.percent(30) => vec![self.read(random.below(3) as u8, random.percent(10))],
            88..91 => {
                self.reads = false;
                self.had.clear();
                let packet_id = self.free_id();
                let own = random.percent(80);
                if own {
                    self.unsubscribing = Some(packet_id);
                }
                let filter = if own {
                    self.names[self.at].clone()
                } else {
                    NOBODYS.into()
                };
                vec![(
                    unsubscribe(self.version, packet_id, &filter),
                    Said::Unsubscribe { packet_id, own },
                )]
            }
            91 => vec![self.read_anothers(random)],
            92 | 93 => self.mark_read(random),
            96 | 97 => self.amend(random, ledger),
            94..96 => vec![(ping(), Said::Other)],
            _ => Vec::new(),
        }
    }

    /// Everything that is owed, for the end of a run.
    pub(in crate::sim) fn settle(&mut self, random: &mut Random) -> Vec<Sent> {
        self.manner = Manner::AtOnce;
        self.acknowledge(usize::MAX, random)
    }

    /// DISCONNECT.
    pub(in crate::sim) fn leave(&mut self, random: &mut Random) -> Sent {
        let reason = random.pick(&[0, 0, 4]);
        let with_will = self.version == Version::V5 && reason != 0;
        let bytes = disconnect(self.version, reason, &Props::new());
        (bytes, Said::Leave { with_will })
    }

    /// SUBSCRIBE to the own inbox.
    pub(in crate::sim) fn read(&mut self, qos: u8, no_local: bool) -> Sent {
        let no_local = no_local && self.version == Version::V5;
        self.reads = true;
        let packet_id = self.free_id();
        let options = qos | u8::from(no_local) << 2;
        let packet = subscribe(self.version, packet_id, &self.names[self.at], options, &Props::new());
        (
            packet,
            Said::Subscribe {
                packet_id,
                what: Filter::Own { qos, no_local },
            },
        )
    }

    fn read_anothers(&mut self, random: &mut Random) -> Sent {
        let packet_id = self.free_id();
        let other = (self.at + 1) % self.names.len();
        let ordinary = random.percent(50);
        let filter = if ordinary {
            NOBODYS.into()
        } else {
            self.names[other].clone()
        };
        let what = if ordinary { Filter::Ordinary } else { Filter::Anothers };
        (
            subscribe(self.version, packet_id, filter, 1, &Props::new()),
            Said::Subscribe { packet_id, what },
        )
    }

    fn publish(&mut self, random: &mut Random, ledger: &mut Ledger) -> Option<Sent> {
        if random.percent(5)
            && let Some(mail) = self.any_safe(random)
        {
            return self.repeat(mail, ledger);
        }
        let to = random.below(self.names.len());
        let qos = random.pick(&[0, 1, 1, 1, 2, 2]);
        self.publish_to(to, qos, random, ledger)
    }

    pub(super) fn publish_to(&mut self, to: usize, qos: u8, random: &mut Random, ledger: &mut Ledger) -> Option<Sent> {
        if qos > 0 && self.open.len() >= self.window {
            return None;
        }
        let packet_id = if qos > 0 { self.free_id() } else { 0 };
        let ordinary = random.percent(4);
        let v5 = self.version == Version::V5;
        // Others use the same ones.
        let id = (v5 && random.percent(30)).then(|| {
            self.named += 1;
            format!("own-{}", self.named)
        });
        let mail = (!ordinary).then(|| ledger.sending(self.at, to, qos, id.clone()));
        let length = if random.percent(15) { 3000 } else { random.below(60) };
        let mut props = Props::new();
        if v5 {
            if let Some(id) = &id {
                props = props.user("id", id);
            }
            if random.percent(10) {
                props = props.user("from", "somebody else").user("seq", "7");
                if self.persona.is_some() {
                    props = props.user("user", "somebody else");
                }
            }
            if let Some(mail) = mail.filter(|_| qos > 0 && random.percent(40)) {
                props = props.user("notify-space", "1");
                ledger.get_mut(mail).asks_for_room = true;
            }
            if let Some(mail) = mail.filter(|_| qos > 0 && self.persona.is_none() && random.percent(25)) {
                let (asked, wants) = random.pick(&[
                    ("delivered", (true, false)),
                    ("read", (false, true)),
                    ("delivered,read", (true, true)),
                ]);
                ledger.get_mut(mail).wants = wants;
                props = asking(props, asked, &self.names[self.at]);
            }
            if let Some(mail) = mail.filter(|_| qos > 0) {
                props = self.collapse(mail, props, random, ledger);
                self.remember(mail, ledger);
            }
            if random.percent(20) {
                let expiry = random.pick(&[0, 1, 5, 3600, u32::MAX]);
                props = props.four(property::MESSAGE_EXPIRY, expiry);
                if let Some(mail) = mail {
                    ledger.get_mut(mail).expiry = Some(expiry);
                }
            }
        }
        let topic = if ordinary {
            "ordinary/topic".into()
        } else {
            self.names[to].clone()
        };
        let mut packet = PublishPacket::new(topic, body(ledger, mail, length), qos, packet_id).props(props);
        // What is retained would take up a small memory budget for good.
        packet.retain = random.percent(5) && !ordinary;
        if qos > 0 {
            let open = Open {
                mail,
                to,
                qos,
                ..Open::default()
            };
            self.begin(packet_id, open);
        }
        Some((packet.encode(self.version), Said::Publish { mail, qos, packet_id }))
    }

    pub(super) fn free_id(&mut self) -> u16 {
        while self.next_id == 0 || self.open.contains_key(&self.next_id) {
            self.next_id = self.next_id.wrapping_add(1);
        }
        let id = self.next_id;
        self.next_id = id.wrapping_add(1);
        id
    }
}
