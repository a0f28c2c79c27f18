//! What clients do, as records.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use inbox_bridge::{ClientId, Event, EventKind, Heard, Listener};
use mqtt_session::{Caller, Cause, Limiter, Rate, Shared};
use tokio::sync::oneshot;

use crate::logging::{self, AUDIT_TARGET as TARGET};

/// Events of each queue that wait to be written.
const EVENTS_MAX: usize = 8192;
/// How often it is looked whether records were left out or lost.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Logins, and what else clients do that are let in: a whole fleet may come back twice, and who connects for ever in a loop fills no disk.
const LOGINS: Rate = Rate {
    burst: 100_000,
    every: Duration::from_millis(10),
};
/// A text that somebody else chose is cut after so many characters: whole records must fit into the log.
const TEXT_CHARS_MAX: usize = 512;
/// Ends of connections that are about who the client is, or what it may do.
const ENDINGS: [Cause; 5] = [
    Cause::TakenOver,
    Cause::Expired,
    Cause::NotRenewed,
    Cause::Withdrawn,
    Cause::PublishDenied,
];
/// Requests of connected clients that were refused because of who they are.
const DENIALS: [Cause; 4] = [
    Cause::OthersInbox,
    Cause::SharedInbox,
    Cause::NotAuthorized,
    Cause::PublishDenied,
];

/// Hears what happens, and writes it.
pub(super) struct Writer {
    shared: Arc<Shared>,
    /// What clients do that are let in.
    clients: Listener,
    /// What was refused.
    refusals: Listener,
    of_clients: Limiter<&'static str>,
    of_refusals: Limiter<&'static str>,
    /// Records that were lost, as far as that was told.
    lost: u64,
}

impl Writer {
    /// Listens from now on.
    pub(super) fn listening(shared: Arc<Shared>) -> Self {
        let events = &shared.node.events;
        let clients = [EventKind::Connected, EventKind::Renewed, EventKind::Disconnected];
        // What else is refused is in the log already, from those who refuse it.
        let refusals: &[EventKind] = match logging::has_audit_file() {
            true => &[EventKind::TurnedAway, EventKind::Refused],
            false => &[EventKind::TurnedAway],
        };
        Writer {
            clients: events.listen(&clients, EVENTS_MAX),
            refusals: events.listen(refusals, EVENTS_MAX),
            of_clients: Limiter::of(LOGINS),
            of_refusals: Limiter::of(Rate::REFUSALS),
            lost: 0,
            shared,
        }
    }

    /// Writes until `finished`, and what is still there then.
    pub(super) async fn write_until(mut self, mut finished: oneshot::Receiver<()>) {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        loop {
            tokio::select! {
                biased;
                _ = looks.tick() => self.look(),
                heard = self.clients.next() => self.write(heard),
                heard = self.refusals.next() => self.write(heard),
                _ = &mut finished => return self.write_rest(),
            }
            // A storm of logins must not keep the connections on this thread from theirs.
            tokio::task::consume_budget().await;
        }
    }

    fn write_rest(&mut self) {
        while let Some(heard) = self.clients.try_next().or_else(|| self.refusals.try_next()) {
            self.write(heard);
        }
        self.tell_left_out(Duration::MAX);
    }

    /// What nothing else would tell.
    fn look(&mut self) {
        self.tell_left_out(self.now());
        let lost = logging::audit_lost();
        if lost > self.lost {
            let fresh = lost - self.lost;
            self.lost = lost;
            tracing::warn!(
                lost = fresh,
                "records of the audit log were lost: look at log.audit_file, its directory, and the room on its disk"
            );
        }
    }

    fn tell_left_out(&mut self, now: Duration) {
        loop {
            let left_out = self.of_clients.next_left_out(now);
            let Some((kind, left_out)) = left_out.or_else(|| self.of_refusals.next_left_out(now)) else {
                return;
            };
            tracing::info!(target: TARGET, event = "left_out", kind, left_out, "more happened than is written here");
        }
    }

    fn write(&mut self, heard: Heard) {
        match heard {
            Heard::Event(event) => self.write_event(event),
            Heard::Missed(missed) => {
                tracing::warn!(target: TARGET, event = "missed", missed, "more happened at once than could be written; the counters have it");
            }
        }
    }

