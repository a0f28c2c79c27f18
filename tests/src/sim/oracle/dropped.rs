//! Readers are told how many messages they missed (contract rule 5).

use super::{Check, Oracle};
use crate::Publish;

impl Oracle {
    /// A reader is told a number that never goes back: at least what had left, durably, when it began to read, and no more than ever left. Told to
    /// `client`, who reads since so many had left.
    pub(super) fn check_dropped(&mut self, client: usize, since: u64, publish: &Publish) -> Check {
        let told = publish.props.user("dropped");
        let count = told.map_or(Ok(0), str::parse);
        let count: u64 = count.map_err(|_| format!("rule 5: dropped = {told:?} is no number"))?;
        let (before, most) = (
            self.dropped.get(&client).copied().unwrap_or_default(),
            self.ledger.unread(client).1,
        );
        if count < since.max(before) || count > most || told == Some("0") {
            return Err(format!(
                "rule 5: c{client} is told that it missed {told:?}, and {since} to {most} left unread; it was told {before} before"
            ));
        }
        self.dropped.insert(client, count);
        Ok(())
    }
}
