//! Owners who do not come: no inbox is forgotten before its time (contract rule 5).

use super::{Check, Link, Oracle};

/// Since when an owner is away. Times are those of the monotonic clock.
#[derive(Default)]
pub(super) struct Owner {
    /// It was there, or mail came for one who never was. While it is there, that is of no account.
    since: Option<u64>,
    /// The same, as the broker knows it after every crash.
    safe: Option<u64>,
    /// As it is in what the next commit takes, and in one that is under way.
    noted: Option<u64>,
    committing: Option<u64>,
    /// When its inbox was forgotten. What was in memory stays a little longer, and keeps its place: the time of mail that comes later begins anew.
    forgotten: Option<u64>,
}

impl Owner {
    /// It is there, or was until now.
    pub(super) fn comes(&mut self, now: u64) {
        self.since = Some(now);
        self.safe.get_or_insert(now);
    }

    pub(super) fn gets_mail(&mut self, now: u64) {
        if self.since.is_none() {
            self.comes(now);
        }
    }

    pub(super) fn commit_begins(&mut self) {
        self.committing = self.noted.take();
    }

    pub(super) fn committed(&mut self) {
        self.safe = self.committing.take().or(self.safe);
    }

    pub(super) fn crashed(&mut self) {
        self.since = self.safe;
        (self.noted, self.committing, self.forgotten) = (None, None, None);
    }
}

impl Link {
    /// Whether the broker has it as a reader, for certain.
    fn reads(&self) -> bool {
        self.attachment.is_some() && !self.unsubscribes.values().any(|own| *own)
    }
}

impl Oracle {
    fn is_there(&self, owner: usize) -> bool {
        self.links.values().any(|link| link.client == owner && link.reads())
    }

    /// The broker looked who came, and met no trouble.
    pub(in crate::sim) fn owners_were_looked_at(&mut self) {
        for owner in 0..self.owners.len() {
            let is_there = self.is_there(owner);
            let now = self.now;
            let owner = &mut self.owners[owner];
            owner.noted = if is_there { Some(now) } else { owner.since };
        }
    }

    /// A message left because its inbox is forgotten.
    pub(super) fn check_forgotten(&mut self, inbox: usize, seq: u64, now: u64) -> Check {
        if self.is_there(inbox) {
            return Err(format!("rule 5: the inbox of c{inbox}, who reads it, is forgotten"));
        }
        let owner = &mut self.owners[inbox];
        let given_at = self.ledger.given_at(inbox, seq);
        if given_at <= owner.forgotten {
            return Ok(());
        }
        let away = owner.since.map(|since| (now + self.skew.early).saturating_sub(since));
        (owner.forgotten, owner.since) = (Some(now), Some(now));
        match (away, self.terms.idle_expiry) {
            (Some(away), Some(expiry)) if away >= expiry => Ok(()),
            _ => Err(format!(
                "rule 5: the inbox of c{inbox} is forgotten after {away:?} µs without its owner"
            )),
        }
    }
}
