//! What every engine must do, as one suite that each of them runs.
//!
//! [`run`] is given places. A place is somewhere that one store lives: opening it again, after the store before was closed
//! and dropped, finds everything that was committed.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a suite of assertions, run by tests only"
)]

mod holding;
mod makers;
mod tables;

use std::sync::Arc;

use bytes::Bytes;

use crate::error::StoreError;
use crate::store::{Batch, InboxRecord, PageLimit, Store};
use inbox_types::{Age, CLIENT_ID_BYTES_MAX, ClientId, Entry, Expiry, Message, Properties, Qos, Seq};

pub use makers::{all, batch_of, entry, id, seqs};
pub use tables::{change, key, table};

/// Opens the store that lives in one place.
pub type Place = Box<dyn Fn() -> Arc<dyn Store>>;

/// Runs every check, each in a place of its own.
pub fn run(make: impl Fn() -> Place) {
    let checks: &[fn(&Place)] = &[
        a_new_store_is_empty,
        entries_come_back_whole_and_in_order,
        a_page_ends_at_its_limits_and_says_whether_there_is_more,
        inboxes_whose_ids_begin_alike_are_apart,
        removal_is_idempotent_and_exact,
        one_batch_may_put_and_remove,
        an_empty_batch_changes_nothing,
        the_reservation_never_goes_down,
        inboxes_are_listed_in_order_and_in_pages,
        messages_of_every_size_are_kept_and_removed,
        holding::commits_are_held_for_a_backup,
        a_reader_beside_the_committer_sees_whole_messages_in_order,
        reopening_keeps_everything,
    ];
    for check in checks.iter().chain(tables::CHECKS) {
        check(&make());
    }
}

/// Checks that a store whose next commit fails is poisoned by it: it says so at once, and at every commit after it.
pub fn poisoned_by_next_commit(store: &dyn Store, batch: &Batch) {
    for _ in 0..3 {
        let failed = store.commit(batch);
        assert!(
            matches!(failed, Err(StoreError::Failed(_))),
            "a failed store acknowledges nothing: {failed:?}"
        );
    }
    let reserve = Batch {
        reserve: Some(Seq(u64::MAX)),
        ..Batch::default()
    };
    assert!(store.commit(&reserve).is_err());
}

fn removals(inbox: &str, seqs: &[u64]) -> Batch {
    Batch {
        removals: seqs.iter().map(|&seq| (id(inbox), Seq(seq))).collect(),
        ..Batch::default()
    }
}

fn record(messages: u64, bytes: u64) -> InboxRecord {
    InboxRecord { messages, bytes }
}

fn a_new_store_is_empty(place: &Place) {
    let store = place();
    let page = store
        .read(
            &id("bob"),
            Seq::ZERO,
            PageLimit {
                messages: 10,
                bytes: 10,
            },
        )
        .unwrap();
    assert!(page.entries.is_empty() && !page.more);
    assert_eq!(store.inbox(&id("bob")).unwrap(), None);
    assert_eq!(store.inboxes(None, 10).unwrap(), []);
    assert_eq!(store.seqs(&id("bob"), Seq::ZERO, 10).unwrap(), []);
    assert_eq!(store.reserved().unwrap(), Seq::ZERO);
}

/// Contract rule 6: the order is that of the seq, around byte boundaries too, in whatever order they were put.
fn entries_come_back_whole_and_in_order(place: &Place) {
    let store = place();
    let mut sorted: Vec<u64> = vec![1, 2, u64::MAX - 2, u64::MAX - 1];
    for shift in (8..64).step_by(8) {
        sorted.extend([(1 << shift) - 1, 1 << shift, (1 << shift) + 1]);
    }
    sorted.sort_unstable();
    let mut entries: Vec<Entry> = sorted.iter().map(|&seq| entry(seq, 3)).collect();
    let rich = Message {
        id: Some("an id".into()),
        expiry: Expiry::of(Age(7), 8_000_000, Some(9)),
        qos: Qos::ExactlyOnce,
        properties: Some(Box::new(Properties {
            payload_format: Some(inbox_types::PayloadFormat::Bytes),
            content_type: Some("text/plain".into()),
            response_topic: Some("alice".into()),
            correlation_data: Some(Bytes::from_static(&[0, 255])),
            user: vec![("a".into(), "1".into()), ("a".into(), "2".into())],
        })),
        ..(*entry(0, 0).message).clone()
    };
    entries[4].message = Arc::new(rich);
    // Backwards, and in several commits.
    for part in entries.chunks(5).rev() {
        let puts = part.iter().rev().map(|entry| (id("bob"), entry.clone())).collect();
        store
            .commit(&Batch {
                puts,
                ..Batch::default()
            })
            .unwrap();
    }
    assert_eq!(
        all(
            &*store,
            &id("bob"),
            PageLimit {
                messages: 4,
                bytes: usize::MAX
            }
        ),
        entries
    );
    assert_eq!(store.seqs(&id("bob"), Seq(1), 3).unwrap(), [Seq(2), Seq(255), Seq(256)]);
    assert_eq!(
        store.seqs(&id("bob"), Seq::ZERO, usize::MAX).unwrap().len(),
        sorted.len()
    );
    assert_eq!(
        store
            .read(&id("bob"), Seq(u64::MAX), PageLimit { messages: 1, bytes: 1 })
            .unwrap(),
        Default::default()
    );
}

