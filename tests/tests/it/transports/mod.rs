//! What carries MQTT: TLS, WebSocket and the PROXY protocol, with stock clients and byte by byte.

mod browser;
mod identity;
mod proxy;
mod tls;
pub(crate) mod websocket;

use inbox_test_support::certificates::Files;

/// CONNECT of "ann" with MQTT 5 and a clean start, and the beginning of the CONNACK that lets her in.
const CONNECT: &[u8] = b"\x10\x10\0\x04MQTT\x05\x02\0\0\0\0\x03ann";
const CONNACK: &[u8] = &[0x20, 40, 0, 0];
/// How long it is, as a packet.
const CONNACK_BYTES: usize = 2 + 40;

/// The path of one of these files as an argument, or in a configuration.
fn text(files: &Files, name: &str) -> String {
    files.path(name).to_str().unwrap().to_owned()
}

/// The configuration of a listener with these files, and `more` of its keys.
fn tls_listener(files: &Files, name: &str, more: &str) -> String {
    let (certificate, key) = (text(files, "cert.pem"), text(files, "key.pem"));
    listener(name, &format!("certificate = {certificate:?}\nkey = {key:?}\n{more}"))
}

/// The configuration of a listener whose transport has its name, and `more` of its keys.
fn listener(name: &str, more: &str) -> String {
    format!("[[listener]]\nname = \"{name}\"\nlisten = \"127.0.0.1:0\"\ntransport = \"{name}\"\n{more}\n")
}
