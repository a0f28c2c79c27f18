use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream as StdStream};

use super::*;
use crate::publisher::{Names, Publisher, Stamp};

const WAIT: Duration = Duration::from_millis(1);
/// How long a test waits for what must happen.
const DEADLINE: Duration = Duration::from_secs(30);

/// Keeps what happens.
#[derive(Default)]
struct Recorder {
    packet_ids: Vec<u16>,
    ends: Vec<(LinkId, String)>,
    /// End the connection at the packet with this id.
    close_at: Option<u16>,
}

impl Handler for Recorder {
    fn packet(&mut self, links: &mut Links, link: LinkId, packet: Incoming<'_>, _: u64) {
        let Incoming::Publish { packet_id, .. } = packet else {
            panic!("{packet:?}")
        };
        self.packet_ids.push(packet_id);
        if self.close_at == Some(packet_id) {
            links.close(link);
        } else {
            packet::puback(links.out(link).unwrap(), packet_id);
        }
    }

    fn ended(&mut self, _: &mut Links, link: LinkId, error: LinkError) {
        self.ends.push((link, error.to_string()));
    }
}

/// A reactor with one connection, the other end of it, and `packets` publishes to send there.
fn connected(packets: u16, payload_bytes: usize) -> (Reactor, LinkId, StdStream, Vec<u8>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut reactor = Reactor::new(listener.local_addr().unwrap(), Wiring::default(), Clock::start()).unwrap();
    let link = reactor.links().open().unwrap();
    let (broker, _) = listener.accept().unwrap();
    broker.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut publisher = Publisher::new(&Names::new("t"), payload_bytes, packets);
    let mut bytes = Vec::new();
    for number in 0..u32::from(packets) {
        assert!(publisher.publish(
            &mut bytes,
            0,
            Stamp {
                stream: 0,
                number,
                due_ns: 0
            }
        ));
    }
    (reactor, link, broker, bytes)
}

fn turn_until(reactor: &mut Reactor, recorder: &mut Recorder, is_done: impl Fn(&Recorder) -> bool) {
    let begin = Instant::now();
    while !is_done(recorder) {
        assert!(
            begin.elapsed() < DEADLINE,
            "{:?} {:?}",
            recorder.packet_ids.len(),
            recorder.ends
        );
        reactor.turn(WAIT, recorder).unwrap();
    }
}

/// Goal: packets arrive whole and in order however the stream is cut, every answer is written, and the broker's end of
/// the connection is told after all that came before it (MQTT 3.1.1, section 4.2: an ordered, lossless stream).
#[test]
fn cut_packets_arrive_whole_and_in_order_and_then_the_end() {
    let (mut reactor, link, mut broker, bytes) = connected(200, 5000);
    let sender = std::thread::spawn(move || {
        for (turn, piece) in bytes.chunks(4093).enumerate() {
            broker.write_all(piece).unwrap();
            if turn % 16 == 0 {
                std::thread::yield_now();
            }
        }
        let mut answers = vec![0; 200 * 4];
        broker.read_exact(&mut answers).unwrap();
        answers
    });
    let mut recorder = Recorder::default();
    turn_until(&mut reactor, &mut recorder, |recorder| !recorder.ends.is_empty());
    assert_eq!(recorder.packet_ids, (1..=200).collect::<Vec<u16>>());
    assert_eq!(recorder.ends, [(link, LinkError::Closed.to_string())]);
    let answers = sender.join().unwrap();
    let acknowledged: Vec<u16> = answers
        .chunks(4)
        .map(|answer| u16::from_be_bytes([answer[2], answer[3]]))
        .collect();
    assert_eq!(acknowledged, recorder.packet_ids);
}

/// Goal: packets larger than the read buffer arrive.
#[test]
fn packets_larger_than_the_buffer_arrive() {
    let (mut reactor, _, mut broker, bytes) = connected(3, 3 * READ_BYTES);
    let sender = std::thread::spawn(move || {
        broker.write_all(&bytes).unwrap();
        broker
    });
    let mut recorder = Recorder::default();
    turn_until(&mut reactor, &mut recorder, |recorder| recorder.packet_ids.len() == 3);
    assert!(recorder.ends.is_empty());
    sender.join().unwrap();
}

/// Goal: what a connection still receives after it was closed here is nobody's, not even that of the next connection
/// in its place, and the broker gets DISCONNECT (section 3.14).
#[test]
fn a_closed_connection_is_silent_and_says_goodbye() {
    let (mut reactor, link, mut broker, bytes) = connected(5, 24);
    broker.write_all(&bytes).unwrap();
    let mut recorder = Recorder {
        close_at: Some(3),
        ..Recorder::default()
    };
    turn_until(&mut reactor, &mut recorder, |recorder| recorder.packet_ids.contains(&3));
    let mut answers = Vec::new();
    broker.read_to_end(&mut answers).unwrap();
    assert_eq!(answers, [0x40, 2, 0, 1, 0x40, 2, 0, 2, 0xE0, 0]);
    assert_eq!(reactor.links().open().unwrap(), link, "the id is free again");
    reactor.turn(WAIT, &mut recorder).unwrap();
    assert_eq!(recorder.packet_ids, [1, 2, 3]);
}
