//! Full inboxes: refuse, or drop the oldest (contract rules 3 and 5).

use super::desk::{Desk, SIZE};
use crate::hub::tests::kit::FAR;
use crate::hub::tests::kit::small;
use inbox_types::{Left, Limits, Outcome, Refusal, Ticket, WhenFull};

fn desk(when_full: WhenFull, inbox_messages_max: u64) -> Desk {
    Desk::new(Limits {
        when_full,
        inbox_messages_max,
        ..small()
    })
}

fn refused(desk: &Desk) -> Vec<u64> {
    let settled = desk.port.take_settled();
    let full = |(Ticket(ticket), outcome)| {
        matches!(outcome, Outcome::Refused(Refusal::InboxFull | Refusal::LargerThanInbox)).then_some(ticket)
    };
    settled.into_iter().filter_map(full).collect()
}

// Goal: rule 3: a full inbox refuses, by messages, and takes again when one has left.
#[test]
fn a_full_inbox_refuses() {
    let mut desk = desk(WhenFull::Refuse, 2);
    desk.attach(5);
    for _ in 0..3 {
        desk.publish();
    }
    assert_eq!(refused(&desk), [3]);
    desk.commit();
    desk.publish();
    assert_eq!(refused(&desk), [4], "stored ones count like new ones");
    desk.acknowledge(1);
    desk.publish();
    desk.commit();
    assert_eq!((refused(&desk), desk.stored()), (vec![], vec![2, 5]));
}

// Goal: the same by bytes, exactly.
#[test]
fn a_full_inbox_refuses_by_bytes() {
    let mut desk = Desk::new(Limits {
        inbox_bytes_max: 100,
        ..small()
    });
    desk.publish_sized(60, FAR);
    desk.commit();
    desk.publish_sized(41, FAR);
    desk.publish_sized(40, FAR);
    assert_eq!(refused(&desk), [2]);
    desk.commit();
    assert_eq!(desk.stored(), [1, 3]);
}

// Goal: an inbox that was not in memory is counted before anything is written to it.
#[test]
fn what_is_stored_counts_after_eviction() {
    let mut desk = desk(WhenFull::Refuse, 2);
    desk.store(2);
    desk.forget();
    desk.accepted();
    desk.publish();
    desk.commit();
    assert_eq!((refused(&desk), desk.stored()), (vec![3], vec![1, 2]));
}

// Goal: regression: an inbox that refuses never drops. When a reader had got a message before the totals were known, and it did not
// fit, the oldest was dropped to make room.
#[test]
fn refusing_is_not_dropping() {
    let mut desk = desk(WhenFull::Refuse, 2);
    desk.store(2);
    desk.forget();
    desk.attach(5);
    desk.turn_pages();
    desk.publish();
    assert_eq!(desk.delivered(), [1, 2, 3]);
    desk.commit();
    assert_eq!((desk.left.as_slice(), desk.stored()), ([].as_slice(), vec![1, 2, 3]));
}

// Goal: rule 5: the oldest make room, as many as must, and somebody is told of each.
#[test]
fn the_oldest_make_room() {
    let mut desk = desk(WhenFull::DropOldest, 3);
    desk.store(3);
    desk.store(2);
    assert_eq!(desk.stored(), [3, 4, 5]);
    assert_eq!(desk.left, [(1, Left::Dropped), (2, Left::Dropped)]);
    assert_eq!(desk.accepted(), [1, 2, 3, 4, 5]);
}

// Goal: more at once than the inbox holds: of the new ones too, the oldest leave, and their publishers are answered.
#[test]
fn a_burst_larger_than_the_inbox_keeps_the_newest() {
    let mut desk = desk(WhenFull::DropOldest, 3);
    desk.store(2);
    desk.store(7);
    assert_eq!(desk.stored(), [7, 8, 9]);
    assert_eq!(
        desk.left.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(),
        [1, 2, 3, 4, 5, 6]
    );
    let mut accepted = desk.accepted();
    accepted.sort_unstable();
    assert_eq!(accepted, (1..=9).collect::<Vec<_>>());
}

