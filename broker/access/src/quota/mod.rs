//! How much a client may take: connections of an address and of a user, and how fast a client may publish.
//!
//! Who connects too often, or too many times, is refused. Who publishes too fast is read from more slowly, which every client of
//! every protocol version understands: nothing of it is lost, and nobody has to be told.

mod bucket;
mod connections;

use std::sync::Arc;
use std::time::Duration;

use bucket::Bucket;
use connections::{Connections, Source};
pub use connections::{Held, OverQuota};

use crate::identity::Identity;
use crate::origin::network;

/// What everybody may take, and what clients of some roles may. Nothing is limited by default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QuotaLimits {
    /// Connections of one address at a time. IPv6 addresses of one network of 64 bits count as one.
    pub connections_per_address: Option<u32>,
    /// Connections that one address may begin in a second.
    pub connects_per_second: Option<u32>,
    /// What a client may take whose roles say nothing else.
    pub everybody: RoleQuota,
    /// What clients of a role may take, by the name of the role.
    pub roles: Vec<(String, RoleQuota)>,
}

/// What a client of one role may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RoleQuota {
    /// Client IDs of one user that are connected at a time.
    pub connections_per_user: Option<u32>,
    /// Publishes of one connection in a second.
    pub publishes_per_second: Option<u32>,
    /// Bytes of payload that one connection may publish in a second.
    pub publish_bytes_per_second: Option<u64>,
}

/// See the module's documentation. One for the whole broker.
#[derive(Debug, Default)]
pub struct Quotas {
    limits: QuotaLimits,
    connections: Arc<Connections>,
}

impl Quotas {
    /// Enforces `limits`.
    pub fn new(limits: QuotaLimits) -> Self {
        Quotas {
            limits,
            connections: Arc::default(),
        }
    }

    /// A connection of `address` begins at `now`, on the monotonic clock. It counts until what is given is dropped; nothing is given
    /// when nothing is limited.
    ///
    /// # Errors
    /// The address has too many, or begins them too fast.
    pub fn address(&self, address: std::net::IpAddr, now: Duration) -> Result<Option<Box<Held>>, OverQuota> {
        let (most, rate) = (self.limits.connections_per_address, self.limits.connects_per_second);
        if most.is_none() && rate.is_none() {
            return Ok(None);
        }
        let held = self
            .connections
            .enter(Source::Address(network(address)), None, most, rate, now)?;
        Ok(Some(Box::new(held)))
    }

    /// A client of a known user is let in. It counts until what is given is dropped; nothing is given when nothing is limited, or the
    /// client is nobody's.
    ///
    /// # Errors
    /// The user has too many others.
    pub fn user(&self, who: &Identity, now: Duration) -> Result<Option<Box<Held>>, OverQuota> {
        let (Some(user), Some(most)) = (who.user(), self.of(who).connections_per_user) else {
            return Ok(None);
        };
        let client = Some(who.client_id().clone());
        let held = self
            .connections
            .enter(Source::User(user.into()), client, Some(most), None, now)?;
        Ok(Some(Box::new(held)))
    }

    /// How fast `who` may publish over a connection; `None`: as fast as it can.
    pub fn pace(&self, who: &Identity) -> Option<Box<Pace>> {
        let quota = self.of(who);
        if quota.publishes_per_second.is_none() && quota.publish_bytes_per_second.is_none() {
            return None;
        }
        Some(Box::new(Pace {
            publishes: quota.publishes_per_second.map(|rate| Bucket::new(u64::from(rate))),
            bytes: quota.publish_bytes_per_second.map(Bucket::new),
            waits_until: None,
        }))
    }

    /// Of several roles that have a quota, the first in the configuration counts.
    fn of(&self, who: &Identity) -> RoleQuota {
        let mut roles = self.limits.roles.iter();
        let found = roles.find(|(name, _)| who.roles().iter().any(|role| **role == **name));
        found.map_or(self.limits.everybody, |(_, quota)| *quota)
    }
}

/// How fast a connection may publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pace {
    publishes: Option<Bucket>,
    bytes: Option<Bucket>,
    /// It publishes faster, and is not read until then.
    waits_until: Option<Duration>,
}

impl Pace {
    /// A publish with a payload of `bytes` came at `now`, on the monotonic clock.
    pub fn published(&mut self, bytes: usize, now: Duration) {
        if let Some(publishes) = &mut self.publishes {
            publishes.take(1, now);
        }
        if let Some(taken) = &mut self.bytes {
            taken.take(bytes as u64, now);
        }
        let ready = |bucket: &Option<Bucket>| bucket.as_ref().map_or(Duration::ZERO, Bucket::ready_at);
        self.waits_until = Some(ready(&self.publishes).max(ready(&self.bytes)));
        self.time_passed(now);
    }

    /// It is `now`: who had to wait until then need not wait any more.
    pub fn time_passed(&mut self, now: Duration) {
        self.waits_until = self.waits_until.filter(|until| now < *until);
    }

    /// From when the next publish is wanted, on the monotonic clock; `None`: from now.
    pub fn waits_until(&self) -> Option<Duration> {
        self.waits_until
    }
}

#[cfg(test)]
mod tests;
