//! One run: what every workload needs, and the threads that do it.
//!
//! Workers drive connections; the main thread only watches counters, samples the processes and keeps the deadline. So
//! the measuring costs the measured nothing but a few relaxed additions per turn.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::ended::LinkError;
use crate::packet;
use crate::publisher::Names;
use crate::reactor::{Clock, Handler, Links, Reactor};
use crate::system::{Process, SystemError, Usage};
use crate::wire::{WireError, Wiring};

/// How often the main thread looks at the counters.
const WATCH_INTERVAL: Duration = Duration::from_millis(2);
/// Runs longer than this say how they are getting on.
const QUIET: Duration = Duration::from_secs(5);
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);
/// Connections of one worker that are being established at a time, so that no broker's backlog overflows.
pub(crate) const OPENING_MAX: usize = 64;

/// What all workloads share.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) names: Names,
    pub(crate) address: SocketAddr,
    pub(crate) wiring: Wiring,
    /// The password of every client, whose user name is its client ID.
    pub(crate) password: Option<String>,
    /// MQTT 5 is spoken.
    pub(crate) is_v5: bool,
    pub(crate) threads: usize,
    /// See [`crate::gather::Gather::new`].
    pub(crate) gather_us: Option<u64>,
    pub(crate) broker: Option<Process>,
    pub(crate) clock: Clock,
    pub(crate) started: Instant,
    pub(crate) timeout: Duration,
}

/// Why a run ended without a result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    /// Nobody listens.
    #[error("cannot connect to {address}: {error}. Start the broker, or give its --port")]
    NoBroker { address: SocketAddr, error: io::Error },
    /// The broker said no to CONNECT.
    #[error(
        "the broker refused client {client} with CONNACK return code {code}: it must admit anonymous MQTT 3.1.1 clients, or those with --password"
    )]
    Refused { client: String, code: u8 },
    /// The broker said no to SUBSCRIBE.
    #[error("the broker refused client {client} its subscription (SUBACK {code:#04x}): check its access rules")]
    Unsubscribable { client: String, code: u8 },
    /// A connection ended early.
    #[error(
        "the connection of client {client} ended: {error}. The broker's log says why; with MQTT 3.1.1 this is also how it \
         refuses a message (full inbox, size)"
    )]
    Ended { client: String, error: LinkError },
    /// A PUBACK for nothing.
    #[error("the broker sent client {client} a PUBACK for packet id {packet_id}, which is not in flight")]
    UnknownPacket { client: String, packet_id: u16 },
    /// The deadline.
    #[error("not done after {seconds} s, while {phase}: look at the broker, or raise --timeout")]
    TimedOut { phase: &'static str, seconds: u64 },
    /// A connection could not be opened, or the event queue failed.
    #[error("the operating system failed a connection or its events: {0}")]
    Io(#[from] io::Error),
    /// TLS cannot be spoken.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// Limits and processes.
    #[error(transparent)]
    System(#[from] SystemError),
    /// A worker died of a defect of this program.
    #[error("a worker thread of this program panicked: this is a defect, its message is above")]
    Panicked,
}

/// What workers tell the main thread.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// Connections established and, for readers, subscribed.
    pub(crate) ready: AtomicU64,
    /// Messages that should have been sent by now.
    pub(crate) due: AtomicU64,
    /// PUBACKs that publishers received.
    pub(crate) accepted: AtomicU64,
    /// Different messages that readers received.
    pub(crate) delivered: AtomicU64,
    /// Receipts that publishers received.
    pub(crate) receipts: AtomicU64,
    /// Workers, or clients, that have nothing more to begin.
    pub(crate) finished: AtomicU64,
    stop: AtomicBool,
    failure: Mutex<Option<RunError>>,
}

/// What a worker has counted since it last told [`Shared`].
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) ready: u64,
    pub(crate) due: u64,
    pub(crate) accepted: u64,
    pub(crate) delivered: u64,
    pub(crate) receipts: u64,
    pub(crate) finished: u64,
}

/// A part of a workload that one thread does.
pub(crate) trait Worker: Handler + Send {
    /// Does what is due at `now_ns`, tells the counters, and says how long it can wait for packets.
    fn step(&mut self, links: &mut Links, now_ns: u64) -> Result<Duration, RunError>;

    /// How long to let answers gather before reading any (see [`crate::gather`]).
    fn pause(&self) -> Duration {
        Duration::ZERO
    }
}

impl Shared {
    /// Adds what a worker has counted.
    pub(crate) fn add(&self, counts: &mut Counts) {
        let counts = std::mem::take(counts);
        for (total, more) in [
            (&self.ready, counts.ready),
            (&self.due, counts.due),
            (&self.accepted, counts.accepted),
            (&self.delivered, counts.delivered),
            (&self.receipts, counts.receipts),
            (&self.finished, counts.finished),
        ] {
            if more > 0 {
                total.fetch_add(more, Relaxed);
            }
        }
    }

