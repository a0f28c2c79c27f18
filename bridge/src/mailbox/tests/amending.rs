//! Senders that change their minds (contract rule 12), case by case.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::desk::{Desk, SIZE};
use crate::hub::tests::kit::{FAR, message_from};
use crate::mailbox::Amends;
use inbox_types::{AttachmentId, COLLAPSE, Left, Message, Outcome, PublishState, Qos, Seq, Ticket};

/// A message with these names.
pub(super) fn named(from: &str, id: Option<&str>, key: Option<&str>) -> Arc<Message> {
    let mut message = Message::clone(&message_from(from, 0, SIZE, Qos::AtLeastOnce, FAR));
    message.id = id.map(Box::from);
    if let Some(key) = key {
        message.properties.get_or_insert_default().user = vec![(COLLAPSE.into(), key.into())];
    }
    Arc::new(message)
}

fn collapsing(desk: &mut Desk, from: &str, key: &str) -> u64 {
    desk.publish_message(named(from, None, Some(key)), None)
}

fn with_id(desk: &mut Desk, from: &str, id: &str) -> u64 {
    desk.publish_message(named(from, Some(id), None), None)
}

pub(super) fn recall(desk: &mut Desk, from: &str, id: &str) -> u64 {
    desk.publish_message(named(from, None, None), Some(Amends::Recall(id.into())))
}

pub(super) fn edit(desk: &mut Desk, from: &str, id: &str) -> u64 {
    let new = named(from, Some(id), None);
    desk.publish_message(named(from, None, None), Some(Amends::Edit(id.into(), new)))
}

/// What publishers were told since the last call.
pub(super) fn told(desk: &Desk) -> BTreeMap<u64, PublishState> {
    let state = |(Ticket(ticket), outcome)| match outcome {
        Outcome::Accepted(proof) => (ticket, proof.state()),
        Outcome::Refused(refusal) => panic!("{ticket}: {refusal:?}"),
    };
    desk.port.take_settled().into_iter().map(state).collect()
}

/// A reader comes, and is sent what is there: one message.
fn read_first(desk: &mut Desk) -> AttachmentId {
    desk.commit();
    let reader = desk.attach(10);
    desk.turn_pages();
    assert_eq!(desk.delivered(), [1]);
    reader
}

// Goal: rule 12: of undelivered messages of one sender with one key the last one stays, in one commit; others are left alone.
#[test]
fn a_later_message_takes_the_place_of_those_with_its_key() {
    let mut desk = Desk::default();
    for (from, key) in [("ann", "temperature"), ("ann", "door"), ("eve", "temperature")] {
        collapsing(&mut desk, from, key);
    }
    desk.commit();
    collapsing(&mut desk, "ann", "temperature");
    let batch = desk.begin(false);
    assert_eq!(
        (batch.puts.len(), batch.removals.len()),
        (1, 1),
        "both are in one commit"
    );
    desk.finish(&batch);
    assert_eq!(
        (desk.stored(), desk.left.clone()),
        (vec![2, 3, 4], vec![(1, Left::Collapsed)])
    );
    desk.audit();
    desk.forget();
    collapsing(&mut desk, "ann", "temperature");
    desk.commit();
    assert_eq!(desk.stored(), [2, 3, 5], "what is found is found in the store, too");
    assert_eq!(
        (desk.counted(), desk.counters.collapsed.get()),
        (0, 2),
        "nobody missed anything"
    );
    assert_eq!(told(&desk).len(), 5, "everybody has an answer");
}

// Goal: what comes at once is collapsed before it is written, and whoever published it is told when the last one is durable.
#[test]
fn a_burst_is_written_as_its_last_message() {
    let mut desk = Desk::default();
    for _ in 0..3 {
        collapsing(&mut desk, "ann", "k");
    }
    let batch = desk.begin(false);
    assert_eq!(batch.puts.len(), 1);
    assert!(told(&desk).is_empty(), "the last one is not durable");
    desk.finish(&batch);
    assert_eq!((desk.stored(), told(&desk).len()), (vec![3], 3));
    desk.audit();
}

// Goal: what a reader has in its hands stays; when the reader goes without an acknowledgement, it is undelivered again.
#[test]
fn what_a_reader_has_is_not_collapsed() {
    let mut desk = Desk::default();
    collapsing(&mut desk, "ann", "k");
    let reader = read_first(&mut desk);
    collapsing(&mut desk, "ann", "k");
    desk.commit();
    assert_eq!((desk.stored(), desk.delivered()), (vec![1, 2], vec![2]));
    desk.detach(reader);
    collapsing(&mut desk, "ann", "k");
    desk.commit();
    assert_eq!(desk.stored(), [3]);
}

