//! Reading what was appended, whatever became of its end.

use std::fs;

use super::*;
use crate::contract::{batch_of, entry, id};
use crate::files::RealFiles;
use crate::simulated::{Lack, SimDisk};

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
        let zeros = [0; 16];
        for written in 0..=length {
            fs::write(segment(dir, 2), [&MAGIC[..written], &zeros[written..length]].concat()).unwrap();
            assert_eq!(open(dir, 0).1, [10], "{length} bytes, {written} of them written");
        }
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

/// A log on a disk whose power can be cut, and what it holds: the first seq of each commit.
fn open_on(disk: &SimDisk) -> (Log, Vec<u64>) {
    let mut found = Vec::new();
    let files: Arc<dyn Files> = Arc::new(disk.clone());
    let log = Log::open(files, Path::new("/log"), 0, |batch| found.push(batch.puts[0].1.seq.0));
    (log.unwrap(), found)
}

/// A commit with a payload that makes of `behind` bytes of its record something that looks like record `number`.
fn forging(behind: usize, number: u64) -> Batch {
    let mut forged = Vec::new();
    encode(number, &commit(9), &mut forged);
    let with_payload = |payload: Vec<u8>| {
        let mut entry = entry(666, 0);
        Arc::make_mut(&mut entry.message).payload = payload.into();
        Batch {
            puts: vec![(id("bob"), entry)],
            ..Batch::default()
        }
    };
    let (length, mut record) = (4 * (behind + forged.len()), Vec::new());
    encode(number, &with_payload(vec![0xEE; length]), &mut record);
    let begins = record.windows(8).position(|bytes| bytes == [0xEE; 8]).unwrap();
    let mut payload = vec![0; length];
    payload[behind - begins..][..forged.len()].copy_from_slice(&forged);
    with_payload(payload)
}

/// Goal: a commit that finds no space changes nothing, and another one may take its place: a part of a record that is left behind a
/// shorter one is not taken for a commit, though a client chose its bytes, wherever the power goes.
#[test]
fn a_commit_that_found_no_space_leaves_nothing_behind() {
    let mut short = Vec::new();
    encode(2, &commit(2), &mut short);
    let forging = forging(short.len(), 3);
    for off_after in 0..8 {
        for seed in 0..40 {
            let disk = SimDisk::new(&[Path::new("/log")]);
            let mut log = open_on(&disk).0;
            log.append(&commit(1)).unwrap();
            disk.set_lack(Some(Lack::Space));
            for _ in 0..2 {
                let done = log.append(&forging);
                assert!(matches!(done, Err(AppendError::Trouble(Trouble::NoSpace))), "{done:?}");
                assert_eq!((log.last(), log.turn().is_err()), (1, true));
            }
            disk.set_lack(None);
            disk.power_off_after(off_after);
            let is_there = log.append(&commit(2)).is_ok();
            assert!(off_after < 2 || is_there, "a write and a sync are all that it takes");
            disk.restart(seed);
            let (mut log, found) = open_on(&disk);
            let with_it = found == [10, 20];
            assert!(with_it || (!is_there && found == [10]), "{found:?}");
            assert_eq!(log.append(&commit(4)).unwrap(), found.len() as u64 + 1);
            assert_eq!(open_on(&disk).1.last(), Some(&40));
        }
    }
}

/// Goal: as long as what is left of such a commit cannot be taken away, nothing comes behind it and no file is begun behind its own.
#[test]
fn what_cannot_be_taken_away_is_not_written_over() {
    let disk = SimDisk::new(&[Path::new("/log")]);
    let mut log = open_on(&disk).0;
    log.append(&commit(1)).unwrap();
    let kept = disk.read(&Path::new("/log").join(segment_name(1))).unwrap();
    disk.set_lack(Some(Lack::SpaceToCut));
    for _ in 0..2 {
        assert!(matches!(log.append(&forging(400, 3)), Err(AppendError::Trouble(_))));
        let torn = disk.read(&Path::new("/log").join(segment_name(1))).unwrap();
        assert!(
            torn.starts_with(&kept) && torn.len() > kept.len(),
            "a part of it is there"
        );
        assert!(matches!(log.turn(), Err(AppendError::Trouble(_))));
        assert_eq!(disk.list(Path::new("/log")).unwrap().len(), 1);
    }
    disk.set_lack(None);
    assert_eq!(log.append(&commit(2)).unwrap(), 2);
    assert_eq!(open_on(&disk).1, [10, 20]);
}