    /// Ends the run with an error; the first one counts.
    pub(crate) fn fail(&self, error: RunError) {
        self.failure().get_or_insert(error);
        self.stop.store(true, Relaxed);
    }

    fn failure(&self) -> MutexGuard<'_, Option<RunError>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Run {
    /// Fails unless something accepts connections at the broker's address.
    pub(crate) fn check_broker(&self) -> Result<(), RunError> {
        let address = self.address;
        TcpStream::connect_timeout(&address, self.timeout)
            .map(drop)
            .map_err(|error| RunError::NoBroker { address, error })
    }

    /// Appends the CONNECT of a client.
    pub(crate) fn connect(&self, out: &mut Vec<u8>, client_id: &str, clean_session: bool) {
        packet::connect(out, self.is_v5, client_id, clean_session, self.password.as_deref());
    }

    /// Appends the SUBSCRIBE of a client to its own topic.
    pub(crate) fn subscribe(&self, out: &mut Vec<u8>, client_id: &str) {
        packet::subscribe(out, self.is_v5, &self.names.topic(client_id));
    }

    /// Runs one worker per thread while `watch` watches; they end when it does. Gives back what `watch` found, and the
    /// workers with what they recorded.
    pub(crate) fn with_workers<W: Worker, T>(
        &self,
        shared: &Shared,
        worker: impl Fn(usize) -> W,
        watch: impl FnOnce() -> Result<T, RunError>,
    ) -> Result<(T, Vec<W>), RunError> {
        thread::scope(|scope| {
            let threads: Vec<_> = (0..self.threads)
                .map(|index| {
                    let worker = worker(index);
                    scope.spawn(move || self.drive(shared, worker))
                })
                .collect();
            let result = watch();
            shared.stop.store(true, Relaxed);
            let workers: Result<Vec<W>, RunError> = threads
                .into_iter()
                .map(|thread| thread.join().map_err(|_| RunError::Panicked))
                .collect();
            match shared.failure().take() {
                Some(error) => Err(error),
                None => Ok((result?, workers?)),
            }
        })
    }

    /// Waits until `is_done`, an error, or the deadline of the run.
    pub(crate) fn watch(
        &self,
        shared: &Shared,
        phase: &'static str,
        is_done: impl Fn() -> bool,
    ) -> Result<(), RunError> {
        let remaining = self.timeout.saturating_sub(self.started.elapsed());
        if self.watch_for(remaining, shared, phase, is_done) {
            return Ok(());
        }
        Err(RunError::TimedOut {
            phase,
            seconds: self.timeout.as_secs(),
        })
    }

    /// Waits until `is_done` or an error, but no longer than `limit`. False if `is_done` did not come.
    pub(crate) fn watch_for(
        &self,
        limit: Duration,
        shared: &Shared,
        phase: &'static str,
        is_done: impl Fn() -> bool,
    ) -> bool {
        let begin = Instant::now();
        let mut reported = (
            Instant::now(),
            shared.accepted.load(Relaxed),
            shared.delivered.load(Relaxed),
        );
        while !is_done() {
            if shared.stop.load(Relaxed) || begin.elapsed() > limit {
                return false;
            }
            let since = reported.0.elapsed();
            if self.started.elapsed() > QUIET && since >= PROGRESS_INTERVAL {
                let (accepted, delivered) = (shared.accepted.load(Relaxed), shared.delivered.load(Relaxed));
                let per_s = |now: u64, before: u64| (now - before) as f64 / since.as_secs_f64();
                eprintln!(
                    "{:>4} s, {phase}: {} ready, {accepted} accepted ({:.0}/s), {delivered} delivered ({:.0}/s)",
                    self.started.elapsed().as_secs(),
                    shared.ready.load(Relaxed),
                    per_s(accepted, reported.1),
                    per_s(delivered, reported.2),
                );
                reported = (Instant::now(), accepted, delivered);
            }
            thread::sleep(WATCH_INTERVAL);
        }
        true
    }

    /// The time, and what the processes have used.
    pub(crate) fn usage(&self) -> (u64, Usage) {
        (self.clock.now_ns(), Usage::now(self.broker))
    }

    fn drive<W: Worker>(&self, shared: &Shared, mut worker: W) -> W {
        if let Err(error) = self.drive_until_stopped(shared, &mut worker) {
            shared.fail(error);
        }
        worker
    }

    fn drive_until_stopped(&self, shared: &Shared, worker: &mut impl Worker) -> Result<(), RunError> {
        let mut reactor = Reactor::new(self.address, self.wiring.clone(), self.clock)?;
        while !shared.stop.load(Relaxed) {
            let wait = worker.step(reactor.links(), self.clock.now_ns())?;
            let pause = worker.pause();
            if !pause.is_zero() {
                thread::sleep(pause);
            }
            reactor.turn(wait.saturating_sub(pause), worker)?;
        }
        reactor.links().close_all();
        reactor.turn(Duration::ZERO, worker)?;
        Ok(())
    }
}
