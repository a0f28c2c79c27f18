//! Which inboxes are the largest and which hold the oldest mail: a pass over the store, a little at a time.
//!
//! A pass is as exact as what was true when it came by; inboxes change meanwhile. It remembers a few of them, and one place in the store, however
//! many there are.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use inbox_bridge::{ClientId, Micros, PageLimit, Seq, Store, StoreError};
use parking_lot::Mutex;
use serde_json::{Value, json};

/// Inboxes of each kind that are told.
const TOLD: usize = 20;
/// Inboxes read from the store at a time.
const PAGE: usize = 128;
/// How long one step may take, in the first pass, which somebody waits for, and in later ones.
const FIRST_STEP: Duration = Duration::from_millis(100);
const STEP: Duration = Duration::from_millis(20);

/// An inbox as a pass met it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Met {
    messages: u64,
    bytes: u64,
    oldest: Seq,
    client: ClientId,
}

/// A pass that is under way.
#[derive(Debug, Default)]
struct Pass {
    after: Option<ClientId>,
    inboxes: u64,
    messages: u64,
    bytes: u64,
    /// The last one is the largest.
    largest: BTreeSet<Met>,
    /// The last one has the oldest message.
    oldest: BTreeSet<(Reverse<Seq>, Met)>,
}

impl Pass {
    fn meet(&mut self, met: Met) {
        self.inboxes += 1;
        self.messages += met.messages;
        self.bytes += met.bytes;
        self.oldest.insert((Reverse(met.oldest), met.clone()));
        if self.oldest.len() > TOLD {
            self.oldest.pop_first();
        }
        self.largest.insert(met);
        if self.largest.len() > TOLD {
            self.largest.pop_first();
        }
    }

    /// What it found. A seq is no time: that is read from the messages of those inboxes that are told.
    fn end(self, store: &dyn Store, at: Micros) -> Found {
        let line = |met: &Met| Line {
            oldest_at: oldest_at(store, &met.client),
            met: met.clone(),
        };
        Found {
            at,
            inboxes: self.inboxes,
            messages: self.messages,
            bytes: self.bytes,
            largest: self.largest.iter().rev().map(line).collect(),
            oldest: self.oldest.iter().rev().map(|(_, met)| line(met)).collect(),
        }
    }
}

/// When the oldest message of an inbox was accepted, if one is there and can be read. Blocks on the store.
pub(crate) fn oldest_at(store: &dyn Store, client: &ClientId) -> Option<Micros> {
    let one = PageLimit {
        messages: 1,
        bytes: usize::MAX,
    };
    let page = store.read(client, Seq::ZERO, one).ok()?;
    page.entries.first().map(|entry| entry.message.at)
}

/// What a pass found.
#[derive(Debug, Clone, Default)]
pub(super) struct Found {
    /// When it ended.
    pub(super) at: Micros,
    /// Inboxes that hold something.
    pub(super) inboxes: u64,
    /// Messages in them.
    pub(super) messages: u64,
    /// The sum of their sizes.
    pub(super) bytes: u64,
    largest: Vec<Line>,
    oldest: Vec<Line>,
}

#[derive(Debug, Clone)]
struct Line {
    met: Met,
    oldest_at: Option<Micros>,
}

impl Found {
    /// When the oldest message was accepted.
    pub(super) fn oldest_at(&self) -> Option<Micros> {
        self.oldest.iter().find_map(|line| line.oldest_at)
    }

    fn told(&self) -> Value {
        let told = |line: &Line| {
            json!({
                "client": line.met.client.as_str(),
                "messages": line.met.messages,
                "bytes": line.met.bytes,
                "oldest_at": line.oldest_at.map(|at| at.0),
            })
        };
        json!({
            "counted_at": self.at.0,
            "largest": self.largest.iter().map(told).collect::<Vec<_>>(),
            "oldest": self.oldest.iter().map(told).collect::<Vec<_>>(),
        })
    }
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Census(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    finished: Option<Found>,
    under_way: Pass,
}

impl Census {
    /// Goes on for a moment. Blocks on the store.
    ///
    /// # Errors
    /// The store cannot be read; the pass goes on there the next time.
    pub(super) fn step(&self, store: &dyn Store, now: Micros) -> Result<(), StoreError> {
        let patience = match self.0.lock().finished {
            Some(_) => STEP,
            None => FIRST_STEP,
        };
        let began = Instant::now();
        while began.elapsed() < patience {
            if self.page(store, now)? {
                break;
            }
        }
        Ok(())
    }

