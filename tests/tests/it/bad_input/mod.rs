//! Bad input, byte by byte: each item gets what the specification or the contract says, only its connection suffers,
//! and no acknowledged message is lost.

mod connects;
mod inboxes;
mod packets;

use inbox_tests::{Broker, Packet, RawClient, Version};

/// A broker with a message that was acknowledged, and a well-behaved client that must go on being served.
pub(crate) struct Witness {
    pub(crate) broker: Broker,
    client: RawClient,
    rounds: usize,
}

impl Witness {
    pub(crate) fn start() -> Self {
        Witness::with(Broker::start())
    }

    pub(crate) fn with(broker: Broker) -> Self {
        let mut client = RawClient::reader(&broker, Version::V5, "witness", 1);
        client.publish("kept-for-later", "acknowledged", 1);
        client.subscribe("witness/topic", 1);
        Witness {
            broker,
            client,
            rounds: 0,
        }
    }

    /// Inbox and ordinary traffic of the witness, on the connection that it had from the beginning.
    pub(crate) fn is_served(&mut self) {
        self.rounds += 1;
        for topic in ["witness", "witness/topic"] {
            let text = format!("round {}", self.rounds);
            self.client.publish(topic, &text, 1);
            assert_eq!(self.client.texts(1), [text]);
        }
        self.client.expect_nothing();
    }

    /// The same, and the acknowledged message is still there.
    pub(crate) fn end(mut self) {
        self.is_served();
        let mut reader = RawClient::reader(&self.broker, Version::V5, "kept-for-later", 1);
        assert_eq!(reader.texts(1), ["acknowledged"]);
    }
}

/// Sends `bytes` on a fresh connected client: MQTT 5 gets DISCONNECT with one of `reasons`, 3.1.1 the close.
pub(crate) fn ends(witness: &mut Witness, version: Version, what: &str, bytes: &[u8], reasons: &[u8]) {
    let mut client = RawClient::clean(&witness.broker, version, "rude");
    client.send_despite_close(bytes);
    match version {
        Version::V311 => client.expect_close(),
        Version::V5 => {
            let (reason, _) = client.wait_for_disconnect();
            assert!(
                reasons.contains(&reason),
                "{what}: DISCONNECT {reason:#04x}, not one of {reasons:02x?}"
            );
            client.expect_close();
        }
    }
    witness.is_served();
}

/// Malformed packet or protocol error: sections 1.2 and 4.13.1 leave the border to the reader in places.
pub(crate) const MALFORMED: &[u8] = &[0x81, 0x82];

/// Sends a first packet; answers the CONNACK's code, or `None` for a close without one.
pub(crate) fn refused(witness: &mut Witness, version: Version, bytes: &[u8]) -> Option<u8> {
    let mut client = RawClient::open(&witness.broker, version);
    client.send_despite_close(bytes);
    let code = match client.next_or_close() {
        Some(Packet::ConnAck(connack)) => Some(connack.code),
        Some(Packet::Disconnect(reason, _)) => Some(reason),
        Some(other) => panic!("unexpected {other:?}"),
        None => None,
    };
    if code.is_some() {
        client.expect_close();
    }
    witness.is_served();
    code
}
