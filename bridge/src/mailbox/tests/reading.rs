//! What the reader gets: Offline, Replaying, Live, and the ways between them.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::desk::{Desk, SIZE};
use crate::hub::tests::kit::SIZES;
use crate::hub::tests::kit::{FAR, age};
use inbox_store::{Page, Store};
use inbox_types::{Age, AttachmentId, Left, PAGE_BYTES_MAX, Seq};

// Goal: rule 4: what waited comes in acceptance order, page by page, then what is new.
#[test]
fn an_offline_inbox_is_replayed_and_then_live() {
    let mut desk = Desk::default();
    desk.store(10);
    assert!(desk.mailbox.is_idle(), "an offline inbox needs no memory");
    desk.attach(100);
    assert_eq!(desk.delivered(), [0; 0], "it is in the store");
    desk.publish();
    desk.turn_pages();
    assert_eq!(
        desk.delivered_with_dup(),
        (1..=11).map(|seq| (seq, false)).collect::<Vec<_>>()
    );
    desk.publish();
    assert_eq!(desk.delivered(), [12], "a live reader gets it before it is durable");
}

// Goal: at most `window` messages are unacknowledged (MQTT 5, section 4.9), and an acknowledgement, in any order, makes room.
#[test]
fn the_window_bounds_what_is_unacknowledged() {
    let mut desk = Desk::default();
    desk.attach(2);
    for _ in 0..4 {
        desk.publish();
    }
    assert_eq!(desk.delivered(), [1, 2]);
    desk.acknowledge(2);
    assert_eq!(desk.delivered(), [3]);
    desk.acknowledge(1);
    assert_eq!(desk.delivered(), [4]);
    desk.acknowledge(1);
    desk.publish();
    assert_eq!(
        desk.delivered(),
        [0; 0],
        "an acknowledgement that is repeated makes no room"
    );
}

// Goal: rule 4: a reader whose client takes no bytes gets one message and no page, what came meanwhile stays in the store, and all
// of it follows in order when bytes are taken again.
#[test]
fn a_reader_that_takes_no_bytes_gets_one_message_and_the_rest_stays_in_the_store() {
    let mut desk = Desk::default();
    let large = PAGE_BYTES_MAX;
    for _ in 0..3 {
        desk.publish_sized(large, FAR);
    }
    desk.commit();
    desk.port.is_full.store(true, Relaxed);
    let attachment = desk.attach(100);
    desk.turn_pages();
    assert_eq!(desk.delivered(), [1]);
    assert!(desk.wanted.is_none(), "no page is read for a client that takes nothing");
    desk.publish_sized(large, FAR);
    desk.commit();
    desk.acknowledge(1);
    desk.turn_pages();
    assert_eq!(desk.delivered(), [0; 0], "an acknowledgement is no room for bytes");
    desk.resume(AttachmentId(attachment.0 + 1));
    desk.turn_pages();
    assert_eq!(desk.delivered(), [0; 0], "another attachment takes more, not this one");
    for seq in 2..=4 {
        desk.resume(attachment);
        desk.turn_pages();
        assert_eq!(desk.delivered(), [seq]);
    }
    desk.port.is_full.store(false, Relaxed);
    desk.resume(attachment);
    let newest = desk.publish();
    assert_eq!(desk.delivered(), [newest], "live again");
}

// Goal: rule 9: what waits with QoS 0 for a reader that takes no bytes is bounded by bytes, too; one message always fits.
#[test]
fn rule_09_qos_0_that_waits_is_bounded_by_bytes() {
    let mut desk = Desk::default();
    desk.port.is_full.store(true, Relaxed);
    let attachment = desk.attach(100);
    for _ in 0..4 {
        desk.publish_qos0_sized(PAGE_BYTES_MAX / 2);
    }
    assert_eq!(desk.counters.qos0_undelivered.get(), 1, "one is sent, and two wait");
    desk.port.is_full.store(false, Relaxed);
    desk.resume(attachment);
    assert_eq!(desk.delivered(), [1, 2, 3]);
    desk.port.is_full.store(true, Relaxed);
    desk.publish_qos0();
    let large = desk.publish_qos0_sized(2 * PAGE_BYTES_MAX);
    desk.resume(attachment);
    assert_eq!(desk.delivered(), [large - 1, large]);
}

// Goal: rule 4 when memory is scarce: a page in hand and durable messages that are kept leave memory, and come in order when the
// reader has room.
#[test]
fn what_is_paged_out_is_read_again() {
    let mut desk = Desk::default();
    desk.store(4);
    desk.attach(1);
    desk.turn_pages();
    assert_eq!(desk.delivered(), [1]);
    assert!(desk.mailbox.memory_bytes() > 0, "a page is in hand");
    assert!(desk.page_out());
    assert_eq!(desk.mailbox.memory_bytes(), 0);
    for seq in 2..=4 {
        desk.acknowledge(seq - 1);
        desk.turn_pages();
        assert_eq!(desk.delivered(), [seq]);
    }
    // Live: two are kept for it.
    desk.acknowledge(4);
    desk.turn_pages();
    desk.store(3);
    assert_eq!((desk.delivered(), desk.mailbox.memory_bytes()), (vec![5], 2 * SIZE));
    assert!(desk.page_out());
    assert_eq!((desk.mailbox.memory_bytes(), desk.page_out()), (0, false));
    desk.is_short_of_memory = true;
    desk.store(1);
    assert_eq!(desk.mailbox.memory_bytes(), 0, "nothing new is kept");
    for seq in 6..=8 {
        desk.acknowledge(seq - 1);
        desk.turn_pages();
        assert_eq!(desk.delivered(), [seq]);
    }
}

