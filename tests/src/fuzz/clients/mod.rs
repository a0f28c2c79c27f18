//! A stream of packets of several clients, with everything that can happen to a broker between them, against the contract.

mod client;
mod ledger;
mod steps;

use std::collections::BTreeMap;
use std::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use inbox_bridge::FaultPlan;
use inbox_bridge::{
    Fetched, Limits, MemoryStore, PageLimit, PendingCommit, ReadRequest, Seq, Sizes, Store, WhenFull, take_given,
};
use inboxd::single::{ConnId, Ended};
use mqtt_session::{MqttLimits, V311Refusals};

use super::world::{World, small_mqtt};
use crate::Version;
use client::{Client, Terms};
use ledger::{Ledger, number};
use steps::{Setup, Step};

const NAMES: [&str; 3] = ["ann", "bob", "cat"];
const STEPS_MAX: usize = 400;
/// Rounds after which a broker that nobody talks to must be at rest.
const ROUNDS_MAX: usize = 10_000;

/// Runs the steps that `data` says, and then checks what is left. With `INBOX_FUZZ_TRACE` set, it says what it does.
pub fn clients(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let Ok(setup) = Setup::arbitrary(&mut input) else {
        return;
    };
    let mut run = Run::new(&setup);
    let is_traced = std::env::var_os("INBOX_FUZZ_TRACE").is_some();
    for _ in 0..STEPS_MAX {
        let Some(step) = (!input.is_empty()).then(|| Step::arbitrary(&mut input).ok()).flatten() else {
            break;
        };
        if is_traced {
            eprintln!("{step:?}");
        }
        run.step(step);
        run.settle();
    }
    run.finish();
}

struct Run {
    world: World,
    clients: Vec<Client>,
    /// Connections that their clients gave up, and the broker has not noticed.
    stale: Vec<ConnId>,
    ledger: Ledger,
    committing: Option<PendingCommit>,
    fetched: Option<(ReadRequest, Fetched)>,
    drops_oldest: bool,
    has_failed: bool,
}

impl Run {
    fn new(setup: &Setup) -> Self {
        let limits = Limits {
            inbox_messages_max: 4 + u64::from(setup.inbox_messages % 32),
            when_full: if setup.drops_oldest {
                WhenFull::DropOldest
            } else {
                WhenFull::Refuse
            },
            // What was written with QoS 0 is read: the simulator has the time in which it may come again.
            qos0_settle: Duration::ZERO,
            sizes: Sizes {
                kept_max: usize::from(setup.kept % 16),
                ..Sizes::default()
            },
            ..Limits::default()
        };
        take_given();
        Run {
            // A notice of a refusal would be a message that no client sent; the simulator has them.
            world: World::new(
                limits,
                MqttLimits {
                    v311_refusals: V311Refusals::Close,
                    ..small_mqtt()
                },
            ),
            clients: NAMES
                .iter()
                .enumerate()
                .map(|(at, name)| Client::new(at, name))
                .collect(),
            stale: Vec::new(),
            ledger: Ledger::new(&NAMES),
            committing: None,
            fetched: None,
            drops_oldest: setup.drops_oldest,
            has_failed: false,
        }
    }

    fn client(&mut self, by: u8) -> &mut Client {
        let at = usize::from(by) % NAMES.len();
        &mut self.clients[at]
    }

