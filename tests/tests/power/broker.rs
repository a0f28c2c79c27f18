//! The whole broker through power cuts, again and again on one directory, with a ledger kept outside of it.
//!
//! The oracle: what was acknowledged to its publisher before the cut is delivered, per inbox and publisher in order (contract
//! rules 3, 4 and 6), and a `seq` that was shown to a reader never names another message. What MQTT 5 publishers repeat with its `id` after a cut is
//! answered with the seq that it had (rule 8). Beside them one sender asks for receipts, and changes its mind (rules 11 and 12, [`Asking`]), and clients of ordinary
//! topics do what they do in the kill -9 program, where `INBOX_POWER_ORDINARY` says so (`retained`, `sessions`, or both with a comma between; [`Ordinary`]).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Mutex;
use std::thread;

use inbox_bridge::Engine;
use inbox_tests::crash::{Asking, During, Ordinary, Parts};
use inbox_tests::power::{Disk, Mount};
use inbox_tests::{AckKind, Broker, BrokerOptions, Packet, Props, PublishPacket, RawClient, Version, ack, wait_until};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::ledger::Figures;

const PUBLISHERS: usize = 3;
const IN_FLIGHT: usize = 24;
/// Messages that a publisher repeats at the beginning of a life: the newest that it was told of.
const REPEATED: usize = 12;
/// `online` reads while the publishers send, `daily` reads once in every life, and `absent` every [`ABSENCE`] lives and at the end.
const INBOXES: [&str; 3] = ["online", "daily", "absent"];
const ONLINE: usize = 0;
const DAILY: usize = 1;
const ABSENT: usize = 2;
/// Not for ever, because an inbox holds 100,000 messages.
const ABSENCE: usize = 20;

/// A message: publisher, inbox, number. The number grows with every message of that publisher.
type Key = (usize, usize, u64);

#[derive(Debug, Default)]
struct Ledger {
    /// Acknowledged to its publisher before the power went.
    accepted: HashSet<Key>,
    delivered: HashSet<Key>,
    /// The seqs that PUBACKs of MQTT 5 told, by publisher and number.
    told: [BTreeMap<u64, u64>; PUBLISHERS],
    repeated: u64,
    /// What each seq of each inbox was seen to name.
    shown: HashMap<(usize, u64), Key>,
    numbers: [u64; PUBLISHERS],
}

/// What a run is judged by.
struct Ledgers {
    all: Mutex<Ledger>,
    asking: Asking,
    ordinary: Ordinary,
}

impl Ledgers {
    fn new(ordinary: Parts) -> Self {
        Ledgers {
            all: Mutex::default(),
            asking: Asking::default(),
            ordinary: Ordinary::new(ordinary),
        }
    }
}

/// What of ordinary topics is checked.
fn ordinary() -> Parts {
    let list = std::env::var("INBOX_POWER_ORDINARY").unwrap_or_else(|_| "retained,sessions,wills".to_owned());
    list.parse().unwrap_or_else(|why| panic!("INBOX_POWER_ORDINARY: {why}"))
}

/// A broker whose data directory is on the disk of `mount`.
fn start(mount: &Mount, engine: Engine, seed: u64) -> Broker {
    let checkpoint_after = if crate::checkpoints_early(seed) { "20ms" } else { "5s" };
    Broker::start_with(BrokerOptions {
        config: Some(format!(
            "[store]\nengine = \"{}\"\ncheckpoint_after = \"{checkpoint_after}\"\n\n[mqtt]\n{}",
            engine.name(),
            ordinary().keys()
        )),
        shell: Some(format!("ln -s '{}' data && exec \"$0\" \"$@\"", mount.path().display())),
        ..Default::default()
    })
}

/// Sends until the connection ends. An acknowledgement counts when the power was still on after it came.
fn publish_until_the_end(mut client: RawClient, publisher: usize, disk: &Disk, ledger: &Mutex<Ledger>) {
    let version = client.version();
    let mut in_flight: HashMap<u16, Key> = HashMap::new();
    for number in newest_told(publisher, ledger) {
        let id = client.packet_id();
        let key = (publisher, number as usize % INBOXES.len(), number);
        in_flight.insert(id, key);
        client.send_despite_close(&packet(key, id).encode(version));
    }
    loop {
        while in_flight.len() < IN_FLIGHT {
            let number = &mut ledger.lock().unwrap().numbers[publisher];
            *number += 1;
            let key = (publisher, *number as usize % INBOXES.len(), *number);
            let id = client.packet_id();
            in_flight.insert(id, key);
            client.send_despite_close(&packet(key, id).encode(version));
        }
        match client.next_or_close() {
            Some(Packet::Ack(ack)) => {
                assert_eq!((ack.kind, ack.reason), (AckKind::PubAck, 0));
                let key = in_flight
                    .remove(&ack.packet_id)
                    .expect("a PUBACK is for a publish in flight");
                // In this order: what came before the cut is in the image.
                if !disk.is_cut() {
                    let mut ledger = ledger.lock().unwrap();
                    ledger.accepted.insert(key);
                    if version == Version::V5 {
                        let seq = ack.props.user("seq").unwrap().parse().unwrap();
                        let first = ledger.told[publisher].insert(key.2, seq);
                        ledger.repeated += u64::from(first.is_some());
                        assert_eq!(first.unwrap_or(seq), seq, "{key:?} was repeated and has another seq");
                    }
                }
            }
            Some(other) => panic!("a publisher got {other:?}"),
            None => return,
        }
    }
}

