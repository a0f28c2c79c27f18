//! When a conversation is to be looked at although nothing comes, and what is done then.

use std::time::Duration;

use inbox_types::Now;

use super::handshake::Refused;
use super::{Conversation, State};
use crate::closed::Closed;
use crate::session::Session;

impl Conversation {
    /// When [`Conversation::timeout`] is to be called, unless something happens before; on the monotonic clock.
    pub fn deadline(&self, now: Now) -> Duration {
        match &self.state {
            State::Opening => self.timers.handshake(),
            State::Open(session) => {
                let deadline = self.timers.open_deadline(now.mono, self.is_held_up(session, now));
                let others = [
                    session.proof_deadline(),
                    session.waits_until(),
                    self.held_until(session, now.mono),
                    session.next_mail_at(),
                ];
                others.into_iter().flatten().fold(deadline, Duration::min)
            }
            _ => self.timers.goodbye(),
        }
    }

    /// The time has come, or may have.
    pub fn timeout(&mut self, now: Now) {
        let is_stuck = match &self.state {
            State::Open(session) => self
                .held_until(session, now.mono)
                .is_some_and(|until| until <= now.mono),
            _ => false,
        };
        match &mut self.state {
            State::Opening if self.timers.handshake() <= now.mono => self.refuse(&Refused::Closed(Closed::Late), now),
            State::Open(session) => {
                if self.timers.is_silent(now.mono, session.out().is_empty()) {
                    let why = session.link().why_silence_ends();
                    self.end(why.into());
                } else if is_stuck {
                    self.end(Closed::Stuck.into());
                } else if self.timers.is_idle(now.mono) {
                    session.shrink();
                }
            }
            State::Goodbye { ending, .. } if self.timers.goodbye() <= now.mono => {
                self.state = State::Over(ending.clone());
            }
            _ => {}
        }
    }

    /// Until when the client may hold its oldest message without acknowledging it, if that has an end.
    fn held_until(&self, session: &Session, now: Duration) -> Option<Duration> {
        let (since, ack_timeout) = (session.holds_since()?, self.shared.mqtt.ack_timeout?);
        if inbox_types::fault!(KeepStuck) {
            return None;
        }
        self.timers
            .held_until(since, ack_timeout, now, session.out().is_empty())
    }
}
