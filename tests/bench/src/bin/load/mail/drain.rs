//! Clients that come back and read what waited for them: their mail, or what their senders are told of it.

use std::collections::HashMap;
use std::time::Duration;

use crate::asks;
use crate::ended::LinkError;
use crate::ledger::Ledger;
use crate::packet::{self, Incoming};
use crate::publisher::Stamp;
use crate::reactor::{Handler, LinkId, Links};
use crate::report::Latencies;
use crate::run::{Counts, Run, RunError, Shared, Worker};

use super::plan::Plan;

const WAIT: Duration = Duration::from_millis(5);
/// How often stalled readers are looked for, in nanoseconds.
const LOOK_INTERVAL_NS: u64 = 200_000_000;

/// Who comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    /// Readers, for their messages.
    Readers,
    /// Publishers, for the receipts of what the readers acknowledged.
    Publishers,
}

/// One thread's readers. Each connects, subscribes, acknowledges all it gets, and leaves when everything is there.
///
/// Before it leaves it asks for a PINGRESP: packets are processed in order, so the broker has then seen every PUBACK.
pub(crate) struct Drainer<'a> {
    run: &'a Run,
    plan: &'a Plan,
    shared: &'a Shared,
    who: Who,
    counts: Counts,
    /// Which of them are to come, last first.
    to_open: Vec<usize>,
    online_max: usize,
    /// By link id.
    readers: HashMap<usize, Reader>,
    looked_ns: u64,
    /// What arrived.
    pub(crate) ledger: Ledger,
    /// From the beginning of the connection to SUBACK.
    pub(crate) online: Latencies,
    /// When the last reader was done: its messages acknowledged, and the PUBACKs processed by the broker.
    pub(crate) last_ns: u64,
    /// Readers that gave up.
    pub(crate) stalled: u64,
}

struct Reader {
    index: usize,
    /// Messages, or receipts.
    missing: u64,
    opened_ns: u64,
    /// When something last came.
    heard_ns: u64,
    is_subscribed: bool,
    is_leaving: bool,
}

impl<'a> Drainer<'a> {
    /// Those of thread `index`.
    pub(crate) fn new(run: &'a Run, plan: &'a Plan, shared: &'a Shared, who: Who, index: usize) -> Self {
        let mut to_open: Vec<usize> = (index..who.all(plan)).step_by(run.threads).collect();
        to_open.reverse();
        Drainer {
            run,
            plan,
            shared,
            who,
            counts: Counts::default(),
            to_open,
            online_max: plan.drain_clients.div_ceil(run.threads),
            readers: HashMap::new(),
            looked_ns: 0,
            ledger: Ledger::new(plan.streams()),
            online: Latencies::new(),
            last_ns: 0,
            stalled: 0,
        }
    }

    fn open_more(&mut self, links: &mut Links, now_ns: u64) -> Result<(), RunError> {
        while self.readers.len() < self.online_max
            && let Some(index) = self.to_open.pop()
        {
            let link = links.open()?;
            if let Some(out) = links.out(link) {
                // A clean session would discard what brokers without inboxes queued for the session.
                let name = self.who.name(self.run, index);
                self.run.connect(out, &name, !self.plan.post.presubscribe);
            }
            let reader = Reader {
                index,
                missing: self.who.owed(self.plan, index),
                opened_ns: now_ns,
                heard_ns: now_ns,
                is_subscribed: false,
                is_leaving: false,
            };
            self.readers.insert(link.0, reader);
        }
        Ok(())
    }

    fn arrived(&mut self, links: &mut Links, link: LinkId, payload: &[u8], now_ns: u64) {
        let Some(reader) = self.readers.get_mut(&link.0) else {
            return;
        };
        reader.heard_ns = now_ns;
        let payload = match self.plan.post.asks {
            Some(_) => asks::split(payload).map(|(_, payload)| payload),
            None => Some(payload),
        };
        match (self.who, payload) {
            (Who::Readers, Some(payload)) => match Stamp::decode(self.run.names.tag(), payload) {
                // A message in the wrong inbox is as foreign as one of another run.
                Some(stamp) if self.plan.inbox(stamp.stream as usize) == reader.index => {
                    if self.ledger.delivered(stamp.stream, stamp.number.into()) {
                        self.counts.delivered += 1;
                        self.last_ns = now_ns;
                        reader.missing = reader.missing.saturating_sub(1);
                    }
                }
                _ => self.ledger.foreign(),
            },
            (Who::Publishers, Some(payload)) => {
                let receipts = asks::receipts_in(payload);
                self.counts.receipts += receipts;
                self.last_ns = now_ns;
                reader.missing = reader.missing.saturating_sub(receipts);
            }
            (_, None) => self.ledger.foreign(),
        }
        reader.leave_if_done(links, link);
    }

