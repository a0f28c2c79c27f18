//! What a client asks for its lists: JSON with `set`, `add` and `remove`, each a list of senders.

use serde::Deserialize;

use super::senders::{NoSender, Senders};

/// Larger requests are not looked at, in bytes.
const REQUEST_BYTES_MAX: usize = 128 * 1024;

/// Which list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListKind {
    /// Whom the client does not take messages from.
    Block,
    /// Whom alone it takes messages from, unless it is empty.
    Allow,
}

/// Why a list is not changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ListRefused {
    /// It is no request.
    #[error("a request is JSON: {{\"add\": […], \"remove\": […]}} or {{\"set\": […]}}, or empty to be told the lists")]
    NotJson,
    /// An entry names nobody.
    #[error(
        "a sender is \"user:NAME\", \"client:ID\" (with * at its end for all that begin so), or \"*\" for everybody"
    )]
    NotASender,
    /// Too many entries.
    #[error("the two lists of a client have at most 1000 entries; remove some, or use client:BEGINNING*")]
    TooMany,
    /// Too many bytes.
    #[error("the two lists of a client, or a request, are too large; remove some entries, or use client:BEGINNING*")]
    TooLarge,
    /// There is no inbox that they could be for.
    #[error("this client has no inbox: its client ID holds / + or #, or begins with $")]
    NoInbox,
    /// Nothing more is kept for clients.
    #[error(
        "all lists together take as much memory as they may, or those of this user do; remove some entries, or ask the operator for more (memory.budget)"
    )]
    MemoryFull,
}

/// Why bytes are not a JSON object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoObject {
    /// They are something else.
    NotJson,
    /// They are more than 128 KiB, and were not looked at.
    TooLarge,
}

/// Reads what a client asks for: a JSON object.
///
/// # Errors
/// It is none, or too large.
pub fn read_object<'r, T: Deserialize<'r>>(request: &'r [u8]) -> Result<T, NoObject> {
    match request.len() {
        // serde would take a list for an object, too.
        0..=REQUEST_BYTES_MAX if request.trim_ascii_start().first() != Some(&b'{') => Err(NoObject::NotJson),
        0..=REQUEST_BYTES_MAX => serde_json::from_slice(request).map_err(|_| NoObject::NotJson),
        _ => Err(NoObject::TooLarge),
    }
}

impl From<NoObject> for ListRefused {
    fn from(no_object: NoObject) -> Self {
        match no_object {
            NoObject::NotJson => ListRefused::NotJson,
            NoObject::TooLarge => ListRefused::TooLarge,
        }
    }
}

/// See the module's documentation. `set` comes first.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Request {
    set: Option<Vec<String>>,
    add: Vec<String>,
    remove: Vec<String>,
}

impl Request {
    /// An empty one changes nothing.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, ListRefused> {
        match bytes.is_empty() {
            true => Ok(Request::default()),
            false => Ok(read_object(bytes)?),
        }
    }

    pub(super) fn change(&self, list: &mut Senders) -> Result<(), ListRefused> {
        if self.set.is_some() {
            *list = Senders::default();
        }
        let added = self.set.iter().flatten().chain(&self.add);
        let mut added = added.map(|text| list.add(text));
        added
            .try_for_each(|added| added)
            .map_err(|NoSender| ListRefused::NotASender)?;
        let mut removed = self.remove.iter().map(|text| list.remove(text));
        removed
            .try_for_each(|removed| removed)
            .map_err(|NoSender| ListRefused::NotASender)
    }
}
