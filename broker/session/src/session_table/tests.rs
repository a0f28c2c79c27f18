//! Tests of the table.

mod ending;
mod wills;

use inbox_bridge::{Hub, MemoryStore, Store, Table, Unobserved};
use inbox_types::{Age, Limits, SystemClock};

use super::*;
use crate::Closed;
use crate::keeping::{FoundWill, Will, found_will, will_key, write_will};
use crate::metrics::{Gauge, Metrics};
use crate::session::{Ending, Link, MqttLimits};
use access::{Access, Anonymous, Identity};
use intake::InboxNames;
use mqtt_codec::{Connect, ConnectProperties, Version};

const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn shared() -> Arc<Shared> {
    shared_over(&opened(&MemoryStore::new()), false)
}

fn opened(store: &MemoryStore) -> Arc<Hub> {
    let clock = Arc::new(SystemClock::default());
    let opened = Hub::open(store, Limits::default(), clock, Arc::new(Unobserved));
    Arc::new(opened.unwrap().0)
}

fn shared_over(hub: &Arc<Hub>, durable_sessions: bool) -> Arc<Shared> {
    shared_after(hub, durable_sessions, None)
}

/// Where clients have so long to come back after a restart.
fn shared_after(hub: &Arc<Hub>, durable_sessions: bool, will_after_restart: Option<Duration>) -> Arc<Shared> {
    let mqtt = MqttLimits {
        durable_sessions,
        will_after_restart,
        ..MqttLimits::default()
    };
    Arc::new(Shared {
        node: Arc::new(hub.node()),
        names: InboxNames::new(""),
        access: Access::new(Arc::new(Anonymous { is_everywhere: true })),
        packet_bytes_max: mqtt.message_bytes_max,
        quotas: access::Quotas::default(),
        retains: true,
        mqtt,
        operators: crate::session::Operators::default(),
        metrics: Metrics::default(),
    })
}

/// A table with a router of its own.
pub(super) fn table_of(shared: &Arc<Shared>) -> Arc<SessionTable> {
    let router = Router::start(pubsub::RouterOptions::default(), Arc::new(Age::default)).unwrap();
    Arc::new(SessionTable::new(shared.clone(), router))
}

pub(super) fn bob() -> ClientId {
    ClientId::new("bob").unwrap()
}

/// Connects a session that is kept for `expiry` seconds.
pub(super) fn connected(session: Box<Session>, shared: &Shared, expiry: u32) -> Box<Session> {
    connected_with(session, shared, expiry, None)
}

fn connected_with(
    mut session: Box<Session>,
    shared: &Shared,
    expiry: u32,
    will: Option<Arc<PendingWill>>,
) -> Box<Session> {
    let properties = ConnectProperties {
        session_expiry: Some(expiry),
        ..ConnectProperties::default()
    };
    let connect = Connect {
        version: Version::V5,
        is_v31: false,
        clean_start: false,
        keep_alive: 0,
        client_id: "bob",
        will: None,
        username: None,
        password: None,
        properties,
    };
    let mut link = Link::new(&connect, &shared.mqtt);
    link.will = will;
    session.connected(link, false, false);
    session
}

fn will(delay: u32) -> Option<Arc<PendingWill>> {
    let qos = inbox_types::Qos::AtLeastOnce;
    let (payload, properties) = (bytes::Bytes::new(), None);
    Some(Arc::new(PendingWill::new(Will {
        topic: "w/x".into(),
        qos,
        retain: false,
        delay,
        message_expiry: None,
        payload,
        properties,
    })))
}

/// Opens and closes a session at time 0.
fn kept(sessions: &mut Sessions, shared: &Arc<Shared>, expiry: u32, will: Option<Arc<PendingWill>>) {
    let (session, _, _) = sessions.open(&bob(), true, shared, Duration::ZERO).unwrap();
    let mut session = connected(session, shared, expiry);
    session.disconnected();
    sessions.close(Parted { session, will }, Duration::ZERO);
}

#[test]
fn mqtt_3_1_4_3_one_connection_at_a_time() {
    // Goal: MQTT-3.1.4-3: the connection that has the session is told to end, and the new one gets the session when it has; an order
    // that came too late for the old connection does not end the new one.
    let (shared, mut sessions) = (shared(), Sessions::default());
    let (session, present, _) = sessions.open(&bob(), false, &shared, Duration::ZERO).unwrap();
    assert!(!present);
    let mut session = connected(session, &shared, 60);
    session.disconnected();
    let mut gone = sessions.open(&bob(), false, &shared, Duration::ZERO).err().unwrap();
    assert_eq!(session.outbox().take_order(), Some(Order::TakenOver));
    assert!(gone.try_recv().is_err());
    sessions.close(Parted { session, will: None }, Duration::ZERO);
    assert_eq!(gone.try_recv(), Ok(()));
    let (session, present, _) = sessions.open(&bob(), false, &shared, Duration::ZERO).unwrap();
    assert!(present);
    assert_eq!(session.outbox().take_order(), None);
}

