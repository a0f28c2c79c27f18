//! Power cuts while a data directory is made, and while what they left is opened.

use inbox_bridge::Engine;
use inbox_tests::power::{Disk, Mount};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::engine::open;
use crate::ledger::{Figures, Ledger};

#[test]
fn an_interrupted_creation_begins_again() {
    // Goal: a cut at any operation of the first opening, and another at any of the second, leave a directory that opens; if
    // a commit came through in between, it is there.
    for engine in crate::engines() {
        begins_again(engine);
    }
}

fn begins_again(engine: Engine) {
    let (mut figures, name) = (Figures::default(), engine.name());
    let first = operations_of_a_creation(engine);
    for (n, seed) in crate::seeds(2, 30).into_iter().enumerate() {
        let options = crate::store_options(engine, seed);
        let mut rng = StdRng::seed_from_u64(seed);
        let mut ledger = Ledger::default();
        let mut disk = Disk::new();
        // Every operation in turn, when there are enough cuts; from the end, where more is at stake.
        disk.cut_after(first - n as u64 % first, seed);
        for _ in 0..2 {
            let mount = Mount::new(&disk);
            let store = open(&mount, &options)
                .unwrap_or_else(|why| panic!("{name}, seed {seed}: the store does not open: {why}"));
            let checked = ledger.check(&*store, || !disk.is_cut());
            figures.add(
                "messages checked",
                checked.unwrap_or_else(|why| panic!("{name}, seed {seed}: {why}")),
            );
            let batch = ledger.batch(&mut rng);
            ledger.begin(&batch);
            store.commit(&batch).unwrap();
            if !disk.is_cut() {
                ledger.confirm(&batch);
            }
            store.close().unwrap();
            disk = Disk::from_image(&disk.cut(seed));
            disk.cut_after(rng.random_range(1..=first), seed + 1);
            figures.add("cuts", 1);
        }
        let mount = Mount::new(&disk);
        let store =
            open(&mount, &options).unwrap_or_else(|why| panic!("{name}, seed {seed}: the store does not open: {why}"));
        let checked = ledger.check(&*store, || true);
        figures.add(
            "messages checked",
            checked.unwrap_or_else(|why| panic!("{name}, seed {seed}: {why}")),
        );
        store.close().unwrap();
    }
    figures.print(&format!("creation on {name}"));
}

fn operations_of_a_creation(engine: Engine) -> u64 {
    let mount = Mount::new(&Disk::new());
    let store = open(&mount, &crate::store_options(engine, 0)).unwrap();
    let operations = mount.disk().operations();
    store.close().unwrap();
    operations
}