    fn gone(&mut self, link: LinkId) {
        if self.readers.remove(&link.0).is_some() {
            self.counts.finished += 1;
        }
    }

    fn give_up_stalled(&mut self, links: &mut Links, now_ns: u64) {
        if now_ns < self.looked_ns + LOOK_INTERVAL_NS {
            return;
        }
        self.looked_ns = now_ns;
        let stall_ns = self.plan.post.stall * 1_000_000_000;
        let stalled: Vec<usize> = self
            .readers
            .iter()
            .filter(|(_, reader)| reader.heard_ns + stall_ns < now_ns)
            .map(|(&id, _)| id)
            .collect();
        for id in stalled {
            self.stalled += 1;
            links.close(LinkId(id));
            self.gone(LinkId(id));
        }
    }

    fn name(&self, link: LinkId) -> String {
        self.readers
            .get(&link.0)
            .map(|reader| self.who.name(self.run, reader.index))
            .unwrap_or_default()
    }
}

impl Who {
    /// How many there are.
    pub(crate) fn all(self, plan: &Plan) -> usize {
        match self {
            Who::Readers => plan.clients,
            Who::Publishers => plan.post.publishers,
        }
    }

    fn name(self, run: &Run, index: usize) -> String {
        match self {
            Who::Readers => run.names.reader(index),
            Who::Publishers => run.names.publisher(index),
        }
    }

    /// What waits for one of them.
    fn owed(self, plan: &Plan, index: usize) -> u64 {
        match self {
            Who::Readers => plan.messages_for(index),
            Who::Publishers => plan.messages_of(index) * plan.receipts(),
        }
    }
}

impl Reader {
    fn leave_if_done(&mut self, links: &mut Links, link: LinkId) {
        if self.missing == 0
            && self.is_subscribed
            && !self.is_leaving
            && let Some(out) = links.out(link)
        {
            self.is_leaving = true;
            out.extend_from_slice(&packet::PINGREQ);
        }
    }
}

impl Worker for Drainer<'_> {
    fn step(&mut self, links: &mut Links, now_ns: u64) -> Result<Duration, RunError> {
        self.open_more(links, now_ns)?;
        self.give_up_stalled(links, now_ns);
        self.shared.add(&mut self.counts);
        Ok(WAIT)
    }
}

impl Handler for Drainer<'_> {
    fn packet(&mut self, links: &mut Links, link: LinkId, packet: Incoming<'_>, now_ns: u64) {
        match packet {
            Incoming::Publish { packet_id, payload } => {
                if packet_id != 0
                    && let Some(out) = links.out(link)
                {
                    packet::puback(out, packet_id);
                }
                self.arrived(links, link, payload, now_ns);
            }
            Incoming::ConnAck(0) => {
                let name = self.name(link);
                if let Some(out) = links.out(link) {
                    self.run.subscribe(out, &name);
                }
            }
            Incoming::SubAck(0..=2) => {
                self.counts.ready += 1;
                if let Some(reader) = self.readers.get_mut(&link.0) {
                    self.online.record(now_ns.saturating_sub(reader.opened_ns));
                    (reader.is_subscribed, reader.heard_ns) = (true, now_ns);
                    reader.leave_if_done(links, link);
                }
            }
            Incoming::PingResp => {
                self.last_ns = now_ns;
                links.close(link);
                self.gone(link);
            }
            Incoming::ConnAck(code) => self.shared.fail(RunError::Refused {
                client: self.name(link),
                code,
            }),
            Incoming::SubAck(code) => self.shared.fail(RunError::Unsubscribable {
                client: self.name(link),
                code,
            }),
            Incoming::PubAck(packet_id) => {
                self.shared.fail(RunError::UnknownPacket {
                    client: self.name(link),
                    packet_id,
                });
            }
        }
    }

    fn ended(&mut self, _: &mut Links, link: LinkId, error: LinkError) {
        self.shared.fail(RunError::Ended {
            client: self.name(link),
            error,
        });
    }
}
