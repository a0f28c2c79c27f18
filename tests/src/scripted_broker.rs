//! A broker that says just what a test wants: answers and messages that no real one gives when it is asked to, and brokers of another kind.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use crate::DEADLINE;
use crate::build::{Props, PublishPacket, Version, packet};
use crate::parse::{Packet, Publish};

/// See the module's documentation.
pub struct ScriptedBroker {
    listener: TcpListener,
}

/// A client that was let in.
pub struct Guest {
    socket: TcpStream,
    bytes: Vec<u8>,
}

impl ScriptedBroker {
    /// On a port of its own.
    #[allow(clippy::new_without_default, reason = "it takes something of the system")]
    pub fn new() -> Self {
        ScriptedBroker {
            listener: TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap(),
        }
    }

    /// Where clients connect to.
    pub fn port(&self) -> u16 {
        self.listener.local_addr().unwrap().port()
    }

    /// Waits for a client, and answers its CONNECT with this code and these properties.
    pub fn answer(&self, code: u8, props: &Props) -> Guest {
        let (socket, _) = self.listener.accept().unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        let bytes = Vec::new();
        let mut guest = Guest { socket, bytes };
        assert_eq!(guest.packet().0 >> 4, 1, "CONNECT comes first");
        let mut connack = vec![0, code];
        connack.extend(props.encode());
        guest.send(&packet(0x20, &connack));
        guest
    }

    /// Waits for a client, lets it in, and grants what it subscribes to first.
    pub fn welcome(&self, props: &Props) -> Guest {
        let mut guest = self.answer(0, props);
        let (first, body) = guest.packet();
        assert_eq!(first >> 4, 8, "SUBSCRIBE comes next");
        guest.send(&packet(0x90, &[body[0], body[1], 0, 1]));
        guest
    }
}

impl Guest {
    /// The next packet that is no PINGREQ, which is answered: its first byte, and its content.
    pub fn packet(&mut self) -> (u8, Vec<u8>) {
        loop {
            let packet = self.any();
            if packet.0 >> 4 != 12 {
                return packet;
            }
            self.send(&[0xd0, 0]);
        }
    }

    /// The next packet, which is a PINGREQ, and is answered.
    pub fn ping(&mut self) {
        assert_eq!(self.any().0 >> 4, 12, "PINGREQ");
        self.send(&[0xd0, 0]);
    }

    fn any(&mut self) -> (u8, Vec<u8>) {
        loop {
            if let Some((header, length)) = self.frame()
                && self.bytes.len() >= header + length
            {
                let whole: Vec<u8> = self.bytes.drain(..header + length).collect();
                return (whole[0], whole[header..].to_vec());
            }
            let mut chunk = [0; 4096];
            let read = self.socket.read(&mut chunk).expect("the client sends something");
            assert!(read > 0, "the client is there");
            self.bytes.extend_from_slice(&chunk[..read]);
        }
    }

    /// The next packet, which is a PUBLISH.
    pub fn publish(&mut self) -> Publish {
        let (first, body) = self.packet();
        let bytes = packet(first, &body);
        match Packet::take(Version::V5, &bytes) {
            Some((Packet::Publish(publish), _)) => publish,
            other => panic!("no PUBLISH: {other:?}"),
        }
    }

    /// The next packet, which is a PUBACK: its packet identifier, and its code.
    pub fn puback(&mut self) -> (u16, u8) {
        let (first, body) = self.packet();
        assert_eq!(first, 0x40, "PUBACK");
        (
            u16::from_be_bytes([body[0], body[1]]),
            body.get(2).copied().unwrap_or(0),
        )
    }

    /// Answers a publish.
    pub fn acknowledge(&mut self, publish: &Publish, code: u8, props: &Props) {
        let mut body = publish.packet_id.to_be_bytes().to_vec();
        body.push(code);
        body.extend(props.encode());
        self.send(&packet(0x40, &body));
    }

    /// Delivers a message.
    pub fn deliver(&mut self, publish: &PublishPacket) {
        self.send(&publish.encode(Version::V5));
    }

    /// Sends these bytes.
    pub fn send(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).unwrap();
    }

    /// The length of the first header, and of what follows it, if they are known.
    fn frame(&self) -> Option<(usize, usize)> {
        let mut length = 0;
        for (at, byte) in self.bytes.iter().skip(1).take(4).enumerate() {
            length |= usize::from(byte & 0x7f) << (7 * at);
            if byte & 0x80 == 0 {
                return Some((2 + at, length));
            }
        }
        None
    }
}
