//! Conversions: all of it, or a sentence that says why not.

use std::fs;
use std::path::Path;

use super::{batch_of, open_engine};
use crate::contract::{all, entry, id};
use crate::{Batch, ConvertError, Converted, Engine, OpenError, PageLimit, Store, StoreOptions, convert};
use inbox_types::Seq;

const LIMIT: PageLimit = PageLimit {
    messages: 100,
    bytes: usize::MAX,
};

/// More than one batch, pages of one inbox, long messages and removed ones.
fn fill(store: &dyn Store) -> Converted {
    store.commit(&batch_of("bob", 1..=3000)).unwrap();
    store.commit(&batch_of("carol", 3001..=6000)).unwrap();
    let mut batch = batch_of("bob", 6001..=6010);
    batch.puts.push((id("dave"), entry(6011, 100_000)));
    batch.removals = (1..=10).map(|seq| (id("bob"), Seq(seq * 7))).collect();
    batch.reserve = Some(Seq(7000));
    store.commit(&batch).unwrap();
    let records = store.inboxes(None, 10).unwrap();
    Converted {
        inboxes: 3,
        messages: 3000 - 10 + 3000 + 11,
        bytes: records.iter().map(|(_, record)| record.bytes).sum(),
    }
}

fn to(engine: Engine) -> StoreOptions {
    StoreOptions {
        engine,
        ..StoreOptions::default()
    }
}

fn quietly(from: &Path, target: &Path) -> Result<Converted, ConvertError> {
    convert(from, target, &to(Engine::Fjall), &mut |_| {}).map(|(converted, _)| converted)
}

/// Goal: from engine to engine and back, every message, its place and the reservation stay what they were.
#[test]
fn there_and_back_is_the_same() {
    let base = tempfile::tempdir().unwrap();
    let [a, b, c] = ["a", "b", "c"].map(|name| base.path().join(name));
    let first = open_engine(&a, Engine::Sled).unwrap();
    let expected = fill(&*first);
    first.close().unwrap();
    drop(first);
    let mut told = Vec::new();
    let converted = convert(&a, &b, &to(Engine::Fjall), &mut |done| told.push(done.messages)).unwrap();
    assert_eq!(converted, (expected, Engine::Sled));
    assert!(
        told.is_sorted() && told.len() > 1 && told.last() == Some(&expected.messages),
        "{told:?}"
    );
    // An empty directory is as good as none.
    fs::create_dir(&c).unwrap();
    assert_eq!(
        convert(&b, &c, &to(Engine::Sled), &mut |_| {}).unwrap(),
        (expected, Engine::Fjall)
    );
    let (before, after) = (
        open_engine(&a, Engine::Sled).unwrap(),
        open_engine(&c, Engine::Sled).unwrap(),
    );
    for inbox in ["bob", "carol", "dave"].map(id) {
        assert!(all(&*before, &inbox, LIMIT) == all(&*after, &inbox, LIMIT), "{inbox:?}");
    }
    assert_eq!(after.reserved().unwrap(), Seq(7000));
    assert_eq!(fs::read_dir(base.path()).unwrap().count(), 3, "nothing else is left");
}

/// Goal: whatever is in the way is left as it was, and named.
#[test]
fn what_is_in_the_way_is_refused() {
    let base = tempfile::tempdir().unwrap();
    let (from, target) = (base.path().join("from"), base.path().join("to"));
    let store = open_engine(&from, Engine::Sled).unwrap();
    let expected = fill(&*store);
    assert!(matches!(
        quietly(&from, &target),
        Err(ConvertError::Open(OpenError::Locked { .. }))
    ));
    assert_eq!(fs::read_dir(base.path()).unwrap().count(), 1);
    store.close().unwrap();
    drop(store);
    let missing = quietly(&base.path().join("none"), &target);
    assert!(matches!(missing, Err(ConvertError::Open(OpenError::Missing { .. }))));
    assert!(matches!(quietly(&from, &from), Err(ConvertError::NotEmpty { .. })));
    assert!(matches!(
        quietly(&from, &from.join("in")),
        Err(ConvertError::Inside { .. })
    ));
    fs::create_dir(&target).unwrap();
    fs::write(target.join("photo.jpg"), b"x").unwrap();
    assert!(matches!(quietly(&from, &target), Err(ConvertError::NotEmpty { .. })));
    fs::remove_dir_all(&target).unwrap();
    let unfinished = base.path().join("to.converting");
    fs::create_dir(&unfinished).unwrap();
    let interrupted = quietly(&from, &target).unwrap_err();
    assert!(
        matches!(&interrupted, ConvertError::Interrupted { dir } if *dir == unfinished),
        "{interrupted}"
    );
    fs::remove_dir(&unfinished).unwrap();
    assert_eq!(quietly(&from, &target).unwrap(), expected);
}

/// Goal: an empty store is converted like any other.
#[test]
fn an_empty_store_is_converted() {
    let base = tempfile::tempdir().unwrap();
    let [from, target] = ["from", "to"].map(|name| base.path().join(name));
    open_engine(&from, Engine::Fjall).unwrap().close().unwrap();
    assert_eq!(quietly(&from, &target).unwrap(), Converted::default());
    let store = open_engine(&target, Engine::Fjall).unwrap();
    store.commit(&Batch::default()).unwrap();
    assert_eq!(store.inboxes(None, 10).unwrap(), []);
}
