//! Many connections on one thread: the only file that names mio.
//!
//! One turn reads everything that has arrived, lets the workload act on it, and then writes once per connection, so that
//! a busy run costs few system calls per message. Edge-triggered: a short read or write means that the socket is empty
//! or full, and the kernel will say when that changes. An idle connection holds no buffers.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Registry, Token};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

use crate::ended::LinkError;
use crate::packet::{self, FrameError, Incoming};
use crate::wire::{Wire, Wiring};

/// One read takes at most this many bytes; larger packets make the buffer grow.
const READ_BYTES: usize = 256 * 1024;
/// A buffer of a connection that is larger than this is given back when it is empty, in bytes.
const KEPT_BYTES: usize = 64 * 1024;
const EVENTS_MAX: usize = 1024;
const TIMER: Token = Token(usize::MAX);
/// epoll counts in milliseconds; waits below this use a timer of its own.
const FINE_WAIT: Duration = Duration::from_millis(10);

/// Names a connection of one [`Reactor`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LinkId(pub(crate) usize);

/// The clock of a run: nanoseconds since it began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock(Instant);

/// What a workload does with what happens on its connections.
pub(crate) trait Handler {
    /// A packet came on `link`, read at `now_ns`.
    fn packet(&mut self, links: &mut Links, link: LinkId, packet: Incoming<'_>, now_ns: u64);
    /// `link` ended, and not by [`Links::close`]. The id may be given to a new connection afterwards.
    fn ended(&mut self, links: &mut Links, link: LinkId, error: LinkError);
}

/// The connections of one thread, and what wakes it.
pub(crate) struct Reactor {
    poll: Poll,
    events: Events,
    links: Links,
    /// Connections that may have more to read, and whether they are ending.
    unread: Vec<(LinkId, bool)>,
    /// What is read goes here, so that connections need no read buffer but for a cut packet.
    scratch: Vec<u8>,
    timer: OwnedFd,
    clock: Clock,
}

/// The connections of one thread, for writing.
pub(crate) struct Links {
    registry: Registry,
    address: SocketAddr,
    wiring: Wiring,
    slots: Vec<Option<Link>>,
    free: Vec<usize>,
    /// Connections with something new to write.
    dirty: Vec<usize>,
    /// Connections to close once written. Their ids are not given away before the end of the turn.
    closing: Vec<usize>,
}

struct Link {
    wire: Wire,
    /// The beginning of a packet whose end has not arrived.
    tail: Vec<u8>,
    out: Vec<u8>,
    is_dirty: bool,
    is_closing: bool,
}

impl Clock {
    /// A clock that begins now.
    pub(crate) fn start() -> Self {
        Clock(Instant::now())
    }

    /// Nanoseconds since it began.
    pub(crate) fn now_ns(self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

impl Reactor {
    /// A reactor for connections to `address`.
    pub(crate) fn new(address: SocketAddr, wiring: Wiring, clock: Clock) -> io::Result<Self> {
        let poll = Poll::new()?;
        let timer = timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC,
        )?;
        poll.registry()
            .register(&mut SourceFd(&timer.as_raw_fd()), TIMER, Interest::READABLE)?;
        let registry = poll.registry().try_clone()?;
        let links = Links {
            registry,
            address,
            wiring,
            slots: vec![],
            free: vec![],
            dirty: vec![],
            closing: vec![],
        };
        Ok(Reactor {
            poll,
            events: Events::with_capacity(EVENTS_MAX),
            links,
            unread: Vec::new(),
            scratch: vec![0; READ_BYTES],
            timer,
            clock,
        })
    }

    /// The connections.
    pub(crate) fn links(&mut self) -> &mut Links {
        &mut self.links
    }

    /// Waits at most `wait` for something to happen, lets `handler` act on it, and writes what is to be written.
    pub(crate) fn turn(&mut self, wait: Duration, handler: &mut impl Handler) -> io::Result<()> {
        self.links.write_dirty(handler);
        self.wait(if self.unread.is_empty() { wait } else { Duration::ZERO })?;
        for (id, is_ending) in std::mem::take(&mut self.unread) {
            self.read(id, is_ending, handler);
        }
        // The list is moved out while it is read, because handling an event may open connections.
        let events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        for event in events.iter().filter(|event| event.token() != TIMER) {
            let id = LinkId(event.token().0);
            if event.is_writable() {
                self.links.mark_dirty(id.0);
            }
            if event.is_readable() || event.is_read_closed() || event.is_error() {
                self.read(id, event.is_read_closed() || event.is_error(), handler);
            }
        }
        self.events = events;
        self.links.write_dirty(handler);
        self.links.drop_closing();
        Ok(())
    }

    fn wait(&mut self, wait: Duration) -> io::Result<()> {
        let mut timeout = Some(wait);
        if !wait.is_zero() && wait < FINE_WAIT {
            let it_value = Timespec {
                tv_sec: 0,
                tv_nsec: i64::from(wait.subsec_nanos()),
            };
            let once = Itimerspec {
                it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
                it_value,
            };
            timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once)?;
            timeout = None;
        }
        match self.poll.poll(&mut self.events, timeout) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(()),
            result => result,
        }
    }

