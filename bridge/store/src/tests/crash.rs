//! Crashes between any two writes, over a tree in memory that loses what was not synced.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use proptest::prelude::*;

use super::{AT_ONCE, DataDirectory, NEVER, TreeStore, batch_of};
use crate::contract::{all, change, entry, id, table};
use crate::record::PIECE_BYTES;
use crate::tree::{Pair, Tree, TreeError, VALUE_BYTES_MAX};
use crate::{Batch, InboxRecord, PageLimit, Store, StoreError, Table, TableChange, TableKey};
use inbox_types::{ClientId, Entry, Seq};

type Map = BTreeMap<Vec<u8>, Arc<[u8]>>;

/// A write: the key, and its value or nothing.
type Write = (Vec<u8>, Option<Arc<[u8]>>);

/// A tree whose power can be cut. Clones are the same tree.
#[derive(Debug, Clone, Default)]
struct MemoryTree(Arc<Mutex<Disk>>);

#[derive(Debug, Default)]
struct Disk {
    now: Map,
    durable: Map,
    unsynced: Vec<Write>,
    /// Writes and syncs until it fails.
    left: Option<usize>,
}

impl Disk {
    fn step(&mut self) -> Result<(), TreeError> {
        match &mut self.left {
            Some(0) => Err(TreeError("the power is off".to_owned())),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn write(&mut self, write: Write) -> Result<(), TreeError> {
        self.step()?;
        apply(&mut self.now, &write);
        self.unsynced.push(write);
        Ok(())
    }
}

fn apply(map: &mut Map, (key, value): &Write) {
    match value {
        Some(value) => map.insert(key.clone(), value.clone()),
        None => map.remove(key),
    };
}

impl MemoryTree {
    /// The power goes off after `left` more writes and syncs.
    fn cut_after(&self, left: usize) {
        self.0.lock().left = Some(left);
    }

    /// The power comes back: what was synced is there, and `kept` in 256 parts of the writes since then, the first ones.
    fn restart(&self, kept: u8) {
        let mut disk = self.0.lock();
        let kept = (disk.unsynced.len() * usize::from(kept)).div_ceil(256);
        let mut map = disk.durable.clone();
        disk.unsynced.iter().take(kept).for_each(|write| apply(&mut map, write));
        *disk = Disk {
            now: map.clone(),
            durable: map,
            ..Disk::default()
        };
    }
}

impl Tree for MemoryTree {
    type Slice = Arc<[u8]>;

    fn insert(&self, key: &[u8], value: &[u8]) -> Result<(), TreeError> {
        assert!(value.len() <= VALUE_BYTES_MAX);
        self.0.lock().write((key.to_vec(), Some(value.into())))
    }

    fn remove(&self, key: &[u8]) -> Result<(), TreeError> {
        self.0.lock().write((key.to_vec(), None))
    }

    fn get(&self, key: &[u8]) -> Result<Option<Self::Slice>, TreeError> {
        Ok(self.0.lock().now.get(key).cloned())
    }

    fn range(
        &self,
        from: Bound<Vec<u8>>,
        to: Bound<Vec<u8>>,
    ) -> impl DoubleEndedIterator<Item = Result<Pair<Self>, TreeError>> {
        let disk = self.0.lock();
        let pairs = disk.now.range((from, to));
        let pairs: Vec<_> = pairs
            .map(|(key, value)| Ok((key.as_slice().into(), value.clone())))
            .collect();
        pairs.into_iter()
    }

    fn sync(&self) -> Result<(), TreeError> {
        let mut disk = self.0.lock();
        disk.step()?;
        disk.durable = disk.now.clone();
        disk.unsynced.clear();
        Ok(())
    }

    fn break_sync(&mut self) {
        self.cut_after(0);
    }
}

const INBOXES: [&str; 3] = ["a", "ab", "b"];
const TABLES: [Table; 2] = [Table::DEDUPE, Table::RETAINED];

/// One step. Numbers are turned into what makes sense when the step is taken.
#[derive(Debug, Clone)]
enum Step {
    /// Puts of (inbox, how far back its seq may be, payload bytes), and removals by place among all that there are.
    Commit(Vec<(usize, u64, usize)>, Vec<prop::sample::Index>, bool),
    Checkpoint,
    /// How many writes later, and how much of what was not synced stays.
    Crash(usize, u8),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let size =
        prop_oneof![6 => 0usize..300, 3 => 3_000usize..6_000, 1 => 16_000usize..17_000, 1 => 30_000usize..60_000];
    let puts = prop::collection::vec((0..INBOXES.len(), 0u64..40, size), 0..12);
    let removals = prop::collection::vec(any::<prop::sample::Index>(), 0..8);
    prop_oneof![
        6 => (puts, removals, any::<bool>()).prop_map(|(p, r, s)| Step::Commit(p, r, s)),
        3 => Just(Step::Checkpoint),
        2 => (0usize..60, any::<u8>()).prop_map(|(n, k)| Step::Crash(n, k)),
        1 => Just(Step::Reopen),
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
    dir: tempfile::TempDir,
    tree: MemoryTree,
    store: Option<TreeStore<MemoryTree>>,
    contents: Contents,
    /// A commit that failed: it may be there, as a whole, after the next opening.
    doubtful: Option<Batch>,
    last: u64,
    used: std::collections::BTreeSet<u64>,
}

impl World {
    fn new() -> Self {
        let mut world = World {
            dir: tempfile::tempdir().unwrap(),
            tree: MemoryTree::default(),
            store: None,
            contents: Contents::default(),
            doubtful: None,
            last: 100,
            used: Default::default(),
        };
        world.open();
        world
    }

    fn open(&mut self) {
        self.store = None;
        let directory = DataDirectory::open(self.dir.path(), "memory").unwrap();
        std::fs::create_dir_all(directory.engine_dir()).unwrap();
        let store = TreeStore::open(directory, self.tree.clone(), NEVER).unwrap();
        let found = Contents::of(&store);
        if let Some(batch) = self.doubtful.take() {
            let mut with_it = self.contents.clone();
            with_it.apply(&batch);
            assert!(found == self.contents || found == with_it, "all of a commit or nothing");
            self.contents = found;
        } else {
            assert!(found == self.contents, "what was acknowledged, and nothing else");
        }
        self.store = Some(store);
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
        match self.store.as_ref().unwrap().commit(&batch) {
            Ok(()) => self.contents.apply(&batch),
            // Only the first can have been written.
            Err(_) => _ = self.doubtful.get_or_insert(batch),
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Commit(puts, removals, reserve) => self.commit(&puts, &removals, reserve),
            Step::Checkpoint => _ = self.store.as_ref().unwrap().try_checkpoint(),
            Step::Crash(after, _) => self.tree.cut_after(after),
            Step::Reopen => {}
        }
    }
}

/// Goal: a commit that waits until a checkpoint has made room is told when that fails, as every later one is (contract rule 3).
#[test]
fn a_commit_that_waits_for_a_failing_checkpoint_is_told() {
    for round in 0..50 {
        let (dir, tree) = (tempfile::tempdir().unwrap(), MemoryTree::default());
        let directory = DataDirectory::open(dir.path(), "memory").unwrap();
        std::fs::create_dir_all(directory.engine_dir()).unwrap();
        let store = TreeStore::open(directory, tree.clone(), AT_ONCE).unwrap();
        tree.cut_after(round % 4);
        let mut commits = (1..=3).map(|seq| store.commit(&batch_of("bob", seq..=seq)));
        assert!(commits.any(|committed| matches!(committed, Err(StoreError::Failed(_)))));
        assert!(matches!(
            store.commit(&batch_of("bob", 9..=9)),
            Err(StoreError::Failed(_))
        ));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Goal: contract rule 3 through a crash between any two writes of commits and of checkpoints: what was acknowledged is there,
    /// what was removed is not, and a commit is there as a whole or not at all.
    #[test]
    fn a_crash_between_any_two_writes_loses_nothing(steps in prop::collection::vec(step(), 1..40)) {
        let mut world = World::new();
        let mut kept = 0;
        for step in steps {
            if let Step::Crash(_, part) = step {
                kept = part;
            }
            let is_reopening = matches!(step, Step::Reopen);
            world.take(step);
            let is_dead = world.tree.0.lock().left == Some(0);
            if is_dead || is_reopening {
                world.store = None;
                world.tree.restart(if is_dead { kept } else { 255 });
                world.open();
            } else if world.tree.0.lock().left.is_none() {
                let found = Contents::of(world.store.as_ref().unwrap());
                prop_assert_eq!(found.places(), world.contents.places());
                prop_assert!(found == world.contents);
            }
        }
        world.store = None;
        world.tree.restart(kept);
        world.open();
        world.store.as_ref().unwrap().checkpoint();
        let pieces = world.tree.0.lock().now.keys().filter(|key| key.starts_with(&[0, 2])).count();
        prop_assert_eq!(pieces, world.contents.table_pieces(), "nothing is left of values that are gone");
    }
}
