//! Backups of stores in use: what is restored is what there was after one commit.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use proptest::prelude::*;

use super::model::{INBOXES, Model};
use super::{ALWAYS, NEVER, batch_of, open_engine};
use crate::contract::{all, change, id, seqs, table};
use crate::{
    BackupError, BackupOptions, BackupReadError, BackupSummary, Batch, CheckpointOptions, Engine, FaultyStore,
    FormatError, HoldError, MemoryStore, PageLimit, RestoreError, RestoreOptions, Restored, Store, StoreOptions, Table,
    TableKey, keep_epoch, open_store, restore_backup, verify_backup, write_backup,
};
use inbox_types::{Epoch, Micros, Seq};

const NOW: u64 = 1_800_000_000_000_000;
const YEAR: u64 = 366 * 24 * 3600 * 1_000_000;
const OPTIONS: BackupOptions = BackupOptions {
    created_at: Micros(NOW),
    disk_free_bytes_min: 0,
};

type Puts = Vec<(usize, usize)>;
type Commit = (Puts, Vec<prop::sample::Index>, Option<u64>);

fn back_up(store: &dyn Store) -> Vec<u8> {
    let mut bytes = Vec::new();
    let written = write_backup(store, &mut bytes, &OPTIONS, &mut |_| {}).unwrap();
    assert_eq!(written.bytes, bytes.len() as u64);
    bytes
}

fn restoring(engine: Engine) -> RestoreOptions {
    RestoreOptions {
        store: StoreOptions {
            engine,
            ..StoreOptions::default()
        },
        epoch: Epoch::from_random(77),
        now: Micros(NOW),
    }
}

fn restore(bytes: &[u8], to: &Path, engine: Engine) -> Result<Restored, RestoreError> {
    restore_backup(&mut &*bytes, to, &restoring(engine), &mut |_| {})
}

fn is_as(store: &dyn Store, model: &Model) {
    assert_eq!(store.inboxes(None, 100).unwrap(), model.records());
    for inbox in INBOXES.map(id) {
        let limit = PageLimit {
            messages: 9,
            bytes: 9000,
        };
        assert!(all(store, &inbox, limit) == model.inbox(&inbox), "{inbox:?}");
    }
    assert!(table(store, Table::CURSORS, b"") == model.tables.clone().into_iter().collect::<Vec<_>>());
}

/// A store to which something is committed before each read of the backup, and each time that it writes.
struct Busy {
    store: Arc<dyn Store>,
    plan: Vec<Commit>,
    done: Mutex<Vec<Model>>,
    stride: usize,
    ticks: AtomicUsize,
}

impl Busy {
    fn commit_next(&self) {
        let mut done = self.done.lock();
        let mut model = done.last().unwrap().clone();
        // The first state is that before the first commit.
        let Some((puts, removals, reserve)) = self.plan.get(done.len() - 1) else {
            return;
        };
        let mut batch = model.commit(puts, removals, *reserve);
        // Each is a commit, so that its number says which.
        batch.reserve.get_or_insert(Seq(1));
        model.reserved = model.reserved.max(1);
        self.store.commit(&batch).unwrap();
        done.push(model);
    }

    fn tick(&self) {
        if self.ticks.fetch_add(1, Ordering::Relaxed).is_multiple_of(self.stride) {
            self.commit_next();
        }
    }
}

struct BusyWriter<'a>(&'a Busy, Vec<u8>);

impl Write for BusyWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.tick();
        self.1.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn commits() -> impl Strategy<Value = Vec<Commit>> {
    let size = prop_oneof![8 => 0usize..300, 1 => 16_000usize..17_000];
    let puts = prop::collection::vec((0..INBOXES.len(), size), 0..12);
    let removals = prop::collection::vec(any::<prop::sample::Index>(), 0..9);
    prop::collection::vec((puts, removals, prop::option::of(0u64..1000)), 1..60)
}

