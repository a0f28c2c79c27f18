//! Tests of the session as a state machine: raw packets go in, packets come out, on real inboxes in memory and without threads.
//! Nothing happens by itself: a test commits, reads pages, routes and lets time pass where it says so.

mod bouncing;
mod flow;
mod kept;
mod ordinary;
mod proving;
mod publishing;
mod reading;
mod requests;
mod resuming;
mod said;
mod simulated;
mod subscribing;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use inbox_bridge::{Hub, MemoryStore, PageLimit, ReadRequest, Store, Unobserved};
use inbox_types::{ClientId, Clock, Limits, Micros, Now, Qos, Seq};

use super::{Ending, Link, RouterCall, Session, Shared};
use crate::metrics::Metrics;
use crate::session::MqttLimits;
use access::{Access, Anonymous};
use intake::InboxNames;
use mqtt_codec::{Connect, ConnectProperties, Version};
use pubsub::{OrdinaryMessage, Orphan, PublishError, Published, Reach, SessionKey, Sink};
use said::{Said, said};

const V311: Version = Version::V311;
const V5: Version = Version::V5;
const BOTH: [Version; 2] = [V311, V5];
/// When the tests begin, in microseconds.
const START: u64 = 1_700_000_000_000_000;

/// A clock that a test moves.
#[derive(Default)]
struct Hands(AtomicU64);

impl Clock for Hands {
    fn now(&self) -> Now {
        let passed = self.0.load(Ordering::Relaxed);
        Now {
            wall: Micros(START + passed),
            mono: Duration::from_micros(passed),
        }
    }
}

/// Inboxes in memory, and what every session shares.
struct World {
    store: MemoryStore,
    reads: flume::Receiver<ReadRequest>,
    clock: Arc<Hands>,
    hub: Arc<Hub>,
    shared: Arc<Shared>,
}

impl World {
    fn new() -> Self {
        World::with(Limits::default(), |_| {})
    }

    fn with(limits: Limits, set: impl FnOnce(&mut MqttLimits)) -> Self {
        World::over(MemoryStore::new(), Arc::default(), limits, set)
    }

    /// What `store` has, by this clock.
    fn over(store: MemoryStore, clock: Arc<Hands>, limits: Limits, set: impl FnOnce(&mut MqttLimits)) -> Self {
        let (hub, reads) = Hub::open(&store, limits, clock.clone(), Arc::new(Unobserved)).unwrap();
        let hub = Arc::new(hub);
        // What is durable has to be committed; `kept` has the tests of that.
        let mut mqtt = MqttLimits {
            durable_sessions: false,
            will_after_restart: None,
            ..MqttLimits::default()
        };
        set(&mut mqtt);
        let shared = Shared {
            node: Arc::new(hub.node()),
            names: InboxNames::new(""),
            access: Access::new(Arc::new(Anonymous { is_everywhere: true })),
            packet_bytes_max: mqtt.message_bytes_max + 4096,
            quotas: access::Quotas::default(),
            retains: true,
            mqtt,
            operators: crate::session::Operators::default(),
            metrics: Metrics::telling(&hub.node().events),
        };
        World {
            store,
            reads,
            clock,
            hub,
            shared: Arc::new(shared),
        }
    }

    /// The committer's work: everything that waits becomes durable.
    fn commit(&self) {
        self.hub.commit_round(&self.store, true).unwrap();
    }

    /// The readers' work.
    fn read(&self) {
        while let Ok(request) = self.reads.try_recv() {
            self.hub.read(&self.store, &request);
        }
    }

    fn pass(&self, time: Duration) {
        self.clock.0.fetch_add(time.as_micros() as u64, Ordering::Relaxed);
    }

    /// The payloads that are durable in the inbox of `id`.
    fn stored(&self, id: &str) -> Vec<String> {
        self.commit();
        let limit = PageLimit {
            messages: 1000,
            bytes: usize::MAX,
        };
        let page = self.store.read(&ClientId::new(id).unwrap(), Seq::ZERO, limit).unwrap();
        page.entries
            .iter()
            .map(|entry| String::from_utf8_lossy(&entry.message.payload).into_owned())
            .collect()
    }

