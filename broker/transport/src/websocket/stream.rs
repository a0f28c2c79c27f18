//! MQTT over WebSocket as a stream of bytes over any other: what a connection reads and writes.
//!
//! It holds no buffers: what is read is decoded where the reader wants it, and what is written is sent from where it lies, behind the
//! header of its frame. So an idle connection costs little more than one over plain TCP.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::frames::{Decoder, End};

/// The payload of one frame that we send. Browsers hand a frame on when all of it is there, and a pong waits for its end.
const FRAME_BYTES_MAX: usize = 0xFFFF;
/// The longest header of such a frame.
const HEADER_BYTES_MAX: usize = 4;
/// FIN, and the opcode of a binary frame (MQTT-6.0.0-1), of a pong and of a close frame (RFC 6455, section 5.2).
const BINARY: u8 = 0x82;
const PONG: u8 = 0x8A;
const CLOSE: u8 = 0x88;
/// The connection has done what it was for (RFC 6455, section 7.4.1).
const NORMAL: u16 = 1000;

/// See the module's documentation.
#[derive(Debug)]
pub struct WebSocket<T> {
    io: T,
    decoder: Decoder,
    /// Control frames to be written between two data frames. The first `control_sent` bytes are.
    control: Vec<u8>,
    control_sent: usize,
    /// The header of the data frame that is being written: its last `header_left` bytes are still to be.
    header: [u8; HEADER_BYTES_MAX],
    header_left: usize,
    /// Payload of that frame that is still to be written.
    promised: usize,
    /// Control frames were written, and not known to have left the buffers below.
    is_unflushed: bool,
    /// The last frame, a close frame, is in `control` or was written.
    is_closed: bool,
    /// Frames mean nothing any more: one of the two ends has said why.
    is_over: bool,
}

impl<T> WebSocket<T> {
    /// The upgrade was answered; frames follow.
    pub(crate) fn new(io: T) -> Self {
        WebSocket {
            io,
            decoder: Decoder::default(),
            control: Vec::new(),
            control_sent: 0,
            header: [0; HEADER_BYTES_MAX],
            header_left: 0,
            promised: 0,
            is_unflushed: false,
            is_closed: false,
            is_over: false,
        }
    }

    /// Puts a control frame behind the one that is being written. One that was not begun yet is replaced: only the last pong is wanted.
    fn queue(&mut self, opcode: u8, payload: &[u8]) {
        let begun = match self.control_sent {
            0 => 0,
            _ => 2 + usize::from(self.control.get(1).copied().unwrap_or_default()),
        };
        self.control.truncate(begun);
        let length = u8::try_from(payload.len()).unwrap_or_default();
        self.control.extend([opcode, length]);
        self.control.extend(payload);
    }

    fn queue_close(&mut self, status: u16) {
        if !self.is_closed {
            self.queue(CLOSE, &status.to_be_bytes());
            self.is_closed = true;
        }
    }

    /// A data frame of so many bytes begins.
    fn promise(&mut self, length: usize) {
        self.promised = length;
        (self.header, self.header_left) = match u8::try_from(length) {
            Ok(short @ ..=125) => ([0, 0, BINARY, short], 2),
            _ => {
                let [high, low] = u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
                ([BINARY, 126, high, low], 4)
            }
        };
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> WebSocket<T> {
    /// Writes the control frames that wait, unless a data frame is being written.
    fn poll_control(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.promised > 0 {
            return Poll::Ready(Ok(()));
        }
        if let Some(ping) = self.decoder.take_ping().filter(|_| !self.is_closed) {
            self.queue(PONG, &ping);
        }
        while let Some(rest @ [_, ..]) = self.control.get(self.control_sent..) {
            let n = ready!(Pin::new(&mut self.io).poll_write(cx, rest))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.control_sent += n;
            self.is_unflushed = true;
        }
        if !self.control.is_empty() {
            (self.control, self.control_sent) = (Vec::new(), 0);
        }
        if self.is_unflushed {
            ready!(Pin::new(&mut self.io).poll_flush(cx))?;
            self.is_unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Nothing more comes out of the frames. The client is told why if the socket takes it at once.
    fn poll_end(&mut self, end: End, cx: &mut Context<'_>) -> io::Result<()> {
        let status = match end {
            End::Closed(status) => status.unwrap_or(NORMAL),
            End::Broken(violation) => violation.status(),
        };
        self.queue_close(status);
        let _told = self.poll_control(cx);
        self.is_over = true;
        match end {
            End::Closed(_) => Ok(()),
            End::Broken(violation) => Err(io::Error::new(io::ErrorKind::InvalidData, violation)),
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for WebSocket<T> {
    /// The payload of what comes. After a violation, which is an error, what still comes is given as it is, to be thrown away.
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.is_over {
            return Pin::new(&mut this.io).poll_read(cx, buffer);
        }
        loop {
            // An answer to a ping may wait: whoever does not read is not read here for that.
            if let Poll::Ready(Err(error)) = this.poll_control(cx) {
                return Poll::Ready(Err(error));
            }
            if let Some(end) = this.decoder.end() {
                return Poll::Ready(this.poll_end(end, cx));
            }
            if buffer.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            let before = buffer.filled().len();
            ready!(Pin::new(&mut this.io).poll_read(cx, buffer))?;
            let fresh = buffer.filled_mut().get_mut(before..).unwrap_or_default();
            if fresh.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let payload = this.decoder.decode(fresh);
            buffer.set_filled(before + payload);
            if payload > 0 {
                let _later = this.poll_control(cx);
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for WebSocket<T> {
    /// What is written behind a close frame goes nowhere.
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.is_closed || bytes.is_empty() {
            return Poll::Ready(Ok(bytes.len()));
        }
        loop {
            if this.promised == 0 {
                ready!(this.poll_control(cx))?;
                this.promise(bytes.len().min(FRAME_BYTES_MAX));
            }
            let payload = bytes.get(..this.promised.min(bytes.len())).unwrap_or(bytes);
            let header = this
                .header
                .get(HEADER_BYTES_MAX - this.header_left..)
                .unwrap_or_default();
            let parts = [IoSlice::new(header), IoSlice::new(payload)];
            let n = ready!(Pin::new(&mut this.io).poll_write_vectored(cx, &parts))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            let of_payload = n.saturating_sub(this.header_left);
            this.header_left = this.header_left.saturating_sub(n);
            if of_payload > 0 {
                this.promised -= of_payload;
                return Poll::Ready(Ok(of_payload));
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_control(cx))?;
        Pin::new(&mut this.io).poll_flush(cx)
    }

    /// Says goodbye (RFC 6455, section 7.1.2); a frame that is not finished leaves no place for that.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.promised == 0 {
            this.queue_close(NORMAL);
            ready!(this.poll_control(cx))?;
        }
        Pin::new(&mut this.io).poll_shutdown(cx)
    }
}