fn a_page_ends_at_its_limits_and_says_whether_there_is_more(place: &Place) {
    let store = place();
    store.commit(&batch_of("bob", 1..=10)).unwrap();
    let read = |after, messages, bytes| {
        let page = store
            .read(&id("bob"), Seq(after), PageLimit { messages, bytes })
            .unwrap();
        (
            page.entries.iter().map(|entry| entry.seq.0).collect::<Vec<_>>(),
            page.more,
        )
    };
    assert_eq!(read(0, 3, 1000), (vec![1, 2, 3], true), "as many messages as asked for");
    assert_eq!(
        read(7, 3, 1000),
        (vec![8, 9, 10], false),
        "exactly the rest is not more"
    );
    assert_eq!(read(8, 3, 1000), (vec![9, 10], false));
    assert_eq!(read(10, 3, 1000), (vec![], false));
    assert_eq!(read(0, 100, 30), (vec![1, 2, 3], true), "exactly the bytes asked for");
    assert_eq!(read(0, 100, 29), (vec![1, 2], true));
    assert_eq!(read(0, 100, 1), (vec![1], true), "the first entry whatever its size");
    assert_eq!(read(9, 100, 1), (vec![10], false));
    assert_eq!(read(0, 100, 100), ((1..=10).collect(), false));
}

fn inboxes_whose_ids_begin_alike_are_apart(place: &Place) {
    let store = place();
    let longest = "a".repeat(CLIENT_ID_BYTES_MAX);
    let ids = [
        "\u{1}",
        "\u{1}\u{1}",
        "a",
        "a\u{1}",
        "a\u{1}b",
        "aa",
        "ab",
        "b",
        "ß",
        "\u{10ffff}",
        &longest,
    ];
    for (n, inbox) in (0..).zip(ids) {
        store.commit(&batch_of(inbox, n * 100 + 1..=n * 100 + n + 1)).unwrap();
    }
    for (n, inbox) in (0..).zip(ids) {
        assert_eq!(
            seqs(&*store, &id(inbox)),
            (n * 100 + 1..=n * 100 + n + 1).collect::<Vec<_>>(),
            "{inbox:?}"
        );
        assert_eq!(store.inbox(&id(inbox)).unwrap(), Some(record(n + 1, 10 * (n + 1))));
    }
    store.commit(&removals("a", &[201, 202, 203])).unwrap();
    assert_eq!(store.inbox(&id("a")).unwrap(), None);
    assert_eq!(store.inboxes(None, 100).unwrap().len(), ids.len() - 1);
}

fn removal_is_idempotent_and_exact(place: &Place) {
    let store = place();
    store.commit(&batch_of("bob", 1..=5)).unwrap();
    store.commit(&batch_of("carol", 1..=1)).unwrap();
    for _ in 0..2 {
        store.commit(&removals("bob", &[4, 2, 77])).unwrap();
        store.commit(&removals("nobody", &[1])).unwrap();
        assert_eq!(seqs(&*store, &id("bob")), [1, 3, 5]);
    }
    assert_eq!(store.inbox(&id("bob")).unwrap(), Some(record(3, 30)));
    assert_eq!(seqs(&*store, &id("carol")), [1]);
}

fn one_batch_may_put_and_remove(place: &Place) {
    let store = place();
    let mut batch = batch_of("bob", 1..=3);
    batch.removals = removals("bob", &[2]).removals;
    batch.reserve = Some(Seq(9));
    store.commit(&batch).unwrap();
    assert_eq!(seqs(&*store, &id("bob")), [1, 3], "puts come before removals");
    assert_eq!(store.reserved().unwrap(), Seq(9));
}

fn an_empty_batch_changes_nothing(place: &Place) {
    let store = place();
    store.commit(&batch_of("bob", 1..=1)).unwrap();
    store.commit(&Batch::default()).unwrap();
    assert_eq!(seqs(&*store, &id("bob")), [1]);
}

/// Contract rule 6: a seq never repeats and never goes back.
fn the_reservation_never_goes_down(place: &Place) {
    let store = place();
    for (asked, kept) in [(5, 5), (3, 5), (u64::MAX, u64::MAX), (1, u64::MAX)] {
        store
            .commit(&Batch {
                reserve: Some(Seq(asked)),
                ..Batch::default()
            })
            .unwrap();
        assert_eq!(store.reserved().unwrap(), Seq(kept));
    }
    assert_eq!(store.inboxes(None, 10).unwrap(), [], "the reservation is no inbox");
}

