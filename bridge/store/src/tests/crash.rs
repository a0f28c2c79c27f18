//! Crashes at any operation, over a disk and a tree in memory that lose what was not synced.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::{AT_ONCE, batch_of};
use crate::contract::{all, change, entry, id, table};
use crate::record::PIECE_BYTES;
use crate::simulated::{Lack, SimStore};
use crate::{Batch, HeldCommits, InboxRecord, PageLimit, Store, StoreError, Table, TableChange, TableKey, Trouble};
use inbox_types::{ClientId, Entry, Seq};

const INBOXES: [&str; 3] = ["a", "ab", "b"];
const TABLES: [Table; 2] = [Table::DEDUPE, Table::RETAINED];

/// One step. Numbers are turned into what makes sense when the step is taken.
#[derive(Debug, Clone)]
enum Step {
    /// Puts of (inbox, how far back its seq may be, payload bytes), and removals by place among all that there are.
    Commit(Vec<(usize, u64, usize)>, Vec<prop::sample::Index>, bool),
    Checkpoint,
    /// A checkpoint that there is something too little for.
    Lacking(Lack),
    /// There is no space for the next commits.
    Full,
    /// How many operations later, of what seed, and how many operations later again while the store is being opened.
    Crash(usize, u64, Option<usize>),
    Reopen,
    /// A backup begins, or all end.
    Hold(bool),
}