    /// Somebody else sends `texts` to the inbox of `id` with QoS 1 or 2, and they become durable.
    fn mail(&self, id: &str, qos: u8, texts: &[&str]) {
        let mut alice = self.client(V5, "alice");
        for (n, text) in (1..).zip(texts) {
            alice.send(publish(V5, qos, n, id, text));
        }
        self.commit();
        assert_eq!(alice.said().len(), texts.len());
        alice.session.disconnected();
    }

    /// A new client of this version that is connected, CONNACK read.
    fn client(&self, version: Version, id: &str) -> Client<'_> {
        self.connect(Connect { version, ..connect(id) })
    }

    fn connect(&self, connect: Connect<'_>) -> Client<'_> {
        let id = ClientId::new(connect.client_id).unwrap();
        let session = Session::new(id, SessionKey(1), self.shared.clone());
        let mut client = Client {
            version: connect.version,
            session,
            world: self,
            routed: Vec::new(),
            subscriptions: Vec::new(),
            orphans: Vec::new(),
            router_says: Ok(Published::Now(Reach::Somebody)),
        };
        client.connected(connect, false);
        client
    }
}

/// One session and its connection.
struct Client<'w> {
    version: Version,
    session: Box<Session>,
    world: &'w World,
    /// What went to the router.
    routed: Vec<Arc<OrdinaryMessage>>,
    /// The numbers and filters that the router was asked for.
    subscriptions: Vec<(u32, String, bool)>,
    /// What it was given for other members of shared subscriptions.
    orphans: Vec<Orphan>,
    router_says: Result<Published, PublishError>,
}

impl Client<'_> {
    fn connected(&mut self, connect: Connect<'_>, present: bool) {
        self.version = connect.version;
        self.session
            .connected(Link::new(&connect, &self.world.shared.mqtt), present, false);
        let first = said(self.version, self.session.out()).into_iter().next();
        assert!(
            matches!(first, Some(Said::ConnAck { present: it, reason: 0, .. }) if it == present),
            "{first:?}"
        );
        let length = 2 + usize::from(self.session.out()[1]);
        self.session.written(length);
    }

    /// The connection ends, and the session, which was put away meanwhile, goes on over another one.
    fn reconnect(&mut self) {
        self.session.disconnected();
        let version = self.version;
        let id = self.session.id().clone();
        let nobody = Session::new(id.clone(), SessionKey(2), self.world.shared.clone());
        self.session = std::mem::replace(&mut self.session, nobody).rest().wake();
        self.connected(
            Connect {
                version,
                ..connect(id.as_str())
            },
            true,
        );
    }

    /// Sends packets that are fine, and carries out what the session wants of the router.
    #[track_caller]
    fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).unwrap();
    }

    /// Sends packets, and tells how the connection ended if it did.
    fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> Result<(), Ending> {
        let mut rest = bytes.as_ref();
        while !rest.is_empty() {
            let used = self.session.receive(rest, self.world.shared.node.now())?;
            rest = &rest[used..];
            self.route()?;
            assert!(used > 0 || self.session.takes_packets(), "the rest is never taken");
        }
        Ok(())
    }

    fn route(&mut self) -> Result<(), Ending> {
        while let Some(call) = self.session.next_call() {
            match call {
                RouterCall::Publish(message, ticket) => {
                    self.routed.push(message);
                    if let Some(ticket) = ticket {
                        self.session.routed(ticket, self.router_says)?;
                    }
                }
                RouterCall::PublishOnce(..) => panic!("only what is kept is published so"),
                RouterCall::Subscribe(call) => {
                    for wanted in call.requests() {
                        self.subscriptions
                            .push((wanted.number, wanted.filter.to_string(), wanted.send_retained));
                    }
                    self.session.subscribed(*call);
                }
                RouterCall::Unsubscribe(number, orphans) => {
                    self.subscriptions.retain(|(known, ..)| *known != number);
                    self.orphans.extend(orphans);
                }
            }
        }
        Ok(())
    }

    /// What the session says now; the client has read it then.
    #[track_caller]
    fn said(&mut self) -> Vec<Said> {
        let said = self.said_unwritten();
        self.session.written(self.session.out().len());
        said
    }

    /// What the session says now, if the socket takes nothing.
    #[track_caller]
    fn said_unwritten(&mut self) -> Vec<Said> {
        self.world.read();
        self.session.drain(self.world.shared.node.now()).unwrap();
        said(self.version, self.session.out())
    }

    /// The router delivers `message` to the newest subscription.
    fn deliver(&self, message: OrdinaryMessage, retained: bool) {
        let subscription = self.subscriptions.last().unwrap().0;
        let mut batch = vec![pubsub::OrdinaryDelivery {
            subscription,
            message: Arc::new(message),
            retained,
            kept: None,
        }];
        Sink::deliver(&**self.session.outbox(), &mut batch);
    }
}

