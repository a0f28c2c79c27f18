//! The fuzz target `records`: what is read from the disk (envelopes, keys, first values, chunks, commits, manifests) means one thing or is
//! refused, and what is written there is read back.
//!
//! It is here and not in the tests' package, because there is no other way to these bytes: a store that is opened on a disk of random
//! bytes refuses them for their checksums, and never gets so far.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "for tests only"
)]

use std::sync::Arc;
use std::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use bytes::Bytes;

use crate::manifest::{CURRENT, Manifest};
use crate::record::{self, Head};
use crate::store::Batch;
use crate::table::{Table, TableChange, TableKey};
use crate::{chunk, envelope, frame, key, log};
use inbox_types::{Age, ClientId, Entry, Expiry, Message, Micros, PayloadFormat, Properties, Qos, Seq};

pub use crate::backup::fuzzing::backups;

/// The first byte says what the others are.
pub fn records(data: &[u8]) {
    let Some((&kind, bytes)) = data.split_first() else {
        return;
    };
    match kind {
        5 => return read_commit(bytes),
        6 => return read_chunk(bytes),
        _ => {}
    }
    match kind % 5 {
        0 => read_envelope(bytes),
        1 => read_key(bytes),
        2 => read_head(bytes),
        3 => read_manifest(bytes),
        _ => {
            if let Ok(written) = Written::arbitrary(&mut Unstructured::new(bytes)) {
                round_trip(&written);
            }
        }
    }
}

/// An envelope that is read means one message, and that message is written as one that means the same.
fn read_envelope(bytes: &[u8]) {
    let Ok(message) = envelope::decode(bytes) else {
        return;
    };
    assert_eq!(envelope::size(bytes).ok(), Some(message.size()));
    let again = encoded(&message);
    assert_eq!(envelope::decode(&again).ok().as_ref(), Some(&message));
    // An older version has fewer fields.
    let is_ours = bytes.first() == again.first();
    assert!(!is_ours || again.len() <= bytes.len(), "we write the shortest form");
}

fn read_key(bytes: &[u8]) {
    let Some(parsed) = key::parse(bytes) else {
        return;
    };
    let Some(inbox) = std::str::from_utf8(parsed.inbox)
        .ok()
        .and_then(|inbox| ClientId::new(inbox).ok())
    else {
        return;
    };
    let piece = parsed
        .is_piece
        .then(|| u32::from_be_bytes(bytes[bytes.len() - 4..].try_into().unwrap()));
    assert_eq!(encoded_key(&inbox, parsed.seq, piece), bytes);
}

fn read_head(bytes: &[u8]) {
    let Some(head) = Head::parse(bytes) else {
        return;
    };
    let first_bytes = head.first.len();
    assert!(
        first_bytes <= head.envelope_bytes,
        "the first piece is part of the envelope"
    );
    assert_eq!(head.pieces() == 0, first_bytes == head.envelope_bytes);
}

/// A commit that is read is written as one that means the same, and a record is within what it was read from.
fn read_commit(bytes: &[u8]) {
    if let Some((_, frame, length)) = log::first_record(bytes) {
        assert!(frame.len() < length && length <= bytes.len());
    }
    let Ok(batch) = frame::decode(bytes) else { return };
    let again = frame::decode(&framed(&batch)).expect("what is written can be read");
    assert_eq!((again.puts, again.removals), (batch.puts, batch.removals));
    assert_eq!(
        (again.tables, again.reserve, again.age),
        (batch.tables, batch.reserve, batch.age)
    );
}

/// A chunk that is read has its messages in order, and is written as it was if they know their sizes.
fn read_chunk(bytes: &[u8]) {
    let Some(items) = chunk::parse(bytes) else { return };
    assert!(items.is_sorted_by(|a, b| a.seq < b.seq));
    let places: Vec<_> = items.iter().map(|item| (item.seq, item.envelope)).collect();
    let mut again = Vec::new();
    // Under a key that is nobody's own.
    if chunk::encode(Seq::ZERO, &places, &mut again).is_err() {
        return;
    }
    let is_honest = items
        .iter()
        .all(|item| envelope::size(item.envelope).ok() == Some(item.size));
    // One of format 2 is written as one of this format.
    let is_current = bytes.first() == Some(&0x81);
    if is_current && is_honest && places.first().is_some_and(|(seq, _)| *seq > Seq::ZERO) {
        assert_eq!(again, bytes);
    }
}

fn read_manifest(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(manifest) = Manifest::parse(text, &CURRENT)
        && !manifest.engine.contains(['"', '\\', '\n'])
    {
        assert_eq!(Manifest::parse(&manifest.text(), &CURRENT), Ok(manifest));
    }
}

/// A message, from few bytes.
#[derive(Debug, Arbitrary)]
struct Written<'a> {
    inbox: &'a str,
    seq: u64,
    from: &'a str,
    id: Option<&'a str>,
    at: u64,
    accepted: u64,
    lives: u64,
    interval: Option<u32>,
    qos: u8,
    properties: Option<WrittenProperties<'a>>,
    payload: &'a [u8],
    /// The payload is repeated so often, for envelopes of several pieces.
    repeat: u8,
}

