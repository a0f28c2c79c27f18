//! A client: what it remembers of its session, and what it says. It keeps the rules of MQTT, but it is slow, forgetful and rude.

mod acting;
mod amending;
mod connecting;
mod repeating;
mod user;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::Check;
use super::law::Request;
use super::ledger::Ledger;
use super::oracle::Said;
pub(super) use super::payload::{mail_of, payload};
use super::random::Random;
use crate::{Ack, AckKind, Packet, Publish, PublishPacket, Version, ack};
use crate::{property, pubrel};
use amending::Amend;
pub(super) use user::Persona;
use user::asked;

/// A packet and what it means.
pub(super) type Sent = (Vec<u8>, Said);

/// How a client deals with what it gets, for one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    AtOnce,
    Late,
    OutOfOrder,
    Never,
}

/// See the module's documentation.
pub(super) struct Client {
    at: usize,
    names: Vec<String>,
    pub(super) version: Version,
    manner: Manner,
    /// CONNACK has come over the present connection.
    pub(super) is_up: bool,
    /// It asked for a clean start.
    clean: bool,
    /// Its sessions end with their connections.
    ends_at_once: bool,
    /// Its publishes that are not finished, in order of first sending.
    open: BTreeMap<u16, Open>,
    order: VecDeque<u16>,
    next_id: u16,
    /// QoS 2 messages received and not released.
    unreleased: BTreeMap<u16, usize>,
    /// QoS 2 messages that the application had in this session.
    had: BTreeSet<usize>,
    owed: VecDeque<(AckKind, u16)>,
    /// How many of its messages had an `id`, and the last ones that were acknowledged and may be repeated.
    named: usize,
    /// The last seq that it was told.
    last_seq: u64,
    safe: VecDeque<usize>,
    /// The last ones with an `id`, about which it may change its mind.
    remembered: VecDeque<usize>,
    /// It may repeat them: the broker has the memory to know them again.
    repeats: bool,
    /// The broker's receive maximum.
    window: usize,
    pub(super) reads: bool,
    /// Its last UNSUBSCRIBE from its inbox, which is on its way or was lost.
    unsubscribing: Option<u16>,
    pub(super) received: u64,
    /// Where clients have users.
    pub(super) persona: Option<Persona>,
}

/// A publish that is not finished.
#[derive(Default)]
struct Open {
    mail: Option<usize>,
    /// It is no message, but asks for a change of the own lists.
    request: Option<Request>,
    /// It takes a message back, or replaces it.
    amend: Option<Amend>,
    to: usize,
    qos: u8,
    released: bool,
}

/// The payload of a message that the ledger knows, or of an ordinary one.
fn body(ledger: &mut Ledger, mail: Option<usize>, length: usize) -> Vec<u8> {
    if let Some(mail) = mail {
        ledger.get_mut(mail).length = length;
    }
    payload(mail.unwrap_or_default(), length)
}

impl Client {
    pub(super) fn new(at: usize, names: Vec<String>, repeats: bool) -> Self {
        Client {
            at,
            names,
            version: Version::V5,
            manner: Manner::AtOnce,
            is_up: false,
            clean: true,
            ends_at_once: false,
            open: BTreeMap::new(),
            order: VecDeque::new(),
            next_id: 1,
            unreleased: BTreeMap::new(),
            had: BTreeSet::new(),
            owed: VecDeque::new(),
            named: 0,
            last_seq: 0,
            safe: VecDeque::new(),
            remembered: VecDeque::new(),
            repeats,
            window: 1,
            reads: false,
            unsubscribing: None,
            received: 0,
            persona: None,
        }
    }

    /// The same, with sessions that end with their connections.
    pub(super) fn ending_at_once(mut self) -> Self {
        self.ends_at_once = true;
        self
    }

    /// The network connection is gone, as this client sees it.
    pub(super) fn down(&mut self) {
        self.is_up = false;
        self.owed.clear();
    }

    /// The broker has lost its session. It learns of that by CONNACK, unless that is lost too and the next one tells of the session after it.
    pub(super) fn session_is_lost(&mut self) {
        self.unreleased.clear();
        self.had.clear();
    }

