//! Those who subscribe to ordinary topics: the clients of kept sessions, and looks at what is retained.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rand::Rng;
use rand::rngs::StdRng;

use super::plan::{Habit, KEPT, Kept, Key};
use super::retained::{ALL, Retained};
use super::sessions::{Sessions, Start};
use super::{During, connect};
use crate::DEADLINE;
use crate::build::{self, Connect, Props, PublishPacket, Version, property};
use crate::crash::wire::{Next, Wire};
use crate::parse::{AckKind, Packet, Publish};

/// MQTT 5 sessions of a run outlive it.
const EXPIRY_SECONDS: u32 = 86_400;

/// What the client of a session remembers over connections.
#[derive(Debug, Default)]
pub(super) struct Memory {
    connections: usize,
    /// Answered with PUBREC, by packet identifier; PUBREL is due.
    received: HashMap<u16, Key>,
}

/// One connection of a kept session.
struct Client<'a> {
    books: &'a Mutex<Sessions>,
    memory: &'a mut Memory,
    session: usize,
    kept: Kept,
    start: Start,
    wire: Wire,
    during: During<'a>,
    /// SUBSCRIBEs (true) and UNSUBSCRIBEs without an answer, by packet identifier, and the filter of each.
    asked: HashMap<u16, (bool, usize)>,
}

/// Comes and goes as its habit is, until the life is over.
pub(super) fn subscribe(
    books: &Mutex<Sessions>,
    memory: &mut Memory,
    session: usize,
    during: During,
    rng: &mut StdRng,
) {
    let kept = KEPT[session];
    // Once it must have been there.
    if kept.habit == Habit::Absent && memory.connections > 0 && rng.random_bool(0.8) {
        return;
    }
    while !(during.is_over)() {
        let start = match rng.random_range(0..10) {
            0 | 1 if kept.habit == Habit::Renewing => Start::Anew,
            2 | 3 if kept.habit == Habit::Renewing => Start::Clean,
            _ => Start::Kept,
        };
        let Some(mut client) = Client::connect(books, memory, session, start, during) else {
            continue;
        };
        if client.start != Start::Clean {
            client.subscribe_to_all();
            client.stay(rng);
            client.leave(rng);
        }
        std::thread::sleep(Duration::from_millis(match kept.habit {
            Habit::Online => 1,
            _ => rng.random_range(0..80),
        }));
    }
}

/// Reads a session until nothing is missing, or nothing comes any more.
pub(super) fn drain(books: &Mutex<Sessions>, memory: &mut Memory, session: usize, during: During) {
    let Some(mut client) = Client::connect(books, memory, session, Start::Kept, during) else {
        let what = format!("session {session} is not served at the end");
        return books.lock().unwrap().violation(what);
    };
    let mut until = Instant::now() + DEADLINE;
    while Instant::now() < until && books.lock().unwrap().missing(session) > 0 {
        match client.wire.next(Duration::from_millis(100)) {
            Next::Packet(packet) => {
                until = Instant::now() + DEADLINE;
                client.take(packet, true);
            }
            Next::Nothing => {}
            Next::Closed => break,
        }
    }
    // What comes beyond that must be right, too, as far as a round trip shows it.
    client.wire.send(&build::ping());
    loop {
        match client.wire.next(DEADLINE) {
            Next::Packet(Packet::PingResp) | Next::Nothing | Next::Closed => break,
            Next::Packet(packet) => client.take(packet, true),
        }
    }
    books.lock().unwrap().check_nothing_is_missing(session);
}

