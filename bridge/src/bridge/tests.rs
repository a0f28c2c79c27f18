//! The inboxes with their threads: many publishers and readers at once, stores that fail or are slow, and the end.

mod backup;
mod trouble;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::Bridge;
use crate::hub::tests::kit::{FAR, TestObserver, TestPort, id, message, small, ticket_of};
use inbox_store::{FaultyStore, MemoryStore, PageLimit, Store};
use inbox_types::{
    AttachmentId, ClientId, Delivery, Limits, Outcome, Port, Qos, Refusal, Room, Seq, SystemClock, Ticket,
};

const EVERYTHING: PageLimit = PageLimit {
    messages: usize::MAX,
    bytes: usize::MAX,
};

fn start(store: &Arc<FaultyStore>, observer: &Arc<TestObserver>) -> Bridge {
    let clock = Arc::new(SystemClock::default());
    Bridge::start(store.clone(), small(), clock, observer.clone()).unwrap()
}

fn faulty() -> (Arc<FaultyStore>, Arc<MemoryStore>) {
    let inner = Arc::new(MemoryStore::new());
    (Arc::new(FaultyStore::new(inner.clone())), inner)
}

/// Waits for what must come. The limit is for a test that fails, not for one that is slow.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(60), "it does not happen: {what}");
        thread::yield_now();
    }
}

/// Publishes tickets `from..to` into `inbox`.
fn publish(bridge: &Bridge, port: &Arc<TestPort>, inbox: &ClientId, tickets: std::ops::Range<u64>) {
    let port: Arc<dyn Port> = port.clone();
    for ticket in tickets {
        bridge
            .hub()
            .publish(inbox, message(ticket, 8, Qos::AtLeastOnce, FAR), &port, Ticket(ticket));
    }
}

fn accepted(port: &TestPort) -> usize {
    port.settled
        .lock()
        .iter()
        .filter(|(_, outcome)| matches!(outcome, Outcome::Accepted(_)))
        .count()
}

fn stored(store: &dyn Store, inbox: &ClientId) -> Vec<u64> {
    let page = store.read(inbox, Seq::ZERO, EVERYTHING).unwrap();
    page.entries.iter().map(|entry| ticket_of(&entry.message)).collect()
}

// Goal: rules 3, 4 and 6 with real threads: publishers and a reader that comes and goes, per inbox, all at once. Everything accepted is
// read by somebody or stored at the end, in order; everybody is answered once; and closing writes what waits.
#[test]
fn many_publishers_and_readers_at_once() {
    const INBOXES: u64 = 4;
    const PUBLISHERS: u64 = 2;
    const EACH: u64 = 300;
    let ((store, inner), observer) = (faulty(), Arc::default());
    let bridge = start(&store, &observer);
    let inboxes: Vec<_> = (0..INBOXES).map(|at| id(&format!("client-{at}"))).collect();
    let ports: Vec<Arc<TestPort>> = (0..INBOXES * PUBLISHERS).map(|_| Arc::default()).collect();
    let read: Vec<_> = inboxes.iter().map(|_| Mutex::new(BTreeSet::new())).collect();
    let done = AtomicU64::new(0);
    thread::scope(|scope| {
        for (at, port) in ports.iter().enumerate() {
            let (bridge, inbox, done) = (&bridge, &inboxes[at % inboxes.len()], &done);
            let first = at as u64 * EACH;
            scope.spawn(move || {
                publish(bridge, port, inbox, first..first + EACH);
                done.fetch_add(1, SeqCst);
            });
        }
        for (inbox, read) in inboxes.iter().zip(&read) {
            let (bridge, done) = (&bridge, &done);
            scope.spawn(move || {
                let mut rounds = 0;
                while rounds < 20 || done.load(SeqCst) < INBOXES * PUBLISHERS {
                    read_some(bridge, inbox, rounds, &mut read.lock());
                    rounds += 1;
                }
            });
        }
    });
    bridge.close().unwrap();
    for (at, port) in ports.iter().enumerate() {
        let mut tickets: Vec<_> = port.settled.lock().iter().map(|(ticket, _)| ticket.0).collect();
        tickets.sort_unstable();
        let first = at as u64 * EACH;
        assert_eq!(
            tickets,
            (first..first + EACH).collect::<Vec<_>>(),
            "each publish is answered once"
        );
        assert_eq!(accepted(port) as u64, EACH);
    }
    let durable = inner.crash_image();
    for (inbox, read) in inboxes.iter().zip(&read) {
        let (left, read) = (stored(&durable, inbox), read.lock());
        assert_eq!(
            (left.len() + read.len()) as u64,
            PUBLISHERS * EACH,
            "nothing is lost, and what was acknowledged is gone"
        );
        assert!(left.iter().all(|ticket| !read.contains(ticket)));
        let mut last = BTreeMap::new();
        for ticket in left {
            assert!(
                last.insert(ticket / EACH, ticket) < Some(ticket),
                "each publisher's messages are in its order"
            );
        }
    }
}

