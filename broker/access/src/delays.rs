//! Guessing passwords is slow: waiting that grows with failures, per address and per user.
//!
//! ```text
//!  attempt ──ask──▶ its turn comes after the waits of its address and of its user ──▶ verified ──┬─ right: an address that this user is known from
//!             └──▶ too far away: refused without a look at the password                          └─ wrong: the answer waits, and the next turn, too
//! ```
//!
//! **Promise:** the turn of a user at an address where it logged in before comes at once, whatever others guess. Its failures make answers slow there,
//! and nothing else.

use std::net::IpAddr;
use std::time::Duration;

use crate::generations::Generations;
use crate::origin::network;

/// So many failures of a user cost nothing: people mistype.
const USER_FREE: u32 = 3;
/// So many of an address: a household, or an office.
const ADDRESS_FREE: u32 = 10;
/// What the next one costs. Each one after that costs twice as much.
const FIRST: Duration = Duration::from_millis(250);
/// What each one costs in the end. With an answer that is not there by then the client has given up, or has met `mqtt.connect_timeout`.
const MOST: Duration = Duration::from_secs(4);
/// A turn that is further away is refused.
const PATIENCE: Duration = Duration::from_secs(5);
/// After so long without one, a failure is forgotten.
const FORGET: Duration = Duration::from_secs(60);
/// Addresses and users with failures; users with the addresses that they are known from.
const TABLE_MAX: usize = 65_536;

/// Failures, and waits.
pub(crate) struct Delays {
    troubles: Generations<Who, Trouble>,
    known: Generations<(IpAddr, Box<str>), ()>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Who {
    Address(IpAddr),
    User(Box<str>),
    Both(IpAddr, Box<str>),
}

#[derive(Debug, Default)]
struct Trouble {
    failures: u32,
    /// When the last failure came, or was forgotten.
    last: Duration,
    /// When the next turn comes.
    next: Duration,
}

impl Trouble {
    fn forget(&mut self, now: Duration) {
        let forgotten = now.saturating_sub(self.last).as_secs() / FORGET.as_secs();
        self.failures = self
            .failures
            .saturating_sub(u32::try_from(forgotten).unwrap_or(u32::MAX));
        if forgotten > 0 {
            self.last = now;
        }
    }

    fn cost(&self, free: u32) -> Duration {
        match self.failures.checked_sub(free + 1) {
            None => Duration::ZERO,
            Some(over) => FIRST.saturating_mul(1 << over.min(8)).min(MOST),
        }
    }
}

impl Delays {
    pub(crate) fn new() -> Self {
        Delays {
            troubles: Generations::new(TABLE_MAX),
            known: Generations::new(TABLE_MAX),
        }
    }

    /// `user` at `address` has a password to look at: for how long that has to wait. `None`: too long, it is refused. `now` is on a monotonic clock.
    pub(crate) fn ask(&mut self, address: IpAddr, user: &str, now: Duration) -> Option<Duration> {
        let (known, others) = self.concerned(address, user);
        if known {
            return Some(Duration::ZERO);
        }
        let mut turn = now;
        for (who, _) in &others {
            if let Some(trouble) = self.troubles.get(who) {
                trouble.forget(now);
                turn = turn.max(trouble.next);
            }
        }
        if turn - now > PATIENCE {
            return None;
        }
        // Attempts that come at the same time have their turns one after the other.
        for (who, free) in others {
            if let Some(trouble) = self.troubles.get(&who) {
                trouble.next = turn + trouble.cost(free);
            }
        }
        Some(turn - now)
    }

    /// The password was wrong. Gives how long the answer has to wait.
    pub(crate) fn failed(&mut self, address: IpAddr, user: &str, now: Duration) -> Duration {
        let mut longest = Duration::ZERO;
        for (who, free) in self.concerned(address, user).1 {
            let trouble = self.troubles.get_or_default(who);
            trouble.forget(now);
            trouble.failures = trouble.failures.saturating_add(1);
            trouble.last = now;
            let cost = trouble.cost(free);
            trouble.next = trouble.next.max(now + cost);
            longest = longest.max(cost);
        }
        longest
    }

    /// It was right: this user is known from this address.
    pub(crate) fn succeeded(&mut self, address: IpAddr, user: &str) {
        let address = network(address);
        self.known.insert((address, user.into()), ());
        self.troubles.remove(&Who::Both(address, user.into()));
    }

