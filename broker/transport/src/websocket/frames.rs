//! WebSocket frames of a client as a state machine: bytes in, payload out (RFC 6455, section 5).
//!
//! It works in place and allocates nothing but the payload of a control frame, which is at most 125 bytes, so that a length is only a
//! number here, whatever it is. Fragmented messages need no memory either: MQTT packets are a stream of bytes in which the borders of
//! frames and messages mean nothing (MQTT-6.0.0-2).

use std::io::Cursor;

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

/// The longest header that a client's frame has: two bytes, a length of eight, and the mask.
const HEADER_BYTES_MAX: usize = 14;
/// Payload of a control frame (RFC 6455, section 5.5).
const CONTROL_BYTES_MAX: u64 = 125;
/// Payload of one frame: no MQTT packet is longer than this (MQTT 5, section 2.1.4), and no client needs to join so many of them.
const FRAME_BYTES_MAX: u64 = 256 * 1024 * 1024 + 5;

/// How a client breaks the rules of WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.rule())]
pub enum Violation {
    /// The header of a frame cannot be read.
    Header,
    /// A frame is not masked.
    Unmasked,
    /// A control frame is too long, or one of several fragments.
    Control,
    /// A continuation of nothing, or a new message within another.
    Fragment,
    /// MQTT is binary.
    Text,
    /// Longer than anything that MQTT needs.
    TooLong,
    /// The payload of a close frame is no status code with a reason.
    Close,
    /// The reason in a close frame is no text.
    Reason,
}

impl Violation {
    /// The rule that is broken, as a sentence.
    pub(crate) fn rule(self) -> &'static str {
        match self {
            Violation::Header => {
                "the header of a WebSocket frame is not valid, or sets bits of an extension that was not agreed on (RFC 6455, section 5.2)"
            }
            Violation::Unmasked => "a WebSocket frame of a client must be masked (RFC 6455, section 5.1)",
            Violation::Control => {
                "a WebSocket control frame must be whole and have at most 125 bytes (RFC 6455, section 5.5)"
            }
            Violation::Fragment => "the fragments of a WebSocket message are out of order (RFC 6455, section 5.4)",
            Violation::Text => "a WebSocket frame with text came, and MQTT is sent in binary ones (MQTT-6.0.0-1)",
            Violation::TooLong => "a WebSocket frame is longer than the longest MQTT packet, 256 MiB",
            Violation::Close => "a WebSocket close frame has no valid status code (RFC 6455, section 7.4)",
            Violation::Reason => "the reason in a WebSocket close frame is not UTF-8 (RFC 6455, section 5.5.1)",
        }
    }

    /// The status code of the close frame that answers it (RFC 6455, section 7.4.1).
    pub(crate) fn status(self) -> u16 {
        match self {
            Violation::Text => 1003,
            Violation::Reason => 1007,
            Violation::TooLong => 1009,
            _ => 1002,
        }
    }
}

/// Why nothing more comes out of a [`Decoder`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The client closed the connection, with this status code if it said one.
    Closed(Option<u16>),
    /// It broke the rules.
    Broken(Violation),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Data,
    Ping,
    Pong,
    Close,
}

/// The frame whose payload is being read.
#[derive(Debug, Clone, Copy)]
struct Frame {
    kind: Kind,
    /// Bytes of it that have not come yet.
    left: u64,
    /// To be combined with the next byte first.
    mask: [u8; 4],
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    /// The beginning of a header.
    header: [u8; HEADER_BYTES_MAX],
    header_bytes: usize,
    frame: Option<Frame>,
    /// A message began whose last fragment has not come yet.
    is_fragmented: bool,
    /// What came of the payload of a control frame.
    control: Vec<u8>,
    ping: Option<Box<[u8]>>,
    end: Option<End>,
}

impl Decoder {
    /// Takes what was read. The payload of data frames moves to the front of `bytes`; answers how many bytes that are. What a client
    /// sent before it closed the connection, or broke the rules, counts: [`Decoder::end`] tells of that.
    pub(crate) fn decode(&mut self, bytes: &mut [u8]) -> usize {
        let (mut at, mut kept) = (0, 0);
        while at < bytes.len() && self.end.is_none() {
            let taken = match self.frame {
                None => self.read_header(bytes.get(at..).unwrap_or_default()),
                Some(frame) => {
                    let n = usize::try_from(frame.left).map_or(bytes.len() - at, |left| left.min(bytes.len() - at));
                    self.read_payload(bytes, at, kept, n);
                    kept += if frame.kind == Kind::Data { n } else { 0 };
                    n
                }
            };
            at += taken;
            self.finish();
        }
        kept
    }

