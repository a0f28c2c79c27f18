//! What goes to the store and when, and who is told.

use std::time::Duration;

use super::desk::{Desk, PAGE};
use crate::hub::tests::kit::{FAR, age, id};
use inbox_store::Store;
use inbox_types::{Age, Left, Outcome, Refusal, Seq, Ticket};

// Goal: rule 3: PUBACK is for after the commit, not before; an offline recipient's message does not wait for company.
#[test]
fn accepted_means_committed() {
    let mut desk = Desk::default();
    desk.publish();
    assert_eq!(desk.commit_by, Some(desk.now.mono));
    let batch = desk.begin(false);
    assert_eq!(desk.accepted(), [0; 0]);
    desk.finish(&batch);
    assert_eq!(desk.accepted(), [1]);
    assert_eq!(desk.stored(), [1]);
}

// Goal: a message that its reader is about to acknowledge is held back from the disk for `commit_hold`, not longer.
#[test]
fn a_message_in_flight_is_held() {
    let mut desk = Desk::default();
    desk.attach(1);
    desk.publish();
    let held_until = desk.now.mono + desk.limits.commit_hold;
    assert_eq!(desk.commit_by, Some(held_until));
    assert!(desk.begin(false).is_empty());
    desk.advance(desk.limits.commit_hold);
    assert_eq!(desk.begin(false).puts.len(), 1);
}

// Goal: a hold waits for a reader: when the reader goes, it ends at once, and so it does for what does not fit the window.
#[test]
fn a_hold_ends_with_its_reader() {
    let mut desk = Desk::default();
    let reader = desk.attach(1);
    desk.publish();
    desk.detach(reader);
    assert_eq!(desk.commit_by, Some(desk.now.mono));
    assert_eq!(desk.begin(false).puts.len(), 1);

    let mut desk = Desk::default();
    desk.attach(1);
    desk.publish();
    desk.publish();
    assert_eq!(
        desk.begin(false).puts.len(),
        2,
        "one that is due takes those before it along: they become durable in order"
    );
}

// Goal: rule 3, the fast path: acknowledged before its batch begins, a message is never written, and its publisher is told at once.
#[test]
fn acknowledged_before_the_commit_is_never_written() {
    let mut desk = Desk::default();
    desk.attach(1);
    desk.publish();
    desk.acknowledge(1);
    assert_eq!(desk.accepted(), [1]);
    assert_eq!(desk.counters.never_written.get(), 1);
    desk.commit();
    assert_eq!(desk.store.commits(), 0);
    desk.audit();
}

// Goal: acknowledged while its batch is written, its publisher is told at once, once; it is removed in the batch after.
#[test]
fn acknowledged_while_committing_is_removed_afterwards() {
    let mut desk = Desk::default();
    desk.attach(1);
    desk.publish();
    let batch = desk.begin(true);
    desk.acknowledge(1);
    desk.acknowledge(1);
    assert_eq!(desk.accepted(), [1]);
    assert_eq!(
        desk.counters.acknowledged.get(),
        1,
        "a repeated acknowledgement changes nothing"
    );
    desk.finish(&batch);
    assert_eq!((desk.accepted(), desk.stored()), (vec![], vec![1]));
    desk.commit();
    assert_eq!(desk.stored(), [0; 0]);
}

// Goal: rule 7: a removal waits for company, for `ack_flush_interval` at most.
#[test]
fn removals_are_flushed_within_the_interval() {
    let mut desk = Desk::default();
    desk.attach(5);
    desk.store(2);
    desk.acknowledge(1);
    let flush_at = desk.now.mono + desk.limits.ack_flush_interval;
    assert_eq!(desk.commit_by, Some(flush_at));
    desk.advance(Duration::from_millis(1));
    desk.acknowledge(2);
    assert!(desk.begin(false).is_empty());
    desk.now.mono = flush_at;
    assert_eq!(desk.begin(false).removals.len(), 2);
}

// Goal: after a failed commit nobody waits: each publisher is refused, once.
#[test]
fn a_failure_refuses_all_who_wait() {
    let mut desk = Desk::default();
    desk.publish();
    let _batch = desk.begin(true);
    desk.publish();
    desk.mailbox.fail(&desk.counters);
    desk.mailbox.fail(&desk.counters);
    let refused = Outcome::Refused(Refusal::StoreFailed);
    assert_eq!(
        desk.port.take_settled(),
        [(Ticket(1), refused.clone()), (Ticket(2), refused)]
    );
}