#[derive(Debug, Arbitrary)]
struct WrittenProperties<'a> {
    payload_is_utf8: Option<bool>,
    content_type: Option<&'a str>,
    response_topic: Option<&'a str>,
    correlation_data: Option<&'a [u8]>,
    user: Vec<(&'a str, &'a str)>,
}

fn round_trip(written: &Written<'_>) {
    let (Ok(inbox), Ok(from)) = (ClientId::new(written.inbox), ClientId::new(written.from)) else {
        return;
    };
    let properties = written.properties.as_ref().map(|said| {
        Box::new(Properties {
            payload_format: said.payload_is_utf8.map(|is_utf8| match is_utf8 {
                true => PayloadFormat::Utf8,
                false => PayloadFormat::Bytes,
            }),
            content_type: said.content_type.map(Into::into),
            response_topic: said.response_topic.map(Into::into),
            correlation_data: said.correlation_data.map(Bytes::copy_from_slice),
            user: said
                .user
                .iter()
                .map(|(name, value)| ((*name).into(), (*value).into()))
                .collect(),
        })
    });
    let message = Message {
        from,
        id: written.id.map(Into::into),
        at: Micros(written.at),
        expiry: Expiry::of(Age(written.accepted), written.lives, written.interval),
        qos: Qos::from_u8(written.qos % 3).unwrap(),
        payload: written.payload.repeat(usize::from(written.repeat)).into(),
        properties,
    };
    let envelope = encoded(&message);
    assert_eq!(envelope::size(&envelope).ok(), Some(message.size()));
    assert_eq!(envelope::decode(&envelope).ok().as_ref(), Some(&message));
    pieces(&envelope);
    kept_together(&inbox, written.seq, &message, &envelope);

    for piece in [None, Some(1), Some(written.seq as u32)] {
        let key = encoded_key(&inbox, Seq(written.seq), piece);
        let parsed = key::parse(&key).expect("what is written can be read");
        assert_eq!(
            (parsed.inbox, parsed.seq, parsed.is_piece),
            (inbox.as_str().as_bytes(), Seq(written.seq), piece.is_some())
        );
    }
}

/// In a commit and in a chunk, a message is what it is alone.
fn kept_together(inbox: &ClientId, seq: u64, message: &Message, envelope: &[u8]) {
    let entry = Entry {
        seq: Seq(seq),
        message: Arc::new(message.clone()),
    };
    let batch = Batch {
        puts: vec![(inbox.clone(), entry.clone()), (inbox.clone(), entry)],
        removals: vec![(inbox.clone(), Seq(seq))],
        reserve: Some(Seq(seq)).filter(|seq| *seq > Seq::ZERO),
        tables: tables(inbox, envelope),
        age: Some(Duration::from_micros(seq)).filter(|age| *age > Duration::ZERO),
    };
    let read = frame::decode(&framed(&batch)).expect("what is written can be read");
    assert_eq!(
        (read.puts, read.removals, read.reserve),
        (batch.puts, batch.removals, batch.reserve)
    );
    assert_eq!((read.tables, read.age), (batch.tables, batch.age));
    let places = [(Seq(7), envelope), (Seq(8), envelope)];
    let mut chunk = Vec::new();
    chunk::encode(Seq(3), &places, &mut chunk).expect("an envelope knows its size");
    let read = chunk::parse(&chunk).expect("what is written can be read");
    assert!(read.iter().map(|item| (item.seq, item.envelope)).eq(places));
}

/// A value under the name of an inbox, and its removal.
fn tables(inbox: &ClientId, value: &[u8]) -> Vec<TableChange> {
    let key = TableKey::new(inbox.as_str().as_bytes().to_vec()).expect("a client ID is short enough");
    [Some(Bytes::copy_from_slice(value)), None]
        .map(|value| TableChange {
            table: Table::DEDUPE,
            key: key.clone(),
            value,
        })
        .into()
}

/// The values of an envelope make that envelope again, and say how many they are.
fn pieces(envelope: &[u8]) {
    let mut value = Vec::new();
    let rest: Vec<_> = record::cut(envelope, &mut value).collect();
    let head = Head::parse(&value).expect("what is written can be read");
    assert_eq!(
        (head.envelope_bytes, head.pieces() as usize),
        (envelope.len(), rest.len())
    );
    assert_eq!([&[head.first], rest.as_slice()].concat().concat(), envelope);
}

fn encoded(message: &Message) -> Vec<u8> {
    let mut out = Vec::new();
    envelope::encode_into(message, &mut out);
    out
}

fn framed(batch: &Batch) -> Vec<u8> {
    let mut out = Vec::new();
    frame::encode_into(batch, &mut out);
    out
}

/// The key of a message, or of a piece of it.
fn encoded_key(inbox: &ClientId, seq: Seq, piece: Option<u32>) -> Vec<u8> {
    let message = key::message(inbox, seq);
    piece.map_or_else(|| message.clone(), |number| key::piece(&message, number))
}
