//! The few MQTT packets that a benchmark needs, written and read by hand: of MQTT 3.1.1, and, where that is said, of MQTT 5.
//!
//! A client library costs several microseconds per message, which on a small machine would measure the library. Only
//! what the workloads use is here: QoS 1, no will, no PINGREQ in time.

/// Largest packet that is accepted, in bytes: more than that is a broken broker, not a benchmark.
pub(crate) const PACKET_BYTES_MAX: usize = 16 * 1024 * 1024;

/// PINGREQ (MQTT 3.1.1, section 3.12).
pub(crate) const PINGREQ: [u8; 2] = [0xC0, 0];
/// DISCONNECT (MQTT 3.1.1, section 3.14).
pub(crate) const DISCONNECT: [u8; 2] = [0xE0, 0];

/// A packet from the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Incoming<'a> {
    /// CONNACK with its return code (section 3.2).
    ConnAck(u8),
    /// PUBLISH (section 3.3). The packet id is 0 for QoS 0. In MQTT 5, the payload begins with the properties.
    Publish { packet_id: u16, payload: &'a [u8] },
    /// PUBACK (section 3.4).
    PubAck(u16),
    /// SUBACK with its last return code (section 3.9).
    SubAck(u8),
    /// PINGRESP (section 3.13).
    PingResp,
}

/// Why bytes from the broker are not a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    /// The remaining length has more than four bytes (section 2.2.3).
    #[error("the broker sent a remaining length of more than four bytes")]
    Length,
    /// The packet is longer than [`PACKET_BYTES_MAX`].
    #[error("the broker announced a packet of {0} bytes; this program takes at most {PACKET_BYTES_MAX}")]
    TooLong(usize),
    /// A packet of this kind (first byte) is not for a client, or not asked for here.
    #[error("the broker sent a packet that starts with {0:#04x}, which this program did not ask for")]
    Unexpected(u8),
    /// An MQTT 5 broker does not take a message.
    #[error("the broker refused a message with reason code {0:#04x}")]
    Refused(u8),
    /// A packet ends before its fields do.
    #[error("the broker sent a packet (first byte {0:#04x}) that is too short for its fields")]
    Short(u8),
}

/// Reads the packet that `bytes` begins with, and its length in bytes. `None`: there is not yet a whole packet.
pub(crate) fn decode(bytes: &[u8]) -> Result<Option<(Incoming<'_>, usize)>, FrameError> {
    let Some((&first, rest)) = bytes.split_first() else {
        return Ok(None);
    };
    let Some((remaining, length_bytes)) = decode_length(rest)? else {
        return Ok(None);
    };
    let header = 1 + length_bytes;
    if header + remaining > PACKET_BYTES_MAX {
        return Err(FrameError::TooLong(header + remaining));
    }
    let Some(body) = bytes.get(header..header + remaining) else {
        return Ok(None);
    };
    let short = FrameError::Short(first);
    let packet = match first >> 4 {
        2 => Incoming::ConnAck(*body.get(1).ok_or(short)?),
        3 => decode_publish(first, body).ok_or(short)?,
        4 => match read_u16(body).ok_or(short)? {
            (_, [reason, ..]) if *reason >= 0x80 => return Err(FrameError::Refused(*reason)),
            (packet_id, _) => Incoming::PubAck(packet_id),
        },
        9 => Incoming::SubAck(*body.get(2..).and_then(<[u8]>::last).ok_or(short)?),
        13 => Incoming::PingResp,
        _ => return Err(FrameError::Unexpected(first)),
    };
    Ok(Some((packet, header + remaining)))
}

/// Appends CONNECT with the longest keep alive, 18 hours, because some brokers refuse 0 (section 3.1). With a password, the client ID is the
/// user name, too.
pub(crate) fn connect(out: &mut Vec<u8>, is_v5: bool, client_id: &str, clean_session: bool, password: Option<&str>) {
    let login_bytes = password.map_or(0, |password| 2 + client_id.len() + 2 + password.len());
    out.push(0x10);
    remaining_length(out, 10 + usize::from(is_v5) + 2 + client_id.len() + login_bytes);
    string(out, "MQTT");
    let flags = u8::from(clean_session) << 1 | if password.is_some() { 0xC0 } else { 0 };
    out.extend_from_slice(&[4 + u8::from(is_v5), flags, 0xFF, 0xFF]);
    no_properties(out, is_v5);
    string(out, client_id);
    if let Some(password) = password {
        string(out, client_id);
        string(out, password);
    }
}

