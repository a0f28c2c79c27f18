//! Tests of the codec: the rules of the specification byte by byte, comparison with another implementation, and noise.

mod connect_rules;
mod differential;
mod encoding;
mod frames;
mod noise;
mod packet_rules;
mod said;
mod subscribe_rules;
mod topics;

use super::{DecodeError, Packet, Version, decode, decode_connect, frame};

const BOTH: [Version; 2] = [Version::V311, Version::V5];

/// A packet of fewer than 128 bytes: first byte, remaining length, `fields`.
fn packet(first: u8, fields: &[&[u8]]) -> Vec<u8> {
    let body = fields.concat();
    assert!(body.len() < 128, "the helper writes one byte of remaining length");
    let mut packet = vec![first, body.len() as u8];
    packet.extend(body);
    packet
}

/// A string or binary data behind its length.
fn text(text: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = text.as_ref();
    let mut field = (bytes.len() as u16).to_be_bytes().to_vec();
    field.extend_from_slice(bytes);
    field
}

/// A property block of fewer than 128 bytes.
fn block(properties: &[&[u8]]) -> Vec<u8> {
    let body = properties.concat();
    assert!(body.len() < 128, "the helper writes one byte of property length");
    let mut block = vec![body.len() as u8];
    block.extend(body);
    block
}

/// A property that is a string or binary data.
fn property(identifier: u8, value: impl AsRef<[u8]>) -> Vec<u8> {
    let mut property = vec![identifier];
    property.extend(text(value));
    property
}

/// A user property.
fn user(name: &str, value: &str) -> Vec<u8> {
    let mut property = property(0x26, name);
    property.extend(text(value));
    property
}

/// Decodes a packet that must be good.
#[track_caller]
fn accept(version: Version, bytes: &[u8]) -> Packet<'_> {
    assert_eq!(frame(bytes, usize::MAX), Ok(Some(bytes.len())));
    match decode(version, bytes) {
        Ok(packet) => packet,
        Err(error) => panic!("{bytes:02x?} should be accepted: {error}"),
    }
}

/// The reason code for a packet that must be refused.
#[track_caller]
fn refuse(version: Version, bytes: &[u8]) -> u8 {
    match decode(version, bytes) {
        Ok(packet) => panic!("{bytes:02x?} should be refused, and gave {packet:?}"),
        Err(error) => reason_of(error),
    }
}

/// The reason code for a CONNECT that must be refused.
#[track_caller]
fn refuse_connect(bytes: &[u8]) -> u8 {
    match decode_connect(bytes) {
        Ok(connect) => panic!("{bytes:02x?} should be refused, and gave {connect:?}"),
        Err(error) => reason_of(error),
    }
}

fn reason_of(error: DecodeError) -> u8 {
    assert!(!error.to_string().is_empty());
    error.reason_code()
}
