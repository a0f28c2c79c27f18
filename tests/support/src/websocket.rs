//! The client's side of WebSocket (RFC 6455), as far as tests and benchmarks need it: binary frames both ways, one for each write.

/// The request that begins a connection. Its key is a constant, because nobody is to be kept from replaying it.
pub const REQUEST: &str = "GET /mqtt HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n";

/// Masks are there to protect proxies (section 10.3), of which there are none here. One that is not 0 makes both sides work as they have to.
const MASK: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];
const ANSWER_BYTES_MAX: usize = 4096;

/// Why no more MQTT comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoMore {
    /// The broker closed the WebSocket.
    Closed,
    /// The broker did not agree to WebSocket.
    Refused,
}

/// What was read up to now.
#[derive(Debug)]
pub enum Frames {
    /// This much of the answer to the request.
    Answer(Vec<u8>),
    /// This much of the head of a frame.
    Head(Vec<u8>),
    /// A head; so many bytes of its payload are to come, and whether they are MQTT.
    Payload(u64, bool),
    /// The broker closed the WebSocket.
    Closed,
}

impl Default for Frames {
    fn default() -> Self {
        Frames::Answer(Vec::new())
    }
}

impl Frames {
    /// Whether the broker has agreed.
    pub fn is_open(&self) -> bool {
        !matches!(self, Frames::Answer(_))
    }

    /// Whether nothing more comes.
    pub fn is_closed(&self) -> bool {
        matches!(self, Frames::Closed)
    }

    /// Moves what is MQTT in `bytes` to their front, and says how much that is.
    ///
    /// # Errors
    /// No more comes. What came together with the end is given first.
    pub fn open(&mut self, bytes: &mut [u8]) -> Result<usize, NoMore> {
        let (mut from, mut to) = (0, 0);
        while from < bytes.len() {
            match self {
                Frames::Payload(left, is_mqtt) => {
                    let take = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len() - from);
                    if *is_mqtt {
                        bytes.copy_within(from..from + take, to);
                        to += take;
                    }
                    from += take;
                    *left -= take as u64;
                    if *left == 0 {
                        *self = Frames::Head(Vec::new());
                    }
                }
                Frames::Answer(answer) => {
                    answer.extend(bytes.get(from));
                    from += 1;
                    if answer.ends_with(b"\r\n\r\n") {
                        if !answer.starts_with(b"HTTP/1.1 101 ") {
                            return Err(NoMore::Refused);
                        }
                        *self = Frames::Head(Vec::new());
                    } else if answer.len() > ANSWER_BYTES_MAX {
                        return Err(NoMore::Refused);
                    }
                }
                Frames::Head(head) => {
                    head.extend(bytes.get(from));
                    from += 1;
                    if let Some((opcode, length)) = parse(head) {
                        const CLOSE: u8 = 8;
                        *self = match length {
                            _ if opcode == CLOSE => Frames::Closed,
                            0 => Frames::Head(Vec::new()),
                            _ => Frames::Payload(length, opcode < CLOSE),
                        };
                    }
                }
                Frames::Closed => break,
            }
        }
        match self {
            Frames::Closed if to == 0 => Err(NoMore::Closed),
            _ => Ok(to),
        }
    }

    /// Appends one frame with all of `out` to `framed`, and empties `out`.
    pub fn seal(&self, out: &mut Vec<u8>, framed: &mut Vec<u8>) {
        if out.is_empty() {
            return;
        }
        framed.push(0x82);
        match out.len() {
            short @ 0..=125 => framed.push(0x80 | short as u8),
            medium @ 126..=0xFFFF => {
                framed.push(0x80 | 126);
                framed.extend((medium as u16).to_be_bytes());
            }
            long => {
                framed.push(0x80 | 127);
                framed.extend((long as u64).to_be_bytes());
            }
        }
        framed.extend(MASK);
        framed.extend(out.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        out.clear();
    }
}

/// The opcode and the length of the payload, once the head is whole. A broker masks nothing.
fn parse(head: &[u8]) -> Option<(u8, u64)> {
    let (first, rest) = head.split_first()?;
    let (length, rest) = rest.split_first()?;
    let length = match length & 0x7F {
        126 => u16::from_be_bytes(*rest.first_chunk()?).into(),
        127 => u64::from_be_bytes(*rest.first_chunk()?),
        short => short.into(),
    };
    Some((first & 0x0F, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: what comes in frames of every size, cut anywhere and with pings between them, is what was in them; and a refusal is one.
    #[test]
    fn frames_are_opened_wherever_they_are_cut() {
        let (mut stream, mut expected) = (b"HTTP/1.1 101 Go on\r\nA: b\r\n\r\n".to_vec(), Vec::new());
        for length in [0_usize, 1, 125, 126, 70_000] {
            let payload: Vec<u8> = (0..length).map(|i| i as u8).collect();
            stream.push(0x82);
            match length {
                0..=125 => stream.push(length as u8),
                126 => stream.extend([126, 0, 126]),
                _ => {
                    stream.push(127);
                    stream.extend((length as u64).to_be_bytes());
                }
            }
            stream.extend(&payload);
            stream.extend([0x89, 2, b'h', b'i']);
            expected.extend(payload);
        }
        for size in [1, 7, 1000, stream.len()] {
            let (mut frames, mut came) = (Frames::default(), Vec::<u8>::new());
            for piece in stream.chunks(size) {
                let mut piece = piece.to_vec();
                let bytes = frames.open(&mut piece).unwrap();
                came.extend(&piece[..bytes]);
            }
            assert!(came == expected && frames.is_open(), "pieces of {size} bytes");
        }
        let mut last = [0x82, 1, 7, 0x88, 0];
        let mut frames = Frames::Head(Vec::new());
        assert_eq!((frames.open(&mut last), last[0], frames.is_closed()), (Ok(1), 7, true));
        assert_eq!(frames.open(&mut [0]), Err(NoMore::Closed));
        let mut closing = [0x88, 0];
        assert!(matches!(
            Frames::Head(Vec::new()).open(&mut closing),
            Err(NoMore::Closed)
        ));
        assert!(
            Frames::default()
                .open(&mut b"HTTP/1.1 403 No\r\n\r\n".to_vec())
                .is_err()
        );
    }

    /// Goal: a frame is masked as section 5.3 says, and has the shortest head.
    #[test]
    fn writes_become_frames() {
        for (length, head) in [(1_usize, 2), (126, 4), (70_000, 10)] {
            let (mut out, mut framed) = (vec![7; length], Vec::new());
            Frames::default().seal(&mut out, &mut framed);
            assert!(out.is_empty() && framed.len() == head + 4 + length);
            assert!(
                framed[head + 4..]
                    .iter()
                    .zip(MASK.iter().cycle())
                    .all(|(byte, mask)| byte ^ mask == 7)
            );
        }
    }
}
