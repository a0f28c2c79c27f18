//! sled without our repairs: the reason for them, kept as a test.
//!
//! sled's `flush` ends with `sync_file_range`, which starts the writing and waits for it, and leaves out the disk's own cache
//! and the file's metadata. No other file of these tests names that crate.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use inbox_tests::power::{Disk, Image, Mount};

use crate::ledger::Figures;

/// What makes a batch durable, as far as the caller believes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Durability {
    /// sled's `flush`.
    Flush,
    /// The same, and then fdatasync of the log.
    FlushAndSync,
}

fn open(dir: &Path) -> sled::Result<sled::Db> {
    sled::Config::new().path(dir).flush_every_ms(None).open()
}

/// Makes everything durable that there is, names included, so that only what is written later is at stake.
fn sync_everything(dir: &Path) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        match entry.metadata().unwrap().is_dir() {
            true => sync_everything(&entry.path()),
            false => File::open(entry.path()).unwrap().sync_all().unwrap(),
        }
    }
    File::open(dir).unwrap().sync_all().unwrap();
}

/// Inserts batches of ten until the cut; tells what the cut left, and how many keys were reported to be safe before it.
fn insert_until_the_cut(seed: u64, durability: Durability) -> (std::sync::Arc<Image>, u64) {
    let mount = Mount::new(&Disk::new());
    let db = open(mount.path()).unwrap();
    let log = File::open(mount.path().join("db")).unwrap();
    sync_everything(mount.path());
    mount.disk().cut_after(20 + seed % 50, seed);
    let (mut inserted, mut safe) = (0_u64, 0);
    while !mount.disk().is_cut() {
        for key in inserted..inserted + 10 {
            db.insert(key.to_be_bytes(), vec![key as u8; 100]).unwrap();
        }
        inserted += 10;
        db.flush().unwrap();
        if durability == Durability::FlushAndSync {
            log.sync_data().unwrap();
        }
        if !mount.disk().is_cut() {
            safe = inserted;
        }
    }
    (mount.disk().cut(seed), safe)
}

/// How many of the keys below `safe` are there; `None` when sled does not even open.
fn found(image: &Image, safe: u64) -> Option<u64> {
    let dir = tempfile::tempdir().unwrap();
    image.write_to(dir.path()).unwrap();
    // sled panics on some damage.
    let count = catch_unwind(AssertUnwindSafe(|| {
        let db = open(dir.path()).ok()?;
        let is_there = |key: &u64| matches!(db.get(key.to_be_bytes()), Ok(Some(value)) if *value == [*key as u8; 100]);
        Some((0..safe).filter(is_there).count() as u64)
    }));
    count.ok().flatten()
}

/// Runs the cuts, and tells in how many of them something was lost.
fn losses(seeds: Vec<u64>, durability: Durability, test: &str) -> (u64, u64) {
    let mut figures = Figures::default();
    let (mut cuts, mut lossy) = (0, 0);
    for seed in seeds {
        let (image, safe) = insert_until_the_cut(seed, durability);
        let found = found(&image, safe);
        cuts += 1;
        lossy += u64::from(found != Some(safe));
        figures.add("keys checked", safe);
        figures.add("keys lost", safe - found.unwrap_or(0));
        figures.add("stores that did not open", u64::from(found.is_none()));
    }
    figures.add("cuts", cuts);
    figures.add("cuts with a loss", lossy);
    figures.print(test);
    (cuts, lossy)
}

#[test]
fn flush_alone_loses() {
    // Goal: these tests can fail: what sled's `flush` reports as safe is lost in some cuts.
    let (cuts, lossy) = losses(crate::seeds(3, 15), Durability::Flush, "sled's flush alone");
    assert!(
        lossy > 0,
        "no loss in {cuts} cuts: does this test still see what it should?"
    );
}

#[test]
fn flush_and_fdatasync_lose_nothing() {
    // Goal: it is the missing fdatasync that the test above finds, not the file system being unfair.
    let (_, lossy) = losses(
        crate::seeds(4, 15),
        Durability::FlushAndSync,
        "sled's flush and fdatasync",
    );
    assert_eq!(lossy, 0);
}
