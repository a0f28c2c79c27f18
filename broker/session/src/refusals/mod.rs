//! What is refused, and why: counted by cause, and told in the log.
//!
//! **Promise:** no refusal goes without a trace. Each counts; each cause is told in the log with a sentence that says what to do, as often as
//! [`limiter`] lets it, and how many were left out is told, too. Clients can make refusals as fast as they can send, so the log must
//! not follow them.

mod caller;
mod cause;
mod limiter;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use inbox_types::{Counter, Event, EventKind, Events};
use parking_lot::Mutex;

pub use caller::Caller;
pub use cause::Cause;
pub use limiter::{Limiter, Rate};

/// See the module's documentation.
#[derive(Debug)]
pub struct Refusals {
    counters: [Counter; Cause::COUNT],
    limiter: Mutex<Limiter<Cause>>,
    events: Arc<Events>,
}

impl Default for Refusals {
    fn default() -> Self {
        Refusals::telling(&Arc::default())
    }
}

impl Refusals {
    /// None yet. Each is an event.
    pub fn telling(events: &Arc<Events>) -> Self {
        Refusals {
            counters: std::array::from_fn(|_| Counter::default()),
            limiter: Mutex::default(),
            events: events.clone(),
        }
    }

    /// Something that `who` (a client ID, or an address) wanted was refused: `what` it was about, and `why`. `now` is the monotonic clock.
    pub fn note(&self, cause: Cause, who: &dyn fmt::Display, what: &str, why: &dyn fmt::Display, now: Duration) {
        if let Some(counter) = self.counters.get(cause.index()) {
            counter.add(1);
        }
        self.events.tell(EventKind::Refused, || Event::Refused {
            who: who.to_string().into(),
            what: what.into(),
            cause: cause.name(),
            why: why.to_string().into(),
        });
        let who = who.to_string();
        let about = match cause.is_by_rule() {
            true => Cow::Owned(format!("{who} {why}")),
            false => Cow::Borrowed(&*who),
        };
        let Some(left_out) = self.limiter.lock().admits(cause, &about, now) else {
            return;
        };
        let left_out = (left_out > 0).then_some(left_out);
        let what = (!what.is_empty()).then_some(what);
        let cause = Sentence { cause, why };
        tracing::info!(client = who, what, cause = cause.cause.name(), left_out, "{cause}");
    }

    /// A client was not let in: `note`, and an event of its own. It is told about by its address, because anybody can say any client ID.
    pub fn turn_away(&self, cause: Cause, who: Caller, what: &str, why: &dyn fmt::Display, now: Duration) {
        // The port of a client says nothing.
        let address = who.peer.ip();
        self.events
            .tell(EventKind::TurnedAway, || who.turned_away(cause, why.to_string().into()));
        self.note(cause, &address, what, why, now);
    }

    /// Tells how many records were left out where no later record did. To be called now and then.
    pub fn tell_left_out(&self, now: Duration) {
        loop {
            // The lock is not held while the record is written.
            let Some((cause, left_out)) = self.limiter.lock().next_left_out(now) else {
                return;
            };
            tracing::info!(
                cause = cause.name(),
                left_out,
                "more was refused for this cause than is logged"
            );
        }
    }

    /// How often each cause was there, by the name of its counter.
    pub fn snapshot(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let numbers = self.counters.iter().map(Counter::get);
        Cause::ALL.iter().map(|cause| cause.counter()).zip(numbers)
    }
}

/// The sentence of a record: what happened, and what to do.
struct Sentence<'s> {
    cause: Cause,
    why: &'s dyn fmt::Display,
}

impl fmt::Display for Sentence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.cause.subject(), self.why)?;
        match self.cause.advice() {
            "" => Ok(()),
            advice => write!(f, "; {advice}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denial_is_told_once_for_each_client_and_rule() {
        // Goal: neither the second message to the same topic nor the thousandth is told; another rule, or another client, is.
        let refusals = Refusals::default();
        let note = |who: &str, why: &str| refusals.note(Cause::PublishDenied, &who, "a/b", &why, Duration::ZERO);
        for _ in 0..100 {
            note("eve", "line 3");
            note("eve", "line 4");
            note("mallory", "line 3");
        }
        let left_out = refusals.limiter.lock().next_left_out(Duration::from_secs(60));
        assert_eq!(left_out, Some((Cause::PublishDenied, 297)));
    }

    #[test]
    fn every_refusal_counts_also_when_it_is_not_told() {
        // Goal: the log is limited, the counters are not, and each cause has its own.
        let refusals = Refusals::default();
        for _ in 0..1000 {
            refusals.note(Cause::OthersInbox, &"eve", "bob", &"no", Duration::ZERO);
        }
        refusals.note(Cause::FilterInvalid, &"eve", "#a", &"no", Duration::ZERO);
        let counted: Vec<_> = refusals.snapshot().filter(|(_, number)| *number > 0).collect();
        assert_eq!(
            counted,
            [
                ("refused_subscribe_inbox_of_other", 1000),
                ("refused_subscribe_filter_invalid", 1)
            ]
        );
        refusals.tell_left_out(Duration::from_secs(60));
        assert_eq!(refusals.limiter.lock().next_left_out(Duration::from_secs(60)), None);
    }
}
