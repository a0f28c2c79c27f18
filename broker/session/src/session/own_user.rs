//! The user properties that the broker sets itself on a message from an inbox (contract rules 5 to 7), made without a place on the heap: most
//! messages for an MQTT 5 client carry them.

use inbox_types::{Delivery, Epoch, Seq};

use super::digits;

/// How many there can be.
const MOST: usize = 7;
/// The first so many are always said.
const NECESSARY: usize = 4;

/// Where their values are written.
#[derive(Default)]
pub(super) struct Texts {
    id: [u8; 16],
    seq: itoa::Buffer,
    at: itoa::Buffer,
    prev: itoa::Buffer,
    epoch: [u8; 16],
    dropped: itoa::Buffer,
}

/// See the module's documentation.
pub(super) struct OwnUser<'a> {
    pairs: [(&'a str, &'a str); MOST],
    count: usize,
}

impl<'a> OwnUser<'a> {
    /// What `delivery` says of itself, after `prev` on the same attachment.
    #[inline]
    pub(super) fn of(delivery: &'a Delivery, prev: Option<Seq>, epoch: Option<Epoch>, texts: &'a mut Texts) -> Self {
        let message = &delivery.message;
        let id = match &message.id {
            Some(id) => id,
            None => digits::hexadecimal(delivery.seq.0, &mut texts.id),
        };
        let mut own = OwnUser {
            pairs: [
                ("id", id),
                ("seq", texts.seq.format(delivery.seq.0)),
                ("from", message.from.as_str()),
                ("at", texts.at.format(message.at.0)),
                ("", ""),
                ("", ""),
                ("", ""),
            ],
            count: NECESSARY,
        };
        if let Some(prev) = prev {
            own.push("prev", texts.prev.format(prev.0));
        }
        if let Some(epoch) = epoch {
            own.push("epoch", digits::hexadecimal(epoch.get(), &mut texts.epoch));
        }
        if delivery.dropped > 0 {
            own.push("dropped", texts.dropped.format(delivery.dropped));
        }
        own
    }

    fn push(&mut self, name: &'a str, value: &'a str) {
        if let Some(free) = self.pairs.get_mut(self.count) {
            *free = (name, value);
            self.count += 1;
        }
    }

    /// All of them.
    pub(super) fn all(&self) -> &[(&'a str, &'a str)] {
        self.pairs.get(..self.count).unwrap_or_default()
    }

    /// Those that are always said, if there are others.
    pub(super) fn necessary(&self) -> Option<&[(&'a str, &'a str)]> {
        self.pairs.get(..NECESSARY).filter(|_| self.count > NECESSARY)
    }
}
