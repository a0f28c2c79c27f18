//! Bytes into a session. Whatever a client sends, the broker answers in whole packets within the terms of that connection, and
//! serves the next client.

use inbox_bridge::{Limits, Store};
use inboxd::single::{ConnId, Ended};

use super::world::{World, packets, small_mqtt};
use crate::{Connect, Packet, Props, PublishPacket, Version, Will, ack, property, subscribe};

/// The smallest Maximum Packet Size that is asked for; CONNACK fits.
const PACKET_BYTES_MAX: u32 = 60;
/// Rounds after which a broker that nobody talks to must be at rest.
const ROUNDS_MAX: usize = 64;

/// The first byte says how the client connects, the second one how much of the others comes at a time.
///
/// | Bits of the first byte | |
/// |---|---|
/// | 0 | MQTT 5 |
/// | 1 | the handshake, too, is made of the bytes |
/// | 2, 3 | receive maximum: 1, 2, 65,535, none |
/// | 4 | a small Maximum Packet Size |
/// | 5 | the session is kept, and there is a will |
/// | 6 | the client takes topic aliases |
/// | 7 | mail waits in its inbox, and it has subscribed |
pub fn session(data: &[u8]) {
    let [terms, step, bytes @ ..] = data else { return };
    let limits = Limits {
        inbox_messages_max: 24,
        inbox_bytes_max: 16 * 1024,
        ..Limits::default()
    };
    let mut world = World::new(limits, small_mqtt());
    if terms & 0x80 != 0 {
        mail_for_eve(&mut world);
    }
    let mut client = Client::new(&mut world, *terms, bytes);
    client.play(&mut world, *terms, bytes, usize::from(*step).max(1));
    world.single.lost(client.conn);
    bystander(&mut world, "eve");
    bystander(&mut world, "bystander");
}

/// The client that the bytes are of.
struct Client {
    conn: ConnId,
    version: Version,
    packet_bytes_max: usize,
    topic_alias_max: u32,
    is_gone: bool,
}

impl Client {
    fn new(world: &mut World, terms: u8, bytes: &[u8]) -> Self {
        let is_raw = terms & 2 != 0;
        let version = match is_raw {
            true => version_of_connect(bytes),
            false if terms & 1 != 0 => Version::V5,
            false => Version::V311,
        };
        let said = version == Version::V5 && !is_raw;
        Client {
            conn: world.single.connect(),
            version,
            packet_bytes_max: if said && terms & 0x10 != 0 {
                PACKET_BYTES_MAX as usize
            } else {
                usize::MAX
            },
            topic_alias_max: if said && terms & 0x40 == 0 { 0 } else { u32::MAX },
            is_gone: false,
        }
    }

    fn play(&mut self, world: &mut World, terms: u8, mut bytes: &[u8], step: usize) {
        if terms & 2 == 0 {
            self.take(world, &handshake(self.version, terms));
            if terms & 0x80 != 0 {
                self.take(world, &subscribe(self.version, 7, "eve", terms >> 2 & 2, &Props::new()));
            }
        }
        let mut window = step.min(bytes.len());
        while !bytes.is_empty() && !self.is_gone {
            let used = self.take(world, &bytes[..window]);
            bytes = &bytes[used..];
            if used == 0 && window == bytes.len() {
                return;
            }
            // A packet that is not complete needs more.
            window = if used == 0 { window + step } else { step }.min(bytes.len());
        }
    }

    /// Lets the broker have bytes, and does all that follows from them.
    fn take(&mut self, world: &mut World, bytes: &[u8]) -> usize {
        let used = match world.feed(self.conn, bytes) {
            Ok(used) => used,
            Err(ended) => {
                self.ended(&ended);
                bytes.len()
            }
        };
        for round in 0.. {
            assert!(round < ROUNDS_MAX, "the broker does not come to rest");
            if self.is_gone {
                break;
            }
            if let Err(ended) = world.single.turn(self.conn) {
                self.ended(&ended);
                break;
            }
            let out = world.single.out(self.conn).to_vec();
            self.check(&out);
            world.single.written(self.conn, out.len());
            let read = world.read_pages();
            let wrote = commit(world);
            if out.is_empty() && read == 0 && !wrote {
                break;
            }
        }
        used
    }

    fn ended(&mut self, ended: &Ended) {
        self.is_gone = true;
        self.check(&ended.last);
        if let Some((reason, why)) = &ended.closed {
            assert!(*reason >= 0x80, "a connection is closed with an error: {reason:#04x}");
            assert!(!why.is_empty(), "and with a sentence");
        }
    }

    /// What the client is sent keeps what it asked for.
    fn check(&self, out: &[u8]) {
        let mut rest = out;
        while let Some((packet, used)) = Packet::take(self.version, rest) {
            assert!(
                used <= self.packet_bytes_max,
                "{used} bytes are over the Maximum Packet Size: {packet:?}"
            );
            if let Packet::Publish(publish) = &packet {
                let alias = publish.props.number(property::TOPIC_ALIAS);
                assert!(
                    alias.is_none_or(|alias| alias > 0 && alias <= self.topic_alias_max),
                    "{packet:?}"
                );
                assert!(alias.is_some() || !publish.topic.is_empty(), "{packet:?}");
            }
            rest = &rest[used..];
        }
        assert!(rest.is_empty(), "the broker writes whole packets: {rest:?}");
    }
}

