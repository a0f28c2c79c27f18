//! Who a client is.

use std::sync::Arc;

use inbox_types::{ClientId, NOTICE_FROM};

use crate::client_ids::ClientIds;

/// The attribute with the client ID that the broker gave to the client.
const ASSIGNED: &str = "assigned_client_id";

/// Who a client is, for as long as its connection lasts, and for its will beyond that. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    client_id: ClientId,
    /// Shared, and `None` for anonymous clients, so that a million of these cost nothing here.
    account: Option<Arc<Account>>,
}

/// What a client of a user showed to prove who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Shown {
    /// A password of the password file.
    #[default]
    Password,
    /// A token.
    Token,
    /// A TLS client certificate.
    Certificate,
    /// What a service of the operator's own was asked about.
    Asked,
}

impl Shown {
    fn name(self) -> &'static str {
        match self {
            Shown::Password => "password",
            Shown::Token => "token",
            Shown::Certificate => "certificate",
            Shown::Asked => "http",
        }
    }
}

/// What an authenticator knows of a client.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Account {
    /// The user, who may have several clients.
    pub user: Box<str>,
    /// The roles of the user.
    pub roles: Vec<Box<str>>,
    /// Which client IDs it may use.
    pub client_ids: ClientIds,
    /// What proves this.
    pub shown: Shown,
    /// When what proves this ends, in seconds since 1970 (UTC).
    pub expires_at: Option<u64>,
    /// What else is known: names and values.
    pub attributes: Vec<(Box<str>, Box<str>)>,
}

impl Account {
    /// Whether the user may use this client ID.
    pub fn may_use(&self, client_id: &ClientId) -> bool {
        self.client_ids.allow(&self.user, client_id.as_str())
    }
}

impl Identity {
    /// A client of which nothing is known but its ID.
    pub fn anonymous(client_id: ClientId) -> Self {
        Identity {
            client_id,
            account: None,
        }
    }

    /// A client of a known user.
    pub fn of(client_id: ClientId, account: Arc<Account>) -> Self {
        Identity {
            client_id,
            account: Some(account),
        }
    }

    /// A client of a known user, to which the broker gave its client ID.
    pub(crate) fn assigned(client_id: ClientId, mut account: Account) -> Self {
        if !account.may_use(&client_id) {
            account.client_ids = account.client_ids.and(&account.user, client_id.as_str());
            account.attributes.push((ASSIGNED.into(), client_id.as_str().into()));
        }
        Identity::of(client_id, Arc::new(account))
    }

    /// The same client with a fresh account. It keeps a client ID that the broker gave it.
    pub(crate) fn renewed(&self, account: Account) -> Self {
        match self.attribute(ASSIGNED) {
            Some(_) => Identity::assigned(self.client_id.clone(), account),
            None => Identity::of(self.client_id.clone(), Arc::new(account)),
        }
    }

    /// The broker itself, which publishes `$SYS` and notices.
    pub fn broker() -> Self {
        Identity::anonymous(NOTICE_FROM.clone())
    }

    /// The client ID, which owns an inbox.
    pub fn client_id(&self) -> &ClientId {
        &self.client_id
    }

    /// The user; `None` for an anonymous client.
    pub fn user(&self) -> Option<&str> {
        self.account.as_ref().map(|account| &*account.user)
    }

    /// The roles of the user.
    pub fn roles(&self) -> &[Box<str>] {
        self.account.as_ref().map_or(&[], |account| &account.roles)
    }

    /// What showed who it is, in one word: `anonymous` where that was nothing.
    pub fn how(&self) -> &'static str {
        self.account
            .as_ref()
            .map_or("anonymous", |account| account.shown.name())
    }

    /// Whether its user may use its client ID. Which ones clients without a user have is for their authenticator to say.
    pub fn may_use_its_id(&self) -> bool {
        let account = self.account.as_ref();
        account.is_none_or(|account| account.may_use(&self.client_id))
    }

    /// When what proves this ends, in seconds since 1970 (UTC).
    pub fn expires_at(&self) -> Option<u64> {
        self.account.as_ref().and_then(|account| account.expires_at)
    }

    /// What else is known: names and values.
    pub fn attributes(&self) -> &[(Box<str>, Box<str>)] {
        self.account.as_ref().map_or(&[], |account| &account.attributes)
    }

    /// The value of an attribute.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes().iter().find(|(known, _)| **known == *name);
        found.map(|(_, value)| &**value)
    }

    /// Whether this is the broker itself. No client is let in under its ID.
    pub fn is_broker(&self) -> bool {
        self.client_id == *NOTICE_FROM
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_tells_what_is_known_and_no_more() {
        // Goal: an anonymous client has no user, role or attribute; the client of a user has those of the account.
        let phone = ClientId::new("phone").unwrap();
        let anonymous = Identity::anonymous(phone.clone());
        assert_eq!((anonymous.user(), anonymous.roles().len()), (None, 0));
        assert_eq!((anonymous.attribute("city"), anonymous.how()), (None, "anonymous"));
        let account = Arc::new(Account {
            user: "alice".into(),
            roles: vec!["admin".into()],
            shown: Shown::Token,
            attributes: vec![("city".into(), "Bern".into())],
            ..Account::default()
        });
        let known = Identity::of(phone.clone(), account);
        assert_eq!((known.client_id(), known.user()), (&phone, Some("alice")));
        assert_eq!((known.roles(), known.how()), (&[Box::from("admin")][..], "token"));
        assert_eq!((known.attribute("city"), known.attribute("town")), (Some("Bern"), None));
        assert!(Identity::broker().is_broker() && !known.is_broker());
    }
}
