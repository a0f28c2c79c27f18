//! Publishers that fill the inboxes of absent clients.

use std::sync::OnceLock;
use std::time::Duration;

use crate::ended::LinkError;
use crate::gather::Gather;
use crate::ledger::Ledger;
use crate::packet::Incoming;
use crate::publisher::{Publisher, Stamp};
use crate::reactor::{Handler, LinkId, Links};
use crate::report::Latencies;
use crate::run::{Counts, OPENING_MAX, Run, RunError, Shared, Worker};

use super::plan::Plan;

const WAIT: Duration = Duration::from_millis(5);

/// One thread's publishers, each keeping its window full until its share is accepted.
pub(crate) struct Storer<'a> {
    run: &'a Run,
    plan: &'a Plan,
    shared: &'a Shared,
    /// Set when every publisher of the run is connected.
    begin: &'a OnceLock<u64>,
    counts: Counts,
    to_open: Vec<usize>,
    opening: usize,
    has_begun: bool,
    gather: Gather,
    /// By link id.
    senders: Vec<Sender>,
    /// What was accepted.
    pub(crate) ledger: Ledger,
    /// From sending to PUBACK, closed loop.
    pub(crate) puback: Latencies,
    /// When the last PUBACK came.
    pub(crate) last_ns: u64,
}

struct Sender {
    index: usize,
    link: LinkId,
    publisher: Publisher,
    sent: u64,
}

impl<'a> Storer<'a> {
    /// The publishers of thread `index`.
    pub(crate) fn new(
        run: &'a Run,
        plan: &'a Plan,
        shared: &'a Shared,
        begin: &'a OnceLock<u64>,
        index: usize,
    ) -> Self {
        Storer {
            run,
            plan,
            shared,
            begin,
            counts: Counts::default(),
            to_open: (index..plan.post.publishers).step_by(run.threads).collect(),
            opening: 0,
            has_begun: false,
            gather: Gather::new(run.gather_us, plan.post.publishers * usize::from(plan.post.window)),
            senders: Vec::new(),
            ledger: Ledger::new(plan.streams()),
            puback: Latencies::new(),
            last_ns: 0,
        }
    }

    fn open_more(&mut self, links: &mut Links) -> Result<(), RunError> {
        while self.opening < OPENING_MAX
            && let Some(index) = self.to_open.pop()
        {
            let link = links.open()?;
            self.opening += 1;
            if let Some(out) = links.out(link) {
                self.run.connect(out, &self.run.names.publisher(index), true);
            }
            // Connections of this workload never end before the run does, so link ids count up from 0.
            let post = &self.plan.post;
            let publisher = Publisher::new(&self.run.names, post.bytes, post.window);
            self.senders.push(Sender {
                index,
                link,
                publisher: publisher.asking(&self.run.names, index, post.asks),
                sent: 0,
            });
        }
        Ok(())
    }

    fn fill(&mut self, links: &mut Links, at: usize, now_ns: u64) {
        let Some(sender) = self.senders.get_mut(at) else { return };
        let Some(out) = links.out(sender.link) else { return };
        let streams = self.plan.streams_of(sender.index);
        let messages = self.plan.messages_of(sender.index);
        while sender.sent < messages && sender.publisher.has_room() {
            let stream = sender.index + (sender.sent % streams) as usize * self.plan.post.publishers;
            let stamp = Stamp {
                stream: stream as u32,
                number: (sender.sent / streams) as u32,
                due_ns: now_ns,
            };
            sender.publisher.publish(out, self.plan.inbox(stream), stamp);
            sender.sent += 1;
        }
    }

    fn acknowledged(&mut self, links: &mut Links, link: LinkId, packet_id: u16, now_ns: u64) {
        let Some(stamp) = self
            .senders
            .get_mut(link.0)
            .and_then(|sender| sender.publisher.acknowledge(packet_id))
        else {
            return self.shared.fail(RunError::UnknownPacket {
                client: self.name(link),
                packet_id,
            });
        };
        self.counts.accepted += 1;
        self.ledger.accepted(stamp.stream, stamp.number.into());
        let latency_ns = now_ns.saturating_sub(stamp.due_ns);
        self.gather.observe(latency_ns);
        self.puback.record(latency_ns);
        self.last_ns = now_ns;
        self.fill(links, link.0, now_ns);
    }

    fn name(&self, link: LinkId) -> String {
        self.senders
            .get(link.0)
            .map(|sender| self.run.names.publisher(sender.index))
            .unwrap_or_default()
    }
}

impl Worker for Storer<'_> {
    fn step(&mut self, links: &mut Links, now_ns: u64) -> Result<Duration, RunError> {
        self.open_more(links)?;
        if !self.has_begun && self.begin.get().is_some() {
            self.has_begun = true;
            (0..self.senders.len()).for_each(|at| self.fill(links, at, now_ns));
        }
        self.shared.add(&mut self.counts);
        Ok(WAIT)
    }

    fn pause(&self) -> Duration {
        // The last few messages have nothing behind them that would keep the broker busy.
        if self
            .senders
            .iter()
            .any(|sender| sender.sent < self.plan.messages_of(sender.index))
        {
            self.gather.pause()
        } else {
            Duration::ZERO
        }
    }
}

impl Handler for Storer<'_> {
    fn packet(&mut self, links: &mut Links, link: LinkId, packet: Incoming<'_>, now_ns: u64) {
        match packet {
            Incoming::PubAck(packet_id) => self.acknowledged(links, link, packet_id, now_ns),
            Incoming::ConnAck(0) => {
                self.opening = self.opening.saturating_sub(1);
                self.counts.ready += 1;
            }
            Incoming::ConnAck(code) => self.shared.fail(RunError::Refused {
                client: self.name(link),
                code,
            }),
            // A publisher has no inbox mail in this run, and asks for nothing else.
            Incoming::Publish { .. } => self.ledger.foreign(),
            Incoming::SubAck(_) | Incoming::PingResp => {}
        }
    }

    fn ended(&mut self, _: &mut Links, link: LinkId, error: LinkError) {
        self.shared.fail(RunError::Ended {
            client: self.name(link),
            error,
        });
    }
}