    /// What it had not finished may come again under another identifier if it subscribes again, also what came while UNSUBSCRIBE was on its way.
    fn unsubscribed(&mut self) {
        self.unsubscribing = None;
        self.had.clear();
    }

    /// A publish goes out under this identifier.
    fn begin(&mut self, packet_id: u16, open: Open) {
        self.open.insert(packet_id, open);
        self.order.push_back(packet_id);
    }

    /// Its session is gone, on one side or both.
    fn forget(&mut self) {
        self.unsubscribing = None;
        self.open.clear();
        self.order.clear();
        self.unreleased.clear();
        self.had.clear();
        self.reads = false;
    }

    /// A packet of the broker has arrived. Gives what is to be sent at once.
    pub(super) fn receive(
        &mut self,
        packet: Packet,
        random: &mut Random,
        ledger: &mut Ledger,
    ) -> Result<Vec<Sent>, String> {
        match packet {
            Packet::ConnAck(connack) => {
                self.is_up = true;
                self.window = connack
                    .props
                    .number(property::RECEIVE_MAXIMUM)
                    .map_or(50, |max| max as usize);
                if connack.session_present {
                    if self.unsubscribing.is_some() {
                        self.unsubscribed();
                    }
                    return Ok(self.resume(random, ledger));
                }
                let again: Vec<_> = self.order.drain(..).filter_map(|id| self.open.remove(&id)).collect();
                self.forget();
                // Nobody knows what became of these: some clients try again.
                let again = again
                    .into_iter()
                    .filter(|open| {
                        !open.released && open.request.is_none() && open.amend.is_none() && random.percent(50)
                    })
                    .collect::<Vec<_>>();
                let last = self.last_safe(random);
                let again = again
                    .into_iter()
                    .filter_map(|open| match open.mail.filter(|mail| self.may_repeat(*mail, ledger)) {
                        Some(mail) => self.repeat(mail, ledger),
                        None => self.publish_to(open.to, open.qos, random, ledger),
                    })
                    .collect::<Vec<_>>();
                let last = last.and_then(|mail| self.repeat(mail, ledger));
                Ok(again.into_iter().chain(last).collect())
            }
            Packet::Publish(publish) => self.got(&publish, random).map(|()| self.prompt(random)),
            Packet::Ack(ack) => {
                self.answered(&ack, ledger);
                Ok(self.prompt(random))
            }
            Packet::UnsubAck(unsuback) => {
                if self.unsubscribing == Some(unsuback.packet_id) {
                    self.unsubscribed();
                }
                Ok(Vec::new())
            }
            _ => Ok(Vec::new()),
        }
    }

    fn got(&mut self, publish: &Publish, random: &mut Random) -> Check {
        self.received += 1;
        let seq = publish.props.user("seq").and_then(|seq| seq.parse().ok());
        self.last_seq = self.last_seq.max(seq.unwrap_or_default());
        if (publish.retain || publish.payload.starts_with(b"{")) && publish.qos < 2 {
            // A notice.
            self.owed
                .extend((publish.qos == 1).then_some((AckKind::PubAck, publish.packet_id)));
            return Ok(());
        }
        let mail = mail_of(&publish.payload).ok_or("a payload came that nobody sent")?;
        match publish.qos {
            1 => self.owed.push_back((AckKind::PubAck, publish.packet_id)),
            2 => {
                match self.unreleased.insert(publish.packet_id, mail) {
                    Some(earlier) if earlier != mail => {
                        return Err(format!(
                            "QoS 2: packet identifier {} is used for m{mail} before m{earlier} is released, so m{mail} is lost",
                            publish.packet_id
                        ));
                    }
                    Some(_) => {}
                    None if !self.had.insert(mail) => {
                        return Err(format!("QoS 2: c{} was given m{mail} twice in one session", self.at));
                    }
                    None => {}
                }
                self.owed.push_back((AckKind::PubRec, publish.packet_id));
            }
            _ => {}
        }
        if self.manner == Manner::OutOfOrder && self.owed.len() > 1 {
            let (a, b) = (random.below(self.owed.len()), random.below(self.owed.len()));
            self.owed.swap(a, b);
        }
        Ok(())
    }

