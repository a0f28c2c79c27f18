//! What is read from the disk: envelopes, keys, first values, chunks, commits, manifests. And what is written there is read back.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use bytes::Bytes;
use inbox_bridge::{
    Age, Batch, ClientId, Entry, Expiry, Message, Micros, PayloadFormat, Properties, Qos, Seq, Table, TableChange,
    TableKey, raw,
};

/// The first byte says what the others are.
pub fn records(data: &[u8]) {
    let Some((&kind, bytes)) = data.split_first() else {
        return;
    };
    match kind {
        5 => return commit(bytes),
        6 => return chunk(bytes),
        _ => {}
    }
    match kind % 5 {
        0 => envelope(bytes),
        1 => key(bytes),
        2 => head(bytes),
        3 => manifest(bytes),
        _ => {
            if let Ok(written) = Written::arbitrary(&mut Unstructured::new(bytes)) {
                round_trip(&written);
            }
        }
    }
}

/// An envelope that is read means one message, and that message is written as one that means the same.
fn envelope(bytes: &[u8]) {
    let Ok(message) = raw::decode_envelope(bytes) else {
        return;
    };
    assert_eq!(raw::envelope_size(bytes), Ok(message.size()));
    let again = raw::encode_envelope(&message);
    assert_eq!(raw::decode_envelope(&again).as_ref(), Ok(&message));
    // An older version has fewer fields.
    let is_ours = bytes.first() == again.first();
    assert!(!is_ours || again.len() <= bytes.len(), "we write the shortest form");
}

fn key(bytes: &[u8]) {
    let Some((inbox, seq, is_piece)) = raw::parse_key(bytes) else {
        return;
    };
    let Some(inbox) = std::str::from_utf8(inbox)
        .ok()
        .and_then(|inbox| ClientId::new(inbox).ok())
    else {
        return;
    };
    let piece = is_piece.then(|| u32::from_be_bytes(bytes[bytes.len() - 4..].try_into().unwrap()));
    assert_eq!(raw::encode_key(&inbox, seq, piece), bytes);
}

fn head(bytes: &[u8]) {
    let Some((first, envelope_bytes, pieces)) = raw::parse_head(bytes) else {
        return;
    };
    assert!(first.len() <= envelope_bytes, "the first piece is part of the envelope");
    assert_eq!(pieces == 0, first.len() == envelope_bytes);
}

/// A commit that is read is written as one that means the same, and a record is within what it was read from.
fn commit(bytes: &[u8]) {
    if let Some((_, frame, length)) = raw::first_record(bytes) {
        assert!(frame.len() < length && length <= bytes.len());
    }
    let Ok(batch) = raw::decode_frame(bytes) else { return };
    let again = raw::decode_frame(&raw::encode_frame(&batch)).expect("what is written can be read");
    assert_eq!((again.puts, again.removals), (batch.puts, batch.removals));
    assert_eq!(
        (again.tables, again.reserve, again.age),
        (batch.tables, batch.reserve, batch.age)
    );
}

/// A chunk that is read has its messages in order, and is written as it was if they know their sizes.
fn chunk(bytes: &[u8]) {
    let Some(items) = raw::parse_chunk(bytes) else { return };
    assert!(items.is_sorted_by(|a, b| a.0 < b.0));
    let sizes: Vec<_> = items
        .iter()
        .map(|(_, _, envelope)| raw::envelope_size(envelope))
        .collect();
    let places: Vec<_> = items.iter().map(|(seq, _, envelope)| (*seq, *envelope)).collect();
    // Under a key that is nobody's own.
    let Ok(again) = raw::encode_chunk(Seq::ZERO, &places) else {
        return;
    };
    let is_honest = items.iter().zip(&sizes).all(|(item, size)| *size == Ok(item.1));
    // One of format 2 is written as one of this format.
    let is_current = bytes.first() == Some(&0x81);
    if is_current && is_honest && places.first().is_some_and(|(seq, _)| *seq > Seq::ZERO) {
        assert_eq!(again, bytes);
    }
}

fn manifest(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(rewritten) = raw::rewrite_manifest(text) {
        assert_eq!(raw::rewrite_manifest(&rewritten), Some(rewritten));
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
        expiry: Expiry {
            accepted: Age(written.accepted),
            lives: written.lives,
            interval: written.interval,
        },
        qos: Qos::from_u8(written.qos % 3).unwrap(),
        payload: written.payload.repeat(usize::from(written.repeat)).into(),
        properties,
    };
    let envelope = raw::encode_envelope(&message);
    assert_eq!(raw::envelope_size(&envelope), Ok(message.size()));
    assert_eq!(raw::decode_envelope(&envelope).as_ref(), Ok(&message));
    pieces(&envelope);
    kept_together(&inbox, written.seq, &message, &envelope);

    for piece in [None, Some(1), Some(written.seq as u32)] {
        let key = raw::encode_key(&inbox, Seq(written.seq), piece);
        assert_eq!(
            raw::parse_key(&key),
            Some((inbox.as_str().as_bytes(), Seq(written.seq), piece.is_some()))
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
    let read = raw::decode_frame(&raw::encode_frame(&batch)).expect("what is written can be read");
    assert_eq!(
        (read.puts, read.removals, read.reserve),
        (batch.puts, batch.removals, batch.reserve)
    );
    assert_eq!((read.tables, read.age), (batch.tables, batch.age));
    let places = [(Seq(7), envelope), (Seq(8), envelope)];
    let chunk = raw::encode_chunk(Seq(3), &places).expect("an envelope knows its size");
    let read = raw::parse_chunk(&chunk).expect("what is written can be read");
    assert!(read.iter().map(|(seq, _, envelope)| (*seq, *envelope)).eq(places));
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
    let mut values: VecDeque<_> = raw::cut(envelope).into();
    let head = values.pop_front().unwrap();
    let (first, envelope_bytes, pieces) = raw::parse_head(&head).expect("what is written can be read");
    assert_eq!((envelope_bytes, pieces as usize), (envelope.len(), values.len()));
    let rest: Vec<u8> = values.into_iter().flatten().collect();
    assert_eq!([first, &rest].concat(), envelope);
}
