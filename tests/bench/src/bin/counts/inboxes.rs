//! Inboxes of clients that are away: into the store, and out of it again.

use std::sync::Arc;
use std::time::Duration;

use inbox_bridge::{
    Age, Batch, ClientId, Entry, Expiry, Limits, MemoryStore, Message, Micros, Qos, Seq, Store, StoreOptions,
    open_store,
};
use inbox_test_support::packets::{PublishPacket, Version};

use super::PAYLOAD_BYTES;
use super::world::{START, World, acknowledge, pubacks};

/// Absent clients.
const CLIENTS: usize = 1000;
/// Messages that a publisher sends before it waits for the answers.
const WINDOW: usize = 64;
/// Messages that are committed together.
const BATCH: usize = 512;
/// How long that takes.
const BATCH_TIME: Duration = Duration::from_millis(2);
/// Messages that wait for the reader: more than it reads, and as many in every run.
const STORED: usize = 20 * 1024;
/// Messages that are acknowledged in `store.ack_flush_interval`, and then removed together.
const READ_PER_COMMIT: usize = 4 * 1024;

/// To the inboxes of absent clients: PUBLISH, decode, session, mailbox, group commit, PUBACK.
pub(crate) fn offline(messages: usize) {
    let mut world = World::new(MemoryStore::new());
    let publisher = world.connect(Version::V5, "publisher-17");
    let windows = windows_for_everyone();
    let mut next = windows.iter().cycle();
    for _ in 0..messages / BATCH {
        world.advance(BATCH_TIME);
        for window in next.by_ref().take(BATCH / WINDOW) {
            world.give(publisher, window);
        }
        world.commit();
        world.turn(publisher);
        assert_eq!(world.take(publisher, pubacks), BATCH, "everything is acknowledged");
    }
    assert_eq!(world.counted("committed"), messages, "after it was written");
}

/// Windows of publishes to one client after the other, as many as it takes to begin with the first client again.
fn windows_for_everyone() -> Vec<Vec<u8>> {
    let count = CLIENTS * WINDOW / 8;
    let publishes: Vec<_> = (0..count)
        .map(|n| {
            // In a batch, no identifier comes twice.
            let packet_id = (n % BATCH) as u16 + 1;
            PublishPacket::new(name(n), [b'x'; PAYLOAD_BYTES], 1, packet_id).encode(Version::V5)
        })
        .collect();
    publishes.chunks(WINDOW).map(<[_]>::concat).collect()
}

/// A client that comes back to its inbox: page, mailbox, session, encode, PUBACK, removal.
pub(crate) fn replay(messages: usize) {
    assert!(messages < STORED);
    let store = MemoryStore::new();
    let reader = ClientId::new("reader-17").unwrap();
    let stored = (0..STORED).map(|n| (reader.clone(), entry(n))).collect();
    let reserve = Some(Seq(START));
    store
        .commit(&Batch {
            puts: stored,
            reserve,
            ..Batch::default()
        })
        .unwrap();
    let mut world = World::new(store);
    let conn = world.reader(Version::V5, reader.as_str());
    let mut acks = Vec::new();
    let (mut read, mut commit_at) = (0, READ_PER_COMMIT);
    while read < messages {
        world.read_pages();
        world.turn(conn);
        acks.clear();
        let delivered = world.take(conn, |out| acknowledge(out, &mut acks));
        assert!(delivered > 0, "there is more");
        read += delivered;
        world.give(conn, &acks);
        if read >= commit_at {
            world.advance(Limits::default().ack_flush_interval);
            world.commit();
            commit_at += READ_PER_COMMIT;
        }
    }
}

/// Batches into sled, as the committer writes them.
pub(crate) fn store_sled(messages: usize) {
    let scratch = tempfile::tempdir().unwrap();
    let store = open_store(scratch.path(), &StoreOptions::default()).unwrap();
    for first in (0..messages).step_by(BATCH) {
        let puts = (first..first + BATCH).map(|n| (ClientId::new(&name(n)).unwrap(), entry(n)));
        let batch = Batch {
            puts: puts.collect(),
            ..Batch::default()
        };
        store.commit(&batch).unwrap();
    }
    store.close().unwrap();
}

/// Whom the n-th message is for. Client IDs say nothing about who comes next.
fn name(n: usize) -> String {
    format!("client-{:04}", n * 617 % CLIENTS)
}

fn entry(n: usize) -> Entry {
    let message = Message {
        from: ClientId::new("publisher-17").unwrap(),
        id: None,
        at: Micros(START),
        expiry: Expiry::of(Age(0), 1_000_000_000_000, None),
        qos: Qos::AtLeastOnce,
        payload: vec![b'x'; PAYLOAD_BYTES].into(),
        properties: None,
    };
    Entry {
        seq: Seq(START - STORED as u64 + n as u64),
        message: Arc::new(message),
    }
}
