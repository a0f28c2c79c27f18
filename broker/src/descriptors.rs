//! File descriptors: as many as the system gives, and enough of them set aside for the store.
//!
//! A connection that took the last one would leave a checkpoint without a file to write to. So connections may use up what is left beside
//! a reserve, and not more.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What the broker has open beside connections when the limit allows it.
const RESERVE: u64 = FIXED + TABLES_MAX;
/// Of that: standard streams, runtime, listeners, the store's log, and the files of an engine but for fjall's tables.
const FIXED: u64 = 64;
/// Of that: files of fjall's tables, which it keeps open.
const TABLES_MAX: u64 = 128;
const TABLES_MIN: u64 = 8;

/// Raises the soft limit on open files to the hard one.
pub(crate) fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // What it is without that serves fewer clients.
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, soft_limit = limit.current, "the limit on open files cannot be raised");
    }
}

/// How many MQTT connections of a limit leave alone the reserve and what `http` connections may take. At least one.
pub(crate) fn for_connections(limit: Option<u64>, http: usize) -> usize {
    limit.map_or(usize::MAX, |limit| {
        let beside = http.min(for_http(Some(limit))) as u64;
        (limit - reserve(limit)).saturating_sub(beside).max(1) as usize
    })
}

/// The limit that so many connections need beside so many of HTTP.
pub(crate) fn limit_for(connections: u64, http: usize) -> u64 {
    connections.saturating_add(RESERVE).saturating_add(http as u64)
}

/// How many HTTP connections leave enough to MQTT clients.
pub(crate) fn for_http(limit: Option<u64>) -> usize {
    limit.map_or(usize::MAX, |limit| ((limit - reserve(limit)) / 4).max(1) as usize)
}

/// How many tables fjall may keep open.
pub(crate) fn for_tables() -> usize {
    limit().map_or(TABLES_MAX, tables) as usize
}

/// How many descriptors this process may have.
pub(crate) fn limit() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// Of a small limit, most is set aside: the store needs what it needs, and clients can wait.
fn reserve(limit: u64) -> u64 {
    RESERVE.min(limit / 4 * 3)
}

fn tables(limit: u64) -> u64 {
    reserve(limit).saturating_sub(FIXED).clamp(TABLES_MIN, TABLES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_keeps_its_share_of_any_limit() {
        // Goal: a large limit costs a fixed reserve (docs/operations.md), a small one three quarters of it.
        assert_eq!((reserve(1_048_576), tables(1_048_576)), (192, 128));
        assert_eq!((reserve(1024), tables(1024)), (192, 128));
        assert_eq!((reserve(128), tables(128)), (96, 32));
        assert_eq!((reserve(64), tables(64)), (48, 8));
        assert_eq!((reserve(0), tables(0)), (0, 8));
    }

    #[test]
    fn connections_leave_http_its_own() {
        // Goal: MQTT and HTTP never have more than the limit together, and a limit that is said to be needed is enough, and no less is.
        for (connections, http) in [(50_000, 128), (1000, 0), (600, 128)] {
            let needed = limit_for(connections, http);
            assert_eq!(for_connections(Some(needed), http) as u64, connections);
            assert_eq!(for_connections(Some(needed - 1), http) as u64, connections - 1);
        }
        assert_eq!(for_connections(Some(0), 128), 1);
        assert_eq!(for_connections(None, 128), usize::MAX);
    }

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        raise_limit();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }
}
