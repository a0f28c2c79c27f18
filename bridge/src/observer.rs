//! Who is told what happens to the inboxes.

use inbox_store::{StoreError, Trouble};
use inbox_types::{ClientId, Left, MemoryBudget, Message, Pressure, Seq};

/// Is told what an operator should know. Called without locks held, on the bridge's threads or the caller's.
pub trait Observer: Send + Sync + 'static {
    /// A message left `inbox` without being read.
    fn left(&self, inbox: &ClientId, seq: Seq, from: &ClientId, why: Left);
    /// The store failed: nothing more will be accepted.
    fn store_failed(&self, error: &StoreError);
    /// The store cannot be read for one inbox. Its messages stay where they are; those that came just now were refused.
    fn unreadable(&self, inbox: &ClientId, error: &StoreError);
    /// The store lacks something: new messages are refused until it goes on by itself (`None`).
    fn store_is_troubled(&self, _trouble: Option<Trouble>) {}
    /// The disk watermark was crossed: new messages are refused, or accepted again.
    fn disk_is_full(&self, is_full: bool, free_bytes: u64);
    /// Whose inbox `topic` names, a topic that a client may publish to; `None`: it is an ordinary one.
    fn inbox_named(&self, topic: &str) -> Option<ClientId> {
        ClientId::new(topic).ok().filter(|_| !topic.contains('/'))
    }
    /// The topic of an inbox.
    fn topic_of(&self, inbox: &str) -> String {
        inbox.to_owned()
    }
    /// A receipt is to be published to an ordinary topic (contract rule 11).
    fn receipt(&self, _topic: &str, _receipt: Message) {}
    /// Memory became scarcer, or less scarce.
    fn memory(&self, _pressure: Pressure, _budget: &MemoryBudget) {}
}

/// Nobody is told. For tests of what stands on the inboxes.
#[cfg(feature = "testing")]
#[derive(Debug, Clone, Copy, Default)]
pub struct Unobserved;

#[cfg(feature = "testing")]
impl Observer for Unobserved {
    fn left(&self, _inbox: &ClientId, _seq: Seq, _from: &ClientId, _why: Left) {}
    fn store_failed(&self, _error: &StoreError) {}
    fn unreadable(&self, _inbox: &ClientId, _error: &StoreError) {}
    fn disk_is_full(&self, _is_full: bool, _free_bytes: u64) {}
}
