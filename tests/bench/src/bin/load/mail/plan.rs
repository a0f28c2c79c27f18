//! Who stores how many messages for whom.

use crate::asks::Asks;
use crate::options::Post;

/// What to store and to read.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) name: &'static str,
    /// Inboxes.
    pub(crate) clients: usize,
    /// For all of them together.
    pub(crate) messages: u64,
    /// Clients that read at a time.
    pub(crate) drain_clients: usize,
    pub(crate) post: Post,
    pub(crate) stores: bool,
    pub(crate) drains: bool,
}

impl Plan {
    /// There are as many streams as there are inboxes or publishers, whichever are more. Stream s is published by
    /// publisher s modulo the publishers, to inbox s modulo the clients: so every inbox is written to by one publisher,
    /// or every publisher writes to one inbox.
    pub(crate) fn streams(&self) -> usize {
        self.clients.max(self.post.publishers)
    }

    /// The inbox of `stream`.
    pub(crate) fn inbox(&self, stream: usize) -> usize {
        stream % self.clients
    }

    /// How many streams `publisher` serves; they are every `publishers`-th, beginning with its own number.
    pub(crate) fn streams_of(&self, publisher: usize) -> u64 {
        (self.streams().saturating_sub(publisher)).div_ceil(self.post.publishers) as u64
    }

    /// How many messages `publisher` sends, to its streams in turn.
    pub(crate) fn messages_of(&self, publisher: usize) -> u64 {
        let publishers = self.post.publishers as u64;
        (self.messages + publishers - 1).saturating_sub(publisher as u64) / publishers
    }

    /// How many receipts there are for a message.
    pub(crate) fn receipts(&self) -> u64 {
        self.post.asks.map_or(0, Asks::receipts)
    }

    /// How many messages `inbox` gets.
    pub(crate) fn messages_for(&self, inbox: usize) -> u64 {
        (inbox..self.streams())
            .step_by(self.clients)
            .map(|stream| self.messages_in(stream))
            .sum()
    }

    /// How many messages `stream` has.
    pub(crate) fn messages_in(&self, stream: usize) -> u64 {
        let (publisher, turn) = (stream % self.post.publishers, (stream / self.post.publishers) as u64);
        let streams = self.streams_of(publisher);
        (self.messages_of(publisher) + streams - 1).saturating_sub(turn) / streams
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(clients: usize, publishers: usize, messages: u64) -> Plan {
        let post = Post {
            publishers,
            window: 1,
            bytes: 16,
            presubscribe: false,
            asks: None,
            stall: 1,
        };
        Plan {
            name: "test",
            clients,
            messages,
            drain_clients: 1,
            post,
            stores: true,
            drains: true,
        }
    }

    /// Goal: readers expect exactly what publishers send, however the numbers divide; else a run would never end, or
    /// a loss would not be seen.
    #[test]
    fn readers_expect_what_publishers_send() {
        for (clients, publishers, messages) in [
            (1, 1, 1),
            (1, 16, 1000),
            (1000, 16, 200_000),
            (3, 5, 7),
            (5, 3, 7),
            (7, 7, 3),
            (10, 4, 0),
            (16, 3, 101),
        ] {
            let plan = plan(clients, publishers, messages);
            let mut per_inbox = vec![0; clients];
            let mut sent = 0;
            for publisher in 0..publishers {
                let streams = plan.streams_of(publisher);
                for turn in 0..plan.messages_of(publisher) {
                    let stream = publisher + (turn % streams) as usize * publishers;
                    assert!(stream < plan.streams() && turn / streams < plan.messages_in(stream));
                    per_inbox[plan.inbox(stream)] += 1;
                    sent += 1;
                }
            }
            assert_eq!(sent, messages);
            let expected: Vec<u64> = (0..clients).map(|inbox| plan.messages_for(inbox)).collect();
            assert_eq!(
                expected, per_inbox,
                "{clients} clients, {publishers} publishers, {messages} messages"
            );
        }
    }
}
