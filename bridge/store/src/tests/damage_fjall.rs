//! fjall's files, cut, flipped and removed.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::damage::{copy, refused_by};
use super::{DataDirectory, FjallOptions, FjallTree, NEVER, TreeStore, batch_of, open_engine};
use crate::contract::{entry, id, seqs};
use crate::{Batch, Engine, OpenError, PageLimit, Store, StoreError};
use inbox_types::Seq;

const INBOXES: u64 = 10;
const MESSAGES: u64 = 2000;

/// A store with a table and a journal, closed; all of it is in blocks. Each message is of 10,000 bytes.
fn filled(dir: &Path) {
    let store = open_fjall(dir);
    for first in (1..=MESSAGES).step_by(100) {
        let puts = (first..first + 100).map(|seq| (id(&format!("client-{}", seq % INBOXES)), entry(seq, 10_000)));
        store
            .commit(&Batch {
                puts: puts.collect(),
                ..Batch::default()
            })
            .unwrap();
        if first % 400 == 301 {
            store.checkpoint();
        }
    }
    store.close().unwrap();
    drop(store);
    // This gives back what fjall reserved in its journal.
    drop(open_fjall(dir));
}

/// A store of which a test says when there is a checkpoint.
fn open_fjall(dir: &Path) -> TreeStore<FjallTree> {
    let directory = DataDirectory::open(dir, "fjall").unwrap();
    let tree = FjallTree::open(&directory, FjallOptions::default()).unwrap();
    TreeStore::open(directory, tree, NEVER).unwrap()
}

fn open(dir: &Path) -> Result<std::sync::Arc<dyn Store>, OpenError> {
    open_engine(dir, Engine::Fjall)
}

fn files(dir: &Path, suffix: &str) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|item| item.unwrap().path()).collect();
    all.retain(|path| path.to_string_lossy().ends_with(suffix));
    all.sort();
    all
}

fn journals(dir: &Path) -> Vec<PathBuf> {
    files(&dir.join("fjall"), ".jnl")
}

fn refused(dir: &Path) -> String {
    refused_by(Engine::Fjall, dir)
}

/// Goal: a last journal that lost its end is refused, also where the engine alone would go on without it; and a missing one.
#[test]
fn a_journal_that_was_cut_off_is_refused() {
    let base = tempfile::tempdir().unwrap();
    let whole = base.path().join("whole");
    filled(&whole);
    let last = journals(&whole).pop().unwrap();
    let name = last.file_name().unwrap();
    for percent in [0, 60, 99] {
        let dir = base.path().join(percent.to_string());
        copy(&whole, &dir);
        let journal = dir.join("fjall").join(name);
        cut(&journal, written(&last) * percent / 100);
        refused(&dir);
        fs::remove_file(journal).unwrap();
        refused(&dir);
        fs::remove_dir_all(dir).unwrap();
    }
    assert_eq!(open(&whole).unwrap().inboxes(None, 100).unwrap().len() as u64, INBOXES);
}

/// Goal: damage in a sealed journal is refused, as often as it is tried: the engine would go on behind it.
#[test]
fn a_damaged_sealed_journal_is_refused() {
    let base = tempfile::tempdir().unwrap();
    let whole = base.path().join("whole");
    filled(&whole);
    // Before another journal begins, this one has 64 MB.
    let last = journals(&whole).pop().unwrap();
    let number: u64 = last.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    let next = last.with_file_name(format!("{}.jnl", number + 1));
    fs::write(&next, b"").unwrap();
    let length = written(&last);
    assert!(length < 64_000_000);
    let sentence = refused(&whole);
    assert!(sentence.contains(&format!("beyond byte {length}")), "{sentence}");
    assert_eq!(refused(&whole), sentence, "it was left as it was");
}

