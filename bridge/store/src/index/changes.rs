//! What the log holds of tables and the tree does not yet.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;

use crate::table::{Table, TableChange, TableKey};

/// What a changed key costs in memory beyond its bytes, roughly.
const CHANGE_BYTES: usize = 200;

/// The last change of every key.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    keys: BTreeMap<(Table, TableKey), Change>,
    /// Changes so far: each has a number of its own.
    count: u64,
    weight: usize,
}

/// The last change of a key.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    /// Its value; `None` when it was removed.
    pub(crate) value: Option<Bytes>,
    number: u64,
}

impl Changes {
    /// A durable commit.
    pub(super) fn apply(&mut self, changes: &[TableChange]) {
        for TableChange { table, key, value } in changes {
            self.count += 1;
            let change = Change {
                value: value.clone(),
                number: self.count,
            };
            self.weight += weight(key, &change);
            let replaced = self.keys.insert((*table, key.clone()), change);
            self.weight -= replaced.map_or(0, |change| weight(key, &change));
        }
    }

    /// Roughly what all this takes in memory, in bytes.
    pub(super) fn weight(&self) -> usize {
        self.weight
    }

    /// What is known of a key.
    pub(crate) fn get(&self, table: Table, key: &TableKey) -> Option<&Change> {
        self.keys.get(&(table, key.clone()))
    }

    /// Changed keys of `table` that begin with `prefix` and are above `after`, in order: `limit` that have a value, and all that
    /// were removed among these.
    pub(crate) fn view(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&TableKey>,
        limit: usize,
    ) -> Vec<(TableKey, Option<Bytes>)> {
        let after = after.filter(|after| after.as_bytes() >= prefix);
        let from = match after {
            Some(after) => Bound::Excluded((table, after.clone())),
            None => Bound::Included((table, TableKey::bound(prefix))),
        };
        let mut values = 0;
        let mut view = Vec::new();
        for ((in_table, key), change) in self.keys.range((from, Bound::Unbounded)) {
            if *in_table != table || !key.as_bytes().starts_with(prefix) || values >= limit {
                break;
            }
            values += usize::from(change.value.is_some());
            view.push((key.clone(), change.value.clone()));
        }
        view
    }

    /// At most `limit` changed keys after `after`, in the order of tables and keys.
    pub(crate) fn pending(&self, after: Option<&(Table, TableKey)>, limit: usize) -> Vec<((Table, TableKey), Change)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let range = self.keys.range::<(Table, TableKey), _>((from, Bound::Unbounded));
        range
            .take(limit)
            .map(|(key, change)| (key.clone(), change.clone()))
            .collect()
    }

    /// The tree says what `done` says; what was changed again meanwhile stays.
    pub(crate) fn forget(&mut self, done: &[((Table, TableKey), Change)]) {
        for (key, change) in done {
            if self.keys.get(key).is_some_and(|now| now.number == change.number) {
                self.keys.remove(key);
                self.weight -= weight(&key.1, change);
            }
        }
    }
}

fn weight(key: &TableKey, change: &Change) -> usize {
    key.as_bytes().len() + change.value.as_ref().map_or(0, Bytes::len) + CHANGE_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(key: &'static str) -> TableKey {
        TableKey::new(key.as_bytes()).unwrap()
    }

    fn change(table: Table, name: &'static str, value: Option<&'static str>) -> TableChange {
        TableChange {
            table,
            key: key(name),
            value: value.map(|value| Bytes::from_static(value.as_bytes())),
        }
    }

    /// Goal: a view has what was asked for, in order, and the removals among it, of one table only.
    #[test]
    fn a_view_is_of_one_prefix() {
        let mut changes = Changes::default();
        changes.apply(&[
            change(Table::DEDUPE, "b", Some("0")),
            change(Table::RECEIPTS, "a", Some("1")),
            change(Table::RECEIPTS, "ab", None),
            change(Table::RECEIPTS, "ac", Some("2")),
            change(Table::RECEIPTS, "b", Some("3")),
            change(Table::CURSORS, "a", Some("4")),
        ]);
        let view = |prefix: &'static str, after: Option<&'static str>, limit| -> Vec<(TableKey, bool)> {
            let view = changes.view(Table::RECEIPTS, prefix.as_bytes(), after.map(key).as_ref(), limit);
            view.into_iter().map(|(key, value)| (key, value.is_some())).collect()
        };
        assert_eq!(
            view("a", None, 9),
            [(key("a"), true), (key("ab"), false), (key("ac"), true)]
        );
        assert_eq!(view("", None, 9).len(), 4);
        assert_eq!(view("", None, 1).len(), 1);
        assert_eq!(view("a", Some("a"), 9).len(), 2);
        assert_eq!(view("b", Some("a"), 9), [(key("b"), true)]);
        assert_eq!(view("c", None, 9), []);
        assert!(changes.view(Table::SESSIONS, b"", None, 9).is_empty());
    }

    /// Goal: what changes while the tree is written stays, and nothing else, and costs nothing when it is gone.
    #[test]
    fn what_changes_meanwhile_stays() {
        let mut changes = Changes::default();
        changes.apply(&[change(Table::DEDUPE, "a", Some("1")), change(Table::DEDUPE, "b", None)]);
        let done = changes.pending(None, 10);
        assert_eq!(changes.pending(Some(&(Table::DEDUPE, key("a"))), 10).len(), 1);
        changes.apply(&[change(Table::DEDUPE, "a", Some("1"))]);
        changes.forget(&done);
        assert_eq!(changes.pending(None, 10).len(), 1);
        assert!(changes.get(Table::DEDUPE, &key("b")).is_none());
        let done = changes.pending(None, 10);
        changes.forget(&done);
        assert_eq!((changes.weight(), changes.pending(None, 10).len()), (0, 0));
    }
}
