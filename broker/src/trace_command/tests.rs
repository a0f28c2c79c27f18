//! Tests of what a trace looks like.

use serde_json::json;

use super::*;

fn lines(said: &[Value]) -> (Vec<String>, String) {
    let (mut told, mut out, mut notes) = (Told::default(), Vec::new(), Vec::new());
    for said in said {
        told.tell(said, &mut out, &mut notes).unwrap();
    }
    let out = String::from_utf8(out).unwrap();
    (
        out.lines().map(str::to_owned).collect(),
        String::from_utf8(notes).unwrap(),
    )
}

fn event(what: &str, at: u64, seq: u64) -> Value {
    json!({"trace": 1, "event": {"what": what, "at": at, "inbox": "bob", "seq": seq, "from": "alice", "id": format!("m{seq}")}})
}

#[test]
fn milestones_are_grouped_by_message() {
    // Goal: each message is named before its milestones, which say how long it took since its first one; when another message comes between, it is
    // named again.
    let (out, notes) = lines(&[
        json!({"trace": 1}),
        event("accepted", 1_000_000, 1),
        event("committed", 1_002_500, 1),
        event("accepted", 1_003_000, 2),
        event("delivered", 3_500_000, 1),
        event("acknowledged", 3_500_001, 1),
        json!({"trace": 1, "missed": 7}),
        json!({"trace": 1, "ended": "time"}),
    ]);
    let first = "id=m1 from=alice to=bob seq=1 at=1970-01-01T00:00:01.000000Z";
    let second = "id=m2 from=alice to=bob seq=2 at=1970-01-01T00:00:01.003000Z";
    assert_eq!(
        out,
        [
            first,
            "     +0.000 ms accepted",
            "     +2.500 ms committed",
            second,
            "     +0.000 ms accepted",
            first,
            "      +2.500 s delivered",
            "      +2.500 s acknowledged",
        ]
    );
    assert!(
        notes.contains("7 milestones were missed") && notes.contains("time is up"),
        "{notes}"
    );
}

#[test]
fn what_clients_chose_steers_no_terminal() {
    // Goal: names, and what is about no single message, are escaped; what is not known is left out.
    let refused = json!({"what": "refused", "at": 0, "inbox": "b\u{1b}[2J", "from": "x\ny", "cause": "publish-full", "why": "no room"});
    let purged = json!({"what": "purged", "at": 0, "inbox": "bob", "messages": 3});
    let odd = json!({"what": "delivered", "at": 0, "inbox": "b b", "seq": 1, "dup": true});
    let (out, _) = lines(&[
        json!({"event": refused}),
        json!({"event": purged}),
        json!({"event": odd}),
    ]);
    assert_eq!(
        out,
        [
            r#"1970-01-01T00:00:00.000000Z refused inbox="b\u{1b}[2J" from="x\ny" cause=publish-full why="no room""#,
            "1970-01-01T00:00:00.000000Z purged inbox=bob messages=3",
            r#"id=? from=? to="b b" seq=1 at=1970-01-01T00:00:00.000000Z"#,
            "     +0.000 ms delivered again (DUP)",
        ]
    );
}
