//! The HTTP port (docs/operations.md, "HTTP"), over sockets.

mod api;
mod bad_input;
mod health;
mod metrics;
mod websocket;

use std::net::TcpStream;

use inbox_tests::{Broker, told};

/// An answer.
#[derive(Debug)]
struct Told {
    status: u16,
    head: String,
    body: String,
}

/// Sends these bytes, and reads until the broker closes the connection.
fn exchange(socket: TcpStream, bytes: &[u8]) -> String {
    String::from_utf8_lossy(&told(socket, bytes)).into_owned()
}

/// Asks with these headers, each with its line break.
fn ask_with(broker: &Broker, port: &str, line: &str, headers: &str) -> Told {
    let request = format!("{line} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n");
    let answer = exchange(broker.socket(port), request.as_bytes());
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("{line}: {answer:?}"));
    Told {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head: head.to_ascii_lowercase(),
        body: body.to_owned(),
    }
}

fn get(broker: &Broker, path: &str) -> Told {
    ask_with(broker, "http", &format!("GET {path}"), "Host: localhost\r\n")
}
