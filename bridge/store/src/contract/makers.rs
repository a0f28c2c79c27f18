//! What goes into a store in tests, and what is in it.

use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::store::{Batch, PageLimit, Store};
use inbox_types::{Age, ClientId, Entry, Expiry, Message, Micros, Qos, Seq};

/// The client ID `id`.
pub fn id(id: &str) -> ClientId {
    ClientId::new(id).unwrap()
}

/// A message whose payload is `size` bytes that depend on `seq`.
pub fn entry(seq: u64, size: usize) -> Entry {
    let payload: Vec<u8> = (0..size as u64)
        .map(|n| n.wrapping_mul(31).wrapping_add(seq) as u8)
        .collect();
    let message = Message {
        from: id("alice"),
        id: None,
        at: Micros(seq),
        expiry: Expiry::of(Age(0), u64::MAX, None),
        qos: Qos::AtLeastOnce,
        payload: payload.into(),
        properties: None,
    };
    Entry {
        seq: Seq(seq),
        message: Arc::new(message),
    }
}

/// Puts of ten-byte messages to `inbox`.
pub fn batch_of(inbox: &str, seqs: RangeInclusive<u64>) -> Batch {
    Batch {
        puts: seqs.map(|seq| (id(inbox), entry(seq, 10))).collect(),
        ..Batch::default()
    }
}

/// The seqs that `inbox` holds, read page by page.
pub fn seqs(store: &dyn Store, inbox: &ClientId) -> Vec<u64> {
    all(
        store,
        inbox,
        PageLimit {
            messages: 7,
            bytes: usize::MAX,
        },
    )
    .iter()
    .map(|entry| entry.seq.0)
    .collect()
}

/// Everything in `inbox`, read page by page.
pub fn all(store: &dyn Store, inbox: &ClientId, limit: PageLimit) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    loop {
        let after = entries.last().map_or(Seq::ZERO, |entry| entry.seq);
        let page = store.read(inbox, after, limit).unwrap();
        assert!(page.entries.len() <= limit.messages.max(1));
        assert!(
            !page.more || !page.entries.is_empty(),
            "a page that says there is more has something to go on from"
        );
        entries.extend(page.entries);
        if !page.more {
            return entries;
        }
    }
}
