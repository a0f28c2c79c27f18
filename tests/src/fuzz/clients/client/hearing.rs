//! What the broker sends, against the rules of MQTT and the contract.

use super::{Attachment, Client, Said};
use crate::fuzz::clients::NAMES;
use crate::fuzz::clients::ledger::{Ledger, number};
use crate::{Ack, AckKind, Packet, Publish, Version, pubrel};

impl Client {
    /// Bytes came from the broker.
    pub(in crate::fuzz::clients) fn receive(&mut self, bytes: &[u8], ledger: &mut Ledger, wall: u64) {
        self.unread.extend(bytes);
        while let Some((packet, used)) = Packet::take(self.version, &self.unread) {
            self.unread.drain(..used);
            match packet {
                Packet::ConnAck(connack) => {
                    assert_eq!(connack.code, 0, "a good CONNECT is accepted");
                    self.connected(connack.session_present, ledger);
                }
                Packet::Publish(publish) => self.got(&publish, ledger, wall),
                Packet::Ack(ack) => self.answered(&ack, ledger),
                Packet::SubAck(suback) => match self.asked.remove(&suback.packet_id) {
                    Some(terms) => {
                        assert_eq!(
                            suback.codes,
                            [terms.0],
                            "the own inbox is granted as asked (contract rule 2)"
                        );
                        self.attached(terms);
                    }
                    None => assert!(suback.codes[0] >= 0x80, "contract rule 2: another's inbox was granted"),
                },
                Packet::UnsubAck(_) => {
                    (self.attachment, self.reads) = (None, None);
                    self.had.clear();
                }
                Packet::PingResp | Packet::Disconnect(..) | Packet::Auth(..) => {}
            }
        }
    }

    fn connected(&mut self, session_present: bool, ledger: &mut Ledger) {
        self.is_up = true;
        if !session_present {
            self.forget(ledger);
        }
        // What is not released comes again; what is will be released again.
        self.in_flight.retain(|_, (_, released)| *released);
        self.open.retain(|_, (_, _, packet)| packet.qos == 2);
        for (packet_id, (_, released, packet)) in self.open.clone() {
            // It may speak another version now.
            let again = if released {
                pubrel(packet_id)
            } else {
                packet.dup().encode(self.version)
            };
            self.say(again, Said::Other);
        }
        match self.holds {
            Some(terms) => self.attached(terms),
            None => {
                self.reads = None;
                self.taken.pop_front();
            }
        }
    }

    /// The session of before is gone.
    pub(in crate::fuzz::clients) fn forget(&mut self, ledger: &mut Ledger) {
        self.open.clear();
        self.in_flight.clear();
        (self.reads, self.holds) = (None, None);
        self.granted.clear();
        ledger.forget_released(self.at);
    }

    fn attached(&mut self, terms: (u8, bool)) {
        let since = self.taken.pop_front().expect("the broker answers what it has taken");
        (self.attachment, self.reads) = (Some(Attachment { since, cursor: 0 }), Some(terms));
    }

    fn got(&mut self, publish: &Publish, ledger: &mut Ledger, wall: u64) {
        let at = number(&publish.payload);
        let (Some(attachment), Some((_, no_local))) = (&mut self.attachment, self.reads) else {
            panic!("contract rule 4: m{at} came without SUBACK, or after UNSUBACK");
        };
        assert_eq!(publish.topic, self.name, "contract rule 1: the topic is the own inbox");
        let mail = ledger.get(at);
        assert_eq!(mail.to, self.at, "contract rule 2: m{at} is another's");
        let is_lower = self.granted.iter().any(|granted| publish.qos == mail.qos.min(*granted));
        assert!(
            is_lower,
            "m{at}: QoS {} is not the lower one of the two (MQTT-3.8.4-8)",
            publish.qos
        );
        assert!(
            !(no_local && mail.from == self.at),
            "m{at} is the client's own (MQTT-3.8.3-3)"
        );
        let seq = mail.seq.expect("what is delivered has a place");
        if self.version == Version::V5 {
            assert_eq!(publish.seq(), seq, "contract rule 7");
            assert_eq!(publish.props.user("from"), Some(NAMES[mail.from]), "contract rule 7");
        }
        assert!(seq > attachment.cursor, "contract rule 4: m{at} is out of order");
        ledger.passed_over(self.at, attachment.cursor, seq, no_local, wall);
        ledger.delivered(at, publish.dup, publish.qos, attachment.since);
        attachment.cursor = seq;
        if publish.qos == 0 {
            return ledger.read(at);
        }
        assert!(
            self.had.insert(at),
            "contract rule 4: m{at} comes again on the connection that it is in flight on"
        );
        if self.finished.contains(&at) {
            // Its acknowledgement crossed it on the way.
            return;
        }
        let earlier = self.in_flight.entry(publish.packet_id).or_insert((at, false));
        assert_eq!(
            earlier.0, at,
            "packet identifier {} is in use (MQTT-2.2.1-3)",
            publish.packet_id
        );
        if earlier.1 {
            return;
        }
        assert!(
            self.in_flight.len() <= self.window,
            "more than {} messages are in flight (section 4.9): {:?}",
            self.window,
            self.in_flight
        );
        let kind = if publish.qos == 1 {
            AckKind::PubAck
        } else {
            AckKind::PubRec
        };
        if !self.owed.contains(&(kind, publish.packet_id)) {
            self.owed.push_back((kind, publish.packet_id));
        }
    }

    fn answered(&mut self, answer: &Ack, ledger: &mut Ledger) {
        let packet_id = answer.packet_id;
        match answer.kind {
            AckKind::PubAck | AckKind::PubRec => {
                let Some((mail, released, _)) = self.open.get_mut(&packet_id) else {
                    panic!("{answer:?} answers nothing");
                };
                if let Some(at) = self.answers.iter().position(|id| *id == packet_id) {
                    assert_eq!(at, 0, "answers come in the order of the publishes (MQTT-4.6.0-2)");
                    self.answers.pop_front();
                }
                ledger.answered(*mail, answer.reason);
                *released = answer.kind == AckKind::PubRec && answer.reason == 0;
                if *released {
                    self.say(pubrel(packet_id), Said::Other);
                } else {
                    self.open.remove(&packet_id);
                }
            }
            AckKind::PubComp => {
                self.open.remove(&packet_id);
            }
            AckKind::PubRel => {
                if self.in_flight.contains_key(&packet_id) && !self.owed.contains(&(AckKind::PubComp, packet_id)) {
                    self.owed.push_back((AckKind::PubComp, packet_id));
                }
            }
        }
    }
}
