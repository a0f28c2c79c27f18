//! A disk without space for a commit. (The watermark, `store.disk_free_bytes_min`, refuses messages long before; it is turned off here, as
//! when somebody else fills the disk at once, or a quota is used up, which no file system tells.)

use std::path::Path;

use inbox_bridge::Engine;
use inbox_tests::power::{Disk, Mount};
use inbox_tests::{
    AckKind, Broker, BrokerOptions, Props, PublishPacket, RawClient, SmallDisk, Version, fill, run_inboxd, wait_until,
};

/// Of a message.
const BYTES: usize = 40_000;
/// Together they are more than any room that is left here.
const MESSAGES: usize = 180;

#[test]
fn a_full_disk_refuses_new_mail_and_ends_by_itself() {
    // Goal: ENOSPC in the middle of a commit, at several places: what was accepted is acknowledged when there is space again, new mail is
    // refused with 0x97, reading and acknowledging go on, and nothing that was acknowledged is lost, proven with a power cut.
    for engine in Engine::ALL {
        for (seed, room) in [(1, 0), (2, 1000), (3, 1_000_000)] {
            let mount = Mount::new(&Disk::new());
            let broker = start(engine, mount.path());
            let expected = refuses_and_recovers(&broker, |is_full| {
                mount.disk().limit_writes(is_full.then_some(room));
            });
            let image = mount.disk().cut(seed);
            drop(broker);
            drop(mount);
            let mount = Mount::new(&Disk::from_image(&image));
            has(&start(engine, mount.path()), &expected);
        }
    }
}

#[test]
fn a_full_file_system_of_linux_does_the_same() {
    // Goal: the same on a file system of the kernel, where a file takes pages and not bytes.
    for engine in Engine::ALL {
        let disk = SmallDisk::new(100 * 1024 * 1024);
        let mut broker = start(engine, disk.path());
        let filler = disk.path().join("filler");
        let expected = refuses_and_recovers(&broker, |is_full| match is_full {
            true => fill(&filler),
            false => std::fs::remove_file(&filler).unwrap(),
        });
        broker.crash_and_restart();
        has(&broker, &expected);
    }
}

#[test]
fn a_broker_ends_on_a_disk_that_stays_full() {
    // Goal: SIGTERM on a disk that is full to the end: nobody was told of what could not be written, the exit code is 74, and with space
    // again, everything that somebody was told of is there.
    for engine in Engine::ALL {
        let mount = Mount::new(&Disk::new());
        let mut broker = start(engine, mount.path());
        let mut alice = RawClient::clean(&broker, Version::V5, "alice");
        alice.publish("bob", "0 ", 1);
        mount.disk().limit_writes(Some(0));
        let id = alice.send_publish(PublishPacket::new("bob", "1 ", 1, 0));
        broker.wait_for_log("messages cannot be written for now");
        let exit = broker.terminate();
        assert_eq!(exit.code, Some(74), "exit: {exit:?}");
        while let Some(packet) = alice.next_or_close() {
            let is_accepted =
                matches!(&packet, inbox_tests::Packet::Ack(ack) if ack.packet_id == id && ack.reason < 0x80);
            assert!(!is_accepted, "{packet:?}");
        }
        mount.disk().limit_writes(None);
        has(&start(engine, mount.path()), &["0 ".to_owned()]);
    }
}

fn start(engine: Engine, disk: &Path) -> Broker {
    Broker::start_with(BrokerOptions {
        config: Some(format!(
            "[store]\nengine = \"{}\"\ncheckpoint_after = \"1m\"\ndisk_free_bytes_min = 0\n",
            engine.name()
        )),
        shell: Some(format!("ln -sfn '{}' data && exec \"$0\" \"$@\"", disk.display())),
        ..Default::default()
    })
}

