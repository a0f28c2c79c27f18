//! What every engine must do about tables, ages, and batches as a whole.

use std::time::Duration;

use bytes::Bytes;

use super::{Place, batch_of, entry, id, removals, seqs};
use crate::store::{Batch, PageLimit, Store};
use crate::table::{TABLE_KEY_BYTES_MAX, Table, TableChange, TableKey};

/// The checks.
pub(super) const CHECKS: &[fn(&Place)] = &[
    a_value_is_there_at_once_and_until_it_is_removed,
    keys_are_in_order_and_apart,
    a_scan_ends_at_its_limits,
    the_last_change_of_a_batch_counts,
    values_of_every_size_are_kept_and_replaced,
    the_age_never_goes_down,
    a_reader_beside_the_committer_sees_whole_batches,
];

/// A key of a table.
pub fn key(key: &[u8]) -> TableKey {
    TableKey::new(key.to_vec()).unwrap()
}

/// A value for a key, or none any more.
pub fn change(table: Table, name: &[u8], value: Option<&[u8]>) -> TableChange {
    TableChange {
        table,
        key: key(name),
        value: value.map(Bytes::copy_from_slice),
    }
}

fn commit(store: &dyn Store, tables: Vec<TableChange>) {
    let batch = Batch {
        tables,
        ..Batch::default()
    };
    store.commit(&batch).unwrap();
}

/// Everything in a table whose key begins with `prefix`, read page by page.
pub fn table(store: &dyn Store, table: Table, prefix: &[u8]) -> Vec<(TableKey, Bytes)> {
    let limit = PageLimit {
        messages: 3,
        bytes: usize::MAX,
    };
    let mut entries: Vec<(TableKey, Bytes)> = Vec::new();
    loop {
        let after = entries.last().map(|(key, _)| key.clone());
        let page = store.scan(table, prefix, after.as_ref(), limit).unwrap();
        assert!(page.entries.len() <= 3 && (!page.more || !page.entries.is_empty()));
        entries.extend(page.entries);
        if !page.more {
            return entries;
        }
    }
}

fn names(store: &dyn Store, of: Table, prefix: &[u8]) -> Vec<Vec<u8>> {
    let entries = table(store, of, prefix);
    entries.iter().map(|(key, _)| key.as_bytes().to_vec()).collect()
}

/// Beside messages in the same commit, in this use of the store and in the next ones.
fn a_value_is_there_at_once_and_until_it_is_removed(place: &Place) {
    let mut store = place();
    let mut batch = batch_of("bob", 1..=2);
    batch.tables = vec![
        change(Table::DEDUPE, b"alice", Some(b"1")),
        change(Table::RECEIPTS, b"alice", Some(b"")),
    ];
    store.commit(&batch).unwrap();
    for _ in 0..3 {
        let value = |table, name| store.get(table, &key(name)).unwrap();
        assert_eq!(value(Table::DEDUPE, b"alice"), Some(Bytes::from_static(b"1")));
        assert_eq!(value(Table::RECEIPTS, b"alice"), Some(Bytes::new()), "empty, and there");
        assert_eq!(value(Table::CURSORS, b"alice"), None);
        assert_eq!(value(Table::DEDUPE, b"alic"), None);
        assert_eq!(seqs(&*store, &id("bob")), [1, 2]);
        assert_eq!(store.inboxes(None, 10).unwrap().len(), 1, "a table is no inbox");
        drop(store);
        store = place();
    }
    let mut batch = removals("bob", &[1]);
    batch.tables = vec![
        change(Table::DEDUPE, b"alice", None),
        change(Table::DEDUPE, b"nobody", None),
    ];
    store.commit(&batch).unwrap();
    for _ in 0..3 {
        assert_eq!(store.get(Table::DEDUPE, &key(b"alice")).unwrap(), None);
        assert_eq!(names(&*store, Table::RECEIPTS, b""), [b"alice"]);
        assert_eq!(seqs(&*store, &id("bob")), [2]);
        drop(store);
        store = place();
    }
}

fn keys_are_in_order_and_apart(place: &Place) {
    let store = place();
    let longest = vec![b'b'; TABLE_KEY_BYTES_MAX];
    let mut keys: Vec<&[u8]> = vec![
        b"\0",
        b"\0\0",
        b"\x01",
        b"a",
        b"a\0",
        b"a\0b",
        b"ab",
        b"b",
        &longest,
        &[255],
        &[255, 255],
    ];
    for name in keys.iter().rev() {
        commit(&*store, vec![change(Table::CURSORS, name, Some(name))]);
        commit(&*store, vec![change(Table::GROUPS, b"a", Some(b"of another table"))]);
    }
    assert_eq!(names(&*store, Table::CURSORS, b""), keys);
    assert_eq!(
        names(&*store, Table::CURSORS, b"a"),
        [&b"a"[..], b"a\0", b"a\0b", b"ab"]
    );
    assert_eq!(names(&*store, Table::CURSORS, b"a\0"), [&b"a\0"[..], b"a\0b"]);
    assert_eq!(names(&*store, Table::CURSORS, &[255, 255]), [&[255, 255][..]]);
    assert!(names(&*store, Table::CURSORS, b"x").is_empty());
    assert!(
        table(&*store, Table::CURSORS, b"")
            .iter()
            .all(|(key, value)| key.as_bytes() == value)
    );
    commit(
        &*store,
        vec![change(Table::CURSORS, b"a\0", None), change(Table::CURSORS, b"a", None)],
    );
    keys.retain(|name| !matches!(*name, b"a" | b"a\0"));
    assert_eq!(names(&*store, Table::CURSORS, b""), keys);
}

