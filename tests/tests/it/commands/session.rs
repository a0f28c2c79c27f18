//! `inboxd session`, on a broker that runs and on the data of a stopped one.

use inbox_tests::{Broker, Connect, RawClient, Version, fails, inboxd_command, run_fed, succeeds};
use serde_json::{Value, json};

/// More sessions than two pages of the API have.
const SESSIONS: usize = 2500;
const MAKERS: usize = 20;

/// Makes a session that is kept, and leaves it.
fn leaves_a_session(broker: &Broker, name: &str, filters: &[(&str, u8)]) {
    let (mut client, _) = RawClient::connect(broker, &Connect::persistent(Version::V5, name));
    for (filter, qos) in filters {
        client.subscribe(filter, *qos);
    }
    client.disconnect();
}

/// Each line without the time at which a session expires, which is known to some microseconds only.
fn lasting(lines: &str) -> Vec<String> {
    let lasting = lines.lines().map(|line| {
        let words = line.split(' ').filter(|word| !word.is_empty());
        words.filter(|word| !word.ends_with('Z')).collect::<Vec<_>>().join(" ")
    });
    lasting.collect()
}

#[test]
fn a_running_broker_and_a_stopped_one_say_the_same_of_kept_sessions() {
    // Goal: lists and subscriptions have the same lines from the API and from the store, for people and as JSON, whatever clients chose, also when the broker was
    // killed; a session that is not there is a failure that says so.
    let mut broker = Broker::start();
    leaves_a_session(&broker, "bob", &[("news/#", 1), ("bob", 1), ("a/b c", 2)]);
    leaves_a_session(&broker, "c/ü \u{1b}[2J", &[("$share/g/news/+", 1)]);
    leaves_a_session(&broker, "dan", &[]);
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    alice.publish("a/b c", "12345", 1);
    alice.publish("bob", "mail is not the session's", 1);
    alice.disconnect();
    let questions: [&[&str]; 5] = [
        &["session", "list"],
        &["session", "show", "bob"],
        &["session", "show", "c/ü \u{1b}[2J"],
        &["session", "show", "bob", "--json"],
        &["session", "list", "--json"],
    ];
    let ask = |broker: &Broker| questions.map(|question| succeeds(&broker.run_on_data(question)));
    let live = ask(&broker);
    let text = |answers: &[String]| answers[..3].iter().map(|answer| lasting(answer)).collect::<Vec<_>>();
    let values = |answers: &[String]| -> Vec<Value> {
        let lines = answers[3..].iter().flat_map(|answer| answer.lines());
        lines
            .map(|line| {
                let mut value: Value = serde_json::from_str(line).unwrap();
                value.as_object_mut().unwrap().remove("expires");
                value
            })
            .collect()
    };
    assert_eq!(live[0].lines().count(), 4);
    assert!(!live[0].contains('\u{1b}'), "{}", live[0]);
    let shown = &lasting(&live[1]);
    assert!(shown[0].starts_with("client=bob connected=no durable=yes"), "{shown:?}");
    assert!(live[1].contains(" subscriptions=3 messages=1 bytes="), "{shown:?}");
    assert_eq!(
        shown[1..],
        ["qos=1 filter=bob", "qos=1 filter=news/#", "qos=2 filter=\"a/b c\""]
    );
    let listed = values(&live);
    assert_eq!(listed[1], json!({"filter": "bob", "qos": 1}));
    let ids: Vec<_> = listed[4..].iter().map(|session| &session["client"]).collect();
    assert_eq!(ids, ["bob", "c/ü \u{1b}[2J", "dan"]);
    broker.kill9();
    let killed = ask(&broker);
    assert_eq!((text(&killed), values(&killed)), (text(&live), values(&live)));
    broker.restart();
    assert_eq!(broker.terminate().code, Some(0));
    let stopped = ask(&broker);
    assert_eq!((text(&stopped), values(&stopped)), (text(&live), values(&live)));
    fails(
        &broker.run_on_data(&["session", "show", "nobody"]),
        1,
        &["nobody", "no session"],
    );
    broker.restart();
    fails(
        &broker.run_on_data(&["session", "show", "nobody"]),
        1,
        &["no session is kept for it"],
    );
}

