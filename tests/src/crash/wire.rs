//! A client whose broker may die at any moment: nothing here fails because a connection is gone.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::build::{Connect, Version};
use crate::parse::Packet;
use crate::{ConnAck, DEADLINE};

/// What came.
#[derive(Debug)]
pub(super) enum Next {
    Packet(Packet),
    /// Nothing in the time that was given.
    Nothing,
    Closed,
}

/// A connection.
pub(super) struct Wire {
    stream: TcpStream,
    pub(super) version: Version,
    bytes: Vec<u8>,
    /// What of `bytes` was taken already.
    used: usize,
    packet_id: u16,
}

impl Wire {
    /// Connects; `None` when there is nobody, or the connection ends before CONNACK. A refusal fails the run.
    pub(super) fn connect(port: u16, connect: &Connect) -> Option<(Self, ConnAck)> {
        let (wire, connack) = Wire::open(port, connect)?;
        assert_eq!(connack.code, 0, "{:?} is refused: {connack:?}", connect.client_id);
        Some((wire, connack))
    }

    /// The same, where CONNACK may refuse.
    pub(super) fn open(port: u16, connect: &Connect) -> Option<(Self, ConnAck)> {
        let stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream.set_nodelay(true).ok()?;
        stream.set_write_timeout(Some(DEADLINE)).ok()?;
        let mut wire = Wire {
            stream,
            version: connect.version,
            bytes: Vec::new(),
            used: 0,
            packet_id: 0,
        };
        wire.send(&connect.encode());
        match wire.next(DEADLINE) {
            Next::Packet(Packet::ConnAck(connack)) => Some((wire, connack)),
            // The broker is shutting down.
            Next::Packet(Packet::Disconnect(..)) | Next::Closed => None,
            other => panic!("{:?} sent CONNECT and got {other:?}", connect.client_id),
        }
    }

    /// A packet identifier that is free, if no more than 60,000 are in use.
    pub(super) fn packet_id(&mut self) -> u16 {
        self.packet_id = self.packet_id % 60_000 + 1;
        self.packet_id
    }

    /// Sends; that the connection is gone is told by [`Wire::next`].
    pub(super) fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// The next packet within `patience`.
    pub(super) fn next(&mut self, patience: Duration) -> Next {
        let until = Instant::now() + patience;
        let mut chunk = [0; 16 * 1024];
        loop {
            if let Some((packet, n)) = Packet::take(self.version, &self.bytes[self.used..]) {
                self.used += n;
                return Next::Packet(packet);
            }
            self.bytes.drain(..self.used);
            self.used = 0;
            let left = until
                .saturating_duration_since(Instant::now())
                .max(Duration::from_micros(100));
            if self.stream.set_read_timeout(Some(left)).is_err() {
                return Next::Closed;
            }
            match self.stream.read(&mut chunk) {
                Ok(0) => return Next::Closed,
                Ok(n) => self.bytes.extend(&chunk[..n]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    if Instant::now() >= until {
                        return Next::Nothing;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Next::Closed,
            }
        }
    }
}