    fn answered(&mut self, ack: &Ack, ledger: &Ledger) {
        if ack.kind == AckKind::PubAck && ack.reason == 0 {
            self.note_safe(ack.packet_id, ledger);
        }
        match ack.kind {
            AckKind::PubAck | AckKind::PubComp => self.finish(ack.packet_id),
            AckKind::PubRec if ack.reason >= 0x80 => self.finish(ack.packet_id),
            AckKind::PubRec => {
                if let Some(open) = self.open.get_mut(&ack.packet_id) {
                    open.released = true;
                }
                self.owed.push_back((AckKind::PubRel, ack.packet_id));
            }
            AckKind::PubRel => {
                self.unreleased.remove(&ack.packet_id);
                self.owed.push_back((AckKind::PubComp, ack.packet_id));
            }
        }
    }

    fn finish(&mut self, packet_id: u16) {
        self.open.remove(&packet_id);
        self.order.retain(|id| *id != packet_id);
    }

    /// What this client answers without being pushed.
    fn prompt(&mut self, random: &mut Random) -> Vec<Sent> {
        match self.manner {
            Manner::AtOnce => self.acknowledge(usize::MAX, random),
            Manner::OutOfOrder => self.acknowledge(random.below(3), random),
            Manner::Late | Manner::Never => Vec::new(),
        }
    }

    /// Sends some of the acknowledgements that it owes.
    fn acknowledge(&mut self, most: usize, random: &mut Random) -> Vec<Sent> {
        let mut out = Vec::new();
        while out.len() < most {
            let Some((kind, packet_id)) = self.owed.pop_front() else {
                break;
            };
            let (first, mut refused) = match kind {
                AckKind::PubAck => (0x40, self.version == Version::V5 && random.percent(2)),
                AckKind::PubRec => (0x50, self.version == Version::V5 && random.percent(2)),
                AckKind::PubRel => (0x62, false),
                AckKind::PubComp => (0x70, false),
            };
            refused &= kind == AckKind::PubAck || self.unreleased.contains_key(&packet_id);
            let mut bytes = if first == 0x62 {
                pubrel(packet_id)
            } else {
                ack(first, packet_id)
            };
            if refused {
                bytes = crate::packet(first, &[packet_id.to_be_bytes().as_slice(), &[0x80]].concat());
                // It did not take it, so it may come again.
                if let Some(mail) = self.unreleased.remove(&packet_id) {
                    self.had.remove(&mail);
                }
            }
            out.push((
                bytes,
                Said::Ack {
                    kind,
                    packet_id,
                    refused,
                },
            ));
        }
        out
    }

    /// Sends again what is not finished (MQTT-4.4.0-1), each publish as a new transmission.
    fn resume(&mut self, random: &mut Random, ledger: &mut Ledger) -> Vec<Sent> {
        let mut out = Vec::new();
        for packet_id in self.order.iter().copied().collect::<Vec<_>>() {
            let Some(open) = self.open.get(&packet_id) else {
                continue;
            };
            if open.released {
                out.push((
                    pubrel(packet_id),
                    Said::Ack {
                        kind: AckKind::PubRel,
                        packet_id,
                        refused: false,
                    },
                ));
                continue;
            }
            let (to, qos) = (open.to, open.qos);
            if let Some(amend) = open.amend.clone() {
                out.push(self.amend_as(&amend, packet_id, true, random, ledger));
                continue;
            }
            if let Some(request) = open.request.clone() {
                out.push(asked(self.version, request, qos, packet_id, true));
                continue;
            }
            if let Some(mail) = open.mail.filter(|mail| self.may_repeat(*mail, ledger)) {
                out.push(self.named_packet(mail, packet_id, true, ledger));
                continue;
            }
            let mail = open.mail.is_some().then(|| ledger.sending(self.at, to, qos, None));
            let body = body(ledger, mail, random.below(40));
            let topic = if mail.is_some() {
                self.names[to].clone()
            } else {
                "ordinary/topic".into()
            };
            let packet = PublishPacket::new(topic, body, qos, packet_id)
                .dup()
                .encode(self.version);
            out.push((packet, Said::Publish { mail, qos, packet_id }));
        }
        out
    }
}