impl<'a> Client<'a> {
    fn connect(
        books: &'a Mutex<Sessions>,
        memory: &'a mut Memory,
        session: usize,
        start: Start,
        during: During<'a>,
    ) -> Option<Self> {
        let kept = KEPT[session];
        let version = kept.versions[memory.connections % kept.versions.len()];
        let mut hello = Connect::new(version, &format!("ordinary/kept-{session}"));
        // MQTT 3.1.1 has one flag for both.
        let start = match (start, version) {
            (Start::Anew, Version::V311) => Start::Clean,
            _ => start,
        };
        hello.clean = start != Start::Kept;
        if start != Start::Clean {
            hello.props = Props::new().four(property::SESSION_EXPIRY, EXPIRY_SECONDS);
        }
        books.lock().unwrap().connecting(session, start);
        let (wire, is_present) = connect(during, &hello)?;
        memory.connections += 1;
        // After a power cut nothing counts.
        if !(during.counts)() {
            return None;
        }
        if !books.lock().unwrap().connected(session, start, is_present) {
            memory.received.clear();
        }
        Some(Client {
            books,
            memory,
            session,
            kept,
            start,
            wire,
            during,
            asked: HashMap::new(),
        })
    }

    fn books(&self) -> std::sync::MutexGuard<'a, Sessions> {
        self.books.lock().unwrap()
    }

    fn subscribe_to_all(&mut self) {
        let missing = self.books().not_subscribed(self.session);
        for filter in missing {
            self.ask(true, filter);
        }
    }

    fn ask(&mut self, subscribes: bool, filter: usize) {
        let (text, qos) = self.kept.filters[filter];
        let (version, id) = (self.wire.version, self.wire.packet_id());
        self.asked.insert(id, (subscribes, filter));
        let bytes = if subscribes {
            self.books().subscribing(self.session, filter);
            let identifier = self.kept.identifier(filter);
            let props = identifier.map_or_else(Props::new, |id| Props::new().var(property::SUBSCRIPTION_ID, id));
            build::subscribe(version, id, text, qos, &props)
        } else {
            self.books().unsubscribing(self.session, filter);
            build::unsubscribe(version, id, text)
        };
        self.wire.send(&bytes);
    }

    fn stay(&mut self, rng: &mut StdRng) {
        let stay = match self.kept.habit {
            Habit::Online => Duration::from_secs(3600),
            Habit::Taking => Duration::from_millis(rng.random_range(5..200)),
            _ => Duration::from_millis(rng.random_range(20..600)),
        };
        let until = Instant::now() + stay;
        while Instant::now() < until && !(self.during.is_over)() {
            let acknowledges = self.kept.habit != Habit::Taking || rng.random_bool(0.7);
            match self.wire.next(Duration::from_millis(5)) {
                Next::Packet(Packet::Disconnect(..)) | Next::Closed => return,
                Next::Packet(packet) => self.take(packet, acknowledges),
                Next::Nothing if self.kept.habit == Habit::Changing && self.asked.is_empty() => self.change(rng),
                Next::Nothing => {}
            }
        }
    }

    /// One filter goes, or comes back.
    fn change(&mut self, rng: &mut StdRng) {
        if rng.random_bool(0.1) {
            let filter = rng.random_range(0..self.kept.filters.len());
            let is_subscribed = !self.books().not_subscribed(self.session).contains(&filter);
            self.ask(!is_subscribed, filter);
        }
    }

    /// Half of them say goodbye, so that sessions end as users' do.
    fn leave(&mut self, rng: &mut StdRng) {
        let ends = self.kept.habit == Habit::Renewing && self.wire.version == Version::V5 && rng.random_bool(0.1);
        if ends {
            self.books().ending(self.session);
            let props = Props::new().four(property::SESSION_EXPIRY, 0);
            self.wire.send(&build::disconnect(Version::V5, 0, &props));
        } else if self.kept.habit != Habit::Taking && rng.random_bool(0.5) {
            self.wire.send(&build::disconnect(self.wire.version, 0, &Props::new()));
        }
    }

    fn take(&mut self, packet: Packet, acknowledges: bool) {
        // What comes after a power cut comes from a broker that is no more.
        if !(self.during.counts)() {
            return;
        }
        match packet {
            Packet::Publish(publish) => self.message(&publish, acknowledges),
            Packet::Ack(ack) if ack.kind == AckKind::PubRel => {
                if let Some(key) = self.memory.received.remove(&ack.packet_id) {
                    self.books().acknowledged(self.session, key);
                }
                self.wire.send(&build::ack(0x70, ack.packet_id));
            }
            Packet::SubAck(suback) => {
                let Some((true, filter)) = self.asked.remove(&suback.packet_id) else {
                    return self.wrong(&suback);
                };
                match suback.codes == [self.kept.filters[filter].1] {
                    true => self.books().subscribed(self.session, filter),
                    false if self.during.may_refuse => {}
                    false => self.wrong(&suback),
                }
            }
            Packet::UnsubAck(unsuback) => match self.asked.remove(&unsuback.packet_id) {
                Some((false, filter)) => self.books().unsubscribed(self.session, filter),
                _ => self.wrong(&unsuback),
            },
            Packet::Disconnect(..) => {}
            other => self.wrong(&other),
        }
    }

    fn wrong(&self, what: &dyn std::fmt::Debug) {
        let what = format!("session {} got {what:?}", self.session);
        self.books().violation(what);
    }

    fn message(&mut self, publish: &Publish, acknowledges: bool) {
        let version = self.wire.version;
        let Some(key) = self.books().delivered(self.session, version, publish) else {
            return;
        };
        if !acknowledges {
            return;
        }
        match publish.qos {
            1 => {
                self.books().acknowledged(self.session, key);
                self.wire.send(&build::ack(0x40, publish.packet_id));
            }
            2 => {
                self.memory.received.insert(publish.packet_id, key);
                self.wire.send(&build::ack(0x50, publish.packet_id));
            }
            _ => {}
        }
    }
}

