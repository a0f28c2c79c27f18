//! A broker on one thread with a store in memory and a clock that is told the time, as the targets with packets in them need it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use inbox_bridge::{BootId, Clock, Left, Limits, MemoryStore, Micros, Now, Observer, Seq, StoreError};
use inboxd::config::MqttLimits;
use inboxd::single::{ConnId, Ended, Single};

use crate::{Packet, Version};

/// A Monday in 2026.
const START: u64 = 1_780_000_000_000_000;

/// Microseconds since the beginning.
#[derive(Default)]
pub(super) struct Time(AtomicU64);

impl Time {
    pub(super) fn advance(&self, micros: u64) {
        self.0.fetch_add(micros, Relaxed);
    }

    /// By the wall clock.
    pub(super) fn wall(&self) -> u64 {
        START + self.0.load(Relaxed)
    }
}

impl Clock for Time {
    fn now(&self) -> Now {
        Now {
            wall: Micros(self.wall()),
            mono: Duration::from_micros(self.0.load(Relaxed)),
        }
    }

    fn boot(&self) -> BootId {
        BootId(1)
    }
}

/// Messages that left unread: inbox, seq, why.
#[derive(Default)]
pub(super) struct Told(Mutex<Vec<(String, u64, Left)>>);

impl Told {
    pub(super) fn take(&self) -> Vec<(String, u64, Left)> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Observer for Told {
    fn left(&self, inbox: &inbox_bridge::ClientId, seq: Seq, _: &inbox_bridge::ClientId, why: Left) {
        self.0.lock().unwrap().push((inbox.to_string(), seq.0, why));
    }

    fn store_failed(&self, _: &StoreError) {}
    fn unreadable(&self, _: &inbox_bridge::ClientId, _: &StoreError) {}
    fn disk_is_full(&self, _: bool, _: u64) {}
}

/// The broker and what it stands on.
pub(super) struct World {
    pub(super) store: Arc<MemoryStore>,
    pub(super) time: Arc<Time>,
    pub(super) told: Arc<Told>,
    pub(super) single: Single,
    limits: Limits,
    mqtt: MqttLimits,
}

/// Small limits, which a short input reaches.
pub(super) fn small_mqtt() -> MqttLimits {
    MqttLimits {
        // Nobody commits while these talk; the tests of sessions do.
        durable_sessions: false,
        will_after_restart: None,
        message_bytes_max: 4096,
        in_flight_max: 4,
        unacknowledged_publishes_max: 16,
        topic_alias_max: 4,
        queue_messages_max: 8,
        subscriptions_per_session_max: 4,
        ..MqttLimits::default()
    }
}

impl World {
    pub(super) fn new(mut limits: Limits, mqtt: MqttLimits) -> Self {
        limits.sizes.shards_are_fixed = true;
        let (store, time, told) = (
            Arc::new(MemoryStore::new()),
            Arc::<Time>::default(),
            Arc::<Told>::default(),
        );
        let single = Single::open(store.clone(), limits.clone(), mqtt.clone(), time.clone(), told.clone()).unwrap();
        World {
            store,
            time,
            told,
            single,
            limits,
            mqtt,
        }
    }

    /// The machine stops, and starts again with what is durable.
    pub(super) fn crash(&mut self) {
        self.store = Arc::new(self.store.crash_image());
        let (limits, mqtt) = (self.limits.clone(), self.mqtt.clone());
        self.single = Single::open(self.store.clone(), limits, mqtt, self.time.clone(), self.told.clone()).unwrap();
    }

    /// Pages that readers wait for. Gives how many there were.
    pub(super) fn read_pages(&self) -> usize {
        let mut pages = 0;
        while let Some(request) = self.single.next_read() {
            pages += 1;
            if let Ok(Some(page)) = self.single.fetch(&*self.store, &request) {
                self.single.hand_over(&request, page);
            }
        }
        pages
    }

    /// Everything that the broker says to a client, as packets.
    pub(super) fn take_packets(&mut self, conn: ConnId, version: Version) -> Vec<Packet> {
        let out = self.single.out(conn);
        let bytes = out.len();
        let packets = packets(version, out);
        self.single.written(conn, bytes);
        packets
    }

    /// Feeds bytes as long as the broker takes some. Gives how many it took.
    pub(super) fn feed(&mut self, conn: ConnId, bytes: &[u8]) -> Result<usize, Ended> {
        let mut used = 0;
        while used < bytes.len() && self.single.takes_bytes(conn) {
            let took = self.single.receive(conn, &bytes[used..])?;
            assert!(took <= bytes.len() - used, "no more is used than there is");
            used += took;
            self.single.turn(conn)?;
            if took == 0 {
                break;
            }
        }
        Ok(used)
    }
}

/// The packets in `bytes`, which must be whole.
pub(super) fn packets(version: Version, mut bytes: &[u8]) -> Vec<Packet> {
    let mut packets = Vec::new();
    while !bytes.is_empty() {
        let (packet, used) = Packet::take(version, bytes).expect("the broker encodes whole packets");
        packets.push(packet);
        bytes = &bytes[used..];
    }
    packets
}
