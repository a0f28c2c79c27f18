//! The store engine through power cuts, again and again on one directory.

use std::sync::Arc;

use inbox_bridge::{Engine, OpenError, Store, StoreOptions, open_store};
use inbox_tests::power::{Disk, Mount};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::ledger::{Figures, Ledger};

/// So many on one directory; then the next begins empty, as each check reads all that it holds.
const CUTS_IN_A_ROW: usize = 16;

pub(crate) fn open(mount: &Mount, options: &StoreOptions) -> Result<Arc<dyn Store>, OpenError> {
    open_store(&mount.path().join("data"), options)
}

/// Commits until the power is cut. Sometimes the store is closed and opened again, so that cuts come there, too.
fn commit_until_the_cut(
    mount: &Mount,
    options: &StoreOptions,
    mut store: Arc<dyn Store>,
    rng: &mut StdRng,
    ledger: &mut Ledger,
) -> u64 {
    let mut commits = 0;
    while !mount.disk().is_cut() {
        let batch = ledger.batch(rng);
        ledger.begin(&batch);
        store.commit(&batch).expect("the disk goes on to work");
        // In this order: what returned before the cut is in the image.
        if !mount.disk().is_cut() {
            ledger.confirm(&batch);
            commits += 1;
        }
        if rng.random_ratio(1, 100) {
            store.close().expect("the disk goes on to work");
            drop(store);
            store = open(mount, options).expect("the disk goes on to work");
        }
    }
    store.close().expect("the disk goes on to work");
    commits
}

#[test]
fn what_was_committed_survives_power_cuts() {
    // Goal: contract rule 3 and the promise of `Store::commit`: after each of many cuts in a row, some of them while the store
    // is opened or closed, it opens and holds what was committed, whole, and nothing that was removed.
    for engine in crate::engines() {
        survives_power_cuts(engine);
    }
}

fn survives_power_cuts(engine: Engine) {
    let (mut ledger, mut figures) = (Ledger::default(), Figures::default());
    let mut disk = Disk::new();
    let name = engine.name();
    let mut options = StoreOptions::default();
    for (at, seed) in crate::seeds(1, 100).into_iter().enumerate() {
        if at % CUTS_IN_A_ROW == 0 {
            (ledger, disk) = (Ledger::default(), Disk::new());
        }
        options = crate::store_options(engine, seed);
        let mut rng = StdRng::seed_from_u64(seed);
        // Short lives are cut while the store is being opened; long ones turn over sled's segments.
        let life = [60, 600, 3000][rng.random_range(0..3)];
        disk.cut_after(rng.random_range(1..life), seed);
        let mount = Mount::new(&disk);
        let store =
            open(&mount, &options).unwrap_or_else(|why| panic!("{name}, seed {seed}: the store does not open: {why}"));
        let checked = ledger.check(&*store, || !disk.is_cut());
        figures.add(
            "messages checked",
            checked.unwrap_or_else(|why| panic!("{name}, seed {seed}: {why}")),
        );
        let commits = commit_until_the_cut(&mount, &options, store, &mut rng, &mut ledger);
        figures.add("commits", commits);
        figures.add("cuts", 1);
        disk = Disk::from_image(&disk.cut(seed));
    }
    let mount = Mount::new(&disk);
    let store = open(&mount, &options).unwrap();
    figures.add("messages checked", ledger.check(&*store, || true).unwrap());
    store.close().unwrap();
    figures.print(&format!("store on {name}"));
}
