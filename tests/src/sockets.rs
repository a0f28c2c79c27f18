//! Plain sockets to a broker, for what no client sends.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::{Broker, DEADLINE};

impl Broker {
    /// A TCP connection to the listener of this name, on which nothing was sent. Nothing that is read or written on it hangs.
    pub fn socket(&self, listener: &str) -> TcpStream {
        let socket = TcpStream::connect(("127.0.0.1", self.port_of(listener))).expect("the broker accepts connections");
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        socket.set_write_timeout(Some(DEADLINE)).unwrap();
        socket
    }
}

/// Sends `bytes`, and reads until the broker closes the connection. It may do so before it has read all; a reset is an end, too.
pub fn told(mut socket: TcpStream, bytes: &[u8]) -> Vec<u8> {
    let _ = socket.write_all(bytes);
    let mut told = Vec::new();
    let mut chunk = [0; 4096];
    while let Ok(n @ 1..) = socket.read(&mut chunk) {
        told.extend_from_slice(&chunk[..n]);
    }
    told
}

/// Reads the head of an answer of HTTP.
pub fn head(socket: &mut TcpStream) -> String {
    let (mut answer, mut byte) = (Vec::new(), [0]);
    while !answer.ends_with(b"\r\n\r\n") {
        socket.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    String::from_utf8(answer).unwrap()
}
