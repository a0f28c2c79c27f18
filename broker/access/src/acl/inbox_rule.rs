//! Rules of one inbox, or of several: who may write to it.

use super::client_pattern::{BadPattern, ClientPattern};
use super::roles::{Ruled, line_of};
use crate::identity::Identity;

/// Why a text names no sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSender {
    /// It begins with none of the words.
    #[error("write user:NAME, role:NAME, client:ID (with * at its end for all that begin so), or * for everybody")]
    Unknown,
    /// Behind `client:`.
    #[error(transparent)]
    Pattern(#[from] BadPattern),
}

/// Who sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sender {
    Everybody,
    User(Box<str>),
    Role(Box<str>),
    Client(ClientPattern),
}

impl Sender {
    pub(super) fn parse(text: &str) -> Result<Self, BadSender> {
        if text == "*" {
            return Ok(Sender::Everybody);
        }
        match text.split_once(':') {
            Some((_, "")) | None => Err(BadSender::Unknown),
            Some(("user", name)) => Ok(Sender::User(name.into())),
            Some(("role", name)) => Ok(Sender::Role(name.into())),
            Some(("client", pattern)) => Ok(Sender::Client(ClientPattern::parse(pattern)?)),
            Some(_) => Err(BadSender::Unknown),
        }
    }

    fn is(&self, who: &Identity, has_role: &impl Fn(&str) -> bool) -> bool {
        match self {
            Sender::Everybody => true,
            Sender::User(name) => who.user() == Some(name),
            Sender::Role(name) => has_role(name),
            Sender::Client(pattern) => pattern.has(who.client_id().as_str(), who),
        }
    }
}

/// See the module's documentation.
#[derive(Debug, Clone)]
pub(super) struct InboxRule {
    /// Of the table in the file.
    pub(super) line: u32,
    /// Nobody else than these, if there are any.
    pub(super) allow: Option<Vec<Ruled<Sender>>>,
    pub(super) deny: Vec<Ruled<Sender>>,
}

/// What a rule of an inbox says of a sender: the line that does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    Yes(u32),
    No(u32),
    Nothing,
}

impl InboxRule {
    pub(super) fn says(&self, who: &Identity, has_role: &impl Fn(&str) -> bool) -> Said {
        if let Some(line) = line_of(&self.deny, |sender| sender.is(who, has_role)) {
            return Said::No(line);
        }
        match &self.allow {
            None => Said::Nothing,
            Some(allowed) => match line_of(allowed, |sender| sender.is(who, has_role)) {
                Some(line) => Said::Yes(line),
                None => Said::No(self.line),
            },
        }
    }
}
