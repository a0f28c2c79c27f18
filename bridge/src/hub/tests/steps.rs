//! Single steps of the hub: what crosses inboxes, and what the committer promises each of them.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use parking_lot::Mutex;

use super::kit::{Broker, FAR, SIZES, TestClock, TestObserver, TestPort, id, message, message_from, small};
use crate::hub::Hub;
use crate::observer::Observer;
use inbox_store::{Failure, MemoryStore, Store, StoreError};
use inbox_types::{
    ClientId, Clock, Left, Limits, Now, Outcome, Port, Qos, Refusal, RefusedPublishes, Seq, Ticket, WhenFull,
};

fn refused(payload: u8) -> RefusedPublishes {
    RefusedPublishes {
        topic: "carol".into(),
        reason: 0x97,
        why: "the inbox is full".into(),
        payloads: vec![[payload; 32]],
    }
}

// Goal: rule 4: whether a message was sent before outlives the inbox's time in memory.
#[test]
fn dup_outlives_eviction() {
    let broker = Broker::new(small());
    broker.publish("bob", 1);
    let attachment = broker.hub.attach(&id("bob"), broker.port.clone(), 1);
    broker.read();
    broker.publish("bob", 2);
    broker.hub.detach(&id("bob"), attachment);
    broker.commit();
    broker.forget_idle();
    broker.port.take_delivered();
    broker.hub.attach(&id("bob"), broker.port.clone(), 5);
    broker.read();
    let dups: Vec<_> = broker.delivered().into_iter().map(|(_, dup)| dup).collect();
    assert_eq!(dups, [true, false]);
}

// Goal: regression: rule 3: a notice that was read takes no other's place when its inbox was forgotten meanwhile. It was taken off the totals
// though the store did not have it, so that the totals said 0 while there was a notice, and its reader was served nothing.
#[test]
fn rule_03_a_notice_that_was_read_is_not_replaced_after_eviction() {
    let broker = Broker::new(small());
    let port: Arc<dyn Port> = broker.port.clone();
    let refuse = |ticket| {
        broker
            .hub
            .notify(&id("bob"), &refused(ticket), &port, Ticket(ticket.into()))
    };
    refuse(1);
    let attachment = broker.hub.attach(&id("bob"), broker.port.clone(), 10);
    broker.commit();
    broker.read();
    let first = broker.delivered();
    assert_eq!(first.len(), 1);
    broker.hub.acknowledge(&id("bob"), &[first[0].0]);
    broker.commit();
    broker.hub.detach(&id("bob"), attachment);
    broker.clock.advance(Duration::from_secs(10));
    broker.hub.evict_idle(Duration::from_secs(5));
    refuse(2);
    broker.commit();
    let stored = broker.store.inbox(&id("bob")).unwrap().unwrap();
    assert_eq!((stored.messages, broker.hub.totals(&id("bob"))), (1, Some(stored)));
    broker.hub.attach(&id("bob"), broker.port.clone(), 10);
    broker.read();
    let delivered = broker.port.take_delivered();
    assert_eq!(delivered.len(), 1);
    let said: serde_json::Value = serde_json::from_slice(&delivered[0].1.message.payload).unwrap();
    assert_eq!(said["count"], 1, "it was read: it is not joined");
}

// Goal: rule 3: of one that was not read, the inbox may be forgotten as well: it is joined, and takes its place.
#[test]
fn rule_03_an_unread_notice_is_replaced_after_eviction() {
    let broker = Broker::new(small());
    let port: Arc<dyn Port> = broker.port.clone();
    for ticket in 1..=2_u8 {
        broker
            .hub
            .notify(&id("bob"), &refused(ticket), &port, Ticket(ticket.into()));
        broker.commit();
        broker.clock.advance(Duration::from_secs(10));
        broker.hub.evict_idle(Duration::from_secs(5));
    }
    broker.hub.attach(&id("bob"), broker.port.clone(), 10);
    broker.read();
    let delivered = broker.port.take_delivered();
    assert_eq!(delivered.len(), 1);
    let said: serde_json::Value = serde_json::from_slice(&delivered[0].1.message.payload).unwrap();
    assert_eq!(said["count"], 2);
}

