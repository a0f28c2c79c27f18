//! Counting what leaves unread.

use std::sync::Arc;
use std::time::Duration;

use super::desk::{Desk, SIZE};
use crate::hub::tests::kit::{FAR, age, message_from, small};
use crate::mailbox::Place;
use inbox_types::{Limits, Message, Qos, Seq, WhenFull};

const SECOND: Duration = Duration::from_secs(1);

/// What was delivered since the last call: each seq, and how many its reader was told to have missed.
fn told(desk: &Desk) -> Vec<(u64, u64)> {
    let delivered = desk.port.take_delivered();
    delivered
        .iter()
        .map(|(_, delivery)| (delivery.seq.0, delivery.dropped))
        .collect()
}

// Goal: rule 5: what expires is counted in the batch that removes it, and a reader is told when that is durable, not before. What it
// acknowledges is not counted.
#[test]
fn rule_05_what_left_unread_is_counted_with_its_removal() {
    let mut desk = Desk::default();
    let soon = age(desk.now).after(SECOND);
    desk.publish_sized(SIZE, soon);
    desk.publish_sized(SIZE, soon);
    desk.store(1);
    desk.advance(2 * SECOND);
    desk.attach(10);
    desk.turn_pages();
    assert_eq!(told(&desk), [(3, 0)]);
    desk.acknowledge(3);
    let batch = desk.begin(true);
    assert_eq!((batch.removals.len(), batch.tables.len()), (3, 1));
    assert_eq!(desk.counted(), 0);
    desk.publish();
    assert_eq!(told(&desk), [(4, 0)], "a crash may bring them back");
    desk.finish(&batch);
    assert_eq!(desk.counted(), 2);
    desk.publish();
    assert_eq!(told(&desk), [(5, 2)]);
    desk.acknowledge(4);
    desk.acknowledge(5);
    assert!(desk.begin(true).tables.is_empty());
}

// Goal: rule 5: the oldest that make room are counted, written or not; so is what an operator removes. QoS 0 is not.
#[test]
fn rule_05_what_is_dropped_or_purged_is_counted() {
    let mut desk = Desk::new(Limits {
        when_full: WhenFull::DropOldest,
        inbox_messages_max: 2,
        ..small()
    });
    desk.store(2);
    desk.store(5);
    desk.commit();
    assert_eq!(desk.stored(), [6, 7]);
    assert_eq!(desk.counted(), 5);
    desk.publish();
    let left = desk.step(|mailbox, cx, fx| mailbox.purge_young(Seq(100), cx, fx));
    assert_eq!(left, [Seq(8)]);
    desk.commit();
    assert_eq!(desk.counted(), 6, "it was never written");
    let places = [6, 7].map(|seq| Place {
        seq: Seq(seq),
        message: None,
    });
    desk.step(|mailbox, cx, fx| mailbox.purge_stored(&places, cx, fx));
    desk.attach(10);
    desk.publish_qos0();
    desk.commit();
    assert_eq!(desk.counted(), 8);
}

// Goal: rule 5: an inbox that comes back into memory asks the store before it delivers anything, or counts more.
#[test]
fn rule_05_what_left_before_is_known_before_the_first_delivery() {
    let mut desk = Desk::default();
    let soon = age(desk.now).after(SECOND);
    desk.publish_sized(SIZE, soon);
    desk.store(1);
    desk.advance(2 * SECOND);
    let entries = desk.store_entries();
    desk.step(|mailbox, cx, fx| entries.iter().for_each(|entry| mailbox.expire_stored(entry, cx, fx)));
    desk.commit();
    desk.forget();
    desk.mailbox.forget_unread();
    desk.attach(10);
    assert!(desk.wants_unread);
    desk.turn_pages();
    desk.publish_sized(SIZE, FAR);
    assert_eq!(told(&desk), []);
    let stored = desk.counted();
    desk.step(|mailbox, cx, fx| mailbox.unread_read(stored, cx, fx));
    assert_eq!(told(&desk), [(2, 1), (3, 1)]);
    // An answer that comes late changes nothing.
    desk.step(|mailbox, cx, fx| mailbox.unread_read(0, cx, fx));
    desk.publish();
    assert_eq!(told(&desk), [(4, 1)]);
    let mut desk = Desk::default();
    desk.publish_sized(SIZE, age(desk.now).after(SECOND));
    desk.commit();
    desk.mailbox.forget_unread();
    desk.advance(2 * SECOND);
    let entries = desk.store_entries();
    desk.step(|mailbox, cx, fx| entries.iter().for_each(|entry| mailbox.expire_stored(entry, cx, fx)));
    desk.commit();
    assert_eq!(desk.counted(), 1);
}

// Goal: rule 5: what is to be durable of a message that left unread and was never written, as its receipt, is in no batch before the count.
#[test]
fn rule_05_what_was_never_written_is_counted_before_anything_is_told_of_it() {
    let mut desk = Desk::default();
    desk.mailbox.forget_unread();
    let message = Message {
        id: Some("x".into()),
        ..Arc::unwrap_or_clone(message_from("alice", 1, SIZE, Qos::AtLeastOnce, FAR))
    };
    desk.publish_message(Arc::new(message), None);
    desk.step(|mailbox, cx, fx| mailbox.purge_young(Seq(1), cx, fx));
    assert!(
        !desk.mailbox.has_unwritten(),
        "the store was not asked how many left before"
    );
    desk.step(|mailbox, cx, fx| mailbox.unread_read(4, cx, fx));
    assert!(desk.mailbox.has_unwritten());
    desk.commit();
    assert_eq!(desk.counted(), 5);
}
