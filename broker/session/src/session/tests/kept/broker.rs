//! A broker with one client whose session is kept, a publisher, and crashes: nothing happens by itself.

use std::collections::BTreeSet;

use inbox_bridge::Table;
use inbox_types::{AttachmentId, Delivery, Outcome, Port, Room, Ticket};
use parking_lot::Mutex;
use pubsub::{Router, RouterOptions};

use super::super::said::messages;
use super::super::*;
use crate::keeping::{Found, Restoring};
use crate::session_table::{Parted, Sessions};

/// A publisher's port: the tickets whose messages are safe.
#[derive(Default)]
pub(super) struct Told(pub(super) Mutex<BTreeSet<u64>>);

impl Port for Told {
    fn deliver(&self, _: AttachmentId, _: Delivery) -> Room {
        Room::Left
    }

    fn settle(&self, ticket: Ticket, outcome: Outcome) {
        assert!(matches!(outcome, Outcome::Accepted(_)));
        assert!(self.0.lock().insert(ticket.0), "told twice");
    }
}

/// A broker with one client, bob, whose session is kept; and a publisher.
pub(super) struct Keeping {
    pub(super) world: World,
    pub(super) sessions: Sessions,
    pub(super) router: Router,
    /// While he is connected.
    pub(super) bob: Option<Box<Session>>,
    pub(super) told: Arc<Told>,
    pub(super) published: u64,
    /// What bob has and has not acknowledged over this connection: packet identifiers and texts.
    pub(super) unanswered: Vec<(u16, u64)>,
    /// What he has acknowledged.
    pub(super) acknowledged: BTreeSet<u64>,
    /// What he heard when he connected.
    pub(super) heard: Vec<Said>,
}

pub(super) fn bob() -> ClientId {
    ClientId::new("bob").unwrap()
}

pub(super) fn now_or_never<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut cx) {
        std::task::Poll::Ready(done) => done,
        std::task::Poll::Pending => panic!("the native engine waits for nobody here"),
    }
}

impl Keeping {
    pub(super) fn over(store: MemoryStore, clock: Arc<Hands>) -> Self {
        let world = World::over(store, clock, Limits::default(), |mqtt| {
            mqtt.durable_sessions = true;
            mqtt.queue_messages_max = 20;
        });
        let hub = world.hub.clone();
        let router = Router::start(RouterOptions::default(), Arc::new(move || hub.age(hub.now()))).unwrap();
        let mut keeping = Keeping {
            world,
            sessions: Sessions::default(),
            router,
            bob: None,
            told: Arc::default(),
            published: 0,
            unanswered: Vec::new(),
            acknowledged: BTreeSet::new(),
            heard: Vec::new(),
        };
        keeping.restore();
        keeping
    }

    pub(super) fn restore(&mut self) {
        let mut restoring = Restoring::new(&self.world.shared.node.budgets.all);
        let entries = inbox_bridge::kept(&self.world.store, Table::SESSIONS).unwrap();
        let mut found: Vec<_> = entries
            .iter()
            .filter_map(|(key, value)| restoring.take(key.as_bytes(), value))
            .collect();
        found.extend(restoring.end());
        for found in found {
            let Found::Session(restored) = found else {
                panic!("nothing of a session is left behind here: {found:?}");
            };
            let resumption = self.sessions.restore(*restored, &self.world.shared);
            for one in resumption.subscriptions {
                let sink = resumption.outbox.clone();
                let share = one.share.as_deref();
                let subscribed =
                    self.router
                        .subscribe(resumption.key, sink, one.number, one.filter.clone(), share, false);
                now_or_never(subscribed).unwrap();
            }
        }
    }

    /// The broker is gone at once, and another one has what the disk has.
    pub(super) fn crash(&mut self) {
        let after = Keeping::over(self.world.store.crash_image(), self.world.clock.clone());
        let before = std::mem::replace(self, after);
        self.told = Arc::new(Told(Mutex::new(before.told.0.lock().clone())));
        self.published = before.published;
        self.acknowledged = before.acknowledged;
    }

    pub(super) fn commit(&self, all: bool) {
        self.world.hub.commit_round(&self.world.store, all).unwrap();
    }

    /// Everything, in as many batches as it takes.
    pub(super) fn commit_everything(&self) {
        while self.world.hub.commit_round(&self.world.store, true).unwrap().wrote {}
    }

