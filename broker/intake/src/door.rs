//! The door for everything that is published, by clients, for them (wills), and by the broker (`$SYS`): who says what, and where; then the
//! access rules; then a message for an inbox or for the router. Messages are made here and nowhere else.

use std::sync::Arc;
use std::time::Duration;

use access::{Access, Action, Denied, Identity};
use bytes::Bytes;
use inbox_types::{Age, ClientId, Expiry, Message, NoSuchReceipt, Now, Properties, Qos, ReceiptsWanted, Refusal};
use pubsub::OrdinaryMessage;

use crate::address::{Destination, InboxNames};

/// The user properties of a message from an inbox that the broker sets itself (contract rule 7).
const ID: &str = "id";
/// The user of the sender, where that is not its client ID.
const USER: &str = "user";
const OWN_NAMES: [&str; 8] = [ID, "seq", "from", USER, "at", "prev", "epoch", "dropped"];
/// So begin the names by which the broker marks what it says itself.
const MARK: &str = "$inboxd";

/// What somebody wants published, but for the topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// With which QoS.
    pub qos: Qos,
    /// Whether it is to be retained; means nothing for an inbox (contract rule 1).
    pub retain: bool,
    /// In seconds.
    pub message_expiry: Option<u32>,
    /// The application's bytes: a copy that shares no buffer with anything else, and counts against the memory budget if it is ordinary.
    pub payload: Bytes,
    /// What is said about the payload.
    pub properties: Option<Box<Properties>>,
}

/// A message that may go where it is to go.
#[derive(Debug, Clone)]
pub enum Taken {
    /// To somebody's inbox.
    Inbox(ClientId, Arc<Message>),
    /// To the router.
    Ordinary(Arc<OrdinaryMessage>),
}

/// Why a message goes nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Shut {
    /// Its publisher may not publish there.
    #[error(transparent)]
    Denied(Denied),
    /// Nothing is there.
    #[error("{0}")]
    Nowhere(&'static str),
    /// The broker has no room for it.
    #[error(transparent)]
    Full(Refusal),
    /// It asks for receipts to a topic to which its publisher may not publish.
    #[error("receipts would go to the Response Topic, and this client may not publish there: {0}")]
    ResponseTopic(Denied),
    /// It asks for receipts that there are not.
    #[error(transparent)]
    NoSuchReceipt(NoSuchReceipt),
}

/// The door as it is at one time.
#[derive(Debug, Clone, Copy)]
pub struct Intake<'b> {
    /// Who may publish what.
    pub access: &'b Access,
    /// Which topics are inboxes.
    pub names: &'b InboxNames,
    /// The time.
    pub now: Now,
    /// The age of the store at that time, which waiting is measured by.
    pub age: Age,
    /// How long mail is kept that asks for no expiry of its own.
    pub time_to_live: Duration,
}

impl Intake<'_> {
    /// Takes what `who` publishes to `topic`, a valid topic name.
    ///
    /// # Errors
    /// It goes nowhere.
    pub fn take(&self, who: &Identity, topic: &str, said: impl FnOnce() -> Publication) -> Result<Taken, Shut> {
        self.take_for(who, self.names.destination(topic), topic, |_| said())
    }

    /// As [`Intake::take`], by somebody who knows already what `topic` names. `said` is called when it may go there, with where that is.
    #[inline]
    pub fn take_for(
        &self,
        who: &Identity,
        destination: Destination,
        topic: &str,
        said: impl FnOnce(&Destination) -> Publication,
    ) -> Result<Taken, Shut> {
        if let Some(target) = destination.target(topic) {
            let decided = self.access.decide(who, Action::Publish(target));
            decided.map_err(Shut::Denied)?;
        }
        if let Destination::Forbidden(why) = destination {
            return Err(Shut::Nowhere(why));
        }
        let said = said(&destination);
        Ok(match destination {
            Destination::Inbox(owner) => {
                if let Some(properties) = said.properties.as_deref() {
                    self.check_receipts(who, properties)?;
                }
                Taken::Inbox(owner, Arc::new(self.mail(who, said)))
            }
            _ => Taken::Ordinary(Arc::new(self.ordinary(who, topic, said))),
        })
    }

    /// What becomes of mail is told to its Response Topic in its sender's name: so its sender must be allowed to publish there (contract rule 11).
    fn check_receipts(&self, who: &Identity, properties: &Properties) -> Result<(), Shut> {
        let wanted = ReceiptsWanted::of(properties).map_err(Shut::NoSuchReceipt)?;
        let Some(topic) = properties.response_topic.as_deref().filter(|_| wanted.is_some()) else {
            return Ok(());
        };
        let destination = self.names.destination(topic);
        match destination.target(topic) {
            Some(target) => {
                let decided = self.access.decide(who, Action::Publish(target));
                decided.map_err(Shut::ResponseTopic)
            }
            None => Err(Shut::ResponseTopic(Denied::Reserved)),
        }
    }

    #[inline]
    fn mail(&self, who: &Identity, said: Publication) -> Message {
        let (id, properties) = as_mail(said.properties, other_user(who));
        Message {
            from: who.client_id().clone(),
            id,
            at: self.now.wall,
            expiry: Expiry::new(self.age, said.message_expiry, self.time_to_live),
            qos: said.qos,
            payload: said.payload,
            properties,
        }
    }

    fn ordinary(&self, who: &Identity, topic: &str, said: Publication) -> OrdinaryMessage {
        OrdinaryMessage {
            topic: Arc::from(topic),
            retain: said.retain,
            qos: said.qos,
            from: who.client_id().clone(),
            expiry: pubsub::expiry(self.age, said.message_expiry),
            payload: said.payload,
            properties: without_marks(who, said.properties),
        }
    }
}

