//! The HTTP port (docs/operations.md, "HTTP"), over sockets.

mod api;
mod bad_input;
mod health;
mod metrics;
mod websocket;

use std::io::{Read, Write};
use std::net::TcpStream;

use inbox_tests::{Broker, DEADLINE};

/// An answer.
#[derive(Debug)]
struct Told {
    status: u16,
    head: String,
    body: String,
}

/// A connection to the port of this name.
fn connect(broker: &Broker, port: &str) -> TcpStream {
    let socket = TcpStream::connect(("127.0.0.1", broker.port_of(port))).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket
}

/// Sends these bytes, and reads until the broker closes the connection.
fn exchange(mut socket: TcpStream, bytes: &[u8]) -> String {
    // The broker may have said no before it read all.
    let _ = socket.write_all(bytes);
    let mut told = Vec::new();
    let mut chunk = [0; 4096];
    while let Ok(n @ 1..) = socket.read(&mut chunk) {
        told.extend_from_slice(&chunk[..n]);
    }
    String::from_utf8_lossy(&told).into_owned()
}

/// Asks with these headers, each with its line break.
fn ask_with(broker: &Broker, port: &str, line: &str, headers: &str) -> Told {
    let request = format!("{line} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n");
    let answer = exchange(connect(broker, port), request.as_bytes());
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

/// Reads the head of an answer.
fn head(socket: &mut TcpStream) -> String {
    let (mut answer, mut byte) = (Vec::new(), [0]);
    while !answer.ends_with(b"\r\n\r\n") {
        socket.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    String::from_utf8(answer).unwrap()
}
