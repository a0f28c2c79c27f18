//! What was promised, kept outside of the broker, and what follows from it.
//!
//! Each message is published once: a copy that a reader sees was made by the broker. The checks, by the contract's rules:
//! * Rule 3: a message whose PUBACK or PUBREC was seen is received and acknowledged by its reader in the end. Where an MQTT 3.1.1
//!   publisher may be refused, a notice in its own inbox may stand for it ([`super::notices`]); such a
//!   message comes no more.
//! * Rules 4 and 6: within a connection, `seq` and each publisher's numbers only grow, and no accepted message is passed
//!   over; one that comes again says DUP; what comes is whole, and comes to its own inbox.
//! * Rule 6: a `seq` never names two messages of an inbox, nor a message two of them, and a message that was published
//!   after a restart has a larger one than all that were shown before it.
//! * Rule 8: what is published again with its `id` after its PUBACK is answered with its seq, in any life; and no copy of it is made, or rule 6 is broken.
//! * Rule 7: what was acknowledged in this life, and the broker has read it (it answered a PINGREQ behind it), does not come
//!   again in this life. Nor in a later one, if it was durable: if the shutdown was orderly, or if a publish to an inbox
//!   without a reader, sent later than the flush interval after that, was acknowledged. Its commit took the removal along.
//!   (So the check depends on no disk being fast.)

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::asking::Asking;
use super::message::{ABSENT, INBOXES, Key, PUBLISHERS, parse, payload};
use super::notices::{Notices, is_bounced};
use super::ordinary::{Ordinary, Parts};
use super::repeating::Safes;
use crate::{Publish, Version};

/// The flush interval of 200 ms, and a margin for threads that are late.
const FLUSHED: Duration = Duration::from_millis(500);
const VIOLATIONS_MAX: usize = 20;
/// A message that its reader has not acknowledged.
#[derive(Debug, Default)]
struct Outstanding {
    accepted: bool,
    /// The life in which it was acknowledged, if that may have been a refusal that a notice tells.
    delivered_or_told: Option<u64>,
    /// The connection that last saw it.
    seen_in: Option<u64>,
}

/// A message that its reader has acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Acknowledged {
    /// Perhaps the broker did not hear of it, or not in time.
    Sent,
    /// The broker has read it, in this life.
    Arrived(u64),
    /// It is durable; since this life.
    Settled(u64),
}

#[derive(Debug, Default)]
struct Inbox {
    outstanding: [BTreeMap<u64, Outstanding>; PUBLISHERS],
    acknowledged: [HashMap<u64, Acknowledged>; PUBLISHERS],
    seqs: HashMap<u64, Key>,
    seq_of: HashMap<Key, u64>,
    /// In this life.
    arrived: Vec<(Key, Instant)>,
    /// The largest seq that was shown before this life.
    shown_before: u64,
    shown: u64,
}

/// The checks of one connection of a reader.
pub(super) struct Reading {
    connection: u64,
    inbox: usize,
    version: Version,
    last_seq: u64,
    last_numbers: [u64; PUBLISHERS],
}

#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) accepted: AtomicU64,
    pub(super) deliveries: AtomicU64,
    /// Deliveries of what its reader had acknowledged.
    pub(super) duplicates: AtomicU64,
    /// Deliveries again of what it had not.
    pub(super) replayed: AtomicU64,
    pub(super) out_of_order: AtomicU64,
    pub(super) settled: AtomicU64,
    pub(super) lost: AtomicU64,
    /// Acknowledged publishes to readers that a notice names instead, and that one counts without a name.
    pub(super) told: AtomicU64,
    pub(super) untold: AtomicU64,
    pub(super) starts: AtomicU64,
}

pub(super) struct Ledger {
    inboxes: [Mutex<Inbox>; INBOXES],
    numbers: [AtomicU64; PUBLISHERS],
    life: AtomicU64,
    connections: AtomicU64,
    /// When the latest publish was sent of which it is known that its commit was durable.
    committed: Mutex<Option<Instant>>,
    violations: Mutex<Vec<String>>,
    pub(super) safe: Safes,
    pub(super) notices: Notices,
    pub(super) asking: Asking,
    pub(super) ordinary: Ordinary,
    pub(super) counts: Counts,
}

impl Ledger {
    pub(super) fn new(ordinary: Parts) -> Self {
        Ledger {
            inboxes: Default::default(),
            numbers: Default::default(),
            life: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            committed: Mutex::new(None),
            violations: Mutex::new(Vec::new()),
            safe: Safes::default(),
            notices: Notices::default(),
            asking: Asking::default(),
            ordinary: Ordinary::new(ordinary),
            counts: Counts::default(),
        }
    }

    pub(super) fn is_clean(&self) -> bool {
        self.violations().is_empty()
    }

    pub(super) fn violations(&self) -> Vec<String> {
        let mut all = self.violations.lock().unwrap().clone();
        all.extend(self.asking.violations());
        all.extend(self.ordinary.violations());
        all
    }