/// A message as it is published, and published again.
fn packet(key: Key, id: u16) -> PublishPacket {
    let padding = if key.2.is_multiple_of(50) {
        20_000
    } else {
        key.2 as usize % 300
    };
    let payload = format!("{} {} {} {:padding$}", key.0, key.1, key.2, "");
    PublishPacket::new(INBOXES[key.1], payload, 1, id).props(Props::new().user("id", &format!("m{}", key.2)))
}

/// What a publisher repeats in its next life.
fn newest_told(publisher: usize, ledger: &Mutex<Ledger>) -> Vec<u64> {
    let ledger = ledger.lock().unwrap();
    ledger.told[publisher].keys().rev().take(REPEATED).copied().collect()
}

/// What one connection of one reader has seen.
struct Reading<'a> {
    inbox: usize,
    disk: &'a Disk,
    ledger: &'a Mutex<Ledger>,
    last_seq: u64,
    last_numbers: [u64; PUBLISHERS],
}

impl<'a> Reading<'a> {
    fn new(inbox: usize, disk: &'a Disk, ledger: &'a Mutex<Ledger>) -> Self {
        Reading {
            inbox,
            disk,
            ledger,
            last_seq: 0,
            last_numbers: [0; PUBLISHERS],
        }
    }

    /// Checks one message, which must not have been acknowledged yet. One that marks an end is in order, too, and nothing else.
    fn take(&mut self, seq: u64, text: &str) {
        let inbox = INBOXES[self.inbox];
        assert!(seq > self.last_seq, "inbox {inbox}: seq {seq} after {}", self.last_seq);
        self.last_seq = seq;
        if text.starts_with("end") {
            return;
        }
        let mut fields = text.split_whitespace().map(|field| field.parse::<u64>().unwrap());
        let mut field = || fields.next().unwrap();
        let key = (field() as usize, field() as usize, field());
        assert_eq!(key.1, self.inbox, "a message came to the wrong inbox");
        let last = std::mem::replace(&mut self.last_numbers[key.0], key.2);
        assert!(
            last < key.2,
            "inbox {inbox}, publisher {}: {} after {last}",
            key.0,
            key.2
        );
        // What comes after the cut comes from a broker that is no more, and so does what is said to it.
        if self.disk.is_cut() {
            return;
        }
        let mut ledger = self.ledger.lock().unwrap();
        ledger.delivered.insert(key);
        let named = *ledger.shown.entry((self.inbox, seq)).or_insert(key);
        assert_eq!(named, key, "inbox {inbox}: seq {seq} names two messages");
    }
}

fn read_until_the_end(mut client: RawClient, disk: &Disk, ledger: &Mutex<Ledger>) {
    let mut reading = Reading::new(ONLINE, disk, ledger);
    while let Some(packet) = client.next_or_close() {
        let Packet::Publish(message) = packet else {
            panic!("a reader got {packet:?}");
        };
        reading.take(message.seq(), message.text());
        client.send_despite_close(&ack(0x40, message.packet_id));
    }
}

/// Reads an inbox up to a message that is sent now; then everything that was accepted before must have come.
fn drain(broker: &Broker, disk: &Disk, inbox: usize, life: u64, ledger: &Mutex<Ledger>) {
    let accepted: Vec<Key> = {
        let ledger = ledger.lock().unwrap();
        ledger.accepted.iter().copied().filter(|key| key.1 == inbox).collect()
    };
    let mark = format!("end {life}");
    RawClient::clean(broker, Version::V5, "marker").publish(INBOXES[inbox], &mark, 1);
    let mut client = RawClient::reader(broker, Version::V5, INBOXES[inbox], 1);
    let mut reading = Reading::new(inbox, disk, ledger);
    loop {
        let message = client.receive();
        reading.take(message.seq(), message.text());
        client.acknowledge(&message);
        if message.text() == mark {
            break;
        }
    }
    if disk.is_cut() {
        // What came after the cut does not count; the next life reads it again.
        return;
    }
    let delivered = &ledger.lock().unwrap().delivered;
    let lost: Vec<_> = accepted.iter().filter(|key| !delivered.contains(key)).collect();
    assert!(
        lost.is_empty(),
        "life {life}: {} of {} messages (publisher, inbox, number) were acknowledged and are lost: {:?} …",
        lost.len(),
        accepted.len(),
        lost[0]
    );
}

