//! `inbox listen`: pipes, and what stays in the inbox.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use inbox_tests::{Broker, Running};
use rustix::process::Signal;
use serde_json::Value;

use crate::people::{Person, ended};

#[test]
fn a_closed_pipe_loses_nothing() {
    // Goal: when its reader goes, `listen` ends quietly, also without another message; what it had not written comes again, and only that.
    let broker = Broker::start();
    let (alice, bob) = (Person::new("alice"), Person::new("bob"));
    let mut command = bob.command(broker.port(), &["listen"]);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut listening = Running::start(&mut command);
    let mut out = BufReader::new(listening.stdout());
    assert_eq!(
        ended(&alice.inbox(broker.port(), &["send", "bob", "one", "--wait", "delivered"])).0,
        Some(0)
    );
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert_eq!(line, "one\n");
    drop(out);
    let output = listening.output();
    assert_eq!(ended(&output), (Some(0), String::new(), String::new()));
    let lines: String = (0..200).map(|number| format!("{number}\n")).collect();
    assert_eq!(
        ended(&alice.fed(broker.port(), &["send", "bob", "--lines"], lines.as_bytes())).0,
        Some(0)
    );
    let (code, read, _) = ended(&bob.inbox(broker.port(), &["listen", "--count", "200"]));
    assert_eq!((code, read), (Some(0), lines));
    let (code, ..) = ended(&bob.inbox(broker.port(), &["listen", "--count", "1", "--timeout", "500ms"]));
    assert_eq!(code, Some(75));
}

#[test]
fn json_says_everything_and_lines_are_safe() {
    // Goal: the fields of docs/inbox.md; payloads of any bytes; without acknowledgement it all comes again.
    let broker = Broker::start();
    let (alice, bob) = (Person::new("alice"), Person::new("bob"));
    let port = broker.port();
    assert_eq!(
        ended(&alice.inbox(port, &["send", "bob", "two\nlines \u{1b}[2J", "--id", "m1"])).0,
        Some(0)
    );
    assert_eq!(ended(&alice.fed(port, &["send", "bob"], b"\xff\x00")).0, Some(0));
    let args = ["listen", "--no-ack", "--count", "2", "--json"];
    let (code, read, _) = ended(&bob.inbox(port, &args));
    let all: Vec<Value> = read.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((code, all.len()), (Some(0), 2));
    assert_eq!(all[0]["id"], "m1");
    assert_eq!(all[0]["from"], "alice");
    assert_eq!(all[0]["payload"], "two\nlines \u{1b}[2J");
    assert_eq!(all[1]["payload_hex"], "ff00");
    assert!(all[0]["seq"].as_u64() < all[1]["seq"].as_u64() && all[0]["at"].is_u64());
    assert!(all[0]["properties"].is_array());
    let (_, read, _) = ended(&bob.inbox(port, &["listen", "--count", "2"]));
    assert_eq!(read, "two\\nlines \\u{1b}[2J\n(2 bytes) ff00\n");
}

#[test]
fn a_signal_ends_it_in_good_order() {
    // Goal: what was printed before SIGTERM is acknowledged, and the end is as asked.
    let broker = Broker::start();
    let (alice, bob) = (Person::new("alice"), Person::new("bob"));
    let mut listening = bob.start(broker.port(), &["listen"]);
    assert_eq!(ended(&alice.inbox(broker.port(), &["send", "bob", "one"])).0, Some(0));
    listening.wait("one", 0);
    listening.running.signal(Signal::TERM);
    assert_eq!(listening.running.wait().code(), Some(0));
    let (code, read, _) = ended(&bob.inbox(broker.port(), &["listen", "--timeout", "500ms"]));
    assert_eq!((code, read.as_str()), (Some(0), ""));
}
