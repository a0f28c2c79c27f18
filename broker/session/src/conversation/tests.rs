//! Conversations from the first byte to the last, whatever comes and whenever: with random bytes, whole packets, and time.

mod paced;
mod quotas;
mod rules;
mod stuck;
mod tokens;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use access::{Denied, Identity};
use inbox_types::{Micros, Now};
use proptest::prelude::*;

use super::*;
use crate::session::Order;
use crate::session_table::tests::shared;
use crate::session_table::{Parted, Routed, Sessions};
use pubsub::{Published, Reach};

const CONNECT: &[u8] = b"\x10\x15\0\x04MQTT\x05\0\0\x0a\x05\x11\0\0\0\x3c\0\x03bob";
const CONNECT_311: &[u8] = b"\x10\x0f\0\x04MQTT\x04\x02\0\x05\0\x03bob";
const SUBSCRIBE: &[u8] = b"\x82\x09\0\x01\0\0\x03bob\x01";
const PUBLISH: &[u8] = b"\x32\x09\0\x03bob\0\x07\0x";
const PUBACK: &[u8] = &[0x40, 2, 0, 1];
const PINGREQ: &[u8] = &[0xC0, 0];
const DISCONNECT: &[u8] = &[0xE0, 0];

/// A conversation, and what its task and its client do.
struct Talk {
    conversation: Conversation,
    sessions: Sessions,
    shared: Arc<Shared>,
    now: Now,
    /// Received and not used.
    input: Vec<u8>,
    /// What the socket took.
    written: usize,
    closes: usize,
}

impl Talk {
    fn new() -> Self {
        Talk::with(shared())
    }

    fn with(shared: Arc<Shared>) -> Self {
        let now = shared.node.clock.now();
        Talk {
            conversation: Conversation::new(shared.clone(), SocketAddr::from(([127, 0, 0, 1], 9)).into(), now),
            sessions: Sessions::default(),
            shared,
            now,
            input: Vec::new(),
            written: 0,
            closes: 0,
        }
    }

    fn receive(&mut self, bytes: &[u8], decided: Result<(), Denied>) {
        self.input.extend_from_slice(bytes);
        loop {
            self.conversation.turn(self.now);
            let used = self.conversation.receive(&self.input, self.now);
            assert!(used <= self.input.len());
            self.input.drain(..used);
            if !self.carry_out(decided) && used == 0 {
                break;
            }
        }
    }

    /// Does what the conversation asks for. Tells whether that was anything.
    fn carry_out(&mut self, decided: Result<(), Denied>) -> bool {
        let mut any = false;
        while let Some(step) = self.conversation.next_step(self.now) {
            any = true;
            match step {
                Step::Authenticate(credentials) => {
                    let decided = decided.map(|()| Identity::anonymous(credentials.client_id));
                    self.conversation.authenticated(decided, self.now);
                }
                Step::Open {
                    identity, clean_start, ..
                } => {
                    let opened = self
                        .sessions
                        .open(identity.client_id(), clean_start, &self.shared, self.now.mono);
                    let Ok((session, present, _)) = opened else {
                        panic!("nobody else is connected")
                    };
                    self.conversation.opened(session, present, self.now);
                }
                Step::Route(call) => {
                    let routed = match call {
                        RouterCall::Publish(_, Some(ticket)) | RouterCall::PublishOnce(_, ticket, _) => {
                            Routed::Published(ticket, Ok(Published::Now(Reach::Somebody)))
                        }
                        RouterCall::Subscribe(call) => Routed::Subscribed(*call),
                        RouterCall::Publish(_, None) | RouterCall::Unsubscribe(..) => Routed::Done,
                    };
                    self.conversation.routed(routed, self.now);
                }
                Step::Close(session, ending) => {
                    self.closes += 1;
                    let (parted, _) = Parted::new(session, None, &ending);
                    self.sessions.close(parted, self.now.mono);
                }
            }
        }
        any
    }

    fn pass(&mut self, time: Duration, decided: Result<(), Denied>) {
        self.now.mono += time;
        self.now.wall = Micros(self.now.wall.0 + time.as_micros() as u64);
        if self.conversation.deadline(self.now) <= self.now.mono {
            self.conversation.timeout(self.now);
        }
        self.receive(&[], decided);
    }

    fn write(&mut self, most: usize) {
        let bytes = self.conversation.out().len().min(most);
        self.conversation.written(bytes, self.now);
        self.written += bytes;
    }

    /// What was said since the last look, all of it written.
    fn said(&mut self) -> Vec<u8> {
        let said = self.conversation.out().to_vec();
        self.write(usize::MAX);
        said
    }
}

