//! Files that were cut, flipped, mixed up or left over.

use std::fs::{self, OpenOptions};
use std::ops::Bound;
use std::path::{Path, PathBuf};

use super::{DataDirectory, SledTree, batch_of, open, open_engine, open_tree};
use crate::contract::{all, entry, id, seqs};
use crate::tree::Tree;
use crate::{Batch, Engine, OpenError, PageLimit, SledOptions, Store, StoreError, key};
use inbox_types::{Entry, Seq};

const INBOXES: u64 = 10;
const MESSAGES: u64 = 6000;
const UNFINISHED: &str = "snap.FFFFFFFFFFFFFFFF.generating";

fn sized(seq: u64) -> Entry {
    entry(seq, if seq.is_multiple_of(500) { 50_000 } else { 200 })
}

/// A store of several segments, closed: half of it in blocks, the other half in the log.
fn filled(dir: &Path) {
    let store = open_tree(dir);
    for first in (1..=MESSAGES).step_by(100) {
        let puts = (first..first + 100).map(|seq| (id(&format!("client-{}", seq % INBOXES)), sized(seq)));
        store
            .commit(&Batch {
                puts: puts.collect(),
                ..Batch::default()
            })
            .unwrap();
        if first + 99 == MESSAGES / 2 {
            store.checkpoint();
        }
    }
    store.close().unwrap();
}

pub(super) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for item in fs::read_dir(from).unwrap() {
        let item = item.unwrap();
        let target = to.join(item.file_name());
        match item.file_type().unwrap().is_dir() {
            true => copy(&item.path(), &target),
            false => _ = fs::copy(item.path(), target).unwrap(),
        }
    }
}

/// The files that hold messages: sled's log, and ours.
fn logs(dir: &Path) -> Vec<String> {
    let ours = fs::read_dir(dir.join("sled/log")).unwrap().map(|item| item.unwrap());
    let ours = ours.filter(|item| item.metadata().unwrap().len() > 1000);
    let names = ours.map(|item| format!("sled/log/{}", item.file_name().to_string_lossy()));
    let all: Vec<String> = names.chain(["sled/db".to_owned()]).collect();
    assert_eq!(all.len(), 2, "{all:?}");
    all
}

fn snapshots(dir: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(dir.join("sled")).unwrap().map(|item| item.unwrap().path());
    files
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("snap."))
        .collect()
}

fn refused(dir: &Path) -> String {
    refused_by(Engine::Sled, dir)
}

/// What is said about a damaged store; it must not open.
pub(super) fn refused_by(engine: Engine, dir: &Path) -> String {
    match open_engine(dir, engine) {
        Err(error @ OpenError::Damaged { .. }) => {
            let sentence = error.to_string();
            assert!(
                sentence.starts_with(&format!("the store in {} is damaged", dir.display())),
                "{sentence}"
            );
            sentence
        }
        Err(other) => panic!("refused for another reason: {other}"),
        Ok(_) => panic!("opened"),
    }
}

/// Goal: a log that lost its end is refused, also where the engine alone would go on without it.
#[test]
fn a_log_that_was_cut_off_is_refused() {
    let base = tempfile::tempdir().unwrap();
    let whole = base.path().join("whole");
    filled(&whole);
    for (file, percent) in logs(&whole)
        .iter()
        .flat_map(|file| [0, 1, 30, 60, 90, 99].map(|percent| (file, percent)))
    {
        let dir = base.path().join(format!("{percent} of {}", file.replace('/', " ")));
        copy(&whole, &dir);
        let length = fs::metadata(dir.join(file)).unwrap().len();
        OpenOptions::new()
            .write(true)
            .open(dir.join(file))
            .unwrap()
            .set_len(length * percent / 100)
            .unwrap();
        refused(&dir);
    }
    assert_eq!(open(&whole).unwrap().inboxes(None, 100).unwrap().len() as u64, INBOXES);
}

