//! Backup and restore: what comes back, what clients are told, and what is refused (contract rule 6, docs/operations.md).

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use inbox_tests::{
    Broker, Connect, KillOnDrop, Packet, Props, PublishPacket, RawClient, Version, ack, fails, ping, run_inboxd,
    succeeds, wait_until,
};

const PUBLISHERS: usize = 3;
/// `absent` never reads before the backup; `online` does.
const INBOXES: [&str; 2] = ["absent", "online"];
/// The flush interval is 200 ms. What was acknowledged so long before a publish that was written is in the same commit, or an earlier one.
const FLUSHED: Duration = Duration::from_millis(500);

/// Publisher, inbox, number.
type Key = (usize, usize, u64);

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn epoch(broker: &Broker) -> String {
    let (_, connack) = RawClient::connect(broker, &Connect::new(Version::V5, "curious"));
    let users = connack.props.users();
    let [("epoch", epoch)] = users[..] else {
        panic!("CONNACK has an epoch, and nothing else: {users:?}")
    };
    assert!(
        epoch.len() == 16 && u64::from_str_radix(epoch, 16).unwrap() > 0,
        "{epoch}"
    );
    epoch.to_owned()
}

/// Puts what `file` holds in the place of the broker's directory. The broker must have ended.
fn restore_in_place(broker: &Broker, file: &Path) {
    fs::rename(broker.data(), broker.data().with_file_name("before")).unwrap();
    succeeds(&broker.run_on_data(&["restore", text(file)]));
}

/// Goal: rule 6: mail of the time of the backup comes back with its seq and DUP, later mail has larger seqs than any that was given before, and
/// MQTT 5 clients see by the epoch that a backup was restored; restarts do not change it.
#[test]
fn rule_06_a_restored_backup_repeats_no_seq_and_has_another_epoch() {
    let mut broker = Broker::start();
    let file = broker.data().with_file_name("mail.backup");
    let first = epoch(&broker);
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    alice.publish("bob", "one", 1);
    broker.crash_and_restart();
    assert_eq!(epoch(&broker), first, "a crash changes no epoch");
    assert_eq!(broker.terminate().code, Some(0));
    succeeds(&broker.run_on_data(&["backup", text(&file)]));
    fails(&broker.run_on_data(&["backup", text(&file)]), 1, &["--force"]);
    assert!(succeeds(&run_inboxd(&["restore", "--verify", text(&file)])).contains("1 messages of 1 inboxes"));
    // Life goes on after the backup.
    broker.restart();
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    alice.publish("bob", "two", 1);
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    let (one, two) = (bob.receive_and_ack(), bob.receive_and_ack());
    assert_eq!((one.text(), two.text()), ("one", "two"));
    bob.ping();
    fails(&broker.run_on_data(&["restore", text(&file)]), 1, &["not empty"]);
    broker.kill9();
    restore_in_place(&broker, &file);
    broker.restart();
    assert_ne!(epoch(&broker), first);
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    let again = bob.receive_and_ack();
    assert_eq!((again.text(), again.seq(), again.dup), ("one", one.seq(), true));
    RawClient::clean(&broker, Version::V311, "alice").publish("bob", "three", 1);
    let three = bob.receive_and_ack();
    assert!(three.text() == "three" && three.seq() > two.seq());
}

/// Goal: a client that says how small its packets must be is let in without the epoch that does not fit.
#[test]
fn an_epoch_that_does_not_fit_is_left_out() {
    let broker = Broker::start();
    for (bytes, is_told) in [(60_u32, true), (30, false)] {
        let connect = Connect::new(Version::V5, "small").props(Props::new().four(0x27, bytes));
        let (_, connack) = RawClient::connect(&broker, &connect);
        assert_eq!(connack.code, 0);
        assert_eq!(connack.props.user("epoch").is_some(), is_told, "{bytes}");
    }
}

#[derive(Default)]
struct Ledger {
    /// PUBACKs, and what the reader was sent and acknowledged, with its seq.
    accepted: Mutex<Vec<Key>>,
    read: Mutex<HashMap<Key, u64>>,
    /// What the reader acknowledged, and the broker has heard of.
    confirmed: Mutex<Vec<Key>>,
    is_over: AtomicBool,
}

/// Takes a backup of a broker that is under load, which goes on, and then dies.
fn take_backup(broker: &Broker, end: KillOnDrop<'_>, file: &Path, ledger: &Ledger) {
    let accepted = || ledger.accepted.lock().unwrap().len();
    let before = accepted();
    succeeds(&broker.run_on_data(&["backup", text(file)]));
    let meanwhile = accepted() - before;
    assert!(meanwhile > 0, "publishers are served while a backup is taken");
    wait_until("publishers are served after a backup", || {
        accepted() >= before + meanwhile + 100
    });
    // Ends the connections of those who publish and read, too.
    drop(end);
}

