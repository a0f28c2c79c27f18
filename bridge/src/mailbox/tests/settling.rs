//! Rule 5 for readers with QoS 0, and rule 4 for those who subscribe again over the same connection.

use std::time::Duration;

use super::desk::Desk;
use crate::hub::tests::kit::small;
use inbox_types::{Limits, WhenFull};

const SETTLE: Duration = Duration::from_secs(1);
/// Longer than any flush interval after that.
const LATER: Duration = Duration::from_millis(1_300);

// Goal: rule 5: what was written with QoS 0 leaves when the connection has been open for a second after that, not before, and together.
#[test]
fn rule_05_what_was_written_leaves_when_it_has_settled() {
    let mut desk = Desk::default();
    desk.store(3);
    desk.attach(10);
    desk.turn_pages();
    for seq in desk.delivered() {
        desk.written(seq);
    }
    desk.commit();
    assert_eq!(desk.stored(), [1, 2, 3], "written, and still in the inbox");
    desk.advance(SETTLE - Duration::from_millis(1));
    desk.commit();
    assert_eq!(desk.stored(), [1, 2, 3], "not a moment before");
    desk.advance(LATER - SETTLE);
    let batch = desk.begin(false);
    assert_eq!(
        batch.removals.len(),
        3,
        "the committer was asked for: {:?}",
        desk.commit_by
    );
    desk.finish(&batch);
    assert_eq!(desk.stored(), [0; 0]);
    assert_eq!(desk.counters.acknowledged.get(), 3);
}

// Goal: regression: rule 5 for a reader that starts over on its connection: what it was sent before that settles in its time, and does not
// wait for the earlier messages that it is sent only now. It stayed, and came again over the next connection.
#[test]
fn rule_05_what_was_written_before_starting_over_settles_in_its_time() {
    let mut desk = Desk::default();
    desk.store(3);
    desk.attach(10);
    desk.turn_pages();
    assert_eq!(desk.delivered(), [1, 2, 3]);
    // The reader skips its own messages: No Local.
    desk.skip(1);
    desk.skip(2);
    desk.written(3);
    desk.advance(SETTLE / 2);
    let again = desk.attach_again(10, &[]);
    desk.turn_pages();
    assert_eq!(desk.delivered(), [1, 2], "3 is not sent again");
    desk.written(1);
    desk.advance(SETTLE / 2);
    desk.commit();
    assert_eq!(desk.stored(), [1, 2]);
    desk.written(2);
    desk.detach(again);
    assert_eq!(desk.stored(), [1, 2]);
}

// Goal: rule 5: a connection that ends within that second has taken nothing; the next one gets it again, with DUP.
#[test]
fn rule_05_a_look_takes_nothing() {
    let mut desk = Desk::default();
    desk.store(2);
    let look = desk.attach(10);
    desk.turn_pages();
    desk.delivered().into_iter().for_each(|seq| desk.written(seq));
    desk.advance(SETTLE / 2);
    desk.detach(look);
    desk.advance(LATER);
    desk.commit();
    assert_eq!(desk.stored(), [1, 2]);
    desk.attach(10);
    desk.turn_pages();
    assert_eq!(desk.delivered_with_dup(), [(1, true), (2, true)]);
}

// Goal: a reader with QoS 0 is not slowed down: what settles takes no place in its window.
#[test]
fn rule_05_what_settles_takes_no_place_in_the_window() {
    let mut desk = Desk::default();
    desk.attach(1);
    for seq in 1..=50 {
        assert_eq!(desk.publish(), seq);
        assert_eq!(desk.delivered(), [seq]);
        desk.written(seq);
    }
    desk.commit();
    assert_eq!(desk.stored(), (1..=50).collect::<Vec<_>>());
    assert_eq!(desk.accepted(), (1..=50).collect::<Vec<_>>(), "durable, so answered");
    desk.advance(LATER);
    desk.commit();
    assert_eq!(desk.stored(), [0; 0]);
}