    pub(super) fn violation(&self, what: String) {
        let mut violations = self.violations.lock().unwrap();
        if violations.len() < VIOLATIONS_MAX {
            let what = format!("life {}: {what}", self.life());
            eprintln!("VIOLATION in {what}");
            violations.push(what);
        }
    }

    pub(super) fn life(&self) -> u64 {
        self.life.load(Relaxed)
    }

    pub(super) fn process_started(&self) {
        self.counts.starts.fetch_add(1, Relaxed);
    }

    /// The next life begins; gives its number.
    pub(super) fn begin_life(&self) -> u64 {
        for inbox in &self.inboxes {
            let mut inbox = inbox.lock().unwrap();
            inbox.shown_before = inbox.shown;
        }
        self.life.fetch_add(1, Relaxed) + 1
    }

    /// The broker is gone: what had become durable is settled from now on.
    pub(super) fn end_life(&self, was_orderly: bool) {
        let committed = self.committed.lock().unwrap().take();
        for inbox in &self.inboxes {
            let mut inbox = inbox.lock().unwrap();
            for (key, at) in std::mem::take(&mut inbox.arrived) {
                let is_durable = was_orderly || committed.is_some_and(|committed| at + FLUSHED < committed);
                self.counts.settled.fetch_add(u64::from(is_durable), Relaxed);
                let state = if is_durable {
                    Acknowledged::Settled(self.life())
                } else {
                    Acknowledged::Sent
                };
                inbox.acknowledged[key.publisher].insert(key.number, state);
            }
        }
    }

    /// The next message of `publisher`.
    pub(super) fn next(&self, publisher: usize, inbox: usize) -> Key {
        let number = self.numbers[publisher].fetch_add(1, Relaxed) + 1;
        Key {
            inbox,
            publisher,
            number,
        }
    }

    /// A publish was acknowledged, `sent` at that time. In this life it may have been refused.
    pub(super) fn accepted(&self, key: Key, sent: Instant, may_be_refused: bool) {
        self.counts.accepted.fetch_add(1, Relaxed);
        let mut inbox = self.inboxes[key.inbox].lock().unwrap();
        if !inbox.acknowledged[key.publisher].contains_key(&key.number) {
            let message = inbox.outstanding[key.publisher].entry(key.number).or_default();
            match may_be_refused && is_bounced(key.publisher) {
                true => message.delivered_or_told = Some(self.life()),
                false => message.accepted = true,
            }
        }
        drop(inbox);
        if key.inbox == ABSENT {
            let mut committed = self.committed.lock().unwrap();
            *committed = Some(committed.map_or(sent, |before| before.max(sent)));
        }
    }

    /// A reader has a new connection. Messages in the middle of a QoS 2 exchange that goes on count as seen in it.
    pub(super) fn reading(&self, inbox: usize, version: Version, going_on: impl Iterator<Item = Key>) -> Reading {
        let connection = self.connections.fetch_add(1, Relaxed) + 1;
        let mut books = self.inboxes[inbox].lock().unwrap();
        for key in going_on {
            if let Some(message) = books.outstanding[key.publisher].get_mut(&key.number) {
                message.seen_in = Some(connection);
            }
        }
        Reading {
            connection,
            inbox,
            version,
            last_seq: 0,
            last_numbers: [0; PUBLISHERS],
        }
    }

    /// A reader received a message.
    pub(super) fn delivered(&self, reading: &mut Reading, publish: &Publish) -> Option<Key> {
        self.counts.deliveries.fetch_add(1, Relaxed);
        let Some((key, life)) = parse(publish) else {
            let head: String = publish.payload.iter().take(60).map(|byte| char::from(*byte)).collect();
            self.violation(format!(
                "inbox {} got a message that nobody sent: {head:?} …",
                reading.inbox
            ));
            return None;
        };
        if key.inbox != reading.inbox {
            self.violation(format!("inbox {} got {key:?}", reading.inbox));
            return None;
        }
        if is_bounced(key.publisher) && self.notices.names(key.publisher, &publish.payload) {
            self.violation(format!("{key:?} came, and a notice had said that it was refused"));
        }
        let mut inbox = self.inboxes[key.inbox].lock().unwrap();
        self.check_order(reading, key, publish, &inbox);
        if reading.version == Version::V5 {
            self.check_seq(&mut inbox, reading, key, life, publish.seq());
        }
        let was_seen = inbox.outstanding[key.publisher]
            .get(&key.number)
            .is_some_and(|message| message.seen_in.is_some());
        let acknowledged = inbox.acknowledged[key.publisher].get(&key.number).copied();
        if (was_seen || acknowledged.is_some()) && !publish.dup {
            self.violation(format!("{key:?} came again without DUP"));
        }
        match acknowledged {
            None => {
                self.counts.replayed.fetch_add(u64::from(was_seen), Relaxed);
                inbox.outstanding[key.publisher].entry(key.number).or_default().seen_in = Some(reading.connection);
            }
            Some(state) => {
                self.counts.duplicates.fetch_add(1, Relaxed);
                if let Acknowledged::Arrived(since) | Acknowledged::Settled(since) = state {
                    self.violation(format!(
                        "{key:?} was acknowledged for good in life {since}, and came again"
                    ));
                }
            }
        }
        Some(key)
    }