    /// Whether the user is known from there, and who else has to do with an attempt, with the failures that cost it nothing.
    fn concerned(&mut self, address: IpAddr, user: &str) -> (bool, Vec<(Who, u32)>) {
        let address = network(address);
        let pair = (address, Box::from(user));
        match self.known.get(&pair).is_some() {
            true => (true, vec![(Who::Both(address, pair.1), USER_FREE)]),
            false => {
                let user = (Who::User(pair.1), USER_FREE);
                (false, vec![(Who::Address(address), ADDRESS_FREE), user])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const AWAY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 1));

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn failures_cost_more_and_more_and_are_forgotten() {
        // Goal: three mistakes of a user are free, then the cost doubles up to its most; time takes it back.
        let mut delays = Delays::new();
        let costs: Vec<u128> = (0..10)
            .map(|_| delays.failed(AWAY, "alice", at(0)).as_millis())
            .collect();
        assert_eq!(costs, [0, 0, 0, 250, 500, 1000, 2000, 4000, 4000, 4000]);
        assert_eq!(
            delays.ask(HOME, "alice", at(0)),
            Some(MOST),
            "her turn elsewhere waits, too"
        );
        assert_eq!(
            delays.ask(HOME, "bob", at(0)),
            Some(Duration::ZERO),
            "others have nothing to do with it"
        );
        let later = FORGET * 20;
        assert_eq!(delays.ask(HOME, "alice", later), Some(Duration::ZERO));
        assert_eq!(delays.failed(HOME, "alice", later), Duration::ZERO);
    }

    #[test]
    fn a_user_is_never_locked_out_where_it_is_known() {
        // Goal: however much is guessed from elsewhere, or even from there, the turn of a known user comes at once.
        let mut delays = Delays::new();
        delays.succeeded(HOME, "alice");
        for _ in 0..1000 {
            delays.failed(AWAY, "alice", at(0));
            delays.failed(HOME, "alice", at(0));
        }
        assert_eq!(delays.ask(HOME, "alice", at(0)), Some(Duration::ZERO));
        assert_eq!(
            delays.ask(HOME, "bob", at(0)),
            Some(Duration::ZERO),
            "her failures are not the address's"
        );
        assert_eq!(
            delays.failed(HOME, "alice", at(0)),
            MOST,
            "a wrong answer is slow there, too"
        );
        assert!(
            delays
                .ask(AWAY, "alice", at(0))
                .is_none_or(|wait| wait > Duration::ZERO)
        );
    }

    #[test]
    fn an_address_that_tries_many_users_waits() {
        // Goal: one password for each of many users is guessing, too; a network of IPv6 counts as one address.
        let mut delays = Delays::new();
        let hosts = |n: u64| format!("2001:db8::{n:x}").parse::<IpAddr>().unwrap();
        for n in 0..20 {
            delays.failed(hosts(n), &format!("user{n}"), at(0));
        }
        assert!(
            delays
                .ask(hosts(99), "another", at(0))
                .is_none_or(|wait| wait > Duration::ZERO)
        );
        assert_eq!(
            delays.ask("2001:db8:1::1".parse().unwrap(), "another", at(0)),
            Some(Duration::ZERO)
        );
    }

    proptest! {
        #[test]
        fn guesses_at_one_user_are_few(attempts in proptest::collection::vec((0_u64..200, 0_u8..8), 1..300)) {
            // Goal: whatever the times and addresses, at once or one after the other, an unknown client has no more turns with one user than the
            // free ones and one for each full wait after the costs have grown.
            let mut delays = Delays::new();
            let (mut now, mut turns) = (0, Vec::new());
            for (pause, host) in attempts {
                now += pause;
                let address = IpAddr::from([203, 0, 113, host]);
                if let Some(wait) = delays.ask(address, "alice", at(now)) {
                    turns.push(at(now) + wait);
                    delays.failed(address, "alice", at(now));
                }
            }
            turns.sort();
            let bound = 9 + turns.last().unwrap().as_millis() / MOST.as_millis();
            prop_assert!(turns.len() as u128 <= bound, "{} turns, {bound} at most: {turns:?}", turns.len());
        }
    }
}
