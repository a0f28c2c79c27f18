//! What clients of ordinary topics must get, and what they may.
//!
//! It sees each packet of a client when the broker has taken it, and each packet of the broker as soon as it is encoded. Everything has a *tick*, by which
//! it is told what came before what. What is under way has no certain place: a message may come to a subscription that was asked for before the message was
//! *through*, which is known when it is answered, or when its connection has ended.

mod answers;
mod deliveries;
mod retained;
mod sessions;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::sim::Check;
use crate::sim::oracle::Word;
use crate::{AckKind, Packet};

/// See the module's documentation.
pub(in crate::sim) struct Book {
    /// How long an acknowledgement may wait until it is durable, in microseconds.
    flush: u64,
    in_flight_max: usize,
    tick: u64,
    /// Microseconds.
    pub(in crate::sim) now: u64,
    /// How many times the broker was started.
    run: u32,
    /// What a commit takes that begins now was there at this tick.
    commit_began: u64,
    messages: Vec<Message>,
    sessions: Vec<Session>,
    links: BTreeMap<usize, Link>,
    promises: u64,
    deliveries: u64,
    repeats: u64,
}

/// A message, as one transmission of it: one that is sent again is another one.
struct Message {
    from: usize,
    topic: usize,
    qos: u8,
    retain: bool,
    /// It has no payload, and clears what is retained.
    clears: bool,
    /// The broker took it: the tick, and in which run.
    taken: Option<(u64, u32)>,
    /// The same transmission came again after a crash: the broker may have it from before, or from then on, so it has no certain place.
    again: bool,
    /// From when on no further subscription can get it.
    through: Option<u64>,
    /// Its publisher was told that it is safe.
    promised: Option<u64>,
}

/// A client, and its session as the client may rely on it.
struct Session {
    is_kept: bool,
    /// CONNACK told of it.
    begun: Option<u64>,
    /// No crash loses it.
    is_durable: bool,
    /// It may have ended, or not have been there after a crash; or be another one, of which nobody was told.
    may_be_gone: bool,
    subscriptions: Vec<Subscription>,
    /// QoS 2 publishes that are not released, and the message that each stands for.
    open: BTreeMap<u16, usize>,
    in_flight: BTreeMap<u16, InFlight>,
    fates: BTreeMap<usize, Fate>,
    /// By publisher, when the latest one was taken that came.
    latest: BTreeMap<usize, u64>,
}

/// A subscription, also one that has ended.
struct Subscription {
    filter: &'static str,
    qos: u8,
    asked: u64,
    granted: Option<u64>,
    /// An UNSUBSCRIBE was taken, and answered.
    unsubscribed: Option<u64>,
    ended: Option<u64>,
}

struct InFlight {
    /// `None`: it is a retained one, or one that clears a topic.
    message: Option<usize>,
    link: usize,
}

/// What became of a message at one client.
#[derive(Default)]
struct Fate {
    /// It must come, and has not been acknowledged.
    must: bool,
    sent: u32,
    /// The last connection over which it came.
    link: usize,
    /// PUBREC came for it in this run: it is not sent again.
    released: Option<u32>,
    gone: Option<Gone>,
}

/// Its client acknowledged it to the end.
struct Gone {
    run: u32,
    tick: u64,
    due: u64,
    is_durable: bool,
}

struct Link {
    client: usize,
    is_clean: bool,
    window: usize,
    is_open: bool,
    /// Publishes that are to be answered.
    answers: VecDeque<(u16, usize)>,
    repeated: BTreeSet<u16>,
    subscribes: BTreeMap<u16, (&'static str, u8)>,
    unsubscribes: BTreeMap<u16, &'static str>,
    /// By publisher, when the last one was taken that came over this connection.
    last: BTreeMap<usize, u64>,
    /// Topics of which a new subscription is to be sent what is retained, since these ticks.
    owed: BTreeMap<usize, u64>,
}

impl Book {
    /// Of clients of which these are kept.
    pub(in crate::sim) fn new(kept: &[bool], flush: u64, in_flight_max: usize) -> Self {
        Book {
            flush,
            in_flight_max,
            tick: 0,
            now: 0,
            run: 0,
            commit_began: 0,
            messages: Vec::new(),
            sessions: kept.iter().map(|is_kept| Session::new(*is_kept)).collect(),
            links: BTreeMap::new(),
            promises: 0,
            deliveries: 0,
            repeats: 0,
        }
    }

    /// Publishes that were acknowledged with success; messages sent to subscribers, and those of them that were sent before.
    pub(in crate::sim) fn seen(&self) -> (u64, u64, u64) {
        (self.promises, self.deliveries, self.repeats)
    }

