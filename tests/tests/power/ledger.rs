//! What must be in a store: the oracle of the tests below the broker.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use inbox_bridge::{
    Age, Batch, ClientId, Entry, Expiry, Message, Micros, PageLimit, Qos, Seq, Store, Table, TableChange, TableKey,
};
use rand::Rng;
use rand::rngs::StdRng;

/// More are removed than put from here on.
const MESSAGES_MAX: usize = 1500;
const INBOXES: u32 = 12;

type Key = (String, u64);

/// What was committed, and what may have been. Contents follow from the key.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Committed, or found after a start that was itself made durable.
    kept: BTreeSet<Key>,
    /// Put by a commit of which nothing is known.
    perhaps_put: BTreeSet<Key>,
    /// Removed by one.
    perhaps_removed: BTreeSet<Key>,
    last_seq: u64,
    reserved: u64,
}

impl Ledger {
    /// The next batch: messages of all sizes, a few of them kept in pieces, and removals.
    pub(crate) fn batch(&mut self, rng: &mut StdRng) -> Batch {
        let mut puts = Vec::new();
        for _ in 0..rng.random_range(0..24) {
            self.last_seq += rng.random_range(1..50);
            let inbox = format!("client-{}", rng.random_range(0..INBOXES));
            puts.push((id(&inbox), entry(self.last_seq)));
        }
        let removals_max = if self.kept.len() > MESSAGES_MAX { 60 } else { 12 };
        let removals = match self.kept.is_empty() {
            true => Vec::new(),
            false => (0..rng.random_range(0..removals_max))
                .map(|_| self.any_kept(rng))
                .collect(),
        };
        Batch {
            puts,
            removals,
            // Also where there is nothing else, so that no batch is empty.
            reserve: Some(Seq(self.last_seq + 1)),
            // The same, so that half of a batch would be seen.
            tables: vec![witness(self.last_seq + 1)],
            age: None,
        }
    }

    /// One of the older messages, as readers take them, or any.
    fn any_kept(&self, rng: &mut StdRng) -> (ClientId, Seq) {
        let inbox = format!("client-{}", rng.random_range(0..INBOXES));
        let first = self
            .kept
            .range((inbox, rng.random_range(0..=self.last_seq / 2))..)
            .next();
        let (inbox, seq) = first.or(self.kept.first()).expect("it is not empty");
        (id(inbox), Seq(*seq))
    }

    /// A commit begins: from now on its batch may be there.
    pub(crate) fn begin(&mut self, batch: &Batch) {
        self.perhaps_put
            .extend(batch.puts.iter().map(|(inbox, entry)| key(inbox, entry.seq)));
        self.perhaps_removed
            .extend(batch.removals.iter().map(|(inbox, seq)| key(inbox, *seq)));
    }

    /// It returned well while the power was on: from now on its batch must be there.
    pub(crate) fn confirm(&mut self, batch: &Batch) {
        self.kept.append(&mut self.perhaps_put);
        for gone in std::mem::take(&mut self.perhaps_removed) {
            self.kept.remove(&gone);
        }
        self.reserved = batch.reserve.map_or(self.reserved, |seq| seq.0);
    }