    fn write_event(&mut self, event: Event) {
        match event {
            Event::Connected {
                client,
                peer,
                listener,
                user,
                roles,
                how,
            } => {
                let who = Who::of(&client, user.as_deref(), &roles);
                self.write_login(&who, how, peer, listener.as_deref());
            }
            Event::Renewed {
                client,
                user,
                roles,
                how,
            } => self.write_renewed(&Who::of(&client, user.as_deref(), &roles), how),
            Event::Disconnected {
                client,
                peer,
                user,
                cause: Some(cause),
                why,
                ..
            } => self.write_ended(&Who::of(&client, user.as_deref(), &[]), peer, cause, &why),
            Event::TurnedAway {
                peer,
                listener,
                client,
                user,
                cause,
                why,
            } => {
                let caller = Caller {
                    peer,
                    listener,
                    client,
                    user,
                };
                self.write_refused(&caller, cause, &why);
            }
            Event::Refused { who, what, cause, why } => self.write_denied(&who, &what, cause, &why),
            _ => {}
        }
    }

    fn now(&self) -> Duration {
        self.shared.node.now().mono
    }

    fn write_login(&mut self, who: &Who<'_>, how: &str, address: SocketAddr, listener: Option<&str>) {
        let Some(left_out) = self.of_clients.admits_any("login", self.now()).map(told) else {
            return;
        };
        let Who { client, user, roles } = who;
        tracing::info!(
            target: TARGET, event = "login", client, user, roles, how, %address, listener, left_out, "a client logged in"
        );
    }

    fn write_renewed(&mut self, who: &Who<'_>, how: &str) {
        let Some(left_out) = self.of_clients.admits_any("renewed", self.now()).map(told) else {
            return;
        };
        let Who { client, user, roles } = who;
        tracing::info!(
            target: TARGET, event = "renewed", client, user, roles, how, left_out, "a client showed anew who it is"
        );
    }

    /// The broker ended a connection: it is written where that is about who the client is.
    fn write_ended(&mut self, who: &Who<'_>, address: SocketAddr, cause: &'static str, why: &str) {
        let event = match ENDINGS.iter().find(|ending| ending.name() == cause) {
            Some(Cause::TakenOver) => "taken_over",
            Some(_) => "ended",
            None => return,
        };
        let Some(left_out) = self.of_clients.admits_any(event, self.now()).map(told) else {
            return;
        };
        let Who { client, user, .. } = who;
        let why = cut(why);
        tracing::info!(
            target: TARGET, event, client, user, %address, cause, why, left_out, "the broker ended a connection"
        );
    }

    fn write_refused(&mut self, who: &Caller, cause: &'static str, why: &str) {
        let now = self.now();
        let address = who.peer.ip().to_string();
        let Some(left_out) = self.of_refusals.admits(cause, &address, now).map(told) else {
            return;
        };
        let (client, user) = (
            who.client.as_deref().map(cut),
            who.user.as_deref().map(no_token).map(cut),
        );
        let (address, listener, why) = (who.peer, who.listener.as_deref(), cut(why));
        tracing::info!(
            target: TARGET, event = "refused", client, user, %address, listener, cause, why, left_out, "a client was not let in"
        );
    }

    /// A request of a connected client was refused: it is written where that is about who the client is.
    fn write_denied(&mut self, client: &str, topic: &str, cause: &'static str, why: &str) {
        if !DENIALS.iter().any(|denial| denial.name() == cause) {
            return;
        }
        let now = self.now();
        let Some(left_out) = self.of_refusals.admits(cause, client, now).map(told) else {
            return;
        };
        let (client, topic, why) = (cut(client), cut(topic), cut(why));
        tracing::info!(
            target: TARGET, event = "denied", client, topic, cause, why, left_out, "a client may not do what it asked for"
        );
    }
}

/// A client that was let in.
struct Who<'e> {
    client: &'e str,
    user: Option<&'e str>,
    roles: Option<String>,
}

impl<'e> Who<'e> {
    fn of(client: &'e ClientId, user: Option<&'e str>, roles: &[Box<str>]) -> Self {
        Who {
            client: cut(client.as_str()),
            user: user.map(cut),
            roles: (!roles.is_empty()).then(|| cut(&roles.join(", ")).to_owned()),
        }
    }
}

/// How many records of a kind were left out before one, if there were any.
fn told(left_out: u64) -> Option<u64> {
    (left_out > 0).then_some(left_out)
}

/// A user name, but for a token that somebody put there by mistake.
fn no_token(user: &str) -> &str {
    match user.starts_with("eyJ") && user.matches('.').count() >= 2 {
        true => "(a token)",
        false => user,
    }
}

fn cut(text: &str) -> &str {
    let end = text.char_indices().nth(TEXT_CHARS_MAX).map(|(at, _)| at);
    end.and_then(|end| text.get(..end)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_has_its_limit() {
        // Goal: what clients chose is cut between characters, so that a record, escaped, fits into the log in one piece.
        assert_eq!(cut("größe"), "größe");
        let long = "ä".repeat(TEXT_CHARS_MAX + 1);
        assert_eq!(cut(&long).chars().count(), TEXT_CHARS_MAX);
        assert_eq!((told(0), told(3)), (None, Some(3)));
    }
}
