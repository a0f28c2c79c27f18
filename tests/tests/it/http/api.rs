//! Who may use the API, over sockets. What requests do is tested where they are carried out.

use std::fs;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use inbox_tests::Broker;
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