// Goal: a message that is held back for its reader goes to the disk as soon as it is written: nobody is about to acknowledge it.
#[test]
fn rule_05_the_hold_ends_when_it_is_written() {
    let mut desk = Desk::default();
    desk.attach(1);
    desk.publish();
    assert_eq!(desk.begin(false).puts.len(), 0, "held back");
    desk.written(1);
    assert_eq!(desk.commit_by, Some(desk.now.mono));
    let batch = desk.begin(false);
    assert_eq!(batch.puts.len(), 1);
    desk.finish(&batch);
}

// Goal: a full inbox makes room with what its reader was sent already, before it refuses or drops anything.
#[test]
fn rule_05_a_full_inbox_lets_go_what_was_written() {
    for when_full in [WhenFull::Refuse, WhenFull::DropOldest] {
        let mut desk = Desk::new(Limits {
            inbox_messages_max: 2,
            when_full,
            ..small()
        });
        desk.attach(10);
        for seq in 1..=6 {
            desk.publish();
            desk.written(seq);
            desk.commit();
        }
        assert_eq!(desk.accepted(), [1, 2, 3, 4, 5, 6], "{when_full:?}");
        assert_eq!(desk.stored(), [5, 6]);
        assert_eq!(desk.left, [], "{when_full:?}: nothing is dropped");
    }
}

// Goal: without a time to settle, it leaves when it is written.
#[test]
fn rule_05_no_time_to_settle_means_at_once() {
    let mut desk = Desk::new(Limits {
        qos0_settle: Duration::ZERO,
        ..small()
    });
    desk.attach(1);
    desk.publish();
    desk.written(1);
    desk.commit();
    assert_eq!((desk.stored(), desk.accepted()), (vec![], vec![1]));
    assert_eq!(desk.counters.never_written.get(), 1);
}

// Goal: rule 4: who attaches again over the same connection is not sent again what it has in flight, which keeps its place in the window;
// the others come in order, and acknowledgements free their places.
#[test]
fn rule_04_attaching_again_does_not_repeat_what_is_in_flight() {
    let mut desk = Desk::default();
    desk.store(5);
    let first = desk.attach(3);
    desk.turn_pages();
    assert_eq!(desk.delivered(), [1, 2, 3]);
    desk.skip(1);
    assert_eq!(desk.delivered(), [4]);
    desk.detach(first);
    desk.attach_again(3, &[2, 3, 4]);
    desk.turn_pages();
    assert_eq!(desk.delivered(), [0; 0], "the window is full");
    desk.acknowledge(3);
    desk.turn_pages();
    assert_eq!(desk.delivered_with_dup(), [(1, true)], "what was not in flight");
    desk.audit();
    desk.acknowledge(1);
    desk.turn_pages();
    assert_eq!(desk.delivered(), [5]);
    for seq in [2, 4, 5] {
        desk.acknowledge(seq);
    }
    desk.commit();
    assert_eq!(desk.stored(), [0; 0]);
}

// Goal: the same for messages that are not durable yet, and for those that a live reader's memory keeps.
#[test]
fn rule_04_attaching_again_does_not_repeat_young_messages() {
    let mut desk = Desk::default();
    desk.attach(2);
    desk.publish();
    desk.publish();
    desk.publish();
    assert_eq!(desk.delivered(), [1, 2]);
    desk.attach_again(2, &[1, 2]);
    desk.commit();
    desk.turn_pages();
    assert_eq!(desk.delivered(), [0; 0]);
    for seq in [1, 2] {
        desk.acknowledge(seq);
        desk.turn_pages();
    }
    assert_eq!(desk.delivered(), [3]);
    desk.acknowledge(3);
    desk.commit();
    assert_eq!(desk.stored(), [0; 0]);
}

// Goal: what was written and settles is not sent again either when the same connection starts over.
#[test]
fn rule_05_starting_over_does_not_repeat_what_settles() {
    let mut desk = Desk::default();
    desk.store(2);
    desk.attach(2);
    desk.turn_pages();
    desk.delivered().into_iter().for_each(|seq| desk.written(seq));
    desk.attach_again(2, &[]);
    desk.turn_pages();
    assert_eq!(desk.delivered(), [0; 0]);
    desk.advance(LATER);
    desk.commit();
    assert_eq!(desk.stored(), [0; 0]);
}
