//! A service of the operator's says who clients are (docs/security.md, "Your own service").

use std::thread;

use inbox_tests::{Answer, Asked, Broker, Connect, HttpService, Packet, RawClient, Version};
use rustix::process::Signal;
use serde_json::Value;

use super::{VERSIONS, answer};

const YES: &str = r#"{"allow": true}"#;
const NO: &str = r#"{"allow": false}"#;

/// A broker that asks this service, with these keys of `[auth.http]` more, and logs all that it can.
fn broker(service: &HttpService, more: &str) -> Broker {
    let url = service.url("/inboxd");
    Broker::with_config(&format!(
        "[log]\nlevel = \"trace\"\n[auth.http]\nurl = \"{url}\"\n{more}"
    ))
}

fn login(version: Version, user: &str, password: &str) -> Connect {
    Connect::new(version, user).login(user, password)
}

fn question(asked: &Asked) -> Value {
    serde_json::from_slice(&asked.body).unwrap()
}

/// The service says yes to one password, whoever shows it.
fn says_yes_to(password: &'static str) -> HttpService {
    HttpService::start(move |asked| {
        Answer::json(if question(asked)["password"] == password {
            YES
        } else {
            NO
        })
    })
}

#[test]
fn the_operators_service_says_who_gets_in() {
    // Goal: it is asked by POST with client ID, user, password and address; yes and no are heard in both versions, a client ID is the user's, or one that the
    // answer names, and the end that the answer names ends the connection.
    let service = HttpService::start(|asked| {
        let question = question(asked);
        Answer::json(
            match (question["user"].as_str().unwrap(), question["password"].as_str()) {
                ("short", _) => r#"{"allow": true, "expires_in": 1}"#,
                ("fleet", _) => r#"{"allow": true, "user": "ann", "roles": ["ops"], "client_ids": ["truck-*"]}"#,
                ("binary", None) if question["password_hex"] == "ff00" => YES,
                (_, Some("s3cret-of-ann")) => YES,
                _ => NO,
            },
        )
    });
    let broker = broker(&service, "cache = \"0s\"\n");
    for (version, _) in VERSIONS {
        let [credentials, authorized] = match version {
            Version::V311 => [4, 5],
            Version::V5 => [0x86, 0x87],
        };
        for (id, user, password, code) in [
            ("ann", "ann", &b"s3cret-of-ann"[..], 0),
            ("ann~phone", "ann", b"s3cret-of-ann", 0),
            ("", "ann", b"s3cret-of-ann", 0),
            ("bob", "ann", b"s3cret-of-ann", authorized),
            ("ann", "ann", b"wr0ng-one", credentials),
            ("truck-7", "fleet", b"x", 0),
            ("ann", "fleet", b"x", authorized),
            ("binary", "binary", b"\xFF\0", 0),
        ] {
            let connect = Connect::new(version, id).login(user, password);
            assert_eq!(answer(&broker, &connect), code, "{version:?}: {id} of {user}");
        }
        let mut short = RawClient::connect(&broker, &login(version, "short", "x")).0;
        match (version, short.next_or_close()) {
            (Version::V311, None) | (Version::V5, Some(Packet::Disconnect(0xA0, _))) => {}
            other => panic!("{other:?}"),
        }
    }
    let asked = service.asked();
    assert!(
        asked
            .iter()
            .all(|asked| asked.method == "POST" && asked.path == "/inboxd")
    );
    let first = question(&asked[0]);
    assert_eq!([&first["client_id"], &first["user"]], ["ann", "ann"]);
    assert!(first["peer"].as_str().unwrap().starts_with("127.0.0.1:"), "{first}");
    let log = broker.stderr();
    assert!(
        !log.contains("s3cret") && !log.contains("wr0ng"),
        "no password is in the log"
    );
}

