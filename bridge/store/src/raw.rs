//! Doors to the bytes of the store, for the fuzz targets: what is read from a disk may be anything.

use crate::manifest::{CURRENT, Manifest};
use crate::record::{self, Head};
use crate::store::Batch;
use crate::{chunk, envelope, frame, key, log};
use inbox_types::{ClientId, Message, Seq};

/// Reads an envelope.
///
/// # Errors
/// What is wrong with it.
pub fn decode_envelope(bytes: &[u8]) -> Result<Message, String> {
    envelope::decode(bytes).map_err(|error| error.to_string())
}

/// The envelope of a message.
pub fn encode_envelope(message: &Message) -> Vec<u8> {
    let mut out = Vec::new();
    envelope::encode_into(message, &mut out);
    out
}

/// The message's size, which is read from the beginning of an envelope.
///
/// # Errors
/// What is wrong with it.
pub fn envelope_size(bytes: &[u8]) -> Result<usize, String> {
    envelope::size(bytes).map_err(|error| error.to_string())
}

/// The key of a message, or of a piece of it.
pub fn encode_key(inbox: &ClientId, seq: Seq, piece: Option<u32>) -> Vec<u8> {
    let message = key::message(inbox, seq);
    piece.map_or_else(|| message.clone(), |number| key::piece(&message, number))
}

/// The inbox and the message that a key names, and whether it is of a piece.
pub fn parse_key(bytes: &[u8]) -> Option<(&[u8], Seq, bool)> {
    key::parse(bytes).map(|parsed| (parsed.inbox, parsed.seq, parsed.is_piece))
}

/// The values under which an envelope is stored.
pub fn cut(envelope: &[u8]) -> Vec<Vec<u8>> {
    let mut head = Vec::new();
    let pieces: Vec<_> = record::cut(envelope, &mut head).map(<[u8]>::to_vec).collect();
    [vec![head], pieces].concat()
}

/// Of a first value: what of the envelope it holds, the envelope's length, and how many pieces follow.
pub fn parse_head(value: &[u8]) -> Option<(&[u8], usize, u32)> {
    Head::parse(value).map(|head| (head.first, head.envelope_bytes, head.pieces()))
}

/// Reads a commit.
///
/// # Errors
/// What is wrong with it.
pub fn decode_frame(bytes: &[u8]) -> Result<Batch, String> {
    frame::decode(bytes)
}

/// A commit as the log holds it.
pub fn encode_frame(batch: &Batch) -> Vec<u8> {
    let mut out = Vec::new();
    frame::encode_into(batch, &mut out);
    out
}

/// The first record of a piece of log: its commit, its frame and its length in bytes.
pub fn first_record(log: &[u8]) -> Option<(u64, &[u8], usize)> {
    log::first_record(log)
}

/// The messages of a chunk: place, size and envelope.
pub fn parse_chunk(value: &[u8]) -> Option<Vec<(Seq, usize, &[u8])>> {
    let items = chunk::parse(value)?;
    Some(items.iter().map(|item| (item.seq, item.size, item.envelope)).collect())
}

/// The value of a chunk under the seq `key`.
///
/// # Errors
/// What is wrong with an envelope.
pub fn encode_chunk(key: Seq, items: &[(Seq, &[u8])]) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    chunk::encode(key, items, &mut out).map_err(|error| error.to_string())?;
    Ok(out)
}

/// Reads a manifest and writes it again; `None` when it is not one that this build goes by.
pub fn rewrite_manifest(text: &str) -> Option<String> {
    Manifest::parse(text, &CURRENT).ok().map(|manifest| manifest.text())
}
