//! Room for those who wait for it ([`crate::rooms`]): the inbox looks when something has left it, while anybody waits.

use std::time::Duration;

use super::{Context, Effects, Mailbox};
use crate::rooms::Offer;
use inbox_types::{ClientId, WhenFull};

/// How many are asked whom there is no room for: a crowd that waits must not be gone through whenever something leaves.
const TURNED_DOWN_MAX: usize = 32;

impl Mailbox {
    /// Somebody waits for room here, from now on or since before this inbox came into memory.
    pub(crate) fn awaited(&mut self, cx: Context, fx: &mut Effects) {
        self.is_awaited = true;
        self.made_room(cx, fx);
    }

    /// Nobody waits any more, or somebody does still.
    pub(crate) fn was_offered(&mut self, is_awaited: bool) {
        self.is_awaited = is_awaited;
    }

    /// There may be more room than before. How much may not be known.
    #[inline]
    pub(super) fn made_room(&self, cx: Context, fx: &mut Effects) {
        if self.is_awaited {
            fx.may_have_room = true;
            self.count_by(cx.now.mono, fx);
        }
    }

    /// Whether the committer is to ask the store for the totals, for those who wait.
    pub(super) fn wants_totals(&self) -> bool {
        self.is_awaited && self.totals.is_none()
    }

    /// Calls the committer by then if it is to ask.
    pub(super) fn count_by(&self, when: Duration, fx: &mut Effects) {
        if self.wants_totals() {
            fx.commit_by(when);
        }
    }

    /// What this inbox has room for, to be asked for one sender and size after the other, each of which takes of it; `None` as long as that is
    /// not known. Whose share is not known has room, as when it publishes. An empty inbox has room for all: nothing will leave it that could make
    /// others be asked again.
    pub(crate) fn offers<'a>(&'a self, cx: Context<'a>) -> Option<impl FnMut(&ClientId, usize) -> Offer + 'a> {
        let held = self.totals.map(|_| self.held())?;
        let (mut messages, mut bytes) = match cx.limits.when_full {
            WhenFull::DropOldest => (u64::MAX, u64::MAX),
            WhenFull::Refuse => (
                cx.size.messages_max.saturating_sub(held.messages),
                cx.size.bytes_max.saturating_sub(held.bytes),
            ),
        };
        let mut turned_down = 0;
        Some(move |sender: &ClientId, size: usize| match size as u64 {
            _ if held.messages == 0 => Offer::Yes,
            _ if messages == 0 || bytes == 0 || turned_down == TURNED_DOWN_MAX => Offer::Full,
            size if size <= bytes && self.share_has_room(sender, size as usize, cx) => {
                (messages, bytes) = (messages - 1, bytes - size);
                Offer::Yes
            }
            _ => {
                turned_down += 1;
                Offer::No
            }
        })
    }
}