    fn step(&mut self, step: Step) {
        let anyone = |number: u8| usize::from(number) % NAMES.len();
        match step {
            Step::Publish {
                from,
                to,
                qos,
                size,
                expiry,
            } => {
                let from = &mut self.clients[anyone(from)];
                from.publish(anyone(to), qos % 3, usize::from(size), expiry, &mut self.ledger);
            }
            Step::Acknowledge { by, which } => self.client(by).acknowledge(usize::from(which)),
            Step::AcknowledgeAll { by } => {
                while self.client(by).owes() {
                    self.client(by).acknowledge(0);
                }
            }
            Step::Subscribe { by, qos, no_local } => self.client(by).subscribe(anyone(by), qos % 3, no_local),
            Step::SubscribeToAnothers { by } => self.client(by).subscribe(anyone(by.wrapping_add(1)), 1, false),
            Step::Unsubscribe { by } => self.client(by).unsubscribe(),
            Step::Connect {
                by,
                v5,
                clean,
                keeps_session,
                window,
                will_to,
            } => {
                let at = anyone(by);
                let will = will_to.map(|to| {
                    let to = anyone(to);
                    (NAMES[to], self.ledger.sending(at, to, 1, 0).1)
                });
                let version = if v5 { Version::V5 } else { Version::V311 };
                let window = u16::from(window % 6) + 1;
                self.connect(
                    at,
                    Terms {
                        version,
                        clean,
                        keeps_session,
                        window,
                        will,
                    },
                );
            }
            Step::Leave { by } => self.client(by).leave(),
            Step::Lose { by } => {
                if let Some(conn) = self.client(by).down() {
                    self.world.single.lost(conn);
                }
            }
            Step::Block { by, is_blocked } => self.client(by).is_blocked = is_blocked,
            Step::Look { by, bytes } => self.look(anyone(by), usize::from(bytes)),
            Step::BeginCommit { all } => self.begin_commit(all),
            Step::EndCommit { kept } => self.end_commit(kept.map(usize::from)),
            Step::Fetch => self.fetch(),
            Step::HandOver => self.hand_over(),
            Step::Advance { millis } => self.world.time.advance(u64::from(millis) * 1000),
            Step::Evict => self.world.single.evict_idle(Duration::from_secs(1)),
            Step::Reap => self.world.single.reap(),
            Step::Crash => self.crash(),
        }
    }

    fn connect(&mut self, at: usize, terms: Terms) {
        // The broker may notice only now that the last connection is not used any more.
        self.stale.extend(self.clients[at].down());
        let conn = self.world.single.connect();
        self.clients[at].connect(conn, terms, usize::from(small_mqtt().in_flight_max));
    }

    fn begin_commit(&mut self, all: bool) {
        if self.committing.is_none() {
            self.committing = Some(self.world.single.begin_commit(&*self.world.store, all));
        }
    }

    fn end_commit(&mut self, kept: Option<usize>) {
        let Some(pending) = self.committing.take() else { return };
        let store = &self.world.store;
        if let Some(kept) = kept {
            store.set_plan(FaultPlan {
                fail_commit: Some(store.commits() + 1),
                keeps_failed: kept % 2 == 1,
                ..FaultPlan::default()
            });
        }
        let batch = pending.batch().clone();
        let written = if batch.is_empty() { Ok(()) } else { store.commit(&batch) };
        self.has_failed |= written.is_err();
        if written.is_ok() {
            store.set_plan(FaultPlan::default());
            self.hear();
            self.ledger.committed(&batch);
        }
        // A failed store says so for ever; this is checked by what is acknowledged.
        let _failed = self.world.single.finish_commit(pending, written);
    }

    fn fetch(&mut self) {
        while self.fetched.is_none() {
            let Some(request) = self.world.single.next_read() else {
                return;
            };
            // It may be of a reader who has gone meanwhile: then the next one is looked at.
            let page = self.world.single.fetch(&*self.world.store, &request).ok().flatten();
            self.fetched = page.map(|page| (request, page));
        }
    }

    fn hand_over(&mut self) {
        if let Some((request, page)) = self.fetched.take() {
            self.world.single.hand_over(&request, page);
        }
    }

    fn crash(&mut self) {
        (self.committing, self.fetched, self.has_failed) = (None, None, false);
        self.stale.clear();
        for client in &mut self.clients {
            client.down();
            client.forget(&mut self.ledger);
        }
        self.hear();
        self.world.crash();
        let found = stored(&self.world.store);
        self.ledger.restarted(&found, self.world.time.wall());
    }

    /// Everything that happens by itself: the broker takes what came, and clients read.
    fn settle(&mut self) {
        for round in 0.. {
            assert!(round < ROUNDS_MAX, "the broker does not come to rest");
            let mut moved = false;
            for at in 0..self.clients.len() {
                moved |= self.serve(at);
            }
            let world = &mut self.world;
            self.stale.retain(|conn| world.single.turn(*conn).is_ok());
            self.hear();
            if !moved {
                return;
            }
        }
    }

