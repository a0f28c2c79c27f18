//! The API over sockets: who may use it, and that requests reach the broker. What they do is tested where they are carried out.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use inbox_tests::{Broker, Connect, RawClient, Version, head};
use rustix::process::Signal;
use serde_json::Value;

use super::{ask_with, get};
use crate::authentication::passwd;

/// Whether the request got as far as to be carried out.
fn is_let_in(broker: &Broker, headers: &str) -> bool {
    let told = ask_with(broker, "http", "GET /api/v1/overview", headers);
    assert!(told.head.contains("content-type: application/json"), "{told:?}");
    match told.status {
        401 | 403 => {
            assert!(told.body.contains("\"not-allowed\""), "{told:?}");
            false
        }
        _ => true,
    }
}

#[test]
fn without_users_programs_of_this_machine_are_let_in() {
    // Goal: no login is needed on loopback; a rebound name and pages of other sites are refused; a wrong token is.
    let broker = Broker::start();
    assert!(is_let_in(&broker, "Host: localhost\r\n"));
    assert!(is_let_in(
        &broker,
        "Host: 127.0.0.1:8080\r\nOrigin: http://127.0.0.1:8080\r\n"
    ));
    for refused in [
        "Host: rebound.example\r\n",
        "Host: localhost\r\nOrigin: https://evil.example\r\n",
        "Host: localhost\r\nSec-Fetch-Site: cross-site\r\n",
        "Host: localhost\r\nAuthorization: Bearer wrong\r\n",
        "Host: localhost\r\nAuthorization: Basic YWxpY2U6eA==\r\n",
    ] {
        assert!(!is_let_in(&broker, refused), "{refused}");
    }
    broker.wait_for_log("a request to the API was not allowed");
    let document: Value = serde_json::from_str(&get(&broker, "/api/v1/openapi.json").body).unwrap();
    assert!(document["paths"]["/api/v1/inboxes/{client}/messages"]["delete"].is_object());
}

#[test]
fn operators_prove_who_they_are() {
    // Goal: where users are known, those with the role ops are let in by password, and others are not; so is whoever has the token in the data
    // directory, or that of http.token_file, which SIGHUP replaces.
    let directory = tempfile::tempdir().unwrap();
    let (users, token) = (directory.path().join("users"), directory.path().join("token"));
    assert!(
        passwd(&users, &["alice", "--role", "ops"], "alice's\n")
            .status
            .success()
    );
    assert!(passwd(&users, &["bob"], "bob's\n").status.success());
    fs::write(&token, "a-token-of-the-operator\n").unwrap();
    let broker = Broker::with_config(&format!(
        "[auth]\npassword_file = {users:?}\n[http]\ntoken_file = {token:?}\n"
    ));
    let basic = |login: &str| {
        format!(
            "Host: localhost\r\nAuthorization: Basic {}\r\n",
            BASE64_STANDARD.encode(login)
        )
    };
    let bearer = |token: &str| format!("Host: broker.example\r\nAuthorization: Bearer {token}\r\n");
    assert!(is_let_in(&broker, &basic("alice:alice's")));
    for refused in [
        basic("bob:bob's"),
        basic("alice:wrong"),
        basic("nobody:x"),
        bearer("x.y.z"),
        "Host: localhost\r\n".to_owned(),
    ] {
        assert!(!is_let_in(&broker, &refused), "{refused}");
    }
    let told = ask_with(&broker, "http", "GET /api/v1/overview", "Host: localhost\r\n");
    assert!(
        told.status == 401 && told.head.contains("www-authenticate: bearer"),
        "{told:?}"
    );
    let file: Value = serde_json::from_str(&fs::read_to_string(broker.data().join("running.json")).unwrap()).unwrap();
    assert!(is_let_in(&broker, &bearer(file["token"].as_str().unwrap())));
    assert!(is_let_in(&broker, &bearer("a-token-of-the-operator")));
    fs::write(&token, "another-token-of-the-operator\n").unwrap();
    broker.signal(Signal::HUP);
    broker.wait_for_log("token of the API");
    assert!(is_let_in(&broker, &bearer("another-token-of-the-operator")));
    assert!(!is_let_in(&broker, &bearer("a-token-of-the-operator")));
    assert!(!broker.stderr().contains("of-the-operator"), "a token is in the log");
}

