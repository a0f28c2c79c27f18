//! Space that is gone before a checkpoint, and comes back.

use inbox_bridge::Engine;
use inbox_tests::power::{Disk, Mount};
use inbox_tests::{Broker, BrokerOptions, PublishPacket, RawClient, Version, wait_until};

/// Less than a checkpoint asks for (docs/operations.md), and more than the log takes here.
const LEFT_BYTES: u64 = 3_000_000;

#[test]
fn space_that_is_gone_before_a_checkpoint_and_comes_back_costs_only_time() {
    // Goal: without room for a checkpoint new mail is refused with 0x97, and reading and acknowledging go on; with room again, mail is accepted
    // again by itself, and nothing that was acknowledged is lost. (The watermark, `store.disk_free_bytes_min`, is turned off.)
    for engine in Engine::ALL {
        costs_only_time(engine);
    }
}

fn costs_only_time(engine: Engine) {
    let mount = Mount::new(&Disk::new());
    let mut broker = Broker::start_with(BrokerOptions {
        config: Some(format!(
            "[store]\nengine = \"{}\"\ncheckpoint_after = \"20ms\"\ndisk_free_bytes_min = 0\n",
            engine.name()
        )),
        shell: Some(format!(
            "ln -sfn '{}' data && exec \"$0\" \"$@\"",
            mount.path().display()
        )),
        ..Default::default()
    });
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    let mut accepted = vec!["before".to_owned()];
    alice.publish("bob", "before", 1);
    mount.disk().limit_writes(Some(LEFT_BYTES));
    publish_until(&mut alice, 0x97, &mut accepted);
    let mut bob = RawClient::reader(&broker, Version::V311, "bob", 1);
    for text in &accepted {
        assert_eq!(&bob.receive_and_ack().text(), text);
    }
    bob.ping();
    bob.disconnect();
    mount.disk().limit_writes(None);
    let mut afterwards = Vec::new();
    publish_until(&mut alice, 0, &mut afterwards);
    broker.wait_for_log("messages are moved from the log again");
    assert!(!broker.stderr().contains("FATAL"), "{}", broker.stderr());
    broker.crash_and_restart();
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    // The acknowledgements of before may be among what the crash took (rule 7).
    while bob.receive_and_ack().text() != afterwards[0] {}
    bob.expect_nothing();
}

/// Publishes to bob until the answer is `reason`. Notes what was accepted.
fn publish_until(alice: &mut RawClient, reason: u8, accepted: &mut Vec<String>) {
    let mut number = 0;
    wait_until(&format!("a publish is answered with {reason:#04x}"), || {
        let text = format!("{number} until {reason}");
        number += 1;
        let ack = alice.publish_packet(PublishPacket::new("bob", &text, 1, 0));
        let answer = ack.expect("it has QoS 1").reason;
        assert!([0, 0x97].contains(&answer), "{answer:#04x}");
        if answer == 0 {
            accepted.push(text);
        }
        answer == reason
    });
}
