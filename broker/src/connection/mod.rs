//! One client connection: a task that moves bytes between a socket and a [`Session`].
//!
//! Each turn takes everything that is there, acts on it, and then writes once. Reading goes through one buffer per thread, and
//! what is not needed while a client is silent is given back, so that an idle connection costs little.

mod handshake;

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use inbox_bridge::Now;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep_until, timeout};

#[cfg(feature = "testing")]
pub(crate) use handshake::admit;
use handshake::{Admitted, Refused, shake_hands};
use mqtt_codec::reason;
use mqtt_session::{Ending, Order, Place, RouterCall, Session, SessionTable, Shared};
use pubsub::Router;

/// What one read takes from a socket at most.
const READ_BYTES: usize = 64 * 1024;
/// A connection that was silent for so long gives its buffers back.
const SHRINK_AFTER: Duration = Duration::from_secs(2);
/// How soon a publisher is read again after the disk was behind.
const CONGESTION_PAUSE: Duration = Duration::from_millis(5);
/// How long a connection may take to read why it ends.
const GOODBYE: Duration = Duration::from_millis(500);
/// Bytes that are still read from it meanwhile, so that the system does not reset the connection before it has.
const GOODBYE_BYTES_MAX: usize = 1024 * 1024;
/// With no other deadline: look again after so long.
const FAR: Duration = Duration::from_secs(24 * 3600);

thread_local! {
    static READ_BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES].into_boxed_slice());
}

/// What all connections share.
pub(crate) struct Broker {
    pub(crate) shared: Arc<Shared>,
    pub(crate) table: Arc<SessionTable>,
    pub(crate) router: Router,
    /// Connections at a time.
    pub(crate) connections_max: usize,
    /// Turns true when the broker shuts down.
    pub(crate) closing: watch::Receiver<bool>,
}

/// Serves one connection until it ends.
pub(crate) async fn serve(mut stream: TcpStream, peer: SocketAddr, broker: Arc<Broker>) {
    let metrics = &broker.shared.metrics;
    let mut closing = broker.closing.clone();
    let shaken = tokio::select! {
        shaken = timeout(broker.shared.mqtt.connect_timeout, shake_hands(&mut stream, &broker)) => shaken,
        _ = closing.wait_for(|closing| *closing) => return,
    };
    let Admitted {
        id,
        id_is_assigned,
        clean_start,
        mut link,
        rest,
    } = match shaken {
        Ok(Ok(accepted)) => accepted,
        Ok(Err(refused)) => {
            metrics.connects_refused.add(1);
            tracing::info!(%peer, why = %refused, "a client was not let in");
            if !matches!(refused, Refused::Lost(_)) {
                hang_up(&mut stream, &[]).await;
            }
            return;
        }
        Err(_elapsed) => {
            metrics.connects_refused.add(1);
            tracing::info!(%peer, "a connection sent no CONNECT within mqtt.connect_timeout");
            return;
        }
    };
    // From here on nothing is given up half-way: a session that was opened must be closed, or nobody else could open it.
    let (place, mut session, present) = broker.table.open(&id, clean_start, link.will.take()).await;
    session.connected(link, present, id_is_assigned);
    metrics.connects_accepted.add(1);
    tracing::debug!(%peer, client = %session.id(), "connected");
    let mut connection = Connection::new(stream, session, rest);
    let ending = connection.run(&broker).await;
    connection.end(&broker, &ending, peer, place).await;
}

struct Connection {
    stream: TcpStream,
    session: Box<Session>,
    /// Received, and not yet a whole packet, or not yet wanted.
    partial: Vec<u8>,
    /// When the client last completed a packet: bytes of one that never ends are no sign of life (MQTT-3.1.2-22).
    last_packet: Instant,
    last_written: Instant,
    last_active: Instant,
    is_small: bool,
    /// Whether the socket is read: not while the client is behind, or the disk.
    reads: bool,
    keep_alive: Option<Duration>,
    timer: Pin<Box<Sleep>>,
}

impl Connection {
    fn new(stream: TcpStream, session: Box<Session>, rest: Vec<u8>) -> Self {
        let now = Instant::now();
        // One and a half times the keep alive time (MQTT-3.1.2-22).
        let keep_alive = match session.link().keep_alive {
            0 => None,
            seconds => Some(Duration::from_millis(u64::from(seconds) * 1500)),
        };
        Connection {
            stream,
            session,
            partial: rest,
            last_packet: now,
            last_written: now,
            last_active: now,
            is_small: false,
            reads: true,
            keep_alive,
            timer: Box::pin(sleep_until(now + SHRINK_AFTER)),
        }
    }