#[test]
fn requests_are_carried_out_and_audited() {
    // Goal: list, show, peek, export, purge, disconnect and the end of a session over HTTP do what they say; a client that is not there is 404; a trace tells what happens
    // while it is read; what changed something is in the audit log.
    let broker = Broker::start();
    let mut alice = RawClient::clean(&broker, Version::V5, "alice");
    (0..3).for_each(|n| alice.publish("bob", n.to_string(), 1));
    let result = |path: &str| -> Value {
        let told = get(&broker, path);
        let mut value: Value = serde_json::from_str(&told.body).unwrap_or_else(|error| panic!("{error}: {told:?}"));
        assert!(told.status == 200 && value["ok"] == true, "{told:?}");
        value["result"].take()
    };
    let listed = result("/api/v1/inboxes");
    assert_eq!(
        (&listed["inboxes"][0]["client"], &listed["inboxes"][0]["messages"]),
        (&"bob".into(), &3.into())
    );
    assert_eq!(result("/api/v1/inboxes/bob")["messages"], 3);
    let peeked = result("/api/v1/inboxes/bob/messages?limit=2");
    assert_eq!(
        (&peeked["messages"][0]["payload"], &peeked["messages"][1]["from"]),
        (&"0".into(), &"alice".into())
    );
    let rest = result(&format!("/api/v1/inboxes/bob/messages?after={}", peeked["next"]));
    assert_eq!(rest["messages"].as_array().unwrap().len(), 1);
    let exported = get(&broker, "/api/v1/inboxes/bob/export");
    assert!(
        exported.head.contains("content-type: application/x-ndjson"),
        "{exported:?}"
    );
    assert_eq!(exported.body.lines().filter(|line| line.starts_with('{')).count(), 3);
    assert_eq!(get(&broker, "/api/v1/clients/nobody").status, 404);
    assert_eq!(result("/api/v1/clients/alice")["client"], "alice");
    assert!(result("/api/v1/overview")["rates"].is_object());
    let strange = "b/ö 1";
    let (mut kept, _) = RawClient::connect(&broker, &Connect::persistent(Version::V311, strange));
    kept.subscribe("a/b", 1);
    let sessions = result("/api/v1/sessions?after=alice&limit=1");
    assert_eq!(
        (&sessions["sessions"][0]["client"], sessions.get("next")),
        (&strange.into(), None)
    );
    let path = "/api/v1/sessions/b%2F%C3%B6%201";
    assert_eq!(result(path)["filters"][0]["filter"], "a/b");
    assert_eq!(get(&broker, "/api/v1/sessions/nobody").status, 404);

    let body = r#"{"to":"bob","seconds":1}"#;
    let headers = format!(
        "Host: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut traced = broker.socket("http");
    traced
        .write_all(format!("POST /api/v1/trace HTTP/1.1\r\nConnection: close\r\n{headers}").as_bytes())
        .unwrap();
    assert!(head(&mut traced).starts_with("HTTP/1.1 200 "));
    let mut line = String::new();
    let mut lines = BufReader::new(traced);
    while !line.contains("{\"trace\":") {
        line.clear();
        assert!(lines.read_line(&mut line).unwrap() > 0);
    }
    alice.publish("bob", "traced", 1);
    let mut told = String::new();
    lines.read_to_string(&mut told).unwrap();
    assert!(
        told.contains("\"what\":\"accepted\"") && told.contains("\"ended\":\"time\""),
        "{told}"
    );

    let delete = |path: &str| ask_with(&broker, "http", &format!("DELETE {path}"), "Host: localhost\r\n");
    assert!(delete("/api/v1/inboxes/bob/messages").body.contains("\"purged\":4"));
    assert!(
        delete("/api/v1/clients/alice/connection")
            .body
            .contains("\"disconnected\":true")
    );
    assert!(delete(path).body.contains("\"ended\":true"));
    assert_eq!(get(&broker, path).status, 404);
    broker.wait_for_log("what=end-session");
    broker.wait_for_log("what=purge");
    broker.wait_for_log("what=disconnect");
}