/// Attaches, acknowledges some of what comes, and goes. `read` gets the tickets that were acknowledged.
fn read_some(bridge: &Bridge, inbox: &ClientId, round: u64, read: &mut BTreeSet<u64>) {
    let port = Arc::new(TestPort::default());
    let attachment = bridge.hub().attach(inbox, port.clone(), 1 + round as u16 % 5);
    let mut last = Seq::ZERO;
    for _ in 0..50 {
        for (_, delivery) in port.take_delivered() {
            assert!(delivery.seq > last, "in order");
            last = delivery.seq;
            if read.insert(ticket_of(&delivery.message)) {
                bridge.hub().acknowledge(inbox, &[delivery.seq]);
            } else {
                panic!("delivered after it was acknowledged: {delivery:?}");
            }
        }
        thread::yield_now();
    }
    bridge.hub().detach(inbox, attachment);
}

// Goal: rule 3: when a commit fails under load, each publisher gets an answer, also those that come at that very moment; the
// operator is told once; and closing says why.
#[test]
fn a_failing_commit_answers_everybody() {
    let ((store, inner), observer) = (faulty(), Arc::<TestObserver>::default());
    let bridge = start(&store, &observer);
    let ports: Vec<Arc<TestPort>> = (0..3).map(|_| Arc::default()).collect();
    let stop = AtomicBool::new(false);
    let stop = &stop;
    let published: Vec<u64> = thread::scope(|scope| {
        let publishers: Vec<_> = ports
            .iter()
            .enumerate()
            .map(|(at, port)| {
                let (bridge, stop, inbox) = (&bridge, stop, id(&format!("client-{at}")));
                scope.spawn(move || {
                    let mut ticket = 0;
                    while !stop.load(SeqCst) {
                        // As a session does, it waits when too many are unanswered.
                        if ticket - port.settled.lock().len() as u64 > 20 {
                            thread::yield_now();
                            continue;
                        }
                        publish(bridge, port, &inbox, ticket..ticket + 1);
                        ticket += 1;
                    }
                    ticket
                })
            })
            .collect();
        let _stopped = StopOnPanic(stop);
        until("messages are accepted", || ports.iter().all(|port| accepted(port) > 0));
        store.fail_commit(1);
        until("the operator is told", || *observer.failures.lock() == 1);
        stop.store(true, SeqCst);
        publishers
            .into_iter()
            .map(|publisher| publisher.join().unwrap())
            .collect()
    });
    assert!(bridge.hub().has_failed());
    assert!(bridge.close().is_err());
    assert_eq!(*observer.failures.lock(), 1);
    let durable = inner.crash_image();
    for (at, (port, published)) in ports.iter().zip(published).enumerate() {
        let settled = port.take_settled();
        let tickets: BTreeSet<_> = settled.iter().map(|(ticket, _)| ticket.0).collect();
        assert_eq!(
            (tickets.len() as u64, settled.len() as u64),
            (published, published),
            "one answer each"
        );
        let stored: BTreeSet<_> = stored(&durable, &id(&format!("client-{at}"))).into_iter().collect();
        for (ticket, outcome) in settled {
            let is_accepted = outcome != Outcome::Refused(Refusal::StoreFailed);
            assert_eq!(
                is_accepted,
                stored.contains(&ticket.0),
                "accepted is stored, refused is not: {ticket:?}"
            );
        }
    }
}

