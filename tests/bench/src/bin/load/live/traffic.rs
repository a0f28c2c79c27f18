//! One thread's share of online traffic: publishers that send when it is time, readers that acknowledge.

use std::sync::OnceLock;
use std::time::Duration;

use crate::asks::{self, Asks};
use crate::ended::LinkError;
use crate::gather::Gather;
use crate::ledger::Ledger;
use crate::packet::{self, Incoming};
use crate::publisher::{Publisher, Stamp};
use crate::reactor::{Handler, LinkId, Links};
use crate::report::Latencies;
use crate::run::{Counts, OPENING_MAX, Run, RunError, Shared, Worker};

use super::plan::{Plan, Schedule};

/// A worker looks up at least this often.
const WAIT_MAX: Duration = Duration::from_millis(5);
/// Messages that are due within this time are sent together.
const WAIT_MIN: Duration = Duration::from_micros(20);

/// Publishers and readers of one thread, and what they recorded.
pub(crate) struct Traffic<'a> {
    run: &'a Run,
    plan: &'a Plan<'a>,
    shared: &'a Shared,
    schedule: &'a OnceLock<Schedule>,
    counts: Counts,
    /// Clients to connect, last first.
    to_open: Vec<Client>,
    opening: usize,
    /// By link id.
    clients: Vec<Client>,
    senders: Vec<Sender>,
    /// Of readers, by link id: what they are to say that they read.
    reading: Vec<Reading>,
    has_begun: bool,
    has_finished: bool,
    /// How many messages of this worker have become due (open loop).
    due: usize,
    gather: Gather,
    /// What was accepted and what arrived.
    pub(crate) ledger: Ledger,
    /// From due to PUBACK.
    pub(crate) puback: Latencies,
    /// From due to arrival.
    pub(crate) delivery: Latencies,
    /// Messages that brought receipts.
    pub(crate) told: u64,
    /// From due to being sent: what this program and full windows add (open loop).
    pub(crate) lag: Latencies,
}

#[derive(Debug, Clone, Copy)]
enum Client {
    Reader(usize),
    /// Its place in `senders`.
    Publisher(usize),
}

/// What a reader has read and not said yet. It has one request under way at most.
#[derive(Debug, Clone, Copy, Default)]
struct Reading {
    up_to: Option<u64>,
    is_waiting: bool,
}

struct Sender {
    /// Which publisher of the run it is: its stream.
    index: usize,
    link: Option<LinkId>,
    publisher: Publisher,
    /// Messages that it should have sent (open loop).
    due: u64,
    sent: u64,
}

impl<'a> Traffic<'a> {
    /// The clients of thread `index`.
    pub(crate) fn new(
        run: &'a Run,
        plan: &'a Plan<'a>,
        shared: &'a Shared,
        schedule: &'a OnceLock<Schedule>,
        index: usize,
    ) -> Self {
        let mine = |all: usize| (index..all).step_by(run.threads);
        let pace = plan.pace;
        let senders: Vec<Sender> = mine(plan.publishers)
            .map(|index| Sender {
                index,
                link: None,
                publisher: Publisher::new(&run.names, pace.bytes, pace.window).asking(&run.names, index, pace.asks),
                due: 0,
                sent: 0,
            })
            .collect();
        let in_flight = plan.publishers * usize::from(pace.window);
        let publishers = (0..senders.len()).map(Client::Publisher);
        Traffic {
            run,
            plan,
            shared,
            schedule,
            counts: Counts::default(),
            to_open: publishers.chain(mine(plan.readers).map(Client::Reader)).collect(),
            opening: 0,
            clients: Vec::new(),
            senders,
            reading: Vec::new(),
            has_begun: false,
            has_finished: false,
            due: 0,
            gather: Gather::new(run.gather_us.or(pace.rate.and(Some(0))), in_flight),
            ledger: Ledger::new(plan.publishers),
            puback: Latencies::new(),
            delivery: Latencies::new(),
            told: 0,
            lag: Latencies::new(),
        }
    }

