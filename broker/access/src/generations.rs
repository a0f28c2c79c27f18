//! A table of bounded size that forgets what was not asked for longest, roughly.
//!
//! Entries are in two generations. What is asked for moves to the young one; when that is full, it becomes the old one, and what was in the old one
//! is forgotten. So each call takes the same time, however large the table is, and nothing has to be put in order.

use std::collections::HashMap;
use std::hash::Hash;

#[derive(Debug)]
pub(crate) struct Generations<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    generation_max: usize,
}

impl<K: Eq + Hash, V> Generations<K, V> {
    /// A table of at most `max` entries, which remembers at least half as many.
    pub(crate) fn new(max: usize) -> Self {
        Generations {
            young: HashMap::new(),
            old: HashMap::new(),
            generation_max: (max / 2).max(1),
        }
    }

    /// The entry of `key`, which is remembered from now on as if it were new.
    pub(crate) fn get(&mut self, key: &K) -> Option<&mut V> {
        if let Some((key, value)) = self.old.remove_entry(key) {
            self.insert(key, value);
        }
        self.young.get_mut(key)
    }

    /// The entry of `key`, which is made if there is none.
    pub(crate) fn get_or_default(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        let value = self.old.remove(&key);
        self.make_room(&key);
        self.young.entry(key).or_insert_with(|| value.unwrap_or_default())
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        self.old.remove(&key);
        self.make_room(&key);
        self.young.insert(key, value);
    }

    pub(crate) fn remove(&mut self, key: &K) {
        self.young.remove(key);
        self.old.remove(key);
    }

    pub(crate) fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    fn make_room(&mut self, key: &K) {
        if self.young.len() >= self.generation_max && !self.young.contains_key(key) {
            self.old = std::mem::take(&mut self.young);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_bounded_and_what_it_has_is_what_was_put_there(
            calls in proptest::collection::vec((0_u8..4, 0_u8..20, 0_u32..9), 0..200),
            max in 1_usize..12,
        ) {
            // Goal: against a model without a bound: an entry is the last value of its key or forgotten, and never one that was removed; the last
            // max/2 distinct keys are remembered, as far as nothing was removed.
            let mut table = Generations::new(max);
            let mut model = HashMap::<u8, u32>::new();
            let mut recent = Vec::<u8>::new();
            for (call, key, value) in calls {
                match call {
                    0 | 1 => {
                        table.insert(key, value);
                        model.insert(key, value);
                        recent.retain(|other| *other != key);
                        recent.push(key);
                    }
                    2 => {
                        let found = table.get(&key).map(|value| *value);
                        prop_assert!(found.is_none() || found == model.get(&key).copied());
                        if recent.iter().rev().take(max / 2).any(|other| *other == key) {
                            prop_assert_eq!(found, model.get(&key).copied());
                        }
                        if found.is_some() {
                            recent.retain(|other| *other != key);
                            recent.push(key);
                        }
                    }
                    _ => {
                        table.remove(&key);
                        model.remove(&key);
                        // There is room for others now, which may be forgotten already.
                        recent.clear();
                        prop_assert!(table.get(&key).is_none());
                    }
                }
                prop_assert!(table.len() <= max.max(2));
            }
        }
    }
}