// Goal: delivery does not wait for the commit; PUBACK does.
#[test]
fn a_slow_store_does_not_delay_deliveries() {
    let ((store, _), observer) = (faulty(), Arc::default());
    let bridge = start(&store, &observer);
    let (bob, reader, publisher) = (id("bob"), Arc::new(TestPort::default()), Arc::new(TestPort::default()));
    bridge.hub().attach(&bob, reader.clone(), 100);
    let (open, closed) = (flume::bounded::<()>(0), Arc::new(AtomicBool::new(false)));
    let (gate, at_gate) = (open.1, closed.clone());
    store.before_commit(move || {
        at_gate.store(true, SeqCst);
        // An error says that the gate is open for good.
        let _open = gate.recv();
    });
    publish(&bridge, &publisher, &id("eve"), 0..1);
    until("the committer stands at the gate", || closed.load(SeqCst));
    publish(&bridge, &publisher, &bob, 1..51);
    until("all is delivered", || reader.delivered.lock().len() == 50);
    assert_eq!(
        publisher.take_settled(),
        [],
        "and nothing is accepted before it is durable"
    );
    drop(open.0);
    until("all is accepted", || accepted(&publisher) == 51);
    bridge.close().unwrap();
}

// Goal: closing writes what is held back for its reader, and removals that wait for company.
#[test]
fn closing_writes_all_that_waits() {
    let ((store, inner), observer) = (faulty(), Arc::<TestObserver>::default());
    let limits = Limits {
        commit_hold: Duration::from_secs(3600),
        ack_flush_interval: Duration::from_secs(3600),
        ..small()
    };
    let bridge = Bridge::start(store, limits, Arc::new(SystemClock::default()), observer).unwrap();
    let (bob, reader, publisher) = (id("bob"), Arc::new(TestPort::default()), Arc::new(TestPort::default()));
    publish(&bridge, &publisher, &bob, 0..3);
    until("the first are accepted", || accepted(&publisher) == 3);
    bridge.hub().attach(&bob, reader.clone(), 100);
    publish(&bridge, &publisher, &bob, 3..5);
    until("all is delivered", || reader.delivered.lock().len() == 5);
    let first = reader.delivered.lock()[0].1.seq;
    bridge.hub().acknowledge(&bob, &[first]);
    bridge.close().unwrap();
    assert_eq!(accepted(&publisher), 5);
    assert_eq!(stored(&inner.crash_image(), &bob), [1, 2, 3, 4]);
}

/// Ends the other threads of a test that fails.
struct StopOnPanic<'a>(&'a AtomicBool);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

/// A session with a fault of ours in it.
struct Bomb;

impl Port for Bomb {
    fn deliver(&self, _: AttachmentId, _: Delivery) -> Room {
        Room::Left
    }

    fn settle(&self, _: Ticket, _: Outcome) {
        panic!("this is the panic that the test is about");
    }
}

// Goal: regression: a panic on the committing thread is a failed store, not publishers who wait for ever.
#[test]
fn a_panic_of_the_committer_answers_everybody() {
    let ((store, _), observer) = (faulty(), Arc::<TestObserver>::default());
    let bridge = start(&store, &observer);
    let bomb: Arc<dyn Port> = Arc::new(Bomb);
    let port = Arc::new(TestPort::default());
    bridge
        .hub()
        .publish(&id("bob"), message(1, 8, Qos::AtLeastOnce, FAR), &bomb, Ticket(1));
    until("the operator is told", || *observer.failures.lock() == 1);
    publish(&bridge, &port, &id("eve"), 2..3);
    assert_eq!(
        port.take_settled(),
        [(Ticket(2), Outcome::Refused(Refusal::StoreFailed))]
    );
    assert!(bridge.close().is_err());
}

// Goal: a panic of a reading thread ends the hub: its readers would wait for ever.
#[test]
fn a_panic_of_a_reader_answers_everybody() {
    let ((store, _), observer) = (faulty(), Arc::<TestObserver>::default());
    let bridge = start(&store, &observer);
    let port = Arc::new(TestPort::default());
    publish(&bridge, &port, &id("bob"), 1..2);
    until("it is accepted", || accepted(&port) == 1);
    store.before_read(|| panic!("this is the panic that the test is about"));
    bridge.hub().attach(&id("bob"), port.clone(), 10);
    until("the operator is told", || *observer.failures.lock() == 1);
    assert!(bridge.hub().has_failed());
}
