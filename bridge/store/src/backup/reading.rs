//! Reading a backup from its beginning to its end: in order, and all of it.

use std::io::Read;

use super::format::{BackupReadError, Begin, End, FormatError, Reader, Record};
use crate::copying::Converted;
use crate::store::Batch;
use inbox_types::{Epoch, Micros};

/// What a backup says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackupSummary {
    /// What the system clock said when it was begun.
    pub created_at: Micros,
    /// The epoch of the store it is of, if that had one.
    pub epoch: Option<Epoch>,
    /// What was copied. What was committed meanwhile is not counted here.
    pub copied: Converted,
    /// Commits that were made meanwhile.
    pub commits: u64,
    /// The last commit that is in it.
    pub last_commit: u64,
}

/// Reads a backup as a whole, and checks that all of it is there and nothing is damaged.
///
/// # Errors
/// See [`BackupReadError`].
pub fn verify_backup(input: &mut dyn Read) -> Result<BackupSummary, BackupReadError> {
    read(input, &mut |_| Ok::<(), BackupReadError>(()))
}

/// A part of a backup, in order: all that was copied comes before all commits.
pub(super) enum Part {
    Copied(Batch),
    Commit(Batch),
}

/// Reads a backup as a whole, and hands each part to `each`.
pub(super) fn read<E: From<BackupReadError>>(
    input: &mut dyn Read,
    each: &mut dyn FnMut(Part) -> Result<(), E>,
) -> Result<BackupSummary, E> {
    let wrong = |why| Err(E::from(BackupReadError::Format(why)));
    let mut reader = Reader::new(input)?;
    let Record::Begin(begin) = reader.read()? else {
        return wrong(FormatError::Unexpected { record: 0 });
    };
    let mut found = End {
        last: begin.after,
        ..End::default()
    };
    loop {
        let record = reader.records;
        match reader.read()? {
            Record::Copied(batch) if found.commits == 0 && batch.removals.is_empty() => {
                count(&mut found, &batch);
                each(Part::Copied(batch))?;
            }
            Record::Commit(number, batch) if found.last.checked_add(1) == Some(number) => {
                (found.last, found.commits) = (number, found.commits + 1);
                each(Part::Commit(batch))?;
            }
            Record::End(end, records) => {
                // Inboxes are counted by the writer alone: one may have been emptied before it was read.
                found.copied.inboxes = end.copied.inboxes;
                if end != found || records != record {
                    return wrong(FormatError::Counts);
                }
                reader.end()?;
                return Ok(summary(begin, end));
            }
            _ => return wrong(FormatError::Unexpected { record }),
        }
    }
}

fn count(found: &mut End, batch: &Batch) {
    found.copied.messages += batch.puts.len() as u64;
    let sizes = batch.puts.iter().map(|(_, entry)| entry.message.size() as u64);
    found.copied.bytes += sizes.sum::<u64>();
    found.keys += batch.tables.len() as u64;
}

fn summary(begin: Begin, end: End) -> BackupSummary {
    BackupSummary {
        created_at: begin.created_at,
        epoch: begin.epoch,
        copied: end.copied,
        commits: end.commits,
        last_commit: end.last,
    }
}
