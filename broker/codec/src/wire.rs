//! The data types of MQTT, read from the front of a slice (MQTT 5, section 1.5).

use super::{DecodeError, PacketId};

/// The largest number that a variable byte integer can hold.
pub(super) const VARIABLE_BYTE_INTEGER_MAX: usize = 268_435_455;

const SHORT: DecodeError = DecodeError::Malformed("a field ends beyond the packet or block that holds it");

/// Reads fields one after the other. A field that is not wholly there is malformed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads `bytes` from the front.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Reader { rest: bytes }
    }

    /// What was not read yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether everything was read.
    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// One byte.
    pub(super) fn u8(&mut self) -> Result<u8, DecodeError> {
        let (&byte, rest) = self.rest.split_first().ok_or(SHORT)?;
        self.rest = rest;
        Ok(byte)
    }

    /// A two byte integer, big-endian.
    pub(super) fn u16(&mut self) -> Result<u16, DecodeError> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(SHORT)?;
        self.rest = rest;
        Ok(u16::from_be_bytes(*bytes))
    }

    /// A four byte integer, big-endian.
    pub(super) fn u32(&mut self) -> Result<u32, DecodeError> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(SHORT)?;
        self.rest = rest;
        Ok(u32::from_be_bytes(*bytes))
    }

    /// A variable byte integer of one to four bytes, in its shortest form (MQTT-1.5.5-1).
    pub(super) fn variable_byte_integer(&mut self) -> Result<u32, DecodeError> {
        match variable_byte_integer(self.rest)? {
            Some((value, length)) => {
                self.rest = self.rest.get(length..).ok_or(SHORT)?;
                Ok(value)
            }
            None => Err(SHORT),
        }
    }

    /// The next `length` bytes.
    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(SHORT)?;
        self.rest = rest;
        Ok(bytes)
    }

    /// Binary data: a two byte length and that many bytes.
    pub(super) fn binary(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.u16()?;
        self.take(usize::from(length))
    }

    /// A UTF-8 encoded string, without surrogates (MQTT-1.5.4-1) and without U+0000 (MQTT-1.5.4-2).
    pub(super) fn string(&mut self) -> Result<&'a str, DecodeError> {
        let bytes = self.binary()?;
        let text = std::str::from_utf8(bytes)
            .map_err(|_| DecodeError::Malformed("a string must be well-formed UTF-8 (MQTT-1.5.4-1)"))?;
        // Without an early exit this is a few vector instructions; strings are short.
        if bytes.iter().fold(false, |nul, &byte| nul | (byte == 0)) {
            return Err(DecodeError::Malformed("a string must not hold U+0000 (MQTT-1.5.4-2)"));
        }
        Ok(text)
    }

    /// A packet identifier, which is not 0 (MQTT-2.2.1-3).
    pub(super) fn packet_id(&mut self) -> Result<PacketId, DecodeError> {
        PacketId::new(self.u16()?).ok_or(DecodeError::Protocol(
            "a packet identifier must not be 0 (MQTT-2.2.1-3, 3.1.1: MQTT-2.3.1-1)",
        ))
    }

    /// Refuses what is left over after the last field.
    pub(super) fn end(&self) -> Result<(), DecodeError> {
        match self.rest {
            [] => Ok(()),
            _ => Err(DecodeError::Malformed("bytes follow the last field of the packet")),
        }
    }
}

/// The variable byte integer at the front of `bytes` and the number of its bytes; `None` when it is not all there.
#[inline]
pub(super) fn variable_byte_integer(bytes: &[u8]) -> Result<Option<(u32, usize)>, DecodeError> {
    match bytes {
        [byte @ ..0x80, ..] => Ok(Some((u32::from(*byte), 1))),
        [low, high @ 1..0x80, ..] => Ok(Some((u32::from(low & 0x7F) | (u32::from(*high) << 7), 2))),
        _ => long_variable_byte_integer(bytes),
    }
}

/// Of more than two bytes, or wrong, or not all there.
fn long_variable_byte_integer(bytes: &[u8]) -> Result<Option<(u32, usize)>, DecodeError> {
    let mut value = 0;
    for (index, &byte) in bytes.iter().take(4).enumerate() {
        value |= u32::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            if byte == 0 && index > 0 {
                return Err(DecodeError::Malformed(
                    "a variable byte integer must be encoded in as few bytes as possible (MQTT-1.5.5-1)",
                ));
            }
            return Ok(Some((value, index + 1)));
        }
    }
    if bytes.len() >= 4 {
        return Err(DecodeError::Malformed(
            "a variable byte integer has at most four bytes (section 1.5.5)",
        ));
    }
    Ok(None)
}
