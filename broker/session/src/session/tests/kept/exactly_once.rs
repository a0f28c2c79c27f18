//! QoS 2 to a kept session over crashes: exactly once, against a client that keeps the rules of MQTT and remembers them over connections.

use std::collections::BTreeSet;

use super::super::said::messages;
use super::once::{OWN, Once, PUBCOMP, PUBREC, PUBREL, pubrel};
use super::*;
use crate::keeping::PLACES;

#[derive(Debug, Clone)]
enum Step {
    Publish(u8),
    PublishOwn,
    Hear,
    Take,
    Answer,
    Connect,
    Disconnect,
    Commit,
    CommitAll,
    Pass(u64),
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..3_u8).prop_map(Step::Publish),
        4 => Just(Step::PublishOwn),
        6 => Just(Step::Hear),
        9 => Just(Step::Take),
        9 => Just(Step::Answer),
        3 => Just(Step::Connect),
        1 => Just(Step::Disconnect),
        4 => Just(Step::Commit),
        1 => Just(Step::CommitAll),
        2 => (0..300_u64).prop_map(Step::Pass),
        2 => Just(Step::Crash),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]
    #[test]
    fn rule_10_what_is_sent_with_qos_2_comes_once_over_crashes(steps in prop::collection::vec(step(), 1..120)) {
        // Goal: MQTT-4.3.3 over crashes at every step, both ways: no message with QoS 2 comes to the application twice, none is lost that a kept session publishes until it is through, or whose publisher was told, and nothing is
        // left in the store, or in the client's memory, when all is done.
        let mut once = Once::begin();
        let mut at_least_once = BTreeSet::new();
        for step in steps {
            match step {
                Step::PublishOwn if once.has_room() => once.publish_own(),
                Step::PublishOwn => {}
                Step::Publish(qos) if once.has_room() => {
                    once.publish(qos);
                    if qos == 1 {
                        at_least_once.insert(once.keeping.published);
                    }
                }
                Step::Publish(_) => {}
                Step::Hear => once.hear(),
                Step::Take => once.take(),
                Step::Answer => once.answer(),
                Step::Connect => once.connect(),
                Step::Disconnect => once.disconnect(),
                Step::Commit => once.keeping.commit(false),
                Step::CommitAll => once.keeping.commit(true),
                Step::Pass(millis) => once.keeping.world.pass(Duration::from_millis(millis)),
                Step::Crash => once.crash(),
            }
        }
        once.rest();
        once.check_nothing_twice(&at_least_once);
        for number in once.keeping.told.0.lock().iter().copied().chain(OWN + 1..=once.numbers) {
            prop_assert!(once.got.contains_key(&number), "{number} is lost");
        }
        prop_assert!(once.publishes.is_empty(), "{:?}", once.publishes);
        prop_assert!(once.remembers.is_empty(), "never released: {:?}", once.remembers);
        prop_assert_eq!(once.keeping.records(), 2);
    }
}

#[test]
fn rule_10_a_message_waits_for_its_identifier() {
    // Goal: the message that has the identifier of one that is unfinished waits, and those behind it do; it comes when the earlier one is finished and has left the store.
    let mut once = Once::begin();
    once.publish(2);
    once.hear();
    once.keeping.commit(false);
    once.hear();
    let held = messages(once.coming.make_contiguous())[0].id;
    once.coming.clear();
    let journal = once.keeping.bob.as_ref().unwrap().outbox().journal().cloned();
    journal.unwrap().skip(PLACES - 1);
    for _ in 0..2 {
        once.publish(2);
        once.hear();
        once.keeping.world.pass(Duration::from_secs(1));
        once.keeping.commit_everything();
        once.hear();
        assert!(once.coming.is_empty(), "{:?}", once.coming);
    }
    once.keeping.send(&ack(PUBREC, held));
    once.keeping.commit(false);
    once.hear();
    assert_eq!(once.coming.pop_front(), Some(Said::ack(PUBREL, held)));
    once.keeping.send(&ack(PUBCOMP, held));
    once.hear();
    assert!(
        once.coming.is_empty(),
        "the store knows the earlier one: {:?}",
        once.coming
    );
    once.keeping.world.pass(Duration::from_secs(1));
    once.keeping.commit(false);
    once.hear();
    let came = messages(once.coming.make_contiguous());
    assert_eq!(came.len(), 2);
    assert_eq!(came[0].id, held);
}

#[test]
fn rule_10_what_is_void_after_a_crash_is_released() {
    // Goal: a message that may have been sent, and is not sent again because its subscription has ended, is released: a client that remembers its identifier would take another
    // message for it.
    let mut once = Once::begin();
    once.publish(2);
    once.hear();
    once.keeping.commit(false);
    once.hear();
    once.take();
    let id = *once.remembers.first().unwrap();
    once.keeping.send(&unsubscribe(V5, 2, "t/#"));
    once.keeping.commit(false);
    once.crash();
    once.connect();
    once.rest();
    assert_eq!(once.remembers, BTreeSet::new(), "{id}");
    assert_eq!(once.keeping.records(), 1);
}

/// Each of these makes a client live that has something to complain of, or panics.
fn are_noticed(faults: &[inbox_types::Fault], lived: impl Fn(inbox_types::Fault) -> bool + std::panic::RefUnwindSafe) {
    for fault in faults {
        inbox_types::set_fault(Some(*fault));
        let noticed = std::panic::catch_unwind(|| lived(*fault));
        inbox_types::set_fault(None);
        assert!(noticed.unwrap_or(true), "{fault:?}");
    }
}

