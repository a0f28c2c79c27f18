//! Successes, remembered for a short time, so that clients that come back by the thousand need no slow verification again.
//!
//! Neither passwords nor user names are kept: an entry is found by a keyed hash of what was shown, whose key is made at the start and never leaves the
//! process.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use ring::hmac;
use ring::rand::SystemRandom;

use crate::generations::Generations;
use crate::identity::Account;

/// Successes that are remembered at a time; about 100 bytes each.
const REMEMBERED_MAX: usize = 131_072;

/// What was shown, as a keyed hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Tag([u8; 32]);

/// Something was forgotten in between: what was found out before does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Era(u64);

pub(crate) struct Remembered {
    key: hmac::Key,
    table: Mutex<Table>,
}

struct Table {
    entries: Generations<Tag, (Arc<Account>, Duration)>,
    era: u64,
}

/// The system gives no random numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random numbers; look why getrandom fails")]
pub struct NoRandomness;

impl Remembered {
    /// Remembers nothing yet.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub(crate) fn new() -> Result<Self, NoRandomness> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).map_err(|_| NoRandomness)?;
        let table = Table {
            entries: Generations::new(REMEMBERED_MAX),
            era: 0,
        };
        Ok(Remembered {
            key,
            table: Mutex::new(table),
        })
    }

    /// The keyed hash of these parts, in this order.
    pub(crate) fn tag(&self, parts: &[&[u8]]) -> Tag {
        let mut context = hmac::Context::with_key(&self.key);
        for part in parts {
            // With its length, so that "ab" and "c" is not "a" and "bc".
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut tag = Tag([0; 32]);
        for (to, from) in tag.0.iter_mut().zip(context.sign().as_ref()) {
            *to = *from;
        }
        tag
    }

    /// Whose success this was, unless that was too long ago. `now` is on a monotonic clock.
    pub(crate) fn look_up(&self, tag: &Tag, now: Duration) -> Option<Arc<Account>> {
        let mut table = self.table.lock();
        match table.entries.get(tag) {
            Some((account, until)) if *until > now => Some(account.clone()),
            Some(_) => {
                table.entries.remove(tag);
                None
            }
            None => None,
        }
    }

    /// The era in which something begins to be found out.
    pub(crate) fn era(&self) -> Era {
        Era(self.table.lock().era)
    }

    /// A success that was found out since `era`; it counts until `until`.
    pub(crate) fn note(&self, tag: Tag, account: &Arc<Account>, until: Duration, era: Era) {
        let mut table = self.table.lock();
        if table.era == era.0 {
            table.entries.insert(tag, (account.clone(), until));
        }
    }

    /// Forgets everything, and what is being found out now.
    pub(crate) fn forget(&self) {
        let mut table = self.table.lock();
        table.era += 1;
        table.entries.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_success_is_remembered_for_its_time_and_for_what_was_shown() {
        // Goal: another password, or the same bytes divided otherwise, is another thing; the time ends; another process has another key.
        let remembered = Remembered::new().unwrap();
        let alice = Arc::new(Account::default());
        let tag = remembered.tag(&[b"alice", b"secret"]);
        remembered.note(tag, &alice, at(10), remembered.era());
        assert!(remembered.look_up(&tag, at(9)).is_some());
        for other in [[&b"alice"[..], b"secret2"], [b"alices", b"ecret"], [b"bob", b"secret"]] {
            assert!(remembered.look_up(&remembered.tag(&other), at(0)).is_none());
        }
        assert!(remembered.look_up(&tag, at(10)).is_none() && remembered.look_up(&tag, at(0)).is_none());
        assert!(Remembered::new().unwrap().tag(&[b"alice", b"secret"]) != tag);
    }

    #[test]
    fn what_was_found_out_before_a_reload_is_not_remembered_after_it() {
        // Goal: a verification that takes longer than a reload must not bring back a password that was changed by it.
        let remembered = Remembered::new().unwrap();
        let (tag, era) = (remembered.tag(&[b"a"]), remembered.era());
        remembered.forget();
        remembered.note(tag, &Arc::default(), at(10), era);
        assert!(remembered.look_up(&tag, at(0)).is_none());
        remembered.note(tag, &Arc::default(), at(10), remembered.era());
        assert!(remembered.look_up(&tag, at(0)).is_some());
        remembered.forget();
        assert!(remembered.look_up(&tag, at(0)).is_none());
    }
}