#[test]
fn what_is_no_answer_lets_nobody_in() {
    // Goal: garbage, errors, a redirect, too many bytes, silence and a service that is down refuse clients with 0x88, or 3, and a warning that says why; none of
    // it makes waiting longer; and when the service is back, clients get in again. The password is in no record.
    let huge = format!(r#"{{"allow": true, "more": "{}"}}"#, "x".repeat(64 * 1024));
    let cut_off = format!("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{YES}");
    let json = "application/json";
    let cases = [
        (Answer::json("garbage"), "its answer is not"),
        (Answer::json(""), "its answer is not"),
        (Answer::json("[true]"), "its answer is not"),
        (Answer::json(r#"{"allow": "true"}"#), "its answer is not"),
        (Answer::json(r#"{"allow": true, "user": "a~b"}"#), "its answer is not"),
        (Answer::json(r#"{"allow": true, "roles": "ops"}"#), "its answer is not"),
        (Answer::Elsewhere("/yes".to_owned()), "it answered 302"),
        (Answer::Says("500 Oh", json, YES.into()), "it answered 500"),
        (Answer::Says("201 Created", json, YES.into()), "it answered 201"),
        (Answer::Says("200 OK", json, huge.into()), "larger than 65536 bytes"),
        (Answer::Bytes(cut_off.into()), "cut off"),
        (Answer::Bytes(b"SSH-2.0-x\r\n".to_vec()), "does not speak HTTP"),
        (Answer::Bytes(Vec::new()), "does not speak HTTP"),
        (Answer::Nothing, "no answer in time"),
    ];
    let answers = cases.clone();
    let mut service = HttpService::start(move |asked| match asked.path.as_str() {
        "/yes" => Answer::json(YES),
        _ => match question(asked)["user"].as_str().unwrap().strip_prefix("case") {
            Some(case) => answers[case.parse::<usize>().unwrap()].0.clone(),
            None => Answer::json(YES),
        },
    });
    let broker = broker(&service, "timeout = \"500ms\"\n");
    let refused = |user: &str| {
        let codes = VERSIONS.map(|(version, _)| answer(&broker, &login(version, user, "s3cret")));
        assert_eq!(codes, [3, 0x88], "{user}");
    };
    for (case, (_, says)) in cases.iter().enumerate() {
        refused(&format!("case{case}"));
        broker.wait_for_log(says);
    }
    service.go_down();
    refused("ann");
    broker.wait_for_log("cannot be reached");
    service.come_back();
    for (version, _) in VERSIONS {
        assert_eq!(answer(&broker, &login(version, "ann", "s3cret")), 0);
    }
    assert!(
        service.asked().iter().all(|asked| asked.path == "/inboxd"),
        "no redirect is followed"
    );
    assert!(!broker.stderr().contains("s3cret"), "no password is in the log");
}

#[test]
fn consent_is_remembered_and_refusal_is_not() {
    // Goal: within auth.http.cache the service is not asked again for the same client, and may even be down; another client ID or password is asked about, a
    // refusal each time, and after SIGHUP everything.
    let mut service = says_yes_to("s3cret");
    let broker = broker(&service, "cache = \"1h\"\n");
    let asked = |id: &str, password: &str| {
        let before = service.asked().len();
        let code = answer(&broker, &Connect::new(Version::V5, id).login("ann", password));
        (code, service.asked().len() - before)
    };
    assert_eq!(asked("ann", "s3cret"), (0, 1));
    assert_eq!(asked("ann", "s3cret"), (0, 0));
    assert_eq!(asked("ann~phone", "s3cret"), (0, 1));
    assert_eq!(asked("ann", "wrong"), (0x86, 1));
    assert_eq!(asked("ann", "wrong"), (0x86, 1));
    assert_eq!(asked("ann", "s3cret"), (0, 0));
    broker.signal(Signal::HUP);
    broker.wait_for_log("the configuration was reloaded");
    assert_eq!(asked("ann", "s3cret"), (0, 1));
    service.go_down();
    assert_eq!(answer(&broker, &login(Version::V5, "ann", "s3cret")), 0);
    assert_eq!(
        answer(&broker, &Connect::new(Version::V5, "ann~tablet").login("ann", "s3cret")),
        0x88
    );
}

#[test]
fn a_service_that_hangs_keeps_nobody_else_waiting() {
    // Goal: while many clients wait for a service that says nothing, those of the password file and those that are connected are served.
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("users");
    assert!(super::passwd(&file, &["ann"], "s3cret").status.success());
    let service = HttpService::start(|_| Answer::Nothing);
    let config = format!(
        "[auth]\npassword_file = {file:?}\n[auth.http]\nurl = \"{}\"\ntimeout = \"2s\"\n",
        service.url("/")
    );
    let broker = Broker::with_config(&config);
    let hanging: Vec<RawClient> = (0..80)
        .map(|i| {
            let mut client = RawClient::open(&broker, Version::V5);
            client.send(&login(Version::V5, &format!("user{i}"), "x").encode());
            client
        })
        .collect();
    while service.asked().is_empty() {
        thread::yield_now();
    }
    let mut ann = RawClient::connect(&broker, &login(Version::V5, "ann", "s3cret")).0;
    ann.ping();
    for mut client in hanging {
        assert_eq!(client.connack().code, 0x88);
    }
    ann.ping();
}
