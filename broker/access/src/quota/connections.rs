//! Connections, by where they come from and whose they are.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use inbox_types::ClientId;
use parking_lot::Mutex;

use super::bucket::Bucket;

/// A sweep looks for what may be forgotten when there are twice as many entries as the last one left, and this many.
const SWEEP_AT: usize = 1024;

/// Why a connection is one too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum OverQuota {
    /// Of its address.
    #[error(
        "its address has {0} connections, as many as quota.connections_per_address allows; close some, or raise it"
    )]
    AddressConnections(u32),
    /// Its address begins them too fast.
    #[error(
        "its address begins more than {0} connections in a second (quota.connects_per_second); connect again later"
    )]
    AddressRate(u32),
    /// Of its user.
    #[error("its user has {0} clients connected, as many as connections_per_user allows; close some, or raise it")]
    UserConnections(u32),
}

/// Who has connections.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Source {
    /// Or its network.
    Address(IpAddr),
    User(Box<str>),
}

/// What is known of who has connections.
#[derive(Debug, Default)]
pub(super) struct Connections(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    entries: HashMap<Source, Entry>,
    /// Entries that the last sweep left.
    swept: usize,
}

#[derive(Debug, Default)]
struct Entry {
    /// Those of an address, of whatever client.
    open: u32,
    /// The connected clients of a user. A client that takes over its own session has two for a moment, and counts once.
    clients: HashMap<ClientId, u32>,
    begun: Option<Bucket>,
}

impl Entry {
    /// Whether one more may come, of `client` if that is what counts.
    fn has_room(&self, client: Option<&ClientId>, most: Option<u32>) -> Result<(), OverQuota> {
        let Some(most) = most else { return Ok(()) };
        match client {
            Some(client) => {
                let others = self.clients.keys().filter(|other| *other != client).count();
                (others < most as usize)
                    .then_some(())
                    .ok_or(OverQuota::UserConnections(most))
            }
            None => (self.open < most)
                .then_some(())
                .ok_or(OverQuota::AddressConnections(most)),
        }
    }

    fn is_idle(&self, now: Duration) -> bool {
        self.open == 0 && self.clients.is_empty() && self.begun.as_ref().is_none_or(|begun| begun.is_full(now))
    }
}

/// A connection that counts until this is dropped.
#[derive(Debug)]
pub struct Held {
    connections: Arc<Connections>,
    source: Source,
    client: Option<ClientId>,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut table = self.connections.0.lock();
        let Some(entry) = table.entries.get_mut(&self.source) else {
            return;
        };
        match &self.client {
            Some(client) => {
                if let Some(times) = entry.clients.get_mut(client) {
                    *times -= 1;
                    if *times == 0 {
                        entry.clients.remove(client);
                    }
                }
            }
            None => entry.open = entry.open.saturating_sub(1),
        }
        // The others are forgotten by a sweep, which knows the time.
        if entry.begun.is_none() && entry.open == 0 && entry.clients.is_empty() {
            table.entries.remove(&self.source);
        }
    }
}

impl Connections {
    /// One more connection of `source`, and of `client` if that is what counts.
    pub(super) fn enter(
        self: &Arc<Self>,
        source: Source,
        client: Option<ClientId>,
        most: Option<u32>,
        rate: Option<u32>,
        now: Duration,
    ) -> Result<Held, OverQuota> {
        let mut table = self.0.lock();
        table.sweep(now);
        let entry = table.entries.entry(source.clone()).or_default();
        entry.has_room(client.as_ref(), most)?;
        if let Some(rate) = rate {
            let begun = entry.begun.get_or_insert_with(|| Bucket::new(u64::from(rate)));
            // One that is refused costs nothing, or a client that tries again and again would never come in.
            if begun.ready_at() > now {
                return Err(OverQuota::AddressRate(rate));
            }
            begun.take(1, now);
        }
        match &client {
            Some(client) => *entry.clients.entry(client.clone()).or_default() += 1,
            None => entry.open += 1,
        }
        drop(table);
        Ok(Held {
            connections: self.clone(),
            source,
            client,
        })
    }

    #[cfg(test)]
    pub(super) fn known(&self) -> usize {
        self.0.lock().entries.len()
    }
}

impl Table {
    /// Forgets who has no connection and could begin as many as somebody who is not known, now and then: each entry is looked at a
    /// bounded number of times on average.
    fn sweep(&mut self, now: Duration) {
        if self.entries.len() >= SWEEP_AT.max(2 * self.swept) {
            self.entries.retain(|_, entry| !entry.is_idle(now));
            self.swept = self.entries.len();
        }
    }
}
