//! One message as the values of a tree: its envelope in one value or, when that is too long, in several.
//!
//! A short envelope is the value. A long one is cut: the first value is a NUL (no envelope version is 0), the
//! envelope's length as four bytes and its first piece; the rest follows under the piece keys, in order.

use crate::tree::VALUE_BYTES_MAX;

/// Bytes of an envelope in one value.
pub(crate) const PIECE_BYTES: usize = 16 * 1024;
/// Begins the first value of an envelope that was cut.
const CUT: u8 = 0;
/// [`CUT`] and the envelope's length.
const CUT_HEADER_BYTES: usize = 5;

const _: () = assert!(PIECE_BYTES + CUT_HEADER_BYTES <= VALUE_BYTES_MAX);

/// The first value of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head<'a> {
    /// The envelope, or its first piece.
    pub(crate) first: &'a [u8],
    /// The envelope's length in bytes.
    pub(crate) envelope_bytes: usize,
}

impl<'a> Head<'a> {
    /// Reads a first value; `None` when it is neither a whole envelope nor the first piece of one.
    pub(crate) fn parse(value: &'a [u8]) -> Option<Self> {
        match value.split_first_chunk::<CUT_HEADER_BYTES>() {
            Some((&[CUT, a, b, c, d], first)) => {
                let envelope_bytes = u32::from_be_bytes([a, b, c, d]) as usize;
                (first.len() == PIECE_BYTES && envelope_bytes > PIECE_BYTES).then_some(Head { first, envelope_bytes })
            }
            _ => Some(Head {
                first: value,
                envelope_bytes: value.len(),
            }),
        }
    }

    /// How many pieces follow.
    pub(crate) fn pieces(&self) -> u32 {
        let pieces = self
            .envelope_bytes
            .saturating_sub(self.first.len())
            .div_ceil(PIECE_BYTES);
        u32::try_from(pieces).unwrap_or(u32::MAX)
    }
}

/// The first value of `envelope`, written into `head`, and the pieces that follow it.
pub(crate) fn cut<'a>(envelope: &'a [u8], head: &mut Vec<u8>) -> std::slice::Chunks<'a, u8> {
    head.clear();
    let (first, rest) = envelope.split_at_checked(PIECE_BYTES).unwrap_or((envelope, &[]));
    if !rest.is_empty() {
        let length = u32::try_from(envelope.len());
        let Ok(length) = length else {
            unreachable!("an MQTT packet has at most 256 MiB (MQTT 5, section 2.1.4)")
        };
        head.push(CUT);
        head.extend_from_slice(&length.to_be_bytes());
    }
    head.extend_from_slice(first);
    rest.chunks(PIECE_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: an envelope of any length is put together again, and its pieces are all known from its head.
    #[test]
    fn an_envelope_is_cut_and_put_together() {
        for length in [
            1,
            100,
            PIECE_BYTES - 1,
            PIECE_BYTES,
            PIECE_BYTES + 1,
            2 * PIECE_BYTES,
            2 * PIECE_BYTES + 1,
            1 << 20,
        ] {
            let envelope: Vec<u8> = (0..length).map(|n| 1 + (n % 250) as u8).collect();
            let mut value = Vec::new();
            let pieces: Vec<&[u8]> = cut(&envelope, &mut value).collect();
            assert!(value.len() <= VALUE_BYTES_MAX);
            let head = Head::parse(&value).unwrap();
            assert_eq!((head.envelope_bytes, head.pieces() as usize), (length, pieces.len()));
            assert_eq!([&[head.first], pieces.as_slice()].concat().concat(), envelope);
        }
    }

    /// Goal: a head that was cut off, or says what cannot be, is refused.
    #[test]
    fn a_damaged_head_is_refused() {
        let mut value = Vec::new();
        let envelope = vec![1; PIECE_BYTES + 1];
        assert_eq!(cut(&envelope, &mut value).count(), 1);
        assert!(Head::parse(&value[..value.len() - 1]).is_none());
        value[3] = 0;
        value[4] = 0;
        assert!(Head::parse(&value).is_none());
    }
}
