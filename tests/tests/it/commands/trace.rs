//! `inboxd trace`: messages as they go through a broker.

use std::io::{BufRead, BufReader, Read};
use std::process::ChildStderr;

use inbox_tests::{Broker, RawClient, Running, Version, fails, inboxd_command, stderr, succeeds};
use rustix::process::Signal;
use serde_json::Value;

/// Begins a trace, and waits until it follows.
fn begin(broker: &Broker, args: &[&str]) -> (Running, BufReader<ChildStderr>) {
    let mut command = inboxd_command();
    command.arg("trace").args(args).arg("--data").arg(broker.data());
    let mut trace = Running::piped(&mut command);
    let mut notes = BufReader::new(trace.stderr());
    let following = line(&mut notes);
    assert!(following.contains("following"), "{following}");
    (trace, notes)
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
    let mut out = BufReader::new(trace.stdout());
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
    trace.signal(Signal::INT);
    assert!(!trace.wait().success());
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
    assert!(stderr(&text).contains("its time is up"));
    fails(&broker.run_on_data(&["trace", "--to", ""]), 1, &["client ID"]);
}

#[test]
fn a_dead_pipe_ends_a_trace_quietly() {
    // Goal: when whoever reads it goes away, the trace ends at once, also while nothing happens, with exit code 0 and no complaint.
    let broker = Broker::start();
    let (mut trace, mut notes) = begin(&broker, &["--to", "bob", "--seconds", "600"]);
    drop(trace.stdout());
    assert_eq!(trace.wait().code(), Some(0));
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
    assert_eq!(trace.wait().code(), Some(1));
    let mut rest = String::new();
    notes.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("did not finish its answer"), "{rest}");
}
