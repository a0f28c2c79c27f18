//! What is written: to standard output for programs, to standard error for people.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};

use rustix::event::{PollFd, PollFlags, poll};

use crate::failure::Failure;

/// Somebody reads standard output, or nobody does any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    There,
    Gone,
}

/// A line on standard error.
pub(crate) fn say(line: &str) {
    // Nobody may be reading it.
    let _nobody = writeln!(io::stderr().lock(), "inbox: {line}");
}

/// Text on standard output, written out when this returns.
pub(crate) fn write(text: &str) -> Result<Reader, Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(Reader::There),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Reader::Gone),
        Err(error) => Err(Failure::Output(error.kind())),
    }
}

/// Waits until nobody reads standard output any more, in a thread; of a file or a terminal that is never.
pub(crate) fn when_nobody_reads(then: impl FnOnce() + Send + 'static) {
    std::thread::spawn(move || {
        let out = io::stdout();
        // Asked for nothing, it tells errors alone.
        let mut wanted = [PollFd::new(&out, PollFlags::empty())];
        while let Ok(0) | Err(rustix::io::Errno::INTR) = poll(&mut wanted, None) {}
        let is_closed = wanted.iter().any(|fd| fd.revents().contains(PollFlags::ERR));
        if is_closed {
            then();
        }
    });
}

/// A payload as one line: without the end of its last line, and with escapes for what would move a cursor or end a line.
pub(crate) fn one_line(payload: &[u8]) -> Cow<'_, str> {
    let Ok(text) = std::str::from_utf8(payload) else {
        return Cow::Owned(format!("({} bytes) {}", payload.len(), hexadecimal(payload)));
    };
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut line = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match is_unsafe(c) {
            true => line.extend(c.escape_default()),
            false => line.push(c),
        }
    }
    Cow::Owned(line)
}

/// Control characters, and those that turn the direction of text, with which one line could look like another.
fn is_unsafe(c: char) -> bool {
    c.is_control() && c != '\t'
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Bytes as text, two digits each.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
            // Writing to a string does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_others_send_can_act_on_a_terminal() {
        // Goal: one message is one line; escape sequences and turned text are shown, and not done; bytes are shown as such.
        for (payload, line) in [
            (&b"hello"[..], "hello"),
            (b"hello\r\n", "hello"),
            (b"two\nlines\n", "two\\nlines"),
            (b"\x1b[2Jgone", "\\u{1b}[2Jgone"),
            ("\u{202e}olleh \u{2028}".as_bytes(), "\\u{202e}olleh \\u{2028}"),
            ("grüß dich ✓\tja".as_bytes(), "grüß dich ✓\tja"),
            (b"\xff\x00", "(2 bytes) ff00"),
            (b"", ""),
        ] {
            assert_eq!(one_line(payload), line);
        }
    }
}