// Goal: what is read ahead for a reader is bounded by bytes, however large its window.
#[test]
fn pages_in_hand_are_bounded_by_bytes() {
    let mut desk = Desk::default();
    for _ in 0..20 {
        desk.publish_sized(PAGE_BYTES_MAX - 1, FAR);
    }
    desk.commit();
    desk.attach(3);
    desk.turn_pages();
    assert_eq!(desk.delivered(), [1, 2, 3]);
    for seq in 1..=10 {
        desk.acknowledge(seq);
        desk.turn_pages();
        assert!(desk.mailbox.memory_bytes() < 2 * PAGE_BYTES_MAX, "at {seq}");
    }
}

// Goal: a reader that falls behind what memory keeps goes on from the store, misses nothing, and becomes live again.
#[test]
fn a_slow_reader_falls_back_to_the_store_and_catches_up() {
    let mut desk = Desk::default();
    desk.attach(1);
    let count = 3 * SIZES.kept_max as u64;
    desk.store(count as usize);
    for seq in 1..=count {
        desk.turn_pages();
        assert_eq!(desk.delivered(), [seq]);
        desk.acknowledge(seq);
    }
    let newest = desk.publish();
    assert_eq!(desk.delivered(), [newest], "live again: no page is needed");
    assert!(desk.wanted.is_none());
}

// Goal: a reader that keeps up is served from memory.
#[test]
fn what_memory_keeps_needs_no_page() {
    let mut desk = Desk::default();
    desk.attach(1);
    desk.store(SIZES.kept_max);
    for seq in 1..=SIZES.kept_max as u64 {
        assert_eq!(desk.delivered(), [seq]);
        desk.acknowledge(seq);
    }
    assert!(desk.wanted.is_none());
    desk.commit();
    assert_eq!(desk.stored(), [0; 0]);
}

// Goal: memory keeps messages for a live reader by their bytes, too: large ones go to the store alone, however few they are, and the
// reader gets them from there.
#[test]
fn large_messages_are_not_kept_for_a_reader_that_has_stopped() {
    let mut desk = Desk::default();
    desk.attach(1);
    let count = SIZES.kept_max as u64;
    for _ in 0..count {
        desk.publish_sized(PAGE_BYTES_MAX / 2 + 1, FAR);
    }
    desk.commit();
    assert_eq!(
        desk.mailbox.young.len(),
        0,
        "none is kept, for the one that might be is followed by others"
    );
    for seq in 1..=count {
        desk.turn_pages();
        assert_eq!(desk.delivered(), [seq]);
        desk.acknowledge(seq);
    }
}

// Goal: rule 4: to subscribe again is to be replayed to from the start, with DUP for what was sent before, and only for that.
#[test]
fn resubscribing_replays_with_dup() {
    let mut desk = Desk::default();
    let first = desk.attach(2);
    for _ in 0..3 {
        desk.publish();
    }
    assert_eq!(desk.delivered(), [1, 2]);
    let second = desk.attach(5);
    assert_eq!(desk.delivered_with_dup(), [(1, true), (2, true), (3, false)]);
    desk.detach(first);
    desk.publish();
    assert_eq!(
        desk.delivered(),
        [4],
        "the end of a replaced attachment is not the end of its successor"
    );
    desk.detach(second);
    desk.publish();
    assert_eq!(desk.delivered(), [0; 0]);
}

// Goal: a page for an attachment that was replaced is not for its successor.
#[test]
fn a_page_for_a_replaced_attachment_is_dropped() {
    let mut desk = Desk::default();
    desk.store(3);
    desk.attach(5);
    let (stale, page) = desk.read().unwrap();
    let fresh = desk.attach(5);
    assert!(!desk.mailbox.is_attached(stale) && desk.mailbox.is_attached(fresh));
    desk.give(stale, page);
    assert_eq!(desk.delivered(), [0; 0]);
    desk.turn_pages();
    assert_eq!(desk.delivered(), [1, 2, 3]);
}

// Goal: a message larger than the client takes stays in the inbox, and does not hold up the next.
#[test]
fn a_skipped_message_stays_and_the_next_goes_on() {
    let mut desk = Desk::default();
    let reader = desk.attach(1);
    desk.publish();
    desk.publish();
    desk.skip(1);
    assert_eq!(desk.delivered(), [1, 2]);
    assert_eq!(
        desk.commit_by,
        Some(desk.now.mono),
        "nobody is about to acknowledge it: it goes to the disk"
    );
    desk.acknowledge(2);
    desk.commit();
    assert_eq!(desk.stored(), [1]);
    desk.detach(reader);
    desk.attach(1);
    desk.turn_pages();
    assert_eq!(desk.delivered(), [1]);
}