// Goal: when the store cannot be read for an inbox, what waits for it is refused and forgotten; a removal is still flushed.
#[test]
fn an_unreadable_inbox_refuses_and_still_removes() {
    let mut desk = Desk::default();
    desk.store(1);
    desk.accepted();
    desk.attach(5);
    desk.turn_pages();
    desk.acknowledge(1);
    desk.publish();
    desk.mailbox.visit_at = None;
    desk.step(|mailbox, cx, fx| mailbox.refuse_waiting(Refusal::StoreFailed, false, cx, fx));
    assert_eq!(
        desk.port.take_settled(),
        [(Ticket(2), Outcome::Refused(Refusal::StoreFailed))]
    );
    desk.audit();
    assert_eq!(desk.commit_by, Some(desk.now.mono + desk.limits.ack_flush_interval));
    // It was sent before it was refused: the acknowledgement frees its place and removes nothing.
    desk.acknowledge(2);
    desk.commit();
    assert_eq!(desk.stored(), [0; 0]);
    desk.audit();
}

// Goal: regression: an acknowledgement of what is not there changes nothing. It was taken off the totals, so that an inbox with
// mail looked empty, and its reader did not get that mail.
#[test]
fn an_unknown_acknowledgement_does_not_hide_mail() {
    let mut desk = Desk::default();
    desk.attach(5);
    desk.store(1);
    desk.acknowledge(1);
    desk.commit();
    desk.detach(inbox_types::AttachmentId(1));
    desk.store(1);
    desk.acknowledge(1);
    desk.publish();
    let batch = desk.begin(true);
    desk.attach(5);
    desk.finish(&batch);
    desk.commit();
    desk.turn_pages();
    assert_eq!(desk.delivered(), [1, 2, 3]);
    desk.audit();
}

// Goal: a reader that acknowledges on and on what nobody knows the size of holds publishers up for one batch, not for ever, and the
// totals are right again afterwards.
#[test]
fn late_acknowledgements_put_a_publisher_off_once() {
    let mut desk = Desk::default();
    desk.store(3);
    desk.accepted();
    desk.acknowledge(1);
    desk.publish();
    let batch = desk.begin(false);
    assert_eq!((batch.puts.len(), batch.removals.len()), (0, 1));
    desk.acknowledge(2);
    desk.finish(&batch);
    let batch = desk.begin(false);
    desk.finish(&batch);
    assert_eq!((desk.accepted(), desk.stored()), (vec![4], vec![3, 4]));
    desk.audit();
}

// Goal: rule 5: a sweep takes out what expired in the store, and leaves what a reader has in hand to its acknowledgement.
#[test]
fn a_sweep_takes_what_expired_from_the_store() {
    let mut desk = Desk::default();
    let soon = Age(age(desk.now).0 + 1_000);
    for expires_at in [soon, soon, FAR] {
        desk.publish_sized(8, expires_at);
    }
    desk.commit();
    desk.attach(1);
    desk.turn_pages();
    desk.advance(Duration::from_millis(1));
    sweep(&mut desk);
    assert_eq!(desk.left, [(2, Left::Expired)]);
    desk.commit();
    assert_eq!(desk.stored(), [1, 3]);
    desk.audit();
}

// Goal: regression: a sweep that reports late what has left meanwhile does not spoil the totals.
#[test]
fn a_late_sweep_does_not_hide_mail() {
    let mut desk = Desk::default();
    desk.publish_sized(8, Age(age(desk.now).0 + 1_000));
    desk.publish();
    desk.attach(1);
    desk.commit();
    let entries = desk.store.read(&id("bob"), Seq::ZERO, PAGE).unwrap().entries;
    desk.advance(Duration::from_millis(1));
    desk.acknowledge(1);
    desk.commit();
    desk.step(|mailbox, cx, fx| entries.iter().for_each(|entry| mailbox.expire_stored(entry, cx, fx)));
    desk.delivered();
    desk.attach(5);
    desk.turn_pages();
    assert_eq!(desk.delivered(), [2]);
    desk.commit();
    desk.audit();
}

fn sweep(desk: &mut Desk) {
    let entries = desk.store.read(&id("bob"), Seq::ZERO, PAGE).unwrap().entries;
    desk.step(|mailbox, cx, fx| entries.iter().for_each(|entry| mailbox.expire_stored(entry, cx, fx)));
}

// Goal: rule 3: when totals cannot be read for now, nobody is sent what was refused: what the reader has already waits, and is asked for again.
// It was refused, though the reader had it.
#[test]
fn rule_03_what_was_sent_is_not_refused_by_a_passing_trouble() {
    let mut desk = Desk::default();
    desk.attach(1);
    desk.publish();
    assert_eq!(desk.delivered(), [1]);
    desk.publish();
    desk.step(|mailbox, cx, fx| mailbox.refuse_waiting(Refusal::StoreTroubled, false, cx, fx));
    assert_eq!(
        desk.port.take_settled(),
        [(Ticket(2), Outcome::Refused(Refusal::StoreTroubled))]
    );
    let again = desk.commit_by.expect("the committer is asked to come again");
    assert!(again > desk.now.mono, "not at once: the store lacks something");
    desk.advance(again - desk.now.mono);
    let batch = desk.begin(false);
    assert_eq!(batch.puts.len(), 1);
    desk.finish(&batch);
    assert_eq!(desk.accepted(), [1]);
}