    /// Reads once. If more may be there, the next turn goes on, so that a flood on one connection cannot keep the
    /// answers to it from being written.
    fn read(&mut self, id: LinkId, is_ending: bool, handler: &mut impl Handler) {
        match self.links.read_into(id, &mut self.scratch) {
            Ok(None) => {}
            Ok(Some((bytes, is_short))) => {
                if is_ending || !is_short {
                    self.unread.push((id, is_ending));
                }
                let bytes = self.scratch.get(..bytes).unwrap_or_default();
                if let Err(error) = self.links.decode_all(id, bytes, self.clock.now_ns(), handler) {
                    self.links.end(id, error.into(), handler);
                }
            }
            Err(error) => self.links.end(id, error, handler),
        }
    }
}

impl Links {
    /// Begins a connection. What is written to it before it is established is sent then.
    pub(crate) fn open(&mut self) -> io::Result<LinkId> {
        let mut stream = TcpStream::connect(self.address)?;
        let id = self.free.pop().unwrap_or(self.slots.len());
        self.registry
            .register(&mut stream, Token(id), Interest::READABLE | Interest::WRITABLE)?;
        // An error here would only cost speed: the connection may not be established yet.
        stream.set_nodelay(true).unwrap_or_default();
        let link = Link {
            wire: self.wiring.wire(stream)?,
            tail: vec![],
            out: vec![],
            is_dirty: false,
            is_closing: false,
        };
        match self.slots.get_mut(id) {
            Some(slot) => *slot = Some(link),
            None => self.slots.push(Some(link)),
        }
        Ok(LinkId(id))
    }

    /// Where to append what `link` shall send. `None` if it has ended.
    pub(crate) fn out(&mut self, link: LinkId) -> Option<&mut Vec<u8>> {
        if self.is_closing(link) {
            return None;
        }
        self.mark_dirty(link.0);
        self.slots.get_mut(link.0)?.as_mut().map(|link| &mut link.out)
    }

    /// Ends `link` with DISCONNECT, at the end of the turn.
    pub(crate) fn close(&mut self, link: LinkId) {
        if let Some(out) = self.out(link) {
            out.extend_from_slice(&packet::DISCONNECT);
            if let Some(Some(slot)) = self.slots.get_mut(link.0) {
                slot.is_closing = true;
                self.closing.push(link.0);
            }
        }
    }

    /// Ends every connection with DISCONNECT, at the end of the turn.
    pub(crate) fn close_all(&mut self) {
        (0..self.slots.len()).for_each(|id| self.close(LinkId(id)));
    }

    fn is_closing(&self, link: LinkId) -> bool {
        self.slots
            .get(link.0)
            .and_then(Option::as_ref)
            .is_none_or(|link| link.is_closing)
    }

    fn mark_dirty(&mut self, id: usize) {
        if let Some(Some(link)) = self.slots.get_mut(id)
            && !link.is_dirty
        {
            link.is_dirty = true;
            self.dirty.push(id);
        }
    }

    /// Reads once behind what is left over. How many bytes there are now, and whether the socket is empty; `None` if
    /// nothing can be read.
    fn read_into(&mut self, id: LinkId, scratch: &mut Vec<u8>) -> Result<Option<(usize, bool)>, LinkError> {
        let Some(Some(link)) = self.slots.get_mut(id.0) else {
            return Ok(None);
        };
        let kept = link.tail.len();
        if kept > scratch.len() / 2 {
            scratch.resize(scratch.len() * 2, 0);
        }
        let (front, room) = scratch.split_at_mut(kept);
        let read = link.wire.read(room)?;
        let result = read.map(|(bytes, is_short)| {
            front.copy_from_slice(&link.tail);
            link.tail.clear();
            (kept + bytes, is_short)
        });
        if link.wire.wants_write(!link.out.is_empty()) {
            self.mark_dirty(id.0);
        }
        Ok(result)
    }

    /// Hands every whole packet in `bytes` to `handler`, and keeps the rest.
    fn decode_all(
        &mut self,
        id: LinkId,
        mut bytes: &[u8],
        now_ns: u64,
        handler: &mut impl Handler,
    ) -> Result<(), FrameError> {
        while !self.is_closing(id) {
            let Some((packet, used)) = packet::decode(bytes)? else {
                break;
            };
            bytes = bytes.get(used..).unwrap_or_default();
            handler.packet(self, id, packet, now_ns);
        }
        if let Some(Some(link)) = self.slots.get_mut(id.0) {
            if bytes.is_empty() {
                link.tail = Vec::new();
            } else {
                link.tail.extend_from_slice(bytes);
            }
        }
        Ok(())
    }

    fn write_dirty(&mut self, handler: &mut impl Handler) {
        while let Some(id) = self.dirty.pop() {
            let Some(Some(link)) = self.slots.get_mut(id) else {
                continue;
            };
            link.is_dirty = false;
            if let Err(error) = link.write() {
                self.end(LinkId(id), error.into(), handler);
            }
        }
    }

    fn drop_closing(&mut self) {
        while let Some(id) = self.closing.pop() {
            if self.slots.get_mut(id).and_then(Option::take).is_some() {
                self.free.push(id);
            }
        }
    }

    /// Forgets a connection that ended by itself, and says so unless it was closing anyway.
    fn end(&mut self, id: LinkId, error: LinkError, handler: &mut impl Handler) {
        if self.is_closing(id) {
            return;
        }
        if self.slots.get_mut(id.0).and_then(Option::take).is_some() {
            handler.ended(self, id, error);
            self.free.push(id.0);
        }
    }
}

impl Link {
    /// Writes until everything is written or the socket is full.
    fn write(&mut self) -> io::Result<()> {
        self.wire.write(&mut self.out)?;
        if self.out.is_empty() && self.out.capacity() > KEPT_BYTES {
            self.out = Vec::new();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
