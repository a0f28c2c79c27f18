//! `inboxd trace`: messages as they go through a broker.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use inbox_tests::{Broker, DEADLINE, RawClient, Version, inboxd_command};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{fails, succeeds};

/// Begins a trace, and waits until it follows.
fn begin(broker: &Broker, args: &[&str]) -> (Child, BufReader<std::process::ChildStderr>) {
    let mut command = inboxd_command();
    command.arg("trace").args(args).arg("--data").arg(broker.data());
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut notes = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    notes.read_line(&mut line).unwrap();
    assert!(line.contains("following"), "{line}");
    (child, notes)
}

/// Waits for the end.
fn ended(child: &mut Child) -> std::process::ExitStatus {
    let until = Instant::now() + DEADLINE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if Instant::now() >= until {
            child.kill().unwrap();
            panic!("the trace does not end");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn line(out: &mut impl BufRead) -> String {
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

#[test]
fn milestones_are_told_as_they_come() {
    // Goal: a message is named, and its milestones come while the trace goes on, with the time since the first; mail for others is left out; what
    // waited before is told; Ctrl-C ends it.
    let broker = Broker::start();
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    alice.publish("bob", "before", 1);
    let (mut trace, _notes) = begin(&broker, &["--to", "bob"]);
    let mut out = BufReader::new(trace.stdout.take().unwrap());
    let waiting = line(&mut out);
    assert!(waiting.contains(" from=alice to=bob seq="), "{waiting}");
    assert_eq!(line(&mut out), "     +0.000 ms waiting");
    alice.publish("carol", "not this", 1);
    alice.publish("bob", "this", 1);
    let named = line(&mut out);
    assert!(named.starts_with("id=") && named != waiting, "{named}");
    assert_eq!(line(&mut out), "     +0.000 ms accepted");
    assert!(line(&mut out).ends_with(" committed"));
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    assert_eq!(
        (bob.receive_and_ack().text(), bob.receive_and_ack().text()),
        ("before", "this")
    );
    let mut seen = Vec::new();
    while seen
        .iter()
        .filter(|line: &&String| line.ends_with(" acknowledged"))
        .count()
        < 2
    {
        seen.push(line(&mut out));
    }
    assert!(seen.contains(&waiting) && seen.contains(&named), "{seen:#?}");
    assert_eq!(
        seen.iter().filter(|line| line.contains(" delivered")).count(),
        2,
        "{seen:#?}"
    );
    kill_process(Pid::from_child(&trace), Signal::INT).unwrap();
    assert!(!ended(&mut trace).success());
}

#[test]
fn a_trace_ends_with_its_time() {
    // Goal: with --json standard output is what the API says, to the line that says that it is over; the exit code is 0.
    let broker = Broker::start();
    let output = broker.run_on_data(&["trace", "--from", "alice", "--id", "m1", "--seconds", "1", "--json"]);
    let lines: Vec<Value> = succeeds(&output)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!(lines[1]["ended"], "time");
    let text = broker.run_on_data(&["trace", "--to", "bob", "--seconds", "1"]);
    assert!(succeeds(&text).is_empty());
    assert!(String::from_utf8_lossy(&text.stderr).contains("its time is up"));
    fails(&broker.run_on_data(&["trace", "--to", ""]), 1, &["client ID"]);
}

#[test]
fn a_dead_pipe_ends_a_trace_quietly() {
    // Goal: when whoever reads it goes away, the trace ends at once, also while nothing happens, with exit code 0 and no complaint.
    let broker = Broker::start();
    let (mut trace, mut notes) = begin(&broker, &["--to", "bob", "--seconds", "600"]);
    drop(trace.stdout.take());
    assert_eq!(ended(&mut trace).code(), Some(0));
    let mut rest = String::new();
    notes.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
}

#[test]
fn a_broker_that_goes_away_ends_a_trace() {
    // Goal: a trace that was cut off is a failure, and says so.
    let mut broker = Broker::start();
    let (mut trace, mut notes) = begin(&broker, &["--to", "bob", "--seconds", "600"]);
    broker.kill9();
    assert_eq!(ended(&mut trace).code(), Some(1));
    let mut rest = String::new();
    notes.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("did not finish its answer"), "{rest}");
}
