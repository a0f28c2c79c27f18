//! How often something is told that clients can make happen: a few times of each client at once, then one a minute; of each client and access
//! rule one an hour; and of each cause no more than one a second for long, unless other rates are given.
//!
//! The names of clients are the clients' choice, so only so many are remembered; where there are more, the limit of the cause is what
//! counts.

use std::hash::Hash;
use std::time::Duration;

use hashbrown::HashMap;

use super::Cause;

/// What one client is told at once for one cause, and how soon once more.
const CLIENT: Rate = Rate {
    burst: 5,
    every: Duration::from_secs(60),
};
/// What one client is told for one access rule.
const RULE: Rate = Rate {
    burst: 1,
    every: Duration::from_secs(3600),
};
/// Clients that are remembered, each for one cause.
const CLIENTS_MAX: usize = 1024;
/// How often a full table is searched for names whose time is over.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// Records that were left out are told after so long without a later one.
const TELL_AFTER: Duration = Duration::from_secs(10);

/// How often something is told.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    /// So many at once.
    pub burst: u32,
    /// And one more after each of these.
    pub every: Duration,
}

impl Rate {
    /// Of refusals for one cause, for all clients together.
    pub const REFUSALS: Rate = Rate {
        burst: 50,
        every: Duration::from_secs(1),
    };
}

/// What may still be told: a bucket that fills with time.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: u32,
    filled: Duration,
}

impl Bucket {
    fn full(rate: Rate, now: Duration) -> Self {
        Bucket {
            left: rate.burst,
            filled: now,
        }
    }

    fn fill(&mut self, rate: Rate, now: Duration) {
        let due = now.saturating_sub(self.filled).as_millis() / rate.every.as_millis().max(1);
        let due = u32::try_from(due).unwrap_or(u32::MAX);
        if due > 0 {
            self.left = self.left.saturating_add(due).min(rate.burst);
            self.filled = now;
        }
    }

    fn take(&mut self) -> bool {
        let is_left = self.left > 0;
        self.left = self.left.saturating_sub(1);
        is_left
    }
}

/// See the module's documentation. Times are those of a monotonic clock. `C` is a cause, of which there are few.
#[derive(Debug)]
pub struct Limiter<C> {
    /// Of each cause, for one client.
    of_client: fn(C) -> Rate,
    /// Of each cause, for all clients together.
    all: Rate,
    causes: HashMap<C, Told>,
    clients: HashMap<(C, Box<str>), Bucket>,
    /// When names whose time is over were last looked for: with a name for each refusal, not each of them may cost a search.
    swept: Duration,
}

#[derive(Debug)]
struct Told {
    bucket: Bucket,
    left_out: u64,
    last: Duration,
}

impl Default for Limiter<Cause> {
    fn default() -> Self {
        Limiter {
            of_client: rate_of,
            ..Limiter::of(Rate::REFUSALS)
        }
    }
}

impl<C: Copy + Eq + Hash> Limiter<C> {
    /// Nothing was told yet, and of each cause `all` may be.
    pub fn of(all: Rate) -> Self {
        Limiter {
            of_client: |_| CLIENT,
            all,
            causes: HashMap::new(),
            clients: HashMap::new(),
            swept: Duration::ZERO,
        }
    }

    /// Whether this one is told; if so, how many of its cause were left out before.
    pub fn admits(&mut self, cause: C, who: &str, now: Duration) -> Option<u64> {
        let of_client = self.client_admits(cause, who, now);
        self.admits_one(cause, of_client, now)
    }

    /// The same, whoever it is about.
    pub fn admits_any(&mut self, cause: C, now: Duration) -> Option<u64> {
        self.admits_one(cause, true, now)
    }

