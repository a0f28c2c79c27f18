//! Tests of the table without a router and without tasks.

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
fn a_will_with_a_delay_is_published_or_not() {
    // Goal: MQTT-3.1.3-9, section 3.1.3.2.2: after the delay or at the end of the session, whichever is first; not when the client is
    // back before; but when it is back with clean start, or after the delay.
    let shared = shared();
    let fresh = || {
        let mut sessions = Sessions::default();
        kept(&mut sessions, &shared, 3, will(2));
        sessions
    };
    assert!(fresh().reap_one(SECOND).is_none());
    assert!(
        fresh()
            .reap_one(2 * SECOND)
            .is_some_and(|remains| remains.will.is_some() && remains.session.is_none())
    );
    for (after, clean_start, comes) in [(SECOND, false, false), (SECOND, true, true), (2 * SECOND, false, true)] {
        let (_, _, remains) = fresh().open(&bob(), clean_start, &shared, after).unwrap();
        assert_eq!(
            remains.will.is_some(),
            comes,
            "{after:?} later, clean start {clean_start}"
        );
    }
    let mut sessions = Sessions::default();
    kept(&mut sessions, &shared, 1, will(9));
    assert!(
        sessions
            .reap_one(SECOND)
            .is_some_and(|remains| remains.will.is_some() && remains.session.is_some())
    );
}

