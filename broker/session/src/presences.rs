//! Who is connected now, for operators.
//!
//! In the order of client IDs, so that a page of a long list costs no more than a page, and counted as they come and go.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::SocketAddr;
use std::ops::Bound;
use std::sync::Arc;

use inbox_types::{ClientId, Micros};
use parking_lot::Mutex;

/// A client that is connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    /// Its ID.
    pub client: ClientId,
    /// Whose client it is; `None`: anybody's.
    pub user: Option<Box<str>>,
    /// The other end of its network connection.
    pub peer: SocketAddr,
    /// The name of the listener that it came through, where there is one.
    pub listener: Option<Arc<str>>,
    /// The version of MQTT that it speaks: `3.1`, `3.1.1` or `5`.
    pub protocol: &'static str,
    /// When it was let in.
    pub since: Micros,
}

/// How many clients are connected, by what they came with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PresenceCounts {
    /// By version of MQTT.
    pub by_protocol: BTreeMap<&'static str, u64>,
    /// By listener; those of none are not in it.
    pub by_listener: BTreeMap<Arc<str>, u64>,
}

impl PresenceCounts {
    /// All of them.
    pub fn connected(&self) -> u64 {
        self.by_protocol.values().sum()
    }
}

/// See the module's documentation.
#[derive(Default)]
pub struct Presences(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// With a number of its own for each connection: one that ends late does not remove the one that took its place.
    present: BTreeMap<ClientId, (u64, Presence)>,
    last: u64,
    by_protocol: BTreeMap<&'static str, u64>,
    by_listener: HashMap<Arc<str>, u64>,
}

/// Somebody is present until this is dropped.
pub(crate) struct Present {
    state: Arc<Mutex<State>>,
    number: u64,
    client: ClientId,
}

impl fmt::Debug for Presences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presences").finish_non_exhaustive()
    }
}

impl Presences {
    /// Somebody came. It is present until what is given is dropped.
    pub(crate) fn enter(&self, presence: Presence) -> Present {
        let mut state = self.0.lock();
        state.last += 1;
        let (number, client) = (state.last, presence.client.clone());
        state.count(&presence, 1);
        if let Some((_, earlier)) = state.present.insert(client.clone(), (number, presence)) {
            state.count(&earlier, -1);
        }
        Present {
            state: self.0.clone(),
            number,
            client,
        }
    }

    /// At most `limit` of them with client IDs after `after`, in byte order.
    pub fn page(&self, after: Option<&ClientId>, limit: usize) -> Vec<Presence> {
        let after = after.map_or(Bound::Unbounded, Bound::Excluded);
        let state = self.0.lock();
        let page = state
            .present
            .range::<ClientId, _>((after, Bound::Unbounded))
            .take(limit);
        page.map(|(_, (_, presence))| presence.clone()).collect()
    }

    /// The client with this ID, if it is connected.
    pub fn get(&self, client: &ClientId) -> Option<Presence> {
        self.0.lock().present.get(client).map(|(_, presence)| presence.clone())
    }

    /// How many there are.
    pub fn counts(&self) -> PresenceCounts {
        let state = self.0.lock();
        PresenceCounts {
            by_protocol: state.by_protocol.clone(),
            by_listener: state.by_listener.iter().map(|(name, n)| (name.clone(), *n)).collect(),
        }
    }
}

impl State {
    fn count(&mut self, presence: &Presence, change: i64) {
        let protocol = self.by_protocol.entry(presence.protocol).or_default();
        *protocol = protocol.saturating_add_signed(change);
        if let Some(name) = &presence.listener {
            let listener = self.by_listener.entry(name.clone()).or_default();
            *listener = listener.saturating_add_signed(change);
        }
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        let mut state = self.state.lock();
        if state
            .present
            .get(&self.client)
            .is_some_and(|(number, _)| *number == self.number)
            && let Some((_, presence)) = state.present.remove(&self.client)
        {
            state.count(&presence, -1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn presence(id: &str, protocol: &'static str) -> Presence {
        Presence {
            client: ClientId::new(id).unwrap(),
            user: None,
            peer: SocketAddr::from(([127, 0, 0, 1], 1)),
            listener: Some("mqtt".into()),
            protocol,
            since: Micros(0),
        }
    }

    #[test]
    fn who_is_there_is_listed_page_by_page() {
        // Goal: in order, from after a client on, and nobody who has gone.
        let presences = Presences::default();
        let names = |after: Option<&str>, limit| {
            let after = after.map(|id| ClientId::new(id).unwrap());
            let page = presences.page(after.as_ref(), limit);
            page.iter().map(|one| one.client.to_string()).collect::<Vec<_>>()
        };
        let _here: Vec<_> = ["cyd", "ann", "bob"]
            .map(|id| presences.enter(presence(id, "5")))
            .into();
        let gone = presences.enter(presence("dan", "3.1.1"));
        assert_eq!(names(None, 2), ["ann", "bob"]);
        assert_eq!(names(Some("bob"), 9), ["cyd", "dan"]);
        assert_eq!(presences.counts().by_protocol["3.1.1"], 1);
        drop(gone);
        assert_eq!(names(Some("bob"), 9), ["cyd"]);
        let counts = presences.counts();
        assert_eq!((counts.by_protocol["3.1.1"], counts.by_protocol["5"]), (0, 3));
        assert_eq!(counts.by_listener["mqtt"], 3);
    }

    #[test]
    fn a_connection_that_ends_late_leaves_the_one_that_took_its_place() {
        // Goal: a takeover counts once, whoever is first to say so.
        let presences = Presences::default();
        let old = presences.enter(presence("bob", "3.1.1"));
        let new = presences.enter(presence("bob", "5"));
        drop(old);
        let bob = ClientId::new("bob").unwrap();
        assert_eq!(presences.get(&bob).unwrap().protocol, "5");
        assert_eq!(presences.counts().by_protocol, [("3.1.1", 0), ("5", 1)].into());
        drop(new);
        assert!(presences.get(&bob).is_none());
    }
}
