//! The log: every commit as one record, appended to a file and synced.
//!
//! The log is a directory of segments, files that are named after their first commit. A checkpoint begins a new segment, and when it is
//! done the segments before that are removed.
//!
//! **Promise:** a commit whose [`Log::append`] returned is read back whole after a killed process and a power cut. **What can be
//! lost:** what was being appended then, which nobody acknowledged. A record that is damaged and not at the end is noticed; one at
//! the end is taken for an interrupted append, and the number of the last acknowledged commit says whether it was.
//!
//! Its own files, and not keys of the engine: sled writes a value about three times before it rests, and a log is read
//! only once, when a store is opened. For 200,000 messages of 256 bytes, sled wrote 161 MB, this 58 MB.

mod damage;
mod pins;

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::fault::store_fault;
use crate::files::{Files, Opening, StoredFile};
use crate::frame;
use crate::store::Batch;
use crate::trouble::Trouble;
use damage::{LogDamage, SegmentDamage};
pub(crate) use pins::Pin;
use pins::Pins;

/// Its name in the engine's directory.
pub(crate) const LOG: &str = "log";
/// Begins every segment.
const MAGIC: &[u8; 16] = b"inboxd log 1\n\0\0\0";
/// Before every frame: its length, a checksum of what follows that, and the commit's number.
const RECORD_HEADER_BYTES: usize = 4 + 4 + 8;

/// The log of one open store, at its end.
#[derive(Debug)]
pub(crate) struct Log {
    files: Arc<dyn Files>,
    dir: PathBuf,
    /// Older segments, in order.
    older: VecDeque<Segment>,
    current: Segment,
    file: Box<dyn StoredFile>,
    /// Behind the last commit there may be a part of one that found no space. It must be gone before anything else comes there: what it
    /// holds was chosen by clients, and behind a shorter record it could look like another one.
    has_torn_end: bool,
    record: Vec<u8>,
    last_sync: Duration,
    /// What backups hold on to.
    pins: Pins,
}

#[derive(Debug)]
struct Segment {
    path: PathBuf,
    /// The last commit in it; one before its first when there is none.
    last: u64,
    bytes: usize,
}

/// Why the log cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    /// What the operating system said.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// What is in it is damaged.
    #[error(transparent)]
    Damaged(#[from] LogDamage),
}

/// Why no commit was appended, or no new segment begun.
#[derive(Debug)]
pub(crate) enum AppendError {
    /// Something is missing for now. The log holds what it held before, and the same can be tried again.
    Trouble(Trouble),
    /// Nobody knows what the disk holds.
    Io(io::Error),
}

impl AppendError {
    /// Nothing that was written was to be synced yet, so nobody counts on it.
    fn before_sync(why: io::Error) -> Self {
        Trouble::of(&why).map_or(AppendError::Io(why), AppendError::Trouble)
    }
}

enum NotBegun {
    /// Nothing was synced that anybody counts on.
    Untouched(io::Error),
    /// A sync failed.
    Unsure(io::Error),
}

impl From<NotBegun> for io::Error {
    fn from(not_begun: NotBegun) -> Self {
        match not_begun {
            NotBegun::Untouched(why) | NotBegun::Unsure(why) => why,
        }
    }
}

