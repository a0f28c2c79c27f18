//! A block of several messages: one value of an inbox.
//!
//! One message whose seq is in the key is just its envelope. Several, or one under a key that is not its own, are a chunk: a marker,
//! a directory and the envelopes. A chunk is found under a seq that is not above its first message's. An envelope that is too long
//! for a value is alone, and cut as [`crate::record`] says.

use crate::envelope::{self, EnvelopeError};
use crate::frame::INLINE;
use crate::record::PIECE_BYTES;
use inbox_types::Seq;

/// Begins a chunk; no envelope version has this value.
const CHUNK: u8 = 0x81;
/// Began one in format 2, without the source of a message.
const CHUNK_2: u8 = 0x80;
/// [`CHUNK`] and the number of messages.
const HEADER_BYTES: usize = 5;
/// What the directory says of a message: its source, seq, size and the length of its envelope.
const ITEM_BYTES: usize = 1 + ITEM_2_BYTES;
/// What it said in format 2.
const ITEM_2_BYTES: usize = 8 + 4 + 4;

/// A message in a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Item<'a> {
    /// Its place in its inbox.
    pub(crate) seq: Seq,
    /// Its [`inbox_types::Message::size`] in bytes.
    pub(crate) size: usize,
    /// Its envelope.
    pub(crate) envelope: &'a [u8],
}

/// Whether a value is a chunk, and not an envelope.
pub(crate) fn is_chunk(value: &[u8]) -> bool {
    matches!(value.first(), Some(&(CHUNK | CHUNK_2)))
}

/// The messages in a chunk, in order; `None` when it is damaged.
pub(crate) fn parse(value: &[u8]) -> Option<Vec<Item<'_>>> {
    let (&[kind, a, b, c, d], rest) = value.split_first_chunk::<HEADER_BYTES>()?;
    let item_bytes = match kind {
        CHUNK => ITEM_BYTES,
        CHUNK_2 => ITEM_2_BYTES,
        _ => return None,
    };
    let count = u32::from_be_bytes([a, b, c, d]) as usize;
    let (directory, mut envelopes) = rest.split_at_checked(count.checked_mul(item_bytes)?)?;
    let mut items = Vec::with_capacity(count);
    let mut last = None;
    for item in directory.chunks_exact(item_bytes) {
        let item = match item.split_first() {
            Some((&INLINE, item)) if kind == CHUNK => item,
            _ if kind == CHUNK_2 => item,
            _ => return None,
        };
        let (seq, rest) = item.split_first_chunk::<8>()?;
        let (size, length) = rest.split_first_chunk::<4>()?;
        let length = u32::from_be_bytes(length.try_into().ok()?) as usize;
        let (envelope, others) = envelopes.split_at_checked(length)?;
        envelopes = others;
        let item = Item {
            seq: Seq(u64::from_be_bytes(*seq)),
            size: u32::from_be_bytes(*size) as usize,
            envelope,
        };
        if last.is_some_and(|last| last >= item.seq) {
            return None;
        }
        last = Some(item.seq);
        items.push(item);
    }
    (count > 0 && envelopes.is_empty()).then_some(items)
}

/// Writes the value for `items`, to be put under the seq `key`, over what `out` held. They fit, as [`groups`] says.
///
/// # Errors
/// An envelope that cannot say its size.
pub(crate) fn encode(key: Seq, items: &[(Seq, &[u8])], out: &mut Vec<u8>) -> Result<(), EnvelopeError> {
    out.clear();
    if let [(seq, envelope)] = items
        && *seq == key
    {
        out.extend_from_slice(envelope);
        return Ok(());
    }
    out.push(CHUNK);
    push(out, items.len());
    for (seq, envelope) in items {
        out.push(INLINE);
        out.extend_from_slice(&seq.0.to_be_bytes());
        push(out, envelope::size(envelope)?);
        push(out, envelope.len());
    }
    for (_, envelope) in items {
        out.extend_from_slice(envelope);
    }
    Ok(())
}

fn push(out: &mut Vec<u8>, number: usize) {
    let Ok(number) = u32::try_from(number) else {
        unreachable!("a message has at most 256 MiB (MQTT 5, section 2.1.4)")
    };
    out.extend_from_slice(&number.to_be_bytes());
}

