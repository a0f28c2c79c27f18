//! Errors of the store that pass: a full disk, and a write that hangs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;

use super::{accepted, faulty, publish, start, stored, until};
use crate::Bridge;
use crate::hub::tests::kit::{TestObserver, TestPort, id, small};
use inbox_store::{FaultyStore, StoreError, Trouble};
use inbox_types::{ClientId, Limits, Outcome, Refusal, Seq, SystemClock, Ticket};

/// The disk is full from now on, with tickets `from..to` taken before anybody knows: the housekeeper looks for itself, and would have them
/// refused.
fn publish_and_fill(
    store: &FaultyStore,
    bridge: &Bridge,
    port: &Arc<TestPort>,
    inbox: &ClientId,
    tickets: std::ops::Range<u64>,
) {
    let held = Arc::new(Mutex::new(()));
    let guard = held.lock();
    store.before_commit({
        let held = held.clone();
        move || drop(held.lock())
    });
    publish(bridge, port, inbox, tickets);
    store.set_full(true);
    drop(guard);
}

// Goal: a trouble of the store refuses new mail for now, keeps a reader waiting for its stored mail, and ends by itself.
#[test]
fn a_trouble_refuses_new_mail_and_ends_by_itself() {
    let ((store, inner), observer) = (faulty(), Arc::<TestObserver>::default());
    let bridge = start(&store, &observer);
    let (port, reader) = (Arc::new(TestPort::default()), Arc::new(TestPort::default()));
    publish(&bridge, &port, &id("bob"), 1..4);
    until("they are accepted", || accepted(&port) == 3);
    port.take_settled();
    store.set_trouble(Some(Trouble::NoDescriptors));
    until("new mail is refused", || bridge.hub().is_store_troubled());
    publish(&bridge, &port, &id("bob"), 4..5);
    assert_eq!(
        port.take_settled(),
        [(Ticket(4), Outcome::Refused(Refusal::StoreTroubled))]
    );
    bridge.hub().attach(&id("bob"), reader.clone(), 10);
    until("its mail is asked for again and again", || {
        bridge.hub().counters().reads_retried.get() > 2
    });
    assert_eq!(reader.delivered.lock().len(), 0);
    store.set_trouble(None);
    until("the reader has its mail", || reader.delivered.lock().len() == 3);
    let seqs: Vec<Seq> = reader
        .delivered
        .lock()
        .iter()
        .map(|(_, delivery)| delivery.seq)
        .collect();
    bridge.hub().acknowledge(&id("bob"), &seqs);
    until("new mail is accepted", || !bridge.hub().is_store_troubled());
    publish(&bridge, &port, &id("eve"), 5..6);
    until("it is", || accepted(&port) == 1);
    assert_eq!(bridge.hub().counters().store_troubles.get(), 1);
    assert_eq!(*observer.failures.lock(), 0);
    bridge.close().unwrap();
    assert!(stored(&inner.crash_image(), &id("bob")).is_empty());
}

// Goal: a commit that finds no space is tried again until it is written (contract rule 3: nobody is told before). New mail is refused, what
// its reader acknowledges is told to its publisher, and publishers are read from, however much waits.
#[test]
fn a_full_disk_refuses_new_mail_and_what_waits_is_written_later() {
    let ((store, inner), observer) = (faulty(), Arc::<TestObserver>::default());
    let limits = Limits {
        uncommitted_bytes_max: 1,
        ..small()
    };
    let clock = Arc::new(SystemClock::default());
    let bridge = Bridge::start(store.clone(), limits, clock, observer.clone()).unwrap();
    let (port, reader) = (Arc::new(TestPort::default()), Arc::new(TestPort::default()));
    publish(&bridge, &port, &id("bob"), 1..3);
    until("they are accepted", || accepted(&port) == 2);
    port.take_settled();
    publish_and_fill(&store, &bridge, &port, &id("bob"), 3..5);
    until("it is tried again", || store.refused_commits() > 2);
    assert!(bridge.hub().is_store_troubled() && !bridge.hub().is_congested());
    assert!(port.take_settled().is_empty(), "nobody was told");
    publish(&bridge, &port, &id("eve"), 5..6);
    assert_eq!(
        port.take_settled(),
        [(Ticket(5), Outcome::Refused(Refusal::StoreTroubled))]
    );
    bridge.hub().attach(&id("bob"), reader.clone(), 10);
    until("the reader has its mail", || reader.delivered.lock().len() == 4);
    let seqs: Vec<Seq> = reader.delivered.lock().iter().map(|(_, mail)| mail.seq).collect();
    bridge.hub().acknowledge(&id("bob"), &[seqs[0], seqs[2]]);
    until("its publisher knows", || accepted(&port) == 1);
    let refused = store.refused_commits();
    until("it is still full", || store.refused_commits() > refused);
    assert_eq!(stored(&inner.crash_image(), &id("bob")), [1, 2]);
    store.set_full(false);
    until("the other one is written", || accepted(&port) == 2);
    until("new mail is accepted", || !bridge.hub().is_store_troubled());
    publish(&bridge, &port, &id("eve"), 6..7);
    until("it is", || accepted(&port) == 3);
    assert_eq!(*observer.failures.lock(), 0);
    bridge.close().unwrap();
    assert_eq!(stored(&inner.crash_image(), &id("bob")), [2, 4]);
}

// Goal: a disk that is full to the end does not keep the process from ending: what was not written is acknowledged to nobody.
#[test]
fn a_disk_that_stays_full_ends_with_an_error() {
    let ((store, inner), observer) = (faulty(), Arc::<TestObserver>::default());
    let bridge = start(&store, &observer);
    let port = Arc::new(TestPort::default());
    publish_and_fill(&store, &bridge, &port, &id("bob"), 1..2);
    until("it is tried", || store.refused_commits() > 0);
    let error = bridge.close().unwrap_err();
    assert!(matches!(&error, StoreError::Troubled(Trouble::NoSpace)), "{error}");
    assert_eq!(
        port.take_settled(),
        [(Ticket(1), Outcome::Refused(Refusal::StoreFailed))]
    );
    assert!(stored(&inner.crash_image(), &id("bob")).is_empty());
}

// Goal: a committer that is asked goes on, with nothing to do and with a disk that is full; while a write hangs it does not. A service manager
// starts the process again for the one and not for the other.
#[test]
fn the_pulse_stops_while_a_write_hangs_and_not_while_the_disk_is_full() {
    let ((store, _inner), observer) = (faulty(), Arc::default());
    let (bridge, port) = (start(&store, &observer), Arc::<TestPort>::default());
    let pulse = bridge.pulse();
    let goes_on = || {
        let before = pulse.feel();
        until("another beat", || pulse.feel() > before);
    };
    goes_on();

    let (begun, held) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(())));
    let guard = held.lock();
    store.before_commit({
        let (begun, held) = (begun.clone(), held.clone());
        move || {
            begun.store(true, SeqCst);
            drop(held.lock());
        }
    });
    publish(&bridge, &port, &id("bob"), 0..1);
    until("a commit", || begun.load(SeqCst));
    let hanging = pulse.feel();
    for _ in 0..20 {
        thread::sleep(Duration::from_millis(5));
        assert_eq!(pulse.feel(), hanging);
    }
    store.set_full(true);
    drop(guard);
    goes_on();
    goes_on();
    store.set_full(false);
    until("the message is safe", || accepted(&port) == 1);
    bridge.close().unwrap();
}
