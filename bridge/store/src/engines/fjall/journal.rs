//! A look at fjall's journals before fjall sees them.
//!
//! fjall writes to one journal, and begins another when that has grown to a certain size. The older ones are *sealed*: they were
//! synced as a whole, so a sealed journal that is not whole is damaged. The last one may end in a write that a crash cut short, or
//! of which a power cut kept some sectors. fjall drops such an end only where it happens to look wrong enough; with any damage in
//! a sealed journal it goes on to the next one. So both are judged here: an end that is not whole is cut off from the last
//! journal, and in a sealed one it is refused.
//!
//! ```text
//! journal = batch* zero*                   batch = 1, number of items (4), seqno (8), item*, 3, xxh3 of the items (8), "FJL", 3
//! item = 2, kind (1), compression (1), keyspace (8), length of key (2), of value (4), of value here (4), key, value
//!      | 4, keyspace (8)                   all numbers little-endian
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

/// fjall begins another journal when the last one is longer than this.
const SEALED_BYTES_MIN: u64 = 64_000_000;
const SUFFIX: &str = ".jnl";
const END: &[u8] = b"FJL\x03";

/// Why the journals cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum JournalError {
    #[error("{}: {why}", .path.display())]
    Io {
        path: PathBuf,
        #[source]
        why: io::Error,
    },
    #[error(transparent)]
    Damaged(JournalDamage),
}

/// What is wrong with the journals.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JournalDamage {
    /// There is none.
    #[error("there is no journal in {}", .dir.display())]
    None { dir: PathBuf },
    /// One that was synced as a whole is not whole.
    #[error("its file {} cannot be read beyond byte {whole_bytes}", .file.display())]
    Sealed { file: PathBuf, whole_bytes: u64 },
}

/// Checks the journals in `dir`, and cuts off what a crash left at the end of the last one.
pub(super) fn check(dir: &Path) -> Result<(), JournalError> {
    let mut journals = journals(dir).map_err(|why| JournalError::Io {
        path: dir.to_owned(),
        why,
    })?;
    let Some((_, last)) = journals.pop() else {
        return Err(JournalError::Damaged(JournalDamage::None { dir: dir.to_owned() }));
    };
    let mut seqno = 0;
    for (_, sealed) in journals {
        let read = read(&sealed, &mut seqno).map_err(|why| io_error(&sealed, why))?;
        if read.whole_bytes <= SEALED_BYTES_MIN || read.has_torn_end {
            return Err(JournalError::Damaged(JournalDamage::Sealed {
                file: sealed,
                whole_bytes: read.whole_bytes,
            }));
        }
    }
    let cut_off = read(&last, &mut seqno).and_then(|read| match read.has_torn_end {
        true => {
            let file = OpenOptions::new().write(true).open(&last)?;
            file.set_len(read.whole_bytes)?;
            file.sync_all()
        }
        false => Ok(()),
    });
    cut_off.map_err(|why| io_error(&last, why))
}

fn io_error(path: &Path, why: io::Error) -> JournalError {
    JournalError::Io {
        path: path.to_owned(),
        why,
    }
}

/// The journals by number.
fn journals(dir: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut journals = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(SUFFIX)?.parse().ok());
        journals.extend(number.map(|number| (number, entry.path())));
    }
    journals.sort();
    Ok(journals)
}

/// What a journal holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Journal {
    /// The length of the whole batches at its beginning.
    whole_bytes: u64,
    /// Something follows them that is not zeros.
    has_torn_end: bool,
}

/// Reads a journal whose first seqno is not below `seqno`, and leaves there what the next one's may be.
fn read(path: &Path, seqno: &mut u64) -> io::Result<Journal> {
    let mut file = BufReader::with_capacity(256 * 1024, File::open(path)?);
    let (mut whole_bytes, mut items) = (0, Vec::new());
    loop {
        match batch(&mut file, *seqno, &mut items) {
            Ok(Some(batch)) => {
                whole_bytes += batch.bytes;
                *seqno = batch.seqno.saturating_add(1);
            }
            Ok(None) => break,
            Err(why) if why.kind() == ErrorKind::UnexpectedEof => break,
            Err(why) => return Err(why),
        }
    }
    Ok(Journal {
        whole_bytes,
        has_torn_end: !is_zero_from(path, whole_bytes)?,
    })
}

struct JournalBatch {
    bytes: u64,
    seqno: u64,
}

/// Reads one batch; `None` when it is not whole, or its seqno is below `seqno_min`, because seqnos grow and are not in the checksum.
/// The memory of `item` is used again.
fn batch(file: &mut impl Read, seqno_min: u64, item: &mut Vec<u8>) -> io::Result<Option<JournalBatch>> {
    let (tag, count, seqno) = (array::<1>(file)?, array::<4>(file)?, array::<8>(file)?);
    let seqno = u64::from_le_bytes(seqno);
    if tag != [1] || seqno < seqno_min {
        return Ok(None);
    }
    let (mut bytes, mut hasher) = (13, Xxh3::new());
    for _ in 0..u32::from_le_bytes(count) {
        item.clear();
        if !read_item(file, item)? {
            return Ok(None);
        }
        hasher.update(item);
        bytes += item.len() as u64;
    }
    let (tag, checksum, end) = (array::<1>(file)?, array::<8>(file)?, array::<4>(file)?);
    let is_whole = tag == [3] && u64::from_le_bytes(checksum) == hasher.digest() && end == END;
    bytes += 13;
    Ok(is_whole.then_some(JournalBatch { bytes, seqno }))
}

