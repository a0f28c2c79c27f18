//! What comes in: repeats, gaps, and what the application has in its hands. No I/O.
//!
//! **Promise:** a message is handed to the application once, unless it was given back: dropped without an acknowledgement, or the process ended before
//! the acknowledgement was durable. What was answered is remembered *before* the answer goes out, and a repeat gets the same answer.
//!
//! A message that comes again on a new connection while the application still has it is not handed over twice: its answer goes to the newest
//! packet that carried it.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// So many are forgotten by their age for each that is remembered: a clock that is set forwards must not make everything old at once.
const FORGOTTEN_BY_AGE_MAX: usize = 2;

/// By what repeats are recognised (contract rule 7).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Key {
    pub(crate) from: String,
    pub(crate) id: String,
}

/// The application's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Verdict {
    /// PUBACK 0x00.
    Acknowledged,
    /// PUBACK 0x83: it does not want the message.
    Rejected,
    /// PUBACK 0x00, and the broker was told that it was read. That counts only after the PUBACK, so it is told again where that is sent again.
    Read,
}

/// What was answered, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answered {
    pub(crate) key: Key,
    pub(crate) verdict: Verdict,
    /// When, in microseconds since 1970.
    pub(crate) at_us: u64,
}

/// What the broker says of a delivery's place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) seq: Option<u64>,
    pub(crate) prev: Option<u64>,
    pub(crate) dropped: Option<u64>,
}

/// What is known of the own inbox, over restarts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Standing {
    pub(crate) epoch: Option<String>,
    /// Messages that left the inbox unread, as last told.
    pub(crate) dropped: u64,
}

/// The packet in which a message came last: PUBACKs mean something on that connection alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PacketRef {
    pub(crate) connection: u64,
    /// 0 for QoS 0.
    pub(crate) packet_id: u16,
}

/// A message in the hands of the application.
pub(crate) type Ticket = u64;

/// What to do with a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// It is the application's.
    New(Ticket),
    /// The application has it already.
    Held,
    /// It was answered: answer again.
    Repeat(Verdict),
}

/// What is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// A delivery did not follow the one that it says it follows.
    Gap { after: u64, prev: u64 },
    /// So many messages left the inbox unread since this was last told.
    Dropped(u64),
}

#[derive(Debug)]
struct Held {
    key: Option<Key>,
    packet: PacketRef,
    settling: bool,
    /// The application let go of it while it was settling.
    is_gone: bool,
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Arrivals {
    seen_max: usize,
    seen_for: Duration,
    seen: HashMap<Key, (u64, Verdict)>,
    seen_in_order: BTreeMap<u64, (Key, u64)>,
    last_seen: u64,
    held: HashMap<Ticket, Held>,
    by_key: HashMap<Key, Ticket>,
    last_ticket: Ticket,
    last_seq: Option<u64>,
    standing: Standing,
}

impl Arrivals {
    pub(crate) fn new(seen_max: usize, seen_for: Duration, standing: Standing) -> Self {
        Arrivals {
            seen_max,
            seen_for,
            seen: HashMap::new(),
            seen_in_order: BTreeMap::new(),
            last_seen: 0,
            held: HashMap::new(),
            by_key: HashMap::new(),
            last_ticket: 0,
            last_seq: None,
            standing,
        }
    }

    /// What was answered in an earlier life, in order.
    pub(crate) fn restore(&mut self, number: u64, answered: Answered) {
        self.remember(number, answered);
    }

    /// A connection was made. Gives the epoch before, if this is another one.
    pub(crate) fn connected(&mut self, epoch: Option<&str>) -> Option<String> {
        self.last_seq = None;
        let epoch = epoch?;
        let before = self.standing.epoch.replace(epoch.to_owned());
        let changed = before.filter(|before| before != epoch);
        if changed.is_some() {
            // Another life of the store counts for itself.
            self.standing.dropped = 0;
        }
        changed
    }

    /// What is to be kept.
    pub(crate) fn standing(&self) -> &Standing {
        &self.standing
    }