fn restored_is_one_commit(store: Arc<dyn Store>, plan: Vec<Commit>, before: usize, stride: usize, engine: Engine) {
    let busy = Arc::new(Busy {
        store: store.clone(),
        plan,
        done: Mutex::new(vec![Model::default()]),
        stride,
        ticks: AtomicUsize::new(0),
    });
    (0..before).for_each(|_| busy.commit_next());
    let read = FaultyStore::new(store);
    let hook = busy.clone();
    read.before_read(move || hook.tick());
    let mut out = BusyWriter(&busy, Vec::new());
    write_backup(&read, &mut out, &OPTIONS, &mut |_| {}).unwrap();
    let bytes = out.1;
    let summary = verify_backup(&mut &*bytes).unwrap();
    let base = tempfile::tempdir().unwrap();
    let to = base.path().join("restored");
    let restored = restore(&bytes, &to, engine).unwrap();
    assert_eq!(restored.backup, summary);
    let target = open_engine(&to, engine).unwrap();
    let done = busy.done.lock();
    let model = &done[summary.last_commit as usize];
    is_as(&*target, model);
    // Rule 6: what the old broker may have given out is passed over.
    assert_eq!(target.reserved().unwrap(), Seq(NOW.max(model.reserved) + YEAR));
    assert_eq!(
        keep_epoch(&*target, Epoch::from_random(1)).unwrap(),
        Epoch::from_random(77)
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    /// Goal: rules 3 and 6: whatever is committed and moved to the blocks while a backup is written, what it restores is the state after one
    /// commit, in each engine.
    #[test]
    fn a_backup_of_a_store_in_use_is_the_state_after_one_commit(
        plan in commits(),
        before in 0usize..40,
        stride in 1usize..4,
    ) {
        for (engine, other) in [(Engine::Sled, Engine::Fjall), (Engine::Fjall, Engine::Sled)] {
            for checkpoint in [NEVER, ALWAYS] {
                let dir = tempfile::tempdir().unwrap();
                let options = StoreOptions { engine, checkpoint, ..StoreOptions::default() };
                let store = open_store(dir.path(), &options).unwrap();
                restored_is_one_commit(store, plan.clone(), before, stride, other);
            }
        }
        restored_is_one_commit(Arc::new(MemoryStore::new()), plan, before, stride, Engine::Sled);
    }
}

fn fill(store: &dyn Store) {
    store.commit(&batch_of("bob", 1..=300)).unwrap();
    let mut batch = batch_of("carol", 301..=310);
    batch.tables.push(change(Table::SENDERS, b"carol", Some(b"everybody")));
    batch.reserve = Some(Seq(400));
    store.commit(&batch).unwrap();
}

/// Goal: a backup that lacks any part of its end, or of which any byte was changed, is known, by whoever verifies or restores it, and nothing
/// is left of the attempt.
#[test]
fn what_is_not_whole_is_known() {
    let store = MemoryStore::new();
    store.commit(&batch_of("bob", 1..=20)).unwrap();
    let good = back_up(&store);
    let base = tempfile::tempdir().unwrap();
    let to = base.path().join("to");
    for end in 0..good.len() {
        let error = verify_backup(&mut &good[..end]).unwrap_err();
        assert!(
            matches!(error, BackupReadError::Format(FormatError::Cut { .. })),
            "cut at {end}: {error}"
        );
    }
    for at in (0..good.len()).step_by(3) {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        assert!(verify_backup(&mut &*bad).is_err(), "changed at {at}");
    }
    let longer = [&*good, b"x"].concat();
    assert!(matches!(
        verify_backup(&mut &*longer),
        Err(BackupReadError::Format(FormatError::Trailing))
    ));
    for bad in [&good[..good.len() - 1], &good[..30], b"PNG and not a backup", &longer] {
        let failed = restore(bad, &to, Engine::Sled);
        assert!(matches!(failed, Err(RestoreError::Backup(_))), "{failed:?}");
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 0, "nothing is left");
    }
    restore(&good, &to, Engine::Sled).unwrap();
}

