//! Who says that an inbox is larger or smaller than others.

use crate::client_id::ClientId;
use crate::limits::InboxSize;

/// Says which inboxes have a size of their own. It is asked when an inbox comes into memory, not for each message.
pub trait InboxSizes: Send + Sync {
    /// The size of this inbox, where `usual` is that of all others.
    fn size_of(&self, inbox: &ClientId, usual: InboxSize) -> InboxSize;
}
