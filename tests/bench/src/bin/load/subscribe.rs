//! Clients that only connect and subscribe: those that stay (`idle`), and those that leave a session behind.

use std::time::Duration;

use crate::ended::LinkError;
use crate::packet::Incoming;
use crate::reactor::{Handler, LinkId, Links};
use crate::report::Latencies;
use crate::run::{Counts, OPENING_MAX, Run, RunError, Shared, Worker};

const WAIT: Duration = Duration::from_millis(5);

/// More clients than this are not kept connected just to leave together.
pub(crate) const LEAVE_TOGETHER_MAX: usize = 10_000;

/// What a client does once it has subscribed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stay {
    /// It stays connected; its session is clean.
    Stays,
    /// Its session is kept (clean session = 0). It disconnects when everybody has subscribed, or, of very many, at once. Together
    /// is kinder: rumqttd 0.20 mistakes a new connection for one that is just leaving, and ends it.
    LeavesSession,
}

/// One thread's clients.
pub(crate) struct Subscriber<'a> {
    run: &'a Run,
    shared: &'a Shared,
    stay: Stay,
    leaves_at_once: bool,
    counts: Counts,
    to_open: Vec<usize>,
    opening: usize,
    /// Connections that are being opened at a time.
    opening_max: usize,
    /// Client and the beginning of its connection, by link id.
    clients: Vec<(usize, u64)>,
    /// From the beginning of the connection to SUBACK.
    pub(crate) online: Latencies,
}

impl<'a> Subscriber<'a> {
    /// The clients of thread `index`, of `clients` together.
    pub(crate) fn new(run: &'a Run, shared: &'a Shared, clients: usize, stay: Stay, index: usize) -> Self {
        Subscriber {
            run,
            shared,
            stay,
            leaves_at_once: stay == Stay::LeavesSession && clients > LEAVE_TOGETHER_MAX,
            counts: Counts::default(),
            to_open: (index..clients).step_by(run.threads).collect(),
            opening: 0,
            opening_max: OPENING_MAX,
            clients: Vec::new(),
            online: Latencies::new(),
        }
    }

    /// The same, with so many connections of this thread being opened at a time.
    pub(crate) fn opening_at_a_time(self, opening_max: usize) -> Self {
        Subscriber { opening_max, ..self }
    }

    fn name(&self, link: LinkId) -> String {
        self.clients
            .get(link.0)
            .map(|&(client, _)| self.run.names.reader(client))
            .unwrap_or_default()
    }

    fn subscribed(&mut self, links: &mut Links, link: LinkId, now_ns: u64) {
        self.opening = self.opening.saturating_sub(1);
        self.counts.ready += 1;
        if let Some(&(_, opened_ns)) = self.clients.get(link.0) {
            self.online.record(now_ns.saturating_sub(opened_ns));
        }
        if self.leaves_at_once {
            links.close(link);
        }
        self.counts.finished += 1;
    }
}

impl Worker for Subscriber<'_> {
    fn step(&mut self, links: &mut Links, now_ns: u64) -> Result<Duration, RunError> {
        while self.opening < self.opening_max
            && let Some(client) = self.to_open.pop()
        {
            let link = links.open()?;
            self.opening += 1;
            if let Some(out) = links.out(link) {
                self.run
                    .connect(out, &self.run.names.reader(client), self.stay == Stay::Stays);
            }
            match self.clients.get_mut(link.0) {
                Some(slot) => *slot = (client, now_ns),
                None => self.clients.push((client, now_ns)),
            }
        }
        self.shared.add(&mut self.counts);
        Ok(WAIT)
    }
}

impl Handler for Subscriber<'_> {
    fn packet(&mut self, links: &mut Links, link: LinkId, packet: Incoming<'_>, now_ns: u64) {
        match packet {
            Incoming::ConnAck(0) => {
                let name = self.name(link);
                if let Some(out) = links.out(link) {
                    self.run.subscribe(out, &name);
                }
            }
            Incoming::SubAck(0..=2) => self.subscribed(links, link, now_ns),
            Incoming::ConnAck(code) => self.shared.fail(RunError::Refused {
                client: self.name(link),
                code,
            }),
            Incoming::SubAck(code) => self.shared.fail(RunError::Unsubscribable {
                client: self.name(link),
                code,
            }),
            // Nobody publishes to these clients yet.
            Incoming::Publish { .. } | Incoming::PubAck(_) | Incoming::PingResp => {}
        }
    }

    fn ended(&mut self, _: &mut Links, link: LinkId, error: LinkError) {
        self.shared.fail(RunError::Ended {
            client: self.name(link),
            error,
        });
    }
}
