//! Notices of refused publishes, in whatever order refusals, readers, commits, evictions and restarts come (contract rule 3).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::kit::{FAR, TestClock, TestObserver, TestPort, id, message, small};
use crate::hub::{Hub, ReadRequest};
use inbox_store::{MemoryStore, PageLimit, Store};
use inbox_types::{Limits, NOTICE_FROM, Outcome, Port, Qos, RefusedPublishes, Seq, Ticket};

const EVERYTHING: PageLimit = PageLimit {
    messages: usize::MAX,
    bytes: usize::MAX,
};

#[derive(Debug, Clone)]
enum Op {
    /// A publish of bob to the first or second of two topics is refused.
    Refuse(bool),
    /// Mail for bob fills his inbox.
    Mail,
    Attach,
    Detach,
    AckAll,
    Commit,
    /// His inbox leaves memory, if nothing keeps it there.
    Evict,
    Restart,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        6 => any::<bool>().prop_map(Op::Refuse),
        2 => Just(Op::Mail),
        3 => Just(Op::Attach),
        3 => Just(Op::Detach),
        3 => Just(Op::AckAll),
        6 => Just(Op::Commit),
        3 => Just(Op::Evict),
        1 => Just(Op::Restart),
    ];
    prop::collection::vec(op, 1..60)
}

/// Bob, whose publishes are refused.
struct Life {
    hub: Hub,
    requests: flume::Receiver<ReadRequest>,
    store: MemoryStore,
    limits: Limits,
    clock: Arc<TestClock>,
    port: Arc<TestPort>,
    attachment: Option<inbox_types::AttachmentId>,
    unacknowledged: Vec<Seq>,
    ticket: u64,
    /// Tickets of refusals that bob was told yes for, because he finds them in his inbox.
    promised: BTreeSet<u64>,
    /// Those that he was sent.
    told: BTreeSet<u64>,
}

impl Life {
    fn new(inbox_messages_max: u64) -> Self {
        let limits = Limits {
            inbox_messages_max,
            ..small()
        };
        let (store, clock) = (MemoryStore::new(), Arc::<TestClock>::default());
        let observer: Arc<TestObserver> = Arc::default();
        let (hub, requests) = Hub::open(&store, limits.clone(), clock.clone(), observer).unwrap();
        Life {
            hub,
            requests,
            store,
            limits,
            clock,
            port: Arc::default(),
            attachment: None,
            unacknowledged: Vec::new(),
            ticket: 0,
            promised: BTreeSet::new(),
            told: BTreeSet::new(),
        }
    }

    fn run(&mut self, op: &Op) {
        let bob = id("bob");
        let port: Arc<dyn Port> = self.port.clone();
        match op {
            Op::Refuse(first) => {
                self.ticket += 1;
                let refused = refused(*first, self.ticket);
                self.hub.notify(&bob, &refused, &port, Ticket(self.ticket));
            }
            Op::Mail => {
                // Of another session, which keeps its own books.
                let port: Arc<dyn Port> = Arc::new(TestPort::default());
                let mail = message(0, 8, Qos::AtLeastOnce, FAR);
                self.hub.publish(&bob, mail, &port, Ticket(0));
            }
            Op::Attach => {
                self.detach();
                self.attachment = Some(self.hub.attach(&bob, port, 100));
            }
            Op::Detach => self.detach(),
            Op::AckAll => self.hub.acknowledge(&bob, &std::mem::take(&mut self.unacknowledged)),
            Op::Commit => while self.hub.commit_round(&self.store, true).unwrap().wrote {},
            Op::Evict => {
                self.clock.advance(Duration::from_secs(1));
                self.hub.evict_idle(Duration::ZERO);
            }
            Op::Restart => {
                self.store = self.store.crash_image();
                let observer: Arc<TestObserver> = Arc::default();
                let opened = Hub::open(&self.store, self.limits.clone(), self.clock.clone(), observer);
                (self.hub, self.requests) = opened.unwrap();
                self.port = Arc::default();
                self.attachment = None;
                self.unacknowledged.clear();
            }
        }
        for request in self.requests.try_iter() {
            assert_eq!(self.hub.read(&self.store, &request), None);
        }
        self.note();
    }

    fn detach(&mut self) {
        if let Some(attachment) = self.attachment.take() {
            self.hub.detach(&id("bob"), attachment);
        }
        self.unacknowledged.clear();
    }

    /// What bob was told, by answers and by notices.
    fn note(&mut self) {
        for (Ticket(ticket), outcome) in self.port.take_settled() {
            if matches!(outcome, Outcome::Accepted(_)) {
                self.promised.insert(ticket);
            } else {
                // As sessions do.
                for first in [true, false] {
                    self.hub.forget_notice(&id("bob"), &refused(first, ticket));
                }
            }
        }
        for (_, delivery) in self.port.take_delivered() {
            self.unacknowledged.push(delivery.seq);
            if delivery.message.from == *NOTICE_FROM {
                self.told.extend(named(&delivery.message.payload));
            }
        }
    }

    /// Whatever was promised is in the store or was sent, and the totals are those of the store.
    fn check(&self) -> Result<(), TestCaseError> {
        let bob = id("bob");
        let page = self.store.read(&bob, Seq::ZERO, EVERYTHING).unwrap();
        let notices = page.entries.iter().filter(|entry| entry.message.from == *NOTICE_FROM);
        let stored: BTreeSet<_> = notices.flat_map(|notice| named(&notice.message.payload)).collect();
        let lost: Vec<_> = self
            .promised
            .iter()
            .filter(|one| !self.told.contains(one) && !stored.contains(one))
            .collect();
        prop_assert!(lost.is_empty(), "promised, not stored and not told: {lost:?}");
        if let Some(totals) = self.hub.totals(&bob) {
            let record = self.store.inbox(&bob).unwrap().unwrap_or_default();
            prop_assert_eq!(totals, record, "the totals, and what the store says");
        }
        Ok(())
    }
}

fn refused(first: bool, ticket: u64) -> RefusedPublishes {
    let mut payload = [0; 32];
    payload[..8].copy_from_slice(&ticket.to_be_bytes());
    RefusedPublishes {
        topic: if first { "carol" } else { "dave" }.into(),
        reason: 0x97,
        why: "the inbox is full".into(),
        payloads: vec![payload],
    }
}

/// The tickets of the refusals that a notice names.
fn named(payload: &[u8]) -> Vec<u64> {
    let said: serde_json::Value = serde_json::from_slice(payload).unwrap();
    let messages = said["messages"].as_array().unwrap().iter();
    let hashes = messages.map(|one| one["sha256"].as_str().unwrap());
    hashes
        .map(|hash| u64::from_str_radix(&hash[..16], 16).unwrap())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    // Goal: rule 3: a refusal that was acknowledged is found in its sender's inbox, whatever is joined, refused, read, forgotten or restarted
    // meanwhile, and the totals never disagree with the store.
    #[test]
    fn rule_03_acknowledged_refusals_are_told(messages_max in 1..6_u64, ops in ops()) {
        let mut life = Life::new(messages_max);
        for op in &ops {
            life.run(op);
            if matches!(op, Op::Commit) {
                life.check()?;
            }
        }
        for op in [Op::Commit, Op::Detach, Op::Attach, Op::Commit] {
            life.run(&op);
        }
        life.check()?;
        for _ in 0..20 {
            for op in [Op::AckAll, Op::Commit] {
                life.run(&op);
            }
        }
        let lost: Vec<_> = life.promised.difference(&life.told).collect();
        prop_assert!(lost.is_empty(), "promised and never told: {lost:?}");
    }
}