    fn open_more(&mut self, links: &mut Links) -> Result<(), RunError> {
        while self.opening < OPENING_MAX
            && let Some(client) = self.to_open.pop()
        {
            let link = links.open()?;
            self.opening += 1;
            if link.0 >= self.clients.len() {
                self.clients.resize(link.0 + 1, client);
            }
            if let Some(slot) = self.clients.get_mut(link.0) {
                *slot = client;
            }
            if let Client::Publisher(at) = client
                && let Some(sender) = self.senders.get_mut(at)
            {
                sender.link = Some(link);
            }
            if let Some(out) = links.out(link) {
                let is_clean = !(self.plan.pace.keep_session && matches!(client, Client::Reader(_)));
                self.run.connect(out, &self.name(client), is_clean);
            }
        }
        Ok(())
    }

    /// Counts messages that have become due (open loop), and sends them where there is room.
    fn send_due(&mut self, links: &mut Links, schedule: Schedule, rate: u64, now_ns: u64) -> Duration {
        let senders = self.senders.len().max(1);
        loop {
            let at = self.due % senders;
            let Some(sender) = self.senders.get_mut(at) else {
                return WAIT_MAX;
            };
            let due_ns = schedule.due_ns(self.plan.publishers, rate, sender.index, sender.due);
            if due_ns >= schedule.measure_to {
                return WAIT_MAX;
            }
            if due_ns > now_ns {
                return Duration::from_nanos(due_ns - now_ns).clamp(WAIT_MIN, WAIT_MAX);
            }
            sender.due += 1;
            self.counts.due += 1;
            self.due += 1;
            self.fill(links, at, now_ns);
        }
    }

    /// Sends what sender `at` may and should send now.
    fn fill(&mut self, links: &mut Links, at: usize, now_ns: u64) {
        let (Some(sender), Some(&schedule)) = (self.senders.get_mut(at), self.schedule.get()) else {
            return;
        };
        let Some(out) = sender.link.and_then(|link| links.out(link)) else {
            return;
        };
        while sender.publisher.has_room() {
            let due_ns = match self.plan.pace.rate {
                Some(_) if sender.sent >= sender.due => return,
                Some(rate) => schedule.due_ns(self.plan.publishers, rate, sender.index, sender.sent),
                None if now_ns >= schedule.measure_to => return,
                None => {
                    self.counts.due += 1;
                    now_ns
                }
            };
            if self.plan.pace.rate.is_some() && schedule.measures(due_ns) {
                self.lag.record(now_ns.saturating_sub(due_ns));
            }
            let stamp = Stamp {
                stream: sender.index as u32,
                number: sender.sent as u32,
                due_ns,
            };
            sender.publisher.publish(out, sender.index % self.plan.readers, stamp);
            sender.sent += 1;
        }
    }

    fn acknowledged(&mut self, links: &mut Links, at: usize, packet_id: u16, now_ns: u64) {
        let Some(stamp) = self
            .senders
            .get_mut(at)
            .and_then(|sender| sender.publisher.acknowledge(packet_id))
        else {
            let client = self.name(Client::Publisher(at));
            return self.shared.fail(RunError::UnknownPacket { client, packet_id });
        };
        self.counts.accepted += 1;
        self.gather.observe(now_ns.saturating_sub(stamp.due_ns));
        self.ledger.accepted(stamp.stream, stamp.number.into());
        if self
            .schedule
            .get()
            .is_some_and(|schedule| schedule.measures(stamp.due_ns))
        {
            self.puback.record(now_ns.saturating_sub(stamp.due_ns));
        }
        self.fill(links, at, now_ns);
    }

    /// What came to `client`: receipts, or a message.
    fn came(&mut self, link: LinkId, client: Client, payload: &[u8], now_ns: u64) {
        let Some(asks) = self.plan.pace.asks else {
            return self.arrived(payload, now_ns);
        };
        let Some((seq, payload)) = asks::split(payload) else {
            return self.ledger.foreign();
        };
        if matches!(client, Client::Publisher(_)) {
            self.told += 1;
            self.counts.receipts += asks::receipts_in(payload);
            return;
        }
        self.arrived(payload, now_ns);
        if asks == Asks::Read {
            if link.0 >= self.reading.len() {
                self.reading.resize(link.0 + 1, Reading::default());
            }
            if let Some(reading) = self.reading.get_mut(link.0) {
                reading.up_to = reading.up_to.max(seq);
            }
        }
    }

