//! Clients that hold what they were sent without acknowledging it (`delivery.ack_timeout`).

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const MARGIN: Duration = Duration::from_millis(1);
const PUBREC: &[u8] = &[0x50, 2, 0, 1];
const PUBCOMP: &[u8] = &[0x70, 2, 0, 1];
const SUBSCRIBE_2: &[u8] = b"\x82\x09\0\x01\0\0\x03bob\x02";
const SUBSCRIBE_311: &[u8] = b"\x82\x08\0\x01\0\x03bob\x01";
/// With QoS 2, to the client's own inbox.
const PUBLISH_2: &[u8] = b"\x34\x09\0\x03bob\0\x07\0x";
const PUBLISH_311: &[u8] = b"\x32\x08\0\x03bob\0\x07x";

/// A client that was let in and reads, and may hold a message for three seconds.
fn reader(connect: &[u8], subscribe: &[u8]) -> Talk {
    let mut shared = shared();
    Arc::get_mut(&mut shared).unwrap().mqtt.ack_timeout = Some(3 * SECOND);
    let mut talk = Talk::with(shared);
    talk.receive(connect, Ok(()));
    talk.receive(subscribe, Ok(()));
    talk.said();
    talk
}

fn ended(talk: &Talk) -> Option<u8> {
    talk.conversation.ending().and_then(Ending::reason_code)
}

#[test]
fn rule_04_a_client_that_acknowledges_nothing_is_disconnected() {
    // Goal: contract rule 4: the time begins when the message is written, and a ping is no acknowledgement. MQTT 5 is told 0x83 and the key,
    // MQTT 3.1.1 closed; the session is put away, once.
    for (connect, subscribe, publish) in [(CONNECT, SUBSCRIBE, PUBLISH), (CONNECT_311, SUBSCRIBE_311, PUBLISH_311)] {
        let mut talk = reader(connect, subscribe);
        talk.receive(publish, Ok(()));
        talk.pass(4 * SECOND, Ok(()));
        assert_eq!(
            ended(&talk),
            None,
            "what the broker has not written is not the client's"
        );
        talk.said();
        talk.pass(3 * SECOND - MARGIN, Ok(()));
        talk.receive(PINGREQ, Ok(()));
        assert_eq!(ended(&talk), None);
        talk.said();
        assert!(talk.conversation.deadline(talk.now) <= talk.now.mono + MARGIN);
        talk.pass(MARGIN, Ok(()));
        assert_eq!((ended(&talk), talk.closes), (Some(0x83), 1));
        let told = talk.said();
        assert_eq!(told.is_empty(), connect == CONNECT_311);
        assert!(told.is_empty() || String::from_utf8_lossy(&told).contains("delivery.ack_timeout"));
    }
}

#[test]
fn rule_04_each_message_has_its_own_time() {
    // Goal: whoever acknowledges in time goes on, however long it does; the time of a later message began when that was written.
    let mut talk = reader(CONNECT, SUBSCRIBE);
    talk.receive(PUBLISH, Ok(()));
    talk.said();
    talk.pass(2 * SECOND, Ok(()));
    talk.receive(b"\x32\x09\0\x03bob\0\x08\0y", Ok(()));
    talk.said();
    talk.receive(PUBACK, Ok(()));
    talk.pass(3 * SECOND - MARGIN, Ok(()));
    assert_eq!(ended(&talk), None);
    talk.pass(MARGIN, Ok(()));
    assert_eq!(ended(&talk), Some(0x83), "it has not acknowledged the second");
}

#[test]
fn rule_04_a_client_that_owes_nothing_may_be_silent() {
    // Goal: without a message there is no time, and no timer; nor where it is not limited.
    let mut talk = reader(CONNECT, SUBSCRIBE);
    talk.receive(PUBLISH, Ok(()));
    talk.said();
    talk.receive(PUBACK, Ok(()));
    talk.pass(9 * SECOND, Ok(()));
    assert_eq!(ended(&talk), None);
    let mut talk = Talk::new();
    talk.receive(CONNECT, Ok(()));
    talk.receive(SUBSCRIBE, Ok(()));
    talk.receive(PUBLISH, Ok(()));
    talk.said();
    talk.pass(14 * SECOND, Ok(()));
    assert_eq!(ended(&talk), None);
}

#[test]
fn rule_04_with_qos_2_the_last_word_is_pubcomp() {
    // Goal: PUBREC is not enough, PUBCOMP is.
    for says_pubcomp in [false, true] {
        let mut talk = reader(CONNECT, SUBSCRIBE_2);
        talk.receive(PUBLISH_2, Ok(()));
        talk.said();
        talk.pass(2 * SECOND, Ok(()));
        talk.receive(PUBREC, Ok(()));
        talk.said();
        if says_pubcomp {
            talk.receive(PUBCOMP, Ok(()));
        }
        talk.pass(SECOND, Ok(()));
        assert_eq!(ended(&talk), (!says_pubcomp).then_some(0x83));
    }
}
