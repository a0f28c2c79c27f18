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

pub(crate) use journal::{Journal, PLACES, Waits};
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
const EXCHANGE: u8 = b'x';

/// Where one life of a session keeps what it has: `client id, NUL, when it began`, which no client ID begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Life {
    id: ClientId,
    /// By the system clock. Two of one client do not begin in the same microsecond.
    begins: Micros,
}

impl Life {
    /// Whose it is.
    pub(crate) fn id(&self) -> &ClientId {
        &self.id
    }

    /// What every key of it begins with.
    fn prefix(&self) -> Bytes {
        self.concat(&[]).into()
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

    fn exchange(&self, packet_id: u16) -> Bytes {
        self.key(EXCHANGE, &packet_id.to_be_bytes())
    }

    fn key(&self, kind: u8, rest: &[u8]) -> Bytes {
        self.concat(&[&[kind], rest]).into()
    }

    fn concat(&self, rest: &[&[u8]]) -> Vec<u8> {
        let begins = self.begins.0.to_be_bytes();
        [&[self.id.as_str().as_bytes(), &[0], &begins], rest].concat().concat()
    }
}

/// A key, taken apart.
#[derive(Debug, PartialEq, Eq)]
struct Key<'k> {
    /// All keys of this life begin so.
    prefix: &'k [u8],
    /// Whose life it is. It may be no client ID.
    id: &'k str,
    begins: Micros,
    about: About,
}

/// What a key is about.
#[derive(Debug, PartialEq, Eq)]
enum About {
    Head,
    Queued(u64),
    Subscription(u32),
    /// A publish of the client with this packet identifier.
    Exchange(u16),
}

/// `None` of one that nobody here wrote.
fn parse_key(key: &[u8]) -> Option<Key<'_>> {
    let id_bytes = key.iter().position(|byte| *byte == 0)?;
    let (prefix, rest) = key.split_at_checked(id_bytes + 1 + size_of::<u64>())?;
    let (id, begins) = prefix.split_at_checked(id_bytes)?;
    let (&kind, rest) = rest.split_first()?;
    let about = match kind {
        HEAD if rest.is_empty() => About::Head,
        QUEUED => About::Queued(u64::from_be_bytes(rest.try_into().ok()?)),
        SUBSCRIPTION => About::Subscription(u32::from_be_bytes(rest.try_into().ok()?)),
        EXCHANGE => About::Exchange(u16::from_be_bytes(rest.try_into().ok()?)),
        _ => return None,
    };
    Some(Key {
        prefix,
        id: str::from_utf8(id).ok()?,
        begins: Micros(u64::from_be_bytes(*begins.last_chunk()?)),
        about,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_says_whose_it_is() {
        // Goal: every kind of key is read as it was written, and other bytes are nobody's.
        let bob = ClientId::new("bob/ü").unwrap();
        let life = Life {
            id: bob,
            begins: Micros(0x0001_0000_6868_0000),
        };
        for (key, about) in [
            (life.head(), About::Head),
            (life.queued(0x7300_0000_0000_0001), About::Queued(0x7300_0000_0000_0001)),
            (life.subscription(u32::MAX), About::Subscription(u32::MAX)),
            (life.exchange(0x7800), About::Exchange(0x7800)),
        ] {
            let parsed = Key {
                prefix: &life.prefix(),
                id: "bob/ü",
                begins: life.begins,
                about,
            };
            assert_eq!(parse_key(&key), Some(parsed));
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
