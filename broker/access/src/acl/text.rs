//! Text of the access rules with `%c` and `%u` in it, which stand for the client ID and the user of whoever is asked about.

use crate::identity::Identity;

/// A text that a client's name is put into.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Filled(Box<[Piece]>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(Box<str>),
    ClientId,
    User,
}

/// A percent sign that means nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("% stands for nothing by itself: write %c for the client ID, %u for the user, and %% for a percent sign")]
pub struct BadPercent;

impl Filled {
    pub(super) fn parse(text: &str) -> Result<Self, BadPercent> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text.chars();
        while let Some(next) = rest.next() {
            let name = match next {
                '%' => match rest.next() {
                    Some('c') => Piece::ClientId,
                    Some('u') => Piece::User,
                    Some('%') => {
                        literal.push('%');
                        continue;
                    }
                    _ => return Err(BadPercent),
                },
                other => {
                    literal.push(other);
                    continue;
                }
            };
            if !literal.is_empty() {
                pieces.push(Piece::Literal(std::mem::take(&mut literal).into()));
            }
            pieces.push(name);
        }
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal.into()));
        }
        Ok(Filled(pieces.into()))
    }

    /// What follows this text in `text`; `None` when it does not begin with it. What a client without a user is asked about has no `%u`.
    pub(super) fn strip<'t>(&self, text: &'t str, who: &Identity) -> Option<&'t str> {
        self.0.iter().try_fold(text, |rest, piece| match piece {
            Piece::Literal(literal) => rest.strip_prefix(&**literal),
            Piece::ClientId => rest.strip_prefix(who.client_id().as_str()),
            Piece::User => rest.strip_prefix(who.user()?),
        })
    }

    /// Whether it is `text`, no more and no less.
    pub(super) fn is(&self, text: &str, who: &Identity) -> bool {
        self.strip(text, who) == Some("")
    }

    /// What it begins with for everybody; it may be empty.
    pub(super) fn literal(&self) -> &str {
        match self.0.first() {
            Some(Piece::Literal(literal)) => literal,
            _ => "",
        }
    }

    /// Whether nobody's name is in it.
    pub(super) fn is_literal(&self) -> bool {
        self.0.iter().all(|piece| matches!(piece, Piece::Literal(_)))
    }

    pub(super) fn begins_with_dollar(&self) -> bool {
        self.literal().starts_with('$')
    }
}
