//! The adapter's thread: takes commands in order, fills bursts with messages, has them routed and delivers them.
//!
//! A burst never spans a subscription, so everything in it meets the same table of subscriptions.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tracing::{debug, error, warn};

use super::audience::Audience;
use super::engine::{BATCH_COST_MAX, BATCH_MESSAGES_MAX, Engine, EngineError, Routed, batch_cost};
use super::subscriptions::Subscriptions;
use super::{Command, Counters, OrdinaryMessage, PublishError, Publisher, RouterOptions, Subscribe, Wanted};
use crate::retained::Retaining;

/// How often a router that does not start is tried again, before ordinary topics stop.
const START_ATTEMPTS_MAX: u32 = 5;
/// The pause after the first attempt; it grows with each.
const START_PAUSE: Duration = Duration::from_millis(50);
/// Unused filters, beyond the used ones, for which a router is replaced.
const DEAD_FILTERS_MAX: usize = 1_000;
/// Matches of unused filters for which a router is replaced.
const UNUSED_MATCHES_MAX: u64 = 50_000;

/// Owns everything about ordinary topics; runs on its own thread because rumqttd's calls block.
pub(super) struct Adapter {
    commands: mpsc::Receiver<Command>,
    options: RouterOptions,
    counters: Arc<Counters>,
    subscriptions: Subscriptions,
    retaining: Arc<Retaining>,
    /// What the next batch will be, and what it costs.
    burst: Vec<Admitted>,
    burst_cost: usize,
    found: Routed,
}

/// A message in a burst.
struct Admitted {
    message: Arc<OrdinaryMessage>,
    /// Who is told when it is safe.
    publisher: Option<Arc<Publisher>>,
    _room: OwnedSemaphorePermit,
}

/// No router can be started.
struct GaveUp;

impl Adapter {
    pub(super) fn new(
        commands: mpsc::Receiver<Command>,
        options: RouterOptions,
        retaining: Arc<Retaining>,
        counters: Arc<Counters>,
    ) -> Self {
        Adapter {
            commands,
            subscriptions: Subscriptions::new(options.filters_max),
            retaining,
            options,
            counters,
            burst: Vec::new(),
            burst_cost: 0,
            found: Routed::default(),
        }
    }

    /// What publishers may ask.
    pub(super) fn audience(&self) -> Arc<Audience> {
        Arc::clone(self.subscriptions.audience())
    }

