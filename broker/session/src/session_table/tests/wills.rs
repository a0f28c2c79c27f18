//! Wills: when they are due, after a restart too, and CONNACK that waits for them.

use super::*;

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

/// The will of bob, as the store has it; due at that age, or still of a connection.
fn stored_will(nth: u32, due: Option<Age>) -> FoundWill {
    let who = Identity::anonymous(bob());
    let will = will(2).map(Arc::into_inner).unwrap().unwrap().will;
    let key = will_key(&bob(), Age(7), SessionKey(1), nth);
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

#[test]
fn a_delay_ends_with_the_session_after_a_crash_too() {
    // Goal: section 3.1.3.2.2: the store has the delay, or the session expiry where that is sooner. A crash ends the connection, and nobody writes it again.
    for (delay, expiry, kept) in [(9, 0, 0), (9, 3, 3), (2, 3, 2), (9, u32::MAX, 9)] {
        let store = MemoryStore::new();
        let hub = opened(&store);
        let shared = shared_after(&hub, false, Some(SECOND));
        let (session, ..) = Sessions::default().open(&bob(), true, &shared, Duration::ZERO).unwrap();
        let _connected = connected_with(session, &shared, expiry, will(delay));
        let pending = hub.begin_commit(&store, true);
        let written = store.commit(pending.batch());
        hub.finish_commit(pending, written).unwrap();
        let (key, record) = inbox_bridge::entries(&store, Table::WILLS).next().unwrap().unwrap();
        let FoundWill::Will(found) = found_will(key.as_bytes(), &record, &shared.node.budgets.all) else {
            panic!("it is one");
        };
        assert_eq!(found.will.delay, kept, "delay {delay}, expiry {expiry}");
    }
}