// Goal: rule 3: a notice and the leaving of the one that it takes the place of are one commit. They were two, and a kill between them left
// both: publishes were told of twice, and the inbox held more than inbox.messages_max.
#[test]
fn rule_03_a_crash_leaves_one_of_two_notices() {
    let broker = Broker::new(small());
    let port: Arc<dyn Port> = broker.port.clone();
    for ticket in 1..=3_u8 {
        broker
            .hub
            .notify(&id("bob"), &refused(ticket), &port, Ticket(ticket.into()));
        broker.hub.commit_round(&broker.store, false).unwrap();
        assert_eq!(broker.accepted(), BTreeSet::from([ticket.into()]));
        let stored = broker.store.inbox(&id("bob")).unwrap().unwrap();
        assert_eq!(
            (stored.messages, broker.hub.totals(&id("bob"))),
            (1, Some(stored)),
            "{ticket}"
        );
    }
}

// Goal: an inbox that is merely written to leaves memory again; one with a reader does not.
#[test]
fn idle_inboxes_leave_memory() {
    let broker = Broker::new(small());
    broker.publish("bob", 1);
    broker.hub.attach(&id("eve"), broker.port.clone(), 1);
    broker.commit();
    let in_memory = |broker: &Broker| -> usize {
        broker
            .hub
            .shards
            .iter()
            .map(|shard| shard.lock().values_mut().count())
            .sum()
    };
    broker.clock.advance(Duration::from_secs(4));
    broker.hub.evict_idle(Duration::from_secs(5));
    assert_eq!(in_memory(&broker), 2);
    broker.clock.advance(Duration::from_secs(1));
    broker.hub.evict_idle(Duration::from_secs(5));
    assert_eq!(in_memory(&broker), 1);
}

// Goal: below the disk watermark new messages are refused, those that are there are still delivered, and above it all is well.
#[test]
fn a_full_disk_refuses() {
    let broker = Broker::new(small());
    broker.publish("bob", 1);
    broker.hub.set_disk_free(Some(0));
    broker.publish("bob", 2);
    assert_eq!(
        broker.port.take_settled(),
        [(Ticket(2), Outcome::Refused(Refusal::DiskFull))]
    );
    broker.hub.attach(&id("bob"), broker.port.clone(), 1);
    broker.read();
    assert_eq!(broker.delivered().len(), 1);
    broker.hub.set_disk_free(Some(u64::MAX));
    broker.publish("bob", 3);
    broker.commit();
    assert_eq!(broker.accepted(), [1, 3].into());
}

// Goal: regression: an inbox that fills every batch does not keep the others waiting, in its shard or in another.
#[test]
fn a_busy_inbox_does_not_starve_the_others() {
    let broker = Broker::new(small());
    let others: Vec<String> = (0..100).map(|at| format!("client-{at}")).collect();
    let mut ticket = 0;
    let mut busy = |count: usize| {
        for _ in 0..count {
            ticket += 1;
            broker.publish("busy", ticket);
        }
    };
    busy(3 * SIZES.batch_messages_max);
    for (at, other) in others.iter().enumerate() {
        broker.publish(other, 1_000_000 + at as u64);
    }
    let mut accepted = BTreeSet::new();
    for _ in 0..others.len() {
        broker.hub.commit_round(&broker.store, false).unwrap();
        accepted.extend(broker.accepted());
        busy(SIZES.batch_messages_max);
    }
    assert_eq!(accepted.range(1_000_000..).count(), others.len());
}

// Goal: regression: a burst that pushes out more than one round can look at gets through, round by round. It stood still for
// ever, reading the same oldest messages again.
#[test]
fn a_burst_that_drops_a_whole_inbox_gets_through() {
    const INBOX: u64 = 600;
    let limits = Limits {
        when_full: WhenFull::DropOldest,
        inbox_messages_max: INBOX,
        ..small()
    };
    let broker = Broker::new(limits);
    for ticket in 1..=2 * INBOX {
        broker.publish("bob", ticket);
        if ticket == INBOX {
            broker.commit();
        }
    }
    for _ in 0..1_000 {
        broker.hub.commit_round(&broker.store, true).unwrap();
    }
    assert_eq!(broker.accepted().len() as u64, 2 * INBOX);
    assert_eq!(broker.store.inbox(&id("bob")).unwrap().unwrap().messages, INBOX);
    assert_eq!(broker.observer.left.lock().len() as u64, INBOX);
}

