//! Sessions that outlive the broker: what was acknowledged is there after any crash, against a model.

mod broker;
mod exactly_once;
mod once;

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::said::texts;
use super::*;
use broker::{Keeping, begin};

#[test]
fn what_an_online_reader_acknowledges_at_once_is_never_written() {
    // Goal: early cancellation: the publisher is told by the acknowledgement, and no commit has the message.
    let mut keeping = begin();
    let before = keeping.records();
    let number = keeping.publish();
    assert_eq!(texts(&keeping.hear()), ["1"]);
    keeping.commit(false);
    assert!(keeping.told.0.lock().is_empty(), "it is held back, and told by nobody");
    keeping.acknowledge(0);
    assert_eq!(*keeping.told.0.lock(), BTreeSet::from([number]));
    keeping.commit(true);
    assert_eq!(keeping.records(), before);
}

#[test]
fn what_comes_for_an_absent_session_is_told_when_it_is_durable() {
    // Goal: PUBACK means the disk; after a crash the session is present, its subscription goes on, and everything comes in order.
    let mut keeping = begin();
    keeping.disconnect();
    let numbers = [keeping.publish(), keeping.publish()];
    assert!(keeping.told.0.lock().is_empty());
    keeping.commit(false);
    assert_eq!(*keeping.told.0.lock(), BTreeSet::from(numbers));
    keeping.crash();
    keeping.publish();
    assert!(keeping.connect(false, 1000));
    let unanswered: Vec<_> = keeping.unanswered.iter().map(|(_, number)| *number).collect();
    assert_eq!(unanswered, [1, 2, 3]);
    for _ in 0..3 {
        keeping.acknowledge(0);
    }
    keeping.world.pass(Duration::from_secs(1));
    keeping.commit(false);
    keeping.crash();
    assert!(keeping.connect(false, 1000));
    assert!(
        keeping.unanswered.is_empty(),
        "what was acknowledged does not come again"
    );
}

#[test]
fn what_was_sent_and_not_acknowledged_is_durable_when_the_client_is_lost() {
    // Goal: a held message is not held any longer when nobody will acknowledge it.
    let mut keeping = begin();
    keeping.publish();
    keeping.hear();
    keeping.commit(false);
    keeping.disconnect();
    keeping.commit(false);
    assert_eq!(keeping.told.0.lock().len(), 1);
    keeping.crash();
    keeping.connect(false, 1000);
    assert_eq!(keeping.unanswered.len(), 1);
}

#[test]
fn a_session_that_ends_takes_its_records_with_it() {
    // Goal: by a clean start, by an unsubscribe, by its expiry: the store has nothing of it, and no publisher waits for it.
    let mut keeping = begin();
    keeping.publish();
    keeping.disconnect();
    let number = keeping.publish();
    assert!(!keeping.connect(true, 0));
    assert_eq!(*keeping.told.0.lock(), BTreeSet::from([1, number]));
    keeping.commit_everything();
    assert_eq!(keeping.records(), 0);
    keeping.disconnect();
    keeping.connect(false, 10);
    keeping.subscribe();
    keeping.send(&unsubscribe(V5, 2, "t/#"));
    assert!(keeping.hear().is_empty());
    keeping.commit(false);
    assert_eq!(keeping.hear().len(), 1);
    assert_eq!(keeping.records(), 1);
    keeping.disconnect();
    keeping.commit_everything();
    keeping.world.pass(Duration::from_secs(11));
    keeping.crash();
    let now = keeping.world.clock.now().mono;
    while let Some(remains) = keeping.sessions.reap_one(now) {
        remains.forget();
    }
    keeping.commit_everything();
    assert_eq!(keeping.records(), 0);
    assert!(!keeping.connect(false, 10));
}