/// One life: traffic until the power is cut, and then a quick end of the broker, which has no say in what the disk holds.
fn live(mount: &Mount, engine: Engine, life: u64, reads_absent: bool, ledgers: &Ledgers) {
    let Ledgers {
        all: ledger,
        asking,
        ordinary,
    } = ledgers;
    let broker = start(mount, engine, life);
    let online = RawClient::reader(&broker, Version::V5, INBOXES[ONLINE], 1);
    let publishers: Vec<RawClient> = (0..PUBLISHERS)
        .map(|n| RawClient::clean(&broker, Version::BOTH[n % 2], &format!("publisher-{n}")))
        .collect();
    let during = During {
        port: broker.port(),
        is_over: &|| mount.disk().is_cut(),
        counts: &|| !mount.disk().is_cut(),
        may_refuse: false,
    };
    thread::scope(|scope| {
        let end = broker.kill_on_drop();
        scope.spawn(move || asking.send(during, &mut StdRng::seed_from_u64(life)));
        scope.spawn(move || asking.read(during, &mut StdRng::seed_from_u64(life)));
        scope.spawn(move || ordinary.live(during, &mut StdRng::seed_from_u64(life)));
        scope.spawn(|| read_until_the_end(online, mount.disk(), ledger));
        for (n, client) in publishers.into_iter().enumerate() {
            scope.spawn(move || publish_until_the_end(client, n, mount.disk(), ledger));
        }
        drain(&broker, mount.disk(), DAILY, life, ledger);
        if reads_absent {
            drain(&broker, mount.disk(), ABSENT, life, ledger);
        }
        wait_until("the publishers get as far as the cut", || mount.disk().is_cut());
        drop(end);
    });
}

#[test]
fn what_was_acknowledged_survives_power_cuts() {
    // Goal: see the module. Three publishers of both versions and three inboxes; each cut comes at a random operation of the
    // disk, start-up included.
    for engine in crate::engines() {
        survives_power_cuts(engine);
    }
}

fn survives_power_cuts(engine: Engine) {
    let (ledgers, mut figures) = (Ledgers::new(ordinary()), Figures::default());
    let mut disk = Disk::new();
    let seeds = crate::seeds(5, 33);
    for (n, seed) in seeds.iter().enumerate() {
        let mut rng = StdRng::seed_from_u64(*seed);
        let life = [40, 400, 1500][rng.random_range(0..3)];
        disk.cut_after(rng.random_range(1..life), *seed);
        // Should something fail here, this says in which life.
        eprintln!("power cuts, broker on {}: seed {seed}", engine.name());
        live(&Mount::new(&disk), engine, *seed, n % ABSENCE == ABSENCE - 1, &ledgers);
        figures.add("cuts", 1);
        let wrong = ledgers.ordinary.violations();
        assert!(wrong.is_empty(), "seed {seed}: {wrong:?}");
        disk = Disk::from_image(&disk.cut(*seed));
    }
    let mount = Mount::new(&disk);
    let broker = start(&mount, engine, 0);
    for inbox in 0..INBOXES.len() {
        drain(&broker, &disk, inbox, u64::MAX, &ledgers.all);
    }
    ledgers.asking.finish(broker.port());
    ledgers.ordinary.finish(broker.port());
    let wrong = [ledgers.asking.violations(), ledgers.ordinary.violations()].concat();
    assert!(wrong.is_empty(), "{wrong:?}");
    let asked = ledgers.asking.checked();
    figures.add("receipts checked", asked.receipts);
    figures.add("changed in time", asked.in_time);
    figures.add("changes told", asked.told);
    assert!(asked.receipts > 0, "some receipts came");
    let (retained, sessions, wills) = ledgers.ordinary.checked();
    if ordinary().retained {
        figures.add("retained topics checked", retained.found + retained.empty);
    }
    if ordinary().wills {
        figures.add("wills due", wills.due);
        figures.add("wills void by a goodbye", wills.left);
    }
    if ordinary().sessions {
        figures.add("ordinary messages for kept sessions checked", sessions.due);
        figures.add("kept sessions resumed", sessions.resumed);
    }
    let ledger = ledgers.all.into_inner().unwrap();
    assert!(!ledger.accepted.is_empty(), "something was acknowledged");
    figures.add("PUBACKs checked", ledger.accepted.len() as u64);
    figures.add("repetitions answered", ledger.repeated);
    assert!(ledger.repeated > 0, "something was repeated");
    figures.add("lost", ledger.accepted.difference(&ledger.delivered).count() as u64);
    figures.print(&format!("broker on {}", engine.name()));
}
