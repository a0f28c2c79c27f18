//! Backup format 1, to the byte: see `docs/storage-format.md`, "Backups".

use std::io::{self, Read, Write};

use crate::copying::Converted;
use crate::frame::{self, FrameError};
use crate::store::Batch;
use inbox_types::{Epoch, Micros};

/// Begins every backup.
pub(super) const MAGIC: &[u8; 16] = b"inboxd backup 1\n";
/// What the magic of every format version begins with.
const ANY_MAGIC: &[u8] = b"inboxd backup ";

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Begin = 1,
    Copied = 2,
    Commit = 3,
    End = 4,
}

/// Why a backup cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BackupReadError {
    /// What the operating system said.
    #[error("the backup cannot be read: {0}")]
    Io(#[source] io::Error),
    /// What is in it.
    #[error("the backup cannot be used: {0}")]
    Format(#[from] FormatError),
}

/// Why bytes are not a backup that this build can read.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// It begins otherwise.
    #[error("it is no backup of inboxd")]
    NoBackup,
    /// A newer build may read it.
    #[error("it is a backup in another format version than 1; a newer build of inboxd may read it")]
    Version,
    /// It was not finished, or something cut it off.
    #[error(
        "it ends too early, after {records} whole records: it was not finished, or was cut off since; take another one"
    )]
    Cut {
        /// What is whole.
        records: u64,
    },
    /// A checksum says so.
    #[error("its record {record} is damaged; take another one")]
    Damaged {
        /// Which one, from 0.
        record: u64,
    },
    /// A record of a kind or in a place that has no meaning.
    #[error("its record {record} is none that is expected there; a newer build of inboxd may read it")]
    Unexpected {
        /// Which one, from 0.
        record: u64,
    },
    /// What the end says is not what was read.
    #[error("its end does not say what it holds; take another one")]
    Counts,
    /// Something follows its end.
    #[error("something follows its end; take another one")]
    Trailing,
    /// A commit as bytes.
    #[error("its record {record} cannot be read: {why}")]
    Frame {
        /// Which one, from 0.
        record: u64,
        /// What the frame says.
        #[source]
        why: UnreadableFrame,
    },
}

/// What is wrong with a commit as bytes.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct UnreadableFrame(FrameError);

/// What a backup says of itself first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Begin {
    /// The last commit before those that follow the copy.
    pub(super) after: u64,
    pub(super) created_at: Micros,
    /// 0: the store had none yet.
    pub(super) epoch: Option<Epoch>,
}

impl Begin {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        numbers(&[self.after, self.created_at.0, self.epoch.map_or(0, Epoch::get)])
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let [after, created_at, epoch] = read_numbers(bytes)?;
        Some(Begin {
            after,
            created_at: Micros(created_at),
            epoch: (epoch > 0).then(|| Epoch::from_random(epoch)),
        })
    }
}

/// What a backup says of itself last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct End {
    /// The last commit in it.
    pub(super) last: u64,
    pub(super) copied: Converted,
    /// Keys of tables that were copied.
    pub(super) keys: u64,
    pub(super) commits: u64,
}

impl End {
    fn to_bytes(self, records: u64) -> Vec<u8> {
        let Converted {
            inboxes,
            messages,
            bytes,
        } = self.copied;
        numbers(&[records, self.last, inboxes, messages, bytes, self.keys, self.commits])
    }

    /// Gives the number of the records before it, too.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<(Self, u64)> {
        let [records, last, inboxes, messages, bytes, keys, commits] = read_numbers(bytes)?;
        let copied = Converted {
            inboxes,
            messages,
            bytes,
        };
        let end = End {
            last,
            copied,
            keys,
            commits,
        };
        Some((end, records))
    }
}

fn numbers(numbers: &[u64]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
}

fn read_numbers<const N: usize>(mut bytes: &[u8]) -> Option<[u64; N]> {
    let mut numbers = [0; N];
    for number in &mut numbers {
        let (first, rest) = bytes.split_first_chunk()?;
        *number = u64::from_be_bytes(*first);
        bytes = rest;
    }
    bytes.is_empty().then_some(numbers)
}

/// The checksum of a record, its place included: one that is missing, or comes twice, is known by the next.
fn checksum(record: u64, kind: u8, parts: [&[u8]; 2]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&record.to_be_bytes());
    crc.update(&[kind]);
    parts.iter().for_each(|part| crc.update(part));
    crc.finalize()
}

