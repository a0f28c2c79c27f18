//! How much one request may ask for.

use crate::error::OperatorError;

/// Inboxes, clients, sessions or subscriptions in one answer, unless fewer are asked for; and at most.
pub(crate) const LISTED: usize = 100;
pub(crate) const LISTED_MAX: usize = 1000;
/// Messages in one answer, unless fewer are asked for; and at most.
pub(crate) const PEEKED: usize = 20;
pub(crate) const PEEKED_MAX: usize = 100;
/// How long a trace lasts, unless another time is asked for; and at most.
pub(crate) const SECONDS: usize = 60;
pub(crate) const SECONDS_MAX: usize = 600;

/// A number within its bounds, or what holds where none is given.
pub(crate) fn within(
    name: &'static str,
    given: Option<u64>,
    usual: usize,
    least: u64,
    most: usize,
) -> Result<usize, OperatorError> {
    let most = most as u64;
    match given {
        None => Ok(usual),
        Some(number) if (least..=most).contains(&number) => Ok(usize::try_from(number).unwrap_or(usual)),
        Some(_) => Err(OperatorError::OutOfBounds { name, least, most }),
    }
}