    async fn run(&mut self, broker: &Broker) -> Ending {
        loop {
            if let Err(ending) = self.turn(broker).await {
                return ending;
            }
            if let Err(ending) = poll_fn(|cx| self.poll_event(broker, cx)).await {
                return ending;
            }
            // A client that always has something waiting must not keep the others on this thread from theirs.
            tokio::task::consume_budget().await;
        }
    }

    /// Acts on what is there, and writes.
    async fn turn(&mut self, broker: &Broker) -> Result<(), Ending> {
        loop {
            if let Some(order) = self.session.outbox().take_order() {
                return Err(ordered(order));
            }
            let now = broker.shared.hub.now();
            self.session.drain(now)?;
            let used = self.receive_partial(now)?;
            let mut calls = 0;
            while let Some(call) = self.session.next_call() {
                route(&mut self.session, call, &broker.router).await?;
                calls += 1;
            }
            if calls > 0 {
                continue;
            }
            self.write()?;
            // Nothing tells of whole packets that wait here because too much was to be written, so they are looked at until they are
            // used up, or the socket takes no more, or more must happen first.
            if used == 0 {
                return Ok(());
            }
        }
    }

    /// Acts on what was received before and could not be used then.
    fn receive_partial(&mut self, now: Now) -> Result<usize, Ending> {
        if self.partial.is_empty() || !self.session.takes_packets() {
            return Ok(0);
        }
        let used = self.session.receive(&self.partial, now)?;
        self.partial.drain(..used);
        self.received(used);
        Ok(used)
    }

    /// The client completed packets of so many bytes.
    fn received(&mut self, used: usize) {
        if used > 0 {
            self.last_packet = Instant::now();
        }
    }

    /// Ready when there is something to do.
    fn poll_event(&mut self, broker: &Broker, cx: &mut Context<'_>) -> Poll<Result<(), Ending>> {
        let mut ready = self.session.outbox().poll_any(self.session.can_send(), cx).is_ready();
        if !self.session.out().is_empty() {
            ready |= lost(self.stream.poll_write_ready(cx))?.is_ready();
        }
        let is_congested = broker.shared.hub.is_congested();
        let read_before = std::mem::replace(&mut self.reads, self.session.takes_packets() && !is_congested);
        if self.reads && !read_before {
            // What waits in the socket may be half a packet whose other half could not be sent meanwhile.
            self.last_packet = Instant::now();
        }
        if self.reads {
            ready |= self.poll_receive(broker, cx)?.is_ready();
        }
        let now = Instant::now();
        if ready {
            self.last_active = now;
            self.is_small = false;
            return Poll::Ready(Ok(()));
        }
        self.set_timer(now, is_congested);
        ready!(self.timer.as_mut().poll(cx));
        Poll::Ready(self.on_timer(Instant::now()))
    }