    /// Readers say what they read: all that came since they said so last, and were told that it is known.
    fn say_read(&mut self, links: &mut Links) {
        for (at, reading) in self.reading.iter_mut().enumerate().filter(|(_, it)| !it.is_waiting) {
            if let Some(up_to) = reading.up_to.take()
                && let Some(out) = links.out(LinkId(at))
            {
                asks::say_read(out, up_to);
                reading.is_waiting = true;
            }
        }
    }

    fn arrived(&mut self, payload: &[u8], now_ns: u64) {
        let Some(stamp) = Stamp::decode(self.run.names.tag(), payload) else {
            return self.ledger.foreign();
        };
        if self.ledger.delivered(stamp.stream, stamp.number.into()) {
            self.counts.delivered += 1;
            if self
                .schedule
                .get()
                .is_some_and(|schedule| schedule.measures(stamp.due_ns))
            {
                self.delivery.record(now_ns.saturating_sub(stamp.due_ns));
            }
        }
    }

    fn is_ready(&mut self) {
        self.opening = self.opening.saturating_sub(1);
        self.counts.ready += 1;
    }

    fn name(&self, client: Client) -> String {
        match client {
            Client::Reader(index) => self.run.names.reader(index),
            Client::Publisher(at) => self
                .run
                .names
                .publisher(self.senders.get(at).map_or(0, |sender| sender.index)),
        }
    }
}

impl Worker for Traffic<'_> {
    fn step(&mut self, links: &mut Links, now_ns: u64) -> Result<Duration, RunError> {
        self.open_more(links)?;
        let mut wait = WAIT_MAX;
        if let Some(&schedule) = self.schedule.get() {
            if let Some(rate) = self.plan.pace.rate {
                wait = self.send_due(links, schedule, rate, now_ns);
            } else if !self.has_begun {
                (0..self.senders.len()).for_each(|at| self.fill(links, at, now_ns));
            }
            self.has_begun = true;
            if now_ns >= schedule.measure_to && !self.has_finished {
                self.has_finished = true;
                self.counts.finished += 1;
            }
        }
        self.say_read(links);
        self.shared.add(&mut self.counts);
        Ok(wait)
    }

    fn pause(&self) -> Duration {
        self.gather.pause()
    }
}

impl Handler for Traffic<'_> {
    fn packet(&mut self, links: &mut Links, link: LinkId, packet: Incoming<'_>, now_ns: u64) {
        let Some(&client) = self.clients.get(link.0) else {
            return;
        };
        match (packet, client) {
            (Incoming::Publish { packet_id, payload }, _) => {
                if packet_id != 0
                    && let Some(out) = links.out(link)
                {
                    packet::puback(out, packet_id);
                }
                self.came(link, client, payload, now_ns);
            }
            (Incoming::PubAck(packet_id), Client::Publisher(at)) => self.acknowledged(links, at, packet_id, now_ns),
            (Incoming::PubAck(packet_id), Client::Reader(_)) => match self.reading.get_mut(link.0) {
                Some(reading) if reading.is_waiting => reading.is_waiting = false,
                _ => {
                    self.shared.fail(RunError::UnknownPacket {
                        client: self.name(client),
                        packet_id,
                    });
                }
            },
            (Incoming::ConnAck(0), Client::Publisher(_)) if !self.plan.tells_senders() => self.is_ready(),
            (Incoming::ConnAck(0), _) => {
                let name = self.name(client);
                if let Some(out) = links.out(link) {
                    self.run.subscribe(out, &name);
                }
            }
            (Incoming::ConnAck(code), _) => self.shared.fail(RunError::Refused {
                client: self.name(client),
                code,
            }),
            (Incoming::SubAck(0..=2), _) => self.is_ready(),
            (Incoming::SubAck(code), _) => {
                self.shared.fail(RunError::Unsubscribable {
                    client: self.name(client),
                    code,
                });
            }
            (Incoming::PingResp, _) => {}
        }
    }

    fn ended(&mut self, _: &mut Links, link: LinkId, error: LinkError) {
        let client = self
            .clients
            .get(link.0)
            .map(|&client| self.name(client))
            .unwrap_or_default();
        self.shared.fail(RunError::Ended { client, error });
    }
}
