//! One shard of the inboxes in memory.

use std::collections::VecDeque;
use std::hash::{BuildHasher, DefaultHasher, RandomState};
use std::time::Duration;

use hashbrown::{HashMap, HashSet};

use crate::mailbox::Mailbox;
use inbox_types::{ClientId, InboxSize, Seq, Sizes};

/// Inboxes of one shard that were read and left with mail in them. Beyond, the shard forgets them and assumes the worst.
const SENT_MARKS_MAX: usize = 4096;

/// Says which shard an inbox is in. That is by chance, so that no client can choose IDs that share a lock.
pub(super) enum ShardHasher {
    Random(RandomState),
    /// [`inbox_types::Sizes::shards_are_fixed`].
    Fixed,
}

impl ShardHasher {
    pub(super) fn new(sizes: Sizes) -> Self {
        match sizes.shards_are_fixed {
            true => ShardHasher::Fixed,
            false => ShardHasher::Random(RandomState::new()),
        }
    }
}

impl BuildHasher for ShardHasher {
    type Hasher = DefaultHasher;

    fn build_hasher(&self) -> DefaultHasher {
        match self {
            ShardHasher::Random(random) => random.build_hasher(),
            ShardHasher::Fixed => DefaultHasher::new(),
        }
    }
}

/// Inboxes, and who wants to be looked at when.
#[derive(Default)]
pub(super) struct Shard {
    mailboxes: HashMap<ClientId, Mailbox>,
    /// Inboxes that the committer should visit, and when. An entry whose time is no longer the inbox's own is void.
    pub(super) listed: Vec<(Duration, ClientId)>,
    /// Inboxes that became idle, oldest first. An entry whose time is no longer the inbox's own is void.
    idle: VecDeque<(Duration, ClientId)>,
    /// Of inboxes that are not in memory and hold mail that was sent before: up to which seq.
    sent_marks: HashMap<ClientId, Seq>,
    /// Everything up to here may have been sent before, in any inbox of this shard.
    pub(super) sent_floor: Seq,
}

impl Shard {
    pub(super) fn contains(&self, inbox: &ClientId) -> bool {
        self.mailboxes.contains_key(inbox)
    }

    /// Whether none of its messages left unread is known, or must be asked of the store.
    pub(super) fn insert(&mut self, inbox: &ClientId, size: InboxSize, none_left_unread: bool) {
        let sent_up_to = self.sent_marks.remove(inbox).unwrap_or_default();
        let mut mailbox = Mailbox::new(sent_up_to, size);
        if !none_left_unread {
            mailbox.forget_unread();
        }
        self.mailboxes.insert(inbox.clone(), mailbox);
    }

    pub(super) fn get_mut(&mut self, inbox: &ClientId) -> Option<(&ClientId, &mut Mailbox)> {
        match self.mailboxes.get_key_value_mut(inbox) {
            Some((inbox, mailbox)) => Some((inbox, mailbox)),
            None => None,
        }
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut Mailbox> {
        self.mailboxes.values_mut()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&ClientId, &mut Mailbox)> {
        self.mailboxes.iter_mut()
    }

    pub(super) fn list(&mut self, deadline: Duration, inbox: ClientId) {
        self.listed.push((deadline, inbox));
    }

    pub(super) fn idle(&mut self, since: Duration, inbox: ClientId) {
        self.idle.push_back((since, inbox));
    }

    /// Forgets inboxes that nothing has happened to for `idle`. Gives those of them that were sent something and are empty now: what was sent to
    /// them is not known any more.
    pub(super) fn evict_idle(&mut self, now: Duration, idle: Duration, last: Seq) -> HashSet<ClientId> {
        let mut emptied = HashSet::new();
        while self.idle.front().is_some_and(|(since, _)| *since + idle <= now) {
            let Some((since, inbox)) = self.idle.pop_front() else {
                return emptied;
            };
            let Some(mailbox) = self.mailboxes.get(&inbox) else {
                continue;
            };
            if mailbox.idle_since != Some(since) || !mailbox.is_idle() {
                continue;
            }
            let (mark, was_sent_any) = (mailbox.sent_mark(), mailbox.was_sent_any());
            self.mailboxes.remove(&inbox);
            if mark > self.sent_floor {
                self.sent_marks.insert(inbox, mark);
            } else if was_sent_any {
                emptied.insert(inbox);
            }
        }
        if self.sent_marks.len() > SENT_MARKS_MAX {
            self.sent_marks = HashMap::new();
            self.sent_floor = last;
        }
        // Inboxes come in bursts; their room is given back.
        if self.mailboxes.capacity() > 64 && self.mailboxes.len() * 4 < self.mailboxes.capacity() {
            self.mailboxes.shrink_to_fit();
            self.idle.shrink_to_fit();
        }
        emptied
    }
}