/// Goal: whatever is in the way of a restore is left as it was and named, a running store too.
#[test]
fn a_restore_replaces_nothing() {
    let base = tempfile::tempdir().unwrap();
    let to = base.path().join("to");
    let store = open_engine(&to, Engine::Sled).unwrap();
    fill(&*store);
    let bytes = back_up(&*store);
    assert!(matches!(
        restore(&bytes, &to, Engine::Sled),
        Err(RestoreError::NotEmpty { .. })
    ));
    assert_eq!(seqs(&*store, &id("carol")).len(), 10);
    let other = base.path().join("other");
    let unfinished = base.path().join("other.restoring");
    fs::create_dir(&unfinished).unwrap();
    let interrupted = restore(&bytes, &other, Engine::Fjall).unwrap_err();
    assert!(matches!(&interrupted, RestoreError::Interrupted { dir } if *dir == unfinished));
    assert!(unfinished.exists());
    fs::remove_dir(&unfinished).unwrap();
    fs::create_dir(&other).unwrap();
    let restored = restore(&bytes, &other, Engine::Fjall).unwrap();
    assert_eq!((restored.held.inboxes, restored.held.messages), (2, 310));
}

/// Goal: a backup ends with a sentence when the disk is short of space, holds on to nothing after that, and the store goes on.
#[test]
fn a_backup_leaves_the_disk_some_space() {
    for engine in Engine::ALL {
        let dir = tempfile::tempdir().unwrap();
        let options = StoreOptions {
            engine,
            checkpoint: CheckpointOptions { ..ALWAYS },
            ..StoreOptions::default()
        };
        let store = open_store(dir.path(), &options).unwrap();
        fill(&*store);
        let greedy = BackupOptions {
            disk_free_bytes_min: u64::MAX,
            ..OPTIONS
        };
        let mut out = Vec::new();
        let failed = write_backup(&*store, &mut out, &greedy, &mut |_| {}).unwrap_err();
        assert!(
            matches!(&failed, BackupError::Commits(HoldError::NoRoom { .. })),
            "{failed}"
        );
        assert!(verify_backup(&mut &*out).is_err());
        // A checkpoint takes away what a backup holds on to that does not look.
        let held = store.hold_commits(u64::MAX).unwrap();
        store.commit(&batch_of("dave", 500..=600)).unwrap();
        let log = dir.path().join(engine.name()).join("log");
        let files = || fs::read_dir(&log).unwrap().count();
        eventually(|| files() == 1 && seqs(&*store, &id("dave")).len() == 101);
        assert!(matches!(held.read(&mut |_, _| Ok(())), Err(HoldError::NoRoom { .. })));
        drop(held);
        store.commit(&batch_of("dave", 700..=701)).unwrap();
    }
}