    /// The payload of the last ping that has no answer yet. Earlier ones need none (RFC 6455, section 5.5.3).
    pub(crate) fn take_ping(&mut self) -> Option<Box<[u8]>> {
        self.ping.take()
    }

    /// Why nothing more comes, when that is so.
    pub(crate) fn end(&self) -> Option<End> {
        self.end
    }

    /// Takes bytes of a header; gives how many.
    fn read_header(&mut self, bytes: &[u8]) -> usize {
        let before = self.header_bytes;
        let room = self.header.iter_mut().skip(before);
        self.header_bytes += room.zip(bytes).map(|(slot, byte)| *slot = *byte).count();
        let mut header = Cursor::new(self.header.get(..self.header_bytes).unwrap_or_default());
        match FrameHeader::parse(&mut header) {
            Ok(None) => self.header_bytes - before,
            Ok(Some((header_of, length))) => {
                let taken = usize::try_from(header.position()).unwrap_or_default();
                self.header_bytes = 0;
                match self.begin(&header_of, length) {
                    Ok(frame) => self.frame = Some(frame),
                    Err(violation) => self.end = Some(End::Broken(violation)),
                }
                taken.saturating_sub(before)
            }
            Err(_) => {
                self.end = Some(End::Broken(Violation::Header));
                0
            }
        }
    }

    /// A frame begins, if it may.
    fn begin(&mut self, header: &FrameHeader, length: u64) -> Result<Frame, Violation> {
        if header.rsv1 || header.rsv2 || header.rsv3 {
            return Err(Violation::Header);
        }
        let mask = header.mask.ok_or(Violation::Unmasked)?;
        let kind = match header.opcode {
            OpCode::Control(control) => {
                if !header.is_final || length > CONTROL_BYTES_MAX {
                    return Err(Violation::Control);
                }
                match control {
                    Control::Ping => Kind::Ping,
                    Control::Pong => Kind::Pong,
                    Control::Close => Kind::Close,
                    Control::Reserved(_) => return Err(Violation::Header),
                }
            }
            OpCode::Data(data) => {
                match data {
                    Data::Text => return Err(Violation::Text),
                    Data::Binary if self.is_fragmented => return Err(Violation::Fragment),
                    Data::Continue if !self.is_fragmented => return Err(Violation::Fragment),
                    Data::Binary | Data::Continue => {}
                    Data::Reserved(_) => return Err(Violation::Header),
                }
                if length > FRAME_BYTES_MAX {
                    return Err(Violation::TooLong);
                }
                self.is_fragmented = !header.is_final;
                Kind::Data
            }
        };
        Ok(Frame {
            kind,
            left: length,
            mask,
        })
    }

    /// Takes `n` bytes of payload at `at`; those of a data frame go to `kept`.
    fn read_payload(&mut self, bytes: &mut [u8], at: usize, kept: usize, n: usize) {
        let Some(frame) = &mut self.frame else { return };
        match frame.kind {
            Kind::Data => {
                bytes.copy_within(at..at + n, kept);
                unmask(bytes.get_mut(kept..kept + n).unwrap_or_default(), frame.mask);
            }
            Kind::Ping | Kind::Pong | Kind::Close => {
                let payload = bytes.get_mut(at..at + n).unwrap_or_default();
                unmask(payload, frame.mask);
                self.control.extend_from_slice(payload);
            }
        }
        frame.left -= n as u64;
        frame.mask.rotate_left(n % 4);
    }

    /// A frame whose payload is complete ends.
    fn finish(&mut self) {
        let Some(frame) = self.frame.take_if(|frame| frame.left == 0) else {
            return;
        };
        let payload = std::mem::take(&mut self.control);
        match frame.kind {
            Kind::Data | Kind::Pong => {}
            Kind::Ping => self.ping = Some(payload.into()),
            Kind::Close => {
                self.end = Some(match closing_status(&payload) {
                    Ok(status) => End::Closed(status),
                    Err(violation) => End::Broken(violation),
                });
            }
        }
    }
}

/// The status code in a close frame (RFC 6455, sections 5.5.1 and 7.4).
fn closing_status(payload: &[u8]) -> Result<Option<u16>, Violation> {
    match payload {
        [] => Ok(None),
        [high, low, reason @ ..] => {
            let status = u16::from_be_bytes([*high, *low]);
            if !matches!(status, 1000..=1003 | 1007..=1014 | 3000..=4999) {
                return Err(Violation::Close);
            }
            std::str::from_utf8(reason).map_err(|_| Violation::Reason)?;
            Ok(Some(status))
        }
        [_] => Err(Violation::Close),
    }
}

/// Combines `payload` with the mask of its frame (RFC 6455, section 5.3).
fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = payload.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}
