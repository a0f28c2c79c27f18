//! A disk that fails: nothing more is acknowledged, the process says so and exits 74, and on the next start
//! everything acknowledged is there (contract rule 3).

use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use inbox_bridge::Engine;
use inbox_tests::power::{Disk, Mount};
use inbox_tests::{AckKind, Broker, Packet, PublishPacket, RawClient, Version, pubrel};

use crate::broker_on;

const PUBLISHERS: usize = 4;
const IN_FLIGHT: usize = 16;
/// Far more than any test here gets to.
const MESSAGES_MAX: usize = 200_000;

/// What one publisher saw: the numbers of its messages that were acknowledged.
type Acknowledged = Vec<usize>;

fn inbox(publisher: usize) -> String {
    format!("inbox-{publisher}")
}

/// Publishes with both versions, QoS 1 and 2, until no connection is left; gives what was acknowledged.
fn publish_until_the_end(broker: &Broker, payload_bytes: usize, on_ack: impl Fn(usize) + Sync) -> Vec<Acknowledged> {
    publish_for(broker, payload_bytes, false, on_ack)
}

/// The same; the disk may lack space before it fails.
fn publish_for(
    broker: &Broker,
    payload_bytes: usize,
    lacks_space: bool,
    on_ack: impl Fn(usize) + Sync,
) -> Vec<Acknowledged> {
    let total = Mutex::new(0);
    let count = || {
        let mut total = total.lock().unwrap();
        *total += 1;
        on_ack(*total);
    };
    thread::scope(|scope| {
        let end = broker.kill_on_drop();
        let publishers: Vec<_> = (0..PUBLISHERS)
            .map(|publisher| {
                let client = RawClient::clean(broker, Version::BOTH[publisher % 2], &format!("publisher-{publisher}"));
                let count = &count;
                scope.spawn(move || publish(client, publisher, payload_bytes, lacks_space, count))
            })
            .collect();
        let acknowledged = publishers.into_iter().map(|publisher| publisher.join().unwrap());
        let acknowledged = acknowledged.collect();
        end.spare();
        acknowledged
    })
}

fn publish(
    mut client: RawClient,
    publisher: usize,
    payload_bytes: usize,
    lacks_space: bool,
    count: &impl Fn(),
) -> Acknowledged {
    let mut acknowledged = Vec::new();
    let mut in_flight = std::collections::HashMap::new();
    let mut refused = false;
    let mut next = 0;
    let qos = 1 + publisher as u8 / 2 % 2;
    loop {
        while in_flight.len() < IN_FLIGHT && !refused {
            assert!(next < MESSAGES_MAX, "the disk never failed");
            let id = client.packet_id();
            in_flight.insert(id, next);
            let payload = format!("{next} {:payload_bytes$}", "");
            client.send_despite_close(&PublishPacket::new(inbox(publisher), payload, qos, id).encode(client.version()));
            next += 1;
        }
        match client.next_or_close() {
            Some(Packet::Ack(ack)) if ack.kind == AckKind::PubComp => {}
            Some(Packet::Ack(ack)) => {
                let number = in_flight
                    .remove(&ack.packet_id)
                    .expect("it answers a publish in flight");
                if ack.reason == 0 {
                    assert!(
                        !refused,
                        "publisher {publisher}: {number} was acknowledged after a refusal"
                    );
                    acknowledged.push(number);
                    count();
                    if ack.kind == AckKind::PubRec {
                        client.send_despite_close(&pubrel(ack.packet_id));
                    }
                } else if ack.reason == 0x97 && lacks_space {
                    // It passes, or gets worse.
                    thread::sleep(Duration::from_millis(5));
                } else {
                    assert_eq!(ack.reason, 0x83, "a failing store is said to be one: {ack:?}");
                    refused = true;
                }
            }
            Some(Packet::Disconnect(reason, _)) => assert_eq!(reason, 0x8b, "the broker shuts down"),
            Some(other) => panic!("a publisher got {other:?}"),
            None => return acknowledged,
        }
    }
}

/// Every engine with everything.
fn on_each<T: Copy>(all: &[T]) -> impl Iterator<Item = (Engine, T)> {
    Engine::ALL
        .into_iter()
        .flat_map(move |engine| all.iter().map(move |one| (engine, *one)))
}

fn ends_with_74(broker: &mut Broker) {
    let exit = broker.wait();
    assert_eq!(exit.code, Some(74), "exit: {exit:?}");
    let fatal = exit
        .stderr
        .lines()
        .filter(|line| line.contains("FATAL: the store failed"))
        .count();
    assert_eq!(fatal, 1, "one line says that the store failed: {}", exit.stderr);
}

/// Each inbox holds what was acknowledged, in order.
fn has_everything(broker: &Broker, acknowledged: &[Acknowledged]) {
    for (publisher, numbers) in acknowledged.iter().enumerate() {
        let mut reader = RawClient::reader(broker, Version::BOTH[publisher % 2], &inbox(publisher), 1);
        let mut last = None;
        for number in numbers {
            // What was not acknowledged may be there, too.
            while last < Some(*number) {
                let message = reader.receive_and_ack();
                let read: usize = message.text().split(' ').next().unwrap().parse().unwrap();
                assert!(last < Some(read), "{}: {read} came after {last:?}", inbox(publisher));
                last = Some(read);
            }
            assert_eq!(
                last,
                Some(*number),
                "{}: {number} was acknowledged and is lost",
                inbox(publisher)
            );
        }
    }
}

