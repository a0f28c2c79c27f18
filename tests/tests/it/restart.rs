//! Restart as an axis of its own: kill -9 in the middle of traffic, again and again, on one directory.
//!
//! The oracle: every acknowledged publish is delivered at least once, per publisher and inbox in order (rules 3 and 4),
//! and what was acknowledged longer than the flush interval before a publish that is durable does not come again (rule 7).

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use inbox_tests::{AckKind, Broker, Connect, Packet, PublishPacket, RawClient, Version, ack, ping, wait_until};

const PUBLISHERS: usize = 4;
/// `absent` never reads before the end; `online` and `slow` read while the publishers send.
const INBOXES: [&str; 3] = ["online", "slow", "absent"];
const LIVES: usize = 4;
/// The flush interval is 200 ms. What was acknowledged so long before a publish that was written is in the same commit, or an earlier one.
const FLUSHED: Duration = Duration::from_millis(500);
/// Nobody reads it, so what is accepted for it was written.
const ABSENT: usize = 2;

/// A message: publisher, inbox, number. The number grows with every send of that publisher.
type Key = (usize, usize, u64);

#[derive(Default)]
struct Ledger {
    /// Publishes that were acknowledged.
    accepted: Mutex<Vec<Key>>,
    /// What readers saw, per inbox, connection by connection, in order.
    seen: Mutex<Vec<(usize, Vec<Key>)>>,
    /// When the latest publish of this life was sent that was written and accepted.
    written: Mutex<Option<Instant>>,
    /// What readers acknowledged so long before such a publish that it must be durable, and in which life.
    settled: Mutex<HashMap<Key, usize>>,
}

#[test]
fn kill_9_in_the_middle_of_traffic_loses_and_reorders_nothing() {
    // Goal: see the module. Four publishers of both versions, three inboxes, four crashes.
    let mut broker = Broker::start();
    let ledger = Ledger::default();
    let numbers: Vec<AtomicUsize> = (0..PUBLISHERS).map(|_| AtomicUsize::new(0)).collect();
    for life in 0..LIVES {
        let wanted = ledger.accepted.lock().unwrap().len() + 2000;
        *ledger.written.lock().unwrap() = None;
        thread::scope(|scope| {
            let end = broker.kill_on_drop();
            for (publisher, number) in numbers.iter().enumerate() {
                let (client, ledger) = (publisher_of(&broker, publisher), &ledger);
                scope.spawn(move || publish_until_the_crash(client, publisher, number, ledger));
            }
            let readers = [(0, Version::V5, 0), (1, Version::V311, 3)];
            for (inbox, version, pause_ms) in readers {
                let (client, ledger) = (RawClient::reader(&broker, version, INBOXES[inbox], 1), &ledger);
                scope.spawn(move || read_until_the_crash(client, inbox, pause_ms, life, ledger));
            }
            let started = Instant::now();
            wait_until("the publishers get on", || {
                ledger.accepted.lock().unwrap().len() >= wanted && started.elapsed() > 4 * FLUSHED
            });
            drop(end);
        });
        broker.wait();
        broker.restart();
    }
    for inbox in 0..INBOXES.len() {
        drain(&broker, inbox, &ledger);
    }
    ledger.check();
}

impl Ledger {
    fn check(&self) {
        let seen = self.seen.lock().unwrap();
        let everything: HashSet<Key> = seen.iter().flat_map(|(_, keys)| keys.iter().copied()).collect();
        let accepted = self.accepted.lock().unwrap();
        let lost: Vec<_> = accepted
            .iter()
            .filter(|key| !everything.contains(key))
            .take(10)
            .collect();
        assert!(
            lost.is_empty(),
            "acknowledged and never delivered (publisher, inbox, number): {lost:?} …"
        );
        for (inbox, keys) in seen.iter() {
            let mut last = [None; PUBLISHERS];
            for (publisher, _, number) in keys {
                let before = last[*publisher].replace(*number);
                assert!(
                    before < Some(*number),
                    "inbox {inbox}, publisher {publisher}: {number} after {before:?}"
                );
            }
        }
    }
}

fn publisher_of(broker: &Broker, publisher: usize) -> RawClient {
    RawClient::clean(broker, Version::BOTH[publisher % 2], &format!("publisher-{publisher}"))
}

