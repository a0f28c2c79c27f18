//! What no browser sends.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use inbox_tests::{Broker, DEADLINE, RawClient, Version, wait_until};

use super::{ask_with, exchange, get};

/// The port answers, and mail goes its way.
fn serves(broker: &Broker) {
    assert_eq!(get(broker, "/readyz").status, 200);
    RawClient::clean(broker, Version::V5, "alice").publish("bob", "x", 1);
}

/// How long it took until the broker closed the connection.
fn closed_after(mut socket: TcpStream) -> Duration {
    let began = Instant::now();
    socket.set_read_timeout(Some(2 * DEADLINE)).unwrap();
    let mut chunk = [0; 1024];
    while let Ok(n @ 1..) = socket.read(&mut chunk) {
        let _answer = n;
    }
    began.elapsed()
}

#[test]
fn whoever_is_slow_is_closed() {
    // Goal: a request whose head does not come, one that comes byte by byte, and a connection that asks nothing more, are closed after about ten
    // seconds each.
    let broker = Broker::start();
    let silent = broker.socket("http");
    let mut half = broker.socket("http");
    half.write_all(b"GET /healthz HTTP/1.1\r\nHost: loc").unwrap();
    let mut idle = broker.socket("http");
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    let mut dripping = broker.socket("http");
    let mut drip = dripping.try_clone().unwrap();
    dripping.write_all(b"GET /healthz HTTP/1.1\r\n").unwrap();
    let drips = thread::spawn(move || {
        while drip.write_all(b"A: b\r\n").is_ok() {
            thread::sleep(Duration::from_millis(500));
        }
    });
    let waits: Vec<_> = [silent, half, idle, dripping]
        .map(|socket| thread::spawn(move || closed_after(socket)))
        .into();
    for (at, wait) in waits.into_iter().enumerate() {
        let took = wait.join().unwrap();
        assert!((Duration::from_secs(5)..2 * DEADLINE).contains(&took), "{at}: {took:?}");
    }
    drips.join().unwrap();
    serves(&broker);
}

#[test]
fn what_is_too_large_is_refused() {
    // Goal: a head over 16 KiB, more than 64 headers, and bodies of any announced length end with an answer, and with the connection.
    let broker = Broker::start();
    let status = |request: String| {
        let answer = exchange(broker.socket("http"), request.as_bytes());
        answer.split(' ').nth(1).map(str::to_owned).unwrap_or_default()
    };
    let (long, many) = ("x".repeat(64 * 1024), "A: b\r\n".repeat(200));
    assert_eq!(
        status(format!("GET / HTTP/1.1\r\nHost: localhost\r\nA: {long}\r\n\r\n")),
        "431"
    );
    assert_eq!(
        status(format!("GET / HTTP/1.1\r\nHost: localhost\r\n{many}\r\n")),
        "431"
    );
    let target = status(format!("GET /{long} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    assert!(matches!(target.as_str(), "414" | "431"), "{target}");
    let json =
        "POST /api/v1/trace HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n";
    assert_eq!(
        status(format!("{json}Content-Length: {}\r\n\r\n{long}", long.len())),
        "400"
    );
    let chunked = format!("{json}Transfer-Encoding: chunked\r\n\r\n10000\r\n{long}\r\n0\r\n\r\n");
    assert_eq!(status(chunked), "400");
    let endless =
        "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 99999999999\r\n\r\nx";
    assert_eq!(status(endless.to_owned()), "200");
    serves(&broker);
}

#[test]
fn what_is_no_http_is_refused() {
    // Goal: TLS, MQTT, other versions, broken lines, and requests with two lengths, which proxies might read in another way, end the connection.
    let broker = Broker::start();
    for bytes in [
        &b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"[..],
        b"\x10\x10\0\x04MQTT\x05\x02\0\0\0\0\x03ann",
        b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\nHo st: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        b"GET /\0 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let answer = exchange(broker.socket("http"), bytes);
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 400 "),
            "{bytes:?}: {answer:?}"
        );
    }
    let smuggled = "POST /api/v1/trace HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /metrics HTTP/1.1\r\n\r\n";
    let answer = exchange(broker.socket("http"), smuggled.as_bytes());
    assert!(!answer.contains("inboxd_build_info"), "{answer}");
    serves(&broker);
}

#[test]
fn methods_and_paths_that_are_none_are_told() {
    // Goal: other methods get 405 with what there is; files of the machine are no paths; HEAD has no body.
    let broker = Broker::start();
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"] {
        let told = ask_with(&broker, "http", &format!("{method} /metrics"), "Host: localhost\r\n");
        assert!(
            told.status == 405 && told.head.contains("allow: get,head"),
            "{method}: {told:?}"
        );
    }
    for path in [
        "/../../etc/passwd",
        "/assets/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/..%5c..%5cetc",
        "/.git/config",
    ] {
        // A path that looks like a view of the dashboard leads to its page, where there is one.
        let told = get(&broker, path);
        assert!(
            told.status == 404 || told.body.starts_with("<!doctype html>"),
            "{path}: {told:?}"
        );
        assert!(
            !told.body.contains("root:") && !told.body.contains("[core]"),
            "{path}: {told:?}"
        );
    }
    let head = ask_with(&broker, "http", "HEAD /metrics", "Host: localhost\r\n");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    serves(&broker);
}

#[test]
fn idle_connections_are_limited_and_keep_no_client_out() {
    // Goal: at http.connections_max a further connection is told 503 and closed; MQTT clients come in meanwhile; when one has gone, there is room.
    let broker = Broker::with_config("[http]\nconnections_max = 4\n");
    let mut idle: Vec<_> = (0..4).map(|_| broker.socket("http")).collect();
    let health = || {
        exchange(
            broker.socket("http"),
            b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        )
    };
    wait_until("one more is told to go", || {
        let answer = health();
        answer.is_empty() || answer.starts_with("HTTP/1.1 503 ")
    });
    RawClient::clean(&broker, Version::V5, "alice").publish("bob", "x", 1);
    idle.clear();
    wait_until("there is room again", || health().contains("alive"));
    serves(&broker);
}