/// What the disk holds when the power goes after the broker has ended, and what it seems to hold as long as it does not.
fn has_everything_on(mount: Mount, engine: Engine, acknowledged: &[Acknowledged], seed: u64) {
    let total: usize = acknowledged.iter().map(Vec::len).sum();
    assert!(total > 0, "something was acknowledged before the disk failed");
    let image = mount.disk().cut(seed);
    has_everything(&broker_on(&mount, engine, "1m"), acknowledged);
    drop(mount);
    let mount = Mount::new(&Disk::from_image(&image));
    has_everything(&broker_on(&mount, engine, "1m"), acknowledged);
}

#[test]
fn after_a_failed_sync_nothing_is_acknowledged_and_everything_acknowledged_is_there() {
    // Goal: EIO of one fsync, early or late, of whichever file, is fatal, although the next fsync would return well: the
    // system has forgotten by then what it could not write, be it the sync of a commit or one of messages that leave the log.
    // Proven with a power cut behind it.
    let places = [(1, 1), (2, 2), (3, 7), (4, 30)];
    for (engine, (seed, nth)) in on_each(&places) {
        let checkpoint_after = if seed % 2 == 0 { "20ms" } else { "1m" };
        let mount = Mount::new(&Disk::new());
        let mut broker = broker_on(&mount, engine, checkpoint_after);
        let acknowledged = publish_until_the_end(&broker, 100, |total| {
            if total == 100 {
                mount.disk().fail_sync(nth, seed);
            }
        });
        ends_with_74(&mut broker);
        has_everything_on(mount, engine, &acknowledged, seed);
    }
}

#[test]
fn a_disk_that_becomes_read_only_is_fatal_and_loses_nothing() {
    // Goal: EROFS, which is what Linux makes of a file system in which it finds an error. While it is read-only the broker
    // does not start, and says why; with a repaired one it has everything.
    for engine in Engine::ALL {
        becomes_read_only(engine);
    }
}

fn becomes_read_only(engine: Engine) {
    let mount = Mount::new(&Disk::new());
    let mut broker = broker_on(&mount, engine, "1m");
    let acknowledged = publish_until_the_end(&broker, 300, |total| {
        if total == 200 {
            mount.disk().set_read_only(true);
        }
    });
    ends_with_74(&mut broker);
    let config = broker.data().with_file_name("inboxd.toml");
    let config = config.to_str().unwrap();
    let refused = broker.run_on_data(&["serve", "--listen", "127.0.0.1:0", "--config", config]);
    let why = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(77), "{why}");
    assert!(why.contains("ead-only"), "the sentence says why: {why}");
    mount.disk().set_read_only(false);
    has_everything_on(mount, engine, &acknowledged, 8);
}

#[test]
fn a_limit_of_the_file_size_is_fatal_and_loses_nothing() {
    // Goal: EFBIG, as a quota's EDQUOT is an error of a write on a disk that has room; at several sizes, so that another
    // write fails each time. One of the log is tried again, and goes on in its next file; one of the engine is fatal, and says so. With the
    // limit gone everything is there. (fjall reserves more than that for its journal before it is ready; a write of it that fails is tested
    // in the bridge.)
    for blocks in [3000, 5000, 9001] {
        let shell = format!("ulimit -S -f {blocks}; exec \"$0\" \"$@\"");
        let mut broker = Broker::start_with(inbox_tests::BrokerOptions {
            shell: Some(shell),
            ..Default::default()
        });
        let acknowledged = publish_for(&broker, 5000, true, |_| {});
        ends_with_74(&mut broker);
        has_everything(&Broker::on_the_data_of(&broker), &acknowledged);
    }
}

#[test]
fn a_disk_that_fails_while_the_broker_shuts_down_is_told_in_the_exit_code() {
    // Goal: SIGTERM, and the sync of what waits fails: the exit code is 74 and not 0, for somebody must look at the disk;
    // what was acknowledged is there.
    for engine in Engine::ALL {
        fails_while_it_shuts_down(engine);
    }
}

fn fails_while_it_shuts_down(engine: Engine) {
    let mount = Mount::new(&Disk::new());
    let mut broker = broker_on(&mount, engine, "1m");
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    let numbers: Vec<usize> = (0..50).collect();
    for number in &numbers {
        alice.publish(&inbox(0), format!("{number} "), 1);
    }
    mount.disk().fail_sync(1, 9);
    // The acknowledgement waits for company when the signal comes, or is written at once: the sync fails in either case.
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    alice.send_publish(PublishPacket::new("bob", "x", 1, 0));
    // He gets it, or he is not served yet and it is written first: then the sync fails before the signal.
    let _either = bob.next_or_close();
    let exit = broker.terminate();
    assert_eq!(exit.code, Some(74), "exit: {exit:?}");
    has_everything_on(mount, engine, &[numbers], 9);
}
