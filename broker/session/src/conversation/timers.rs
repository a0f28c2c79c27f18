//! The timers of a conversation. Times are the monotonic clock's.

use std::time::Duration;

/// A connection that was silent for so long gives its buffers back.
const SHRINK_AFTER: Duration = Duration::from_secs(2);
/// How soon a publisher is read again after the disk was behind.
const CONGESTION_PAUSE: Duration = Duration::from_millis(5);
/// How long a connection may take to read why it ends.
const GOODBYE: Duration = Duration::from_millis(500);
/// With no other deadline: look again after so long.
const FAR: Duration = Duration::from_secs(24 * 3600);

#[derive(Debug)]
pub(super) struct Timers {
    /// The end of the handshake's time, and later of the goodbye's.
    limit: Duration,
    /// When the client last completed a packet: bytes of one that never ends are no sign of life (MQTT-3.1.2-22).
    last_packet: Duration,
    last_written: Duration,
    last_active: Duration,
    keep_alive: Option<Duration>,
    is_small: bool,
    /// Whether the socket is read: not while the client is behind, or the disk.
    reads: bool,
    /// Since when it is, or is not.
    turned: Duration,
    /// For how long it was read before that.
    read_for: Duration,
}

impl Timers {
    pub(super) fn new(now: Duration, connect_timeout: Duration) -> Self {
        Timers {
            limit: now + connect_timeout,
            last_packet: now,
            last_written: now,
            last_active: now,
            keep_alive: None,
            is_small: false,
            reads: true,
            turned: now,
            read_for: Duration::ZERO,
        }
    }

    /// The client has its session, and promised to send something every `keep_alive` seconds.
    pub(super) fn open(&mut self, now: Duration, keep_alive: u16) {
        // One and a half times the keep alive time (MQTT-3.1.2-22).
        self.keep_alive = (keep_alive > 0).then(|| Duration::from_millis(u64::from(keep_alive) * 1500));
        self.last_packet = now;
        self.last_written = now;
        self.active(now);
    }

    pub(super) fn ended(&mut self, now: Duration) {
        self.limit = now + GOODBYE;
    }

    pub(super) fn packet(&mut self, now: Duration) {
        self.last_packet = now;
    }

    pub(super) fn written(&mut self, now: Duration) {
        self.last_written = now;
    }

    pub(super) fn active(&mut self, now: Duration) {
        self.last_active = now;
        self.is_small = false;
    }

    /// The socket is read from now on, or is not.
    pub(super) fn reads(&mut self, reads: bool, now: Duration) {
        if reads && !self.reads {
            // What waits in the socket may be half a packet whose other half could not be sent meanwhile.
            self.last_packet = now;
        }
        if reads != self.reads {
            self.read_for = self.read_time(now);
            self.turned = now;
        }
        self.reads = reads;
    }

    /// For how long the socket was read until now: a clock that stands still while the client could say nothing.
    pub(super) fn read_time(&self, now: Duration) -> Duration {
        match self.reads {
            true => self.read_for + now.saturating_sub(self.turned),
            false => self.read_for,
        }
    }

    /// Until when the client may hold what was written at `since`, by [`Timers::read_time`]. While the broker does not read, it may as long as it
    /// takes what it is sent.
    pub(super) fn held_until(
        &self,
        since: Duration,
        ack_timeout: Duration,
        now: Duration,
        nothing_to_write: bool,
    ) -> Option<Duration> {
        match self.reads {
            true => Some(now + (since + ack_timeout).saturating_sub(self.read_time(now))),
            false if nothing_to_write => None,
            false => Some(self.last_written + ack_timeout),
        }
    }

    pub(super) fn handshake(&self) -> Duration {
        self.limit
    }

    pub(super) fn goodbye(&self) -> Duration {
        self.limit
    }

    pub(super) fn open_deadline(&self, now: Duration, is_congested: bool) -> Duration {
        let congestion = is_congested.then(|| now + CONGESTION_PAUSE);
        let keep_alive = self.keep_alive.map(|keep_alive| self.last_packet + keep_alive);
        let shrink = (!self.is_small).then(|| self.last_active + SHRINK_AFTER);
        let deadlines = [congestion, keep_alive, shrink];
        deadlines.into_iter().flatten().min().unwrap_or(now + FAR)
    }

    /// Whether the client was silent for too long. What it sent may lie in the socket because the broker does not read. Then it is
    /// alive as long as it takes what it is sent.
    pub(super) fn is_silent(&mut self, now: Duration, nothing_to_write: bool) -> bool {
        let Some(keep_alive) = self
            .keep_alive
            .filter(|keep_alive| self.last_packet + *keep_alive <= now)
        else {
            return false;
        };
        let takes = nothing_to_write || self.last_written + keep_alive > now;
        if !self.reads && takes {
            self.last_packet = now;
            return false;
        }
        true
    }

    /// Whether the conversation has become idle just now.
    pub(super) fn is_idle(&mut self, now: Duration) -> bool {
        let becomes = !self.is_small && self.last_active + SHRINK_AFTER <= now;
        self.is_small |= becomes;
        becomes
    }
}
