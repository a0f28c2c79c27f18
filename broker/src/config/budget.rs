//! How the memory of the process is shared out.

use inbox_bridge::CheckpointOptions;

use super::machine;
use super::{Config, MemoryConfig};

/// Where the system does not say how much memory there is, it is taken to have so much.
const UNKNOWN_MACHINE_BYTES: u64 = 2 << 30;
/// What is left for clients at least, beside the caches.
pub(super) const CLIENTS_BYTES_MIN: u64 = 64 << 20;
/// The log's index takes this part of the budget at most.
const LOG_PART: u64 = 8;
/// Messages that wait for the disk take this part of what is left for clients at most.
const UNCOMMITTED_PART: usize = 4;
/// Retained messages that the store has, too, take this part of it at most.
const RETAINED_CACHE_PART: usize = 4;

/// What each may take, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryShares {
    /// All of it.
    pub budget: u64,
    /// The index of the store's log.
    pub log_index: usize,
    /// Everything that clients make the broker keep.
    pub clients: usize,
    /// Of that, what waits for the disk.
    pub uncommitted: usize,
    /// Of that, retained messages that the store has, too.
    pub retained_cache: usize,
}

impl Config {
    /// How `memory.budget` is shared out.
    pub fn memory_shares(&self) -> MemoryShares {
        let least = self.store.cache_bytes + CLIENTS_BYTES_MIN;
        let MemoryConfig { budget } = self.memory;
        let budget = match budget {
            0 => (machine::memory_bytes().unwrap_or(UNKNOWN_MACHINE_BYTES) / 2).max(least),
            budget => budget,
        };
        let log_index = usize::try_from(budget / LOG_PART).unwrap_or(usize::MAX);
        let log_index = log_index.min(CheckpointOptions::default().memory_bytes_max);
        let clients = budget.saturating_sub(self.store.cache_bytes);
        let clients = usize::try_from(clients).unwrap_or(usize::MAX).saturating_sub(log_index);
        MemoryShares {
            budget,
            log_index,
            clients,
            uncommitted: self.store.uncommitted_bytes_max.min(clients / UNCOMMITTED_PART),
            retained_cache: self.router.retained_cache_bytes.min(clients / RETAINED_CACHE_PART),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(budget: u64) -> MemoryShares {
        let memory = MemoryConfig { budget };
        Config {
            memory,
            ..Config::default()
        }
        .memory_shares()
    }

    /// Goal: the shares are within the budget, whatever it is, and a large one changes nothing of what is configured beside it.
    #[test]
    fn the_shares_fit_the_budget() {
        let cache = Config::default().store.cache_bytes;
        for budget in [cache + CLIENTS_BYTES_MIN, 512 << 20, 1 << 30, 16 << 30, 0] {
            let shares = shares(budget);
            let together = cache + shares.log_index as u64 + shares.clients as u64;
            assert_eq!(together, shares.budget);
            assert!(shares.clients >= (CLIENTS_BYTES_MIN / 2) as usize);
            assert!(shares.uncommitted <= shares.clients / 4);
        }
        let large = shares(16 << 30);
        assert_eq!(large.log_index, CheckpointOptions::default().memory_bytes_max);
        assert_eq!(large.uncommitted, Config::default().store.uncommitted_bytes_max);
    }
}