/// Goal: a store put back to an earlier state than was acknowledged is refused, and the sentence says how to accept it.
#[test]
fn an_older_log_is_refused_until_the_loss_is_accepted() {
    let base = tempfile::tempdir().unwrap();
    let (now, before) = (base.path().join("now"), base.path().join("before"));
    filled(&now);
    copy(&now, &before);
    let store = open(&now).unwrap();
    store.commit(&batch_of("late", MESSAGES + 1..=MESSAGES + 3)).unwrap();
    store.close().unwrap();
    let acknowledged = now.join("sled/acknowledged");
    fs::copy(&acknowledged, before.join("sled/acknowledged")).unwrap();
    let sentence = refused(&before);
    assert!(
        sentence.contains("remove") && sentence.contains("acknowledged"),
        "{sentence}"
    );
    fs::remove_file(before.join("sled/acknowledged")).unwrap();
    let store = open(&before).unwrap();
    assert_eq!(store.inboxes(None, 100).unwrap().len() as u64, INBOXES);
    store.commit(&batch_of("late", MESSAGES + 1..=MESSAGES + 3)).unwrap();
}

/// Goal: a missing or empty file of the engine is never quietly made anew.
#[test]
fn a_missing_file_is_refused() {
    let base = tempfile::tempdir().unwrap();
    let whole = base.path().join("whole");
    filled(&whole);
    for file in ["db", "conf"] {
        let dir = base.path().join(file);
        copy(&whole, &dir);
        fs::write(dir.join("sled").join(file), b"").unwrap();
        assert!(refused(&dir).contains("is empty"));
        fs::remove_file(dir.join("sled").join(file)).unwrap();
        assert!(refused(&dir).contains("is missing"));
        assert!(!dir.join("sled").join(file).exists());
    }
}

/// Goal: wherever one byte of the log changes, the store opens or refuses, and what it gives is what was put: an error at
/// worst, never a changed message and never a panic.
#[test]
fn a_changed_byte_changes_no_message() {
    let base = tempfile::tempdir().unwrap();
    let (fresh, reopened) = (base.path().join("fresh"), base.path().join("reopened"));
    filled(&fresh);
    copy(&fresh, &reopened);
    drop(open(&reopened).unwrap());
    let files = logs(&fresh);
    for (whole, file, at) in [&fresh, &reopened].into_iter().flat_map(|whole| {
        files
            .iter()
            .flat_map(move |file| (0..8_usize).map(move |at| (whole, file, at)))
    }) {
        let dir = base.path().join(format!("changed-{at}"));
        copy(whole, &dir);
        let mut log = fs::read(dir.join(file)).unwrap();
        let position = log.len() / 8 * at + 5_021 * at;
        log[position] ^= 0x55;
        fs::write(dir.join(file), log).unwrap();
        if let Ok(store) = open(&dir) {
            for inbox in (0..INBOXES).map(|n| id(&format!("client-{n}"))) {
                match store.read(
                    &inbox,
                    Seq::ZERO,
                    PageLimit {
                        messages: 10_000,
                        bytes: usize::MAX,
                    },
                ) {
                    Ok(page) => assert!(page.entries.iter().all(|entry| *entry == sized(entry.seq.0))),
                    Err(StoreError::Failed(_) | StoreError::Damaged { .. }) => {}
                    Err(StoreError::Troubled(trouble)) => panic!("{trouble}"),
                }
            }
        }
        fs::remove_dir_all(dir).unwrap();
    }
}

/// Goal: a snapshot that was not finished is no obstacle, and a damaged one is refused.
#[test]
fn an_unfinished_snapshot_is_no_obstacle() {
    let base = tempfile::tempdir().unwrap();
    let dir = base.path().join("data");
    filled(&dir);
    drop(open(&dir).unwrap());
    let snapshot = snapshots(&dir).pop().unwrap();
    fs::write(dir.join("sled").join(UNFINISHED), b"half").unwrap();
    let store = open(&dir).unwrap();
    assert_eq!(store.inboxes(None, 100).unwrap().len() as u64, INBOXES);
    drop(store);
    assert!(snapshots(&dir).iter().all(|path| !path.ends_with(UNFINISHED)));

    let mut bytes = fs::read(&snapshot).unwrap();
    bytes[20] ^= 1;
    fs::write(&snapshot, bytes).unwrap();
    refused(&dir);
}