/// Keeps up to 32 publishes in flight until the connection ends.
fn publish_until_the_crash(mut client: RawClient, publisher: usize, number: &AtomicUsize, ledger: &Ledger) {
    let version = client.version();
    let mut in_flight: HashMap<u16, (Key, Instant)> = HashMap::new();
    loop {
        while in_flight.len() < 32 {
            let n = number.fetch_add(1, Ordering::Relaxed) as u64;
            let key = (publisher, n as usize % INBOXES.len(), n);
            let id = client.packet_id();
            let payload = format!("{} {} {} {:200}", key.0, key.1, key.2, "");
            in_flight.insert(id, (key, Instant::now()));
            client.send_despite_close(&PublishPacket::new(INBOXES[key.1], payload, 1, id).encode(version));
        }
        match client.next_or_close() {
            Some(Packet::Ack(ack)) => {
                assert_eq!((ack.kind, ack.reason), (AckKind::PubAck, 0));
                let (key, sent) = in_flight
                    .remove(&ack.packet_id)
                    .expect("a PUBACK is for a publish in flight");
                ledger.accepted.lock().unwrap().push(key);
                if key.1 == ABSENT {
                    let mut written = ledger.written.lock().unwrap();
                    *written = (*written).max(Some(sent));
                }
                // So that four lives do not fill an inbox, which would be refused (rule 3).
                thread::sleep(Duration::from_millis(1));
            }
            Some(other) => panic!("a publisher got {other:?}"),
            None => return,
        }
    }
}

/// Reads and acknowledges until the connection ends; a slow reader pauses after each message.
fn read_until_the_crash(mut client: RawClient, inbox: usize, pause_ms: u64, life: usize, ledger: &Ledger) {
    let mut keys = Vec::new();
    // Acknowledged and followed by a PINGREQ, whose answer says that the broker has read it.
    let mut unconfirmed: Vec<Key> = Vec::new();
    let mut pinged: Option<usize> = None;
    let mut confirmed: Vec<(Key, Instant)> = Vec::new();
    loop {
        match client.next_or_close() {
            Some(Packet::Publish(message)) => {
                let key = key_of(message.text());
                check_not_settled(ledger, &key, life);
                keys.push(key);
                client.send_despite_close(&ack(0x40, message.packet_id));
                unconfirmed.push(key);
                if pinged.is_none() {
                    client.send_despite_close(&ping());
                    pinged = Some(unconfirmed.len());
                }
                thread::sleep(Duration::from_millis(pause_ms));
            }
            Some(Packet::PingResp) => {
                let now = Instant::now();
                let n = pinged.take().expect("a PINGRESP answers a PINGREQ");
                confirmed.extend(unconfirmed.drain(..n).map(|key| (key, now)));
            }
            Some(other) => panic!("a reader got {other:?}"),
            None => break,
        }
    }
    let written = *ledger.written.lock().unwrap();
    let durable = confirmed
        .into_iter()
        .filter(|(_, at)| written.is_some_and(|written| *at + FLUSHED < written));
    ledger
        .settled
        .lock()
        .unwrap()
        .extend(durable.map(|(key, _)| (key, life)));
    ledger.seen.lock().unwrap().push((inbox, keys));
}

/// Reads one inbox to its end, which a last message marks.
fn drain(broker: &Broker, inbox: usize, ledger: &Ledger) {
    RawClient::clean(broker, Version::V5, "marker").publish(INBOXES[inbox], "end", 1);
    let mut client = RawClient::reader(broker, Version::V5, INBOXES[inbox], 1);
    let (mut keys, mut last_seq) = (Vec::new(), 0);
    loop {
        let message = client.receive_and_ack();
        assert!(message.seq() > last_seq, "seq goes back in inbox {}", INBOXES[inbox]);
        last_seq = message.seq();
        if message.text() == "end" {
            break;
        }
        let key = key_of(message.text());
        check_not_settled(ledger, &key, LIVES);
        keys.push(key);
    }
    ledger.seen.lock().unwrap().push((inbox, keys));
}

fn check_not_settled(ledger: &Ledger, key: &Key, life: usize) {
    if let Some(settled) = ledger.settled.lock().unwrap().get(key) {
        panic!("the removal of {key:?} was durable in life {settled}, and it came again in life {life}");
    }
}

fn key_of(text: &str) -> Key {
    let mut fields = text.split_whitespace();
    let mut field = || fields.next().unwrap().parse().unwrap();
    (field() as usize, field() as usize, field())
}

#[test]
fn ten_quick_restarts_keep_the_mail() {
    // Goal: crashes right after the start, when the store is being opened or has just been, lose nothing.
    let mut broker = Broker::start();
    RawClient::clean(&broker, Version::V5, "alice").publish("bob", "patient", 1);
    for _ in 0..10 {
        broker.crash_and_restart();
    }
    let mut bob = RawClient::reader(&broker, Version::V311, "bob", 1);
    assert_eq!(bob.texts(1), ["patient"]);
}

#[test]
fn after_a_restart_a_session_that_reads_its_inbox_goes_on() {
    // Goal: CONNACK says session present = 1, and the mail is replayed without another SUBSCRIBE: clients that are told so make none.
    for version in Version::BOTH {
        let mut broker = Broker::start();
        let connect = Connect::persistent(version, "bob");
        let (mut bob, _) = RawClient::connect(&broker, &connect);
        bob.subscribe("bob", 1);
        bob.disconnect();
        RawClient::clean(&broker, version, "alice").publish("bob", "mail", 1);
        broker.crash_and_restart();
        let (mut bob, connack) = RawClient::connect(&broker, &connect);
        assert!(connack.session_present);
        assert_eq!(bob.texts(1), ["mail"]);
    }
}