    /// Runs until shutdown, until every handle is gone, or until no router can be started. Then the queue closes, and
    /// whoever waits learns that ordinary topics have stopped.
    pub(super) fn run(mut self) {
        let Ok(mut engine) = self.start_engine() else { return };
        while let Some(command) = self.commands.blocking_recv() {
            match self.serve(&mut engine, command) {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(done)) => {
                    // Before the answer: whoever has it must find the door closed.
                    self.commands.close();
                    engine.retire();
                    // The handle may not wait for this.
                    let _ = done.send(());
                    return;
                }
                Err(GaveUp) => return,
            }
        }
        engine.retire();
    }

    /// Takes `first` and whatever else is there, up to a full burst, and routes it.
    fn serve(&mut self, engine: &mut Engine, first: Command) -> Result<ControlFlow<oneshot::Sender<()>>, GaveUp> {
        let mut next = Some(first);
        while let Some(command) = next {
            if let Command::Publish {
                message,
                room,
                publisher,
                reply,
            } = command
            {
                let admitted = Admitted {
                    message,
                    publisher,
                    _room: room,
                };
                self.admit(engine, admitted, reply)?;
            } else {
                self.route_burst(engine)?;
                if let Command::Shutdown { done } = command {
                    return Ok(ControlFlow::Break(done));
                }
                self.control(engine, command)?;
            }
            next = if self.burst.len() < BATCH_MESSAGES_MAX {
                self.commands.try_recv().ok()
            } else {
                None
            };
        }
        self.route_burst(engine)?;
        self.refresh_if_worn(engine)?;
        let filters = &self.counters.filters;
        filters.store(self.subscriptions.live() as u64, Ordering::Relaxed);
        Ok(ControlFlow::Continue(()))
    }

    /// Puts a message into the burst, unless it is to be retained and there is no room for it.
    fn admit(
        &mut self,
        engine: &mut Engine,
        admitted: Admitted,
        reply: Option<oneshot::Sender<Result<(), PublishError>>>,
    ) -> Result<(), GaveUp> {
        if let Some(reply) = reply {
            let outcome = self.retaining.put(&admitted.message, admitted.publisher.as_ref());
            // A publisher that does not wait any more has published nevertheless.
            let _ = reply.send(outcome);
            if outcome.is_err() {
                return Ok(());
            }
        }
        let cost = batch_cost(&admitted.message.topic);
        if self.burst_cost + cost > BATCH_COST_MAX {
            self.route_burst(engine)?;
        }
        self.burst_cost += cost;
        self.burst.push(admitted);
        Ok(())
    }

    /// Serves everything that is no message. The burst is empty.
    fn control(&mut self, engine: &mut Engine, command: Command) -> Result<(), GaveUp> {
        match command {
            Command::Subscribe(subscribe) => self.subscribe(engine, *subscribe)?,
            Command::Unsubscribe { session, subscription } => self.subscriptions.remove(session, subscription),
            Command::Close { session, done } => {
                self.subscriptions.close(session);
                if let Some(done) = done {
                    // Who does not wait any more needs no answer.
                    let _ = done.send(());
                }
            }
            Command::Hand { page, done } => {
                self.retaining.hand(page);
                // Who does not wait any more needs no answer.
                let _ = done.send(());
            }
            Command::HandOver { orphans, lost } => {
                let without = orphans.iter().filter(|orphan| !self.subscriptions.hand_over(orphan));
                let without = without.count() as u64;
                self.subscriptions.flush();
                // Before the answer: whoever has it must find that only those wait who have the messages.
                drop(orphans);
                // Who does not wait any more needs no answer.
                let _ = lost.send(without);
            }
            Command::Publish { .. } | Command::Shutdown { .. } => {}
            #[cfg(test)]
            Command::Crash => {
                let _ = engine.crash();
            }
        }
        Ok(())
    }

    fn subscribe(&mut self, engine: &mut Engine, subscribe: Subscribe) -> Result<(), GaveUp> {
        let Subscribe { wanted, coming, reply } = subscribe;
        let Wanted {
            session,
            sink,
            subscription,
            filter,
            share,
            send_retained,
        } = wanted;
        let added = self
            .subscriptions
            .add(session, Arc::clone(&sink), subscription, &filter, share.as_deref());
        if added == Ok(true)
            && let Err(why) = engine.subscribe(&filter)
        {
            self.restart(engine, &why)?;
        }
        let owed = added.map(|_| match send_retained {
            true => Some(self.retaining.begin(session, subscription, &filter, &sink)),
            false => {
                self.retaining.supersede(session, subscription, &filter);
                None
            }
        });
        // Before the answer: what is published after it must find the subscription.
        drop(coming);
        // A session that does not wait any more will close itself.
        let _ = reply.send(owed);
        Ok(())
    }

    /// Routes and delivers the burst, whatever happens to the router meanwhile.
    fn route_burst(&mut self, engine: &mut Engine) -> Result<(), GaveUp> {
        if self.burst.is_empty() {
            return Ok(());
        }
        let burst = std::mem::take(&mut self.burst);
        self.burst_cost = 0;
        let messages: Vec<_> = burst.iter().collect();
        for _ in 0..2 {
            match self.route(engine, &messages) {
                Ok(()) => {
                    self.deliver(&messages);
                    return Ok(());
                }
                Err(why) => self.restart(engine, &why)?,
            }
        }
        // It failed twice in the same place, so one of these may be the cause. Alone, it fails alone.
        for message in messages {
            match self.route(engine, &[message]) {
                Ok(()) => self.deliver(&[message]),
                Err(why) => {
                    error!(topic = %message.message.topic, "a message that makes the router fail is dropped");
                    self.counters.lost.fetch_add(1, Ordering::Relaxed);
                    self.restart(engine, &why)?;
                }
            }
        }
        Ok(())
    }

    fn route(&mut self, engine: &mut Engine, messages: &[&Admitted]) -> Result<(), EngineError> {
        self.found.matches.clear();
        self.found.lost.clear();
        engine.route(messages.iter().map(|admitted| &admitted.message.topic), &mut self.found)
    }

    /// Hands what was found to the sinks, in the order of publishing.
    fn deliver(&mut self, messages: &[&Admitted]) {
        self.found.matches.sort_unstable();
        for found in &self.found.matches {
            if let Some(message) = messages.get(found.message as usize) {
                self.subscriptions
                    .gather(found.filter, &message.message, message.publisher.as_ref());
            }
        }
        self.subscriptions.flush();
        let publishers = messages.iter().filter_map(|message| message.publisher.as_ref());
        publishers.for_each(Publisher::is_complete);
        for (filter, messages) in self.found.lost.drain(..) {
            error!(messages, "the router lost messages of a filter; please report this");
            self.counters.lost.fetch_add(messages, Ordering::Relaxed);
            self.subscriptions.lost(filter, messages);
        }
    }

    /// Replaces a router that failed.
    fn restart(&mut self, engine: &mut Engine, why: &EngineError) -> Result<(), GaveUp> {
        error!(reason = %why, "the router of ordinary topics failed; starting another one");
        self.counters.restarts.fetch_add(1, Ordering::Relaxed);
        self.replace(engine)
    }

    /// Replaces a healthy router that remembers too much. The burst is empty.
    fn refresh_if_worn(&mut self, engine: &mut Engine) -> Result<(), GaveUp> {
        let is_cluttered = self.subscriptions.dead() > self.subscriptions.live() + DEAD_FILTERS_MAX
            || self.subscriptions.unused_matches() > UNUSED_MATCHES_MAX;
        if !is_cluttered && !engine.is_worn() {
            return Ok(());
        }
        debug!("replacing the router of ordinary topics, to free what it remembers");
        self.counters.refreshes.fetch_add(1, Ordering::Relaxed);
        self.replace(engine)
    }

    fn replace(&mut self, engine: &mut Engine) -> Result<(), GaveUp> {
        self.subscriptions.compact();
        let old = std::mem::replace(engine, self.start_engine()?);
        old.retire();
        Ok(())
    }

    fn start_engine(&self) -> Result<Engine, GaveUp> {
        for attempt in 1..=START_ATTEMPTS_MAX {
            match Engine::start(self.subscriptions.filters(), self.options.topics_max) {
                Ok(engine) => return Ok(engine),
                Err(why) => {
                    warn!(reason = %why, attempt, "the router of ordinary topics did not start");
                    std::thread::sleep(START_PAUSE * attempt);
                }
            }
        }
        error!("no router could be started: publish/subscribe on ordinary topics has stopped; restart the broker");
        Err(GaveUp)
    }
}