    /// Looks at some inboxes. Tells whether they were the last of a pass.
    fn page(&self, store: &dyn Store, now: Micros) -> Result<bool, StoreError> {
        let after = self.0.lock().under_way.after.clone();
        let page = store.inboxes(after.as_ref(), PAGE)?;
        let is_end = page.len() < PAGE;
        let mut met = Vec::with_capacity(page.len());
        for (client, record) in page {
            // Gone meanwhile, or one that cannot be read: it has no age.
            let oldest = store.seqs(&client, Seq::ZERO, 1).unwrap_or_default();
            met.push(Met {
                messages: record.messages,
                bytes: record.bytes,
                oldest: oldest.first().copied().unwrap_or(Seq(u64::MAX)),
                client,
            });
        }
        let ended = {
            let pass = &mut self.0.lock().under_way;
            pass.after = met.last().map(|last| last.client.clone());
            met.into_iter().for_each(|one| pass.meet(one));
            is_end.then(|| std::mem::take(pass))
        };
        if let Some(pass) = ended {
            let found = pass.end(store, now);
            self.0.lock().finished = Some(found);
        }
        Ok(is_end)
    }

    /// What the last pass found, once there was one.
    pub(super) fn found(&self) -> Option<Found> {
        self.0.lock().finished.clone()
    }

    /// The same, as it is told.
    pub(super) fn told(&self) -> Value {
        match &self.0.lock().finished {
            Some(found) => found.told(),
            None => json!({"counted_at": null, "largest": [], "oldest": []}),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use inbox_bridge::{Batch, Entry, Expiry, MemoryStore, Message, Qos};

    /// Accepted years before its seq says.
    fn entry(seq: u64, at: u64) -> Entry {
        let message = Message {
            from: ClientId::new("alice").unwrap(),
            id: None,
            at: Micros(at),
            expiry: Expiry::of(Default::default(), 1, None),
            qos: Qos::AtLeastOnce,
            payload: Default::default(),
            properties: None,
        };
        Entry {
            seq: Seq(seq),
            message: Arc::new(message),
        }
    }

    #[test]
    fn a_pass_remembers_the_largest_and_the_oldest_and_counts_all() {
        // Goal: of many inboxes few are remembered, and those are the right ones, whatever the order. Ages are those of the messages, also where
        // seqs are years ahead, as after a restore.
        let store = MemoryStore::new();
        for n in 0..300_u64 {
            let client = ClientId::new(&format!("c{n}")).unwrap();
            let messages = (0..=n % 150).map(|at| entry(1_000_000 - n + at * 1000, 500 - n + at));
            let puts = messages.map(|entry| (client.clone(), entry)).collect();
            store
                .commit(&Batch {
                    puts,
                    ..Batch::default()
                })
                .unwrap();
        }
        let census = Census::default();
        while !census.page(&store, Micros(7)).unwrap() {}
        let found = census.found().unwrap();
        assert_eq!(
            (found.inboxes, found.messages, found.oldest_at()),
            (300, 22_650, Some(Micros(201)))
        );
        let told = census.told();
        let of = |list: &str, at: usize| told[list][at]["client"].as_str().unwrap().to_owned();
        assert_eq!((of("largest", 0), of("largest", 19)), ("c149".into(), "c290".into()));
        assert_eq!((of("oldest", 0), of("oldest", 19)), ("c299".into(), "c280".into()));
        assert_eq!(told["oldest"][19]["oldest_at"], 220);
        assert_eq!(told["largest"].as_array().unwrap().len(), TOLD);
    }
}
