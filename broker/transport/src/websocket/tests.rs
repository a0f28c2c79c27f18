//! Tests of frames against tungstenite, of the stream over pipes in memory, and of requests.

use std::io::Write;

use proptest::prelude::*;
use tokio::io::{DuplexStream, duplex};
use tungstenite::protocol::Role;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};
use tungstenite::{Message, WebSocket as Theirs};

use super::*;
use crate::fuzzing::{Oracle, decoded, frames};

/// A masked frame.
fn frame(opcode: OpCode, is_final: bool, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    let header = FrameHeader {
        is_final,
        opcode,
        mask: Some(mask),
        ..FrameHeader::default()
    };
    let mut frame = Vec::new();
    header.format(payload.len() as u64, &mut frame).unwrap();
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

fn binary(payload: &[u8]) -> Vec<u8> {
    frame(OpCode::Data(Data::Binary), true, payload, [1, 2, 3, 4])
}

/// Messages in fragments with pings and pongs between them: the bytes, and the payload that they carry.
fn messages() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let payload = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        prop::collection::vec(any::<u8>(), 65_500..65_600),
    ];
    let fragment = (payload, any::<[u8; 4]>(), any::<Option<bool>>());
    let message = prop::collection::vec(fragment, 1..4);
    prop::collection::vec(message, 1..5).prop_map(|messages| {
        let (mut bytes, mut carried) = (Vec::new(), Vec::new());
        for message in messages {
            let last = message.len() - 1;
            for (at, (payload, mask, control)) in message.into_iter().enumerate() {
                let opcode = if at == 0 { Data::Binary } else { Data::Continue };
                if let Some(is_ping) = control {
                    let control = if is_ping { Control::Ping } else { Control::Pong };
                    bytes.extend(frame(OpCode::Control(control), true, &mask, mask));
                }
                bytes.extend(frame(OpCode::Data(opcode), at == last, &payload, mask));
                carried.extend(payload);
            }
        }
        (bytes, carried)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn mqtt_6_0_0_2_payload_comes_out_however_it_is_split((bytes, carried) in messages(), split in 1_usize..2000) {
        // Goal: MQTT-6.0.0-2: fragments, control frames between them and reads that end anywhere leave the bytes of MQTT as they were, and
        // tungstenite says the same of them.
        let (payload, _, end) = decoded(bytes.chunks(split).map(<[u8]>::to_vec));
        prop_assert_eq!((&payload, end), (&carried, None));
        prop_assert_eq!(Oracle::new(&bytes).read(), (carried, false));
    }

    #[test]
    fn any_bytes_are_frames_or_refused_as_elsewhere(mut bytes in prop::collection::vec(any::<u8>(), 0..80), split in 1_usize..20) {
        // Goal: whatever comes, the result does not depend on reads, nothing panics, and the rules are those of tungstenite. Half of the
        // inputs begin like a frame of a client.
        frames(&bytes, split);
        if let [first, second, ..] = bytes.as_mut_slice() {
            *first &= 0x8F;
            *second = 0x80 | (*second % 127);
        }
        frames(&bytes, split);
    }

    #[test]
    fn a_damaged_stream_is_refused_as_elsewhere((mut bytes, _) in messages(), at in any::<prop::sample::Index>(), with in any::<u8>()) {
        // Goal: one wrong byte in frames that are right.
        let at = at.index(bytes.len());
        bytes[at] ^= with;
        frames(&bytes, 700);
    }
}

#[test]
fn each_rule_of_frames_has_its_status_code() {
    // Goal: RFC 6455: every way to break a rule ends the stream with the status code for it, after what came before has counted; a frame
    // of 2^63 bytes is refused by its header alone.
    let long = |length: u64| [&[0x82, 0xFF][..], &length.to_be_bytes(), &[0; 4]].concat();
    let ping = |n| frame(OpCode::Control(Control::Ping), true, &vec![0; n], [9; 4]);
    let close = |payload: &[u8]| frame(OpCode::Control(Control::Close), true, payload, [9; 4]);
    let part = |opcode, is_final| frame(OpCode::Data(opcode), is_final, b"x", [7; 4]);
    for (what, bytes, status) in [
        ("2^63 bytes", long(1 << 63), 1009),
        ("2^64 - 1 bytes", long(u64::MAX), 1009),
        ("257 MiB", long(257 << 20), 1009),
        ("text", part(Data::Text, true), 1003),
        ("no mask", vec![0x82, 1, b'x'], 1002),
        ("an extension", vec![0xC2, 0x80, 0, 0, 0, 0], 1002),
        ("no such opcode", vec![0x83, 0x80, 0, 0, 0, 0], 1002),
        ("no such control opcode", vec![0x8B, 0x80, 0, 0, 0, 0], 1002),
        ("a long ping", ping(126), 1002),
        (
            "half a ping",
            frame(OpCode::Control(Control::Ping), false, b"", [0; 4]),
            1002,
        ),
        ("a continuation of nothing", part(Data::Continue, true), 1002),
        (
            "a message within one",
            [part(Data::Binary, false), part(Data::Binary, true)].concat(),
            1002,
        ),
        ("half a status code", close(&[3]), 1002),
        ("a status code that is none", close(&1005_u16.to_be_bytes()), 1002),
        ("a reason that is no text", close(&[3, 0xE8, 0xFF]), 1007),
    ] {
        let bytes = [binary(b"before"), bytes, binary(b"behind")].concat();
        let (payload, _, end) = decoded([bytes]);
        assert!(payload.starts_with(b"before") && payload.len() <= 7, "{what}");
        let Some(frames::End::Broken(violation)) = end else {
            panic!("{what}: {end:?}");
        };
        assert_eq!(violation.status(), status, "{what}: {violation}");
    }
    assert_eq!(decoded([ping(125)]).1.map(|ping| ping.len()), Some(125));
    assert_eq!(decoded([close(b"")]).2, Some(frames::End::Closed(None)));
    assert_eq!(decoded([close(&[3, 0xE9])]).2, Some(frames::End::Closed(Some(1001))));
}

/// What a client by tungstenite makes of these bytes.
fn read_by_client(bytes: Vec<u8>) -> Vec<Message> {
    struct Socket(std::io::Cursor<Vec<u8>>);
    impl std::io::Read for Socket {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            std::io::Read::read(&mut self.0, buffer)
        }
    }
    impl Write for Socket {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut client = Theirs::from_raw_socket(Socket(std::io::Cursor::new(bytes)), Role::Client, None);
    std::iter::from_fn(|| client.read().ok()).collect()
}

/// Both ends of a connection whose socket takes and gives `room` bytes at a time.
fn pair(room: usize) -> (WebSocket<DuplexStream>, DuplexStream) {
    let (server, client) = duplex(room);
    (WebSocket::new(server), client)
}

#[tokio::test]
async fn what_is_written_arrives_in_whole_frames_between_which_pings_are_answered() {
    // Goal: a socket that takes a few bytes at a time changes nothing; pongs and the close frame are never inside a data frame; of pings that
    // come together the last one is answered (RFC 6455, section 5.5.3).
    for room in [1, 7, 100, 1 << 20] {
        let (mut server, mut client) = pair(room);
        let sent: Vec<u8> = (0..150_000_u32).map(|n| n as u8).collect();
        let expected = sent.clone();
        let (is_written, mut written) = tokio::sync::oneshot::channel();
        let task = tokio::spawn(async move {
            let (mut reader, mut writer) = tokio::io::split(&mut server);
            let mut came = Vec::new();
            let read = async { reader.read_to_end(&mut came).await.unwrap() };
            let write = async {
                writer.write_all(&sent).await.unwrap();
                writer.flush().await.unwrap();
                is_written.send(()).unwrap();
            };
            tokio::join!(read, write);
            came
        });
        let (mut reader, mut writer) = tokio::io::split(&mut client);
        let mut raw = Vec::new();
        let say = async {
            for part in [&b"ab"[..], b"", b"cde"] {
                let ping = frame(OpCode::Control(Control::Ping), true, part, [5, 6, 7, 8]);
                writer.write_all(&[binary(part), ping].concat()).await.unwrap();
            }
        };
        let hear = async {
            loop {
                tokio::select! {
                    read = reader.read_buf(&mut raw) => drop(read.unwrap()),
                    _ = &mut written => break,
                }
            }
        };
        tokio::join!(say, hear);
        let close = frame(OpCode::Control(Control::Close), true, &[3, 0xE8], [1; 4]);
        writer.write_all(&close).await.unwrap();
        reader.read_to_end(&mut raw).await.unwrap();
        assert_eq!(task.await.unwrap(), b"abcde");
        let (mut carried, mut pongs) = (Vec::new(), Vec::new());
        for message in read_by_client(raw) {
            match message {
                Message::Binary(bytes) => carried.extend_from_slice(&bytes),
                Message::Pong(bytes) => pongs.push(bytes),
                Message::Close(_) => {}
                other => panic!("{other:?}"),
            }
        }
        assert!(carried == expected, "{} bytes arrived", carried.len());
        assert_eq!(pongs.last().map(|pong| &pong[..]), Some(&b"cde"[..]), "room for {room}");
    }
}

#[tokio::test]
async fn both_ends_can_close() {
    // Goal: RFC 6455, section 7: a close frame is answered with its status code and is the end of what is read; ours comes before the end of
    // the stream; a violation is an error that names the rule, and its status code is sent.
    let (mut server, mut client) = pair(4096);
    let close = frame(OpCode::Control(Control::Close), true, &[3, 0xE9], [1; 4]);
    client.write_all(&[binary(b"last"), close].concat()).await.unwrap();
    let mut came = Vec::new();
    server.read_to_end(&mut came).await.unwrap();
    assert_eq!(came, b"last");
    drop(server);
    let mut told = Vec::new();
    client.read_to_end(&mut told).await.unwrap();
    assert_eq!(told, [0x88, 2, 3, 0xE9]);

    let (mut server, mut client) = pair(4096);
    server.write_all(b"bye").await.unwrap();
    server.shutdown().await.unwrap();
    told.clear();
    client.read_to_end(&mut told).await.unwrap();
    assert_eq!(told, [&[0x82, 3][..], b"bye", &[0x88, 2, 3, 0xE8]].concat());

    let (mut server, mut client) = pair(4096);
    let text = frame(OpCode::Data(Data::Text), true, b"hello", [1; 4]);
    client.write_all(&[binary(b"first"), text].concat()).await.unwrap();
    let mut buffer = [0; 5];
    server.read_exact(&mut buffer).await.unwrap();
    assert_eq!(&buffer, b"first", "what came before counts");
    let error = server.read(&mut buffer).await.unwrap_err();
    assert_eq!(error.get_ref().unwrap().downcast_ref(), Some(&Violation::Text));
    server.write_all(b"goes nowhere").await.unwrap();
    server.shutdown().await.unwrap();
    told.clear();
    client.read_to_end(&mut told).await.unwrap();
    assert_eq!(told, [0x88, 2, 3, 0xEB]);
}

const GOOD: &str = "GET /mqtt HTTP/1.1\r\nHost: broker.example:8083\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
                    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
                    Sec-WebSocket-Protocol: mqttv3.1, mqtt\r\n\r\n";

fn ask(head: &str, origins: &[&str], peer: &str) -> Result<upgrade::Granted, UpgradeError> {
    let rules = WebSocketRules {
        paths: vec!["/mqtt".into(), "/".into()],
        origins: origins.iter().map(|origin| (*origin).to_owned()).collect(),
        same_host: origins.is_empty(),
    };
    upgrade::answer(head.as_bytes(), &rules, peer.parse().unwrap())
}

#[test]
fn a_request_is_granted_or_told_what_is_wrong() {
    // Goal: RFC 6455, section 4.2 and MQTT-6.0.0-3: the answer to a right request, with the example of section 1.3; and the reason for
    // each that is not, with its HTTP status.
    let granted = ask(GOOD, &[], "192.0.2.1").unwrap();
    let answer = granted.answer();
    assert!(answer.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    assert!(answer.contains("Sec-WebSocket-Protocol: mqtt\r\n") && granted.token.is_none());
    assert!(ask(&GOOD.replace("/mqtt ", "/ "), &[], "192.0.2.1").is_ok());
    for (from, to, error, status) in [
        ("GET", "POST", UpgradeError::NotAnUpgrade, "426"),
        ("Upgrade: websocket", "Upgrade: h2c", UpgradeError::NotAnUpgrade, "426"),
        (
            "Connection: keep-alive, Upgrade",
            "Connection: close",
            UpgradeError::NotAnUpgrade,
            "426",
        ),
        ("/mqtt ", "/other ", UpgradeError::Path, "404"),
        ("Version: 13", "Version: 8", UpgradeError::Version, "426"),
        ("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ=", UpgradeError::Key, "400"),
        ("mqttv3.1, mqtt", "mqttv3.1", UpgradeError::Subprotocol, "400"),
        ("mqttv3.1, mqtt", "MQTT", UpgradeError::Subprotocol, "400"),
        ("Sec-WebSocket-Protocol", "X-Protocol", UpgradeError::Subprotocol, "400"),
        ("HTTP/1.1", "MQTT/3.1", UpgradeError::NotHttp, "400"),
        ("Host:", "Ho st:", UpgradeError::NotHttp, "400"),
    ] {
        let refused = ask(&GOOD.replace(from, to), &[], "192.0.2.1").err();
        assert_eq!(refused, Some(error), "{to}");
        let answer = error.answer();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(answer.ends_with(&format!("\r\n\r\n{error}\n")), "{answer}");
    }
    let many = GOOD.replace("Host:", &format!("{}Host:", "A: b\r\n".repeat(65)));
    assert_eq!(ask(&many, &[], "192.0.2.1").err(), Some(UpgradeError::TooLong));
}

#[test]
fn pages_connect_from_listed_origins_or_from_the_same_host() {
    // Goal: which web pages may connect: those listed, or with an empty list those of the same host; and of pages of a name that points to this
    // machine none that is not listed (DNS rebinding). Clients without Origin are no pages.
    let from = |origin: &str, host: &str, origins: &[&str], peer: &str| {
        let head = GOOD.replace(
            "Host: broker.example:8083",
            &format!("Host: {host}\r\nOrigin: {origin}"),
        );
        ask(&head, origins, peer).is_ok()
    };
    let far = "192.0.2.1";
    assert!(from("https://broker.example:8083", "broker.example:8083", &[], far));
    assert!(from("https://Broker.example", "broker.example", &[], far));
    assert!(from("https://broker.example", "broker.example:443", &[], far));
    assert!(!from("https://evil.example", "broker.example:8083", &[], far));
    assert!(!from("https://broker.example:9", "broker.example:8083", &[], far));
    assert!(!from("null", "broker.example", &[], far));
    let listed = &["https://page.example"][..];
    assert!(from("https://page.example", "broker.example", listed, far));
    assert!(from("HTTPS://PAGE.example", "broker.example", listed, far));
    assert!(!from("http://page.example", "broker.example", listed, far));
    assert!(
        !from("https://broker.example", "broker.example", listed, far),
        "a list is the whole list"
    );
    assert!(from("https://evil.example", "broker.example", &["*"], far));
    for (host, allowed) in [
        ("127.0.0.1:8083", true),
        ("[::1]:8083", true),
        ("localhost:8083", true),
        ("rebound.example:8083", false),
    ] {
        assert_eq!(
            from(&format!("http://{host}"), host, &[], "127.0.0.1"),
            allowed,
            "{host}"
        );
    }
}

#[test]
fn a_token_comes_in_the_header_or_in_the_url() {
    // Goal: `Authorization: Bearer`, or `?token=` with its escapes; the header counts more, and nothing else is a token.
    let with = |head: &str, query: &str| {
        let request = GOOD
            .replace("/mqtt ", &format!("/mqtt{query} "))
            .replace("Host:", &format!("{head}Host:"));
        ask(&request, &[], "192.0.2.1").unwrap().token
    };
    assert_eq!(with("", "?a=b&token=x%2By+z").as_deref(), Some("x+y z"));
    assert_eq!(
        with("authorization: bearer abc\r\n", "?token=x").as_deref(),
        Some("abc")
    );
    assert_eq!(with("Authorization: Basic abc\r\n", "?token=").as_deref(), None);
    assert_eq!(with("", "?tokens=x").as_deref(), None);
}
