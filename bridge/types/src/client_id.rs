//! The name of a client, and so of its inbox.

use std::borrow::Borrow;
use std::fmt;
use std::sync::LazyLock;

use arcstr::ArcStr;

use crate::limits::CLIENT_ID_BYTES_MAX;

/// What stands between the name of a party and that of one of its clients.
pub const DEVICE: char = '~';

/// A valid MQTT client identifier: UTF-8, 1 to [`CLIENT_ID_BYTES_MAX`] bytes, no NUL (MQTT-1.5.4-2).
///
/// Cheap to clone, and one pointer. It orders by its bytes, which is also the order of inboxes in every store.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(ArcStr);

/// Who notices are from: the broker. No client connects with this ID, so no client can forge one (contract rule 3).
pub static NOTICE_FROM: LazyLock<ClientId> = LazyLock::new(|| ClientId(arcstr::literal!("$inboxd")));

/// Why a string is not a [`ClientId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClientIdError {
    /// The string has no bytes.
    #[error("a client ID must not be empty here; give one of 1 to {CLIENT_ID_BYTES_MAX} bytes")]
    Empty,
    /// The string is longer than [`CLIENT_ID_BYTES_MAX`].
    #[error("the client ID has {0} bytes; the broker takes at most {CLIENT_ID_BYTES_MAX}")]
    TooLong(usize),
    /// The string holds U+0000, which MQTT forbids (MQTT-1.5.4-2).
    #[error("the client ID holds a NUL character, which MQTT forbids (MQTT-1.5.4-2)")]
    Nul,
}

/// Whose client this is, by its ID: `alice` is the party of `alice`, `alice~phone` and `alice~laptop`.
pub fn party(client_id: &str) -> &str {
    client_id.split(DEVICE).next().unwrap_or(client_id)
}

impl ClientId {
    /// Checks `id` and takes a copy of it.
    pub fn new(id: &str) -> Result<Self, ClientIdError> {
        match id.len() {
            0 => Err(ClientIdError::Empty),
            n if n > CLIENT_ID_BYTES_MAX => Err(ClientIdError::TooLong(n)),
            _ if id.contains('\0') => Err(ClientIdError::Nul),
            _ => Ok(ClientId(id.into())),
        }
    }

    /// The identifier as MQTT carries it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for ClientId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_id_that_exists_is_valid() {
        assert_eq!(ClientId::new("bob").unwrap().as_str(), "bob");
        assert_eq!(ClientId::new(""), Err(ClientIdError::Empty));
        assert_eq!(ClientId::new("a\0b"), Err(ClientIdError::Nul));
        let long = "x".repeat(CLIENT_ID_BYTES_MAX + 1);
        assert_eq!(ClientId::new(&long), Err(ClientIdError::TooLong(long.len())));
        assert!(ClientId::new(&long[1..]).is_ok());
    }
}
