//! What the blocks of an inbox hold in total, under a key of its own before them.
//!
//! It is written with the blocks by a checkpoint, and counts what these hold: a message that is only in the log is not in it. After a crash
//! it may be behind the blocks of an inbox that is in the log again; that inbox is counted until the next checkpoint has done so, too.

use crate::blocks::{self, Strays};
use crate::error::StoreError;
use crate::key;
use crate::store::InboxRecord;
use crate::tree::Tree;
use inbox_types::{ClientId, Seq};

/// Begins the value, so that more can be kept in it one day.
const TOTALS: u8 = 1;
/// [`TOTALS`], messages, bytes.
const TOTALS_BYTES: usize = 1 + 8 + 8;

/// What the last checkpoint of an inbox said of its blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said {
    /// Nothing: there are no blocks.
    Nothing,
    /// They hold this.
    Total(InboxRecord),
    /// Something that cannot be read.
    Damaged,
}

/// What is said of the blocks of `inbox`.
pub(crate) fn read(tree: &impl Tree, inbox: &ClientId) -> Result<Said, StoreError> {
    Ok(match tree.get(&key::totals(inbox))? {
        None => Said::Nothing,
        Some(value) => parse(value.as_ref()).map_or(Said::Damaged, Said::Total),
    })
}

/// Says that the blocks of `inbox` hold this.
pub(crate) fn write(tree: &impl Tree, inbox: &ClientId, record: InboxRecord) -> Result<(), StoreError> {
    let key = key::totals(inbox);
    match record.messages {
        0 => Ok(tree.remove(&key)?),
        _ => Ok(tree.insert(&key, &value(record))?),
    }
}

/// Counts what the blocks of `inbox` hold.
pub(crate) fn count(tree: &impl Tree, inbox: &ClientId, strays: Strays<'_>) -> Result<InboxRecord, StoreError> {
    let mut record = InboxRecord::default();
    for block in blocks::of(tree, inbox, Seq::ZERO, strays)? {
        block?.messages().iter().for_each(|placed| record.add(placed.size));
    }
    Ok(record)
}

fn value(record: InboxRecord) -> Vec<u8> {
    [
        &[TOTALS][..],
        &record.messages.to_be_bytes(),
        &record.bytes.to_be_bytes(),
    ]
    .concat()
}

fn parse(value: &[u8]) -> Option<InboxRecord> {
    let value: [u8; TOTALS_BYTES] = value.try_into().ok()?;
    let (&[kind], rest) = value.split_first_chunk()?;
    let (messages, rest) = rest.split_first_chunk()?;
    let record = InboxRecord {
        messages: u64::from_be_bytes(*messages),
        bytes: u64::from_be_bytes(rest.try_into().ok()?),
    };
    (kind == TOTALS).then_some(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: totals are read back, and what is no total is refused, so that it is counted anew.
    #[test]
    fn totals_are_read_back() {
        let record = InboxRecord {
            messages: 7,
            bytes: 1 << 40,
        };
        assert_eq!(value(record).len(), TOTALS_BYTES);
        assert_eq!(parse(&value(record)), Some(record));
        assert_eq!(parse(&value(record)[..16]), None);
        assert_eq!(parse(&[&value(record)[..], b"x"].concat()), None);
        let mut other = value(record);
        other[0] = 2;
        assert_eq!(parse(&other), None);
    }
}
