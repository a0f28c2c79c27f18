//! The bytes of an answer: its head, and its body in each of the three forms that HTTP/1.1 has.

#[cfg(test)]
mod tests;

use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// The head of an answer, and a line between its chunks, are at most so long.
const HEAD_BYTES_MAX: usize = 64 * 1024;
const LINE_BYTES_MAX: u64 = 1024;
const HEADERS_MAX: usize = 64;

/// A socket whose other end must say something now and then, and all of it by a time.
#[derive(Debug)]
pub(in crate::http) struct Timed {
    stream: TcpStream,
    patience: Duration,
    until: Option<Instant>,
}

impl Timed {
    pub(super) fn new(stream: TcpStream, patience: Duration, until: Option<Instant>) -> Self {
        Timed {
            stream,
            patience,
            until,
        }
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.until.map(|until| until.saturating_duration_since(Instant::now()));
        let patience = left.map_or(self.patience, |left| left.min(self.patience));
        if patience.is_zero() {
            return Err(too_long());
        }
        self.stream.set_read_timeout(Some(patience))?;
        self.stream.read(buffer).map_err(|error| match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => too_long(),
            _ => error,
        })
    }
}

fn too_long() -> io::Error {
    io::Error::new(ErrorKind::TimedOut, "it took too long")
}

fn cut_off() -> io::Error {
    io::Error::new(ErrorKind::UnexpectedEof, "the connection ended in the middle")
}

fn wrong() -> io::Error {
    io::Error::new(ErrorKind::InvalidData, "it is not in the form of HTTP")
}

/// How much of a body is still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    /// So many bytes.
    Bytes(u64),
    /// So many bytes of this chunk, and others.
    Chunk(u64),
    /// Chunks, none of which has begun.
    Chunks,
    /// Whatever comes until the connection ends.
    Unknown,
}

/// What follows the head.
#[derive(Debug)]
pub(in crate::http) struct Body<R = Timed> {
    from: BufReader<R>,
    left: Left,
}

/// Reads a head. Gives the status and the body, or `None` where it is no head.
pub(super) fn head<R: Read>(from: R) -> io::Result<Option<(u16, Body<R>)>> {
    let mut from = BufReader::new(from);
    let mut text = Vec::new();
    loop {
        let room = HEAD_BYTES_MAX.saturating_sub(text.len());
        let read = from.by_ref().take(room as u64).read_until(b'\n', &mut text)?;
        if read == 0 {
            return Ok(None);
        }
        if text.ends_with(b"\r\n\r\n") || text.ends_with(b"\n\n") {
            break;
        }
    }
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let Ok(httparse::Status::Complete(_)) = response.parse(&text) else {
        return Ok(None);
    };
    let Some(status) = response.code else { return Ok(None) };
    let value = |name: &str| {
        let header = response
            .headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case(name));
        header
            .and_then(|header| str::from_utf8(header.value).ok())
            .map(str::trim)
    };
    let is_chunked = value("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"));
    let left = match (is_chunked, value("content-length")) {
        (true, _) => Left::Chunks,
        (false, Some(length)) => match length.parse() {
            Ok(length) => Left::Bytes(length),
            Err(_) => return Ok(None),
        },
        (false, None) => Left::Unknown,
    };
    Ok(Some((status, Body { from, left })))
}

impl Body {
    pub(super) fn stream(&self) -> &TcpStream {
        &self.from.get_ref().stream
    }
}

impl<R: Read> Body<R> {
    fn some(&mut self, buffer: &mut [u8], left: u64) -> io::Result<u64> {
        let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        match self.from.read(buffer.get_mut(..most).unwrap_or_default())? {
            0 => Err(cut_off()),
            read => Ok(read as u64),
        }
    }

    /// A line, without its end.
    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        self.from.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
        if !line.ends_with(b"\n") {
            return Err(cut_off());
        }
        Ok(String::from_utf8(line).map_err(|_| wrong())?.trim().to_owned())
    }

    /// The head of the next chunk.
    fn chunk(&mut self) -> io::Result<Left> {
        let line = self.line()?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(size, 16).map_err(|_| wrong())?;
        if size > 0 {
            return Ok(Left::Chunk(size));
        }
        while !self.line()?.is_empty() {}
        Ok(Left::Bytes(0))
    }
}

impl<R: Read> Read for Body<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            match self.left {
                Left::Bytes(0) => return Ok(0),
                Left::Unknown => return self.from.read(buffer),
                Left::Bytes(left) => {
                    let read = self.some(buffer, left)?;
                    self.left = Left::Bytes(left - read);
                    return Ok(read as usize);
                }
                Left::Chunks => self.left = self.chunk()?,
                Left::Chunk(0) => {
                    if !self.line()?.is_empty() {
                        return Err(wrong());
                    }
                    self.left = Left::Chunks;
                }
                Left::Chunk(left) => {
                    let read = self.some(buffer, left)?;
                    self.left = Left::Chunk(left - read);
                    return Ok(read as usize);
                }
            }
        }
    }
}