#[test]
fn each_beginning_has_its_ending() {
    // Goal: what is received, who that is, what is answered, and how it ends; each ending once, with the session put away.
    let denied = Err(Denied::Anonymous);
    /// Packets, whether the client is let in, the answer, a word of the ending, and how often a session is put away.
    type Case<'c> = (&'c [&'c [u8]], Result<(), Denied>, &'c [u8], &'c str, usize);
    let cases: [Case<'_>; 7] = [
        (&[PINGREQ], Ok(()), &[], "the first packet is not CONNECT", 0),
        (&[CONNECT_311], denied, &[0x20, 2, 0, 5], "clients of other machines", 0),
        (
            &[CONNECT_311, DISCONNECT],
            Ok(()),
            &[0x20, 2, 0, 0],
            "said DISCONNECT",
            1,
        ),
        (
            &[CONNECT_311, PINGREQ, DISCONNECT],
            Ok(()),
            &[0x20, 2, 0, 0, 0xD0, 0],
            "said DISCONNECT",
            1,
        ),
        (&[CONNECT_311, CONNECT_311], Ok(()), &[0x20, 2, 0, 0], "Connect came", 1),
        (&[CONNECT_311, &[0xF0, 0]], Ok(()), &[0x20, 2, 0, 0], "is reserved", 1),
        (&[CONNECT_311, &[0x36, 0]], Ok(()), &[0x20, 2, 0, 0], "QoS 3", 1),
    ];
    for (packets, decided, answered, why, closes) in cases {
        // In one piece, and byte by byte.
        for piece in [usize::MAX, 1] {
            let mut talk = Talk::new();
            let bytes = packets.concat();
            for piece in bytes.chunks(piece.min(bytes.len())) {
                talk.receive(piece, decided);
            }
            let said = talk.said();
            assert_eq!(said, answered, "{packets:?}");
            let ending = talk.conversation.ending().map(ToString::to_string);
            assert!(
                ending.as_deref().is_some_and(|ending| ending.contains(why)),
                "{packets:?}: {ending:?}"
            );
            assert_eq!(talk.closes, closes, "{packets:?}");
        }
    }
}

#[test]
fn silence_ends_a_conversation_before_and_after_connect() {
    // Goal: no CONNECT within mqtt.connect_timeout, and nothing for one and a half times the keep alive of 5 s.
    let mut talk = Talk::new();
    talk.pass(talk.shared.mqtt.connect_timeout, Ok(()));
    assert_eq!(talk.conversation.ending(), Some(&Closed::Late.into()));
    let mut talk = Talk::new();
    talk.receive(CONNECT_311, Ok(()));
    talk.said();
    talk.pass(Duration::from_secs(7), Ok(()));
    assert_eq!(talk.conversation.ending(), None);
    talk.pass(Duration::from_secs(1), Ok(()));
    assert_eq!(talk.conversation.ending(), Some(&Closed::Silent.into()));
    assert_eq!(talk.closes, 1);
}

#[derive(Debug, Clone)]
enum Happens {
    Comes(Vec<u8>),
    Passes(u64),
    Writes(usize),
    Lost,
    TakenOver,
}

fn happens() -> impl Strategy<Value = Happens> {
    let whole = [CONNECT, CONNECT_311, SUBSCRIBE, PUBLISH, PUBACK, PINGREQ, DISCONNECT];
    let packet = proptest::sample::select(whole.to_vec()).prop_map(<[u8]>::to_vec);
    let cut = (packet.clone(), 0..30_usize).prop_map(|(bytes, at)| bytes[..at.min(bytes.len())].to_vec());
    prop_oneof![
        8 => packet.prop_map(Happens::Comes),
        2 => cut.prop_map(Happens::Comes),
        1 => proptest::collection::vec(any::<u8>(), 0..40).prop_map(Happens::Comes),
        2 => (0..20_000_u64).prop_map(Happens::Passes),
        3 => (0..200_usize).prop_map(Happens::Writes),
        1 => Just(Happens::Lost),
        1 => Just(Happens::TakenOver),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn whatever_happens_there_is_one_ending_and_nothing_after_it(
        begins in any::<bool>(),
        is_let_in in any::<bool>(),
        story in proptest::collection::vec(happens(), 1..60),
    ) {
        // Goal: no panic; the ending never changes and the session is put away once; after the goodbye nothing more is encoded; and it
        // is over at last, whatever the client does.
        let decided = if is_let_in { Ok(()) } else { Err(Denied::Anonymous) };
        let mut talk = Talk::new();
        if begins {
            talk.receive(CONNECT, decided);
        }
        let mut ended: Option<(Ending, usize)> = None;
        for happens in story {
            match happens {
                Happens::Comes(bytes) => talk.receive(&bytes, decided),
                Happens::Passes(millis) => talk.pass(Duration::from_millis(millis), decided),
                Happens::Writes(most) => talk.write(most),
                Happens::Lost => {
                    talk.conversation.lost(talk.now);
                    talk.receive(&[], decided);
                }
                Happens::TakenOver => {
                    if let Some(session) = talk.conversation.session() {
                        session.outbox().order(Order::TakenOver);
                    }
                    talk.receive(&[], decided);
                }
            }
            prop_assert!(talk.closes <= 1);
            let left = talk.conversation.out().len();
            match (&ended, talk.conversation.ending()) {
                (Some((before, said)), Some(now)) => {
                    prop_assert_eq!(before, now);
                    prop_assert!(talk.written + left <= *said, "something was said after the goodbye");
                }
                (Some(_), None) => prop_assert!(false, "it went on after its ending"),
                (None, Some(now)) => ended = Some((now.clone(), talk.written + left)),
                (None, None) => {}
            }
        }
        talk.conversation.lost(talk.now);
        talk.receive(&[], decided);
        talk.pass(Duration::from_secs(3600), decided);
        prop_assert!(talk.conversation.is_over());
    }
}

#[test]
fn what_carries_mqtt_counts_against_the_memory_budget() {
    // Goal: a connection over TLS counts more than one over TCP, with buffers and without, and gives all of it back.
    let mut talk = Talk::new();
    let used = |talk: &Talk| talk.shared.node.budgets.all.used();
    let plain = used(&talk);
    talk.conversation.carried_by(8192);
    assert_eq!(used(&talk), plain + 8192);
    talk.conversation.keeps(98_304, true);
    assert_eq!(used(&talk), 98_304 + 8192);
    let shared = talk.shared.clone();
    drop(talk);
    assert_eq!(shared.node.budgets.all.used(), 0);
}
