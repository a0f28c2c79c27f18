//! What carries MQTT: TLS, WebSocket and the PROXY protocol, with stock clients and byte by byte.

mod identity;
mod proxy;
mod tls;
mod websocket;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;

use inbox_test_support::certificates::{Authority, Signed};
use inbox_tests::{Broker, DEADLINE};
use tempfile::TempDir;

/// CONNECT of "ann" with MQTT 5 and a clean start, and the beginning of the CONNACK that lets her in.
const CONNECT: &[u8] = b"\x10\x10\0\x04MQTT\x05\x02\0\0\0\0\x03ann";
const CONNACK: &[u8] = &[0x20, 14, 0, 0];

/// The files of a listener with TLS, in a directory of their own.
struct Files {
    directory: TempDir,
    authority: Authority,
}

impl Files {
    fn new() -> Self {
        let files = Files {
            directory: tempfile::tempdir().unwrap(),
            authority: Authority::new("inboxd tests"),
        };
        files.write("", &files.authority.broker());
        fs::write(files.path("ca.pem"), &files.authority.pem).unwrap();
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The path as an argument, or in a configuration.
    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn write(&self, prefix: &str, signed: &Signed) {
        fs::write(self.path(&format!("{prefix}cert.pem")), &signed.certificate).unwrap();
        fs::write(self.path(&format!("{prefix}key.pem")), &signed.key).unwrap();
    }

    /// The configuration of a listener with TLS, and `more` of its keys.
    fn listener(&self, name: &str, more: &str) -> String {
        let (certificate, key) = (self.text("cert.pem"), self.text("key.pem"));
        listener(name, &format!("certificate = {certificate:?}\nkey = {key:?}\n{more}"))
    }
}

/// The configuration of a listener whose transport has its name, and `more` of its keys.
fn listener(name: &str, more: &str) -> String {
    format!("[[listener]]\nname = \"{name}\"\nlisten = \"127.0.0.1:0\"\ntransport = \"{name}\"\n{more}\n")
}

fn connect_to(broker: &Broker, name: &str) -> TcpStream {
    let socket = TcpStream::connect(("127.0.0.1", broker.port_of(name))).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket
}

/// Sends `bytes`, and reads until the broker closes the connection. A reset is an end, too.
fn told(mut socket: TcpStream, bytes: &[u8]) -> Vec<u8> {
    socket.write_all(bytes).unwrap();
    let mut told = Vec::new();
    let mut buffer = [0; 1024];
    while let Ok(n @ 1..) = socket.read(&mut buffer) {
        told.extend_from_slice(&buffer[..n]);
    }
    told
}