// Goal: a recall takes back what nobody was sent, wherever it is, and only of its sender; its reader is not told.
#[test]
fn a_recall_in_time_leaves_nothing() {
    let mut desk = Desk::default();
    with_id(&mut desk, "ann", "a");
    with_id(&mut desk, "eve", "a");
    desk.commit();
    assert_eq!(told(&desk).len(), 2);
    recall(&mut desk, "ann", "a");
    desk.commit();
    assert_eq!(
        (desk.stored(), told(&desk)),
        (vec![2], BTreeMap::from([(3, PublishState::Recalled)]))
    );
    with_id(&mut desk, "ann", "b");
    recall(&mut desk, "ann", "b");
    desk.commit();
    let both = BTreeMap::from([(4, PublishState::Stored), (5, PublishState::Recalled)]);
    assert_eq!(
        (desk.stored(), told(&desk)),
        (vec![2], both),
        "nor what was not written yet"
    );
    assert_eq!(desk.left, [(1, Left::Recalled), (4, Left::Recalled)]);
    desk.audit();
}

// Goal: a recall of what its reader has, or had, is told to the reader, after it; so is one of what is not known.
#[test]
fn a_recall_that_is_too_late_is_told() {
    let mut desk = Desk::default();
    with_id(&mut desk, "ann", "a");
    let reader = read_first(&mut desk);
    recall(&mut desk, "ann", "a");
    assert!(desk.delivered().is_empty(), "it waits until it is known what it is");
    desk.commit();
    assert_eq!((desk.delivered(), desk.stored()), (vec![2], vec![1, 2]));
    desk.acknowledge(1);
    desk.acknowledge(2);
    recall(&mut desk, "ann", "never sent");
    desk.commit();
    assert_eq!(desk.delivered(), [3]);
    desk.acknowledge(3);
    with_id(&mut desk, "ann", "b");
    assert_eq!(desk.delivered(), [4]);
    desk.detach(reader);
    desk.commit();
    recall(&mut desk, "ann", "b");
    desk.commit();
    assert_eq!(desk.stored(), [5], "it was sent once, and does not come again");
    let told = told(&desk);
    assert_eq!([2, 3, 5].map(|ticket| told[&ticket]), [PublishState::Told; 3]);
}

// Goal: an edit in time takes the place of the earlier message in one commit, and is one itself afterwards; too late it is a message beside it.
#[test]
fn an_edit_replaces_what_nobody_was_sent() {
    let mut desk = Desk::default();
    with_id(&mut desk, "ann", "a");
    desk.commit();
    edit(&mut desk, "ann", "a");
    let batch = desk.begin(false);
    assert_eq!(
        (batch.puts.len(), batch.removals.len()),
        (1, 1),
        "both are in one commit"
    );
    desk.finish(&batch);
    desk.audit();
    edit(&mut desk, "ann", "a");
    desk.commit();
    assert_eq!(desk.stored(), [3]);
    let entries = desk.store_entries();
    assert_eq!(entries[0].message.id.as_deref(), Some("a"), "it is found again");
    desk.attach(10);
    desk.turn_pages();
    edit(&mut desk, "ann", "a");
    desk.commit();
    assert_eq!((desk.stored(), desk.delivered()), (vec![3, 4], vec![3, 4]));
    let told = told(&desk);
    assert_eq!(
        (told[&2], told[&3], told[&4]),
        (PublishState::Edited, PublishState::Edited, PublishState::Told)
    );
}

// Goal: regression: an edit that left for a later message with its key, in one commit, was known by the `id` as if that were its own: after a restart a
// repetition of the first message was refused as another payload (rule 8).
#[test]
fn an_edit_that_is_replaced_before_it_is_written_is_still_an_edit() {
    let mut desk = Desk::default();
    desk.publish_message(named("ann", Some("a"), Some("door")), None);
    desk.commit();
    edit(&mut desk, "ann", "a");
    collapsing(&mut desk, "ann", "door");
    let batch = desk.begin(true);
    assert_eq!(
        (batch.puts.len(), batch.removals.len()),
        (1, 1),
        "the last of the three is there"
    );
    assert_eq!(desk.mailbox.edits().collect::<Vec<_>>(), [Seq(2)]);
}