    /// Compares with what `store` holds, and tells how many messages had to be there. `is_settled` says that the store made
    /// what it found durable before the power went: then it must be there the next time, too.
    pub(crate) fn check(&mut self, store: &dyn Store, is_settled: impl Fn() -> bool) -> Result<u64, String> {
        let mut found = BTreeSet::new();
        for (inbox, record) in store.inboxes(None, usize::MAX).map_err(|why| why.to_string())? {
            let entries = all(store, &inbox)?;
            let bytes: u64 = entries.iter().map(|entry| entry.message.size() as u64).sum();
            if (entries.len() as u64, bytes) != (record.messages, record.bytes) {
                return Err(format!(
                    "{inbox:?} lists {record:?} and has {} messages of {bytes} bytes",
                    entries.len()
                ));
            }
            for found_entry in entries {
                if found_entry != entry(found_entry.seq.0) {
                    return Err(format!("message {} of {inbox:?} is not what was put", found_entry.seq));
                }
                found.insert(key(&inbox, found_entry.seq));
            }
        }
        let lost: Vec<_> = self
            .kept
            .difference(&found)
            .filter(|key| !self.perhaps_removed.contains(key))
            .collect();
        if !lost.is_empty() {
            return Err(format!(
                "{} of {} committed messages are lost: {:?} …",
                lost.len(),
                self.kept.len(),
                lost[0]
            ));
        }
        let back: Vec<_> = found
            .difference(&self.kept)
            .filter(|key| !self.perhaps_put.contains(key))
            .collect();
        if !back.is_empty() {
            return Err(format!("{} removed messages are back: {:?} …", back.len(), back[0]));
        }
        let reserved = store.reserved().map_err(|why| why.to_string())?.0;
        if reserved < self.reserved {
            return Err(format!(
                "the reservation went back from {} to {reserved}",
                self.reserved
            ));
        }
        let TableChange { table, key, .. } = witness(reserved);
        let told = store.get(table, &key).map_err(|why| why.to_string())?;
        if told != witness(reserved).value.filter(|_| reserved > 0) {
            return Err(format!(
                "half a batch is there: {reserved} is reserved, and its table says {told:?}"
            ));
        }
        let must = self.kept.difference(&self.perhaps_removed).count() as u64;
        if is_settled() {
            self.kept = found;
            self.perhaps_put.clear();
            self.perhaps_removed.clear();
            self.reserved = reserved;
        }
        Ok(must)
    }
}

/// What a batch with this reservation says in a table. Some values are kept in pieces.
fn witness(reserved: u64) -> TableChange {
    let times = if reserved.is_multiple_of(7) { 5000 } else { 1 };
    TableChange {
        table: Table::CURSORS,
        key: TableKey::new(&b"reserved"[..]).expect("a short key"),
        value: Some(reserved.to_be_bytes().repeat(times).into()),
    }
}

fn all(store: &dyn Store, inbox: &ClientId) -> Result<Vec<Entry>, String> {
    let limit = PageLimit {
        messages: 100,
        bytes: usize::MAX,
    };
    let mut entries: Vec<Entry> = Vec::new();
    loop {
        let after = entries.last().map_or(Seq::ZERO, |entry| entry.seq);
        let page = store.read(inbox, after, limit).map_err(|why| why.to_string())?;
        entries.extend(page.entries);
        if !page.more {
            return Ok(entries);
        }
    }
}

/// The message with this seq.
fn entry(seq: u64) -> Entry {
    let bytes = match seq % 97 {
        0 => 70_000,
        1..=9 => 4000 + seq % 9000,
        rest => rest * 8,
    };
    let payload: Vec<u8> = (0..bytes)
        .map(|n| (n.wrapping_mul(31) ^ seq.wrapping_mul(n >> 8 | 1)) as u8)
        .collect();
    let message = Message {
        from: id("alice"),
        id: None,
        at: Micros(seq),
        expiry: Expiry::of(Age(0), u64::MAX, None),
        qos: Qos::AtLeastOnce,
        payload: payload.into(),
        properties: None,
    };
    Entry {
        seq: Seq(seq),
        message: Arc::new(message),
    }
}

fn key(inbox: &ClientId, seq: Seq) -> Key {
    (inbox.as_str().to_owned(), seq.0)
}

fn id(id: &str) -> ClientId {
    ClientId::new(id).expect("a client ID")
}

/// Figures of one test, printed at its end.
#[derive(Debug, Default)]
pub(crate) struct Figures(BTreeMap<&'static str, u64>);

impl Figures {
    /// Counts `n` more of `what`.
    pub(crate) fn add(&mut self, what: &'static str, n: u64) {
        *self.0.entry(what).or_default() += n;
    }

    /// One line on standard error, which `cargo xtask power` shows.
    pub(crate) fn print(&self, test: &str) {
        let figures: Vec<_> = self.0.iter().map(|(what, n)| format!("{n} {what}")).collect();
        eprintln!("power cuts, {test}: {}", figures.join(", "));
    }
}