/// Goal: what a power cut kept of a write that nobody was told of is no obstacle.
#[test]
fn a_torn_end_is_cut_off() {
    let base = tempfile::tempdir().unwrap();
    let dir = base.path().join("data");
    filled(&dir);
    let store = open_fjall(&dir);
    store.commit(&batch_of("late", MESSAGES + 1..=MESSAGES + 10)).unwrap();
    store.checkpoint();
    store.close().unwrap();
    drop(store);
    let journal = journals(&dir).pop().unwrap();
    let bytes = fs::read(&journal).unwrap();
    // The last commit's beginning again, in all the ways in which some of it may be missing.
    let end = written(&journal) as usize;
    let again = bytes[end - 400..end].to_vec();
    for torn in [1, 13, 40, 200, 399] {
        let mut bytes = bytes[..end].to_vec();
        bytes.extend(&again[..torn]);
        bytes.extend([0; 600]);
        bytes.extend(&again[torn..]);
        fs::write(&journal, bytes).unwrap();
        let store = open(&dir).unwrap();
        assert_eq!(
            seqs(&*store, &id("late")),
            (MESSAGES + 1..=MESSAGES + 10).collect::<Vec<_>>()
        );
        store.close().unwrap();
    }
}

/// Goal: a missing or empty file of the engine is never quietly made anew, and nothing is removed because of it.
#[test]
fn a_missing_file_is_refused() {
    let base = tempfile::tempdir().unwrap();
    let whole = base.path().join("whole");
    filled(&whole);
    let table = files(&whole.join("fjall/keyspaces/1/tables"), "").pop().unwrap();
    let table = table.strip_prefix(&whole).unwrap().to_str().unwrap().to_owned();
    for file in [
        "fjall/version",
        "fjall/keyspaces/0/current",
        "fjall/keyspaces/1/current",
        &table,
    ] {
        let dir = base.path().join("copy");
        copy(&whole, &dir);
        fs::write(dir.join(file), b"").unwrap();
        refused(&dir);
        fs::remove_file(dir.join(file)).unwrap();
        refused(&dir);
        assert!(!dir.join(file).exists());
        fs::copy(whole.join(file), dir.join(file)).unwrap();
        assert_eq!(open(&dir).unwrap().inboxes(None, 100).unwrap().len() as u64, INBOXES);
        fs::remove_dir_all(dir).unwrap();
    }
}

/// Goal: wherever one byte changes, the store opens or refuses, and what it gives is what was put: an error at worst, never a
/// changed message, a missing one that was acknowledged, or a panic.
#[test]
fn a_changed_byte_changes_no_message() {
    let base = tempfile::tempdir().unwrap();
    let whole = base.path().join("whole");
    filled(&whole);
    let mut all = journals(&whole);
    all.extend(files(&whole.join("fjall/keyspaces/1/tables"), "").into_iter().take(2));
    all.extend(files(&whole.join("fjall/keyspaces/1"), "current"));
    for (n, file) in all.into_iter().enumerate() {
        for at in 0..4 {
            let dir = base.path().join("copy");
            copy(&whole, &dir);
            let (length, file) = (written(&file), dir.join(file.strip_prefix(&whole).unwrap()));
            let position = length / 4 * at + (n as u64 * 7 + at * 13) % (length / 4);
            let mut byte = [0];
            let file = OpenOptions::new().read(true).write(true).open(file).unwrap();
            file.read_exact_at(&mut byte, position).unwrap();
            file.write_all_at(&[byte[0] ^ 0x55], position).unwrap();
            if let Ok(store) = open(&dir) {
                check(&*store);
            }
            fs::remove_dir_all(dir).unwrap();
        }
    }
}

fn check(store: &dyn Store) {
    for n in 0..INBOXES {
        let limit = PageLimit {
            messages: 10_000,
            bytes: usize::MAX,
        };
        match store.read(&id(&format!("client-{n}")), Seq::ZERO, limit) {
            Ok(page) => {
                let expected = (1..=MESSAGES)
                    .filter(|seq| seq % INBOXES == n)
                    .map(|seq| entry(seq, 10_000));
                assert!(page.entries.into_iter().eq(expected));
            }
            Err(StoreError::Failed(_) | StoreError::Damaged { .. }) => {}
            Err(StoreError::Troubled(trouble)) => panic!("{trouble}"),
        }
    }
}

fn cut(file: &Path, bytes: u64) {
    OpenOptions::new()
        .write(true)
        .open(file)
        .unwrap()
        .set_len(bytes)
        .unwrap();
}

/// The length of a file without the zeros at its end.
fn written(file: &Path) -> u64 {
    let bytes = fs::read(file).unwrap();
    bytes
        .iter()
        .rposition(|&byte| byte != 0)
        .map_or(0, |last| last as u64 + 1)
}