    /// A client is about to send a message. Gives the number that its payload must carry.
    pub(super) fn sending(&mut self, from: usize, topic: usize, qos: u8, retain: bool, clears: bool) -> usize {
        self.messages.push(Message {
            from,
            topic,
            qos,
            retain,
            clears,
            taken: None,
            again: false,
            through: None,
            promised: None,
        });
        self.messages.len() - 1
    }

    /// A client connects. What it says may arrive at any time from now on.
    pub(in crate::sim) fn connects(&mut self, at: usize, client: usize, is_clean: bool, window: usize) {
        if is_clean {
            self.sessions[client].may_be_gone();
            self.sessions[client].is_being_ended();
        }
        let link = Link {
            client,
            is_clean,
            window: window.min(self.in_flight_max),
            is_open: false,
            answers: VecDeque::new(),
            repeated: BTreeSet::new(),
            subscribes: BTreeMap::new(),
            unsubscribes: BTreeMap::new(),
            last: BTreeMap::new(),
            owed: BTreeMap::new(),
        };
        self.links.insert(at, link);
    }

    /// The broker has taken a packet.
    pub(in crate::sim) fn took(&mut self, at: usize, word: &Word) {
        self.tick += 1;
        let tick = self.tick;
        let Some(link) = self.links.get_mut(&at) else { return };
        let session = &mut self.sessions[link.client];
        match *word {
            Word::Connect | Word::Other => {}
            Word::Publish {
                message,
                qos,
                packet_id,
            } => {
                if qos == 2 {
                    if session.open.contains_key(&packet_id) {
                        link.repeated.insert(packet_id);
                        return;
                    }
                    session.open.insert(packet_id, message);
                }
                link.answers.push_back((packet_id, message));
                let known = &mut self.messages[message];
                (known.again, known.through) = (known.taken.is_some(), None);
                known.taken.get_or_insert((tick, self.run));
            }
            Word::Ack { kind, packet_id } => {
                if kind == AckKind::PubRel {
                    session.open.remove(&packet_id);
                } else {
                    let due = self.now + self.flush;
                    session.acknowledged(kind, packet_id, self.run, tick, due);
                }
            }
            Word::Subscribe { filter, qos, packet_id } => {
                link.subscribes.insert(packet_id, (filter, qos));
                session.subscriptions.push(Subscription {
                    filter,
                    qos,
                    asked: tick,
                    granted: None,
                    unsubscribed: None,
                    ended: None,
                });
            }
            Word::Unsubscribe { filter, packet_id } => {
                link.unsubscribes.insert(packet_id, filter);
                link.owed.clear();
                session.unsubscribes(filter, tick);
                self.excuse(self.links[&at].client);
            }
        }
    }

    /// The broker encoded a packet.
    pub(in crate::sim) fn says(&mut self, at: usize, packet: &Packet) -> Check {
        self.tick += 1;
        match packet {
            Packet::ConnAck(connack) => self.connack(at, connack.session_present, connack.code),
            Packet::Publish(publish) => self.publish(at, publish),
            Packet::Ack(ack) => self.answer(at, ack),
            Packet::SubAck(suback) => self.suback(at, suback.packet_id, &suback.codes),
            Packet::UnsubAck(unsuback) => self.unsuback(at, unsuback.packet_id),
            Packet::PingResp | Packet::Disconnect(..) | Packet::Auth(..) => Ok(()),
        }
    }

    /// The broker has no such connection any more.
    pub(in crate::sim) fn ended(&mut self, at: usize) {
        self.tick += 1;
        let Some(link) = self.links.remove(&at) else { return };
        for (_, message) in link.answers {
            self.messages[message].through.get_or_insert(self.tick);
        }
        let session = &mut self.sessions[link.client];
        if !session.is_kept && link.is_open {
            *session = Session::new(false);
        }
    }

    /// A commit begins, and takes what there is.
    pub(in crate::sim) fn commit_begins(&mut self) {
        self.commit_began = self.tick;
    }

    /// The commit that began at `began` has ended well.
    pub(in crate::sim) fn committed(&mut self, began: u64) {
        let tick = self.commit_began;
        for session in &mut self.sessions {
            for gone in session.fates.values_mut().filter_map(|fate| fate.gone.as_mut()) {
                gone.is_durable |= gone.run == self.run && gone.tick <= tick && gone.due <= began;
            }
        }
    }

    /// The broker crashed.
    pub(in crate::sim) fn crashed(&mut self) {
        for at in self.links.keys().copied().collect::<Vec<_>>() {
            self.ended(at);
        }
        self.run += 1;
        for session in &mut self.sessions {
            session.crashed();
        }
    }
}