fn connect(id: &str) -> Connect<'_> {
    Connect {
        version: V5,
        is_v31: false,
        clean_start: true,
        keep_alive: 0,
        client_id: id,
        will: None,
        username: None,
        password: None,
        properties: ConnectProperties {
            session_expiry: Some(60),
            ..ConnectProperties::default()
        },
    }
}

fn ordinary(topic: &str, qos: u8, payload: &str) -> OrdinaryMessage {
    OrdinaryMessage {
        topic: topic.into(),
        retain: false,
        qos: Qos::from_u8(qos).unwrap(),
        from: ClientId::new("alice").unwrap(),
        expiry: None,
        payload: payload.to_owned().into(),
        properties: None,
    }
}

fn packet(first: u8, fields: &[&[u8]]) -> Vec<u8> {
    let body = fields.concat();
    let mut packet = vec![first];
    let mut rest = body.len();
    while rest > 127 {
        packet.push((rest & 127) as u8 | 128);
        rest >>= 7;
    }
    packet.push(rest as u8);
    packet.extend(body);
    packet
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes(), text.as_bytes()].concat()
}

/// A PUBLISH without properties.
fn publish(version: Version, qos: u8, id: u16, topic: &str, payload: &str) -> Vec<u8> {
    publish_with(version, qos << 1, id, topic, &[], payload)
}

/// A PUBLISH with any flags and properties.
fn publish_with(version: Version, flags: u8, id: u16, topic: &str, properties: &[u8], payload: &str) -> Vec<u8> {
    let id = if flags & 6 == 0 {
        vec![]
    } else {
        id.to_be_bytes().to_vec()
    };
    let block = if version == V5 {
        [&[properties.len() as u8], properties].concat()
    } else {
        vec![]
    };
    packet(0x30 | flags, &[&text(topic), &id, &block, payload.as_bytes()])
}

fn user(name: &str, value: &str) -> Vec<u8> {
    [&[0x26][..], &text(name), &text(value)].concat()
}

/// PUBACK 0x40, PUBREC 0x50, PUBREL 0x62 or PUBCOMP 0x70.
fn ack(first: u8, id: u16) -> Vec<u8> {
    packet(first, &[&id.to_be_bytes()])
}

/// SUBSCRIBE to one filter; `options` are its QoS, in MQTT 5 with flags.
fn subscribe(version: Version, id: u16, filter: &str, options: u8) -> Vec<u8> {
    let block: &[u8] = if version == V5 { &[0] } else { &[] };
    packet(0x82, &[&id.to_be_bytes(), block, &text(filter), &[options]])
}

fn unsubscribe(version: Version, id: u16, filter: &str) -> Vec<u8> {
    let block: &[u8] = if version == V5 { &[0] } else { &[] };
    packet(0xA2, &[&id.to_be_bytes(), block, &text(filter)])
}

/// The reason code with which the broker closed.
#[track_caller]
fn closed(result: Result<(), Ending>) -> u8 {
    match result {
        Err(Ending::Closed(closed)) => {
            assert!(!closed.to_string().is_empty(), "every ending says why");
            closed.reason_code()
        }
        other => panic!("the connection should be closed, but {other:?}"),
    }
}