    /// One turn of a client's task. Tells whether anything happened.
    fn serve(&mut self, at: usize) -> bool {
        let Some(conn) = self.clients[at].conn else {
            return false;
        };
        self.world.single.look_again(conn);
        let mut took = 0;
        if !self.clients[at].input.is_empty() && self.world.single.takes_bytes(conn) {
            match self.world.single.receive(conn, &self.clients[at].input) {
                Ok(used) => took = used,
                Err(ended) => {
                    self.hear();
                    self.clients[at].took_last(ended.closed.is_none(), &mut self.ledger);
                    return self.ended(at, &ended);
                }
            }
        }
        self.hear();
        self.clients[at].took(took, &mut self.ledger);
        if let Err(ended) = self.world.single.turn(conn) {
            return self.ended(at, &ended);
        }
        self.hear();
        let waiting = self.world.single.out(conn).len();
        if !self.clients[at].is_blocked {
            self.look(at, usize::MAX);
        }
        took > 0 || (waiting > 0 && !self.clients[at].is_blocked)
    }

    /// The client reads so many bytes from its socket.
    fn look(&mut self, at: usize, most: usize) {
        let Some(conn) = self.clients[at].conn else { return };
        let out = self.world.single.out(conn);
        let bytes = out.get(..most).unwrap_or(out).to_vec();
        self.world.single.written(conn, bytes.len());
        self.clients[at].receive(&bytes, &mut self.ledger, self.world.time.wall());
    }

    fn ended(&mut self, at: usize, ended: &Ended) -> bool {
        self.clients[at].down();
        if let Some((reason, why)) = &ended.closed {
            // What MQTT 3.1.1 cannot be told otherwise.
            assert!(
                matches!(reason, 0x83 | 0x97),
                "{} kept the rules, and was sent away: {reason:#04x} {why}",
                NAMES[at]
            );
        }
        true
    }

    /// What the broker told of itself.
    fn hear(&mut self) {
        self.ledger.given(&take_given());
        for (_, seq, why) in self.world.told.take() {
            self.ledger.tick += 1;
            self.ledger.left(seq, why, self.world.time.wall(), self.drops_oldest);
        }
    }

    /// After a last commit and a restart, whoever reads gets everything that was promised, and then the store is empty.
    fn finish(&mut self) {
        self.end_commit(None);
        if !self.has_failed {
            for at in 0..self.clients.len() {
                self.clients[at].is_blocked = false;
            }
            self.rest(false);
            for client in self.clients.iter().filter(|client| client.conn.is_some()) {
                client.check_rest(&self.ledger, self.world.time.wall());
            }
            let found = stored(&self.world.store);
            let kept = found.values().find(|at| self.ledger.is_gone(**at));
            assert_eq!(kept, None, "contract rule 7: a removal is not durable after a commit");
        }
        self.crash();
        for at in 0..self.clients.len() {
            let terms = Terms {
                version: Version::V5,
                clean: true,
                keeps_session: false,
                window: u16::MAX,
                will: None,
            };
            self.connect(at, terms);
            self.settle();
            self.clients[at].subscribe(at, 2, false);
        }
        self.rest(true);
        for client in &self.clients {
            assert!(client.conn.is_some(), "everybody is served after a restart");
            client.check_rest(&self.ledger, self.world.time.wall());
        }
        let left = stored(&self.world.store);
        assert!(left.is_empty(), "everything was read, and these are left: {left:?}");
    }

    /// Until nothing happens any more. With `acknowledge`, clients do that at once.
    fn rest(&mut self, acknowledge: bool) {
        for round in 0.. {
            assert!(round < ROUNDS_MAX, "the broker does not come to rest");
            self.settle();
            let mut moved = self.fetched.is_some();
            self.hand_over();
            self.fetch();
            moved |= self.fetched.is_some();
            for client in self.clients.iter_mut().filter(|_| acknowledge) {
                while client.owes() {
                    client.acknowledge(0);
                    moved = true;
                }
            }
            self.settle();
            self.begin_commit(true);
            moved |= self
                .committing
                .as_ref()
                .is_some_and(|pending| !pending.batch().is_empty());
            self.end_commit(None);
            if !moved {
                self.settle();
                return;
            }
        }
    }
}

/// What is in the store.
fn stored(store: &MemoryStore) -> BTreeMap<Seq, usize> {
    let mut found = BTreeMap::new();
    for (inbox, _) in store.inboxes(None, usize::MAX).unwrap() {
        let all = PageLimit {
            messages: usize::MAX,
            bytes: usize::MAX,
        };
        for entry in store.read(&inbox, Seq::ZERO, all).unwrap().entries {
            found.insert(entry.seq, number(&entry.message.payload));
        }
    }
    found
}
