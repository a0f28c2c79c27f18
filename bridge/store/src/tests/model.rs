//! Random histories against a plain map.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use proptest::prelude::*;

use super::{ALWAYS, AT_ONCE, NEVER, on_disk};
use crate::contract::{Place, all, change, entry, id, key, table};
use crate::{Batch, Engine, InboxRecord, MemoryStore, PageLimit, Table, TableKey, TablePage};
use inbox_types::{ClientId, Entry, Seq};

pub(super) const INBOXES: [&str; 6] = ["a", "a\u{1}", "ab", "b", "\u{1}", "ß"];

/// One step. Numbers are turned into what makes sense when the step is taken.
#[derive(Debug, Clone)]
enum Step {
    /// Puts of (inbox, payload bytes), and removals that name a message by its place among all that there are.
    Commit(Vec<(usize, usize)>, Vec<prop::sample::Index>, Option<u64>),
    Read(usize, u64, usize, usize),
    List(usize),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let size = prop_oneof![8 => 0usize..300, 1 => 16_000usize..17_000, 1 => 30_000usize..60_000];
    let puts = prop::collection::vec((0..INBOXES.len(), size), 0..40);
    let removals = prop::collection::vec(any::<prop::sample::Index>(), 0..40);
    prop_oneof![
        10 => (puts, removals, prop::option::of(0u64..1000)).prop_map(|(p, r, s)| Step::Commit(p, r, s)),
        5 => (0..INBOXES.len(), 0u64..400, 1usize..20, 0usize..5000).prop_map(|(i, a, m, b)| Step::Read(i, a, m, b)),
        2 => (1usize..8).prop_map(Step::List),
        1 => Just(Step::Reopen),
    ]
}

#[derive(Default, Clone)]
pub(super) struct Model {
    entries: BTreeMap<(ClientId, Seq), Entry>,
    pub(super) tables: BTreeMap<TableKey, Bytes>,
    pub(super) reserved: u64,
    last: u64,
}

impl Model {
    pub(super) fn commit(
        &mut self,
        puts: &[(usize, usize)],
        removals: &[prop::sample::Index],
        reserve: Option<u64>,
    ) -> Batch {
        let mut batch = Batch {
            reserve: reserve.map(Seq),
            ..Batch::default()
        };
        for &(inbox, size) in puts {
            self.last += 1;
            let (inbox, entry) = (id(INBOXES[inbox]), entry(self.last, size));
            self.entries.insert((inbox.clone(), entry.seq), entry.clone());
            batch.puts.push((inbox, entry));
        }
        for index in removals {
            let Some((key, _)) = self.entries.iter().nth(index.index(self.entries.len().max(1))) else {
                break;
            };
            let key = key.clone();
            self.entries.remove(&key);
            batch.removals.push(key);
        }
        for &(inbox, size) in puts {
            // A few keys, of which some begin alike, and values of all sizes.
            let name = &INBOXES[inbox].as_bytes().repeat(1 + size % 2);
            let value = (size % 3 > 0).then(|| vec![size as u8; size]);
            let change = change(Table::CURSORS, name, value.as_deref());
            match &change.value {
                Some(value) => _ = self.tables.insert(change.key.clone(), value.clone()),
                None => _ = self.tables.remove(&change.key),
            }
            batch.tables.push(change);
        }
        self.reserved = self.reserved.max(reserve.unwrap_or(0));
        batch
    }

    fn table_page(&self, prefix: &[u8], after: Option<&TableKey>, limit: PageLimit) -> TablePage {
        let mut page = TablePage::default();
        let mut bytes = 0;
        for (key, value) in &self.tables {
            if !key.as_bytes().starts_with(prefix) || after.is_some_and(|after| key <= after) {
                continue;
            }
            bytes += value.len();
            if !page.entries.is_empty() && (page.entries.len() >= limit.messages || bytes > limit.bytes) {
                page.more = true;
                break;
            }
            page.entries.push((key.clone(), value.clone()));
        }
        page
    }

    pub(super) fn inbox(&self, inbox: &ClientId) -> Vec<Entry> {
        let range = (inbox.clone(), Seq::ZERO)..=(inbox.clone(), Seq(u64::MAX));
        self.entries.range(range).map(|(_, entry)| entry.clone()).collect()
    }

