//! What one session may take of the broker's memory.

use super::{Check, Oracle};

/// What one piece of mail takes at most: the largest payload that a client sends, its properties, and what the broker adds.
const MAIL_BYTES_MAX: usize = 4096;
/// The broker counts what it adds to a message when it looks next, so some small messages more may be on their way.
const MAIL_BYTES_ADDED: usize = 1024;

impl Oracle {
    /// So many messages may wait for a session.
    pub(in crate::sim) fn let_wait(&mut self, messages: usize) {
        self.terms.waiting_max += messages;
    }

    /// How much waits for a session is bounded.
    pub(in crate::sim) fn check_memory(
        &self,
        at: usize,
        (waiting, waiting_bytes): (usize, usize),
        out: usize,
    ) -> Check {
        let encoded = self.links.get(&at).into_iter().flat_map(|link| &link.publishes);
        let untaken = waiting_bytes + encoded.map(|(_, bytes)| bytes).sum::<usize>();
        // One message may exceed it.
        if untaken >= self.terms.untaken_bytes_max + MAIL_BYTES_MAX.max(self.notices.bytes_max) + MAIL_BYTES_ADDED {
            return Err(format!(
                "bounded memory: a client has not taken {untaken} bytes of mail"
            ));
        }
        if waiting > self.terms.waiting_max || out > 1024 * 1024 {
            return Err(format!(
                "bounded memory: {waiting} messages and {out} bytes wait for one session"
            ));
        }
        Ok(())
    }
}
