//! One client connection: a task that moves bytes between a socket and a [`Conversation`].
//!
//! Each turn takes everything that is there, acts on it, and then writes once. Reading goes through one buffer per thread, and
//! what is not needed while a client is silent is given back, so that an idle connection costs little.

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use access::Denied;
use inbox_types::Now;
use mqtt_session::{Conversation, Place, SessionTable, Shared, Step};
use pubsub::Router;
use tokio::io::ReadBuf;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use crate::entrance::Arrival;
use crate::listener::Io;
use crate::websocket::Violation;

/// What one read takes from a socket at most.
const READ_BYTES: usize = 64 * 1024;

thread_local! {
    static READ_BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES].into_boxed_slice());
}

/// What all connections share.
pub struct Broker {
    /// The inboxes, the limits, the counters.
    pub shared: Arc<Shared>,
    /// Who is connected.
    pub table: Arc<SessionTable>,
    /// Ordinary topics.
    pub router: Router,
    /// Connections at a time.
    pub connections_max: usize,
    /// Connections at a time that leave enough file descriptors to the store.
    pub connections_with_descriptors: usize,
    /// Turns true when the broker shuts down.
    pub closing: watch::Receiver<bool>,
}

impl Broker {
    /// How many connections there may be.
    pub(crate) fn most(&self) -> usize {
        self.connections_max.min(self.connections_with_descriptors)
    }
}

/// The connection of a client that came as far as its first MQTT packet.
pub(crate) struct Connection<T> {
    io: T,
    broker: Arc<Broker>,
    conversation: Conversation,
    /// Received, and not yet a whole packet, or not yet wanted.
    partial: Vec<u8>,
    /// Held from [`Step::Open`] to [`Step::Close`].
    place: Option<Place>,
    /// Written, and not known to have left the stream's own buffers.
    is_unflushed: bool,
    is_shut_down: bool,
    timer: Pin<Box<Sleep>>,
    /// What the timer is set to, on the conversation's clock.
    timer_at: Duration,
}

impl<T> Drop for Connection<T> {
    fn drop(&mut self) {
        // It is here still when the task panicked, or was given up.
        if let Some(place) = self.place.take() {
            place.abandon(self.conversation.take_session());
        }
    }
}

impl<T: Io> Connection<T> {
    pub(crate) fn new(io: T, arrival: Arrival, broker: Arc<Broker>) -> Self {
        let now = broker.shared.node.now();
        let mut conversation = Conversation::new(broker.shared.clone(), arrival.origin, arrival.accepted);
        conversation.carried_by(arrival.idle_bytes);
        let timer_at = conversation.deadline(now);
        Connection {
            io,
            broker,
            conversation,
            partial: Vec::new(),
            place: None,
            is_unflushed: false,
            is_shut_down: false,
            timer: Box::pin(sleep_until(Instant::now() + timer_at.saturating_sub(now.mono))),
            timer_at,
        }
    }

    /// Serves it until it ends.
    pub(crate) async fn serve(&mut self) {
        let mut closing = self.broker.closing.clone();
        tokio::select! {
            () = self.wait_for_connect() => {}
            _ = closing.wait_for(|closing| *closing) => return,
        }
        drop(closing);
        // From here on nothing is given up half-way: a session that was opened must be closed, or nobody else could open it.
        self.run().await;
    }

    fn now(&self) -> Now {
        self.broker.shared.node.now()
    }

    /// Until CONNECT is complete, or refused.
    async fn wait_for_connect(&mut self) {
        while self.conversation.is_opening() {
            poll_fn(|cx| self.poll_event(cx)).await;
            tokio::task::consume_budget().await;
        }
    }

    async fn run(&mut self) {
        loop {
            self.act().await;
            if self.conversation.is_over() {
                return;
            }
            poll_fn(|cx| self.poll_event(cx)).await;
            // A client that always has something waiting must not keep the others on this thread from theirs.
            tokio::task::consume_budget().await;
        }
    }

    /// Acts on what is there, and writes.
    async fn act(&mut self) {
        loop {
            let now = self.now();
            self.conversation.turn(now);
            let used = self.offer_partial(now);
            let mut carried_out = false;
            while let Some(step) = self.conversation.next_step(now) {
                self.carry_out(step, now).await;
                carried_out = true;
            }
            if carried_out {
                continue;
            }
            poll_fn(|cx| {
                let _registered = self.poll_write(now, cx);
                Poll::Ready(())
            })
            .await;
            self.conversation.keeps(self.partial.capacity(), false);
            // Nothing tells of whole packets that wait here because too much was to be written, so they are looked at until they are
            // used up, or the socket takes no more, or more must happen first.
            if used == 0 && !self.conversation.has_steps() {
                return;
            }
        }
    }

    /// Acts on what was received before and could not be used then.
    fn offer_partial(&mut self, now: Now) -> usize {
        if self.partial.is_empty() || !self.conversation.takes_packets() {
            return 0;
        }
        let used = self.conversation.receive(&self.partial, now);
        self.partial.drain(..used);
        used
    }

