//! The engines against the contract, a model, damage, and death.

mod backup;
mod convert;
mod crash;
mod damage;
mod damage_fjall;
mod fixture;
mod kill;
mod model;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::contract::{self, Place, batch_of};
use crate::directory::DataDirectory;
use crate::engines::fjall::FjallTree;
use crate::engines::sled::SledTree;
use crate::tree::Tree;
use crate::tree_store::TreeStore;
use crate::{
    CheckpointOptions, Engine, FjallOptions, MemoryStore, OpenError, SledOptions, Store, StoreError, StoreOptions,
    open_store,
};

/// Messages stay in the log for as long as a test runs.
const NEVER: CheckpointOptions = CheckpointOptions {
    after: Duration::from_secs(3600),
    memory_bytes_max: usize::MAX,
};
/// The checkpointing thread is always at work.
const ALWAYS: CheckpointOptions = CheckpointOptions {
    after: Duration::ZERO,
    memory_bytes_max: usize::MAX,
};
/// Every commit waits until the one before it is in the blocks.
const AT_ONCE: CheckpointOptions = CheckpointOptions {
    after: Duration::ZERO,
    memory_bytes_max: 1,
};

/// A place on disk that goes away with the closure.
fn on_disk(engine: Engine, checkpoint: CheckpointOptions) -> Place {
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions {
        engine,
        checkpoint,
        ..StoreOptions::default()
    };
    Box::new(move || open_store(dir.path(), &options).unwrap())
}

fn open(dir: &Path) -> Result<Arc<dyn Store>, OpenError> {
    open_engine(dir, Engine::Sled)
}

fn open_engine(dir: &Path, engine: Engine) -> Result<Arc<dyn Store>, OpenError> {
    let options = StoreOptions {
        engine,
        ..StoreOptions::default()
    };
    open_store(dir, &options)
}

/// A store of which a test says when there is a checkpoint.
fn open_tree(dir: &Path) -> TreeStore<SledTree> {
    let directory = DataDirectory::open(dir, "sled").unwrap();
    let tree = SledTree::open(&directory, SledOptions::default()).unwrap();
    TreeStore::open(directory, tree, NEVER).unwrap()
}

/// Goal: the sled engine keeps the contract of every engine, wherever its messages are.
#[test]
fn the_sled_store_keeps_the_contract() {
    keeps_the_contract(Engine::Sled);
}

/// Goal: so does the fjall engine.
#[test]
fn the_fjall_store_keeps_the_contract() {
    keeps_the_contract(Engine::Fjall);
}

fn keeps_the_contract(engine: Engine) {
    for checkpoint in [NEVER, ALWAYS, AT_ONCE] {
        contract::run(|| on_disk(engine, checkpoint));
    }
}

/// Goal: a store that is open is refused to a second one, by name, and free again once it is closed.
#[test]
fn an_open_store_is_locked() {
    for engine in Engine::ALL {
        let dir = tempfile::tempdir().unwrap();
        let open = || open_engine(dir.path(), engine);
        let store = open().unwrap();
        assert!(matches!(open(), Err(OpenError::Locked { .. })));
        store.commit(&batch_of("bob", 1..=3)).unwrap();
        store.close().unwrap();
        let second = open().unwrap();
        assert_eq!(contract::seqs(&*second, &contract::id("bob")), [1, 2, 3]);
        assert!(
            matches!(store.commit(&batch_of("bob", 4..=4)), Err(StoreError::Failed(_))),
            "closed is closed"
        );
    }
}

/// Goal: a directory of one engine is refused to another by name.
#[test]
fn another_engine_is_refused() {
    for (engine, other) in [(Engine::Sled, Engine::Fjall), (Engine::Fjall, Engine::Sled)] {
        let dir = tempfile::tempdir().unwrap();
        drop(open_engine(dir.path(), engine).unwrap());
        let refusal = open_engine(dir.path(), other).err().unwrap();
        assert!(matches!(refusal, OpenError::OtherEngine { .. }), "{refusal}");
    }
}

/// Goal: a failed sync poisons the store, for reading too, and is never retried (house style 13).
#[test]
fn a_failed_sync_poisons() {
    poisons(Engine::Sled, |directory| {
        SledTree::open(directory, SledOptions::default()).unwrap()
    });
    poisons(Engine::Fjall, |directory| {
        FjallTree::open(directory, FjallOptions::default()).unwrap()
    });
}

fn poisons<T: Tree>(engine: Engine, open: impl FnOnce(&DataDirectory) -> T) {
    let dir = tempfile::tempdir().unwrap();
    drop(open_engine(dir.path(), engine).unwrap());
    let directory = DataDirectory::open(dir.path(), engine.name()).unwrap();
    let tree = open(&directory);
    let store = TreeStore::open(directory, tree, NEVER).unwrap();
    store.commit(&batch_of("bob", 1..=3)).unwrap();
    store.break_sync();
    contract::poisoned_by_next_commit(&store, &batch_of("bob", 4..=6));
    assert!(matches!(store.inboxes(None, 10), Err(StoreError::Failed(_))));
    assert!(store.close().is_err());
    drop(store);
    let bob = contract::seqs(&*open_engine(dir.path(), engine).unwrap(), &contract::id("bob"));
    assert_eq!(bob[..3], [1, 2, 3], "what was acknowledged before is there");
}

/// Goal: the engine's own queue never fills up, after which its thread would wait for itself: many small writes, from two threads as
/// in a broker, come to an end, and memory is given to files.
#[test]
fn small_writes_do_not_stop_fjall() {
    let dir = tempfile::tempdir().unwrap();
    let directory = DataDirectory::open(dir.path(), "fjall").unwrap();
    let tree = FjallTree::open(&directory, FjallOptions::default()).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..2_u32 {
            let tree = &tree;
            scope.spawn(move || {
                for n in 0..200_000_u32 {
                    let key = [
                        &b"a\0"[..],
                        &n.wrapping_mul(2_654_435_761).to_be_bytes(),
                        &thread.to_be_bytes(),
                    ]
                    .concat();
                    tree.insert(&key, &[b'x'; 100]).unwrap();
                }
            });
        }
    });
    tree.sync().unwrap();
    let tables = std::fs::read_dir(dir.path().join("fjall/keyspaces/1/tables")).unwrap();
    assert!(tables.count() > 0, "some of it left the memory");
}

/// Goal: the free space of the disk is known where there is a disk.
#[test]
fn the_free_space_is_known() {
    let dir = tempfile::tempdir().unwrap();
    assert!(open(dir.path()).unwrap().disk_free_bytes().unwrap() > 0);
    assert_eq!(MemoryStore::new().disk_free_bytes(), None);
}
