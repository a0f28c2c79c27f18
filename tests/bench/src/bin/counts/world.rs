//! A broker on one thread, a store in memory and a clock that is told the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use inbox_bridge::{ClientId, Clock, Left, Limits, MemoryStore, Micros, Now, Observer, Seq, Store, StoreError};
use inbox_test_support::packets::{Connect, Props, Version, subscribe};
use inboxd::config::MqttLimits;
use inboxd::single::{ConnId, Single};

/// A Monday in 2026, in microseconds since the Unix epoch.
pub(crate) const START: u64 = 1_780_000_000_000_000;

/// Microseconds since [`START`].
#[derive(Default)]
struct Time(AtomicU64);

impl Clock for Time {
    fn now(&self) -> Now {
        let micros = self.0.load(Relaxed);
        Now {
            wall: Micros(START + micros),
            mono: Duration::from_micros(micros),
        }
    }
}

/// Nothing here may leave unread, or fail.
struct Strict;

impl Observer for Strict {
    fn left(&self, inbox: &ClientId, seq: Seq, _: &ClientId, why: Left) {
        panic!("{seq} left the inbox of {inbox}: {}", why.as_str());
    }

    fn store_failed(&self, error: &StoreError) {
        panic!("{error}");
    }

    fn unreadable(&self, _: &ClientId, error: &StoreError) {
        panic!("{error}");
    }

    fn disk_is_full(&self, _: bool, free_bytes: u64) {
        panic!("{free_bytes} bytes are free");
    }
}

pub(crate) struct World {
    single: Single,
    store: Arc<MemoryStore>,
    time: Arc<Time>,
}

impl World {
    /// A broker with default settings on what `store` holds.
    pub(crate) fn new(store: MemoryStore) -> Self {
        let time = Arc::<Time>::default();
        let mqtt = MqttLimits::default();
        let store = Arc::new(store);
        let single = Single::open(store.clone(), Limits::default(), mqtt, time.clone(), Arc::new(Strict)).unwrap();
        World { single, store, time }
    }

    pub(crate) fn advance(&self, time: Duration) {
        self.time.0.fetch_add(time.as_micros() as u64, Relaxed);
    }

    /// A client that has connected.
    pub(crate) fn connect(&mut self, version: Version, id: &str) -> ConnId {
        self.connect_with(&Connect::new(version, id))
    }

    /// The same, with this CONNECT.
    pub(crate) fn connect_with(&mut self, connect: &Connect) -> ConnId {
        let conn = self.single.connect();
        self.give(conn, &connect.encode());
        self.take(conn, |out| assert_eq!(out[0], 0x20, "CONNACK"));
        conn
    }

    /// A client that reads its inbox with QoS 1.
    pub(crate) fn reader(&mut self, version: Version, id: &str) -> ConnId {
        let conn = self.connect(version, id);
        self.subscribe(conn, version, id);
        conn
    }

    /// The client subscribes with QoS 1.
    pub(crate) fn subscribe(&mut self, conn: ConnId, version: Version, filter: &str) {
        self.give(conn, &subscribe(version, 1, filter, 1, &Props::new()));
        self.turn(conn);
        // Where the session is kept, SUBACK waits for this.
        self.commit();
        self.turn(conn);
        self.take(conn, |out| assert_eq!(out[0], 0x90, "SUBACK"));
    }

    /// What one read of a socket brought, and what the connection's task does with it.
    pub(crate) fn give(&mut self, conn: ConnId, bytes: &[u8]) {
        assert!(self.single.takes_bytes(conn));
        assert_eq!(self.single.receive(conn, bytes).unwrap(), bytes.len());
        self.turn(conn);
    }

    /// One turn of a connection's task.
    pub(crate) fn turn(&mut self, conn: ConnId) {
        self.single.turn(conn).unwrap();
    }

    /// Writes what waits to the socket, in one go.
    pub(crate) fn take<R>(&mut self, conn: ConnId, look: impl FnOnce(&[u8]) -> R) -> R {
        let out = self.single.out(conn);
        let (bytes, seen) = (out.len(), look(out));
        self.single.written(conn, bytes);
        seen
    }

    /// One round of the committer.
    pub(crate) fn commit(&self) {
        let pending = self.single.begin_commit(&*self.store, false);
        let written = if pending.batch().is_empty() {
            Ok(())
        } else {
            self.store.commit(pending.batch())
        };
        self.single.finish_commit(pending, written).unwrap();
    }

    /// Reads the pages that readers wait for.
    pub(crate) fn read_pages(&self) {
        while let Some(request) = self.single.next_read() {
            let page = self
                .single
                .fetch(&*self.store, &request)
                .ok()
                .flatten()
                .expect("the reader is there");
            self.single.hand_over(&request, page);
        }
    }

    /// What the inboxes counted under this name.
    pub(crate) fn counted(&self, name: &str) -> usize {
        let counters = self.single.counters();
        let found = counters.iter().find(|(counter, _)| *counter == name);
        found.expect("there is such a counter").1 as usize
    }
}

/// Appends a PUBACK for every PUBLISH in `out`, which holds nothing else. Gives how many there were.
pub(crate) fn acknowledge(mut out: &[u8], acks: &mut Vec<u8>) -> usize {
    let mut publishes = 0;
    while let Some((first, rest)) = out.split_first() {
        assert_eq!(first & 0xf6, 0x32, "PUBLISH with QoS 1");
        let (mut remaining, mut length_bytes) = (0, 0);
        for byte in rest {
            remaining |= usize::from(byte & 0x7f) << (7 * length_bytes);
            length_bytes += 1;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let body = &rest[length_bytes..length_bytes + remaining];
        let topic_bytes = usize::from(u16::from_be_bytes([body[0], body[1]]));
        acks.extend([0x40, 2, body[2 + topic_bytes], body[3 + topic_bytes]]);
        publishes += 1;
        out = &rest[length_bytes + remaining..];
    }
    publishes
}

/// How many PUBACKs with success are in `out`, which holds nothing else.
pub(crate) fn pubacks(out: &[u8]) -> usize {
    let acks = out.chunks_exact(4);
    assert!(acks.remainder().is_empty(), "whole PUBACKs");
    acks.inspect(|ack| assert_eq!(ack[..2], [0x40, 2], "PUBACK with success"))
        .count()
}