/// Cuts messages, in order, into groups that fit into a value each: given the lengths of their envelopes, the lengths of the
/// groups. A long envelope is a group of its own.
pub(crate) fn groups(lengths: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut groups = Vec::new();
    let (mut count, mut bytes) = (0, HEADER_BYTES);
    for length in lengths {
        let more = ITEM_BYTES + length;
        if count > 0 && bytes + more > PIECE_BYTES {
            groups.push(count);
            (count, bytes) = (0, HEADER_BYTES);
        }
        count += 1;
        bytes += more;
    }
    if count > 0 {
        groups.push(count);
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::entry;

    fn envelopes(sizes: &[usize]) -> Vec<(Seq, Vec<u8>)> {
        let envelope = |seq: u64, size| {
            let mut out = Vec::new();
            envelope::encode_into(&entry(seq, size).message, &mut out);
            (Seq(seq), out)
        };
        (10..).zip(sizes).map(|(seq, &size)| envelope(seq, size)).collect()
    }

    fn borrowed(all: &[(Seq, Vec<u8>)]) -> Vec<(Seq, &[u8])> {
        all.iter().map(|(seq, envelope)| (*seq, &**envelope)).collect()
    }

    /// Goal: what is put into a chunk comes out of it, with its size, and a message alone under its own key is its envelope.
    #[test]
    fn a_chunk_is_read_back() {
        let all = envelopes(&[3, 0, 300]);
        let mut value = Vec::new();
        encode(Seq(9), &borrowed(&all), &mut value).unwrap();
        assert!(is_chunk(&value));
        let items = parse(&value).unwrap();
        let read: Vec<_> = items.iter().map(|item| (item.seq, item.envelope)).collect();
        assert_eq!(read, borrowed(&all));
        assert_eq!(items.iter().map(|item| item.size).collect::<Vec<_>>(), [3, 0, 300]);
        encode(Seq(10), &borrowed(&all[..1]), &mut value).unwrap();
        assert_eq!(value, all[0].1);
        encode(Seq(9), &borrowed(&all[..1]), &mut value).unwrap();
        assert_eq!(parse(&value).unwrap()[0].seq, Seq(10), "not its own key");
    }

    /// Goal: a chunk of format 2 is read, and one with a source that this build does not know is refused.
    #[test]
    fn sources_are_strict() {
        let all = envelopes(&[3, 0]);
        let mut value = Vec::new();
        encode(Seq(9), &borrowed(&all), &mut value).unwrap();
        let mut older = vec![CHUNK_2];
        older.extend_from_slice(&value[1..HEADER_BYTES]);
        for item in value[HEADER_BYTES..].chunks(ITEM_BYTES).take(2) {
            older.extend_from_slice(&item[1..]);
        }
        older.extend_from_slice(&value[HEADER_BYTES + 2 * ITEM_BYTES..]);
        assert_eq!(parse(&older), parse(&value));
        assert!(is_chunk(&older) && parse(&older).is_some());
        value[HEADER_BYTES] = 1;
        assert_eq!(parse(&value), None);
    }

    /// Goal: a chunk that is cut off, goes on, or is out of order is refused.
    #[test]
    fn a_damaged_chunk_is_refused() {
        let all = envelopes(&[3, 0, 300]);
        let mut value = Vec::new();
        encode(Seq(9), &borrowed(&all), &mut value).unwrap();
        for end in 0..value.len() {
            assert_eq!(parse(&value[..end]), None, "{end}");
        }
        assert_eq!(parse(&[&value[..], b"x"].concat()), None);
        let backwards: Vec<_> = borrowed(&all).into_iter().rev().collect();
        encode(Seq(9), &backwards, &mut value).unwrap();
        assert_eq!(parse(&value), None);
        assert_eq!(parse(&[CHUNK, 0, 0, 0, 0]), None);
        assert_eq!(parse(&[CHUNK, 255, 255, 255, 255]), None);
    }

    /// Goal: every group fits into a value, as few as in order can be, and what is too long is alone.
    #[test]
    fn groups_fit_into_values() {
        let lengths = [100, 16_000, 400, 16_384, 20_000, 5, 5, 16_318, 1];
        let groups = groups(lengths.into_iter());
        assert_eq!(groups, [2, 1, 1, 1, 3, 1]);
        let mut rest = &lengths[..];
        for group in groups {
            let (lengths, others) = rest.split_at(group);
            rest = others;
            let bytes = HEADER_BYTES + lengths.iter().map(|length| length + ITEM_BYTES).sum::<usize>();
            assert!(lengths.len() == 1 || bytes <= PIECE_BYTES, "{lengths:?}");
        }
        assert!(rest.is_empty());
    }
}