// Goal: regression: a message that fits no inbox is refused; it used to push out everything else first, and itself last.
#[test]
fn a_message_larger_than_the_inbox_is_refused() {
    let mut desk = Desk::new(Limits {
        when_full: WhenFull::DropOldest,
        inbox_bytes_max: 100,
        ..small()
    });
    desk.store(3);
    desk.publish_sized(101, FAR);
    assert_eq!(refused(&desk), [4]);
    desk.commit();
    assert_eq!(desk.stored(), [1, 2, 3]);
}

// Goal: regression: a dropped message that its client has in hand keeps its place in the window until the client answers (MQTT 5,
// section 4.9), and the answer removes nothing more.
#[test]
fn dropping_does_not_widen_the_window() {
    let mut desk = desk(WhenFull::DropOldest, 2);
    desk.attach(1);
    desk.store(3);
    assert_eq!((desk.delivered(), desk.stored()), (vec![1], vec![2, 3]));
    desk.acknowledge(1);
    desk.turn_pages();
    assert_eq!(desk.delivered(), [2]);
    desk.audit();
    desk.commit();
    assert_eq!(desk.stored(), [2, 3]);
}

// Goal: regression: a durable message that is kept in memory for a slow reader is dropped there too.
#[test]
fn dropping_reaches_what_is_kept_for_a_reader() {
    let mut desk = desk(WhenFull::DropOldest, 3);
    desk.attach(1);
    desk.store(3);
    assert_eq!(desk.delivered(), [1]);
    desk.store(2);
    assert_eq!(desk.left, [(1, Left::Dropped), (2, Left::Dropped)]);
    for seq in [1, 3, 4, 5] {
        desk.acknowledge(seq);
        desk.turn_pages();
    }
    assert_eq!(desk.delivered(), [3, 4, 5]);
    desk.commit();
    assert_eq!(desk.stored(), [0; 0]);
    desk.audit();
}

// Goal: a message acknowledged by somebody who is away leaves room, although its size was not known at once.
#[test]
fn a_late_acknowledgement_makes_room() {
    for when_full in [WhenFull::Refuse, WhenFull::DropOldest] {
        let mut desk = desk(when_full, 2);
        desk.store(2);
        desk.acknowledge(1);
        desk.publish_sized(SIZE, FAR);
        desk.commit();
        assert_eq!(
            (desk.stored(), desk.left.as_slice()),
            (vec![2, 3], [].as_slice()),
            "{when_full:?}"
        );
    }
}

// Goal: regression: what the connection of a reader has is not refused any more when it subscribes again and is still being replayed to. It
// was, and when its client had acknowledged it, it was taken off the totals, though it had never come to the store.
#[test]
fn what_a_connection_has_is_not_refused_when_it_subscribes_again() {
    let mut desk = desk(WhenFull::Refuse, 2);
    desk.store(2);
    desk.forget();
    desk.attach(5);
    desk.turn_pages();
    desk.accepted();
    let third = desk.publish();
    desk.attach_again(5, &[1, 2, third]);
    desk.commit();
    assert_eq!((desk.accepted(), desk.stored()), (vec![third], vec![1, 2, third]));
    desk.audit();
}

// Goal: regression: rule 5: what was dropped although it was sent stays gone when its reader subscribes again over the same connection. Its
// answer counted it as acknowledged, too, removed it once more, and the inbox was counted anew for it.
#[test]
fn rule_05_what_was_dropped_stays_gone_when_its_reader_subscribes_again() {
    for is_qos0 in [false, true] {
        let mut desk = desk(WhenFull::DropOldest, 2);
        desk.attach(1);
        desk.store(3);
        assert_eq!(
            (desk.delivered(), desk.left.as_slice()),
            (vec![1], [(1, Left::Dropped)].as_slice())
        );
        desk.attach_again(1, &[1]);
        desk.commit();
        match is_qos0 {
            true => desk.written(1),
            false => desk.acknowledge(1),
        }
        desk.advance(desk.limits.qos0_settle);
        assert!(desk.begin(true).removals.is_empty(), "with QoS 0: {is_qos0}");
        assert_eq!(desk.counters.acknowledged.get(), 0);
        desk.audit();
    }
}