// Goal: when the totals of an inbox cannot be read, its publishers are refused, the operator is told, and all other inboxes go on.
#[test]
fn an_unreadable_inbox_is_a_fault_of_its_own() {
    let broker = Broker::new(small());
    broker.publish("bob", 1);
    broker.store.fail_read(1);
    broker.commit();
    assert_eq!(
        broker.port.take_settled(),
        [(Ticket(1), Outcome::Refused(Refusal::StoreFailed))]
    );
    assert_eq!(*broker.observer.unreadable.lock(), [id("bob")]);
    broker.publish("eve", 2);
    broker.publish("bob", 3);
    broker.commit();
    assert_eq!(broker.accepted(), [2, 3].into());
    assert_eq!(
        broker.hub.uncommitted_bytes.load(std::sync::atomic::Ordering::Relaxed),
        0
    );
}

// Goal: rule 3: after a failed commit, all who wait and all who come are refused, once each, and nothing is written again.
#[test]
fn after_a_failed_commit_everybody_is_refused() {
    let broker = Broker::new(small());
    broker.publish("bob", 1);
    broker.publish("eve", 2);
    broker.store.fail_commit(1);
    assert!(broker.hub.commit_round(&broker.store, false).is_err());
    broker.publish("bob", 3);
    let refused = || Outcome::Refused(Refusal::StoreFailed);
    let mut settled = broker.port.take_settled();
    settled.sort_by_key(|(ticket, _)| *ticket);
    assert_eq!(
        settled,
        [(Ticket(1), refused()), (Ticket(2), refused()), (Ticket(3), refused())]
    );
    assert!(!broker.hub.commit_round(&broker.store, true).unwrap().wrote);
    assert_eq!(*broker.observer.failures.lock(), 1);
}

/// A clock that lets something happen when it is looked at.
#[derive(Default)]
struct TrapClock {
    clock: TestClock,
    trap: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Clock for TrapClock {
    fn now(&self) -> Now {
        let trap = self.trap.lock().take();
        if let Some(trap) = trap {
            trap();
        }
        self.clock.now()
    }
}

// Goal: regression: rule 3 for a publish that comes while the store fails: it saw a healthy hub, and takes its place in an inbox that
// was told of the failure already. Nobody answered it.
#[test]
fn a_publish_during_the_failure_is_refused() {
    let (store, clock, port) = (
        MemoryStore::new(),
        Arc::new(TrapClock::default()),
        Arc::new(TestPort::default()),
    );
    let observer: Arc<TestObserver> = Arc::default();
    let (hub, _requests) = Hub::open(&store, small(), clock.clone(), observer).unwrap();
    let hub = Arc::new(hub);
    let failing = hub.clone();
    *clock.trap.lock() = Some(Box::new(move || failing.fail(&Failure::Injected.into())));
    let publisher: Arc<dyn Port> = port.clone();
    hub.publish(&id("bob"), message(1, 8, Qos::AtLeastOnce, FAR), &publisher, Ticket(1));
    assert_eq!(
        port.take_settled(),
        [(Ticket(1), Outcome::Refused(Refusal::StoreFailed))]
    );
}

/// Looks whether it is called with an inbox locked.
#[derive(Default)]
struct LockWatch {
    hub: OnceLock<Weak<Hub>>,
    calls: Mutex<Vec<bool>>,
}

impl Observer for LockWatch {
    fn left(&self, _: &ClientId, _: Seq, _: &ClientId, _: Left) {
        let hub = self.hub.get().and_then(Weak::upgrade).unwrap();
        let is_free = hub.shards.iter().all(|shard| shard.try_lock().is_some());
        self.calls.lock().push(is_free);
    }

    fn store_failed(&self, _: &StoreError) {}

    fn unreadable(&self, _: &ClientId, _: &StoreError) {}

