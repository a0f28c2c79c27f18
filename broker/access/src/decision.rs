//! What a client may do.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::acl::{Grounds, Rules};
use crate::authenticator::{Authenticating, Authenticator, Credentials};
use crate::denied::Denied;
use crate::identity::Identity;
use crate::recipients::{Recipients, Strangers};
use crate::registered::Registered;

/// What a topic or a topic filter names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'t> {
    /// The inbox of the client with this ID.
    Inbox(&'t str),
    /// The inbox of the client with this ID, as a shared subscription.
    SharedInbox(&'t str),
    /// Ordinary topics.
    Ordinary(&'t str),
    /// A topic of the broker's own, which begins with `$`.
    Reserved(&'t str),
}

/// What a client wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action<'t> {
    /// To be let in under its client ID.
    Connect,
    /// To publish, or to have its will published.
    Publish(Target<'t>),
    /// To subscribe.
    Subscribe(Target<'t>),
    /// To ask as an operator.
    Operate,
}

/// See the crate's documentation. One for the whole broker.
pub struct Access {
    authenticator: Arc<dyn Authenticator>,
    rules: ArcSwap<Rules>,
    recipients: Recipients,
    strangers: Option<Strangers>,
    registered: Option<Registered>,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").finish_non_exhaustive()
    }
}

impl Access {
    /// Clients are who `authenticator` says, and may do what they may where nobody's user is known.
    pub fn new(authenticator: Arc<dyn Authenticator>) -> Self {
        Access::ruled(authenticator, Rules::without_file(false))
    }

    /// Clients are who `authenticator` says, and may do what `rules` say.
    pub fn ruled(authenticator: Arc<dyn Authenticator>, rules: Rules) -> Self {
        Access {
            authenticator,
            rules: ArcSwap::from_pointee(rules),
            recipients: Recipients::default(),
            strangers: None,
            registered: None,
        }
    }

    /// Strangers may write no more than that until they are answered.
    #[must_use]
    pub fn limiting(self, strangers: Option<Strangers>) -> Self {
        Access { strangers, ..self }
    }

    /// Inboxes take mail only if somebody may have their client ID.
    #[must_use]
    pub fn registered_only(self, registered: Option<Registered>) -> Self {
        Access { registered, ..self }
    }

    /// From now on clients may do what these rules say. Whether they may go on with what they have is for their sessions to look at again.
    pub fn enforce(&self, rules: Rules) {
        if !inbox_types::fault!(KeepOldRules) {
            self.rules.store(Arc::new(rules));
        }
    }

    /// Whom each client takes messages from, as it says itself.
    pub fn recipients(&self) -> &Recipients {
        &self.recipients
    }

    /// Who is a stranger to whom, if that matters.
    pub fn strangers(&self) -> Option<&Strangers> {
        self.strangers.as_ref()
    }

    fn recipients_decide(&self) -> bool {
        self.strangers.is_some() || self.registered.is_some() || !self.recipients.are_none()
    }

    /// Who the client with these credentials is; [`Access::decide`] has still to be asked whether it may connect.
    pub fn authenticate(&self, credentials: Credentials) -> Authenticating<'_> {
        self.authenticator.authenticate(credentials)
    }

    /// Whether clients can show tokens.
    pub fn takes_tokens(&self) -> bool {
        self.authenticator.takes_tokens()
    }

    /// Who the connected client `who` is by a fresh token: the same user, who may go on using that client ID.
    ///
    /// # Errors
    /// The token is not accepted, or is somebody else's.
    pub fn renew(&self, who: &Identity, token: &str) -> Result<Identity, Denied> {
        let renewed = self.authenticator.renew(who, token)?;
        match renewed.user() == who.user() || inbox_types::fault!(RenewAnother) {
            true => self.decide(&renewed, Action::Connect).map(|()| renewed),
            false => Err(Denied::AnotherUser),
        }
    }

    /// Whether `who` may do this.
    ///
    /// # Errors
    /// It may not.
    #[inline]
    pub fn decide(&self, who: &Identity, action: Action<'_>) -> Result<(), Denied> {
        let rules = self.rules.load();
        rules.judge(who, action)?;
        match action {
            Action::Publish(Target::Inbox(owner)) if self.recipients_decide() => {
                if self.registered.as_ref().is_some_and(|all| !all.may_own(owner, &rules)) {
                    return Err(Denied::Unregistered);
                }
                if rules.passes_lists(who) {
                    return Ok(());
                }
                let wanted = self.recipients.judge(who, owner);
                if !inbox_types::fault!(IgnoreLists) {
                    wanted?;
                }
                self.strangers
                    .as_ref()
                    .map_or(Ok(()), |strangers| strangers.judge(who, owner))
            }
            _ => Ok(()),
        }
    }
}

impl Rules {
    /// Whether `who` may do this, and what it is that says so.
    ///
    /// # Errors
    /// It may not.
    pub fn judge(&self, who: &Identity, action: Action<'_>) -> Result<Grounds, Denied> {
        match action {
            Action::Connect if who.is_broker() => Err(Denied::BrokersId),
            Action::Connect if who.may_use_its_id() || inbox_types::fault!(AnyClientId) => Ok(Grounds::BuiltIn),
            Action::Connect => self.lets_use_id(who).ok_or(Denied::ClientId),
            Action::Operate => self.operate(who),
            Action::Publish(Target::Reserved(_)) if who.is_broker() => Ok(Grounds::BuiltIn),
            Action::Publish(Target::Reserved(_)) => Err(Denied::Reserved),
            Action::Publish(Target::Inbox(owner) | Target::SharedInbox(owner)) => match self.write_to(who, owner) {
                Err(_) if inbox_types::fault!(IgnoreRules) => Ok(Grounds::BuiltIn),
                decided => decided,
            },
            Action::Publish(Target::Ordinary(topic)) => self.publish(who, topic),
            Action::Subscribe(Target::SharedInbox(_)) => Err(Denied::SharedInbox),
            Action::Subscribe(Target::Inbox(owner)) => match owner == who.client_id().as_str() {
                false if !inbox_types::fault!(ReadAnothers) => Err(Denied::OthersInbox),
                _ => Ok(Grounds::BuiltIn),
            },
            Action::Subscribe(Target::Ordinary(filter)) => self.subscribe(who, filter),
            // Nothing else is there.
            Action::Subscribe(Target::Reserved(filter)) if !is_sys(filter) => Err(Denied::Reserved),
            Action::Subscribe(Target::Reserved(filter)) => match self.subscribe(who, filter) {
                Err(Denied::NoRule) => Err(Denied::NotOps),
                decided => decided,
            },
        }
    }
}

fn is_sys(filter: &str) -> bool {
    filter.split('/').next() == Some("$SYS")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Anonymous;
    use inbox_types::ClientId;

    #[test]
    fn rule_02_an_inbox_is_read_by_its_owner_and_written_by_all() {
        // Goal: contract rule 2, and what belongs to the broker: each action of a client and of the broker, and the answer.
        let access = Access::new(Arc::new(Anonymous { is_everywhere: false }));
        let bob = Identity::anonymous(ClientId::new("bob").unwrap());
        let broker = Identity::broker();
        for (who, action, decided) in [
            (&bob, Action::Connect, Ok(())),
            (&broker, Action::Connect, Err(Denied::BrokersId)),
            (&bob, Action::Subscribe(Target::Inbox("bob")), Ok(())),
            (
                &bob,
                Action::Subscribe(Target::Inbox("alice")),
                Err(Denied::OthersInbox),
            ),
            (&bob, Action::Subscribe(Target::Inbox("bo")), Err(Denied::OthersInbox)),
            (
                &bob,
                Action::Subscribe(Target::SharedInbox("bob")),
                Err(Denied::SharedInbox),
            ),
            (
                &bob,
                Action::Subscribe(Target::SharedInbox("alice")),
                Err(Denied::SharedInbox),
            ),
            (&bob, Action::Subscribe(Target::Ordinary("a/#")), Ok(())),
            (&bob, Action::Subscribe(Target::Reserved("$SYS/#")), Ok(())),
            (&bob, Action::Publish(Target::Inbox("alice")), Ok(())),
            (&bob, Action::Publish(Target::Ordinary("a/b")), Ok(())),
            (&bob, Action::Publish(Target::Reserved("$SYS/x")), Err(Denied::Reserved)),
            (&broker, Action::Publish(Target::Reserved("$SYS/x")), Ok(())),
        ] {
            assert_eq!(access.decide(who, action), decided, "{who:?} {action:?}");
        }
    }
}