// Goal: an edit goes on with the receipts that the earlier message asked for, so that its sender's wish is not lost.
#[test]
fn an_edit_asks_for_the_receipts_of_the_earlier_message() {
    let mut desk = Desk::default();
    let mut asking = Message::clone(&named("ann", Some("a"), None));
    let properties = asking.properties.get_or_insert_default();
    properties.response_topic = Some("ann".into());
    properties.user.push(("receipt".into(), "delivered".into()));
    desk.publish_message(Arc::new(asking), None);
    desk.commit();
    edit(&mut desk, "ann", "a");
    desk.commit();
    let entries = desk.store_entries();
    assert!(
        entries[0]
            .message
            .receipts_wanted()
            .is_some_and(|wanted| wanted.delivered)
    );
    assert!(desk.mailbox.due().is_empty(), "and none is owed for the earlier one");
}

// Goal: a receipt that was asked for comes, or goes on: where an edit has a Response Topic of its own, or replaces several, the others are told that
// they were edited; a `receipt` without a Response Topic means nothing, and is in nobody's way.
#[test]
fn no_receipt_is_lost_to_an_edit() {
    let asking = |topic: Option<&str>, receipt: Option<&str>| {
        let mut message = Message::clone(&named("ann", Some("a"), None));
        let properties = message.properties.get_or_insert_default();
        properties.response_topic = topic.map(Box::from);
        properties
            .user
            .extend(receipt.map(|what| ("receipt".into(), what.into())));
        Arc::new(message)
    };
    for (new, first_is_told) in [
        (asking(Some("elsewhere"), None), true),
        (asking(Some("elsewhere"), Some("delivered")), true),
        (asking(None, Some("nonsense")), false),
        (asking(None, None), false),
    ] {
        let mut desk = Desk::default();
        desk.publish_message(asking(Some("ann"), Some("delivered")), None);
        desk.publish_message(asking(Some("ann"), Some("delivered")), None);
        desk.commit();
        desk.publish_message(named("ann", None, None), Some(Amends::Edit("a".into(), new)));
        let batch = desk.begin(true);
        let due: Vec<_> = desk.mailbox.due().iter().map(|due| due.seq.0).collect();
        desk.finish(&batch);
        assert_eq!(due, if first_is_told { vec![1, 2] } else { vec![1] });
        let wanted = desk.store_entries()[0].message.receipts_wanted();
        assert_eq!(
            (desk.stored(), wanted.is_some()),
            (vec![3], due.len() == 1 || wanted.is_some())
        );
    }
}

// Goal: of edits that come at once each is told what became of it, though only the last one is written.
#[test]
fn each_of_several_edits_is_told_what_it_was() {
    let mut desk = Desk::default();
    with_id(&mut desk, "ann", "a");
    for _ in 0..3 {
        edit(&mut desk, "ann", "a");
    }
    recall(&mut desk, "ann", "a");
    desk.commit();
    let told: Vec<_> = told(&desk).into_values().collect();
    let edited = PublishState::Edited;
    assert_eq!(
        told,
        [PublishState::Stored, edited, edited, edited, PublishState::Recalled]
    );
    assert!(desk.stored().is_empty());
    desk.audit();
}

// Goal: what is amended is found with few questions, however much has the name: others wait for the committer, too.
#[test]
fn many_of_one_name_are_taken_back_at_once() {
    let mut desk = Desk::default();
    for _ in 0..300 {
        with_id(&mut desk, "ann", "a");
        desk.commit();
    }
    desk.forget();
    recall(&mut desk, "ann", "a");
    desk.commit();
    assert!(desk.stored().is_empty());
    assert_eq!(desk.counters.recalled.get(), 300);
}

// Goal: an edit goes on with the key of the earlier message, so that a later one takes its place, too.
#[test]
fn an_edit_has_the_key_of_the_earlier_message() {
    let mut desk = Desk::default();
    desk.publish_message(named("ann", Some("a"), Some("k")), None);
    desk.commit();
    edit(&mut desk, "ann", "a");
    desk.commit();
    collapsing(&mut desk, "ann", "k");
    desk.commit();
    assert_eq!(desk.stored(), [3]);
}

// Goal: nothing of an inbox that is full, or that cannot be read, is lost to a recall or an edit that is refused.
#[test]
fn a_refused_edit_changes_nothing() {
    let mut desk = Desk::default();
    desk.limits.inbox_messages_max = 1;
    desk.mailbox.size = desk.limits.inbox_size();
    with_id(&mut desk, "ann", "a");
    desk.commit();
    edit(&mut desk, "ann", "a");
    desk.commit();
    assert_eq!((desk.stored(), desk.counters.refused_inbox_full.get()), (vec![1], 1));
    desk.audit();
}
