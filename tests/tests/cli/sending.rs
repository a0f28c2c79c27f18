//! `inbox send`, `status`, `recall`: what scripts go by.

use std::fs;

use inbox_tests::{Broker, Relay, wait_until};
use serde_json::Value;

use crate::people::{Person, ended};

#[test]
fn delivered_is_said_only_when_the_recipient_acknowledged() {
    // Goal: `--wait delivered` is "not in time" as long as bob does not read, also when he looks without acknowledging; it ends with 0 once he has
    // acknowledged. The id is printed, and is not taken for another message meanwhile.
    let broker = Broker::start();
    let (alice, bob) = (Person::new("alice"), Person::new("bob"));
    let args = ["send", "bob", "hello", "--id", "m1", "--wait", "delivered", "--timeout"];
    let (code, stdout, stderr) = ended(&alice.inbox(broker.port(), &[&args[..], &["1s"]].concat()));
    assert_eq!((code, stdout.as_str()), (Some(75), "m1\n"), "{stderr}");
    assert!(stderr.contains("the broker has it on disk"), "{stderr}");
    let looked = bob.inbox(broker.port(), &["listen", "--no-ack", "--count", "1"]);
    assert_eq!(ended(&looked).1, "hello\n");
    let (code, _, stderr) = ended(&alice.inbox(broker.port(), &["send", "bob", "another", "--id", "m1"]));
    assert_eq!(code, Some(65), "{stderr}");
    let mut waiting = alice.start(broker.port(), &[&args[..], &["30s"]].concat());
    waiting.wait("m1", 0);
    assert_eq!(waiting.running.ended(), None);
    let read = bob.inbox(broker.port(), &["listen", "--count", "1"]);
    assert_eq!(ended(&read), (Some(0), "hello\n".to_owned(), String::new()));
    assert_eq!(waiting.running.wait().code(), Some(0));
}

#[test]
fn read_is_said_when_a_person_saw_it() {
    // Goal: a chat that shows the message marks it as read; `listen` does not.
    let broker = Broker::start();
    let (alice, bob) = (Person::new("alice"), Person::new("bob"));
    let mut waiting = alice.start(broker.port(), &["send", "bob", "hello", "--wait", "read"]);
    let chat = bob.start(broker.port(), &["chat", "carol"]);
    chat.wait("alice (not in this chat): hello", 0);
    assert_eq!(waiting.running.wait().code(), Some(0));
}

#[test]
fn without_a_broker_the_message_waits_and_goes_out_later() {
    // Goal: 69 and where the message is; `status` shows it; the next command sends it, and the same id is the same message; memory keeps nothing.
    let (alice, bob) = (Person::new("alice"), Person::new("bob"));
    let mut broker = Broker::start();
    let relay = Relay::to(broker.port());
    relay.refuse(true);
    let args = ["send", "bob", "late", "--id", "m1", "--timeout", "1s"];
    let (code, _, stderr) = ended(&alice.inbox(relay.port(), &args));
    assert_eq!(code, Some(69), "{stderr}");
    assert!(stderr.contains("goes out with the next command"), "{stderr}");
    let (code, stdout, _) = ended(&alice.inbox(relay.port(), &["status", "--json", "--timeout", "1s"]));
    let status: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, &status["messages"][0]["id"]), (Some(69), &"m1".into()));
    let (_, _, stderr) = ended(&alice.inbox(relay.port(), &["status", "--timeout", "1s"]));
    assert!(stderr.contains("goes out with the next command"), "{stderr}");
    let (code, _, stderr) = ended(&alice.inbox(relay.port(), &[&args[..], &["--no-outbox"]].concat()));
    assert_eq!(code, Some(69), "{stderr}");
    assert!(stderr.contains("nobody knows"), "{stderr}");
    relay.refuse(false);
    let again = ["send", "bob", "late", "--id", "m1"];
    assert_eq!(ended(&alice.inbox(relay.port(), &again)).0, Some(0));
    let (code, stdout, _) = ended(&alice.inbox(relay.port(), &["status"]));
    assert_eq!(code, Some(0));
    assert!(
        stdout.contains("connected") && stdout.contains("waiting    0 to be sent"),
        "{stdout}"
    );
    let (_, read, _) = ended(&bob.inbox(relay.port(), &["listen", "--timeout", "1s"]));
    assert_eq!(read, "late\n");
    broker.kill9();
    let (code, _, stderr) = ended(&alice.inbox(relay.port(), &["status", "--timeout", "1s"]));
    assert_eq!(code, Some(69));
    assert!(stderr.contains("nothing waits to be sent"), "{stderr}");
}