#[test]
fn mqtt_3_1_2_8_when_a_will_is_due() {
    // Goal: MQTT-3.1.2-8, MQTT-3.1.2-10: never after a normal DISCONNECT; otherwise at once, unless it has a delay and the session
    // goes on.
    let shared = shared();
    let (left, with_will) = (Ending::Left { with_will: false }, Ending::Left { with_will: true });
    for (ending, delay, expiry, at_once, later) in [
        (&left, 0, 60, false, false),
        (&with_will, 0, 60, true, false),
        (&Ending::Lost, 0, 60, true, false),
        (&Ending::Lost, 5, 60, false, true),
        (&Ending::Lost, 5, 0, true, false),
    ] {
        let (session, _, _) = Sessions::default().open(&bob(), true, &shared, Duration::ZERO).unwrap();
        let session = connected(session, &shared, expiry);
        let (parted, due) = Parted::new(session, will(delay), ending);
        assert_eq!(
            (due.will.is_some(), parted.will.is_some()),
            (at_once, later),
            "{ending:?}, delay {delay}, expiry {expiry}"
        );
    }
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
    sessions.abandon(
        &bob(),
        &Arc::new(Outbox::new(&MqttLimits::default(), &shared.node.budgets.all)),
        Remains::default(),
    );
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

#[tokio::test]
async fn an_operator_ends_connections_and_sessions() {
    // Goal: a connection is ordered to end, a kept session ends with all that belongs to it, and both are counted.
    let shared = shared();
    let router = Router::start(pubsub::RouterOptions::default(), Arc::new(Age::default)).unwrap();
    let table = Arc::new(SessionTable::new(shared.clone(), router));
    assert!(!table.disconnect(&bob()));
    assert_eq!(table.forget(&bob()).await, Ok(false));
    let (place, session, _) = table.open(Identity::anonymous(bob()), true, None).await;
    assert!(table.disconnect(&bob()));
    assert_eq!(session.outbox().take_order(), Some(Order::Disconnect));
    place
        .close(connected(session, &shared, 60), &Closed::ByOperator.into())
        .await;
    assert_eq!(
        (table.kept(), table.is_kept(&bob()), table.disconnect(&bob())),
        (1, true, false)
    );
    assert_eq!(table.forget(&bob()).await, Ok(true));
    assert_eq!((table.kept(), table.is_kept(&bob())), (0, false));
    let (_place, _session, present) = table.open(Identity::anonymous(bob()), false, None).await;
    assert!(!present);
}

#[tokio::test]
async fn a_session_that_is_forgotten_is_not_kept() {
    // Goal: regression: the connection was about to end as it is when the operator asked, so that its session was kept. And a session that came in
    // its place stays.
    let shared = shared();
    let router = Router::start(pubsub::RouterOptions::default(), Arc::new(Age::default)).unwrap();
    let table = Arc::new(SessionTable::new(shared.clone(), router));
    for is_replaced in [false, true] {
        let (place, session, _) = table.open(Identity::anonymous(bob()), true, None).await;
        let session = connected(session, &shared, if is_replaced { 0 } else { 60 });
        let outbox = session.outbox().clone();
        let asked = tokio::spawn({
            let table = table.clone();
            async move { table.forget(&bob()).await }
        });
        while outbox.take_order() != Some(Order::Forget) {
            tokio::task::yield_now().await;
        }
        place.close(session, &Closed::TakenOver.into()).await;
        let next = match is_replaced {
            true => Some(table.open(Identity::anonymous(bob()), false, None).await),
            false => None,
        };
        assert_eq!(asked.await.unwrap(), Ok(true));
        assert_eq!((table.kept(), table.disconnect(&bob())), (0, is_replaced));
        if let Some((_, session, _)) = &next {
            assert_eq!(session.outbox().take_order(), Some(Order::Disconnect));
        }
    }
}

#[tokio::test]
async fn a_session_has_ended_when_nothing_can_bring_it_back() {
    // Goal: of a client that is away and of one that is there, an operator is told so when the store has nothing of the session any more, and not before.
    for is_away in [true, false] {
        let store = MemoryStore::new();
        let hub = opened(&store);
        let shared = shared_over(&hub, true);
        let router = Router::start(pubsub::RouterOptions::default(), Arc::new(Age::default)).unwrap();
        let table = Arc::new(SessionTable::new(shared.clone(), router));
        let stored = || inbox_bridge::kept(&store, Table::SESSIONS).unwrap().len();
        let (place, session, _) = table.open(Identity::anonymous(bob()), true, None).await;
        let mut session = connected(session, &shared, 60);
        hub.commit_round(&store, true).unwrap();
        assert_eq!(stored(), 1);
        let ask = || {
            let table = table.clone();
            tokio::spawn(async move { table.forget(&bob()).await })
        };
        let asked = match is_away {
            true => {
                place.close(session, &Closed::ByOperator.into()).await;
                ask()
            }
            false => {
                let asked = ask();
                while session.outbox().take_order().is_none() {
                    tokio::task::yield_now().await;
                }
                session.ends_with_its_connection();
                place.close(session, &Closed::ByOperator.into()).await;
                asked
            }
        };
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(!asked.is_finished() && stored() == 1, "away: {is_away}");
        while !asked.is_finished() {
            hub.commit_round(&store, true).unwrap();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!((asked.await.unwrap(), stored()), (Ok(true), 0));
    }
}

#[tokio::test(start_paused = true)]
async fn an_operator_is_told_of_a_session_that_a_crash_would_bring_back() {
    // Goal: where the store takes nothing for a while, nobody says that the session has ended for good, also when asked again.
    let store = MemoryStore::new();
    let hub = opened(&store);
    let shared = shared_over(&hub, true);
    let router = Router::start(pubsub::RouterOptions::default(), Arc::new(Age::default)).unwrap();
    let table = Arc::new(SessionTable::new(shared.clone(), router));
    let (place, session, _) = table.open(Identity::anonymous(bob()), true, None).await;
    place
        .close(connected(session, &shared, 60), &Closed::ByOperator.into())
        .await;
    for _ in 0..2 {
        assert_eq!(table.forget(&bob()).await, Err(NotForgotten::NotDurable));
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_to_be_forgotten_ends_whoever_takes_it_over() {
    // Goal: neither a take-over nor a shutdown makes its connection forget that; and an operator whose patience ends is told so.
    let shared = shared();
    let router = Router::start(pubsub::RouterOptions::default(), Arc::new(Age::default)).unwrap();
    let table = Arc::new(SessionTable::new(shared.clone(), router));
    let (_place, session, _) = table.open(Identity::anonymous(bob()), true, None).await;
    assert_eq!(table.forget(&bob()).await, Err(NotForgotten::StillThere));
    for order in [Order::TakenOver, Order::ShutDown, Order::Disconnect, Order::Review] {
        session.outbox().order(order);
        assert_eq!(session.outbox().take_order(), Some(Order::Forget));
    }
}

/// Polls once.
fn is_ready(future: std::pin::Pin<&mut impl Future>) -> bool {
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    future.poll(&mut cx).is_ready()
}

#[tokio::test]
async fn a_clean_start_is_let_in_when_the_session_before_it_is_durably_gone() {
    // Goal: contract rule 13, and regression: a client was told of a clean start although the commit had failed that should have discarded its session for
    // good.
    for fails in [false, true] {
        let store = MemoryStore::new();
        let hub = opened(&store);
        let shared = shared_over(&hub, true);
        let router = Router::start(pubsub::RouterOptions::default(), Arc::new(Age::default)).unwrap();
        let table = Arc::new(SessionTable::new(shared.clone(), router));
        let (place, session, _) = table.open(Identity::anonymous(bob()), true, None).await;
        place.close(connected(session, &shared, 60), &Ending::Lost).await;
        hub.commit_round(&store, true).unwrap();
        let mut anew = std::pin::pin!(table.open(Identity::anonymous(bob()), true, None));
        assert!(!is_ready(anew.as_mut()));
        for _ in 0..3 {
            let pending = hub.begin_commit(&store, true);
            let written = match fails {
                true => Err(inbox_bridge::Failure::Injected.into()),
                false => store.commit(pending.batch()),
            };
            let _what_was_said = hub.finish_commit(pending, written);
        }
        assert_eq!(is_ready(anew.as_mut()), !fails);
    }
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

/// The will of bob, as the store has it; due at that age, or still of a connection.
fn stored_will(nth: u32, due: Option<Age>) -> FoundWill {
    let who = Identity::anonymous(bob());
    let will = will(2).map(Arc::into_inner).unwrap().unwrap().will;
    let key = will_key(&bob(), inbox_types::Micros(7), SessionKey(1), nth);
    found_will(
        &key,
        &write_will(&who, &will, due),
        &inbox_types::MemoryBudget::new(usize::MAX),
    )
}

#[test]
fn a_will_of_before_is_published_unless_its_client_comes_back() {
    // Goal: after a restart a will waits for its delay or for will.after_restart, whichever is longer; a client that comes back with or without clean start
    // has not disappeared; that of a client that was away before is published when its session ends, as always; and of two records the earlier one was being
    // published.
    let shared = shared_after(&opened(&MemoryStore::new()), false, Some(5 * SECOND));
    let start = shared.node.now().mono;
    let with_will = |due| {
        let mut sessions = Sessions::default();
        assert!(sessions.restore_will(stored_will(1, due), &shared).will.is_none());
        sessions
    };
    let mut sessions = with_will(None);
    assert!(sessions.reap_one(start + 4 * SECOND).is_none());
    let reaped = |sessions: &mut Sessions| sessions.reap_one(start + 60 * SECOND);
    assert!(reaped(&mut sessions).is_some_and(|remains| remains.will.is_some() && remains.session.is_none()));
    assert!(reaped(&mut sessions).is_none(), "only once");
    for clean_start in [true, false] {
        let mut sessions = with_will(None);
        let (_, present, remains) = sessions.open(&bob(), clean_start, &shared, start).unwrap();
        assert!(!present && remains.will.is_none());
        assert!(reaped(&mut sessions).is_none());
    }
    let mut sessions = with_will(None);
    let earlier = sessions.restore_will(stored_will(2, None), &shared);
    assert!(earlier.will.is_some());
    assert!(reaped(&mut sessions).is_some_and(|remains| remains.will.is_some()));
    assert!(reaped(&mut sessions).is_none());
    // With a session that is kept.
    for (due, clean_start, is_published) in [
        (None, false, false),
        (None, true, false),
        (Some(Age(u64::MAX)), false, false),
        (Some(Age(u64::MAX)), true, true),
    ] {
        let mut sessions = Sessions::default();
        kept(&mut sessions, &shared, u32::MAX, None);
        assert!(sessions.restore_will(stored_will(1, due), &shared).will.is_none());
        let (_, present, remains) = sessions.open(&bob(), clean_start, &shared, start).unwrap();
        assert_eq!(
            (present, remains.will.is_some()),
            (!clean_start, is_published),
            "{due:?}"
        );
        assert!(reaped(&mut sessions).is_none());
    }
}

#[test]
fn mqtt_3_1_2_7_connack_means_that_the_will_is_durable() {
    // Goal: CONNACK comes with the commit that has the will. When that fails, nothing is said: no DISCONNECT comes before CONNACK (MQTT-3.14.0-1).
    for is_durable in [true, false] {
        let store = MemoryStore::new();
        let hub = opened(&store);
        let shared = shared_after(&hub, false, Some(SECOND));
        let (session, ..) = Sessions::default().open(&bob(), true, &shared, Duration::ZERO).unwrap();
        let mut session = connected_with(session, &shared, 0, will(0));
        let now = shared.node.now();
        session.drain(now).unwrap();
        assert!(session.take_out().is_empty());
        let pending = hub.begin_commit(&store, true);
        let written = match is_durable {
            true => store.commit(pending.batch()),
            false => Err(inbox_bridge::Failure::Injected.into()),
        };
        let _what_was_said = hub.finish_commit(pending, written);
        let drained = session.drain(now);
        assert_eq!(drained.is_ok(), is_durable, "{drained:?}");
        if let Err(ending) = drained {
            session.say_goodbye(&ending);
        }
        assert_eq!(session.take_out().first().copied(), is_durable.then_some(0x20));
        let kept = inbox_bridge::entries(&store, Table::WILLS).count();
        assert_eq!(kept, usize::from(is_durable));
    }
}