    fn check_order(&self, reading: &mut Reading, key: Key, publish: &Publish, inbox: &Inbox) {
        let last = std::mem::replace(&mut reading.last_numbers[key.publisher], key.number);
        let seq = if reading.version == Version::V5 {
            publish.seq()
        } else {
            reading.last_seq + 1
        };
        let last_seq = std::mem::replace(&mut reading.last_seq, seq);
        if last >= key.number || last_seq >= seq {
            self.counts.out_of_order.fetch_add(1, Relaxed);
            self.violation(format!(
                "{key:?} with seq {seq} came after number {last}, after seq {last_seq}"
            ));
        }
        let before = inbox.outstanding[key.publisher].range(..key.number);
        let mut passed_over =
            before.filter(|(_, message)| message.accepted && message.seen_in != Some(reading.connection));
        if let Some((number, _)) = passed_over.next() {
            self.counts.out_of_order.fetch_add(1, Relaxed);
            self.violation(format!(
                "{key:?} came before number {number}, which was accepted and waits"
            ));
        }
    }

    fn check_seq(&self, inbox: &mut Inbox, reading: &Reading, key: Key, life: u64, seq: u64) {
        let named = *inbox.seqs.entry(seq).or_insert(key);
        let known = *inbox.seq_of.entry(key).or_insert(seq);
        if named != key || known != seq {
            self.violation(format!("seq {seq} names {named:?} and {key:?}, which had seq {known}"));
        }
        if life == self.life() && seq <= inbox.shown_before {
            let before = inbox.shown_before;
            self.violation(format!(
                "{key:?} of this life has seq {seq}, and {before} was shown before it"
            ));
        }
        inbox.shown = inbox.shown.max(seq);
        debug_assert_eq!(reading.inbox, key.inbox);
    }

    /// A reader sent what removes the message.
    pub(super) fn acknowledged(&self, key: Key) {
        let mut inbox = self.inboxes[key.inbox].lock().unwrap();
        inbox.outstanding[key.publisher].remove(&key.number);
        inbox.acknowledged[key.publisher]
            .entry(key.number)
            .or_insert(Acknowledged::Sent);
    }

    /// The broker has read that.
    pub(super) fn arrived(&self, keys: &[Key]) {
        let now = Instant::now();
        let life = self.life();
        for key in keys {
            let mut inbox = self.inboxes[key.inbox].lock().unwrap();
            inbox.acknowledged[key.publisher].insert(key.number, Acknowledged::Arrived(life));
            inbox.arrived.push((*key, now));
        }
    }

    /// Every inbox was read to its end.
    pub(super) fn check_nothing_is_lost(&self) {
        for (number, inbox) in self.inboxes.iter().enumerate() {
            let inbox = inbox.lock().unwrap();
            for (publisher, outstanding) in inbox.outstanding.iter().enumerate() {
                let lost: Vec<u64> = outstanding
                    .iter()
                    .filter(|(_, m)| m.accepted)
                    .map(|(number, _)| *number)
                    .collect();
                self.counts.lost.fetch_add(lost.len() as u64, Relaxed);
                if let Some(first) = lost.first() {
                    let n = lost.len();
                    self.violation(format!(
                        "inbox {number} lost {n} messages of publisher {publisher}, the first: {first}"
                    ));
                }
            }
        }
        for publisher in 0..PUBLISHERS {
            self.check_refusals_are_told(publisher);
        }
    }

    /// Every own inbox of a publisher was read to its end, too.
    fn check_refusals_are_told(&self, publisher: usize) {
        let mut missing = self.notices.missing(publisher);
        for (number, inbox) in self.inboxes.iter().enumerate() {
            let inbox = inbox.lock().unwrap();
            let key = |message: u64| Key {
                inbox: number,
                publisher,
                number: message,
            };
            for (message, state) in &inbox.outstanding[publisher] {
                let Some(life) = state.delivered_or_told else { continue };
                let is_told = self.notices.names(publisher, payload(key(*message), life).as_bytes());
                let counter = if is_told {
                    &self.counts.told
                } else {
                    &self.counts.untold
                };
                counter.fetch_add(1, Relaxed);
                missing += u64::from(!is_told);
            }
        }
        let unnamed = self.notices.unnamed(publisher);
        if missing > unnamed {
            self.counts.lost.fetch_add(missing - unnamed, Relaxed);
            self.violation(format!(
                "publisher {publisher} was told yes for {missing} refused publishes that no notice names; notices count {unnamed} without a name"
            ));
        }
    }
}
