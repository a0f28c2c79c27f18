//! Which inboxes are the largest and which hold the oldest mail: a pass over the store, a little at a time.
//!
//! A pass is as exact as what was true when it came by; inboxes change meanwhile. It remembers a few of them, and one place in the store, however
//! many there are.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use inbox_bridge::{ClientId, Micros, Seq, Store, StoreError};
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
    largest: BTreeSet<(u64, u64, ClientId, Seq)>,
    oldest: BTreeSet<(Reverse<Seq>, ClientId, u64, u64)>,
}

impl Found {
    fn meet(&mut self, met: Met) {
        let Met {
            messages,
            bytes,
            oldest,
            client,
        } = met;
        self.inboxes += 1;
        self.messages += messages;
        self.bytes += bytes;
        self.largest.insert((messages, bytes, client.clone(), oldest));
        if self.largest.len() > TOLD {
            self.largest.pop_first();
        }
        self.oldest.insert((Reverse(oldest), client, messages, bytes));
        if self.oldest.len() > TOLD {
            self.oldest.pop_first();
        }
    }

    /// When the oldest message was accepted: a seq is the time of its acceptance in microseconds, or a little more.
    pub(super) fn oldest_at(&self) -> Option<u64> {
        self.oldest.last().map(|(Reverse(seq), ..)| seq.0)
    }

    fn told(&self) -> Value {
        let line = |client: &ClientId, messages: u64, bytes: u64, oldest: Seq| json!({"client": client.as_str(), "messages": messages, "bytes": bytes, "oldest_at": oldest.0});
        let largest = self.largest.iter().rev();
        let largest = largest.map(|(messages, bytes, client, oldest)| line(client, *messages, *bytes, *oldest));
        let oldest = self.oldest.iter().rev();
        let oldest = oldest.map(|(Reverse(seq), client, messages, bytes)| line(client, *messages, *bytes, *seq));
        json!({
            "counted_at": self.at.0,
            "largest": largest.collect::<Vec<_>>(),
            "oldest": oldest.collect::<Vec<_>>(),
        })
    }
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Census(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    finished: Option<Found>,
    under_way: Found,
    after: Option<ClientId>,
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
        let after = self.0.lock().after.clone();
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
        let mut state = self.0.lock();
        state.after = met.last().map(|last| last.client.clone()).filter(|_| !is_end);
        met.into_iter().for_each(|one| state.under_way.meet(one));
        if is_end {
            let found = std::mem::take(&mut state.under_way);
            state.finished = Some(Found { at: now, ..found });
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
    use super::*;

    #[test]
    fn a_pass_remembers_the_largest_and_the_oldest_and_counts_all() {
        // Goal: of many inboxes few are remembered, and those are the right ones, whatever the order.
        let mut found = Found::default();
        for n in (0..1_000_u64).map(|n| n * 7 % 1_000) {
            found.meet(Met {
                messages: n,
                bytes: 10 * n,
                oldest: Seq(1_000 - n),
                client: ClientId::new(&format!("c{n}")).unwrap(),
            });
        }
        assert_eq!((found.inboxes, found.messages), (1_000, 499_500));
        let told = found.told();
        let of = |list: &str, at: usize| told[list][at]["client"].as_str().unwrap().to_owned();
        assert_eq!((of("largest", 0), of("largest", 19)), ("c999".into(), "c980".into()));
        assert_eq!((of("oldest", 0), of("oldest", 19)), ("c999".into(), "c980".into()));
        assert_eq!(
            (told["largest"].as_array().unwrap().len(), found.oldest_at()),
            (TOLD, Some(1))
        );
    }
}