#[test]
fn lines_keep_their_order() {
    // Goal: each line is a message, its end is not; the order is kept; the same ids again are the same messages; none is printed, and the help says so.
    let broker = Broker::start();
    let (alice, bob) = (Person::new("alice"), Person::new("bob"));
    let lines: String = (1..=300).map(|number| format!("{number}\n")).collect();
    let args = ["send", "bob", "--lines", "--id", "batch"];
    for _ in 0..2 {
        assert_eq!(
            ended(&alice.fed(broker.port(), &args, lines.as_bytes())),
            (Some(0), String::new(), String::new())
        );
    }
    let (_, help, _) = ended(&alice.inbox(broker.port(), &["send", "--help"]));
    assert!(help.contains("No IDs are printed"), "{help}");
    let file = alice.home().join("more");
    fs::write(&file, "the\nlast").unwrap();
    let more = alice.inbox(
        broker.port(),
        &["send", "bob", "--lines", "--file", file.to_str().unwrap()],
    );
    assert_eq!(ended(&more).0, Some(0));
    let (code, read, _) = ended(&bob.inbox(broker.port(), &["listen", "--count", "302", "--timeout", "20s"]));
    assert_eq!((code, read), (Some(0), lines + "the\nlast\n"));
}

#[test]
fn some_of_many_lines_is_a_code_of_its_own() {
    // Goal: 79 when some got there, with the first that did not; the code of one message when none did.
    let broker = Broker::with_config("[mqtt]\nmessage_bytes_max = 1000\n");
    let alice = Person::new("alice");
    let large = "x".repeat(5000);
    let lines = format!("one\n{large}\nthree\n");
    let (code, _, stderr) = ended(&alice.fed(broker.port(), &["send", "bob", "--lines"], lines.as_bytes()));
    assert_eq!(code, Some(79), "{stderr}");
    assert!(
        stderr.contains("2 of 3 messages are stored; the first that is not is line 2"),
        "{stderr}"
    );
    let (code, ..) = ended(&alice.fed(broker.port(), &["send", "bob", "--lines"], large.as_bytes()));
    assert_eq!(code, Some(65));
    let (code, ..) = ended(&alice.fed(broker.port(), &["send", "a/b", "--lines"], b"x"));
    assert_eq!(code, Some(65));
}

#[test]
fn one_program_at_a_time_is_a_client() {
    // Goal: while alice listens, another command of hers is told so, and listening goes on.
    let broker = Broker::start();
    let alice = Person::new("alice");
    let listening = alice.start(broker.port(), &["listen"]);
    let outbox = alice.home().join(".local/share/inbox/alice");
    wait_until("the outbox is there", || {
        outbox.is_dir() && fs::read_dir(&outbox).unwrap().count() == 1
    });
    let (code, _, stderr) = ended(&alice.inbox(broker.port(), &["send", "bob", "hello"]));
    assert_eq!(code, Some(73), "{stderr}");
    assert!(
        stderr.contains("is a chat or listen of this client running?"),
        "{stderr}"
    );
    let bob = Person::new("bob");
    assert_eq!(
        ended(&bob.inbox(broker.port(), &["send", "alice", "still there?"])).0,
        Some(0)
    );
    listening.wait("still there?", 0);
}