/// Fills the disk, and makes room again. Gives what bob's inbox holds then, in order.
fn refuses_and_recovers(broker: &Broker, set_full: impl Fn(bool)) -> Vec<String> {
    let text = |number: usize| format!("{number} {:BYTES$}", "");
    let mut alice = RawClient::clean(broker, Version::V5, "alice");
    alice.publish("bob", text(0), 1);
    set_full(true);
    let sent: Vec<_> = (1..MESSAGES)
        .map(|number| alice.send_publish(PublishPacket::new("bob", text(number), 1, 0)))
        .collect();
    broker.wait_for_log("messages cannot be written for now");
    let mut carol = RawClient::reader(broker, Version::V5, "carol", 1);
    let asks = Props::new().user("notify-space", "1");
    let refused = carol
        .publish_packet(PublishPacket::new("bob", "carol's", 1, 0).props(asks))
        .unwrap();
    assert_eq!(refused.reason, 0x97, "{refused:?}");
    // What bob acknowledges now is told to alice at once, written or not: he has it.
    let mut bob = RawClient::reader(broker, Version::V311, "bob", 1);
    let read = bob.receive_and_ack();
    assert_eq!(number(read.text()), 0);
    bob.ping();
    bob.disconnect();
    set_full(false);
    broker.wait_for_log("messages are written again");
    let answers = sent.iter().map(|id| alice.ack(AckKind::PubAck, *id).reason);
    let mut expected = Vec::new();
    for (number, answer) in (1..MESSAGES).zip(answers) {
        assert!([0, 0x97].contains(&answer), "{answer:#04x}");
        expected.extend((answer == 0).then(|| text(number)));
    }
    wait_until("mail is taken again", || {
        let last = PublishPacket::new("bob", "the last", 1, 0);
        carol.publish_packet(last).unwrap().reason == 0
    });
    expected.push("the last".to_owned());
    let told = carol.receive_and_ack();
    assert!(
        told.text().contains(r#""notice":"room""#),
        "carol is told that there is room: {told:?}"
    );
    assert!(!broker.stderr().contains("FATAL"), "{}", broker.stderr());
    expected
}

fn number(text: &str) -> usize {
    text.split(' ').next().unwrap().parse().unwrap()
}

/// What is in bob's inbox, but for what a crash may bring again: acknowledgements of the last moments (contract rule 7).
fn has(broker: &Broker, expected: &[String]) {
    let mut bob = RawClient::reader(broker, Version::V5, "bob", 1);
    let mut read = bob.receive_and_ack();
    if read.text() != expected[0] {
        assert_eq!(number(read.text()), 0);
        read = bob.receive_and_ack();
    }
    for (at, text) in expected.iter().enumerate() {
        if at > 0 {
            read = bob.receive_and_ack();
        }
        assert!(
            read.text() == text,
            "message {at}: {:.20?} and not {text:.20?}",
            read.text()
        );
    }
    bob.expect_nothing();
}

#[test]
fn a_backup_to_a_full_disk_and_a_restore_onto_one_leave_nothing_half() {
    // Goal: both end with 74 and a sentence, and what was there is as it was: the earlier backup, and the empty directory. With space, both work.
    let mut broker = Broker::start();
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    (0..MESSAGES).for_each(|_| alice.publish("bob", vec![b'x'; BYTES], 1));
    assert_eq!(broker.terminate().code, Some(0));
    for engine in Engine::ALL {
        let disk = SmallDisk::new(3 * 1024 * 1024);
        let (file, good, to) = (
            disk.path().join("b"),
            broker.data().with_file_name("b"),
            disk.path().join("to"),
        );
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        std::fs::write(&file, "an earlier one").unwrap();
        let names = || std::fs::read_dir(disk.path()).unwrap().count();
        let full = broker.run_on_data(&["backup", &text(&file), "--force"]);
        let said = String::from_utf8_lossy(&full.stderr);
        assert!(full.status.code() == Some(74) && said.contains("make room"), "{said}");
        assert_eq!(
            (std::fs::read(&file).unwrap(), names()),
            (b"an earlier one".to_vec(), 1)
        );
        assert!(
            broker
                .run_on_data(&["backup", &text(&good), "--force"])
                .status
                .success()
        );
        let restore =
            |to: &Path| run_inboxd(&["restore", &text(&good), "--data", &text(to), "--engine", engine.name()]);
        let full = restore(&to);
        let said = String::from_utf8_lossy(&full.stderr);
        assert!(full.status.code() == Some(74) && !said.contains("panicked"), "{said}");
        assert_eq!(names(), 1, "{said}");
        assert!(restore(&broker.data().with_file_name(engine.name())).status.success());
    }
}