/// Writes records.
pub(super) struct Writer<'a> {
    out: &'a mut dyn Write,
    records: u64,
    bytes: u64,
    frame: Vec<u8>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(out: &'a mut dyn Write) -> io::Result<Self> {
        out.write_all(MAGIC)?;
        Ok(Writer {
            out,
            records: 0,
            bytes: MAGIC.len() as u64,
            frame: Vec::new(),
        })
    }

    pub(super) fn write(&mut self, kind: Kind, body: &[u8]) -> io::Result<()> {
        self.write_parts(kind as u8, [body, &[]])
    }

    pub(super) fn write_copied(&mut self, batch: &Batch) -> io::Result<()> {
        let mut frame = std::mem::take(&mut self.frame);
        frame.clear();
        frame::encode_into(batch, &mut frame);
        let written = self.write(Kind::Copied, &frame);
        self.frame = frame;
        written
    }

    pub(super) fn write_commit(&mut self, number: u64, frame: &[u8]) -> io::Result<()> {
        self.write_parts(Kind::Commit as u8, [&number.to_be_bytes(), frame])
    }

    /// Writes the end, and everything before it as far as `out` goes. Gives how long the whole is.
    pub(super) fn finish(mut self, end: End) -> io::Result<u64> {
        self.write(Kind::End, &end.to_bytes(self.records))?;
        self.out.flush()?;
        Ok(self.bytes)
    }

    pub(super) fn write_parts(&mut self, kind: u8, parts: [&[u8]; 2]) -> io::Result<()> {
        let length = 1 + parts.iter().map(|part| part.len()).sum::<usize>();
        let written = u32::try_from(length).map_err(|_| io::Error::other("a record is longer than 4 GiB"))?;
        self.out.write_all(&written.to_be_bytes())?;
        self.out.write_all(&checksum(self.records, kind, parts).to_be_bytes())?;
        self.out.write_all(&[kind])?;
        parts.iter().try_for_each(|part| self.out.write_all(part))?;
        self.records += 1;
        self.bytes += 8 + length as u64;
        Ok(())
    }
}

/// What a record holds.
pub(super) enum Record {
    Begin(Begin),
    Copied(Batch),
    Commit(u64, Batch),
    /// The end, and how many records it says are before it.
    End(End, u64),
}

/// Reads records.
pub(super) struct Reader<'a> {
    input: &'a mut dyn Read,
    pub(super) records: u64,
    body: Vec<u8>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(input: &'a mut dyn Read) -> Result<Self, BackupReadError> {
        let mut magic = Vec::new();
        let read = Read::take(&mut *input, MAGIC.len() as u64).read_to_end(&mut magic);
        read.map_err(BackupReadError::Io)?;
        match magic == MAGIC {
            true => {}
            false if magic.starts_with(ANY_MAGIC) && magic.len() == MAGIC.len() => {
                return Err(FormatError::Version.into());
            }
            // An empty file, too: a backup that found no space at all.
            false if MAGIC.starts_with(&magic) => return Err(FormatError::Cut { records: 0 }.into()),
            false => return Err(FormatError::NoBackup.into()),
        }
        Ok(Reader {
            input,
            records: 0,
            body: Vec::new(),
        })
    }

    /// The next record.
    pub(super) fn read(&mut self) -> Result<Record, BackupReadError> {
        let record = self.records;
        let mut header = Vec::new();
        let read = Read::take(&mut *self.input, 8).read_to_end(&mut header);
        read.map_err(BackupReadError::Io)?;
        let cut = || FormatError::Cut { records: record };
        let (length, rest) = header.split_first_chunk::<4>().ok_or_else(cut)?;
        let crc = u32::from_be_bytes(rest.try_into().map_err(|_| cut())?);
        let length = u64::from(u32::from_be_bytes(*length));
        self.body.clear();
        // It grows with what there is, whatever a damaged length says.
        let read = Read::take(&mut *self.input, length).read_to_end(&mut self.body);
        if (read.map_err(BackupReadError::Io)? as u64) < length {
            return Err(cut().into());
        }
        let (kind, body) = self.body.split_first().ok_or(FormatError::Damaged { record })?;
        if checksum(record, *kind, [body, &[]]) != crc {
            return Err(FormatError::Damaged { record }.into());
        }
        self.records += 1;
        Ok(decode(record, *kind, body)?)
    }

    /// Nothing may follow the end.
    pub(super) fn end(self) -> Result<(), BackupReadError> {
        match self.input.take(1).read_to_end(&mut Vec::new()) {
            Ok(0) => Ok(()),
            Ok(_) => Err(FormatError::Trailing.into()),
            Err(why) => Err(BackupReadError::Io(why)),
        }
    }
}

fn decode(record: u64, kind: u8, body: &[u8]) -> Result<Record, FormatError> {
    let unexpected = || FormatError::Unexpected { record };
    let frame = |bytes| {
        frame::decode(bytes).map_err(|why| FormatError::Frame {
            record,
            why: UnreadableFrame(why),
        })
    };
    if kind == Kind::Begin as u8 {
        Begin::from_bytes(body).map(Record::Begin).ok_or_else(unexpected)
    } else if kind == Kind::Copied as u8 {
        frame(body).map(Record::Copied)
    } else if kind == Kind::Commit as u8 {
        let (number, bytes) = body.split_first_chunk().ok_or_else(unexpected)?;
        Ok(Record::Commit(u64::from_be_bytes(*number), frame(bytes)?))
    } else if kind == Kind::End as u8 {
        End::from_bytes(body)
            .map(|(end, records)| Record::End(end, records))
            .ok_or_else(unexpected)
    } else {
        Err(unexpected())
    }
}
