//! Until when it is proven who a client is, by both clocks (`docs/security.md`, tokens).

use crate::sim::users::Bearer;

const SECOND: i64 = 1_000_000;
/// How soon the broker notices that the wall clock was put forward, in microseconds.
const NOTICED_WITHIN: u64 = 60_000_000;

/// See the module's documentation. Times are the monotonic clock's, in microseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Proof {
    pub(super) who: Bearer,
    /// The end, as it was when the token was shown: a wall clock that is put back lengthens nothing.
    ends: u64,
    /// Since when the wall clock is beyond the end, or when it will be.
    passed: u64,
}

impl Proof {
    /// By a wall clock that is ahead of the monotonic one by `offset`.
    pub(super) fn new(who: Bearer, now: u64, offset: i64) -> Self {
        let left = |at: u64| (at as i64 * SECOND - (now as i64 + offset)).max(0) as u64;
        let ends = who.token.expires_at.map_or(u64::MAX, |at| now + left(at));
        Proof {
            who,
            ends,
            passed: ends,
        }
    }

    /// The wall clock was set.
    pub(super) fn clock_jumped(&mut self, now: u64, offset: i64) {
        let Some(at) = self.who.token.expires_at else { return };
        let passes = at as i64 * SECOND - offset;
        self.passed = match u64::try_from(passes) {
            Ok(later) if later > now => later,
            _ => self.passed.min(now),
        };
    }

    pub(super) fn may_end(&self, now: u64) -> bool {
        now >= self.ends.min(self.passed)
    }

    pub(super) fn has_ended(&self, now: u64) -> bool {
        now >= self.ends || now >= self.passed.saturating_add(NOTICED_WITHIN)
    }
}