    /// Reads once, and gives what came to the session.
    fn poll_receive(&mut self, broker: &Broker, cx: &mut Context<'_>) -> Result<Poll<()>, Ending> {
        READ_BUFFER.with_borrow_mut(|buffer| {
            let mut buffer = ReadBuf::new(buffer);
            if lost(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?.is_pending() {
                return Ok(Poll::Pending);
            }
            let received = buffer.filled();
            if received.is_empty() {
                return Err(Ending::Lost);
            }
            let now = broker.shared.hub.now();
            let used = if self.partial.is_empty() {
                let used = self.session.receive(received, now)?;
                self.partial.extend_from_slice(received.get(used..).unwrap_or_default());
                used
            } else {
                self.partial.extend_from_slice(received);
                let used = self.session.receive(&self.partial, now)?;
                self.partial.drain(..used);
                used
            };
            self.received(used);
            Ok(Poll::Ready(()))
        })
    }

    /// Writes as much as the socket takes.
    fn write(&mut self) -> Result<(), Ending> {
        while !self.session.out().is_empty() {
            match self.stream.try_write(self.session.out()) {
                Ok(0) => return Err(Ending::Lost),
                Ok(n) => {
                    self.session.written(n);
                    self.last_written = Instant::now();
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(_) => return Err(Ending::Lost),
            }
        }
        Ok(())
    }

    fn set_timer(&mut self, now: Instant, is_congested: bool) {
        let congestion = is_congested.then(|| now + CONGESTION_PAUSE);
        let keep_alive = self.keep_alive.map(|keep_alive| self.last_packet + keep_alive);
        let shrink = (!self.is_small).then(|| self.last_active + SHRINK_AFTER);
        let deadline = [congestion, keep_alive, shrink]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(now + FAR);
        // Moving a timer costs more than letting it ring early, so it is only moved when it would ring too late.
        if self.timer.is_elapsed() || deadline < self.timer.deadline() {
            self.timer.as_mut().reset(deadline);
        }
    }

    fn on_timer(&mut self, now: Instant) -> Result<(), Ending> {
        if let Some(keep_alive) = self
            .keep_alive
            .filter(|keep_alive| self.last_packet + *keep_alive <= now)
        {
            // What the client sent may lie in the socket because it is us who do not read. Then it is alive as long as it takes what
            // it is sent.
            let is_waiting = self.session.out().is_empty() || self.last_written + keep_alive > now;
            if !self.reads && is_waiting {
                self.last_packet = now;
                return Ok(());
            }
            return Err(Ending::closed(
                reason::KEEP_ALIVE_TIMEOUT,
                self.session.link().why_silence_ends(),
            ));
        }
        if !self.is_small && self.last_active + SHRINK_AFTER <= now {
            self.is_small = true;
            self.session.shrink();
            self.partial.shrink_to_fit();
        }
        Ok(())
    }

    /// Gives the session back, and tells the client why.
    async fn end(self, broker: &Broker, ending: &Ending, peer: SocketAddr, place: Place) {
        let Connection {
            mut stream,
            mut session,
            ..
        } = self;
        while let Some(call) = session.next_call() {
            // How the connection ends is settled already.
            let _too_late = route(&mut session, call, &broker.router).await;
        }
        if let Ending::Closed { reason, why } = ending {
            tracing::info!(%peer, client = %session.id(), reason = format_args!("{reason:#04x}"), %why, "the broker ended a connection");
            let is_order = matches!(*reason, reason::SESSION_TAKEN_OVER | reason::SERVER_SHUTTING_DOWN);
            broker.shared.metrics.protocol_errors.add(u64::from(!is_order));
        } else {
            tracing::debug!(%peer, client = %session.id(), ?ending, "disconnected");
        }
        session.say_goodbye(ending);
        let out = session.take_out();
        place.close(session, ending).await;
        if *ending != Ending::Lost {
            hang_up(&mut stream, &out).await;
        }
    }
}

async fn route(session: &mut Session, call: RouterCall, router: &Router) -> Result<(), Ending> {
    match call {
        RouterCall::Publish(message, ticket) => {
            let topic = message.topic.clone();
            let routed = router.publish(message).await;
            match ticket {
                Some(ticket) => session.routed(ticket, routed.map(|()| router.reach(&topic)))?,
                None => {
                    if let Err(error) = routed {
                        session.count_refused();
                        tracing::warn!(client = %session.id(), %error, "a publish with QoS 0 was dropped");
                    }
                }
            }
        }
        RouterCall::Subscribe(mut call) => {
            let mut refused = Vec::new();
            for (at, number, filter, share, send_retained) in call.requests() {
                let sink = session.outbox().clone();
                if let Err(error) = router
                    .subscribe(session.key(), sink, number, filter, share, send_retained)
                    .await
                {
                    refused.push((at, error));
                }
            }
            for (at, error) in refused {
                call.refused(at, error);
            }
            session.subscribed(*call);
        }
        RouterCall::Unsubscribe(number) => router.unsubscribe(session.key(), number).await,
    }
    Ok(())
}

pub(crate) fn ordered(order: Order) -> Ending {
    match order {
        Order::TakenOver => Ending::closed(
            reason::SESSION_TAKEN_OVER,
            "another connection uses this client ID now (MQTT-3.1.4-3)",
        ),
        Order::ShutDown => Ending::closed(reason::SERVER_SHUTTING_DOWN, "the broker is shutting down"),
    }
}

/// Any error of a socket means that the connection is gone.
fn lost<T>(poll: Poll<io::Result<T>>) -> Result<Poll<T>, Ending> {
    match poll {
        Poll::Pending => Ok(Poll::Pending),
        Poll::Ready(Ok(value)) => Ok(Poll::Ready(value)),
        Poll::Ready(Err(_)) => Err(Ending::Lost),
    }
}

/// Writes the last bytes and closes. Reads on for a moment: a socket that is closed with unread bytes resets the connection, and
/// the client might lose the last thing that it was told.
async fn hang_up(stream: &mut TcpStream, last: &[u8]) {
    let goodbye = async {
        stream.write_all(last).await?;
        stream.shutdown().await?;
        let mut buffer = [0; 1024];
        let mut read = 0;
        while read < GOODBYE_BYTES_MAX {
            match stream.read(&mut buffer).await? {
                0 => break,
                n => read += n,
            }
        }
        io::Result::Ok(())
    };
    // Neither a client that is gone nor one that does not read is worth more time.
    let _ = timeout(GOODBYE, goodbye).await;
}