fn commit(world: &World) -> bool {
    let pending = world.single.begin_commit(&*world.store, true);
    let wrote = !pending.batch().is_empty();
    let written = if wrote {
        world.store.commit(pending.batch())
    } else {
        Ok(())
    };
    world
        .single
        .finish_commit(pending, written)
        .expect("this store does not fail");
    wrote
}

fn handshake(version: Version, terms: u8) -> Vec<u8> {
    let mut connect = Connect::new(version, "eve");
    if terms & 0x20 != 0 {
        connect.clean = false;
        connect = connect.will(Will::new("eve", "gone"));
    }
    let mut props = Props::new();
    if terms & 0x20 != 0 {
        props = props.four(property::SESSION_EXPIRY, 600);
    }
    props = match terms >> 2 & 3 {
        0 => props.two(property::RECEIVE_MAXIMUM, 1),
        1 => props.two(property::RECEIVE_MAXIMUM, 2),
        2 => props.two(property::RECEIVE_MAXIMUM, u16::MAX),
        _ => props,
    };
    if terms & 0x10 != 0 {
        props = props.four(property::MAXIMUM_PACKET_SIZE, PACKET_BYTES_MAX);
    }
    if terms & 0x40 != 0 {
        props = props.two(property::TOPIC_ALIAS_MAXIMUM, 3);
    }
    if version == Version::V5 {
        connect.props(props).encode()
    } else {
        connect.encode()
    }
}

/// How a CONNECT, if it is one, is answered: levels below 5 as in MQTT 3.1.1, with the bit of bridges or without it. What is none is
/// not answered.
fn version_of_connect(bytes: &[u8]) -> Version {
    let length_bytes = bytes.iter().skip(1).take_while(|byte| **byte & 0x80 != 0).count() + 1;
    let name = bytes.get(1 + length_bytes..).unwrap_or_default();
    let level = name.split_first_chunk().and_then(|(length, rest)| {
        let length = usize::from(u16::from_be_bytes(*length));
        rest.get(length)
    });
    match level {
        Some(level) if level & 0x7f < 5 => Version::V311,
        _ => Version::V5,
    }
}

fn mail_for_eve(world: &mut World) {
    let conn = world.single.connect();
    let mut bytes = Connect::new(Version::V5, "mailer").encode();
    for n in 1..=6 {
        let qos = 1 + (n % 2) as u8;
        bytes.extend(PublishPacket::new("eve", vec![b'x'; usize::from(n) * 5], qos, n).encode(Version::V5));
    }
    assert_eq!(world.feed(conn, &bytes).unwrap(), bytes.len());
    commit(world);
    world.single.turn(conn).unwrap();
    assert!(
        packets(Version::V5, world.single.out(conn))
            .iter()
            .filter(|packet| matches!(packet, Packet::Ack(_)))
            .count()
            == 6
    );
    world.single.lost(conn);
}

/// A client that keeps the rules is served as if nothing had happened.
fn bystander(world: &mut World, id: &str) {
    let conn = world.single.connect();
    let mut bytes = Connect::new(Version::V5, id).encode();
    bytes.extend(subscribe(Version::V5, 1, id, 1, &Props::new()));
    bytes.extend(PublishPacket::new(id, "hello", 0, 0).encode(Version::V5));
    assert_eq!(world.feed(conn, &bytes), Ok(bytes.len()), "{id} is served");
    let (mut granted, mut hello) = (false, false);
    for round in 0.. {
        assert!(round < ROUNDS_MAX, "the broker does not come to rest");
        let said = world.take_packets(conn, Version::V5);
        for packet in &said {
            match packet {
                Packet::SubAck(suback) => granted = suback.codes == [1],
                Packet::Publish(publish) => {
                    assert!(granted, "contract rule 4: SUBACK first");
                    assert_eq!(publish.topic, id, "contract rule 1: its own mail");
                    hello |= publish.payload == b"hello" && publish.qos == 0;
                    if publish.qos == 1 {
                        let ack = ack(0x40, publish.packet_id);
                        assert_eq!(world.feed(conn, &ack), Ok(ack.len()));
                    }
                }
                _ => {}
            }
        }
        let read = world.read_pages();
        let wrote = commit(world);
        world.single.turn(conn).unwrap();
        if said.is_empty() && read == 0 && !wrote {
            break;
        }
    }
    assert!(granted && hello, "{id}: subscribed {granted}, QoS 0 to itself {hello}");
    let lost = world.single.mail_waiting(conn);
    assert_eq!(lost, (0, 0), "its mail is not left behind");
    world.single.lost(conn);
}