#[test]
fn rule_10_each_mistake_is_noticed() {
    // Goal: what these tests prove is not proven by a broker that makes a mistake: a message comes twice, or is lost, or is never released.
    let lived = |fault| {
        let mut once = Once::begin();
        once.publish(2);
        once.hear();
        if fault != inbox_types::Fault::SendBeforeDurable {
            once.keeping.commit(false);
        }
        once.hear();
        once.take();
        once.answer();
        if fault == inbox_types::Fault::ForgetTaken {
            once.keeping.commit(false);
        } else {
            once.hear();
            once.take();
        }
        once.crash();
        once.publish(2);
        once.keeping.commit(false);
        once.rest();
        let is_lost = once
            .keeping
            .told
            .0
            .lock()
            .iter()
            .any(|number| !once.got.contains_key(number));
        is_lost || once.got.values().any(|times| *times > 1) || !once.remembers.is_empty()
    };
    use inbox_types::Fault::*;
    are_noticed(
        &[SendBeforeDurable, ReleaseBeforeDurable, NewPacketId, ForgetTaken],
        lived,
    );
}

#[test]
fn identifiers_of_mail_that_may_be_in_use_are_released_after_a_crash() {
    // Goal: a client that answered PUBREC would take what comes with the same identifier for the same mail (MQTT-4.3.3-10): so each that may be in use is
    // released first, and what was not completed comes again with another one. An orderly end leaves only what was open.
    let mut once = Once::begin();
    once.keeping.send(&subscribe(V5, 2, "bob", 2));
    once.keeping.commit(false);
    once.hear();
    once.keeping.commit(false);
    once.keeping.world.mail("bob", 2, &["1", "2", "3"]);
    once.hear();
    let mail = |once: &mut Once| -> Vec<_> {
        for _ in 0..2 {
            once.keeping.world.read();
            once.hear();
            once.keeping.commit(false);
        }
        let came = messages(once.coming.make_contiguous());
        came.iter().map(|message| (message.id, message.text.clone())).collect()
    };
    let before = mail(&mut once);
    assert_eq!(before.len(), 3);
    once.keeping.send(&ack(PUBREC, before[0].0));
    once.keeping.world.pass(Duration::from_secs(1));
    once.keeping.commit(true);
    once.crash();
    once.connect();
    let mut released = BTreeSet::new();
    loop {
        once.keeping.commit(false);
        once.hear();
        let new: Vec<_> = once.coming.drain(..).filter_map(|said| pubrel(&said)).collect();
        if new.is_empty() && !released.is_empty() {
            break;
        }
        new.iter().for_each(|id| once.keeping.send(&ack(PUBCOMP, *id)));
        released.extend(new);
    }
    assert!(before.iter().all(|(id, _)| released.contains(id)), "{released:?}");
    let again = mail(&mut once);
    assert_eq!(
        again.iter().map(|(_, text)| &**text).collect::<Vec<_>>(),
        ["1", "2", "3"]
    );
    assert!(again.iter().all(|(id, _)| !released.contains(id)), "{again:?}");
    for (id, _) in again {
        once.keeping.send(&ack(PUBREC, id));
        once.keeping.send(&ack(PUBCOMP, id));
    }
    once.disconnect();
    once.keeping.world.pass(Duration::from_secs(1));
    once.keeping.commit(true);
    once.crash();
    once.connect();
    once.keeping.commit(false);
    once.hear();
    assert_eq!(once.coming.iter().filter_map(pubrel).count(), 0, "nothing was open");
    assert_eq!(mail(&mut once), []);
}

#[test]
fn rule_10_each_mistake_of_publishing_is_noticed() {
    // Goal: as above, of what a kept session publishes: a crash between the two commits of a broker that needs two, after PUBREC, and after PUBCOMP.
    use inbox_types::Fault::*;
    let lived = |fault| {
        let mut once = Once::begin();
        once.publish_own();
        once.keeping.commit(false);
        if fault == CompleteBeforeDurable {
            // It is through, as far as he knows, and the next one has its identifier.
            while !once.publishes.is_empty() {
                once.hear();
                once.take();
                once.answer();
            }
            once.crash();
            once.connect();
            once.publish_own();
        } else {
            once.crash();
        }
        once.rest();
        let all: Vec<_> = (OWN + 1..=once.numbers).map(|number| (number, 1)).collect();
        once.got.into_iter().ne(all)
    };
    are_noticed(&[ForgetExchange, RecordApart, CompleteBeforeDurable], lived);
}

#[test]
fn what_nobody_keeps_needs_no_record() {
    // Goal: a publish with QoS 2 that no kept session gets costs no write, and PUBCOMP comes at once.
    let mut once = Once::begin();
    let before = once.keeping.records();
    once.keeping.send(&publish(V5, 2, 7, "s/x", "1"));
    once.hear();
    assert_eq!(once.coming.len(), 1, "{:?}", once.coming);
    once.keeping.send(&ack(PUBREL, 7));
    once.hear();
    assert_eq!(once.coming.pop_back(), Some(Said::ack(PUBCOMP, 7)));
    once.keeping.commit(true);
    assert_eq!(once.keeping.records(), before);
}

#[test]
fn what_came_before_is_durable_with_what_is_kept_together() {
    // Goal: a message with QoS 1 is held for its acknowledgement, and one with QoS 2 that came after it is written at once: so is the first, or a crash would
    // leave the second alone, and the first would come after it.
    let mut once = Once::begin();
    let before = once.keeping.records();
    once.publish(1);
    once.keeping.commit(false);
    assert_eq!(once.keeping.records(), before, "it is held");
    once.publish_own();
    once.publish(1);
    once.keeping.commit(false);
    assert_eq!(
        once.keeping.records(),
        before + 3,
        "two messages, and that one was published"
    );
}
