//! A tree in memory that loses what was not synced: as [`Tree`] allows, any end of it.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use parking_lot::Mutex;

use super::chance::Chance;
use super::disk::SimDisk;
use crate::tree::{Pair, Tree, TreeError, VALUE_BYTES_MAX};

type Map = BTreeMap<Vec<u8>, Arc<[u8]>>;

/// A write: the key, and its value or nothing.
type Write = (Vec<u8>, Option<Arc<[u8]>>);

/// A tree on a machine whose power can be cut. Clones are the same tree.
#[derive(Debug, Clone)]
pub(crate) struct SimTree {
    machine: SimDisk,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    now: Map,
    durable: Map,
    unsynced: Vec<Write>,
    is_broken: bool,
}

impl State {
    fn write(&mut self, write: Write) {
        apply(&mut self.now, &write);
        self.unsynced.push(write);
    }
}

fn apply(map: &mut Map, (key, value): &Write) {
    match value {
        Some(value) => map.insert(key.clone(), value.clone()),
        None => map.remove(key),
    };
}

impl SimTree {
    /// An empty tree.
    pub(super) fn on(machine: &SimDisk) -> Self {
        SimTree {
            machine: machine.clone(),
            state: Arc::default(),
        }
    }

    /// The power comes back: what was synced is there, and a beginning of what was written since then; often all, as when only the process
    /// was killed.
    pub(super) fn restart(&self, seed: u64) {
        let mut state = self.state.lock();
        let mut chance = Chance::new(seed);
        let kept = match chance.percent(40) {
            true => state.unsynced.len(),
            false => (chance.next() >> 8) as usize % (state.unsynced.len() + 1),
        };
        let mut map = std::mem::take(&mut state.durable);
        state
            .unsynced
            .iter()
            .take(kept)
            .for_each(|write| apply(&mut map, write));
        *state = State {
            now: map.clone(),
            durable: map,
            ..State::default()
        };
    }

    /// It is begun again.
    pub(super) fn clear(&self) {
        *self.state.lock() = State::default();
    }

    /// How many keys begin with `prefix`.
    #[cfg(test)]
    pub(crate) fn count(&self, prefix: &[u8]) -> usize {
        self.state
            .lock()
            .now
            .keys()
            .filter(|key| key.starts_with(prefix))
            .count()
    }

    fn step(&self) -> Result<(), TreeError> {
        Ok(self.machine.step()?)
    }
}

impl Tree for SimTree {
    type Slice = Arc<[u8]>;

    fn insert(&self, key: &[u8], value: &[u8]) -> Result<(), TreeError> {
        assert!(
            value.len() <= VALUE_BYTES_MAX,
            "larger values are cut into pieces by the store"
        );
        self.step()?;
        self.state.lock().write((key.to_vec(), Some(value.into())));
        Ok(())
    }

    fn remove(&self, key: &[u8]) -> Result<(), TreeError> {
        self.step()?;
        self.state.lock().write((key.to_vec(), None));
        Ok(())
    }

    fn get(&self, key: &[u8]) -> Result<Option<Self::Slice>, TreeError> {
        Ok(self.state.lock().now.get(key).cloned())
    }

    fn range(
        &self,
        from: Bound<Vec<u8>>,
        to: Bound<Vec<u8>>,
    ) -> impl DoubleEndedIterator<Item = Result<Pair<Self>, TreeError>> {
        let state = self.state.lock();
        let pairs = state.now.range((from, to));
        let pairs: Vec<_> = pairs
            .map(|(key, value)| Ok((key.as_slice().into(), value.clone())))
            .collect();
        pairs.into_iter()
    }

    fn sync(&self) -> Result<(), TreeError> {
        self.step()?;
        let mut state = self.state.lock();
        if state.is_broken {
            return Err(TreeError::Disk(std::io::Error::other("broken for a test")));
        }
        let unsynced = std::mem::take(&mut state.unsynced);
        unsynced.iter().for_each(|write| apply(&mut state.durable, write));
        Ok(())
    }

    #[cfg(test)]
    fn break_sync(&mut self) {
        self.state.lock().is_broken = true;
    }
}