fn a_scan_ends_at_its_limits(place: &Place) {
    let store = place();
    for n in 0..10_u8 {
        commit(&*store, vec![change(Table::SESSIONS, &[n], Some(&[0; 10]))]);
    }
    let scan = |after: Option<u8>, messages, bytes| {
        let after = after.map(|n| key(&[n]));
        let page = store
            .scan(Table::SESSIONS, b"", after.as_ref(), PageLimit { messages, bytes })
            .unwrap();
        (
            page.entries
                .iter()
                .map(|(key, _)| key.as_bytes()[0])
                .collect::<Vec<_>>(),
            page.more,
        )
    };
    assert_eq!(scan(None, 3, 1000), (vec![0, 1, 2], true));
    assert_eq!(
        scan(Some(6), 3, 1000),
        (vec![7, 8, 9], false),
        "exactly the rest is not more"
    );
    assert_eq!(scan(Some(9), 3, 1000), (vec![], false));
    assert_eq!(
        scan(None, 100, 30),
        (vec![0, 1, 2], true),
        "exactly the bytes asked for"
    );
    assert_eq!(scan(None, 100, 1), (vec![0], true), "the first entry whatever its size");
    assert_eq!(scan(None, 100, 100), ((0..10).collect(), false));
}

fn the_last_change_of_a_batch_counts(place: &Place) {
    let store = place();
    let both = |last: Option<&[u8]>| {
        vec![
            change(Table::RETAINED, b"a", Some(b"first")),
            change(Table::RETAINED, b"a", None),
            change(Table::RETAINED, b"a", last),
        ]
    };
    commit(&*store, both(Some(b"last")));
    assert_eq!(names(&*store, Table::RETAINED, b""), [b"a"]);
    assert_eq!(store.get(Table::RETAINED, &key(b"a")).unwrap().unwrap(), &b"last"[..]);
    commit(&*store, both(None));
    assert!(names(&*store, Table::RETAINED, b"").is_empty());
}

fn values_of_every_size_are_kept_and_replaced(place: &Place) {
    let sizes = [
        0,
        1,
        16_383,
        16_384,
        16_385,
        40_000,
        1 << 20,
        5,
        100_000,
        32_768,
        16_385,
    ];
    let value = |n: usize, size: usize| -> Vec<u8> { (0..size).map(|at| (at * 31 + n) as u8).collect() };
    let mut store = place();
    for (n, size) in sizes.into_iter().enumerate() {
        commit(
            &*store,
            vec![
                change(Table::RETAINED, b"same", Some(&value(n, size))),
                change(Table::RETAINED, &[b'k', n as u8], Some(&value(n, size))),
            ],
        );
        assert!(store.get(Table::RETAINED, &key(b"same")).unwrap().unwrap() == value(n, size));
        if n % 3 == 0 {
            drop(store);
            store = place();
        }
    }
    for (n, size) in sizes.into_iter().enumerate() {
        assert!(store.get(Table::RETAINED, &key(&[b'k', n as u8])).unwrap().unwrap() == value(n, size));
    }
    assert_eq!(names(&*store, Table::RETAINED, b"").len(), sizes.len() + 1);
    commit(&*store, vec![change(Table::RETAINED, b"same", None)]);
    drop(store);
    assert_eq!(names(&*place(), Table::RETAINED, b"s"), Vec::<Vec<u8>>::new());
}

/// Contract rule 5: waiting time is measured by it.
fn the_age_never_goes_down(place: &Place) {
    let mut store = place();
    assert_eq!(store.age().unwrap(), Duration::ZERO);
    for (told, kept) in [(5, 5), (3, 5), (1_000_000_007, 1_000_000_007), (1, 1_000_000_007)] {
        let batch = Batch {
            age: Some(Duration::from_micros(told)),
            ..Batch::default()
        };
        store.commit(&batch).unwrap();
        assert_eq!(store.age().unwrap(), Duration::from_micros(kept));
        drop(store);
        store = place();
        assert_eq!(store.age().unwrap(), Duration::from_micros(kept));
    }
}

/// Two keys that are always changed together are never seen apart.
fn a_reader_beside_the_committer_sees_whole_batches(place: &Place) {
    const COMMITS: u64 = 60;
    let store = place();
    let pair = |n: u64| {
        let size = if n.is_multiple_of(3) { 50_000 } else { 10 };
        let value = n.to_be_bytes().repeat(size / 8);
        vec![
            change(Table::CURSORS, b"left", Some(&value)),
            change(Table::CURSORS, b"right", Some(&value)),
        ]
    };
    commit(&*store, pair(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 1..=COMMITS {
                let batch = Batch {
                    puts: vec![(id("bob"), entry(n, 10))],
                    tables: pair(n),
                    ..Batch::default()
                };
                store.commit(&batch).unwrap();
            }
        });
        loop {
            let limit = PageLimit {
                messages: 10,
                bytes: usize::MAX,
            };
            let page = store.scan(Table::CURSORS, b"", None, limit).unwrap();
            let [(_, left), (_, right)] = &page.entries[..] else {
                panic!("both are there at every moment")
            };
            assert!(
                left == right,
                "{:?} and {:?}",
                &left[..8.min(left.len())],
                &right[..8.min(right.len())]
            );
            if left[..] == pair(COMMITS)[0].value.as_ref().unwrap()[..] {
                break;
            }
        }
    });
}