/// Looks at what is retained, once, with a new subscription. `None` when the connection ended before that was over.
pub(super) fn look(books: &Mutex<Retained>, during: During, rng: &mut StdRng) -> Option<()> {
    const MARK: &str = "ordinary/mark";
    let version = Version::BOTH[rng.random_range(0..2)];
    let (mut wire, _) = connect(during, &Connect::new(version, "ordinary/looker"))?;
    let mut look = books.lock().unwrap().looking();
    wire.send(&build::subscribe(
        version,
        1,
        ALL,
        rng.random_range(1..=2),
        &Props::new(),
    ));
    wire.send(&build::subscribe(version, 2, MARK, 1, &Props::new()));
    let mut subacks = 0;
    loop {
        match wire.next(DEADLINE) {
            Next::Packet(Packet::SubAck(suback)) => {
                // In a life with a nearly full disk it may be refused; then there is nothing to see.
                if suback.codes.iter().any(|code| *code >= 0x80) {
                    return during.may_refuse.then_some(());
                }
                subacks += 1;
                if subacks == 2 {
                    wire.send(&PublishPacket::new(MARK, "", 1, 3).encode(version));
                }
            }
            Next::Packet(Packet::Publish(publish)) => {
                if publish.qos > 0 {
                    let answer = if publish.qos == 1 { 0x40 } else { 0x50 };
                    wire.send(&build::ack(answer, publish.packet_id));
                }
                if !(during.counts)() {
                    return None;
                }
                match publish.topic == MARK {
                    true => break,
                    false if publish.retain => books.lock().unwrap().found(&mut look, &publish),
                    false => books.lock().unwrap().told(&mut look, &publish),
                }
            }
            Next::Packet(Packet::Ack(ack)) if ack.kind == AckKind::PubRel => {
                wire.send(&build::ack(0x70, ack.packet_id));
            }
            Next::Packet(Packet::Ack(ack)) if ack.reason < 0x80 => {}
            Next::Packet(Packet::Ack(_)) if during.may_refuse => return Some(()),
            Next::Packet(Packet::Disconnect(..)) | Next::Closed => return None,
            other => {
                let what = format!("whoever looked at what is retained got {other:?}");
                books.lock().unwrap().violation(what);
                return None;
            }
        }
    }
    books.lock().unwrap().looked(&look);
    Some(())
}
