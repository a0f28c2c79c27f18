//! What is in flight to a reader.

use std::sync::Arc;

use inbox_types::{Message, Seq};

/// A message that was sent and not acknowledged.
#[derive(Clone)]
pub(super) struct InFlight {
    pub(super) seq: Seq,
    /// Where it is known.
    pub(super) size: Option<usize>,
    /// If its sender wants receipts.
    pub(super) message: Option<Arc<Message>>,
    /// It left the inbox although it was sent. It keeps its place in the window until the client answers, who counts it too.
    pub(super) gone: bool,
}

impl InFlight {
    pub(super) fn new(seq: Seq, size: Option<usize>, message: Option<Arc<Message>>) -> Self {
        let gone = false;
        InFlight {
            seq,
            size,
            message,
            gone,
        }
    }
}
