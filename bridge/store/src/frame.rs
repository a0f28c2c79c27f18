//! One commit as bytes: what a record of the log holds.
//!
//! A frame is a header, the messages that were put, the places that were removed, and the changes of tables;
//! `docs/storage-format.md` has it to the byte. Decoding is strict, like that of envelopes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::envelope::{self, EnvelopeError};
use crate::store::Batch;
use crate::table::{TABLE_VALUE_BYTES_MAX, Table, TableChange, TableKey, TableKeyError};
use inbox_types::{ClientId, ClientIdError, Entry, Seq};

/// The version byte of what [`encode_into`] writes.
const FRAME_VERSION: u8 = 2;
/// That of format 2: without an age, sources and tables.
const FRAME_VERSION_1: u8 = 1;
/// The source of a message that is where it is named. Other sources are for messages that are kept elsewhere.
pub(crate) const INLINE: u8 = 0;
/// What a frame says of a key in a table.
const REMOVED: u8 = 0;
const PUT: u8 = 1;

/// Why bytes are not a frame.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    // A newer build may have written it.
    #[error("its version byte is {0}, and this build reads up to {FRAME_VERSION}; a newer build may read it")]
    Version(u8),
    #[error("a message for {inbox:?} has the source {source_byte}; a newer build may know it")]
    Source { inbox: ClientId, source_byte: u8 },
    #[error("a change of a table is of kind {0}, and there are {REMOVED} and {PUT}")]
    ChangeKind(u8),
    // It is damaged.
    #[error("it ends in the middle of an entry")]
    EntryCut,
    #[error("it ends in the middle of a number")]
    NumberCut,
    #[error("{0} bytes follow its last entry")]
    Trailing(usize),
    #[error("an inbox: {0}")]
    InboxText(#[from] std::str::Utf8Error),
    #[error("an inbox: {0}")]
    Inbox(#[from] ClientIdError),
    #[error("a message for {inbox:?}: {why}")]
    Message {
        inbox: ClientId,
        #[source]
        why: EnvelopeError,
    },
    #[error("there is no table 0")]
    NoTable,
    #[error(transparent)]
    Key(#[from] TableKeyError),
}

/// Appends the frame of `batch` to `out`.
pub(crate) fn encode_into(batch: &Batch, out: &mut Vec<u8>) {
    out.push(FRAME_VERSION);
    out.extend_from_slice(&batch.reserve.map_or(0, |seq| seq.0).to_be_bytes());
    out.extend_from_slice(&batch.age.map_or(0, micros).to_be_bytes());
    push_length(out, batch.puts.len());
    push_length(out, batch.removals.len());
    push_length(out, batch.tables.len());
    for (inbox, entry) in &batch.puts {
        push_place(out, inbox, entry.seq);
        out.push(INLINE);
        let at = out.len();
        push_length(out, 0);
        envelope::encode_into(&entry.message, out);
        let length = out.len() - at - 4;
        set_length(out, at, length);
    }
    for (inbox, seq) in &batch.removals {
        push_place(out, inbox, *seq);
    }
    for change in &batch.tables {
        push_change(out, change);
    }
}

/// An age as it is kept.
pub(crate) fn micros(age: Duration) -> u64 {
    u64::try_from(age.as_micros()).unwrap_or(u64::MAX)
}

fn push_change(out: &mut Vec<u8>, change: &TableChange) {
    let key = change.key.as_bytes();
    let Ok(length) = u16::try_from(key.len()) else {
        unreachable!("a key in a table is limited to far less than 64 KiB")
    };
    out.extend_from_slice(&[change.table.id(), change.value.as_ref().map_or(REMOVED, |_| PUT)]);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(key);
    if let Some(value) = &change.value {
        assert!(value.len() <= TABLE_VALUE_BYTES_MAX, "a value in a table has a limit");
        push_length(out, value.len());
        out.extend_from_slice(value);
    }
}

/// Reads a whole frame. The reservation is `None` where there was none.
///
/// # Errors
/// It is none.
pub(crate) fn decode(frame: &[u8]) -> Result<Batch, FrameError> {
    let mut rest = Rest(frame);
    let [version] = rest.array()?;
    let is_older = version == FRAME_VERSION_1;
    if !is_older && version != FRAME_VERSION {
        return Err(FrameError::Version(version));
    }
    let reserve = u64::from_be_bytes(rest.array()?);
    let age = if is_older { 0 } else { u64::from_be_bytes(rest.array()?) };
    let (puts, removals) = (rest.length()?, rest.length()?);
    let tables = if is_older { 0 } else { rest.length()? };
    let mut batch = Batch {
        reserve: (reserve > 0).then_some(Seq(reserve)),
        age: (age > 0).then_some(Duration::from_micros(age)),
        ..Batch::default()
    };
    for _ in 0..puts {
        batch.puts.push(rest.put(is_older)?);
    }
    for _ in 0..removals {
        batch.removals.push(rest.place()?);
    }
    for _ in 0..tables {
        batch.tables.push(rest.change()?);
    }
    match rest.0 {
        [] => Ok(batch),
        more => Err(FrameError::Trailing(more.len())),
    }
}

fn push_place(out: &mut Vec<u8>, inbox: &ClientId, seq: Seq) {
    let inbox = inbox.as_str().as_bytes();
    let Ok(length) = u16::try_from(inbox.len()) else {
        unreachable!("a client ID has at most 1,024 bytes")
    };
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(inbox);
    out.extend_from_slice(&seq.0.to_be_bytes());
}

fn push_length(out: &mut Vec<u8>, length: usize) {
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    set_length(out, at, length);
}

fn set_length(out: &mut [u8], at: usize, length: usize) {
    let Ok(length) = u32::try_from(length) else {
        unreachable!("a batch is limited to far less than 4 GiB")
    };
    if let Some(place) = out.get_mut(at..at + 4) {
        place.copy_from_slice(&length.to_be_bytes());
    }
}

/// What is still to be read of a frame.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], FrameError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(FrameError::EntryCut)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], FrameError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(FrameError::NumberCut)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn length(&mut self) -> Result<usize, FrameError> {
        Ok(u32::from_be_bytes(self.array()?) as usize)
    }

    fn put(&mut self, is_older: bool) -> Result<(ClientId, Entry), FrameError> {
        let (inbox, seq) = self.place()?;
        if !is_older {
            match self.array()? {
                [INLINE] => {}
                [source] => {
                    return Err(FrameError::Source {
                        inbox,
                        source_byte: source,
                    });
                }
            }
        }
        let length = self.length()?;
        match envelope::decode(self.take(length)?).map(Arc::new) {
            Ok(message) => Ok((inbox, Entry { seq, message })),
            Err(why) => Err(FrameError::Message { inbox, why }),
        }
    }

    fn change(&mut self) -> Result<TableChange, FrameError> {
        let [id, kind] = self.array()?;
        let table = Table::from_id(id).ok_or(FrameError::NoTable)?;
        let length = usize::from(u16::from_be_bytes(self.array()?));
        let key = TableKey::new(Bytes::copy_from_slice(self.take(length)?))?;
        let value = match kind {
            REMOVED => None,
            PUT => {
                let length = self.length()?;
                Some(Bytes::copy_from_slice(self.take(length)?))
            }
            other => {
                return Err(FrameError::ChangeKind(other));
            }
        };
        Ok(TableChange { table, key, value })
    }

    fn place(&mut self) -> Result<(ClientId, Seq), FrameError> {
        let length = usize::from(u16::from_be_bytes(self.array()?));
        let inbox = ClientId::new(std::str::from_utf8(self.take(length)?)?)?;
        Ok((inbox, Seq(u64::from_be_bytes(self.array()?))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{entry, id};

    fn batch() -> Batch {
        Batch {
            puts: vec![
                (id("bob"), entry(7, 10)),
                (id("c"), entry(8, 40_000)),
                (id("bob"), entry(9, 0)),
            ],
            removals: vec![(id("bob"), Seq(1)), (id("ß"), Seq(u64::MAX))],
            tables: vec![
                change(Table::DEDUPE, b"alice", Some(b"17")),
                change(Table::RETAINED, &[0; 9], Some(b"")),
                change(Table::DEDUPE, b"alice", None),
            ],
            reserve: Some(Seq(100)),
            age: Some(Duration::from_micros(1_234_567)),
        }
    }

    fn change(table: Table, key: &[u8], value: Option<&'static [u8]>) -> TableChange {
        TableChange {
            table,
            key: TableKey::new(key.to_vec()).unwrap(),
            value: value.map(Bytes::from_static),
        }
    }

    /// Goal: a commit comes back as it was.
    #[test]
    fn a_frame_is_read_back() {
        for written in [batch(), Batch::default()] {
            let mut frame = Vec::new();
            encode_into(&written, &mut frame);
            let read = decode(&frame).unwrap();
            assert_eq!((read.puts, read.removals), (written.puts, written.removals));
            assert_eq!((read.reserve, read.age), (written.reserve, written.age));
            assert_eq!(read.tables, written.tables);
        }
    }

    /// Goal: a frame of format 2 is read, and one with a source that this build does not know is refused.
    #[test]
    fn versions_and_sources_are_strict() {
        let mut older = vec![FRAME_VERSION_1];
        older.extend_from_slice(&100_u64.to_be_bytes());
        push_length(&mut older, 1);
        push_length(&mut older, 1);
        push_place(&mut older, &id("bob"), Seq(7));
        let mut envelope = Vec::new();
        envelope::encode_into(&entry(7, 10).message, &mut envelope);
        push_length(&mut older, envelope.len());
        older.extend_from_slice(&envelope);
        push_place(&mut older, &id("bob"), Seq(1));
        let read = decode(&older).unwrap();
        assert_eq!(read.puts, [(id("bob"), entry(7, 10))]);
        assert_eq!(
            (read.removals, read.reserve, read.age),
            (vec![(id("bob"), Seq(1))], Some(Seq(100)), None)
        );

        let mut frame = Vec::new();
        encode_into(&batch(), &mut frame);
        // After the header: the length of "bob", "bob", and the seq.
        let source = 1 + 8 + 8 + 12 + 2 + 3 + 8;
        assert_eq!(frame[source], INLINE);
        frame[source] = 1;
        assert!(decode(&frame).unwrap_err().to_string().contains("source 1"));
    }

    /// Goal: a frame that ends early, goes on, or is of another version is refused, whatever byte is missing.
    #[test]
    fn what_is_not_a_whole_frame_is_refused() {
        let mut frame = Vec::new();
        encode_into(&batch(), &mut frame);
        for end in (0..100).chain(frame.len() - 100..frame.len()) {
            assert!(decode(&frame[..end]).is_err(), "{end}");
        }
        assert!(
            decode(&[&frame[..], b"x"].concat())
                .unwrap_err()
                .to_string()
                .contains("1 bytes follow")
        );
        frame[0] = 9;
        assert!(decode(&frame).unwrap_err().to_string().contains("version"));
    }
}