/// Goal: one damaged message is named, the others are not affected, and its inbox can be listed and purged.
#[test]
fn a_damaged_message_can_be_purged() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_tree(dir.path());
    for seq in 1..=5 {
        for inbox in ["bob", "carol"] {
            store.commit(&batch_of(inbox, seq..=seq)).unwrap();
        }
        // A value for each message.
        store.checkpoint();
    }
    store
        .commit(&Batch {
            puts: vec![(id("dave"), entry(6, 100_000))],
            ..Batch::default()
        })
        .unwrap();
    store.checkpoint();
    store.close().unwrap();
    with_tree(dir.path(), |tree| {
        tree.insert(&key::message(&id("bob"), Seq(3)), b"\x07foreign").unwrap();
        tree.remove(&key::piece(&key::message(&id("dave"), Seq(6)), 2)).unwrap();
    });

    let store = open_tree(dir.path());
    let limit = PageLimit {
        messages: 10,
        bytes: 1000,
    };
    let page = store.read(&id("bob"), Seq::ZERO, limit).unwrap();
    assert_eq!(
        (page.entries.len(), page.more),
        (2, true),
        "what comes before it is given"
    );
    for (inbox, after) in [("bob", Seq(2)), ("dave", Seq::ZERO)] {
        let error = store.read(&id(inbox), after, limit).unwrap_err();
        assert!(
            matches!(&error, StoreError::Damaged { inbox: named, .. } if named.as_str() == inbox),
            "{error}"
        );
    }
    assert_eq!(all(&store, &id("carol"), limit).len(), 5);
    let listed: Vec<_> = store
        .inboxes(None, 10)
        .unwrap()
        .into_iter()
        .map(|(_, record)| record.messages)
        .collect();
    assert_eq!(listed, [5, 5, 1]);
    for inbox in ["bob", "dave"].map(id) {
        let removals = store
            .seqs(&inbox, Seq::ZERO, 100)
            .unwrap()
            .into_iter()
            .map(|seq| (inbox.clone(), seq));
        store
            .commit(&Batch {
                removals: removals.collect(),
                ..Batch::default()
            })
            .unwrap();
        assert_eq!(store.inbox(&inbox).unwrap(), None);
    }
    store.checkpoint();
    store.close().unwrap();
    with_tree(dir.path(), |tree| {
        assert_eq!(keys_of(tree, "dave"), 0, "its other pieces went with it")
    });
}

/// Goal: pieces that a crash left without their beginning are seen by nobody, and removed by the next checkpoint after a scan.
#[test]
fn stray_pieces_go_away() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_tree(dir.path());
    let long = |inbox, seq| Batch {
        puts: vec![(id(inbox), entry(seq, 100_000))],
        ..Batch::default()
    };
    store.commit(&long("bob", 1)).unwrap();
    store.commit(&long("bob", 2)).unwrap();
    store.commit(&long("carol", 3)).unwrap();
    store.checkpoint();
    store.close().unwrap();
    with_tree(dir.path(), |tree| {
        tree.remove(&key::message(&id("bob"), Seq(1))).unwrap();
        tree.remove(&key::message(&id("carol"), Seq(3))).unwrap();
        // A crash leaves pieces of a message that no total counts yet.
        tree.remove(&key::totals(&id("carol"))).unwrap();
    });

    let store = open_tree(dir.path());
    assert_eq!(seqs(&store, &id("bob")), [2]);
    assert_eq!(store.inboxes(None, 10).unwrap().len(), 1);
    store.commit(&batch_of("bob", 4..=4)).unwrap();
    store.checkpoint();
    assert_eq!(seqs(&store, &id("bob")), [2, 4]);
    store.close().unwrap();
    with_tree(dir.path(), |tree| {
        assert_eq!(keys_of(tree, "carol"), 0);
        // The head and six pieces of message 2, and message 4.
        assert_eq!(keys_of(tree, "bob"), 8);
    });
}

fn keys_of(tree: &SledTree, inbox: &str) -> usize {
    tree.range(
        Bound::Included(key::message(&id(inbox), Seq::ZERO)),
        Bound::Excluded(key::end(&id(inbox))),
    )
    .count()
}

fn with_tree(dir: &Path, work: impl FnOnce(&SledTree)) {
    let directory = DataDirectory::open(dir, "sled").unwrap();
    let tree = SledTree::open(&directory, SledOptions::default()).unwrap();
    work(&tree);
    tree.sync().unwrap();
    drop(tree);
}
