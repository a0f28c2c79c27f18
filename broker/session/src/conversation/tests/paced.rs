//! Mail that is sent no faster than `delivery.rate`.

use super::*;

const SUBSCRIBE_0: &[u8] = b"\x82\x08\0\x01\0\x03bob\0";
const SUBSCRIBE_1: &[u8] = b"\x82\x08\0\x01\0\x03bob\x01";

/// A client that reads its own inbox, at two messages a second.
fn reader(subscribe: &[u8]) -> Talk {
    let mut shared = shared();
    Arc::get_mut(&mut shared).unwrap().mqtt.delivery_rate = Some(2);
    let mut talk = Talk::with(shared);
    talk.receive(b"\x10\x0f\0\x04MQTT\x04\x02\0\0\0\x03bob", Ok(()));
    talk.receive(subscribe, Ok(()));
    talk.said();
    talk
}

/// It sends itself messages with these payloads.
fn write(talk: &mut Talk, texts: &str) {
    for (n, text) in (1..).zip(texts.bytes()) {
        talk.receive(&[0x32, 8, 0, 3, b'b', b'o', b'b', 0, n, text], Ok(()));
    }
}

/// The payloads that came since the last look, each of one letter.
fn came(talk: &mut Talk) -> String {
    let mut said = &talk.said()[..];
    let mut texts = String::new();
    while let [first, length, rest @ ..] = said {
        let (body, next) = rest.split_at(usize::from(*length));
        if first >> 4 == 3 {
            texts.push(char::from(*body.last().unwrap()));
        }
        said = next;
    }
    texts
}

#[test]
fn rule_04_mail_comes_no_faster_than_the_rate() {
    // Goal: one second's worth at once, then one for each half of a second, in order, whatever the QoS; answers to the client are not held up. The
    // conversation wakes for each, and for nothing when nothing is owed.
    for subscribe in [SUBSCRIBE_1, SUBSCRIBE_0] {
        let mut talk = reader(subscribe);
        write(&mut talk, "abcdef");
        talk.receive(PINGREQ, Ok(()));
        let pings = talk
            .conversation
            .out()
            .windows(2)
            .filter(|two| *two == [0xD0, 0])
            .count();
        assert_eq!(pings, 1);
        assert_eq!(came(&mut talk), "ab");
        for text in ["c", "d", "e", "f"] {
            let until = talk.conversation.deadline(talk.now).saturating_sub(talk.now.mono);
            assert!(until <= Duration::from_millis(500), "{until:?}");
            talk.pass(Duration::from_millis(499), Ok(()));
            assert_eq!(came(&mut talk), "");
            talk.pass(Duration::from_millis(1), Ok(()));
            assert_eq!(came(&mut talk), text);
        }
        talk.pass(Duration::from_secs(60), Ok(()));
        let until = talk.conversation.deadline(talk.now).saturating_sub(talk.now.mono);
        assert!(until > Duration::from_secs(600), "{until:?}");
        write(&mut talk, "ghi");
        assert_eq!(came(&mut talk), "gh", "silence saves up one second's worth");
    }
}

#[test]
fn rule_04_a_paced_reader_has_its_window_too() {
    // Goal: what is acknowledged makes room in the window, and the rate goes on holding; what the window holds up needs no timer.
    let mut talk = reader(SUBSCRIBE_1);
    write(&mut talk, "abc");
    assert_eq!(came(&mut talk), "ab");
    talk.receive(&[0x40, 2, 0, 1, 0x40, 2, 0, 2], Ok(()));
    assert_eq!(came(&mut talk), "");
    talk.pass(Duration::from_millis(500), Ok(()));
    assert_eq!(came(&mut talk), "c");
}
