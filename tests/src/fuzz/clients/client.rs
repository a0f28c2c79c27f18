//! A client that keeps the rules of MQTT, and checks what it is sent.

mod hearing;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use inboxd::single::ConnId;

use super::ledger::Ledger;
use crate::{AckKind, Connect, Props, PublishPacket, Version, Will};
use crate::{ack, disconnect, property, subscribe, unsubscribe};

/// What a packet means once the broker has taken it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Said {
    /// A session of before goes on, if there is one.
    Connect {
        goes_on: bool,
        is_kept: bool,
    },
    /// QoS and no local, if it is the own inbox.
    Subscribe {
        own: Option<(u8, bool)>,
    },
    Unsubscribe,
    Released {
        mail: usize,
        packet_id: u16,
    },
    Finished {
        mail: usize,
        packet_id: u16,
    },
    Other,
}

/// See the module's documentation.
pub(super) struct Client {
    at: usize,
    name: &'static str,
    version: Version,
    pub(super) conn: Option<ConnId>,
    is_up: bool,
    /// It said DISCONNECT: nothing may follow (MQTT-3.14.4-2).
    has_left: bool,
    /// It does not read its socket by itself.
    pub(super) is_blocked: bool,
    /// Bytes for the broker, and what they mean: the length of each packet.
    pub(super) input: Vec<u8>,
    said: VecDeque<(usize, Said)>,
    /// Bytes of the broker that are not a whole packet.
    unread: Vec<u8>,
    next_id: u16,
    /// Publishes that are not finished: mail, whether it is released, the packet.
    open: BTreeMap<u16, (usize, bool, PublishPacket)>,
    answers: VecDeque<u16>,
    /// QoS 1 and 2 messages that it was sent and is not done with: mail, released.
    in_flight: BTreeMap<u16, (usize, bool)>,
    owed: VecDeque<(AckKind, u16)>,
    /// What it was sent with QoS 1 or 2 over this connection since it reads its inbox.
    had: BTreeSet<usize>,
    /// What it was done with over this connection.
    finished: BTreeSet<usize>,
    window: usize,
    /// The terms of subscriptions on their way, of the present one, and of the one that the session holds: QoS, no local.
    asked: BTreeMap<u16, (u8, bool)>,
    reads: Option<(u8, bool)>,
    holds: Option<(u8, bool)>,
    /// Every QoS that the session was granted: a transfer goes on as it began, whatever is granted later.
    granted: BTreeSet<u8>,
    /// The session outlives the connection.
    is_kept: bool,
    /// When the broker took CONNECT and SUBSCRIBE.
    taken: VecDeque<u64>,
    attachment: Option<Attachment>,
}

struct Attachment {
    since: u64,
    cursor: u64,
}

/// How a client connects.
pub(super) struct Terms {
    pub(super) version: Version,
    pub(super) clean: bool,
    pub(super) keeps_session: bool,
    pub(super) window: u16,
    pub(super) will: Option<(&'static str, Vec<u8>)>,
}

impl Client {
    pub(super) fn new(at: usize, name: &'static str) -> Self {
        Client {
            at,
            name,
            version: Version::V5,
            conn: None,
            is_up: false,
            has_left: false,
            is_blocked: false,
            input: Vec::new(),
            said: VecDeque::new(),
            unread: Vec::new(),
            next_id: 0,
            open: BTreeMap::new(),
            answers: VecDeque::new(),
            in_flight: BTreeMap::new(),
            owed: VecDeque::new(),
            had: BTreeSet::new(),
            finished: BTreeSet::new(),
            window: 0,
            asked: BTreeMap::new(),
            reads: None,
            holds: None,
            granted: BTreeSet::new(),
            is_kept: false,
            taken: VecDeque::new(),
            attachment: None,
        }
    }

    /// The network connection is gone, or given up.
    pub(super) fn down(&mut self) -> Option<ConnId> {
        (self.is_up, self.has_left, self.attachment) = (false, false, None);
        self.input.clear();
        self.said.clear();
        self.unread.clear();
        self.answers.clear();
        self.owed.clear();
        self.had.clear();
        self.finished.clear();
        self.asked.clear();
        self.taken.clear();
        self.conn.take()
    }

    pub(super) fn connect(&mut self, conn: ConnId, terms: Terms, in_flight_max: usize) {
        (self.conn, self.version, self.is_blocked) = (Some(conn), terms.version, false);
        self.window = in_flight_max;
        let mut connect = Connect::new(terms.version, self.name);
        connect.clean = terms.clean;
        let mut is_kept = !terms.clean;
        if terms.version == Version::V5 {
            self.window = in_flight_max.min(usize::from(terms.window));
            is_kept = terms.keeps_session;
            let expiry = if is_kept { 86_400 } else { 0 };
            let props = Props::new().four(property::SESSION_EXPIRY, expiry);
            connect = connect.props(props.two(property::RECEIVE_MAXIMUM, terms.window));
        }
        if let Some((topic, payload)) = terms.will {
            let mut will = Will::new(topic, "");
            will.payload = payload;
            connect = connect.will(will);
        }
        self.say(
            connect.encode(),
            Said::Connect {
                goes_on: !terms.clean,
                is_kept,
            },
        );
    }

    fn say(&mut self, packet: Vec<u8>, said: Said) {
        if self.has_left {
            return;
        }
        self.said.push_back((packet.len(), said));
        self.input.extend(packet);
    }