    fn admits_one(&mut self, cause: C, of_client: bool, now: Duration) -> Option<u64> {
        let all = self.all;
        let told = self.causes.entry(cause).or_insert_with(|| Told {
            bucket: Bucket::full(all, now),
            left_out: 0,
            last: now,
        });
        told.bucket.fill(all, now);
        if !of_client || !told.bucket.take() {
            told.left_out += 1;
            return None;
        }
        told.last = now;
        Some(std::mem::take(&mut told.left_out))
    }

    /// A cause of which records were left out, and for some time none was told.
    pub fn next_left_out(&mut self, now: Duration) -> Option<(C, u64)> {
        let (cause, told) = self
            .causes
            .iter_mut()
            .find(|(_, told)| told.left_out > 0 && now.saturating_sub(told.last) >= TELL_AFTER)?;
        told.last = now;
        Some((*cause, std::mem::take(&mut told.left_out)))
    }

    fn client_admits(&mut self, cause: C, who: &str, now: Duration) -> bool {
        let rate_of = self.of_client;
        if let Some(bucket) = self.clients.get_mut(&(cause, Box::from(who))) {
            bucket.fill(rate_of(cause), now);
            return bucket.take();
        }
        if self.clients.len() >= CLIENTS_MAX && now.saturating_sub(self.swept) >= SWEEP_EVERY {
            self.swept = now;
            self.clients.retain(|(cause, _), bucket| {
                bucket.fill(rate_of(*cause), now);
                bucket.left < rate_of(*cause).burst
            });
        }
        if self.clients.len() < CLIENTS_MAX {
            let mut bucket = Bucket::full(rate_of(cause), now);
            bucket.take();
            self.clients.insert((cause, Box::from(who)), bucket);
        }
        true
    }
}

fn rate_of(cause: Cause) -> Rate {
    match cause.is_by_rule() {
        true => RULE,
        false => CLIENT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(1000 + seconds)
    }

    #[test]
    fn one_client_is_told_a_few_times_and_then_once_a_minute() {
        // Goal: a client in a loop neither fills the log nor hides the others, and what was left out is told.
        let mut limiter = Limiter::default();
        let told = (0..100)
            .filter(|_| limiter.admits(Cause::OthersInbox, "eve", at(0)).is_some())
            .count();
        assert_eq!(told, CLIENT.burst as usize);
        assert_eq!(limiter.admits(Cause::OthersInbox, "bob", at(1)), Some(95));
        assert_eq!(limiter.admits(Cause::OthersInbox, "eve", at(30)), None);
        assert_eq!(limiter.admits(Cause::OthersInbox, "eve", at(61)), Some(1));
        assert_eq!(
            limiter.admits(Cause::FilterInvalid, "eve", at(61)),
            Some(0),
            "another cause is another matter"
        );
    }

    #[test]
    fn many_clients_share_the_limit_of_a_cause() {
        // Goal: with a name for each refusal, memory and log stay bounded all the same.
        let mut limiter = Limiter::default();
        let told: Vec<u64> = (0..10_000)
            .filter_map(|n| limiter.admits(Cause::NotConnect, &n.to_string(), at(n / 1000)))
            .collect();
        assert!((50..=60).contains(&told.len()), "{}", told.len());
        assert!(limiter.clients.len() <= CLIENTS_MAX);
        assert_eq!(limiter.next_left_out(at(12)), None);
        let (cause, left_out) = limiter.next_left_out(at(30)).unwrap();
        let all = told.len() as u64 + told.iter().sum::<u64>() + left_out;
        assert_eq!(
            (cause, all),
            (Cause::NotConnect, 10_000),
            "told, or counted as left out"
        );
        assert_eq!(limiter.next_left_out(at(60)), None);
    }

    #[test]
    fn names_are_forgotten_when_their_time_is_over() {
        // Goal: a full table makes room for new names.
        let mut limiter = Limiter::default();
        for n in 0..CLIENTS_MAX {
            limiter.admits(Cause::NotConnect, &n.to_string(), at(0));
        }
        limiter.admits(Cause::NotConnect, "late", at(120));
        assert_eq!(limiter.clients.len(), 1);
    }
}