    async fn carry_out(&mut self, step: Step, now: Now) {
        match step {
            Step::Authenticate(credentials) => {
                let now = self.now();
                let patience = self.conversation.deadline(now).saturating_sub(now.mono);
                let answer = self.broker.shared.access.authenticate(credentials);
                let decided = timeout(patience, answer).await.unwrap_or(Err(Denied::Undecided));
                self.conversation.authenticated(decided, self.now());
            }
            Step::Open {
                identity,
                clean_start,
                will,
            } => {
                let (place, session, present) = self.broker.table.open(identity, clean_start, will).await;
                self.place = Some(place);
                self.conversation.opened(session, present, self.now());
            }
            Step::Route(call) => {
                if let Some(place) = &self.place {
                    let routed = place.route(call).await;
                    self.conversation.routed(routed, now);
                }
            }
            Step::Close(session, ending) => {
                if let Some(place) = self.place.take() {
                    place.close(session, &ending).await;
                }
            }
        }
    }

    /// Ready when there is something to do.
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut ready = self.conversation.poll_waiting(cx).is_ready();
        let now = self.now();
        ready |= self.poll_write(now, cx).is_ready();
        if self.conversation.wants_bytes(now) {
            ready |= self.poll_receive(now, cx).is_ready();
        }
        if ready || self.conversation.is_over() {
            self.conversation.is_active(now);
            return Poll::Ready(());
        }
        let deadline = self.conversation.deadline(now);
        if deadline > now.mono {
            self.set_timer(deadline, now);
            return self.timer.as_mut().poll(cx);
        }
        self.conversation.timeout(now);
        self.partial.shrink_to_fit();
        self.conversation.keeps(self.partial.capacity(), true);
        Poll::Ready(())
    }

    /// Reads once, and gives what came to the conversation.
    fn poll_receive(&mut self, now: Now, cx: &mut Context<'_>) -> Poll<()> {
        READ_BUFFER.with_borrow_mut(|buffer| {
            let mut buffer = ReadBuf::new(buffer);
            match ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {
                    let received = buffer.filled().len() as u64;
                    self.broker.shared.metrics.bytes_received.add(received);
                    self.offer(buffer.filled(), now);
                    let (partial, capacity) = (self.partial.len(), self.partial.capacity());
                    self.conversation.keeps_partial(partial, capacity, now);
                }
                Ok(()) => self.conversation.lost(now),
                Err(error) => match broken_rule(&error) {
                    Some(rule) => self.conversation.broken(rule, now),
                    // Any error of a socket means that the connection is gone.
                    None => self.conversation.lost(now),
                },
            }
            Poll::Ready(())
        })
    }

    /// Gives what came to the conversation, behind what it did not want before.
    fn offer(&mut self, received: &[u8], now: Now) {
        if self.partial.is_empty() {
            let used = self.conversation.receive(received, now);
            self.partial.extend_from_slice(received.get(used..).unwrap_or_default());
        } else {
            self.partial.extend_from_slice(received);
            let used = self.conversation.receive(&self.partial, now);
            self.partial.drain(..used);
        }
    }

    /// Writes as much as the socket takes. Ready when it took something.
    fn poll_write(&mut self, now: Now, cx: &mut Context<'_>) -> Poll<()> {
        let mut progress = Poll::Pending;
        while !self.conversation.out().is_empty() {
            match Pin::new(&mut self.io).poll_write(cx, self.conversation.out()) {
                Poll::Pending => return progress,
                Poll::Ready(Ok(n)) if n > 0 => {
                    self.conversation.written(n, now);
                    self.broker.shared.metrics.bytes_sent.add(n as u64);
                    self.is_unflushed = true;
                    progress = Poll::Ready(());
                }
                Poll::Ready(_) => {
                    self.conversation.lost(now);
                    return Poll::Ready(());
                }
            }
        }
        if self.is_unflushed {
            match Pin::new(&mut self.io).poll_flush(cx) {
                Poll::Pending => return progress,
                Poll::Ready(Ok(())) => self.is_unflushed = false,
                Poll::Ready(Err(_)) => {
                    self.conversation.lost(now);
                    return Poll::Ready(());
                }
            }
        }
        if self.conversation.is_ending() && !self.is_shut_down {
            // An error shows when the rest is read.
            self.is_shut_down = Pin::new(&mut self.io).poll_shutdown(cx).is_ready();
        }
        progress
    }

    fn set_timer(&mut self, deadline: Duration, now: Now) {
        // Moving a timer costs more than letting it ring early, so it is only moved when it would ring too late.
        if self.timer.is_elapsed() || deadline < self.timer_at {
            self.timer_at = deadline;
            let rings = Instant::now() + deadline.saturating_sub(now.mono);
            self.timer.as_mut().reset(rings);
        }
    }
}

/// Which rule of WebSocket a client broke; the stream has told it.
fn broken_rule(error: &io::Error) -> Option<&'static str> {
    let violation = error.get_ref()?.downcast_ref::<Violation>()?;
    Some(violation.rule())
}