    /// The broker took these bytes of [`Client::input`].
    pub(super) fn took(&mut self, mut bytes: usize, ledger: &mut Ledger) {
        self.input.drain(..bytes);
        while let Some((length, said)) = self.said.pop_front() {
            if length > bytes {
                assert_eq!(bytes, 0, "the broker takes whole packets");
                self.said.push_front((length, said));
                return;
            }
            bytes -= length;
            ledger.tick += 1;
            match said {
                Said::Connect { goes_on, is_kept } => {
                    if !goes_on || !self.is_kept {
                        self.forget(ledger);
                    }
                    self.is_kept = is_kept;
                    self.taken.push_back(ledger.tick);
                }
                Said::Subscribe { own: Some(terms) } => {
                    self.holds = Some(terms);
                    self.granted.insert(terms.0);
                    self.taken.push_back(ledger.tick);
                }
                Said::Unsubscribe => self.holds = None,
                Said::Released { mail, packet_id } => {
                    ledger.get_mut(mail).released = Some(ledger.tick);
                    if let Some((_, released)) = self.in_flight.get_mut(&packet_id) {
                        *released = true;
                    }
                }
                Said::Finished { mail, packet_id } => {
                    self.in_flight.remove(&packet_id);
                    ledger.read(mail);
                    ledger.get_mut(mail).released = None;
                }
                Said::Subscribe { own: None } | Said::Other => {}
            }
        }
    }

    /// The connection ended while the broker was at [`Client::input`]: it took all of it, or nobody knows how much.
    pub(super) fn took_last(&mut self, all: bool, ledger: &mut Ledger) {
        if all {
            return self.took(self.input.len(), ledger);
        }
        for (_, said) in &self.said {
            if let Said::Finished { mail, .. } = said {
                ledger.perhaps_read(*mail);
            }
        }
    }

    /// Sends one of the acknowledgements that it owes.
    pub(super) fn acknowledge(&mut self, which: usize) {
        if self.owed.is_empty() || !self.is_up {
            return;
        }
        let Some((kind, packet_id)) = self.owed.remove(which % self.owed.len()) else {
            return;
        };
        let Some((mail, _)) = self.in_flight.get(&packet_id) else {
            return;
        };
        let mail = *mail;
        let (first, said) = match kind {
            AckKind::PubAck => (0x40, Said::Finished { mail, packet_id }),
            AckKind::PubRec => (0x50, Said::Released { mail, packet_id }),
            _ => (0x70, Said::Finished { mail, packet_id }),
        };
        if kind != AckKind::PubRec {
            self.finished.insert(mail);
        }
        self.say(ack(first, packet_id), said);
    }

    pub(super) fn owes(&self) -> bool {
        self.is_up && !self.owed.is_empty()
    }

    pub(super) fn publish(&mut self, to: usize, qos: u8, size: usize, expiry: u8, ledger: &mut Ledger) {
        // The receive maximum in CONNACK.
        if !self.is_up || self.open.len() >= 16 {
            return;
        }
        let (mail, payload) = ledger.sending(self.at, to, qos, size);
        let packet_id = if qos > 0 { self.free_id() } else { 0 };
        let mut packet = PublishPacket::new(super::NAMES[to], payload, qos, packet_id);
        if self.version == Version::V5 && expiry > 0 {
            // And it lies about itself.
            let props = Props::new().four(property::MESSAGE_EXPIRY, u32::from(expiry));
            packet = packet.props(props.user("from", "somebody else").user("seq", "1"));
        }
        let bytes = packet.encode(self.version);
        if qos > 0 {
            self.open.insert(packet_id, (mail, false, packet));
            self.answers.push_back(packet_id);
        }
        self.say(bytes, Said::Other);
    }

    pub(super) fn subscribe(&mut self, of: usize, qos: u8, no_local: bool) {
        if !self.is_up {
            return;
        }
        let (packet_id, own) = (self.free_id(), of == self.at);
        let no_local = no_local && self.version == Version::V5;
        let own = own.then_some((qos, no_local));
        if let Some(terms) = own {
            self.asked.insert(packet_id, terms);
        }
        let options = qos | u8::from(no_local) << 2;
        let packet = subscribe(self.version, packet_id, super::NAMES[of], options, &Props::new());
        self.say(packet, Said::Subscribe { own });
    }

    pub(super) fn unsubscribe(&mut self) {
        if self.is_up {
            let packet_id = self.free_id();
            self.say(unsubscribe(self.version, packet_id, self.name), Said::Unsubscribe);
        }
    }

    pub(super) fn leave(&mut self) {
        if self.is_up {
            self.say(disconnect(self.version, 0, &Props::new()), Said::Other);
            (self.is_up, self.has_left) = (false, true);
        }
    }

    /// With everything at rest: a reader who takes more has had all that it must have.
    pub(super) fn check_rest(&self, ledger: &Ledger, wall: u64) {
        let has_room = self.in_flight.len() < self.window;
        if let (Some(attachment), Some((_, no_local)), true) = (&self.attachment, self.reads, has_room) {
            ledger.passed_over(self.at, attachment.cursor, u64::MAX, no_local, wall);
        }
        assert!(self.answers.is_empty(), "contract rule 3: publishes are answered");
        assert!(self.asked.is_empty(), "SUBSCRIBE is answered (MQTT-3.8.4-1)");
    }

    fn free_id(&mut self) -> u16 {
        loop {
            self.next_id = self.next_id.checked_add(1).unwrap_or(1);
            if !self.open.contains_key(&self.next_id) && !self.asked.contains_key(&self.next_id) {
                return self.next_id;
            }
        }
    }
}