    /// A delivery came.
    pub(crate) fn arrived(&mut self, key: Option<Key>, packet: PacketRef) -> Arrival {
        if let Some(key) = &key {
            if let Some((_, verdict)) = self.seen.get(key) {
                return Arrival::Repeat(*verdict);
            }
            if let Some(held) = self.by_key.get(key).and_then(|ticket| self.held.get_mut(ticket)) {
                held.packet = packet;
                return Arrival::Held;
            }
        }
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        if let Some(key) = &key {
            self.by_key.insert(key.clone(), ticket);
        }
        let held = Held {
            key,
            packet,
            settling: false,
            is_gone: false,
        };
        self.held.insert(ticket, held);
        Arrival::New(ticket)
    }

    /// Notes the place of a delivery, and tells what is missing before it.
    pub(crate) fn placed(&mut self, position: Position) -> Vec<Missing> {
        let mut missing = Vec::new();
        if let (Some(after), Some(prev)) = (self.last_seq, position.prev)
            && after != prev
        {
            missing.push(Missing::Gap { after, prev });
        }
        self.last_seq = position.seq.or(self.last_seq);
        let dropped = position.dropped.unwrap_or(0);
        if dropped > self.standing.dropped {
            missing.push(Missing::Dropped(dropped - self.standing.dropped));
            self.standing.dropped = dropped;
        }
        missing
    }

    /// The application answers. Gives what must be durable before the answer goes out, under its number; nothing for what cannot be
    /// recognised.
    pub(crate) fn settling(&mut self, ticket: Ticket, verdict: Verdict, at_us: u64) -> Option<(u64, Answered)> {
        let held = self.held.get_mut(&ticket)?;
        held.settling = true;
        let key = held.key.clone()?;
        self.last_seen += 1;
        Some((self.last_seen, Answered { key, verdict, at_us }))
    }

    /// The answer is durable: it may go out, in answer to this packet. Gives also the numbers that need not be kept any more.
    pub(crate) fn settled(
        &mut self,
        ticket: Ticket,
        answered: Option<(u64, Answered)>,
    ) -> (Option<PacketRef>, Vec<u64>) {
        let packet = self.held.remove(&ticket).map(|held| {
            if let Some(key) = &held.key {
                self.by_key.remove(key);
            }
            held.packet
        });
        let forgotten = answered.map(|(number, answered)| self.remember(number, answered));
        (packet, forgotten.unwrap_or_default())
    }

    /// A message that was acknowledged was read. Gives what is to be kept, under its number.
    pub(crate) fn read(&mut self, key: &Key) -> Option<(u64, Answered)> {
        let (number, verdict) = self.seen.get_mut(key)?;
        if *verdict != Verdict::Acknowledged {
            return None;
        }
        *verdict = Verdict::Read;
        let (key, at_us) = self.seen_in_order.get(number)?;
        let answered = Answered {
            key: key.clone(),
            verdict: *verdict,
            at_us: *at_us,
        };
        Some((*number, answered))
    }

    /// The answer could not be made durable: the message is still the application's.
    pub(crate) fn unsettled(&mut self, ticket: Ticket) {
        let Some(held) = self.held.get_mut(&ticket) else { return };
        held.settling = false;
        if held.is_gone {
            self.let_go(ticket);
        }
    }

    /// The application let go of a message. If it comes again, it is handed over again, unless an answer is under way.
    pub(crate) fn let_go(&mut self, ticket: Ticket) {
        let Some(held) = self.held.get_mut(&ticket) else { return };
        if held.settling {
            held.is_gone = true;
            return;
        }
        if let Some(key) = self.held.remove(&ticket).and_then(|held| held.key) {
            self.by_key.remove(&key);
        }
    }

    fn remember(&mut self, number: u64, answered: Answered) -> Vec<u64> {
        let Answered { key, verdict, at_us } = answered;
        self.last_seen = self.last_seen.max(number);
        self.seen.insert(key.clone(), (number, verdict));
        self.seen_in_order.insert(number, (key, at_us));
        let oldest_us = at_us.saturating_sub(u64::try_from(self.seen_for.as_micros()).unwrap_or(u64::MAX));
        let mut forgotten = Vec::new();
        let mut by_age = 0;
        while let Some(oldest) = self.seen_in_order.first_entry() {
            if self.seen.len() <= self.seen_max.max(1) {
                if oldest.get().1 >= oldest_us || by_age == FORGOTTEN_BY_AGE_MAX {
                    break;
                }
                by_age += 1;
            }
            let (number, (key, _)) = oldest.remove_entry();
            self.seen.remove(&key);
            forgotten.push(number);
        }
        forgotten
    }
}

#[cfg(test)]
mod tests;
