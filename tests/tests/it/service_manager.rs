//! What systemd is told (sd_notify(3)), over a socket as it has one.

use std::os::unix::net::UnixDatagram;
use std::sync::mpsc::{self, Receiver};
use std::thread;

use inbox_tests::{Broker, BrokerOptions, DEADLINE};

/// What is told, as it comes: the socket holds a few messages only, and the broker waits for nobody.
fn listen(socket: UnixDatagram) -> Receiver<String> {
    let (told, hears) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(read) = socket.recv(&mut bytes) {
            let text = String::from_utf8(bytes[..read].to_vec()).unwrap();
            if told.send(text).is_err() {
                return;
            }
        }
    });
    hears
}

/// The next thing that is told.
fn told(socket: &Receiver<String>) -> String {
    socket.recv_timeout(DEADLINE).expect("the broker tells something")
}

#[test]
fn a_service_manager_is_told_ready_alive_and_stopping() {
    // Goal: Type=notify and WatchdogSec= work: READY=1 once, with the listeners; WATCHDOG=1 again and again; STOPPING=1 at SIGTERM.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let socket = listen(UnixDatagram::bind(&path).unwrap());
    let env = [("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "200000")];
    let mut broker = Broker::start_with(BrokerOptions {
        env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        ..BrokerOptions::default()
    });
    let first = told(&socket);
    assert!(first.lines().any(|line| line == "READY=1"), "{first}");
    assert!(first.contains("STATUS="), "{first}");
    assert!(first.contains(&format!("mqtt=127.0.0.1:{}", broker.port())), "{first}");
    for _ in 0..3 {
        assert_eq!(told(&socket).trim(), "WATCHDOG=1");
    }
    broker.terminate();
    let last = loop {
        let next = told(&socket);
        if next.trim() != "WATCHDOG=1" {
            break next;
        }
    };
    assert_eq!(last.trim(), "STOPPING=1");
}

#[test]
fn nobody_needs_to_be_told() {
    // Goal: a socket that is not there is a warning, and the broker serves.
    let mut broker = Broker::start_with(BrokerOptions {
        env: vec![("NOTIFY_SOCKET".to_owned(), "/nonexistent/notify".to_owned())],
        ..BrokerOptions::default()
    });
    broker.wait_for_log("NOTIFY_SOCKET");
    assert_eq!(broker.terminate().code, Some(0));
}
