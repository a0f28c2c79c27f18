//! One commit as bytes: what a record of the log holds.
//!
//! A frame is a header, the messages that were put, and the places that were removed; `docs/storage-format.md` has it to the
//! byte. Decoding is strict, like that of envelopes.

use std::sync::Arc;

use crate::envelope;
use crate::store::Batch;
use inbox_types::{ClientId, Entry, Seq};

/// The version byte of what [`encode_into`] writes.
const FRAME_VERSION: u8 = 1;

/// Appends the frame of `batch` to `out`.
pub(crate) fn encode_into(batch: &Batch, out: &mut Vec<u8>) {
    out.push(FRAME_VERSION);
    out.extend_from_slice(&batch.reserve.map_or(0, |seq| seq.0).to_be_bytes());
    push_length(out, batch.puts.len());
    push_length(out, batch.removals.len());
    for (inbox, entry) in &batch.puts {
        push_place(out, inbox, entry.seq);
        let at = out.len();
        push_length(out, 0);
        envelope::encode_into(&entry.message, out);
        let length = out.len() - at - 4;
        set_length(out, at, length);
    }
    for (inbox, seq) in &batch.removals {
        push_place(out, inbox, *seq);
    }
}

/// Reads a whole frame. The reservation is `None` where there was none.
///
/// # Errors
/// What is wrong with it, for an operator.
pub(crate) fn decode(frame: &[u8]) -> Result<Batch, String> {
    let mut rest = Rest(frame);
    let [version] = rest.array()?;
    if version != FRAME_VERSION {
        return Err(format!(
            "its version byte is {version}, and this build reads {FRAME_VERSION}; a newer build may read it"
        ));
    }
    let reserve = u64::from_be_bytes(rest.array()?);
    let (puts, removals) = (rest.length()?, rest.length()?);
    let mut batch = Batch {
        reserve: (reserve > 0).then_some(Seq(reserve)),
        ..Batch::default()
    };
    for _ in 0..puts {
        let (inbox, seq) = rest.place()?;
        let length = rest.length()?;
        let message = envelope::decode(rest.take(length)?).map_err(|why| format!("a message for {inbox:?}: {why}"))?;
        let entry = Entry {
            seq,
            message: Arc::new(message),
        };
        batch.puts.push((inbox, entry));
    }
    for _ in 0..removals {
        batch.removals.push(rest.place()?);
    }
    match rest.0 {
        [] => Ok(batch),
        more => Err(format!("{} bytes follow its last removal", more.len())),
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
    fn take(&mut self, length: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self
            .0
            .split_at_checked(length)
            .ok_or("it ends in the middle of an entry")?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let (taken, rest) = self.0.split_first_chunk().ok_or("it ends in the middle of a number")?;
        self.0 = rest;
        Ok(*taken)
    }

    fn length(&mut self) -> Result<usize, String> {
        Ok(u32::from_be_bytes(self.array()?) as usize)
    }

    fn place(&mut self) -> Result<(ClientId, Seq), String> {
        let length = usize::from(u16::from_be_bytes(self.array()?));
        let inbox = std::str::from_utf8(self.take(length)?).map_err(|why| format!("an inbox: {why}"))?;
        let inbox = ClientId::new(inbox).map_err(|why| format!("an inbox: {why}"))?;
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
            reserve: Some(Seq(100)),
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
            assert_eq!(read.reserve, written.reserve);
        }
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
                .contains("1 bytes follow")
        );
        frame[0] = 9;
        assert!(decode(&frame).unwrap_err().contains("version"));
    }
}