/// Reads one item of a batch to the end of `item`. Tells whether it is one.
fn read_item(file: &mut impl Read, item: &mut Vec<u8>) -> io::Result<bool> {
    let tag = array::<1>(file)?;
    item.extend(tag);
    match tag {
        [2] => {}
        [4] => {
            item.extend(array::<8>(file)?);
            return Ok(true);
        }
        _ => return Ok(false),
    }
    let (kind, key, value, stored) = (
        array::<10>(file)?,
        array::<2>(file)?,
        array::<4>(file)?,
        array::<4>(file)?,
    );
    item.extend(kind);
    item.extend(key);
    item.extend(value);
    item.extend(stored);
    let rest = u64::from(u16::from_le_bytes(key)) + u64::from(u32::from_le_bytes(stored));
    // A damaged length must not be allocated before the bytes are there.
    let read = file.take(rest).read_to_end(item)?;
    Ok(read as u64 == rest)
}

fn array<const N: usize>(file: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn is_zero_from(path: &Path, offset: u64) -> io::Result<bool> {
    let mut file = BufReader::with_capacity(256 * 1024, File::open(path)?);
    file.seek(SeekFrom::Start(offset))?;
    loop {
        let bytes = file.fill_buf()?;
        if bytes.is_empty() {
            return Ok(true);
        }
        if bytes.iter().any(|&byte| byte != 0) {
            return Ok(false);
        }
        let read = bytes.len();
        file.consume(read);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A batch of one item of each kind, as fjall writes it.
    fn sample(seqno: u64) -> Vec<u8> {
        sized(seqno, 5)
    }

    fn sized(seqno: u64, value_bytes: u32) -> Vec<u8> {
        let (length, value) = (value_bytes.to_le_bytes(), vec![b'v'; value_bytes as usize]);
        let item = [
            &[2, 0, 0][..],
            &[1, 0, 0, 0, 0, 0, 0, 0],
            &[3, 0],
            &length,
            &length,
            b"key",
            &value,
        ]
        .concat();
        let items = [&item[..], &[4, 1, 0, 0, 0, 0, 0, 0, 0]].concat();
        let mut hasher = Xxh3::new();
        hasher.update(&items);
        let checksum = hasher.digest().to_le_bytes();
        [&[1, 2, 0, 0, 0][..], &seqno.to_le_bytes(), &items, &[3], &checksum, END].concat()
    }

    fn read_bytes(bytes: &[u8]) -> (u64, bool) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("0.jnl");
        fs::write(&path, bytes).unwrap();
        let read = read(&path, &mut 0).unwrap();
        (read.whole_bytes, read.has_torn_end)
    }

    /// Goal: whole batches are counted, and zeros behind them are no damage.
    #[test]
    fn a_whole_journal_is_read_to_its_end() {
        let (one, two) = (sample(7), sample(8));
        let length = one.len() as u64;
        assert_eq!(read_bytes(b""), (0, false));
        assert_eq!(read_bytes(&[&one[..], &two].concat()), (2 * length, false));
        assert_eq!(read_bytes(&[&one[..], &[0; 5000]].concat()), (length, false));
    }

    /// Goal: wherever a batch ends early, or one of its bytes is another, it is not whole.
    #[test]
    fn a_batch_that_is_not_whole_is_a_torn_end() {
        let (one, two) = (sample(7), sample(8));
        let length = one.len() as u64;
        for at in 1..two.len() {
            assert_eq!(
                read_bytes(&[&one[..], &two[..at]].concat()),
                (length, true),
                "cut at {at}"
            );
        }
        // A seqno that is too high is found by the next batch.
        for at in (0..two.len()).filter(|at| !(6..13).contains(at)) {
            let mut changed = [&one[..], &two].concat();
            changed[one.len() + at] ^= 8;
            assert_eq!(read_bytes(&changed), (length, true), "changed at {at}");
        }
        assert_eq!(
            read_bytes(&[&two[..], &one].concat()),
            (length, true),
            "the other way round"
        );
    }

    /// Goal: only the last journal may have a torn end, and a sealed one must have its length.
    #[test]
    fn only_the_last_journal_is_cut() {
        let dir = tempfile::tempdir().unwrap();
        let file = |n: u32| dir.path().join(format!("{n}.jnl"));
        let sealed: Vec<u8> = (1..=65).flat_map(|seqno| sized(seqno, 1_000_000)).collect();
        let one = sample(66);
        let torn = [&one[..], &one[..20]].concat();
        fs::write(file(9), &sealed).unwrap();
        fs::write(file(10), &torn).unwrap();
        check(dir.path()).unwrap();
        assert_eq!(fs::read(file(10)).unwrap(), one);
        for damaged in [&torn[..], &sealed[..1000], &[&sealed[..], &torn[..20]].concat()] {
            fs::write(file(9), damaged).unwrap();
            assert!(matches!(check(dir.path()), Err(JournalError::Damaged(_))));
            assert_eq!(fs::read(file(9)).unwrap(), damaged, "it is left as it was");
        }
        assert!(matches!(check(&dir.path().join("none")), Err(JournalError::Io { .. })));
        assert!(matches!(
            check(tempfile::tempdir().unwrap().path()),
            Err(JournalError::Damaged(_))
        ));
    }
}
