//! Sessions that outlive their connections are kept in the store: what they are subscribed to, what waits for them, and until when.
//!
//! **Promise.** What is acknowledged is durable: SUBACK and UNSUBACK come when the subscriptions are kept, and PUBACK of an ordinary message when every such
//! session that it matched has it in its [`Journal`], durably, or has acknowledged it. After any crash CONNACK says session present = 1, and all of it goes on.
//!
//! Each life of a session has keys of its own, so that a session that ends while another one of that client begins takes nothing with it.

mod journal;
mod pending_will;
mod records;
mod restoring;
mod wills;

use bytes::Bytes;
use inbox_types::{ClientId, Micros};

pub(crate) use journal::Journal;
pub use pending_will::PendingWill;
pub(crate) use records::{Head, KeptSubscription};
pub use restoring::{Found, Restored, Restoring};
pub(crate) use wills::will_key;
#[cfg(test)]
pub(crate) use wills::write_will;
pub use wills::{FoundWill, RestoredWill, Will, found_will};

/// The number of the subscription to the own inbox: ordinary ones count from 1.
pub(crate) const OWN_INBOX: u32 = 0;

/// What a key is about. Keys of one life are in this order.
const HEAD: u8 = b'h';
const QUEUED: u8 = b'q';
const SUBSCRIPTION: u8 = b's';

/// Where one life of a session keeps what it has: `client id, NUL, when it began`, which no client ID begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Life(Bytes);

impl Life {
    /// One that begins at this time by the system clock. Two of one client do not begin in the same microsecond.
    fn new(id: &ClientId, begins: Micros) -> Self {
        let key = [id.as_str().as_bytes(), &[0], &begins.0.to_be_bytes()].concat();
        Life(key.into())
    }

    fn head(&self) -> Bytes {
        self.key(HEAD, &[])
    }

    fn queued(&self, place: u64) -> Bytes {
        self.key(QUEUED, &place.to_be_bytes())
    }

    fn subscription(&self, number: u32) -> Bytes {
        self.key(SUBSCRIPTION, &number.to_be_bytes())
    }

    fn key(&self, kind: u8, rest: &[u8]) -> Bytes {
        [&self.0[..], &[kind], rest].concat().into()
    }
}

/// A key, taken apart.
#[derive(Debug, PartialEq, Eq)]
enum Key {
    Head,
    Queued(u64),
    Subscription(u32),
}

/// Whose key this is, of which life, and which; `None` of one that nobody here wrote.
fn parse_key(key: &[u8]) -> Option<(&str, Life, Key)> {
    let id_bytes = key.iter().position(|byte| *byte == 0)?;
    let (id, rest) = key.split_at_checked(id_bytes)?;
    let (_began, rest) = rest.split_at_checked(1 + size_of::<u64>())?;
    let (&kind, rest) = rest.split_first()?;
    let key_kind = match kind {
        HEAD if rest.is_empty() => Key::Head,
        QUEUED => Key::Queued(u64::from_be_bytes(rest.try_into().ok()?)),
        SUBSCRIPTION => Key::Subscription(u32::from_be_bytes(rest.try_into().ok()?)),
        _ => return None,
    };
    let life = key.get(..id_bytes + 1 + size_of::<u64>())?;
    Some((str::from_utf8(id).ok()?, Life(Bytes::copy_from_slice(life)), key_kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_says_whose_it_is() {
        // Goal: every kind of key is read as it was written, and other bytes are nobody's.
        let bob = ClientId::new("bob/ü").unwrap();
        let life = Life::new(&bob, Micros(0x0001_0000_6868_0000));
        for (key, parsed) in [
            (life.head(), Key::Head),
            (life.queued(0x7300_0000_0000_0001), Key::Queued(0x7300_0000_0000_0001)),
            (life.subscription(u32::MAX), Key::Subscription(u32::MAX)),
        ] {
            assert_eq!(parse_key(&key), Some(("bob/ü", life.clone(), parsed)));
            assert_eq!(parse_key(&key[..key.len() - 1]), None);
        }
        for foreign in [
            &b""[..],
            b"bob",
            b"bob\0",
            b"bob\x0012345678",
            b"bob\x0012345678h1",
            b"bob\x0012345678x",
        ] {
            assert_eq!(parse_key(foreign), None, "{foreign:?}");
        }
    }
}