impl Log {
    /// Opens or makes the log in `dir`. Hands every commit after `after` to `apply`, in order, and removes what an interrupted
    /// append or checkpoint left. All of this is durable when it returns.
    pub(crate) fn open(
        files: Arc<dyn Files>,
        dir: &Path,
        after: u64,
        mut apply: impl FnMut(Batch),
    ) -> Result<Self, LogError> {
        match files.create_dir(dir) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error.into()),
            _ => {}
        }
        let mut last = after;
        let mut older = VecDeque::new();
        let paths = segments(&*files, dir)?;
        for (at, (first, path)) in paths.iter().enumerate() {
            let later = paths.get(at + 1..).unwrap_or_default();
            let is_newest = || is_unused(&*files, later);
            let segment = read_segment(&*files, path, *first, is_newest, |commit, frame| {
                if commit <= after {
                    return Ok(());
                }
                if commit != last + 1 {
                    return Err(SegmentDamage::Missing {
                        commit,
                        missing: last + 1,
                    });
                }
                apply(frame::decode(frame).map_err(|why| SegmentDamage::Frame { commit, why })?);
                last = commit;
                Ok(())
            })?;
            match segment {
                Some(segment) if segment.last > after => older.push_back(segment),
                // In the blocks as a whole, or begun and never used.
                _ => files.remove(path)?,
            }
        }
        let (current, file) = begin_segment(&*files, dir, last).map_err(io::Error::from)?;
        Ok(Log {
            files,
            dir: dir.to_owned(),
            older,
            current,
            file,
            has_torn_end: false,
            record: Vec::new(),
            last_sync: Duration::ZERO,
            pins: Pins::default(),
        })
    }

    /// The number of the last commit.
    pub(crate) fn last(&self) -> u64 {
        self.current.last
    }

    /// How long the disk took to keep the last commit.
    pub(crate) fn last_sync(&self) -> Duration {
        self.last_sync
    }

    /// Bytes of commits that are not cut off yet.
    pub(crate) fn bytes(&self) -> usize {
        self.older.iter().map(|segment| segment.bytes).sum::<usize>() + self.current.bytes
    }

    /// Makes the next commit durable. Returns its number.
    ///
    /// A write that finds no space may be tried again: it comes before the sync, so nobody was told of it, and a part of a record is not
    /// taken for one. A sync that fails may not: the system may have forgotten by then what it could not write.
    pub(crate) fn append(&mut self, batch: &Batch) -> Result<u64, AppendError> {
        self.cut_torn_end()?;
        let commit = self.current.last + 1;
        encode(commit, batch, &mut self.record);
        if let Err(why) = self.file.write_at(&self.record, self.end()) {
            self.has_torn_end = true;
            let error = AppendError::before_sync(why);
            // At once, for the space that it takes. What passes here is tried again with the next append.
            return match self.cut_torn_end() {
                Err(worse @ AppendError::Io(_)) => Err(worse),
                _ => Err(error),
            };
        }
        if !store_fault!(AckBeforeSync) {
            let began = Instant::now();
            self.file.sync().map_err(AppendError::Io)?;
            self.last_sync = began.elapsed();
        }
        self.current.last = commit;
        self.current.bytes += self.record.len();
        // A large commit's memory is not kept.
        self.record.shrink_to(RECORD_BYTES_KEPT);
        Ok(commit)
    }

    /// Takes away, durably, what is left of a commit that found no space.
    fn cut_torn_end(&mut self) -> Result<(), AppendError> {
        if self.has_torn_end {
            self.file.set_len(self.end()).map_err(AppendError::before_sync)?;
            self.file.sync().map_err(AppendError::Io)?;
            self.has_torn_end = false;
        }
        Ok(())
    }

    /// Where the next commit comes in the newest segment.
    fn end(&self) -> u64 {
        (MAGIC.len() + self.current.bytes) as u64
    }

    /// Begins a new segment, so that what is in the log now can be cut off as a whole. Returns the last commit in it; `None` when
    /// there is none. After a trouble the log is as before.
    pub(crate) fn turn(&mut self) -> Result<Option<u64>, AppendError> {
        // Only the newest segment may end with a part of a record.
        self.cut_torn_end()?;
        let last = self.current.last;
        if self.current.bytes > 0 {
            let (next, file) = self.begin_next(last)?;
            self.older.push_back(std::mem::replace(&mut self.current, next));
            self.file = file;
        }
        Ok((!self.older.is_empty()).then_some(last))
    }

    fn begin_next(&self, last: u64) -> Result<(Segment, Box<dyn StoredFile>), AppendError> {
        let trouble = match begin_segment(&*self.files, &self.dir, last) {
            Ok(begun) => return Ok(begun),
            Err(NotBegun::Unsure(why)) => return Err(AppendError::Io(why)),
            Err(NotBegun::Untouched(why)) => match Trouble::of(&why) {
                Some(trouble) => trouble,
                None => return Err(AppendError::Io(why)),
            },
        };
        // Commits go on in the current segment, and its last record may be cut short by a crash: none may come after it. Should a power cut
        // bring the name back, there is nothing in it.
        match self.files.remove(&self.dir.join(segment_name(last + 1))) {
            Err(why) if why.kind() != ErrorKind::NotFound => Err(AppendError::Io(why)),
            _ => Err(AppendError::Trouble(trouble)),
        }
    }

    /// Forgets the segments up to commit `last`, and returns the files to be removed; what a backup holds on to is not among them.
    /// Should a crash bring one back, the next opening removes it.
    pub(crate) fn cut(&mut self, last: u64) -> Vec<PathBuf> {
        let cut = self.older.iter().take_while(|segment| segment.last <= last).count();
        self.pins.cut(self.older.drain(..cut))
    }

    /// Breaks every later append: a null device cannot be synced.
    #[cfg(test)]
    pub(crate) fn break_sync(&mut self) {
        self.file = crate::files::RealFiles
            .open(Path::new("/dev/null"), Opening::Kept)
            .unwrap();
    }
}

/// How much memory for a record is kept from one commit to the next, in bytes.
const RECORD_BYTES_KEPT: usize = 4 * 1024 * 1024;

fn encode(commit: u64, batch: &Batch, record: &mut Vec<u8>) {
    record.clear();
    record.extend_from_slice(&[0; 8]);
    record.extend_from_slice(&commit.to_be_bytes());
    frame::encode_into(batch, record);
    let length = u32::try_from(record.len() - RECORD_HEADER_BYTES);
    let Ok(length) = length else {
        unreachable!("a batch is limited to far less than 4 GiB")
    };
    let checksum = crc32fast::hash(record.get(8..).unwrap_or_default());
    if let Some(header) = record.first_chunk_mut::<8>() {
        let [a, b, c, d] = length.to_be_bytes();
        let [e, f, g, h] = checksum.to_be_bytes();
        *header = [a, b, c, d, e, f, g, h];
    }
}

