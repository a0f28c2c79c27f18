//! From one connected client to another: PUBLISH, decode, session, mailbox or subscription, encode, and both PUBACKs on the way back. Nothing reaches
//! the store.

use std::time::Duration;

use inbox_test_support::packets::{Connect, PublishPacket, Version};
use inboxd::single::ConnId;

use super::PAYLOAD_BYTES;
use super::world::{World, acknowledge, pubacks};
use inbox_bridge::MemoryStore;

/// Messages that a publisher sends before it waits for the answers.
const WINDOW: usize = 16;
/// How long a window takes: about 300,000 messages a second.
const WINDOW_TIME: Duration = Duration::from_micros(50);
/// The committer looks at an inbox that is busy once in each `store.commit_hold`, which is 200 windows.
const WINDOWS_PER_COMMIT: usize = 200;

/// By inbox.
pub(crate) fn run(version: Version, messages: usize) {
    let mut world = World::new(MemoryStore::new());
    let (alice, bob) = (
        world.connect(version, "publisher-17"),
        world.reader(version, "reader-17"),
    );
    world.read_pages();
    exchange(&mut world, version, (alice, bob), "reader-17", messages);
    assert_eq!(world.counted("never_written"), messages, "nothing waited for the disk");
}

/// By an ordinary topic, to a reader whose session is kept, or is not.
pub(crate) fn ordinary(is_kept: bool, messages: usize) {
    let (version, topic) = (Version::V311, "devices/reader-17/cmd");
    let mut world = World::new(MemoryStore::new());
    let alice = world.connect(version, "publisher-17");
    let connect = match is_kept {
        true => Connect::persistent(version, "reader-17"),
        false => Connect::new(version, "reader-17"),
    };
    let bob = world.connect_with(&connect);
    world.subscribe(bob, version, topic);
    exchange(&mut world, version, (alice, bob), topic, messages);
}

fn exchange(world: &mut World, version: Version, (alice, bob): (ConnId, ConnId), topic: &str, messages: usize) {
    let publishes: Vec<u8> = (1..=WINDOW as u16)
        .flat_map(|id| PublishPacket::new(topic, [b'x'; PAYLOAD_BYTES], 1, id).encode(version))
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
}