/// Goal: rules 3, 5 and 6: a backup of a broker under load restores to a state that the ledger accepts: all that was acknowledged to senders before
/// it, nothing that readers had acknowledged well before it, each sender's order, and later seqs above all earlier ones.
#[test]
fn a_backup_of_a_broker_under_load_restores_to_what_the_ledger_accepts() {
    let mut broker = Broker::with_config("[store]\ncheckpoint_after = \"100ms\"\n");
    let file = broker.data().with_file_name("mail.backup");
    let ledger = Ledger::default();
    let (accepted, removed) = thread::scope(|scope| {
        let end = broker.kill_on_drop();
        for publisher in 0..PUBLISHERS {
            let version = Version::BOTH[publisher % 2];
            let client = RawClient::clean(&broker, version, &format!("publisher-{publisher}"));
            let ledger = &ledger;
            scope.spawn(move || publish(client, publisher, ledger));
        }
        let reader = RawClient::reader(&broker, Version::V5, "online", 1);
        scope.spawn(|| read(reader, &ledger));
        wait_until("the publishers and the reader get on", || {
            ledger.accepted.lock().unwrap().len() >= 3000 && ledger.confirmed.lock().unwrap().len() >= 100
        });
        let removed: HashSet<Key> = ledger.confirmed.lock().unwrap().iter().copied().collect();
        thread::sleep(FLUSHED);
        // The commit that takes this takes the removals along.
        RawClient::clean(&broker, Version::V5, "marker").publish("nobody", "written", 1);
        let accepted = ledger.accepted.lock().unwrap().clone();
        take_backup(&broker, end, &file, &ledger);
        ledger.is_over.store(true, Ordering::Relaxed);
        (accepted, removed)
    });
    broker.wait();
    restore_in_place(&broker, &file);
    broker.restart();
    let read = ledger.read.lock().unwrap();
    let mut highest = read.values().copied().max().unwrap();
    let mut came = HashSet::new();
    for (inbox, name) in INBOXES.iter().enumerate() {
        RawClient::clean(&broker, Version::V5, "marker").publish(name, "end", 1);
        let mut reader = RawClient::reader(&broker, Version::V5, name, 1);
        let mut last = [None; PUBLISHERS];
        loop {
            let message = reader.receive_and_ack();
            if message.text() == "end" {
                assert!(message.seq() > highest, "a new seq is above all that were given");
                highest = highest.max(message.seq());
                break;
            }
            let key = key_of(message.text());
            assert_eq!(key.1, inbox);
            assert!(last[key.0].replace(key.2) < Some(key.2), "{key:?} is out of order");
            if let Some(seq) = read.get(&key) {
                assert_eq!(*seq, message.seq());
            }
            assert!(
                !removed.contains(&key),
                "the removal of {key:?} was durable before the backup"
            );
            came.insert(key);
        }
    }
    let lost: Vec<_> = accepted
        .iter()
        .filter(|key| !came.contains(key) && !read.contains_key(key))
        .take(10)
        .collect();
    assert!(
        lost.is_empty(),
        "acknowledged before the backup, and not in it: {lost:?}"
    );
    let later = ledger.accepted.lock().unwrap();
    assert!(later.len() > accepted.len() + 100 && read.len() > 100);
}

/// Keeps some publishes in flight until the connection ends, or the test does.
fn publish(mut client: RawClient, publisher: usize, ledger: &Ledger) {
    let version = client.version();
    let mut in_flight: HashMap<u16, Key> = HashMap::new();
    let mut number = 0;
    while !ledger.is_over.load(Ordering::Relaxed) {
        while in_flight.len() < 16 {
            let key = (publisher, number as usize % INBOXES.len(), number);
            number += 1;
            let id = client.packet_id();
            let payload = format!("{} {} {} {:100}", key.0, key.1, key.2, "");
            in_flight.insert(id, key);
            client.send_despite_close(&PublishPacket::new(INBOXES[key.1], payload, 1, id).encode(version));
        }
        match client.next_or_close() {
            Some(Packet::Ack(puback)) => {
                assert_eq!(puback.reason, 0);
                ledger
                    .accepted
                    .lock()
                    .unwrap()
                    .extend(in_flight.remove(&puback.packet_id));
                thread::sleep(Duration::from_millis(1));
            }
            Some(other) => panic!("a publisher got {other:?}"),
            None => return,
        }
    }
}

/// Reads and acknowledges until the connection ends, or the test does.
fn read(mut client: RawClient, ledger: &Ledger) {
    // Acknowledged; and how many of them before a PINGREQ, whose answer says that the broker has read that.
    let (mut acknowledged, mut pinged) = (Vec::new(), None);
    while !ledger.is_over.load(Ordering::Relaxed) {
        match client.next_or_close() {
            Some(Packet::Publish(message)) => {
                client.send_despite_close(&ack(0x40, message.packet_id));
                let key = key_of(message.text());
                ledger.read.lock().unwrap().insert(key, message.seq());
                acknowledged.push(key);
                if pinged.is_none() {
                    client.send_despite_close(&ping());
                    pinged = Some(acknowledged.len());
                }
            }
            Some(Packet::PingResp) => {
                let heard = pinged.take().expect("a PINGRESP answers a PINGREQ");
                ledger.confirmed.lock().unwrap().extend(acknowledged.drain(..heard));
            }
            Some(other) => panic!("a reader got {other:?}"),
            None => return,
        }
    }
}

fn key_of(text: &str) -> Key {
    let mut fields = text.split_whitespace();
    let mut field = || fields.next().unwrap().parse().unwrap();
    (field() as usize, field() as usize, field())
}
