//! Which client IDs a rule is about: one of them, or those that begin alike.

use super::text::{BadPercent, Filled};
use crate::identity::Identity;

/// Why a text is no pattern of client IDs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPattern {
    /// It is empty.
    #[error("write a client ID, the beginning of client IDs and *, or * for all of them")]
    Empty,
    /// A `*` in the middle.
    #[error("a * stands at the end, for anything")]
    Star,
    /// No inbox is called so.
    #[error("no client ID with / + or #, or with $ at its beginning, has an inbox")]
    NoInbox,
    /// See [`BadPercent`].
    #[error(transparent)]
    Percent(#[from] BadPercent),
}

/// See the module's documentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ClientPattern {
    beginning: Filled,
    is_open: bool,
}

impl ClientPattern {
    pub(super) fn parse(text: &str) -> Result<Self, BadPattern> {
        if text.is_empty() {
            return Err(BadPattern::Empty);
        }
        let (beginning, is_open) = match text.strip_suffix('*') {
            Some(beginning) => (beginning, true),
            None => (text, false),
        };
        if beginning.contains('*') {
            return Err(BadPattern::Star);
        }
        let beginning = Filled::parse(beginning)?;
        Ok(ClientPattern { beginning, is_open })
    }

    /// Of client IDs that have inboxes (contract rule 1).
    pub(super) fn of_inboxes(text: &str) -> Result<Self, BadPattern> {
        match text.contains(['/', '+', '#']) || text.starts_with('$') {
            true => Err(BadPattern::NoInbox),
            false => ClientPattern::parse(text),
        }
    }

    /// All client IDs.
    pub(super) fn all() -> Self {
        ClientPattern {
            beginning: Filled::default(),
            is_open: true,
        }
    }

    /// Whether `client_id` is one of those, when it is asked about `who`.
    pub(super) fn has(&self, client_id: &str, who: &Identity) -> bool {
        self.takes(self.beginning.strip(client_id, who))
    }

    /// Whether these are the same client IDs whoever is asked about.
    pub(super) fn is_the_same_for_all(&self) -> bool {
        self.beginning.is_literal()
    }

    /// Whether `client_id` is one of those, of a pattern that is the same for all.
    pub(super) fn has_for_all(&self, client_id: &str) -> bool {
        self.takes(client_id.strip_prefix(self.beginning()))
    }

    /// Whether a client ID is one of those of which that is what follows the beginning; `None`: it begins otherwise.
    fn takes(&self, rest: Option<&str>) -> bool {
        rest.is_some_and(|rest| self.is_open || rest.is_empty())
    }

    /// How all of them begin, whoever is asked about; it may be empty.
    pub(super) fn beginning(&self) -> &str {
        self.beginning.literal()
    }
}
