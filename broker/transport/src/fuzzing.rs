//! The fuzz targets `websocket` and `proxy`: what strangers send before MQTT, or around it.
//!
//! They are here and not in the tests' package, because these decoders are nobody else's.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "for tests only"
)]

use std::io::{self, Cursor, Read, Write};
use std::net::{IpAddr, Ipv4Addr};

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Error, Message, WebSocket};

use crate::proxy;
use crate::websocket::{Decoder, End, HEAD_BYTES_MAX, WebSocketRules, answer};

/// Longer frames than any input the oracle refuses, before it has looked at them.
const FRAME_BYTES_MAX: usize = 1 << 20;

/// The first byte says how the others are split, and whether they are frames or the request before them.
pub fn websocket(data: &[u8]) {
    let Some((&split, bytes)) = data.split_first() else {
        return;
    };
    match split {
        0xFF => request(bytes),
        _ => frames(bytes, usize::from(split)),
    }
}

/// A request is granted or refused with an answer, and no answer holds what the client sent.
fn request(head: &[u8]) {
    let rules = WebSocketRules {
        paths: vec!["/mqtt".into(), "/".into()],
        origins: Vec::new(),
        same_host: true,
    };
    match answer(head, &rules, IpAddr::V4(Ipv4Addr::LOCALHOST)) {
        Ok(granted) => {
            let answer = granted.answer();
            assert!(answer.starts_with("HTTP/1.1 101 ") && answer.ends_with("\r\n\r\n"));
            assert!(head.len() <= HEAD_BYTES_MAX || granted.token.is_none_or(|token| token.len() <= head.len()));
        }
        Err(error) => {
            let said = error.answer();
            let (head, body) = said.split_once("\r\n\r\n").expect("a head and a body");
            assert!(head.contains(&format!("Content-Length: {}", body.len())), "{said}");
        }
    }
}

/// What comes out of frames does not depend on how they are split, and is what tungstenite makes of them.
pub(crate) fn frames(bytes: &[u8], split: usize) {
    let whole = decoded([bytes.to_vec()]);
    let parts = bytes.chunks(split.max(1)).map(<[u8]>::to_vec);
    assert_eq!(decoded(parts), whole, "the borders of reads mean nothing");

    let (payload, ping, end) = whole;
    let mut oracle = Oracle::new(bytes);
    let (of_oracle, is_broken) = oracle.read();
    assert!(
        payload.starts_with(&of_oracle),
        "whole messages come out as they do elsewhere"
    );
    match end {
        // The oracle takes text.
        Some(End::Broken(crate::Violation::Text | crate::Violation::TooLong)) => {}
        // The oracle looks at some rules when a frame is complete.
        Some(End::Broken(violation)) => assert!(is_broken || !are_whole(bytes), "{violation:?} is none elsewhere"),
        // Registered after the oracle was written.
        Some(End::Closed(Some(1014))) => {}
        Some(End::Closed(_)) | None => assert!(!is_broken, "it breaks no rule here"),
    }
    assert!(ping.is_none_or(|ping| ping.len() <= 125));
}

/// Whether no frame lacks a part of its payload.
fn are_whole(bytes: &[u8]) -> bool {
    let mut rest = Cursor::new(bytes);
    while let Ok(Some((_, length))) = FrameHeader::parse(&mut rest) {
        let end = rest.position().saturating_add(length);
        if end > bytes.len() as u64 {
            return false;
        }
        rest.set_position(end);
    }
    true
}

/// The payload, the last ping, and the end that come out of `parts`.
pub(crate) fn decoded(parts: impl IntoIterator<Item = Vec<u8>>) -> (Vec<u8>, Option<Box<[u8]>>, Option<End>) {
    let mut decoder = Decoder::default();
    let (mut payload, mut ping) = (Vec::new(), None);
    for mut part in parts {
        let n = decoder.decode(&mut part);
        payload.extend_from_slice(&part[..n]);
        ping = decoder.take_ping().or(ping);
    }
    (payload, ping, decoder.end())
}

/// A server by tungstenite that has these bytes to read and throws away what it writes.
pub(crate) struct Oracle(WebSocket<Socket>);

struct Socket(Cursor<Vec<u8>>);

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            n => Ok(n),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Oracle {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        // It makes room for a frame before it comes.
        let config = WebSocketConfig::default()
            .max_message_size(None)
            .max_frame_size(Some(FRAME_BYTES_MAX));
        let socket = Socket(Cursor::new(bytes.to_vec()));
        Oracle(WebSocket::from_raw_socket(socket, Role::Server, Some(config)))
    }

    /// The payload of whole binary messages up to a text or the end, and whether a rule is broken there.
    pub(crate) fn read(&mut self) -> (Vec<u8>, bool) {
        let mut payload = Vec::new();
        loop {
            match self.0.read() {
                Ok(Message::Binary(bytes)) => payload.extend_from_slice(&bytes),
                // It replaces what a client says when it closes with a status code that is none.
                Ok(Message::Close(Some(said))) if said.reason.as_str() == "Protocol violation" => {
                    return (payload, true);
                }
                Ok(Message::Text(_) | Message::Close(_)) => return (payload, false),
                Ok(_) => {}
                Err(Error::Protocol(_) | Error::Utf8(_)) => return (payload, true),
                Err(_) => return (payload, false),
            }
        }
    }
}

/// A header is read without a byte of what follows it, and means one thing or is refused.
pub fn proxy(data: &[u8]) {
    let mut read = 0;
    loop {
        match proxy::missing(&data[..read]) {
            Err(_) => return,
            Ok(0) => break,
            Ok(more) if read + more > data.len() => return,
            // The fewest at a time, and the most.
            Ok(more) => read += if data.len().is_multiple_of(2) { 1 } else { more },
        }
    }
    let header = &data[..read];
    assert!(read <= 4096, "{read}");
    let followed = [header, b"\x10\x0c\0\x04MQTT"].concat();
    assert_eq!(proxy::missing(header), Ok(0));
    if header.starts_with(b"PROXY ") {
        assert!(read <= 107 && !header[..read - 2].ends_with(b"\r\n"));
    } else {
        assert_eq!(proxy::missing(&followed), Ok(0), "its length says where it ends");
    }
    let client = proxy::client(header);
    assert_eq!(proxy::client(header), client);
    if let Ok(Some(client)) = client
        && header.starts_with(b"PROXY ")
    {
        let said = String::from_utf8_lossy(header);
        assert!(said.contains(&client.port().to_string()), "{said}");
    }
}