fn step() -> impl Strategy<Value = Step> {
    let size =
        prop_oneof![6 => 0usize..300, 3 => 3_000usize..6_000, 1 => 16_000usize..17_000, 1 => 30_000usize..60_000];
    let puts = prop::collection::vec((0..INBOXES.len(), 0u64..40, size), 0..12);
    let removals = prop::collection::vec(any::<prop::sample::Index>(), 0..8);
    prop_oneof![
        6 => (puts, removals, any::<bool>()).prop_map(|(p, r, s)| Step::Commit(p, r, s)),
        3 => Just(Step::Checkpoint),
        2 => prop::sample::select(vec![Lack::Descriptors, Lack::Names, Lack::Bytes, Lack::Space]).prop_map(Step::Lacking),
        2 => Just(Step::Full),
        2 => (0usize..60, any::<u32>(), prop::option::of(0usize..20))
            .prop_map(|(n, seed, again)| Step::Crash(n, seed.into(), again)),
        1 => Just(Step::Reopen),
        2 => any::<bool>().prop_map(Step::Hold),
    ]
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Contents {
    entries: BTreeMap<(ClientId, Seq), Entry>,
    tables: BTreeMap<(Table, TableKey), Bytes>,
    reserved: u64,
    age: Duration,
}

impl Contents {
    fn apply(&mut self, batch: &Batch) {
        for (inbox, entry) in &batch.puts {
            self.entries.insert((inbox.clone(), entry.seq), entry.clone());
        }
        for key in &batch.removals {
            self.entries.remove(key);
        }
        for TableChange { table, key, value } in &batch.tables {
            let place = (*table, key.clone());
            match value {
                Some(value) => _ = self.tables.insert(place, value.clone()),
                None => _ = self.tables.remove(&place),
            }
        }
        self.reserved = self.reserved.max(batch.reserve.map_or(0, |seq| seq.0));
        self.age = self.age.max(batch.age.unwrap_or_default());
    }

    /// How many pieces its values take beside their first ones.
    fn table_pieces(&self) -> usize {
        let pieces = |value: &Bytes| value.len().saturating_sub(PIECE_BYTES).div_ceil(PIECE_BYTES);
        self.tables.values().map(pieces).sum()
    }

    /// What is where, for a message that can be read.
    fn places(&self) -> Vec<(&str, u64)> {
        self.entries
            .keys()
            .map(|(inbox, seq)| (inbox.as_str(), seq.0))
            .collect()
    }

    fn of(store: &dyn Store) -> Self {
        let mut entries = BTreeMap::new();
        let limit = PageLimit {
            messages: 5,
            bytes: 20_000,
        };
        for inbox in INBOXES.map(id) {
            let found = all(store, &inbox, limit);
            let record = store.inbox(&inbox).unwrap().unwrap_or_default();
            let bytes = found.iter().map(|entry| entry.message.size() as u64).sum();
            let messages = found.len() as u64;
            assert_eq!(record, InboxRecord { messages, bytes }, "totals are what there is");
            assert!(found.is_sorted_by(|a, b| a.seq < b.seq));
            entries.extend(found.into_iter().map(|entry| ((inbox.clone(), entry.seq), entry)));
        }
        let held: Vec<ClientId> = store
            .inboxes(None, 10)
            .unwrap()
            .into_iter()
            .map(|(inbox, _)| inbox)
            .collect();
        let mut expected: Vec<ClientId> = entries.keys().map(|(inbox, _)| inbox.clone()).collect();
        expected.dedup();
        assert_eq!(held, expected);
        let mut tables = BTreeMap::new();
        for of in TABLES {
            tables.extend(table(store, of, b"").into_iter().map(|(key, value)| ((of, key), value)));
        }
        for ((table, key), value) in &tables {
            assert!(store.get(*table, key).unwrap().as_ref() == Some(value));
        }
        Contents {
            entries,
            tables,
            reserved: store.reserved().unwrap().0,
            age: store.age().unwrap(),
        }
    }
}

struct World {
    machine: SimStore,
    contents: Contents,
    /// A commit that failed: it may be there, as a whole, after the next opening.
    doubtful: Option<Batch>,
    last: u64,
    used: std::collections::BTreeSet<u64>,
    /// There is no space for the next commit.
    is_full: bool,
    /// What backups hold on to, and how many commits were acknowledged since.
    held: Vec<(Box<dyn HeldCommits>, u64)>,
}

impl World {
    fn new() -> Self {
        World {
            machine: SimStore::new().unwrap(),
            contents: Contents::default(),
            doubtful: None,
            last: 100,
            used: Default::default(),
            is_full: false,
            held: Vec::new(),
        }
    }

    /// The power was off, and comes back. It may go off again while the store is opened, after `then_off_after` operations.
    fn restart(&mut self, seed: u64, then_off_after: Option<usize>) {
        self.is_full = false;
        // The process is gone: nothing of it is let go of.
        std::mem::take(&mut self.held).into_iter().for_each(std::mem::forget);
        if self.machine.restart(seed, then_off_after).is_err() {
            assert!(
                self.machine.is_off(),
                "seed {seed}: only a crash keeps a store from being opened"
            );
            self.machine.restart(seed + 1, None).unwrap();
        }
        if self.machine.is_doomed() {
            self.machine.restart(seed + 2, None).unwrap();
        }
        self.check();
    }

    fn check(&mut self) {
        let found = Contents::of(self.machine.store());
        if let Some(batch) = self.doubtful.take() {
            let mut with_it = self.contents.clone();
            with_it.apply(&batch);
            assert!(found == self.contents || found == with_it, "all of a commit or nothing");
            self.contents = found;
        } else {
            assert!(found == self.contents, "what was acknowledged, and nothing else");
        }
    }

    fn commit(&mut self, puts: &[(usize, u64, usize)], removals: &[prop::sample::Index], reserve: bool) {
        let mut batch = Batch::default();
        for &(inbox, back, size) in puts {
            self.last += 1;
            let seq = if self.used.contains(&(self.last - back)) {
                self.last
            } else {
                self.last - back
            };
            self.used.insert(seq);
            batch.puts.push((id(INBOXES[inbox]), entry(seq, size)));
        }
        let keys: Vec<_> = self.contents.entries.keys().cloned().collect();
        for index in removals.iter().filter(|_| !keys.is_empty()) {
            batch.removals.push(index.get(&keys).clone());
        }
        for &(inbox, back, size) in puts {
            // A few keys, so that values of all sizes take each other's place.
            let value = (back % 4 > 0).then(|| vec![self.last as u8; size]);
            batch.tables.push(change(
                TABLES[inbox % 2],
                &[inbox as u8, size as u8 % 3],
                value.as_deref(),
            ));
        }
        batch.reserve = reserve.then_some(Seq(self.last));
        batch.age = reserve.then_some(Duration::from_secs(self.last));
        match self.machine.store().commit(&batch) {
            Ok(()) => {
                self.contents.apply(&batch);
                let is_one = u64::from(!batch.is_empty());
                self.held.iter_mut().for_each(|(_, commits)| *commits += is_one);
            }
            // It was not written, and may be tried again.
            Err(StoreError::Troubled(Trouble::NoSpace)) if self.is_full => {}
            // Only the first can have been written.
            Err(_) => _ = self.doubtful.get_or_insert(batch),
        }
        if self.is_full {
            self.set_full(false);
        }
    }

    fn set_full(&mut self, is_full: bool) {
        self.is_full = is_full;
        self.machine.set_lack(is_full.then_some(Lack::Space));
    }

    /// A checkpoint finds none of something, and may be tried again.
    fn lacks(&mut self, lack: Lack) {
        self.machine.set_lack(Some(lack));
        let done = self.machine.checkpoint();
        self.machine.set_lack(None);
        let is_passing = matches!(done, Ok(()) | Err(StoreError::Troubled(_)));
        assert!(is_passing || self.machine.is_doomed(), "{lack:?}: {done:?}");
    }

    /// Backups have all commits that were acknowledged since they began, whatever checkpoints did.
    fn let_go(&mut self) {
        for (held, commits) in std::mem::take(&mut self.held) {
            let mut next = held.after() + 1;
            let read = held.read(&mut |number, frame| {
                assert_eq!(number, next);
                assert!(crate::frame::decode(frame).is_ok());
                next += 1;
                Ok(())
            });
            match read {
                Ok(last) => assert_eq!((next, last), (held.after() + 1 + commits, held.after() + commits)),
                Err(why) => assert!(self.machine.is_doomed() || self.is_full, "{why}"),
            }
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Commit(puts, removals, reserve) => self.commit(&puts, &removals, reserve),
            Step::Checkpoint => _ = self.machine.checkpoint(),
            Step::Lacking(lack) => self.lacks(lack),
            Step::Full => self.set_full(true),
            Step::Crash(after, ..) => self.machine.power_off_after(after),
            // A store begins a file when it is opened.
            Step::Reopen => {
                self.set_full(false);
                self.held.clear();
            }
            Step::Hold(true) => {
                let held = self.machine.store().hold_commits(0);
                self.held.extend(held.ok().map(|held| (held, 0)));
            }
            Step::Hold(false) => self.let_go(),
        }
    }
}

/// Goal: a commit that waits until a checkpoint has made room is told when that fails, as every later one is (contract rule 3).
#[test]
fn a_commit_that_waits_for_a_failing_checkpoint_is_told() {
    for round in 0..50 {
        let machine = SimStore::with(AT_ONCE).unwrap();
        machine.power_off_after(2 + round % 8);
        let store = machine.store();
        let mut commits = (1..=5).map(|seq| store.commit(&batch_of("bob", seq..=seq)));
        assert!(commits.any(|committed| matches!(committed, Err(StoreError::Failed(_)))));
        assert!(matches!(
            store.commit(&batch_of("bob", 9..=9)),
            Err(StoreError::Failed(_))
        ));
    }
}

/// Goal: a checkpoint that finds no descriptor or no space changes nothing: commits and reads go on, a crash loses nothing, and the next one
/// works.
#[test]
fn a_checkpoint_that_lacks_something_is_tried_again() {
    for (lack, trouble) in [
        (Lack::Descriptors, Trouble::NoDescriptors),
        (Lack::Names, Trouble::NoSpace),
        (Lack::Bytes, Trouble::NoSpace),
    ] {
        let mut world = World::new();
        for seed in 0..20 {
            world.commit(&[(0, 0, 3000), (1, 0, 10)], &[], true);
            world.machine.set_lack(Some(lack));
            for _ in 0..2 {
                let done = world.machine.checkpoint();
                assert!(
                    matches!(done, Err(StoreError::Troubled(told)) if told == trouble),
                    "{lack:?}: {done:?}"
                );
                world.commit(&[(2, 0, 50)], &[], false);
                world.check();
            }
            world.machine.set_lack(None);
            if seed % 2 == 0 {
                world.machine.power_off_after(seed as usize % 3);
                world.commit(&[(1, 0, 4000)], &[], true);
                world.restart(seed, None);
            }
            world.machine.checkpoint().unwrap();
            world.check();
        }
    }
}

/// Goal: a crash at every operation of a checkpoint, and of opening the store after it, loses nothing.
#[test]
fn a_crash_at_every_operation_of_a_checkpoint_loses_nothing() {
    // Values under the same keys, which multiples of 768 have, in other numbers of pieces.
    let puts = |bytes: usize| -> Vec<_> { (0..9).map(|n| (n % 3, n as u64, bytes * n)).collect() };
    for (after, again) in (0..).zip([None, Some(2), Some(5), Some(9)].into_iter().cycle()) {
        let mut is_through = true;
        for seed in 0..6 {
            let mut world = World::new();
            world.commit(&puts(5 * 768), &[], true);
            world.machine.checkpoint().unwrap();
            world.commit(&puts(9 * 768), &[], true);
            world.commit(&[(1, 2, 50 * 768), (0, 3, 5)], &[], true);
            world.machine.power_off_after(after);
            is_through &= world.machine.checkpoint().is_ok();
            world.restart(seed, again);
            world.restart(seed, None);
        }
        if is_through {
            assert!(after > 40, "{after} operations");
            break;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Goal: contract rule 3 through a crash at any operation on a file or on the tree, of commits, of checkpoints and of opening the
    /// store: what was acknowledged is there, what was removed is not, and a commit is there as a whole or not at all.
    #[test]
    fn a_crash_at_any_operation_loses_nothing(steps in prop::collection::vec(step(), 1..40)) {
        let mut world = World::new();
        let mut crash = (0, None);
        for step in steps {
            if let Step::Crash(_, seed, again) = step {
                crash = (seed, again);
            }
            let is_reopening = matches!(step, Step::Reopen);
            world.take(step);
            if world.machine.is_off() || (is_reopening && world.machine.is_doomed()) {
                world.restart(crash.0, crash.1);
            } else if is_reopening {
                world.machine.reopen().unwrap();
                world.check();
            } else if !world.machine.is_doomed() {
                let found = Contents::of(world.machine.store());
                prop_assert_eq!(found.places(), world.contents.places());
                prop_assert!(found == world.contents);
            }
        }
        world.restart(crash.0, None);
        world.machine.checkpoint().unwrap();
        let pieces = world.machine.tree().count(&[0, 2]);
        prop_assert_eq!(pieces, world.contents.table_pieces(), "nothing is left of values that are gone");
    }
}
