//! A list of senders that a client keeps for its own inbox.

use std::collections::BTreeSet;

use crate::client_ids::USER_BYTES_MAX;
use crate::identity::Identity;

const USER: &str = "user:";
const CLIENT: &str = "client:";
const EVERYBODY: &str = "*";
/// Longest entry, in bytes: a client ID of 1,024 bytes and its word.
const ENTRY_BYTES_MAX: usize = 1024 + CLIENT.len();

/// A text that names no sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoSender;

/// See the module's documentation. The order is that of the bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Senders {
    everybody: bool,
    users: BTreeSet<Box<str>>,
    clients: BTreeSet<Box<str>>,
    /// What client IDs begin with.
    beginnings: BTreeSet<Box<str>>,
}

impl Senders {
    pub(super) fn add(&mut self, text: &str) -> Result<(), NoSender> {
        self.change(text, |set, name| {
            set.insert(name.into());
        })
        .map(|everybody| self.everybody |= everybody)
    }

    /// Removing what is not there is no error.
    pub(super) fn remove(&mut self, text: &str) -> Result<(), NoSender> {
        self.change(text, |set, name| {
            set.remove(name);
        })
        .map(|everybody| self.everybody &= !everybody)
    }

    /// Has `change` change the set that `text` is about. Tells whether it is about everybody, who are in no set.
    fn change(&mut self, text: &str, change: impl FnOnce(&mut BTreeSet<Box<str>>, &str)) -> Result<bool, NoSender> {
        if text == EVERYBODY {
            return Ok(true);
        }
        let (set, name) = match (text.strip_prefix(USER), text.strip_prefix(CLIENT)) {
            (Some(name), _) if name.len() <= USER_BYTES_MAX => (&mut self.users, name),
            (_, Some(id)) if text.len() <= ENTRY_BYTES_MAX => match id.strip_suffix('*') {
                Some(beginning) => (&mut self.beginnings, beginning),
                None => (&mut self.clients, id),
            },
            _ => return Err(NoSender),
        };
        if name.is_empty() || name.contains('*') {
            return Err(NoSender);
        }
        change(set, name);
        Ok(false)
    }

    pub(super) fn has(&self, who: &Identity) -> bool {
        let id = who.client_id().as_str();
        self.everybody
            || self.clients.contains(id)
            || who.user().is_some_and(|user| self.users.contains(user))
            || self.beginnings.iter().any(|beginning| id.starts_with(&**beginning))
    }

    pub(super) fn len(&self) -> usize {
        usize::from(self.everybody) + self.users.len() + self.clients.len() + self.beginnings.len()
    }

    /// Every entry as a text.
    pub(super) fn texts(&self) -> Vec<String> {
        let everybody = self.everybody.then(|| EVERYBODY.to_owned());
        let users = self.users.iter().map(|name| format!("{USER}{name}"));
        let clients = self.clients.iter().map(|id| format!("{CLIENT}{id}"));
        let beginnings = self.beginnings.iter().map(|id| format!("{CLIENT}{id}*"));
        everybody
            .into_iter()
            .chain(users)
            .chain(clients)
            .chain(beginnings)
            .collect()
    }
}
