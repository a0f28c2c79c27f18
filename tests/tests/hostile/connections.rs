//! Too many connections, or connections that never become clients.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use inbox_tests::{Broker, Connect, DEADLINE, Props, PublishPacket, RawClient, Version, Will, subscribe};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{Service, memory_kib, size, took_at_most};

/// As many open files as the system lets this process, and with it the broker that it starts, have.
fn open_files_max() -> usize {
    let limit = getrlimit(Resource::Nofile);
    // A failure shows in the number that is read again.
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    );
    getrlimit(Resource::Nofile)
        .current
        .map_or(usize::MAX, |max| max as usize)
}

#[test]
fn ten_thousand_connections_that_send_nothing_cost_little_and_hold_nobody_up() {
    // Goal: a connection without CONNECT costs a few KiB (16 KiB is what a connected client may cost); new clients are
    // accepted behind 10,000 of them. A hard limit on open files below that is no excuse to pass.
    let files = open_files_max();
    let broker = Broker::with_config("[mqtt]\nconnect_timeout = \"10m\"\n");
    let service = Service::start(&broker);
    let before = memory_kib(&broker);
    let wanted = 10_000;
    let mut silent = Vec::new();
    for n in 0..wanted.min(files.saturating_sub(200)) {
        silent.push(TcpStream::connect(("127.0.0.1", broker.port())).expect("the broker accepts connections"));
        if n % 1000 == 0 {
            service.goes_on();
        }
    }
    RawClient::clean(&broker, Version::V5, "behind them").ping();
    service.goes_on();
    assert_eq!(
        silent.len(),
        wanted,
        "the hard limit on open files of this system is {files}"
    );
    took_at_most(&broker, before, wanted * 8 / 1024);
    // They are open still, and nothing was sent on them.
    silent[0].set_nonblocking(true).unwrap();
    let told = silent[0].read(&mut [0]).unwrap_err();
    assert_eq!(told.kind(), std::io::ErrorKind::WouldBlock);
    drop(silent);
    service.end();
}

#[test]
fn connections_that_send_nothing_are_closed_in_the_end() {
    // Goal: `mqtt.connect_timeout` ends them, so that they cannot pile up; the same for those that send a byte now and then,
    // for it is the whole CONNECT that must come in time.
    let broker = Broker::with_config("[mqtt]\nconnect_timeout = \"3s\"\n");
    let service = Service::start(&broker);
    let mut silent: Vec<TcpStream> = (0..200)
        .map(|_| TcpStream::connect(("127.0.0.1", broker.port())).unwrap())
        .collect();
    let connect = Connect::new(Version::V311, "slow").encode();
    let mut byte = 0;
    let mut slow = TcpStream::connect(("127.0.0.1", broker.port())).unwrap();
    slow.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let closed = loop {
        match slow.read(&mut [0; 16]) {
            Ok(0) => break true,
            Ok(_) => break false,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => break true,
        }
        // The last byte is kept back: it is never whole.
        if byte + 1 < connect.len() {
            let _ = slow.write_all(&connect[byte..=byte]);
            byte += 1;
        }
    };
    assert!(closed, "one byte at a time was taken for a CONNECT");
    for connection in &mut silent {
        connection.set_read_timeout(Some(DEADLINE)).unwrap();
        assert!(
            !matches!(connection.read(&mut [0]), Ok(1..)),
            "nothing is sent to who said nothing"
        );
    }
    service.end();
}

#[test]
fn clients_that_send_one_byte_at_a_time_are_served_and_hold_nobody_up() {
    // Goal: 200 clients, each of whose packets comes byte by byte: their packets are understood, and cost nobody else.
    let broker = Broker::start();
    let service = Service::start(&broker);
    let before = memory_kib(&broker);
    let mut bytes = PublishPacket::new("dribble", "slowly", 0, 0).encode(Version::V5);
    bytes.extend(inbox_tests::ping());
    let mut clients: Vec<RawClient> = (0..200)
        .map(|n| RawClient::clean(&broker, Version::V5, &format!("dribbler-{n}")))
        .collect();
    for at in 0..bytes.len() {
        for client in &mut clients {
            client.send(&bytes[at..=at]);
        }
        service.goes_on();
    }
    for client in &mut clients {
        client.wait_for("PINGRESP", |packet| {
            matches!(packet, inbox_tests::Packet::PingResp).then_some(())
        });
    }
    took_at_most(&broker, before, 32);
    service.end();
}

#[test]
fn huge_wills_are_refused_or_bounded() {
    // Goal: 64 clients with a will of 64,000 bytes each (an MQTT field has no more), in both versions, with a long topic and
    // user properties in MQTT 5, connecting again and again: what is kept is one will for each who is connected.
    let broker = Broker::start();
    let service = Service::start(&broker);
    let before = memory_kib(&broker);
    for _ in 0..size(30, 300) {
        let clients: Vec<RawClient> = (0..64)
            .map(|n| {
                let version = Version::BOTH[n % 2];
                let mut will = Will::new(&"w/".repeat(10_000), "");
                will.payload = vec![b'x'; 64_000];
                for _ in 0..8 {
                    will.props = will.props.user("name", &"v".repeat(1000));
                }
                RawClient::connect(&broker, &Connect::new(version, &format!("willing-{n}")).will(will)).0
            })
            .collect();
        service.goes_on();
        // Nobody says DISCONNECT: each will is published, to a topic that nobody reads.
        drop(clients);
    }
    // One set of them is 6 MB; all together would be 180 MB.
    took_at_most(&broker, before, 64);
    service.end();
}

#[test]
fn a_reconnect_storm_with_waiting_mail_is_served() {
    // Goal: many clients with waiting messages connect at once, again and again without acknowledging anything, and then read
    // for good: everybody gets all, in order; the broker's memory does not grow with the number of storms.
    let (clients, messages) = (size(300, 5000), size(20, 100));
    let files = open_files_max();
    assert!(
        clients + 200 < files,
        "the hard limit on open files of this system is {files}"
    );
    let broker = Broker::start();
    let service = Service::start(&broker);
    let name = |n: usize| format!("stormy-{n}");
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    for m in 0..messages {
        let mut ids = Vec::new();
        for n in 0..clients {
            ids.push(alice.send_publish(PublishPacket::new(name(n), m.to_string(), 1, 0)));
            if ids.len() == 500 || n + 1 == clients {
                for id in ids.drain(..) {
                    assert_eq!(alice.ack(inbox_tests::AckKind::PubAck, id).reason, 0);
                }
            }
        }
    }
    let before = memory_kib(&broker);
    let storm = |version| {
        let connected: Vec<RawClient> = (0..clients)
            .map(|n| {
                let mut client = RawClient::open(&broker, version);
                client.send(&Connect::new(version, &name(n)).encode());
                client.send(&subscribe(version, 1, name(n), 1, &Props::new()));
                client
            })
            .collect();
        service.goes_on();
        connected
    };
    for _ in 0..3 {
        drop(storm(Version::V5));
    }
    let version = Version::V311;
    for mut client in storm(version) {
        assert_eq!(client.connack().code, 0);
        for m in 0..messages {
            assert_eq!(client.receive_and_ack().text(), m.to_string());
        }
    }
    // 64 KiB for each client, who was connected to a session with mail in flight.
    took_at_most(&broker, before, 32 + clients / 16);
    service.end();
}