    /// Bob connects. Tells whether he had a session.
    pub(super) fn connect(&mut self, clean_start: bool, expiry: u32) -> bool {
        let now = self.world.clock.now().mono;
        let opened = self.sessions.open(&bob(), clean_start, &self.world.shared, now);
        let Ok((mut session, present, remains)) = opened else {
            panic!("he was away")
        };
        let key = session.key();
        remains.forget();
        let properties = ConnectProperties {
            session_expiry: Some(expiry),
            ..ConnectProperties::default()
        };
        let connect = Connect {
            properties,
            ..connect("bob")
        };
        session.connected(Link::new(&connect, &self.world.shared.mqtt), present, false);
        assert_eq!(session.key(), key);
        self.bob = Some(session);
        self.heard = self.hear();
        present
    }

    pub(super) fn disconnect(&mut self) {
        if let Some(session) = self.bob.take() {
            self.unanswered.clear();
            let (parted, _will) = Parted::new(session, None, &Ending::Lost);
            self.sessions.close(parted, self.world.clock.now().mono).forget();
        }
    }

    /// Bob sends this, and what he wants of the router is done.
    pub(super) fn send(&mut self, bytes: &[u8]) {
        let session = self.bob.as_mut().unwrap();
        let used = session.receive(bytes, self.world.clock.now()).unwrap();
        assert_eq!(used, bytes.len());
        while let Some(call) = session.next_call() {
            match call {
                RouterCall::Subscribe(call) => {
                    for wanted in call.requests() {
                        let sink = session.outbox().clone();
                        let subscribed = self.router.subscribe(
                            session.key(),
                            sink,
                            wanted.number,
                            wanted.filter,
                            wanted.share,
                            wanted.send_retained,
                        );
                        now_or_never(subscribed).unwrap();
                    }
                    session.subscribed(*call);
                }
                RouterCall::Unsubscribe(number, _) => now_or_never(self.router.unsubscribe(session.key(), number)),
                RouterCall::PublishOnce(message, ticket, together) => {
                    let port: Arc<dyn Port> = session.outbox().clone();
                    let published = self.router.publish_once(message, &port, ticket, &together);
                    session.routed(ticket, now_or_never(published)).unwrap();
                }
                RouterCall::Publish(..) => panic!("he publishes with QoS 2, and retains nothing"),
            }
        }
    }

    /// What bob hears now.
    pub(super) fn hear(&mut self) -> Vec<Said> {
        let Some(session) = &mut self.bob else {
            return Vec::new();
        };
        session.drain(self.world.clock.now()).unwrap();
        let heard = said(V5, session.out());
        session.written(session.out().len());
        let new = messages(&heard);
        self.unanswered
            .extend(new.iter().map(|message| (message.id, message.text.parse().unwrap())));
        heard
    }

    pub(super) fn acknowledge(&mut self, at: usize) {
        if at < self.unanswered.len() {
            let (packet_id, number) = self.unanswered.remove(at);
            self.acknowledged.insert(number);
            self.send(&ack(0x40, packet_id));
        }
    }

    pub(super) fn publish(&mut self) -> u64 {
        self.publish_with(1)
    }

    pub(super) fn publish_with(&mut self, qos: u8) -> u64 {
        self.published += 1;
        let port: Arc<dyn Port> = self.told.clone();
        let number = self.published;
        let message = ordinary("t/x", qos, &number.to_string());
        let published = self.router.publish_for(message, &port, Ticket(number));
        if let Published::Now(_) = now_or_never(published).unwrap() {
            self.told.0.lock().insert(number);
        }
        number
    }

    pub(super) fn subscribe(&mut self) -> Vec<Said> {
        self.send(&subscribe(V5, 1, "t/#", 1));
        let before = self.hear();
        assert!(before.is_empty(), "SUBACK came before it was durable: {before:?}");
        self.commit(false);
        self.hear()
    }

    pub(super) fn records(&self) -> usize {
        inbox_bridge::kept(&self.world.store, Table::SESSIONS).unwrap().len()
    }
}

pub(super) fn begin() -> Keeping {
    let mut keeping = Keeping::over(MemoryStore::new(), Arc::default());
    assert!(!keeping.connect(false, 1000));
    assert_eq!(keeping.subscribe().len(), 1);
    keeping
}
