//! What becomes of wills: the broker tells its operator, and nobody else.

use std::time::Duration;

use inbox_bridge::{Event, EventKind, Heard, Listener};
use inboxd::single::Single;

use super::World;
use crate::sim::payload::mail_of;

/// Some wills have longer delays, and some shorter ones.
pub(super) const WILL_AFTER_RESTART: Duration = Duration::from_secs(10);
/// What happens between two looks is less.
const EVENTS_MAX: usize = 10_000;
/// The cause of a refusal, as its event names it.
const CAUSE: &str = "publish_will";

pub(super) fn listen_to(broker: &Single) -> Listener {
    let kinds = [EventKind::Refused, EventKind::Committed];
    broker.events().listen(&kinds, EVENTS_MAX)
}

impl World {
    /// The oracle is told which wills were refused, and which messages are durable.
    pub(super) fn take_events(&mut self) {
        while let Some(Heard::Event(event)) = self.events.as_ref().and_then(Listener::try_next) {
            let client = |name: &str| self.names.iter().position(|theirs| theirs == name);
            match event {
                Event::Refused { who, what, cause, why } if cause == CAUSE => {
                    if let (Some(from), Some(to)) = (client(&who), client(&what)) {
                        self.trace.say(
                            self.clock.mono(),
                            format_args!("a will of c{from} to c{to} is refused: {why}"),
                        );
                        self.oracle.will_refused(from, to);
                    }
                }
                Event::Committed { inbox, seq } => {
                    if let Some(inbox) = client(inbox.as_str()) {
                        self.oracle.is_stored(inbox, seq.0);
                    }
                }
                _ => {}
            }
        }
        let Some(broker) = &self.broker else { return };
        let put_off = broker.wills_put_off();
        let put_off: Vec<_> = put_off.iter().filter_map(|payload| mail_of(payload)).collect();
        self.oracle.wills_wait(&put_off);
    }
}
