//! How a conversation ends: what the client is told, and what the operator is.

use inbox_types::{Event, EventKind, Now};

use super::handshake::{Claim, Refused};
use super::{Conversation, State};
use crate::closed::Closed;
use crate::not_published::NotPublished;
use crate::refusals::{Caller, Cause};
use crate::session::{Ending, Order, Session};

impl Conversation {
    /// What came breaks this rule of the transport, and the transport has told the client: what still comes is dropped.
    pub fn broken(&mut self, rule: &'static str, now: Now) {
        let closed = Closed::Transport(rule);
        match &self.state {
            State::Opening => self.refuse(&Refused::Closed(closed), now),
            State::Open(_) => self.end(closed.into()),
            _ => self.lost(now),
        }
    }

    /// Does not let the client in, and has nothing to tell it.
    pub(super) fn refuse(&mut self, refused: &Refused, now: Now) {
        self.refuse_with(Vec::new(), refused, Claim::default(), now);
    }

    /// Does not let the client in that says it is `claim`. It is told `last`.
    pub(super) fn refuse_with(&mut self, last: Vec<u8>, refused: &Refused, claim: Claim, now: Now) {
        self.shared.metrics.connects_refused.add(1);
        match refused.cause() {
            Some(cause) => {
                let caller = Caller {
                    client: claim.client,
                    user: claim.user,
                    ..Caller::from(&self.origin)
                };
                let refusals = &self.shared.metrics.refusals;
                refusals.turn_away(cause, caller, "", refused, now.mono);
            }
            None => {
                tracing::debug!(peer = %self.origin.peer, why = %refused, "a connection was gone before its CONNECT")
            }
        }
        let ending = match refused {
            Refused::Lost => Ending::Lost,
            Refused::Closed(closed) => Ending::Closed(*closed),
        };
        // Whoever sent nothing for so long is not worth more time.
        let is_over = matches!(refused, Refused::Lost | Refused::Closed(Closed::Late));
        self.say_goodbye(last, ending, is_over, now);
    }

    pub(super) fn end(&mut self, ending: Ending) {
        self.state = match std::mem::replace(&mut self.state, State::Opening) {
            State::Open(session) => State::Leaving(session, ending),
            other => other,
        };
    }

    pub(super) fn say_goodbye(&mut self, last: Vec<u8>, ending: Ending, is_over: bool, now: Now) {
        self.timers.ended(now.mono);
        self.state = if is_over {
            State::Over(ending)
        } else {
            State::Goodbye { last, read: 0, ending }
        };
    }

    /// Tells the operator.
    pub(super) fn tell_ending(&mut self, session: &Session, ending: &Ending) {
        self.counted.leaves();
        let (peer, client) = (self.origin.peer, session.id());
        let cause = match ending {
            Ending::Closed(closed) => Some(Cause::of_ending(closed)),
            Ending::Left { .. } | Ending::Lost => None,
        };
        self.shared
            .node
            .events
            .tell(EventKind::Disconnected, || Event::Disconnected {
                client: client.clone(),
                peer,
                user: session.identity().user().map(Box::from),
                cause: cause.map(Cause::name),
                reason: ending.reason_code(),
                why: ending.to_string().into(),
            });
        if let (Ending::Closed(closed), Some(cause)) = (ending, cause) {
            let reason = closed.reason_code();
            tracing::debug!(%peer, %client, reason = format_args!("{reason:#04x}"), why = %closed, "the broker ends a connection");
            // A publish that was refused is told of already, unless nobody looked at it.
            let is_told = matches!(closed, Closed::NotPublished(why) if !matches!(why, NotPublished::TooLarge { .. }));
            if *closed != Closed::ShuttingDown && !is_told {
                let now = self.shared.node.now().mono;
                self.shared.metrics.refusals.note(cause, client, "", closed, now);
            }
            let is_order = matches!(closed, Closed::TakenOver | Closed::ShuttingDown | Closed::ByOperator);
            self.shared.metrics.protocol_errors.add(u64::from(!is_order));
        } else {
            tracing::debug!(%peer, %client, why = %ending, "disconnected");
        }
    }
}

/// Does what was ordered. An order to end gives what the client is told.
pub(super) fn obey(session: &mut Session, order: Order) -> Result<(), Ending> {
    match order {
        Order::TakenOver => Err(Closed::TakenOver.into()),
        Order::ShutDown => Err(Closed::ShuttingDown.into()),
        Order::Disconnect => Err(Closed::ByOperator.into()),
        Order::Forget => {
            session.ends_with_its_connection();
            Err(Closed::ByOperator.into())
        }
        Order::Review if inbox_types::fault!(ForgetReview) => Ok(()),
        Order::Review => session.review(),
    }
}