fn inboxes_are_listed_in_order_and_in_pages(place: &Place) {
    let store = place();
    let mut batch = Batch::default();
    for n in (0..50_u64).rev() {
        let puts = (1..=1 + n % 3).map(|seq| (id(&format!("client-{n:02}")), entry(n * 10 + seq, 5)));
        batch.puts.extend(puts);
    }
    store.commit(&batch).unwrap();
    let mut listed: Vec<(ClientId, InboxRecord)> = Vec::new();
    loop {
        let page = store.inboxes(listed.last().map(|(inbox, _)| inbox), 7).unwrap();
        assert!(page.len() <= 7);
        if page.is_empty() {
            break;
        }
        listed.extend(page);
    }
    let expected = (0..50).map(|n| (id(&format!("client-{n:02}")), record(1 + n % 3, 5 * (1 + n % 3))));
    assert_eq!(listed, expected.collect::<Vec<_>>());
    assert_eq!(
        store.inboxes(Some(&id("client-47x")), 10).unwrap().len(),
        2,
        "after a name that is nobody's"
    );
}

/// An empty payload is a message like any other (contract rule 1), and so is one of more than the default limit.
fn messages_of_every_size_are_kept_and_removed(place: &Place) {
    let sizes = [0, 1, 16_000, 16_384, 16_385, 40_000, 1 << 20, (1 << 20) + 1, 3 << 20];
    let entries: Vec<Entry> = (1..).zip(sizes).map(|(seq, size)| entry(seq, size)).collect();
    let puts = |inbox: &'static str| entries.iter().map(move |entry| (id(inbox), entry.clone()));
    let store = place();
    store
        .commit(&Batch {
            puts: puts("bob").chain(puts("carol")).collect(),
            ..Batch::default()
        })
        .unwrap();
    let limit = PageLimit {
        messages: 100,
        bytes: 1 << 20,
    };
    assert!(all(&*store, &id("bob"), limit) == entries);
    let bytes = sizes.iter().sum::<usize>() as u64;
    assert_eq!(store.inbox(&id("bob")).unwrap(), Some(record(9, bytes)));
    store.close().unwrap();
    drop(store);

    let store = place();
    assert!(all(&*store, &id("carol"), limit) == entries);
    assert_eq!(store.seqs(&id("carol"), Seq(7), 10).unwrap(), [Seq(8), Seq(9)]);
    store.commit(&removals("bob", &[1, 3, 5, 7, 9])).unwrap();
    assert_eq!(seqs(&*store, &id("bob")), [2, 4, 6, 8]);
    store.commit(&removals("bob", &[2, 4, 6, 8])).unwrap();
    assert_eq!(store.inbox(&id("bob")).unwrap(), None);
    assert_eq!(store.inboxes(None, 10).unwrap(), [(id("carol"), record(9, bytes))]);
}

fn a_reader_beside_the_committer_sees_whole_messages_in_order(place: &Place) {
    const COMMITS: u64 = 60;
    // Every third is long enough to be kept in pieces by engines that do so.
    let sized = |seq: u64| entry(seq, if seq.is_multiple_of(3) { 50_000 } else { 100 });
    let store = place();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 1..=COMMITS {
                let mut batch = Batch {
                    puts: vec![(id("bob"), sized(n))],
                    ..Batch::default()
                };
                batch.removals = removals("bob", &[n.saturating_sub(5)]).removals;
                store.commit(&batch).unwrap();
            }
        });
        loop {
            let page = store
                .read(
                    &id("bob"),
                    Seq::ZERO,
                    PageLimit {
                        messages: 100,
                        bytes: usize::MAX,
                    },
                )
                .unwrap();
            assert!(page.entries.is_sorted_by(|a, b| a.seq < b.seq));
            assert!(page.entries.iter().all(|entry| *entry == sized(entry.seq.0)));
            if page.entries.last().is_some_and(|entry| entry.seq.0 == COMMITS) {
                break;
            }
        }
    });
    assert_eq!(seqs(&*store, &id("bob")), (COMMITS - 4..=COMMITS).collect::<Vec<_>>());
}

fn reopening_keeps_everything(place: &Place) {
    let store = place();
    store.commit(&batch_of("bob", 1..=600)).unwrap();
    store
        .commit(&Batch {
            reserve: Some(Seq(12_345)),
            ..Batch::default()
        })
        .unwrap();
    store
        .commit(&removals("bob", &(1..=600).step_by(2).collect::<Vec<_>>()))
        .unwrap();
    store.close().unwrap();
    drop(store);
    for _ in 0..2 {
        // Not closed: a process that was killed does not close anything either.
        let store = place();
        assert_eq!(seqs(&*store, &id("bob")), (2..=600).step_by(2).collect::<Vec<_>>());
        assert_eq!(store.inbox(&id("bob")).unwrap(), Some(record(300, 3000)));
        assert_eq!(store.reserved().unwrap(), Seq(12_345));
    }
}