#[test]
fn what_was_in_flight_of_an_ended_subscription_is_not_anothers_after_a_crash() {
    // Goal: regression: subscriptions were counted from one again after a restart, so the next one had the number of the one that had ended, and was sent
    // what the store still had of that.
    let mut keeping = begin();
    keeping.publish();
    keeping.commit(true);
    assert_eq!(keeping.hear().len(), 1);
    keeping.send(&unsubscribe(V5, 2, "t/#"));
    keeping.commit(false);
    keeping.crash();
    assert!(keeping.connect(false, 1000));
    keeping.send(&subscribe(V5, 3, "s/x", 1));
    keeping.commit(false);
    assert_eq!(keeping.hear().len(), 1, "SUBACK");
    keeping.crash();
    assert!(keeping.connect(false, 1000));
    assert_eq!(keeping.unanswered, [], "a message on t/x");
}

#[test]
fn a_session_goes_on_to_expire_while_the_broker_is_down() {
    // Goal: the time from its last connection counts, over restarts too; a connection begins it anew.
    let mut keeping = begin();
    keeping.disconnect();
    keeping.commit(true);
    for _ in 0..3 {
        keeping.world.pass(Duration::from_secs(300));
        keeping.crash();
        keeping.commit(true);
    }
    assert!(keeping.connect(false, 1000), "after 900 s");
    keeping.disconnect();
    keeping.commit(true);
    for _ in 0..4 {
        keeping.world.pass(Duration::from_secs(300));
        keeping.crash();
        keeping.commit(true);
    }
    assert!(!keeping.connect(false, 1000), "after 1,200 s");
}

#[test]
fn an_overflow_is_let_go_of_at_once() {
    // Goal: what does not fit is dropped and counted, and its publisher does not wait for it.
    let mut keeping = begin();
    keeping.disconnect();
    for _ in 0..25 {
        keeping.publish();
    }
    assert_eq!(keeping.told.0.lock().len(), 5, "those that were dropped");
    keeping.commit(false);
    assert_eq!(keeping.told.0.lock().len(), 25);
    keeping.crash();
    keeping.connect(false, 1000);
    assert_eq!(keeping.unanswered.len(), 20);
}

#[derive(Debug, Clone)]
enum Step {
    Publish,
    Connect,
    Disconnect,
    Acknowledge(usize),
    Commit,
    CommitAll,
    Pass(u64),
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Publish),
        2 => Just(Step::Connect),
        1 => Just(Step::Disconnect),
        5 => (0..3_usize).prop_map(Step::Acknowledge),
        3 => Just(Step::Commit),
        1 => Just(Step::CommitAll),
        3 => (0..300_u64).prop_map(Step::Pass),
        1 => Just(Step::Crash),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn nothing_that_was_acknowledged_is_lost(steps in prop::collection::vec(step(), 1..60)) {
        // Goal: whatever happens in which order: a message whose publisher was told is acknowledged, or comes in its order, once per connection; and the
        // session is always present.
        let mut keeping = begin();
        for step in steps {
            match step {
                Step::Publish if keeping.published - (keeping.acknowledged.len() as u64) < 20 => { keeping.publish(); }
                Step::Publish => {}
                Step::Connect if keeping.bob.is_none() => {
                    prop_assert!(keeping.connect(false, 1000));
                    let heard: Vec<_> = keeping.unanswered.iter().map(|(_, number)| *number).collect();
                    prop_assert!(heard.is_sorted_by(|a, b| a < b), "{heard:?}");
                    for number in &*keeping.told.0.lock() {
                        prop_assert!(keeping.acknowledged.contains(number) || heard.contains(number), "{number} is lost: {heard:?}");
                    }
                }
                Step::Connect => {}
                Step::Disconnect => keeping.disconnect(),
                Step::Acknowledge(at) if keeping.bob.is_some() => {
                    keeping.hear();
                    keeping.acknowledge(at);
                }
                Step::Acknowledge(_) => {}
                Step::Commit => keeping.commit(false),
                Step::CommitAll => keeping.commit(true),
                Step::Pass(millis) => keeping.world.pass(Duration::from_millis(millis)),
                Step::Crash => keeping.crash(),
            }
        }
        keeping.crash();
        prop_assert!(keeping.connect(false, 1000));
        let heard: BTreeSet<_> = keeping.unanswered.iter().map(|(_, number)| *number).collect();
        for number in &*keeping.told.0.lock() {
            prop_assert!(keeping.acknowledged.contains(number) || heard.contains(number), "{number} is lost");
        }
    }
}