    fn page(&self, inbox: &ClientId, after: u64, limit: PageLimit) -> (Vec<Entry>, bool) {
        let rest: Vec<Entry> = self
            .inbox(inbox)
            .into_iter()
            .filter(|entry| entry.seq.0 > after)
            .collect();
        let mut bytes = 0;
        let fits = |(n, entry): &(usize, &Entry)| {
            bytes += entry.message.size();
            *n == 0 || (*n < limit.messages && bytes <= limit.bytes)
        };
        let page: Vec<Entry> = rest
            .iter()
            .enumerate()
            .take_while(fits)
            .map(|(_, entry)| entry.clone())
            .collect();
        let more = page.len() < rest.len();
        (page, more)
    }

    pub(super) fn records(&self) -> Vec<(ClientId, InboxRecord)> {
        let inboxes: BTreeSet<&ClientId> = self.entries.keys().map(|(inbox, _)| inbox).collect();
        let record = |inbox: &ClientId| {
            let entries = self.inbox(inbox);
            let bytes = entries.iter().map(|entry| entry.message.size() as u64).sum();
            (
                inbox.clone(),
                InboxRecord {
                    messages: entries.len() as u64,
                    bytes,
                },
            )
        };
        inboxes.into_iter().map(record).collect()
    }
}

fn follow(place: &Place, steps: Vec<Step>) {
    let mut model = Model::default();
    let mut store = place();
    for step in steps {
        match step {
            Step::Commit(puts, removals, reserve) => {
                store.commit(&model.commit(&puts, &removals, reserve)).unwrap();
            }
            Step::Read(inbox, after, messages, bytes) => {
                let (inbox, limit) = (id(INBOXES[inbox]), PageLimit { messages, bytes });
                let page = store.read(&inbox, Seq(after), limit).unwrap();
                assert_eq!((page.entries, page.more), model.page(&inbox, after, limit));
                let prefix = &inbox.as_str().as_bytes()[..after as usize % 2];
                let after = (after % 3 > 0).then(|| key(inbox.as_str().as_bytes()));
                let page = store.scan(Table::CURSORS, prefix, after.as_ref(), limit).unwrap();
                assert!(page == model.table_page(prefix, after.as_ref(), limit));
            }
            Step::List(limit) => {
                let expected: Vec<_> = model.records().into_iter().take(limit).collect();
                assert_eq!(store.inboxes(None, limit).unwrap(), expected);
            }
            Step::Reopen => {
                drop(store);
                store = place();
            }
        }
    }
    drop(store);
    let store = place();
    let records = model.records();
    assert_eq!(store.inboxes(None, 100).unwrap(), records);
    assert_eq!(store.reserved().unwrap(), Seq(model.reserved));
    for inbox in INBOXES.map(id) {
        assert_eq!(
            all(
                &*store,
                &inbox,
                PageLimit {
                    messages: 9,
                    bytes: 9000
                }
            ),
            model.inbox(&inbox)
        );
        let record = model
            .records()
            .into_iter()
            .find(|(other, _)| *other == inbox)
            .map(|(_, record)| record);
        assert_eq!(store.inbox(&inbox).unwrap(), record);
    }
    assert!(table(&*store, Table::CURSORS, b"") == model.tables.into_iter().collect::<Vec<_>>());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    /// Goal: whatever is committed, read and reopened, the sled store is a sorted map.
    #[test]
    fn the_sled_store_is_a_map(steps in prop::collection::vec(step(), 1..40)) {
        for checkpoint in [NEVER, ALWAYS, AT_ONCE] {
            follow(&on_disk(Engine::Sled, checkpoint), steps.clone());
        }
    }

    /// Goal: so is the fjall store.
    #[test]
    fn the_fjall_store_is_a_map(steps in prop::collection::vec(step(), 1..40)) {
        for checkpoint in [NEVER, ALWAYS, AT_ONCE] {
            follow(&on_disk(Engine::Fjall, checkpoint), steps.clone());
        }
    }

    /// Goal: so is the memory store, whose crash image is what a reopened one holds.
    #[test]
    fn the_memory_store_is_a_map(steps in prop::collection::vec(step(), 1..40)) {
        let last = Mutex::new(Arc::new(MemoryStore::new()));
        let place: Place = Box::new(move || {
            let mut last = last.lock();
            *last = Arc::new(last.crash_image());
            last.clone()
        });
        follow(&place, steps);
    }
}
