//! From one connected client to another: PUBLISH, decode, session, mailbox, encode, and both PUBACKs on the way back. Nothing reaches
//! the store.

use std::time::Duration;

use inbox_test_support::packets::{PublishPacket, Version};

use super::PAYLOAD_BYTES;
use super::world::{World, acknowledge, pubacks};
use inbox_bridge::MemoryStore;

/// Messages that a publisher sends before it waits for the answers.
const WINDOW: usize = 16;
/// How long a window takes: about 300,000 messages a second.
const WINDOW_TIME: Duration = Duration::from_micros(50);
/// The committer looks at an inbox that is busy once in each `store.commit_hold`, which is 200 windows.
const WINDOWS_PER_COMMIT: usize = 200;

pub(crate) fn run(version: Version, messages: usize) {
    let mut world = World::new(MemoryStore::new());
    let (alice, bob) = (
        world.connect(version, "publisher-17"),
        world.reader(version, "reader-17"),
    );
    world.read_pages();
    let publishes: Vec<u8> = (1..=WINDOW as u16)
        .flat_map(|id| PublishPacket::new("reader-17", [b'x'; PAYLOAD_BYTES], 1, id).encode(version))
        .collect();
    let mut acks = Vec::new();
    for window in 1..=messages / WINDOW {
        world.advance(WINDOW_TIME);
        world.give(alice, &publishes);
        world.turn(bob);
        acks.clear();
        let delivered = world.take(bob, |out| acknowledge(out, &mut acks));
        assert_eq!(delivered, WINDOW, "everything is delivered at once");
        world.give(bob, &acks);
        world.turn(alice);
        let acknowledged = world.take(alice, pubacks);
        assert_eq!(acknowledged, WINDOW, "and everything is acknowledged");
        if window % WINDOWS_PER_COMMIT == 0 {
            world.commit();
        }
    }
    assert_eq!(world.counted("never_written"), messages, "nothing waited for the disk");
}