/// Appends SUBSCRIBE at QoS 1 (section 3.8). One per connection, so its packet id is always 1.
pub(crate) fn subscribe(out: &mut Vec<u8>, is_v5: bool, filter: &str) {
    out.push(0x82);
    remaining_length(out, 2 + usize::from(is_v5) + 2 + filter.len() + 1);
    out.extend_from_slice(&[0, 1]);
    no_properties(out, is_v5);
    string(out, filter);
    out.push(1);
}

/// Appends PUBACK (section 3.4).
pub(crate) fn puback(out: &mut Vec<u8>, packet_id: u16) {
    let [high, low] = packet_id.to_be_bytes();
    out.extend_from_slice(&[0x40, 2, high, low]);
}

/// The beginning of a QoS 1 PUBLISH: fixed header, and the topic but for its last `topic_tail_bytes` bytes.
///
/// The rest of the topic, the packet id and `payload_bytes` bytes of payload, with the properties of MQTT 5, follow (section 3.3).
pub(crate) fn publish_head(topic_head: &str, topic_tail_bytes: usize, payload_bytes: usize) -> Vec<u8> {
    let topic_bytes = topic_head.len() + topic_tail_bytes;
    let mut out = vec![0x32];
    remaining_length(&mut out, 2 + topic_bytes + 2 + payload_bytes);
    out.extend_from_slice(&length_u16(topic_bytes).to_be_bytes());
    out.extend_from_slice(topic_head.as_bytes());
    out
}

fn decode_publish(first: u8, body: &[u8]) -> Option<Incoming<'_>> {
    let (topic_bytes, rest) = read_u16(body)?;
    let rest = rest.get(usize::from(topic_bytes)..)?;
    if (first >> 1) & 3 == 0 {
        return Some(Incoming::Publish {
            packet_id: 0,
            payload: rest,
        });
    }
    let (packet_id, payload) = read_u16(rest)?;
    Some(Incoming::Publish { packet_id, payload })
}

/// The remaining length and how many bytes it takes (section 2.2.3).
fn decode_length(bytes: &[u8]) -> Result<Option<(usize, usize)>, FrameError> {
    let mut value = 0;
    for (at, &byte) in bytes.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7F) << (7 * at);
        if byte & 0x80 == 0 {
            return Ok(Some((value, at + 1)));
        }
    }
    if bytes.len() >= 4 {
        Err(FrameError::Length)
    } else {
        Ok(None)
    }
}

pub(crate) fn read_u16(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<2>()?;
    Some((u16::from_be_bytes(*number), rest))
}

/// MQTT 5 says how many there are where MQTT 3.1.1 has none.
fn no_properties(out: &mut Vec<u8>, is_v5: bool) {
    if is_v5 {
        out.push(0);
    }
}

/// Appends a variable byte integer (MQTT 5, section 1.5.5).
pub(crate) fn remaining_length(out: &mut Vec<u8>, mut value: usize) {
    loop {
        let byte = (value & 0x7F) as u8;
        value >>= 7;
        if value == 0 {
            out.push(byte);
            return;
        }
        out.push(byte | 0x80);
    }
}