#[test]
fn a_session_ends_when_it_expires() {
    // Goal: MQTT 5, section 3.1.2.11.2: a session is there until its expiry, and not afterwards, whether it was looked for or not;
    // clean start ends it at once, and without expiry it ends with the connection.
    let shared = shared();
    for (expiry, after, clean_start, is_present) in [
        (2, SECOND, false, true),
        (2, SECOND, true, false),
        (2, 2 * SECOND, false, false),
        (0, SECOND, false, false),
    ] {
        let mut sessions = Sessions::default();
        kept(&mut sessions, &shared, expiry, None);
        let (_, present, _) = sessions.open(&bob(), clean_start, &shared, after).unwrap();
        assert_eq!(
            present, is_present,
            "expiry {expiry}, {after:?} later, clean start {clean_start}"
        );
    }
    let mut sessions = Sessions::default();
    kept(&mut sessions, &shared, 2, None);
    assert!(sessions.reap_one(SECOND).is_none());
    assert!(
        sessions
            .reap_one(2 * SECOND)
            .is_some_and(|remains| remains.session.is_some())
    );
}

#[test]
fn kept_sessions_beyond_the_limit_end_early() {
    // Goal: mqtt.sessions_max bounds what clients that are away cost; the one that would end first goes first.
    let (shared, mut sessions) = (shared(), Sessions::default());
    for (id, expiry) in [("a", 30), ("b", 10), ("c", 20)] {
        let id = ClientId::new(id).unwrap();
        let (session, _, _) = sessions.open(&id, true, &shared, Duration::ZERO).unwrap();
        let mut session = connected(session, &shared, expiry);
        session.disconnected();
        sessions.close(Parted { session, will: None }, Duration::ZERO);
    }
    assert!(sessions.end_beyond(2).is_some());
    for (id, is_there) in [("a", true), ("b", false), ("c", true)] {
        let opened = sessions.open(&ClientId::new(id).unwrap(), false, &shared, Duration::ZERO);
        let (session, present, _) = opened.unwrap();
        assert_eq!(present, is_there, "{id}");
        sessions.close(Parted { session, will: None }, Duration::ZERO);
    }
    assert!(sessions.end_beyond(2).is_none());
}

#[test]
fn a_connection_that_panicked_does_not_lock_its_client_out() {
    // Goal: whoever waits for an abandoned session is let in, with a new one; a session that went on is not abandoned.
    let (shared, mut sessions) = (shared(), Sessions::default());
    let (session, _, _) = sessions.open(&bob(), false, &shared, Duration::ZERO).unwrap();
    let mut gone = sessions.open(&bob(), false, &shared, Duration::ZERO).err().unwrap();
    sessions.abandon(&bob(), &Arc::new(Outbox::new(&shared)), Remains::default());
    assert_eq!(gone.try_recv(), Err(oneshot::error::TryRecvError::Empty));
    sessions.abandon(&bob(), session.outbox(), Remains::default());
    assert_eq!(gone.try_recv(), Err(oneshot::error::TryRecvError::Closed));
    assert!(sessions.open(&bob(), false, &shared, Duration::ZERO).is_ok());
}

/// A connection's task as it is when it panics: it holds a slot, a place, and a session that reads its inbox and is subscribed.
async fn panics(table: Arc<SessionTable>, shared: Arc<Shared>, router: Router, told: oneshot::Sender<Arc<Outbox>>) {
    let _slot = shared.metrics.connections.enter(1).unwrap();
    let (_place, session, _) = table.open(Identity::anonymous(bob()), true, will(0)).await;
    let mut session = connected(session, &shared, 60);
    let subscribe = [0x82, 9, 0, 1, 0, 0, 3, b'b', b'o', b'b', 1];
    assert_eq!(session.receive(&subscribe, shared.node.now()), Ok(subscribe.len()));
    let sink = session.outbox().clone();
    let subscribed = router.subscribe(session.key(), sink, 1, "w/#", Some("group"), false);
    subscribed.await.unwrap();
    told.send(session.outbox().clone()).unwrap();
    panic!("on purpose");
}

#[tokio::test]
async fn a_connection_that_panics_gives_everything_back() {
    // Goal: the slot, the place in the table, the inbox and the subscriptions of a connection whose task panics are free again, it is
    // offline to shared subscriptions at once, and its will is published (MQTT-3.1.2-8).
    let shared = shared();
    let router = Router::start(pubsub::RouterOptions::default(), Arc::new(Age::default)).unwrap();
    let table = Arc::new(SessionTable::new(shared.clone(), router.clone()));
    let (told, outbox) = oneshot::channel();
    let task = tokio::spawn(panics(table.clone(), shared.clone(), router.clone(), told));
    let outbox = outbox.await.unwrap();
    assert!(task.await.unwrap_err().is_panic());
    assert_eq!(shared.metrics.connections.get(), 0);
    assert!(!outbox.online());

    let opened = tokio::time::timeout(SECOND, table.open(Identity::anonymous(bob()), false, None)).await;
    let (_place, _session, present) = opened.expect("the place is free");
    assert!(!present);
    table.reap_due().await;
    assert_eq!(
        shared
            .metrics
            .snapshot()
            .iter()
            .find(|(name, _)| *name == "wills_published"),
        Some(&("wills_published", 1))
    );
    // The router lets go of a sink when it has carried out what it was told.
    router.shutdown().await;
    assert_eq!(
        Arc::strong_count(&outbox),
        1,
        "nobody holds the end of the line any more"
    );
}

#[test]
fn a_slot_is_free_again_when_its_holder_is_gone() {
    // Goal: a gauge never counts more than it may, nor one that is gone.
    let gauge = Gauge::default();
    let first = gauge.enter(1);
    assert!(first.is_some() && gauge.enter(1).is_none());
    assert_eq!(gauge.get(), 1);
    drop(first);
    assert_eq!(gauge.get(), 0);
    assert!(gauge.enter(1).is_some());
}
