//! Reading what was appended, whatever became of its end.

use std::fs;

use super::*;
use crate::contract::batch_of;
use crate::files::RealFiles;

fn commit(n: u64) -> Batch {
    batch_of("bob", n * 10..=n * 10 + 2)
}

/// What a log holds after commit `after`: the first seq of each commit.
fn open(dir: &Path, after: u64) -> (Result<Log, LogError>, Vec<u64>) {
    let mut found = Vec::new();
    let log = Log::open(Arc::new(RealFiles), dir, after, |batch| {
        found.push(batch.puts[0].1.seq.0)
    });
    (log, found)
}

fn damaged(dir: &Path, after: u64) -> String {
    match open(dir, after).0 {
        Err(LogError::Damaged(why)) => why.to_string(),
        other => panic!("{other:?}"),
    }
}

fn segment(dir: &Path, first: u64) -> PathBuf {
    dir.join(segment_name(first))
}

/// Goal: commits come back in order, through any number of openings and segments, and only those that are asked for.
#[test]
fn commits_come_back_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let dir = &dir.path().join("log");
    for n in 1..=3 {
        let (log, found) = open(dir, 0);
        assert_eq!(found, (1..n).map(|n| n * 10).collect::<Vec<_>>());
        let mut log = log.unwrap();
        assert_eq!(log.append(&commit(n)).unwrap(), n);
    }
    let (log, found) = open(dir, 2);
    assert_eq!(found, [30]);
    let mut log = log.unwrap();
    assert_eq!((log.last(), log.turn().unwrap()), (3, Some(3)));
    log.append(&commit(4)).unwrap();
    for path in log.cut(3) {
        fs::remove_file(path).unwrap();
    }
    assert_eq!(fs::read_dir(dir).unwrap().count(), 1);
    let before = log.bytes();
    log.append(&commit(5)).unwrap();
    assert!(log.bytes() > before);
    assert_eq!(open(dir, 3).1, [40, 50]);
    assert_eq!(open(dir, 5).1, [0; 0]);
    assert_eq!(open(dir, 5).0.unwrap().turn().unwrap(), None);
}

/// Goal: wherever the last append was interrupted, only it is missing, and the log goes on in its place.
#[test]
fn an_interrupted_append_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let dir = &dir.path().join("log");
    let mut log = open(dir, 0).0.unwrap();
    log.append(&commit(1)).unwrap();
    let whole = fs::read(segment(dir, 1)).unwrap().len();
    log.append(&commit(2)).unwrap();
    let bytes = fs::read(segment(dir, 1)).unwrap();
    for length in whole..bytes.len() {
        for later in [&[][..], &[0; 700]] {
            fs::remove_file(segment(dir, 2)).ok();
            fs::write(segment(dir, 1), [&bytes[..length], later].concat()).unwrap();
            let (log, found) = open(dir, 0);
            assert_eq!(found, [10], "{length}");
            assert_eq!(log.unwrap().append(&commit(3)).unwrap(), 2);
            assert_eq!(open(dir, 0).1, [10, 30], "{length}");
            fs::remove_file(segment(dir, 3)).ok();
        }
    }
}

/// Goal: a segment that was only begun is no obstacle, however far that got.
#[test]
fn a_segment_that_was_only_begun_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let dir = &dir.path().join("log");
    open(dir, 0).0.unwrap().append(&commit(1)).unwrap();
    for length in 0..=MAGIC.len() {
        fs::write(segment(dir, 2), &MAGIC[..length]).unwrap();
        assert_eq!(open(dir, 0).1, [10], "{length}");
    }
}

/// Goal: damage that no interrupted append leaves is refused, by name.
#[test]
fn damage_in_the_middle_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let dir = &dir.path().join("log");
    let mut log = open(dir, 0).0.unwrap();
    for n in 1..=2 {
        log.append(&commit(n)).unwrap();
    }
    log.turn().unwrap();
    for n in 3..=4 {
        log.append(&commit(n)).unwrap();
    }
    let (first, second) = (segment(dir, 1), segment(dir, 3));
    let (older, newer) = (fs::read(&first).unwrap(), fs::read(&second).unwrap());
    for at in [0, 17, 22, 40, older.len() - 1] {
        let mut changed = older.clone();
        changed[at] ^= 0x10;
        fs::write(&first, changed).unwrap();
        assert!(damaged(dir, 0).contains("0000000000000001"), "{at}");
    }
    fs::remove_file(&first).unwrap();
    assert!(damaged(dir, 0).contains("commit 1 is missing"));
    fs::write(&first, older).unwrap();
    fs::write(&second, [b"something else\0\0", &newer[16..]].concat()).unwrap();
    assert!(damaged(dir, 0).contains("does not begin"));
    fs::write(&second, newer).unwrap();
    fs::write(dir.join("notes.txt"), "hello").unwrap();
    assert!(damaged(dir, 0).contains("notes.txt"));
    fs::remove_file(dir.join("notes.txt")).unwrap();
    assert_eq!(open(dir, 0).1, [10, 20, 30, 40]);
}
