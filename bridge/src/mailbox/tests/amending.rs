//! Senders that change their minds (contract rule 12).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::desk::{Desk, SIZE};
use crate::hub::tests::kit::{FAR, message_from};
use crate::mailbox::Amends;
use inbox_store::Batch;
use inbox_types::{COLLAPSE, Left, Message, Outcome, PublishState, Qos, Ticket};

/// A message with these names.
fn named(from: &str, id: Option<&str>, key: Option<&str>) -> Arc<Message> {
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

fn recall(desk: &mut Desk, from: &str, id: &str) -> u64 {
    desk.publish_message(named(from, None, None), Some(Amends::Recall(id.into())))
}

fn edit(desk: &mut Desk, from: &str, id: &str) -> u64 {
    let new = named(from, Some(id), None);
    desk.publish_message(named(from, None, None), Some(Amends::Edit(id.into(), new)))
}

/// What publishers were told since the last call.
fn told(desk: &Desk) -> BTreeMap<u64, PublishState> {
    let state = |(Ticket(ticket), outcome)| match outcome {
        Outcome::Accepted(proof) => (ticket, proof.state()),
        Outcome::Refused(refusal) => panic!("{ticket}: {refusal:?}"),
    };
    desk.port.take_settled().into_iter().map(state).collect()
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
    desk.commit();
    let reader = desk.attach(10);
    desk.turn_pages();
    assert_eq!(desk.delivered(), [1]);
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
    desk.commit();
    let reader = desk.attach(10);
    desk.turn_pages();
    assert_eq!(desk.delivered(), [1]);
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

#[derive(Debug, Clone)]
enum Op {
    Publish {
        from: usize,
        id: usize,
        key: usize,
    },
    Recall {
        from: usize,
        id: usize,
    },
    Edit {
        from: usize,
        id: usize,
    },
    Attach {
        window: u16,
    },
    Detach,
    Acknowledge,
    TurnPages,
    /// With what comes meanwhile.
    Commit {
        between: Vec<Op>,
    },
    /// The inbox leaves memory.
    Forget,
}

fn op() -> impl Strategy<Value = Op> {
    let (from, id, key) = (0..2_usize, 0..4_usize, 0..3_usize);
    let leaf = prop_oneof![
        6 => (from.clone(), id.clone(), key).prop_map(|(from, id, key)| Op::Publish { from, id, key }),
        2 => (from.clone(), id.clone()).prop_map(|(from, id)| Op::Recall { from, id }),
        2 => (from, id).prop_map(|(from, id)| Op::Edit { from, id }),
        1 => (1..4_u16).prop_map(|window| Op::Attach { window }),
        1 => Just(Op::Detach),
        2 => Just(Op::Acknowledge),
        2 => Just(Op::TurnPages),
    ];
    let between = prop::collection::vec(leaf.clone(), 0..3);
    prop_oneof![8 => leaf, 4 => between.prop_map(|between| Op::Commit { between }), 1 => Just(Op::Forget)]
}

const SENDERS: [&str; 2] = ["ann", "eve"];
const IDS: [Option<&str>; 4] = [None, Some("a"), Some("b"), Some("c")];
const KEYS: [Option<&str>; 3] = [None, Some("k"), Some("l")];

/// What has happened, as far as a sender and a reader can know.
#[derive(Default)]
struct World {
    desk: Desk,
    /// By seq: sender, id and key.
    published: BTreeMap<u64, (usize, usize, usize)>,
    /// Recalls and edits, with what they name.
    amending: BTreeMap<u64, (usize, usize)>,
    answered: BTreeMap<u64, PublishState>,
    delivered: BTreeSet<u64>,
    acknowledged: BTreeSet<u64>,
    in_hand: Vec<u64>,
    reader: Option<inbox_types::AttachmentId>,
}

impl World {
    fn apply(&mut self, op: Op) -> Result<(), TestCaseError> {
        match op {
            Op::Publish { from, id, key } => {
                let message = named(SENDERS[from], IDS[id], KEYS[key]);
                let seq = self.desk.publish_message(message, None);
                self.published.insert(seq, (from, id, key));
            }
            Op::Recall { from, id } => {
                let seq = recall(&mut self.desk, SENDERS[from], IDS[id].unwrap_or("none"));
                self.amending.insert(seq, (from, id));
            }
            Op::Edit { from, id } => {
                let seq = edit(&mut self.desk, SENDERS[from], IDS[id].unwrap_or("none"));
                self.amending.insert(seq, (from, id));
                self.published.insert(seq, (from, id, 0));
            }
            Op::Attach { window } => {
                self.in_hand.clear();
                self.reader = Some(self.desk.attach(window));
            }
            Op::Detach => {
                if let Some(reader) = self.reader.take() {
                    self.desk.detach(reader);
                    self.in_hand.clear();
                }
            }
            Op::Acknowledge => {
                if !self.in_hand.is_empty() {
                    let seq = self.in_hand.remove(0);
                    self.desk.acknowledge(seq);
                    self.acknowledged.insert(seq);
                }
            }
            Op::TurnPages => self.desk.turn_pages(),
            Op::Commit { between } => {
                let batch = self.desk.begin(true);
                self.is_whole(&batch)?;
                for op in between {
                    self.apply(op)?;
                }
                self.desk.finish(&batch);
                self.look()?;
                self.desk.audit();
            }
            Op::Forget => {
                if self.desk.mailbox.is_idle() {
                    self.desk.forget();
                }
            }
        }
        self.look()
    }

    fn look(&mut self) -> Result<(), TestCaseError> {
        for seq in self.desk.delivered() {
            self.delivered.insert(seq);
            self.in_hand.push(seq);
        }
        for (ticket, state) in told(&self.desk) {
            self.answered.insert(ticket, state);
        }
        let left: BTreeMap<u64, Left> = self.desk.left.iter().copied().collect();
        prop_assert_eq!(left.len(), self.desk.left.len(), "nothing leaves twice");
        for seq in left.keys() {
            prop_assert!(!self.acknowledged.contains(seq), "{} was acknowledged", seq);
        }
        Ok(())
    }

    /// What leaves for a later message is in a batch with that, unless that left in its turn.
    fn is_whole(&self, batch: &Batch) -> Result<(), TestCaseError> {
        let why = |seq: u64| {
            self.desk
                .left
                .iter()
                .find(|(left, _)| *left == seq)
                .map(|(_, why)| *why)
        };
        for seq in batch.removals.iter().map(|(_, seq)| seq.0) {
            let (from, id, key) = self.published.get(&seq).copied().unwrap_or_default();
            let is_meant = |(_, other): &(&u64, &(usize, usize, usize))| match why(seq) {
                // An edit has the key of what it replaced.
                Some(Left::Collapsed) if self.amending.contains_key(&seq) => other.0 == from && other.2 > 0,
                Some(Left::Collapsed) => (other.0, other.2) == (from, key),
                _ => (other.0, other.1) == (from, id),
            };
            let is_put = |other: u64| batch.puts.iter().any(|(_, entry)| entry.seq.0 == other);
            let mut later = self
                .published
                .range(seq + 1..)
                .filter(is_meant)
                .map(|(other, _)| *other);
            let needs = matches!(why(seq), Some(Left::Collapsed | Left::Edited));
            prop_assert!(
                !needs || later.any(|other| is_put(other) || why(other).is_some()),
                "{} left alone",
                seq
            );
        }
        Ok(())
    }

    /// At the end everything is durable and the reader has gone.
    fn end(&mut self) -> Result<(), TestCaseError> {
        self.apply(Op::Detach)?;
        for _ in 0..3 {
            self.apply(Op::Commit { between: Vec::new() })?;
        }
        let stored: BTreeSet<u64> = self.desk.stored().into_iter().collect();
        let left: BTreeMap<u64, Left> = self.desk.left.iter().copied().collect();
        for (seq, state) in &self.answered {
            let (is_recalled, is_left) = (*state == PublishState::Recalled, left.contains_key(seq));
            let is_there = stored.contains(seq) || self.acknowledged.contains(seq);
            prop_assert!(is_recalled || is_left || is_there, "{} is lost", seq);
            prop_assert!(!(is_recalled && is_there), "{} was never to be written", seq);
        }
        for (seq, (from, id)) in &self.amending {
            let named = |(other, of): (&u64, &(usize, usize, usize))| *other < *seq && (of.0, of.1) == (*from, *id);
            let meant = self.published.iter().filter(|of| *id > 0 && named(*of)).map(|of| *of.0);
            // An edit that was too late has an id of its own.
            let meant: Vec<u64> = meant.filter(|seq| self.answered[seq] != PublishState::Told).collect();
            let state = self.answered[seq];
            if matches!(state, PublishState::Recalled | PublishState::Edited) {
                let gone = |other: &&u64| matches!(left.get(*other), Some(Left::Recalled | Left::Edited));
                prop_assert!(
                    meant.iter().any(|other| gone(&other)),
                    "{}: nothing was there to be amended",
                    seq
                );
            }
            // Whatever it was, it is not to come any more.
            prop_assert!(
                meant
                    .iter()
                    .all(|other| !stored.contains(other) || self.delivered.contains(other)),
                "{}",
                seq
            );
        }
        for (seq, why) in &left {
            prop_assert!(!stored.contains(seq), "{} left and is there", seq);
            prop_assert!(*why != Left::Recalled || !self.published.is_empty());
        }
        prop_assert_eq!(
            self.answered.len(),
            self.answered.keys().copied().max().unwrap_or(0) as usize
        );
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    // Goal: whatever comes, and in whatever order: nothing is lost that nobody took back, what is taken back does not come any more, what
    // takes the place of something is in one commit with it, and the books agree with the store.
    #[test]
    fn rule_12_whatever_senders_change_their_minds_about(ops in prop::collection::vec(op(), 1..60)) {
        let mut world = World::default();
        for op in ops {
            world.apply(op)?;
        }
        world.end()?;
    }
}
