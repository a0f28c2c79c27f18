//! What a message of the publishers looks like, and what it says about itself.

use crate::Publish;

/// Publishers with traffic for the readers; one more sends to an inbox that nobody reads before the end.
pub(super) const PUBLISHERS: usize = 9;
pub(super) const HEARTBEAT: usize = PUBLISHERS - 1;
pub(super) const READERS: usize = 8;
pub(super) const INBOXES: usize = READERS + 1;
/// The inbox of [`HEARTBEAT`].
pub(super) const ABSENT: usize = INBOXES - 1;

/// A message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) inbox: usize,
    pub(super) publisher: usize,
    /// Grows with every publish of this publisher.
    pub(super) number: u64,
}

/// The payload of a message.
pub(super) fn payload(key: Key, life: u64) -> String {
    let head = format!("{} {} {} {life} ", key.publisher, key.inbox, key.number);
    let padding = match key.number {
        n if n % 997 == 0 => 200_000,
        n if n % 89 == 0 => 20_000,
        n => n as usize * 7919 % 400,
    };
    let fill = char::from(b'a' + (key.number % 26) as u8);
    head + &String::from(fill).repeat(padding)
}

/// The message and the life in which it was published; `None` when one byte is not as it was sent.
pub(super) fn parse(publish: &Publish) -> Option<(Key, u64)> {
    let text = std::str::from_utf8(&publish.payload).ok()?;
    let mut fields = text.splitn(5, ' ').map(|field| field.parse::<u64>().ok());
    let mut field = || fields.next().flatten();
    let (publisher, inbox, number, life) = (field()? as usize, field()? as usize, field()?, field()?);
    let key = Key {
        inbox,
        publisher,
        number,
    };
    let is_known = publisher < PUBLISHERS && inbox < INBOXES && publish.topic == name(inbox);
    (is_known && payload(key, life) == text).then_some((key, life))
}

/// The client ID that an inbox belongs to.
pub(super) fn name(inbox: usize) -> String {
    format!("reader-{inbox}")
}