/// Goal: the log keeps what a backup needs while checkpoints go on, and loses it with the backup, or at the next start if the process is killed
/// in the middle of one.
#[test]
fn the_log_is_kept_for_as_long_as_a_backup_runs() {
    for engine in Engine::ALL {
        let dir = tempfile::tempdir().unwrap();
        let options = StoreOptions {
            engine,
            checkpoint: ALWAYS,
            ..StoreOptions::default()
        };
        let log = dir.path().join(engine.name()).join("log");
        let files = || fs::read_dir(&log).unwrap().count();
        let store = open_store(dir.path(), &options).unwrap();
        let held = store.hold_commits(0).unwrap();
        let after = held.after();
        for seq in 1..=20 {
            store.commit(&batch_of("bob", seq..=seq)).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        let mut numbers = Vec::new();
        let last = held
            .read(&mut |number, _| {
                numbers.push(number);
                Ok(())
            })
            .unwrap();
        assert_eq!(numbers, (after + 1..=after + 20).collect::<Vec<_>>());
        assert_eq!(last, after + 20);
        assert!(files() > 1);
        let other = store.hold_commits(0).unwrap();
        drop(held);
        assert!(files() > 1, "another backup runs");
        drop(other);
        eventually(|| files() == 1);
        // As if it were killed: what is held is not let go of.
        std::mem::forget(store.hold_commits(0).unwrap());
        store.commit(&batch_of("bob", 30..=40)).unwrap();
        store.close().unwrap();
        drop(store);
        let store = open_store(dir.path(), &options).unwrap();
        assert_eq!(seqs(&*store, &id("bob")).len(), 31);
        eventually(|| files() == 1);
    }
}

/// Goal: a write that fails ends the backup with the error of the system, and lets go of the log.
#[test]
fn a_full_disk_of_the_backup_is_told() {
    struct Full(usize);
    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let store = MemoryStore::new();
    fill(&store);
    let whole = back_up(&store).len();
    for space in [0, 10, 40, whole / 2, whole - 1] {
        let failed = write_backup(&store, &mut Full(space), &OPTIONS, &mut |_| {});
        assert!(matches!(failed, Err(BackupError::Write(_))), "{failed:?}");
    }
    assert!(write_backup(&store, &mut Full(whole), &OPTIONS, &mut |_| {}).is_ok());
}

/// Goal: rule 6: the seqs of a restored store begin above whatever the broker of the backup may have given out since, also where a clock was set
/// back, and a clock that is decades ahead does not carry them off.
#[test]
fn rule_06_seqs_begin_above_those_that_were_given_after_the_backup() {
    let store = MemoryStore::new();
    let reserve = Batch {
        reserve: Some(Seq(NOW)),
        ..Batch::default()
    };
    store.commit(&reserve).unwrap();
    let bytes = back_up(&store);
    let base = tempfile::tempdir().unwrap();
    for (n, now, begins) in [
        (1, NOW + 3 * YEAR, NOW + 4 * YEAR),
        (2, 0, NOW + YEAR),
        (3, u64::MAX, NOW + YEAR),
    ] {
        let to = base.path().join(n.to_string());
        let options = RestoreOptions {
            now: Micros(now),
            ..restoring(Engine::Sled)
        };
        restore_backup(&mut &*bytes, &to, &options, &mut |_| {}).unwrap();
        let store = open_engine(&to, Engine::Sled).unwrap();
        assert_eq!(store.reserved().unwrap(), Seq(begins));
    }
}

/// Goal: an epoch stays what it is until a restore, and a backup says which it was.
#[test]
fn the_epoch_is_kept_and_a_restore_changes_it() {
    let base = tempfile::tempdir().unwrap();
    let [from, to] = ["from", "to"].map(|name| base.path().join(name));
    let store = open_engine(&from, Engine::Fjall).unwrap();
    let first = Epoch::from_random(5);
    assert_eq!(keep_epoch(&*store, first).unwrap(), first);
    store.close().unwrap();
    drop(store);
    let store = open_engine(&from, Engine::Fjall).unwrap();
    assert_eq!(keep_epoch(&*store, Epoch::from_random(6)).unwrap(), first);
    let mut since = Batch::default();
    since
        .tables
        .push(change(Table::STORE, Table::SEEN_SINCE, Some(&[0; 8])));
    store.commit(&since).unwrap();
    let bytes = back_up(&*store);
    let BackupSummary { epoch, created_at, .. } = verify_backup(&mut &*bytes).unwrap();
    assert_eq!((epoch, created_at), (Some(first), Micros(NOW)));
    restore(&bytes, &to, Engine::Sled).unwrap();
    let restored = open_engine(&to, Engine::Sled).unwrap();
    assert_eq!(keep_epoch(&*restored, first).unwrap(), Epoch::from_random(77));
    assert_eq!(first.to_string(), "0000000000000005");
    // Who came after the backup is not known.
    let since = TableKey::new(Table::SEEN_SINCE).unwrap();
    assert_eq!(restored.get(Table::STORE, &since).unwrap(), None);
}

fn eventually(is_so: impl Fn() -> bool) {
    let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !is_so() {
        assert!(std::time::Instant::now() < until, "it does not come about");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}
