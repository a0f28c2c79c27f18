//! How a conversation begins: CONNECT, who the client is, its session.

use access::{Denied, Identity};
use inbox_types::{Event, EventKind, Now};

use super::handshake::{Admitted, Claim, decline, identified, read_connect};
use super::{Conversation, State};
use crate::presences::Presence;
use crate::session::{Ending, Session};

impl Conversation {
    /// It was found out who the client is, or it is not let in.
    pub fn authenticated(&mut self, decided: Result<Identity, Denied>, now: Now) {
        let mut admitted = match std::mem::replace(&mut self.state, State::Opening) {
            State::Asking(admitted) => admitted,
            other => {
                self.state = other;
                return;
            }
        };
        let mut answer = Vec::new();
        let identified = identified(decided, &admitted.link, &self.shared, &mut answer).and_then(|identity| {
            let counted = self.counted.identified(&self.shared.quotas, &identity, now.mono);
            counted.map_err(|over| decline(over.into(), &admitted.link, &mut answer))?;
            Ok(identity)
        });
        match identified {
            Ok(identity) => {
                admitted.identity = Some(identity);
                self.state = State::Admitted(admitted);
            }
            Err(refused) => self.refuse_with(answer, &refused, admitted.claim, now),
        }
    }

    /// The client's session is here.
    pub fn opened(&mut self, mut session: Box<Session>, present: bool, now: Now) {
        self.state = match std::mem::replace(&mut self.state, State::Opening) {
            State::Waiting(admitted) => {
                let Admitted {
                    link,
                    identity,
                    id_is_assigned,
                    ..
                } = *admitted;
                if let Some(identity) = identity {
                    session.identified(identity, now);
                }
                self.timers.open(now.mono, link.keep_alive);
                session.connected(link, present, id_is_assigned);
                self.shared.metrics.connects_accepted.add(1);
                tracing::debug!(peer = %self.origin.peer, client = %session.id(), "connected");
                self.tell_connected(&session, now);
                // While it waited for its session the rules may have changed, and nobody knew of it who could look at it again.
                match session.may_stay() {
                    Err(ending) if !inbox_types::fault!(ForgetWaiting) => State::Leaving(session, ending),
                    _ => State::Open(session),
                }
            }
            // Nobody asked for it: it goes back unused.
            _ => State::Leaving(session, Ending::Lost),
        };
    }

    fn tell_connected(&mut self, session: &Session, now: Now) {
        let (who, origin) = (session.identity(), &self.origin);
        let presence = Presence {
            client: session.id().clone(),
            user: who.user().map(Box::from),
            peer: origin.peer,
            listener: origin.listener.clone(),
            protocol: session.link().protocol(),
            since: now.wall,
        };
        self.counted.enters(&self.shared.metrics.present, presence);
        self.shared.node.events.tell(EventKind::Connected, || Event::Connected {
            client: session.id().clone(),
            peer: origin.peer,
            listener: origin.listener.clone(),
            user: who.user().map(Box::from),
            roles: who.roles().to_vec(),
            how: who.how(),
        });
    }

    /// Looks for CONNECT. Gives the bytes that were used.
    pub(super) fn look_for_connect(&mut self, input: &[u8], now: Now) -> usize {
        let (mut answer, mut claim) = (Vec::new(), Claim::default());
        match read_connect(input, &mut self.origin, &self.shared, &mut answer, &mut claim) {
            Ok(None) => 0,
            Ok(Some((admitted, length))) => {
                if let Some(over) = self.counted.is_over() {
                    let refused = decline(over.into(), &admitted.link, &mut answer);
                    self.refuse_with(answer, &refused, admitted.claim, now);
                    return input.len();
                }
                self.state = State::Admitted(admitted);
                length
            }
            Err(refused) => {
                self.refuse_with(answer, &refused, claim, now);
                input.len()
            }
        }
    }
}