// Goal: rule 9: QoS 0 reaches a reader that is there, takes no place in the window, and is never stored.
#[test]
fn qos0_is_for_a_reader_that_is_there() {
    let mut desk = Desk::default();
    desk.publish_qos0();
    assert_eq!(desk.counters.qos0_undelivered.get(), 1);
    desk.attach(1);
    desk.turn_pages();
    desk.publish_qos0();
    desk.publish_qos0();
    assert_eq!(desk.delivered(), [2, 3]);
    desk.commit();
    assert_eq!(desk.stored(), [0; 0]);
}

// Goal: regression: while its reader is replayed to, a QoS 0 message waits for its place in the order (rule 6). It was
// passed over when later messages became durable, and took room in memory for as long as the reader stayed.
#[test]
fn qos0_keeps_its_place_during_a_replay() {
    let mut desk = Desk::default();
    desk.store(6);
    desk.attach(100);
    let qos0 = desk.publish_qos0();
    desk.store(6);
    desk.turn_pages();
    assert_eq!(desk.delivered(), (1..=13).collect::<Vec<_>>());
    for seq in (1..=13).filter(|seq| *seq != qos0) {
        desk.acknowledge(seq);
    }
    desk.commit();
    assert_eq!((desk.stored(), desk.counters.qos0_undelivered.get()), (vec![], 0));
    desk.detach(AttachmentId(1));
    assert!(desk.mailbox.is_idle());
}

// Goal: QoS 0 for a reader that does not read is bounded in memory, and counted when it is not delivered.
#[test]
fn qos0_for_a_slow_reader_is_bounded_and_counted() {
    let mut desk = Desk::default();
    let reader = desk.attach(1);
    desk.publish();
    for _ in 0..SIZES.kept_max + 3 {
        desk.publish_qos0();
    }
    assert_eq!(desk.counters.qos0_undelivered.get(), 3);
    desk.detach(reader);
    assert_eq!(desk.counters.qos0_undelivered.get(), 3 + SIZES.kept_max as u64);
    desk.audit();
}

// Goal: rule 5: what expired is not delivered; it leaves, and somebody is told. Young and stored alike.
#[test]
fn what_expired_leaves_instead_of_being_delivered() {
    let mut desk = Desk::default();
    let soon = Age(age(desk.now).0 + 1_000);
    desk.publish_sized(8, soon);
    desk.publish();
    desk.commit();
    desk.publish_sized(8, soon);
    desk.advance(Duration::from_millis(1));
    desk.attach(5);
    desk.turn_pages();
    assert_eq!(desk.delivered(), [2]);
    assert_eq!(desk.left, [(1, Left::Expired), (3, Left::Expired)]);
    assert_eq!(desk.accepted(), [1, 2, 3], "it was accepted, and left by a rule");
    desk.commit();
    assert_eq!(desk.stored(), [2]);
}

// Goal: regression: a message whose removal became durable is not delivered from a page that was read before (rule 5).
#[test]
fn a_page_in_hand_does_not_bring_back_what_is_gone() {
    let mut desk = Desk::default();
    desk.store(3);
    desk.attach(1);
    desk.turn_pages();
    assert_eq!(desk.delivered(), [1]);
    // For a delivery of an earlier attachment; 2 is in the page already.
    desk.acknowledge(2);
    desk.commit();
    desk.acknowledge(1);
    assert_eq!(desk.delivered(), [3]);
}

// Goal: regression: the same for a page that is under way while the removal becomes durable.
#[test]
fn a_page_under_way_does_not_bring_back_what_is_gone() {
    let mut desk = Desk::default();
    desk.store(3);
    desk.attach(5);
    let (attachment, page) = desk.read().unwrap();
    desk.acknowledge(2);
    desk.commit();
    desk.give(attachment, page);
    desk.turn_pages();
    assert_eq!(desk.delivered(), [1, 3]);
}

// Goal: a read that races a commit may see any part of it: only what was durable when the page was asked for is taken from
// it, so nothing is missed.
#[test]
fn a_page_that_saw_half_a_commit_loses_nothing() {
    let mut desk = Desk::default();
    desk.store(1);
    desk.attach(5);
    desk.publish();
    desk.publish();
    let (attachment, _) = desk.read().unwrap();
    desk.commit();
    let mut torn = desk
        .store
        .read(&crate::hub::tests::kit::id("bob"), Seq::ZERO, super::desk::PAGE)
        .unwrap();
    assert_eq!(torn.entries.remove(1).seq, Seq(2));
    desk.give(attachment, Page { more: false, ..torn });
    desk.turn_pages();
    assert_eq!(desk.delivered(), [1, 2, 3]);
}
