//! What proves who the client is can end before its connection does, and be renewed (MQTT 5, section 4.12.1).

use std::time::Duration;

use access::Identity;
use inbox_types::{Event, EventKind, Now};

use super::link::TOKEN_METHOD;
use super::{Ending, Session};
use crate::closed::Closed;
use mqtt_codec::{Auth, encode, reason};

/// How often the wall clock is looked at: when it is put forward, a proof ends no later than so long after that.
const LOOK_EVERY: Duration = Duration::from_secs(60);
const SECOND_MICROS: u64 = 1_000_000;

/// Until when it is proven who the client is.
#[derive(Debug)]
pub(super) struct Proof {
    /// In seconds since 1970.
    expires_at: u64,
    /// The same on the monotonic clock, as it was when the proof was shown: a wall clock that is put back makes nothing last longer.
    ends: Duration,
    /// When to look next.
    look: Duration,
}

impl Proof {
    pub(super) fn of(identity: &Identity, now: Now) -> Option<Self> {
        let expires_at = identity.expires_at()?;
        let left = Duration::from_micros(expires_at.saturating_mul(SECOND_MICROS).saturating_sub(now.wall.0));
        let ends = now.mono.saturating_add(left);
        Some(Proof {
            expires_at,
            ends,
            look: ends.min(now.mono + LOOK_EVERY),
        })
    }

    fn has_ended(&self, now: Now) -> bool {
        now.mono >= self.ends || now.wall.0 / SECOND_MICROS >= self.expires_at
    }
}

impl Session {
    /// It is proven who the client is, for as long as that says.
    pub(super) fn proven(&mut self, identity: Identity, now: Now) {
        // Most clients have none that ends, and their sessions no room for one.
        self.proof = Proof::of(&identity, now).map(Box::new);
        self.identity = identity;
    }

    /// When it is to be looked whether what proves who the client is has ended.
    pub(crate) fn proof_deadline(&self) -> Option<Duration> {
        self.proof.as_ref().map(|proof| proof.look)
    }

    /// Ends the connection when what proves who the client is has ended.
    pub(super) fn check_proof(&mut self, now: Now) -> Result<(), Ending> {
        match &mut self.proof {
            Some(proof) if proof.look <= now.mono => {
                proof.look = proof.ends.min(now.mono + LOOK_EVERY);
                match proof.has_ended(now) && !inbox_types::fault!(IgnoreTokenEnd) {
                    true => Err(Closed::Expired.into()),
                    false => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    /// The client shows a fresh token.
    pub(super) fn renew(&mut self, auth: &Auth<'_>, now: Now) -> Result<(), Ending> {
        if !self.link.has_method {
            return Err(Closed::UnaskedAuth.into());
        }
        let is_renewal = auth.reason == reason::REAUTHENTICATE && auth.authentication_method == Some(TOKEN_METHOD);
        let token = auth.authentication_data.filter(|_| is_renewal);
        let token = token.and_then(|token| str::from_utf8(token).ok());
        let token = token.ok_or(Closed::WrongAuth)?;
        let renewed = self.shared.access.renew(&self.identity, token);
        // It goes on at its pace: that is not begun anew by a client that shows one token after the other.
        let renewed = renewed.map_err(Closed::NotRenewed)?;
        if !inbox_types::fault!(ForgetRenewal) {
            self.proven(renewed, now);
        }
        let who = &self.identity;
        self.shared.node.events.tell(EventKind::Renewed, || Event::Renewed {
            client: who.client_id().clone(),
            user: who.user().map(Box::from),
            roles: who.roles().to_vec(),
            how: who.how(),
        });
        encode::auth(&mut self.out, reason::SUCCESS, TOKEN_METHOD);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use access::Account;
    use inbox_types::{ClientId, Micros};

    use super::*;

    fn at(wall_seconds: u64, mono_seconds: u64) -> Now {
        Now {
            wall: Micros(wall_seconds * SECOND_MICROS),
            mono: Duration::from_secs(mono_seconds),
        }
    }

    fn proof(expires_at: Option<u64>) -> Option<Proof> {
        let account = Account {
            expires_at,
            ..Account::default()
        };
        let who = Identity::of(ClientId::new("alice").unwrap(), Arc::new(account));
        Proof::of(&who, at(1000, 50))
    }

    #[test]
    fn a_proof_ends_by_both_clocks() {
        // Goal: it lasts until its time, and no longer when the wall clock is put back; when that is put forward, it ends at the next look.
        assert!(proof(None).is_none());
        let proof = proof(Some(1300)).unwrap();
        assert_eq!(proof.look, Duration::from_secs(50 + 60), "a look each minute");
        for (now, has_ended) in [
            (at(1299, 349), false),
            (at(1300, 350), true),
            (at(10, 349), false),
            (at(10, 350), true),
            (at(5000, 60), true),
        ] {
            assert_eq!(proof.has_ended(now), has_ended, "{now:?}");
        }
        let over = self::proof(Some(999)).unwrap();
        assert!(over.has_ended(at(1000, 50)) && over.look == Duration::from_secs(50));
        assert!(self::proof(Some(u64::MAX)).is_some_and(|proof| !proof.has_ended(at(1000, 50))));
    }
}
