//! Senders that change their minds (contract rule 12), with everything that can happen between.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::amending::{edit, named, recall, told};
use super::desk::Desk;
use inbox_store::Batch;
use inbox_types::{AttachmentId, Left, PublishState};

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
    reader: Option<AttachmentId>,
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