#[test]
fn thousands_of_sessions_are_listed_once_each() {
    // Goal: pages of the API leave nothing out and tell nothing twice, of sessions with and without connections; nor does the store, of those that are kept.
    let mut broker = Broker::start();
    let connected: Vec<_> = (0..10)
        .map(|n| RawClient::clean(&broker, Version::V311, &format!("session {:04} connected", n * 250)))
        .collect();
    std::thread::scope(|scope| {
        for maker in 0..MAKERS {
            let broker = &broker;
            scope.spawn(move || {
                for n in (maker..SESSIONS).step_by(MAKERS) {
                    leaves_a_session(broker, &format!("session {n:04}"), &[("a/b", 1)]);
                }
            });
        }
    });
    let ids = |broker: &Broker| -> Vec<(String, bool)> {
        let listed = succeeds(&broker.run_on_data(&["session", "list", "--json"]));
        let session = |line: &str| {
            let session: Value = serde_json::from_str(line).unwrap();
            let is_connected = session["connected"].as_bool().unwrap();
            assert_eq!(session["subscriptions"], u64::from(!is_connected), "{line}");
            (session["client"].as_str().unwrap().to_owned(), is_connected)
        };
        listed.lines().map(session).collect()
    };
    let kept = (0..SESSIONS).map(|n| (format!("session {n:04}"), false));
    let kept: Vec<_> = kept.collect();
    let mut all = kept.clone();
    all.extend((0..10).map(|n| (format!("session {:04} connected", n * 250), true)));
    all.sort();
    assert_eq!(ids(&broker), all);
    drop(connected);
    broker.crash_and_restart();
    assert_eq!(ids(&broker), kept);
    assert_eq!(broker.terminate().code, Some(0));
    assert_eq!(ids(&broker), kept);
}

#[test]
fn a_session_is_ended_after_a_question() {
    // Goal: without "yes" nothing is lost; with it, the session is gone over kill -9 and the mail is not; of who has none that is said; of a stopped broker it is not
    // done; and the audit log names the command.
    let mut broker = Broker::start();
    leaves_a_session(&broker, "b/ b", &[("news/#", 1), ("a/#", 1)]);
    leaves_a_session(&broker, "bob", &[("bob", 1)]);
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    alice.publish("news/today", "12345", 1);
    alice.publish("bob", "mail", 1);
    let ask = |client: &str, answer: &[u8]| {
        let mut command = inboxd_command();
        command.args(["session", "end", client, "--data"]).arg(broker.data());
        run_fed(&mut command, answer)
    };
    fails(
        &ask("b/ b", b"no\n"),
        1,
        &["2 subscriptions and 1 messages", "nothing was ended"],
    );
    fails(&ask("b/ b", b""), 1, &["nothing was ended"]);
    assert_eq!(
        succeeds(&ask("b/ b", b"yes\n")),
        "ended the session of client \"b/ b\"\n"
    );
    assert_eq!(succeeds(&ask("b/ b", b"")), "client \"b/ b\" has no session\n");
    broker.wait_for_log("what=end-session");
    let ended = broker.run_on_data(&["session", "end", "bob", "--yes"]);
    assert_eq!(succeeds(&ended), "ended the session of client \"bob\"\n");
    broker.crash_and_restart();
    let empty = broker.run_on_data(&["session", "list"]);
    assert!(succeeds(&empty).is_empty());
    assert!(String::from_utf8_lossy(&empty.stderr).contains("there is no session"));
    let mut bob = RawClient::reader(&broker, Version::V5, "bob", 1);
    assert_eq!(bob.texts(1), ["mail"]);
    assert_eq!(broker.terminate().code, Some(0));
    fails(
        &broker.run_on_data(&["session", "end", "bob", "--yes"]),
        1,
        &["start the broker"],
    );
}
