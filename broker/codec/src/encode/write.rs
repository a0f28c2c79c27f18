//! The data types of MQTT, appended to a vector (MQTT 5, section 1.5).

use crate::wire::VARIABLE_BYTE_INTEGER_MAX;

/// A property to send. The first field is its identifier, below 128.
#[derive(Debug, Clone, Copy)]
pub(super) enum Property<'a> {
    /// A byte.
    U8(u8, u8),
    /// A two byte integer.
    U16(u8, u16),
    /// A four byte integer.
    U32(u8, u32),
    /// A string.
    Text(u8, &'a str),
    /// User property: name and value.
    User(&'a str, &'a str),
}

impl Property<'_> {
    fn len(self) -> usize {
        match self {
            Property::U8(..) => 2,
            Property::U16(..) => 3,
            Property::U32(..) => 5,
            Property::Text(_, text) => 1 + binary_len(text.as_bytes()),
            Property::User(name, value) => user_len(name, value),
        }
    }

    fn put(self, out: &mut Vec<u8>) {
        match self {
            Property::U8(identifier, value) => out.extend_from_slice(&[identifier, value]),
            Property::U16(identifier, value) => {
                out.push(identifier);
                put_u16(out, value);
            }
            Property::U32(identifier, value) => {
                out.push(identifier);
                out.extend_from_slice(&value.to_be_bytes());
            }
            Property::Text(identifier, text) => {
                out.push(identifier);
                put_binary(out, text.as_bytes());
            }
            Property::User(name, value) => put_user(out, name, value),
        }
    }
}

/// The bytes of `properties`, without their length.
pub(super) fn properties_len<'a>(properties: impl IntoIterator<Item = Property<'a>>) -> usize {
    properties.into_iter().map(Property::len).sum()
}

/// Appends the length of `properties` and `properties`.
pub(super) fn put_properties<'a>(
    out: &mut Vec<u8>,
    properties: impl IntoIterator<Item = Property<'a>, IntoIter: Clone>,
) {
    let properties = properties.into_iter();
    put_variable_byte_integer(out, properties_len(properties.clone()));
    for property in properties {
        property.put(out);
    }
}

/// The bytes of a property block of `length` bytes together with its length.
pub(super) fn block_len(length: usize) -> usize {
    variable_byte_integer_len(length) + length
}

/// The bytes of a user property, identifier included.
pub(super) fn user_len(name: &str, value: &str) -> usize {
    1 + binary_len(name.as_bytes()) + binary_len(value.as_bytes())
}

/// Appends a user property. Most messages have several, so it is put together of few pieces.
pub(super) fn put_user(out: &mut Vec<u8>, name: &str, value: &str) {
    let ([high, low], name) = binary(name.as_bytes());
    out.extend_from_slice(&[0x26, high, low]);
    out.extend_from_slice(name);
    put_binary(out, value.as_bytes());
}

/// The bytes of binary data or of a string, length included.
pub(super) fn binary_len(bytes: &[u8]) -> usize {
    2 + bytes.len().min(usize::from(u16::MAX))
}

/// Appends binary data, or the bytes of a string, behind their length.
pub(super) fn put_binary(out: &mut Vec<u8>, bytes: &[u8]) {
    let (length, bytes) = binary(bytes);
    out.extend_from_slice(&length);
    out.extend_from_slice(bytes);
}

/// Binary data, or the bytes of a string, and their length as it goes before them.
fn binary(bytes: &[u8]) -> ([u8; 2], &[u8]) {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    debug_assert_eq!(
        usize::from(length),
        bytes.len(),
        "MQTT strings and binary data have at most 65,535 bytes"
    );
    let bytes = bytes.get(..usize::from(length)).unwrap_or(bytes);
    (length.to_be_bytes(), bytes)
}

/// Appends a two byte integer.
pub(super) fn put_u16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// The bytes of `value` as a variable byte integer.
pub(super) fn variable_byte_integer_len(value: usize) -> usize {
    match value {
        0..=127 => 1,
        128..=16_383 => 2,
        16_384..=2_097_151 => 3,
        _ => 4,
    }
}

/// Appends `value`, at most [`VARIABLE_BYTE_INTEGER_MAX`], as a variable byte integer.
pub(super) fn put_variable_byte_integer(out: &mut Vec<u8>, value: usize) {
    debug_assert!(
        value <= VARIABLE_BYTE_INTEGER_MAX,
        "a variable byte integer has at most four bytes"
    );
    let mut rest = value;
    while rest > 127 {
        out.push((rest & 0x7F) as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}