/// The first record in `bytes`: its commit, its frame and its length; `None` when there is none that is whole.
pub(crate) fn first_record(bytes: &[u8]) -> Option<(u64, &[u8], usize)> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (checksum, rest) = rest.split_first_chunk::<4>()?;
    let length = u32::from_be_bytes(*length) as usize;
    let checked = rest.get(..length.checked_add(8)?)?;
    let (commit, frame) = checked.split_first_chunk::<8>()?;
    (crc32fast::hash(checked) == u32::from_be_bytes(*checksum)).then_some((
        u64::from_be_bytes(*commit),
        frame,
        RECORD_HEADER_BYTES + length,
    ))
}

/// The segments in `dir`, each with its first commit, in order.
fn segments(files: &dyn Files, dir: &Path) -> Result<Vec<(u64, PathBuf)>, LogError> {
    let mut segments = Vec::new();
    for name in files.list(dir)? {
        let path = dir.join(&name);
        let name = name.to_str().unwrap_or_default();
        match u64::from_str_radix(name, 16) {
            Ok(first) if name == segment_name(first) => segments.push((first, path)),
            _ => {
                return Err(LogDamage::Stranger(path).into());
            }
        }
    }
    segments.sort_unstable();
    Ok(segments)
}

/// Whether all of these segments were begun and never used: one before them ends with the last append.
fn is_unused(files: &dyn Files, segments: &[(u64, PathBuf)]) -> io::Result<bool> {
    for (_, path) in segments {
        if !is_beginning(&files.read(path)?) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether `bytes` are what a power cut may leave of a segment whose beginning was written and not synced: any part of it, and zeros
/// where the file system knew how long the file is and not what is in it. Nothing else was written to it then.
fn is_beginning(bytes: &[u8]) -> bool {
    bytes.len() <= MAGIC.len() && bytes.iter().zip(MAGIC).all(|(is, meant)| [0, *meant].contains(is))
}

fn segment_name(first: u64) -> String {
    format!("{first:016x}")
}

/// Makes the segment that follows commit `last`.
fn begin_segment(files: &dyn Files, dir: &Path, last: u64) -> Result<(Segment, Box<dyn StoredFile>), NotBegun> {
    let path = dir.join(segment_name(last + 1));
    let file = files.open(&path, Opening::Emptied).map_err(NotBegun::Untouched)?;
    file.write_at(MAGIC, 0).map_err(NotBegun::Untouched)?;
    file.sync().map_err(NotBegun::Unsure)?;
    if !store_fault!(NoDirectorySync) {
        files.sync_dir(dir).map_err(|why| match Trouble::of(&why) {
            // The directory could not be opened.
            Some(Trouble::NoDescriptors) => NotBegun::Untouched(why),
            _ => NotBegun::Unsure(why),
        })?;
    }
    let segment = Segment { path, last, bytes: 0 };
    Ok((segment, file))
}

/// Hands each record of a segment to `each`. Cuts off what an interrupted append left at the end of the newest. `None` when it was
/// never used.
fn read_segment(
    files: &dyn Files,
    path: &Path,
    first: u64,
    is_newest: impl Fn() -> io::Result<bool>,
    mut each: impl FnMut(u64, &[u8]) -> Result<(), SegmentDamage>,
) -> Result<Option<Segment>, LogError> {
    let bytes = files.read(path)?;
    let damaged = |why| {
        let path = path.to_owned();
        LogError::Damaged(LogDamage::Segment { path, why })
    };
    let Some(mut rest) = bytes.strip_prefix(MAGIC) else {
        // The beginning of a segment is durable before anything else is written to it.
        return match is_beginning(&bytes) && is_newest()? {
            true => Ok(None),
            false => Err(damaged(SegmentDamage::Beginning)),
        };
    };
    let mut last = first.saturating_sub(1);
    while let Some((commit, frame, length)) = first_record(rest) {
        if commit != last + 1 {
            return Err(damaged(SegmentDamage::Order { commit, last }));
        }
        each(commit, frame).map_err(damaged)?;
        last = commit;
        rest = rest.get(length..).unwrap_or_default();
    }
    if !rest.is_empty() {
        if !is_newest()? {
            return Err(damaged(SegmentDamage::End { last }));
        }
        let file = files.open(path, Opening::Kept)?;
        file.set_len((bytes.len() - rest.len()) as u64)?;
        file.sync()?;
    }
    let bytes = bytes.len() - rest.len() - MAGIC.len();
    Ok((bytes > 0).then(|| Segment {
        path: path.to_owned(),
        last,
        bytes,
    }))
}

#[cfg(test)]
mod tests;
