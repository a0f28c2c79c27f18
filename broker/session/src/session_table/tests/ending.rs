//! Sessions that end for good: by an operator, and by a clean start.

use super::*;

#[tokio::test]
async fn an_operator_ends_connections_and_sessions() {
    // Goal: a connection is ordered to end, a kept session ends with all that belongs to it, and both are counted.
    let shared = shared();
    let table = table_of(&shared);
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
    let table = table_of(&shared);
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
        let table = table_of(&shared);
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
    let table = table_of(&shared);
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
    let table = table_of(&shared);
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
        let table = table_of(&shared);
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