/// What clients say, without what only the broker says.
fn without_marks(who: &Identity, mut properties: Option<Box<Properties>>) -> Option<Box<Properties>> {
    if let Some(said) = properties.as_mut().filter(|_| !who.is_broker()) {
        said.user.retain(|(name, _)| !is_mark(name));
    }
    properties.filter(|said| !said.is_empty())
}

/// Whether the name of a user property marks what the broker itself says (contract rule 11).
fn is_mark(name: &str) -> bool {
    name.starts_with(MARK)
}

/// The user, where the client ID does not say it (contract rule 7).
fn other_user(who: &Identity) -> Option<&str> {
    who.user().filter(|user| *user != who.client_id().as_str())
}

/// The sender's `id`, and its other properties without those names that the broker sets itself, and with its user (contract rule 7).
fn as_mail(properties: Option<Box<Properties>>, user: Option<&str>) -> (Option<Box<str>>, Option<Box<Properties>>) {
    let mut properties = match (properties, user) {
        (Some(properties), _) => properties,
        (None, Some(_)) => Box::default(),
        (None, None) => return (None, None),
    };
    let id = properties.user_property(ID).map(Box::from);
    let (is_from_left, is_user_left) = (inbox_types::fault!(ForgedFrom), inbox_types::fault!(ForgedUser));
    let is_left = |name: &str| is_from_left || (is_user_left && name == USER);
    properties
        .user
        .retain(|(name, _)| !OWN_NAMES.contains(&&**name) && !is_mark(name) || is_left(name));
    if let Some(user) = user {
        properties.user.insert(0, (USER.into(), user.into()));
    }
    (id, Some(properties).filter(|rest| !rest.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use access::Anonymous;
    use inbox_types::{Clock, SystemClock};

    fn said(user: &[(&str, &str)]) -> Publication {
        let user: Vec<_> = user
            .iter()
            .map(|(name, value)| (Box::from(*name), Box::from(*value)))
            .collect();
        let properties = Properties {
            user,
            ..Properties::default()
        };
        Publication {
            qos: Qos::AtLeastOnce,
            retain: true,
            message_expiry: Some(60),
            payload: Bytes::from_static(b"hello"),
            properties: (!properties.is_empty()).then(|| Box::new(properties)),
        }
    }

    /// What becomes of a publication of `who`.
    fn take(who: &Identity, topic: &str, user: &[(&str, &str)]) -> Result<Taken, Shut> {
        let intake = Intake {
            access: &Access::new(Arc::new(Anonymous { is_everywhere: false })),
            names: &InboxNames::new(""),
            now: now(),
            age: Age::default(),
            time_to_live: Duration::from_secs(3600),
        };
        intake.take(who, topic, || said(user))
    }

    fn now() -> Now {
        SystemClock::default().now()
    }

    fn alice() -> Identity {
        Identity::anonymous(ClientId::new("alice").unwrap())
    }

    #[test]
    fn rule_07_nobody_can_name_the_sender() {
        // Goal: contract rule 7 for all that is published to inboxes, wills too: `id` is the sender's, and what the broker says
        // itself is the broker's alone.
        let user = [
            ("from", "the-president"),
            ("id", "w1"),
            ("colour", "red"),
            ("user", "root"),
            ("seq", "1"),
            ("at", "0"),
            ("prev", "7"),
            ("epoch", "0000000000000001"),
            ("dropped", "3"),
            ("$inboxd", "receipt"),
            ("$inboxd-more", "notice"),
            ("id", "w2"),
        ];
        let Ok(Taken::Inbox(owner, message)) = take(&alice(), "bob", &user) else {
            panic!("it goes to an inbox");
        };
        assert_eq!((owner.as_str(), message.from.as_str()), ("bob", "alice"));
        assert_eq!(message.id.as_deref(), Some("w1"));
        let kept = message.properties.as_ref().unwrap();
        assert_eq!(kept.user, [(Box::from("colour"), Box::from("red"))]);
        for user in [&[("from", "the-president")][..], &[]] {
            let Ok(Taken::Inbox(_, message)) = take(&alice(), "bob", user) else {
                panic!("it goes to an inbox");
            };
            assert_eq!((&message.id, &message.properties), (&None, &None));
        }
    }

    #[test]
    fn rule_07_the_user_is_told_where_it_is_not_the_client_id() {
        // Goal: contract rule 7: `user` is what the authenticator said, for clients whose ID differs, also beside other properties.
        let of = |id: &str| {
            let account = access::Account {
                user: "alice".into(),
                ..access::Account::default()
            };
            Identity::of(ClientId::new(id).unwrap(), Arc::new(account))
        };
        let user = |id: &str, said: &[(&str, &str)]| {
            let Ok(Taken::Inbox(_, message)) = take(&of(id), "bob", said) else {
                panic!("it goes to an inbox");
            };
            message.properties.as_ref().map(|properties| properties.user.clone())
        };
        let alice = (Box::from("user"), Box::from("alice"));
        assert_eq!(user("alice~phone", &[]), Some(vec![alice.clone()]));
        let red = (Box::from("colour"), Box::from("red"));
        assert_eq!(
            user("alice~phone", &[("user", "bob"), ("colour", "red")]),
            Some(vec![alice, red.clone()])
        );
        assert_eq!(user("alice", &[("user", "bob"), ("colour", "red")]), Some(vec![red]));
        assert_eq!(user("alice", &[]), None);
    }

    #[test]
    fn an_ordinary_message_keeps_what_its_publisher_said() {
        // Goal: what is the broker's own in mail is the application's business in ordinary messages.
        let user = [("from", "the-president"), ("id", "w1")];
        let Ok(Taken::Ordinary(message)) = take(&alice(), "a/b", &user) else {
            panic!("it goes to the router");
        };
        assert_eq!((&*message.topic, message.from.as_str()), ("a/b", "alice"));
        assert!(message.retain && message.expiry.is_some());
        assert_eq!(message.properties, said(&user).properties);
    }

    #[test]
    fn what_goes_nowhere_is_not_copied() {
        // Goal: topics with $ are the broker's to publish to, topics that no client ID fits are nobody's; a refused payload costs nothing.
        let intake = |who: &Identity, topic: &str| {
            let mut is_copied = false;
            let names = InboxNames::new("");
            let access = Access::new(Arc::new(Anonymous { is_everywhere: false }));
            let intake = Intake {
                access: &access,
                names: &names,
                now: now(),
                age: Age::default(),
                time_to_live: Duration::ZERO,
            };
            let taken = intake.take(who, topic, || {
                is_copied = true;
                said(&[])
            });
            (taken.map(|_| ()), is_copied)
        };
        let reserved = (Err(Shut::Denied(Denied::Reserved)), false);
        assert_eq!(intake(&alice(), "$SYS/inboxd/version"), reserved);
        assert_eq!(intake(&alice(), "$other"), reserved);
        let (nowhere, is_copied) = intake(&alice(), &"x".repeat(2000));
        assert!(matches!(nowhere, Err(Shut::Nowhere(_))) && !is_copied);
        assert_eq!(intake(&Identity::broker(), "$SYS/inboxd/version"), (Ok(()), true));
    }
}
