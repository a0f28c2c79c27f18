//! More connections than there are file descriptors: the store keeps those that it needs.

use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::time::Duration;

use inbox_bridge::Engine;
use inbox_tests::{Broker, BrokerOptions, Connect, RawClient, Version, wait_until};

/// The limit on open files.
const LIMIT: usize = 64;
/// What docs/operations.md leaves to connections of it.
const CONNECTIONS: usize = 16;

#[test]
fn connections_leave_the_store_its_file_descriptors() {
    // Goal: with far more connections than descriptors, mail goes on being accepted, moved from the log and read by those who are
    // connected, for several checkpoints; who is one too many is closed and not left hanging; afterwards everybody is let in. The soft limit
    // is less than the broker needs to start: it raises it.
    for engine in Engine::ALL {
        leave_the_store_its_own(engine);
    }
}

fn leave_the_store_its_own(engine: Engine) {
    let broker = Broker::start_with(BrokerOptions {
        config: Some(format!(
            "[store]\nengine = \"{}\"\ncheckpoint_after = \"20ms\"\n[mqtt]\nconnect_timeout = \"10m\"\n[http]\nlisten = \"off\"\n",
            engine.name()
        )),
        shell: Some(format!("ulimit -Sn 8; ulimit -Hn {LIMIT}; exec \"$0\" \"$@\"")),
        ..Default::default()
    });
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    let mut bob = RawClient::reader(&broker, Version::V311, "bob", 1);
    let idle: Vec<TcpStream> = (0..2 * LIMIT)
        .map(|_| TcpStream::connect(("127.0.0.1", broker.port())).expect("the system holds it for the broker"))
        .collect();
    wait_until("what is too many is closed", || {
        idle.iter().filter(|connection| is_open(connection)).count() <= CONNECTIONS - 2
    });
    assert_eq!(
        idle.iter().filter(|connection| is_open(connection)).count(),
        CONNECTIONS - 2,
        "and nothing else is"
    );
    for number in 0..20 {
        alice.publish("absent", format!("{number}"), 1);
        alice.publish("bob", format!("{number}"), 1);
        assert_eq!(bob.receive_and_ack().text(), number.to_string());
        // Longer than `checkpoint_after`.
        std::thread::sleep(Duration::from_millis(40));
    }
    broker.wait_for_log("the other file descriptors are the store's");
    let told = broker.stderr().matches("the other file descriptors").count();
    assert!(told <= 10, "{told} records for one address");
    drop(idle);
    // The broker has to see them go.
    wait_until("a client is let in when the connections are gone", || {
        is_let_in(&broker)
    });
    let mut absent = RawClient::reader(&broker, Version::V5, "absent", 1);
    let all: Vec<String> = (0..20).map(|number| number.to_string()).collect();
    assert_eq!(absent.texts(20), all);
    let log = broker.stderr();
    assert!(!log.contains("ERROR"), "{log}");
}

fn is_let_in(broker: &Broker) -> bool {
    let mut client = RawClient::open(broker, Version::V5);
    client.send_despite_close(&Connect::new(Version::V5, "newcomer").encode());
    client.next_or_close().is_some()
}

/// Whether the broker has not closed a connection on which it sends nothing.
fn is_open(mut connection: &TcpStream) -> bool {
    connection.set_nonblocking(true).unwrap();
    matches!(connection.read(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock)
}