pub(crate) fn string(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&length_u16(text.len()).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// Names are made from a checked prefix of at most 64 bytes, so this never cuts.
fn length_u16(bytes: usize) -> u16 {
    u16::try_from(bytes).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: packets cut anywhere are recognised once they are whole, and not before (MQTT 3.1.1, section 2.2.3).
    #[test]
    fn a_packet_is_read_only_when_it_is_whole() {
        let mut bytes = publish_head("bob", 0, 300);
        bytes.extend_from_slice(&[0x12, 0x34]);
        bytes.extend(std::iter::repeat_n(7, 300));
        for cut in 0..bytes.len() {
            assert_eq!(decode(&bytes[..cut]), Ok(None), "cut at {cut}");
        }
        let whole = bytes.len();
        puback(&mut bytes, 9);
        let (packet, used) = decode(&bytes).unwrap().unwrap();
        assert_eq!(
            packet,
            Incoming::Publish {
                packet_id: 0x1234,
                payload: &[7; 300]
            }
        );
        assert_eq!(used, whole);
        assert_eq!(decode(&bytes[used..]), Ok(Some((Incoming::PubAck(9), 4))));
    }

    /// Goal: the short answers are read as the specification lays them out (sections 3.2, 3.9, 3.13).
    #[test]
    fn answers_are_read() {
        assert_eq!(decode(&[0x20, 2, 1, 0]), Ok(Some((Incoming::ConnAck(0), 4))));
        assert_eq!(decode(&[0x20, 2, 0, 5]), Ok(Some((Incoming::ConnAck(5), 4))));
        assert_eq!(decode(&[0x90, 3, 0, 1, 0x80]), Ok(Some((Incoming::SubAck(0x80), 5))));
        assert_eq!(decode(&[0xD0, 0]), Ok(Some((Incoming::PingResp, 2))));
        // Of MQTT 5, with properties and without.
        assert_eq!(decode(&[0x90, 4, 0, 1, 0, 0x87]), Ok(Some((Incoming::SubAck(0x87), 6))));
        assert_eq!(decode(&[0x40, 4, 0, 9, 0, 0]), Ok(Some((Incoming::PubAck(9), 6))));
        assert_eq!(decode(&[0x40, 3, 0, 9, 0x97]), Err(FrameError::Refused(0x97)));
        let qos_0 = [0x30, 4, 0, 1, b'a', b'x'];
        assert_eq!(
            decode(&qos_0),
            Ok(Some((
                Incoming::Publish {
                    packet_id: 0,
                    payload: b"x"
                },
                6
            )))
        );
    }

    /// Goal: bytes that are not MQTT end the run with a reason instead of a panic or an endless wait.
    #[test]
    fn broken_bytes_are_refused() {
        assert_eq!(decode(&[0x30, 0xFF, 0xFF, 0xFF, 0xFF]), Err(FrameError::Length));
        assert!(matches!(
            decode(&[0x30, 0xFF, 0xFF, 0xFF, 0x7F]),
            Err(FrameError::TooLong(_))
        ));
        assert_eq!(decode(&[0x40, 1, 0]), Err(FrameError::Short(0x40)));
        assert_eq!(decode(&[0x32, 3, 0, 9, b'a']), Err(FrameError::Short(0x32)));
        assert_eq!(decode(&[0x10, 0]), Err(FrameError::Unexpected(0x10)));
    }

    /// Goal: CONNECT and SUBSCRIBE are, byte for byte, what sections 3.1 and 3.8 ask for.
    #[test]
    fn requests_are_written_as_specified() {
        let mut out = Vec::new();
        connect(&mut out, false, "a", true, None);
        assert_eq!(
            out,
            [0x10, 13, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0xFF, 0xFF, 0, 1, b'a']
        );
        out.clear();
        connect(&mut out, false, "a", false, None);
        assert_eq!(out[9], 0);
        out.clear();
        connect(&mut out, false, "a", true, Some("pw"));
        assert_eq!((out[1], out[9]), (20, 0xC2));
        assert!(out.ends_with(&[0, 1, b'a', 0, 1, b'a', 0, 2, b'p', b'w']));
        out.clear();
        subscribe(&mut out, false, "bob");
        assert_eq!(out, [0x82, 8, 0, 1, 0, 3, b'b', b'o', b'b', 1]);
        out.clear();
        connect(&mut out, true, "a", true, None);
        assert_eq!(
            out[1..],
            [14, 0, 4, b'M', b'Q', b'T', b'T', 5, 2, 0xFF, 0xFF, 0, 0, 1, b'a']
        );
        out.clear();
        subscribe(&mut out, true, "bob");
        assert_eq!(out, [0x82, 9, 0, 1, 0, 0, 3, b'b', b'o', b'b', 1]);
    }
}
