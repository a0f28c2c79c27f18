//! A backup of a running broker's store, under load.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;

use super::{StopOnPanic, accepted, publish, until};
use crate::Bridge;
use crate::hub::tests::kit::{TestObserver, TestPort, id, small, ticket_of};
use inbox_store::{
    BackupOptions, CheckpointOptions, Engine, RestoreOptions, StoreOptions, open_store, restore_backup, verify_backup,
    write_backup,
};
use inbox_types::{Epoch, Micros, Outcome, Seq, SystemClock};

const PUBLISHERS: u64 = 3;
/// The first ticket of each publisher is this much above that of the one before.
const EACH: u64 = 1_000_000;
/// The flush interval is 200 ms. What was acknowledged so long before a publish that was written is in the same commit, or an earlier one.
const FLUSHED: Duration = Duration::from_millis(500);

fn options(engine: Engine) -> StoreOptions {
    StoreOptions {
        engine,
        checkpoint: CheckpointOptions {
            after: Duration::from_millis(20),
            ..CheckpointOptions::default()
        },
        ..StoreOptions::default()
    }
}

fn tickets(port: &TestPort) -> Vec<u64> {
    let settled = port.settled.lock();
    let accepted = settled
        .iter()
        .filter(|(_, outcome)| matches!(outcome, Outcome::Accepted(_)));
    accepted.map(|(ticket, _)| ticket.0).collect()
}

/// What was known of the world when a backup began.
struct Taken {
    bytes: Vec<u8>,
    accepted: Vec<u64>,
    /// Acknowledged by the reader, and durably so.
    removed: BTreeSet<u64>,
}

// Goal: rules 3, 5 and 6: a backup that is taken under load, while checkpoints go on, restores to a state that a ledger accepts, on the other
// engine: all that was accepted before it and not read, nothing whose removal was durable before it, and each publisher's order.
#[test]
fn a_backup_under_load_restores_to_what_the_ledger_accepts() {
    for (engine, other) in [(Engine::Sled, Engine::Fjall), (Engine::Fjall, Engine::Sled)] {
        let base = tempfile::tempdir().unwrap();
        let store = open_store(&base.path().join("data"), &options(engine)).unwrap();
        let observer = Arc::new(TestObserver::default());
        let bridge = Bridge::start(store, small(), Arc::new(SystemClock::default()), observer).unwrap();
        let ports: Vec<Arc<TestPort>> = (0..PUBLISHERS).map(|_| Arc::default()).collect();
        let read = Mutex::new(BTreeSet::new());
        let stop = AtomicBool::new(false);
        let taken: Vec<Taken> = thread::scope(|scope| {
            let _stopped = StopOnPanic(&stop);
            for (at, port) in ports.iter().enumerate() {
                let (bridge, stop) = (&bridge, &stop);
                scope.spawn(move || write(bridge, port, at as u64 * EACH, stop));
            }
            scope.spawn(|| read_online(&bridge, &read, &stop));
            until("messages are accepted", || {
                ports.iter().all(|port| accepted(port) > 100)
            });
            let taken = (0..3).map(|_| back_up(&bridge, &ports, &read)).collect();
            stop.store(true, SeqCst);
            taken
        });
        bridge.close().unwrap();
        let read = read.lock();
        for (n, taken) in taken.iter().enumerate() {
            check(taken, &read, &base.path().join(n.to_string()), other);
        }
    }
}

fn back_up(bridge: &Bridge, ports: &[Arc<TestPort>], read: &Mutex<BTreeSet<u64>>) -> Taken {
    let removed = read.lock().clone();
    thread::sleep(FLUSHED);
    // The commit that takes this takes the removals along.
    let port = Arc::default();
    publish(bridge, &port, &id("nobody"), 0..1);
    until("a message is written", || self::accepted(&port) == 1);
    let accepted = ports.iter().flat_map(|port| tickets(port)).collect();
    let how = BackupOptions {
        created_at: Micros(0),
        disk_free_bytes_min: 0,
    };
    let mut bytes = Vec::new();
    write_backup(&*bridge.shared_store(), &mut bytes, &how, &mut |_| thread::yield_now()).unwrap();
    Taken {
        bytes,
        accepted,
        removed,
    }
}

fn check(taken: &Taken, read: &BTreeSet<u64>, to: &Path, engine: Engine) {
    let summary = verify_backup(&mut &*taken.bytes).unwrap();
    let how = RestoreOptions {
        store: options(engine),
        epoch: Epoch::from_random(1),
        now: Micros(0),
    };
    restore_backup(&mut &*taken.bytes, to, &how, &mut |_| {}).unwrap();
    let store = open_store(to, &options(engine)).unwrap();
    let mut found = BTreeMap::new();
    for inbox in ["absent", "online"].map(id) {
        let mut last = BTreeMap::new();
        let page = store.read(&inbox, Seq::ZERO, super::EVERYTHING).unwrap();
        for entry in page.entries {
            let ticket = ticket_of(&entry.message);
            assert!(
                last.insert(ticket / EACH, ticket) < Some(ticket),
                "{ticket} is out of order"
            );
            found.insert(ticket, entry.seq);
        }
    }
    assert!(summary.last_commit > 0 && !found.is_empty());
    let lost: Vec<_> = taken
        .accepted
        .iter()
        .filter(|it| !found.contains_key(it) && !read.contains(*it))
        .collect();
    assert!(lost.is_empty(), "accepted before the backup, and not in it: {lost:?}");
    let back: Vec<_> = found.keys().filter(|ticket| taken.removed.contains(ticket)).collect();
    assert!(back.is_empty(), "their removal was durable before the backup: {back:?}");
}

/// As a session does, it waits when too many are unanswered. Every second message is for somebody who reads.
fn write(bridge: &Bridge, port: &Arc<TestPort>, first: u64, stop: &AtomicBool) {
    let mut ticket = first;
    while !stop.load(SeqCst) {
        if ticket - first - port.settled.lock().len() as u64 > 20 {
            thread::yield_now();
            continue;
        }
        let inbox = id(if ticket.is_multiple_of(2) { "absent" } else { "online" });
        publish(bridge, port, &inbox, ticket..ticket + 1);
        ticket += 1;
        thread::sleep(Duration::from_micros(200));
    }
}

fn read_online(bridge: &Bridge, read: &Mutex<BTreeSet<u64>>, stop: &AtomicBool) {
    let (inbox, port) = (id("online"), Arc::new(TestPort::default()));
    bridge.hub().attach(&inbox, port.clone(), 20);
    while !stop.load(SeqCst) {
        for (_, delivery) in port.take_delivered() {
            bridge.hub().acknowledge(&inbox, &[delivery.seq]);
            read.lock().insert(ticket_of(&delivery.message));
            // Some are written before they are acknowledged.
            if delivery.seq.0.is_multiple_of(7) {
                thread::sleep(Duration::from_millis(15));
            }
        }
        thread::yield_now();
    }
}