    fn disk_is_full(&self, _: bool, _: u64) {}
}

// Goal: regression: observers are called without locks, as `Observer` says: one that publishes what it hears would wait for itself.
#[test]
fn observers_are_called_without_locks() {
    let limits = Limits {
        when_full: WhenFull::DropOldest,
        inbox_messages_max: 2,
        ..small()
    };
    let (store, watch) = (MemoryStore::new(), Arc::new(LockWatch::default()));
    let (hub, _requests) = Hub::open(&store, limits, Arc::new(TestClock::default()), watch.clone()).unwrap();
    let hub = Arc::new(hub);
    watch.hub.set(Arc::downgrade(&hub)).unwrap();
    let port: Arc<dyn Port> = Arc::new(TestPort::default());
    for ticket in 0..9 {
        hub.publish(
            &id("bob"),
            message(ticket, 8, Qos::AtLeastOnce, FAR),
            &port,
            Ticket(ticket),
        );
        if ticket % 3 == 0 {
            hub.commit_round(&store, true).unwrap();
        }
    }
    hub.commit_round(&store, true).unwrap();
    assert_eq!(*watch.calls.lock(), [true; 7]);
}

// Goal: regression: traffic that is never written does not use up the reservation of seqs (rule 6): the committer is called for a new
// one. After a while QoS 0 was delivered to nobody.
#[test]
fn qos0_alone_renews_the_reservation() {
    let broker = Broker::new(small());
    broker.hub.attach(&id("bob"), broker.port.clone(), 1);
    broker.read();
    // The first of these gets the last seq that follows the clock within this reservation.
    broker.clock.advance(Duration::from_secs(45));
    for ticket in 0..3 {
        assert!(!broker.hub.alarm.is_wanted());
        broker
            .hub
            .publish_qos0(&id("bob"), message(ticket, 8, Qos::AtMostOnce, FAR));
    }
    assert!(broker.hub.alarm.is_wanted());
    let before = broker.hub.seqs.last();
    broker.hub.commit_round(&broker.store, false).unwrap();
    broker.clock.advance(Duration::from_secs(5));
    broker.hub.publish_qos0(&id("bob"), message(3, 8, Qos::AtMostOnce, FAR));
    assert_eq!(broker.delivered().len(), 4);
    assert!(
        broker.hub.seqs.last() >= Seq(before.0 + 4_000_000),
        "seqs follow the clock again"
    );
}

// Goal: counting a long inbox by sender takes several rounds, and keeps no other inbox waiting meanwhile; what waits for it is judged at the end.
#[test]
fn counting_a_long_inbox_takes_turns() {
    let limits = Limits {
        inbox_messages_max: 1_000,
        sender_share: 60,
        ..small()
    };
    let broker = Broker::new(limits.clone());
    let port: Arc<dyn Port> = broker.port.clone();
    let publish = |hub: &Hub, from: &str, ticket| {
        let message = message_from(from, ticket, 8, Qos::AtLeastOnce, FAR);
        hub.publish(&id("bob"), message, &port, Ticket(ticket));
    };
    for ticket in 0..600 {
        publish(&broker.hub, "eve", ticket);
    }
    broker.commit();
    assert_eq!(broker.accepted().len(), 600);
    let (clock, observer) = (broker.clock.clone(), broker.observer.clone());
    let (hub, _requests) = Hub::open(&broker.store, limits, clock, observer).unwrap();
    publish(&hub, "eve", 600);
    publish(&hub, "ann", 601);
    hub.publish(&id("cyd"), message(602, 8, Qos::AtLeastOnce, FAR), &port, Ticket(602));
    let mut settled = Vec::new();
    for _ in 0..10 {
        hub.commit_round(&broker.store, false).unwrap();
        settled.extend(
            broker
                .port
                .take_settled()
                .into_iter()
                .map(|(ticket, outcome)| (ticket.0, outcome)),
        );
    }
    let order: Vec<_> = settled.iter().map(|(ticket, _)| *ticket).collect();
    assert_eq!(order, [602, 600, 601]);
    assert_eq!(settled[1].1, Outcome::Refused(Refusal::SenderShare));
    assert!(matches!(settled[2].1, Outcome::Accepted(_)));
}
