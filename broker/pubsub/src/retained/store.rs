//! Where retained messages are kept.

use std::error::Error;
use std::sync::Arc;

use bytes::Bytes;
use inbox_types::{MemoryBudget, Port, Refusal, Ticket};

/// A store of records under keys, which outlives the process. Keys have 1 to 512 bytes.
pub trait RetainedStore: Send + Sync {
    /// Keeps `value` under `key`, until another one takes its place; `None`: nothing any more. Values of one key become durable in the order of
    /// the calls. Who `waits` is told when this one is, or that it never will be. It returns at once.
    fn keep(&self, key: Bytes, value: Option<Bytes>, waits: Option<(Arc<dyn Port>, Ticket)>);
    /// Why nothing new should be kept now, if so. Taking away what is kept goes on, but for [`Refusal::StoreTroubled`] and [`Refusal::StoreFailed`].
    fn refuses(&self) -> Option<Refusal> {
        None
    }
    /// What is kept under each of `keys`, of what is durable. It waits for a disk: it is called on threads for that.
    ///
    /// # Errors
    /// It cannot be read.
    fn read(&self, keys: &[Bytes]) -> Result<Vec<Option<Bytes>>, Unreadable>;
    /// What the messages in memory, and the list of their topics, count against.
    fn budget(&self) -> Option<&Arc<MemoryBudget>> {
        None
    }
}

/// Why a store could not be read, as it says.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub Box<dyn Error + Send + Sync>);
