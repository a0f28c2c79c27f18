//! An MQTT client that does exactly what it is told, and hides nothing of what it is sent.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use crate::build::{self, Connect, Props, PublishPacket, Version};
use crate::parse::{Ack, AckKind, ConnAck, Packet, Publish, SubAck};
use crate::{Broker, DEADLINE};

/// A connection, and the packets that were read while waiting for another one.
pub struct RawClient {
    stream: TcpStream,
    version: Version,
    bytes: Vec<u8>,
    /// Read, but not asked for yet; in order.
    aside: VecDeque<Packet>,
    completes: bool,
    packet_id: u16,
}

impl RawClient {
    /// A TCP connection on which nothing was sent.
    pub fn open(broker: &Broker, version: Version) -> Self {
        RawClient::open_port(broker.port(), version)
    }

    /// The same, to a port of this machine.
    pub fn open_port(port: u16, version: Version) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the broker accepts TCP connections");
        stream.set_nodelay(true).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        RawClient {
            stream,
            version,
            bytes: Vec::new(),
            aside: VecDeque::new(),
            completes: false,
            packet_id: 0,
        }
    }

    /// Connects, and expects to be accepted.
    pub fn connect(broker: &Broker, connect: &Connect) -> (Self, ConnAck) {
        let mut client = RawClient::open(broker, connect.version);
        client.send(&connect.encode());
        let connack = client.connack();
        assert_eq!(connack.code, 0, "CONNACK refuses {:?}: {connack:?}", connect.client_id);
        (client, connack)
    }

    /// A clean session.
    pub fn clean(broker: &Broker, version: Version, client_id: &str) -> Self {
        RawClient::connect(broker, &Connect::new(version, client_id)).0
    }

    /// A clean session that is subscribed to its own inbox.
    pub fn reader(broker: &Broker, version: Version, client_id: &str, qos: u8) -> Self {
        let mut client = RawClient::clean(broker, version, client_id);
        assert_eq!(client.subscribe(client_id, qos).codes, [qos]);
        client
    }

    /// Which MQTT it speaks.
    pub fn version(&self) -> Version {
        self.version
    }

    /// A fresh packet identifier.
    pub fn packet_id(&mut self) -> u16 {
        self.packet_id = self.packet_id % 60_000 + 1;
        self.packet_id
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the broker reads what it is sent");
    }

    /// Sends bytes that the broker may refuse to read any more, because it closes the connection meanwhile.
    pub fn send_despite_close(&mut self, bytes: &[u8]) {
        match self.stream.write_all(bytes) {
            Ok(()) => {}
            Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {}
            Err(error) => panic!("sending failed: {error}"),
        }
    }

    /// The next packet, in the order in which the broker sent them; `None` when it closed the connection.
    pub fn next_or_close(&mut self) -> Option<Packet> {
        self.aside.pop_front().or_else(|| self.read())
    }

    /// The next packet; a closed connection fails the test.
    #[allow(clippy::should_implement_trait, reason = "no iterator: it panics at the end")]
    pub fn next(&mut self) -> Packet {
        self.next_or_close()
            .expect("the broker sends a packet, but it closed the connection")
    }

    /// The first packet that `wanted` takes; what comes before it stays, in order, for later calls.
    pub fn wait_for<T>(&mut self, what: &str, wanted: impl Fn(&Packet) -> Option<T>) -> T {
        if let Some((at, found)) = self.aside.iter().enumerate().find_map(|(i, p)| Some((i, wanted(p)?))) {
            self.aside.remove(at);
            return found;
        }
        loop {
            let Some(packet) = self.read() else {
                panic!(
                    "waiting for {what}, but the connection closed; seen before that: {:?}",
                    self.aside
                )
            };
            if let Some(found) = wanted(&packet) {
                return found;
            }
            assert!(
                !matches!(packet, Packet::Disconnect(..)),
                "waiting for {what}, but got {packet:?}"
            );
            match packet {
                Packet::Ack(ack) if self.completes && ack.kind == AckKind::PubRel => {
                    self.send(&build::ack(0x70, ack.packet_id));
                }
                packet => self.aside.push_back(packet),
            }
        }
    }

    /// From now on each PUBREL that nobody waits for is answered, as clients do that know of no such message (MQTT 5, section 4.3.3).
    pub fn complete(&mut self) {
        self.completes = true;
    }

    /// CONNACK, which must be the first packet.
    pub fn connack(&mut self) -> ConnAck {
        match self.next() {
            Packet::ConnAck(connack) => connack,
            other => panic!("the first packet must be CONNACK (MQTT-3.2.0-1), but it is {other:?}"),
        }
    }

    /// Subscribes and waits for the SUBACK.
    pub fn subscribe(&mut self, filter: &str, qos: u8) -> SubAck {
        self.subscribe_with(filter, qos, &Props::new())
    }

    /// The same with an options byte and properties.
    pub fn subscribe_with(&mut self, filter: &str, options: u8, props: &Props) -> SubAck {
        let id = self.packet_id();
        self.send(&build::subscribe(self.version, id, filter, options, props));
        self.wait_for("SUBACK", |packet| match packet {
            Packet::SubAck(suback) if suback.packet_id == id => Some(suback.clone()),
            _ => None,
        })
    }

    /// Unsubscribes and waits for the UNSUBACK.
    pub fn unsubscribe(&mut self, filter: &str) -> SubAck {
        let id = self.packet_id();
        self.send(&build::unsubscribe(self.version, id, filter));
        self.wait_for("UNSUBACK", |packet| match packet {
            Packet::UnsubAck(unsuback) if unsuback.packet_id == id => Some(unsuback.clone()),
            _ => None,
        })
    }

    /// Sends a publish without waiting for anything; answers its packet identifier.
    pub fn send_publish(&mut self, mut publish: PublishPacket) -> u16 {
        publish.packet_id = self.packet_id();
        self.send(&publish.encode(self.version));
        publish.packet_id
    }

    /// Publishes with QoS 0, 1 or 2, and waits for what ends the exchange; answers the last acknowledgement.
    pub fn publish_packet(&mut self, publish: PublishPacket) -> Option<Ack> {
        let qos = publish.qos;
        let id = self.send_publish(publish);
        match qos {
            0 => None,
            1 => Some(self.ack(AckKind::PubAck, id)),
            _ => {
                let pubrec = self.ack(AckKind::PubRec, id);
                if pubrec.reason >= 0x80 {
                    return Some(pubrec);
                }
                self.send(&build::pubrel(id));
                Some(self.ack(AckKind::PubComp, id))
            }
        }
    }

    /// Publishes, and expects to be answered with success.
    pub fn publish(&mut self, topic: &str, payload: impl AsRef<[u8]>, qos: u8) {
        if let Some(ack) = self.publish_packet(PublishPacket::new(topic, payload, qos, 0)) {
            assert!(ack.reason < 0x80, "publishing to {topic:?} is refused: {ack:?}");
        }
    }

    /// The acknowledgement of `packet_id`.
    pub fn ack(&mut self, kind: AckKind, packet_id: u16) -> Ack {
        self.wait_for(&format!("{kind:?} {packet_id}"), |packet| match packet {
            Packet::Ack(ack) if ack.kind == kind && ack.packet_id == packet_id => Some(ack.clone()),
            _ => None,
        })
    }

    /// The next PUBLISH; it is not acknowledged.
    pub fn receive(&mut self) -> Publish {
        self.wait_for("PUBLISH", |packet| match packet {
            Packet::Publish(publish) => Some(publish.clone()),
            _ => None,
        })
    }

    /// The next PUBLISH, acknowledged to the end as its QoS asks.
    pub fn receive_and_ack(&mut self) -> Publish {
        let publish = self.receive();
        self.acknowledge(&publish);
        publish
    }

    /// Acknowledges a PUBLISH to the end of its exchange.
    pub fn acknowledge(&mut self, publish: &Publish) {
        match publish.qos {
            0 => {}
            1 => self.send(&build::ack(0x40, publish.packet_id)),
            _ => {
                self.send(&build::ack(0x50, publish.packet_id));
                self.ack(AckKind::PubRel, publish.packet_id);
                self.send(&build::ack(0x70, publish.packet_id));
            }
        }
    }

    /// The payloads of the next `n` publishes, acknowledged.
    pub fn texts(&mut self, n: usize) -> Vec<String> {
        (0..n).map(|_| self.receive_and_ack().text().to_owned()).collect()
    }

    /// A round trip: the broker has acted on everything sent before, and everything it sent before is read.
    pub fn ping(&mut self) {
        self.send(&build::ping());
        self.wait_for("PINGRESP", |packet| matches!(packet, Packet::PingResp).then_some(()));
    }

    /// Every publish that the broker has sent and nobody asked for, up to a round trip from now; not acknowledged.
    pub fn publishes_so_far(&mut self) -> Vec<Publish> {
        self.ping();
        let publish = |packet| match packet {
            Packet::Publish(publish) => publish,
            other => panic!("only publishes were to come, but got {other:?}"),
        };
        self.aside.drain(..).map(publish).collect()
    }

    /// Expects that the broker has sent nothing that was not asked for, up to a round trip from now.
    pub fn expect_nothing(&mut self) {
        self.ping();
        assert!(self.aside.is_empty(), "nothing was to come, but got {:?}", self.aside);
    }

    /// Expects the end of the connection: DISCONNECT with one of `reasons` in MQTT 5, and just the close in 3.1.1.
    pub fn expect_disconnect(&mut self, reasons: &[u8]) {
        match self.version {
            Version::V311 => self.expect_close(),
            Version::V5 => {
                let (reason, props) = self.wait_for_disconnect();
                assert!(
                    reasons.contains(&reason),
                    "DISCONNECT {reason:#04x}, not one of {reasons:02x?}: {props:?}"
                );
                self.expect_close();
            }
        }
    }

    /// The DISCONNECT of the broker, whatever came before it.
    pub fn wait_for_disconnect(&mut self) -> (u8, crate::Properties) {
        loop {
            match self.next_or_close() {
                Some(Packet::Disconnect(reason, props)) => return (reason, props),
                Some(_) => {}
                None => panic!("the broker closed the connection without DISCONNECT"),
            }
        }
    }

    /// Expects that the broker closes the connection; packets before that are dropped, but for DISCONNECT.
    pub fn expect_close(&mut self) {
        while let Some(packet) = self.next_or_close() {
            assert!(
                !matches!(packet, Packet::Disconnect(..)),
                "a close was to come, but got {packet:?}"
            );
        }
    }

    /// DISCONNECT, and waits until the broker has closed the connection.
    pub fn disconnect(mut self) {
        self.send(&build::disconnect(self.version, 0, &Props::new()));
        self.expect_close();
    }

    /// Closes the socket without DISCONNECT.
    pub fn vanish(self) {
        drop(self);
    }

    /// One more packet from the socket; `None` at its end.
    fn read(&mut self) -> Option<Packet> {
        let until = Instant::now() + DEADLINE;
        let mut chunk = [0; 64 * 1024];
        loop {
            if let Some((packet, n)) = Packet::take(self.version, &self.bytes) {
                self.bytes.drain(..n);
                return Some(packet);
            }
            let left = until.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "no packet within {DEADLINE:?}; before it: {:?}",
                self.aside
            );
            self.stream.set_read_timeout(Some(left)).unwrap();
            match self.stream.read(&mut chunk) {
                Ok(0) => return self.end(),
                Ok(n) => self.bytes.extend(&chunk[..n]),
                Err(error) => match error.kind() {
                    ErrorKind::ConnectionReset => return self.end(),
                    ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::TimedOut => {}
                    _ => panic!("reading failed: {error}"),
                },
            }
        }
    }

    /// A killed broker may leave half a packet behind.
    fn end(&mut self) -> Option<Packet> {
        self.bytes.clear();
        None
    }
}
