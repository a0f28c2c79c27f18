//! Who a client is, by whatever it shows: the authenticators that the operator configured, one after the other.
//!
//! What a client shows decides who is asked. Clients that show nothing are anonymous, where that is allowed; among clients with users, they have the
//! client IDs `anonymous` and `anonymous~…`, and those that the broker makes up, and nobody else's.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use crate::authenticator::{Anonymous, Authenticating, Authenticator, Credentials};
use crate::call_out::CallOut;
use crate::client_ids::{NOBODY, is_own, is_user_name};
use crate::delays::Delays;
use crate::denied::Denied;
use crate::identity::{Account, Identity, Shown};
use crate::origin::Certificate;
use crate::passwords::Passwords;
use crate::tokens::{Tokens, looks_like_token};

/// Who is asked, and in which order. Without any of them, [`Anonymous`] is enough.
#[derive(Default)]
pub struct Authenticators {
    /// Clients that show nothing: none of them, unless somebody says so.
    pub anonymous: Option<Anonymous>,
    /// The password file.
    pub passwords: Option<Arc<Passwords>>,
    /// Tokens, in the password field or from the WebSocket upgrade.
    pub tokens: Option<Arc<Tokens>>,
    /// A service of the operator's own, for users whom the password file does not have.
    pub call_out: Option<Arc<CallOut>>,
    /// TLS client certificates.
    pub certificate: CertificateName,
}

/// Which name in a TLS client certificate is the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CertificateName {
    /// None: certificates let clients reach the broker, and do not say who they are.
    #[default]
    Off,
    /// The common name of its subject.
    CommonName,
    /// The first of its subject alternative names.
    AlternativeName,
}

impl CertificateName {
    fn of(self, certificate: &Certificate) -> Option<&str> {
        match self {
            CertificateName::Off => None,
            CertificateName::CommonName => certificate.common_name.as_deref(),
            CertificateName::AlternativeName => certificate.alternative_names.first().map(|name| &**name),
        }
    }
}

/// See the module's documentation.
pub struct Authentication {
    asked: Authenticators,
    delays: Mutex<Delays>,
    started: Instant,
}

impl Authentication {
    /// Asks these. To be called within a runtime.
    pub fn new(asked: Authenticators) -> Self {
        Authentication {
            asked,
            delays: Mutex::new(Delays::new()),
            started: Instant::now(),
        }
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    async fn identify(&self, credentials: Credentials) -> Result<Identity, Denied> {
        if let Some(account) = self.by_token(&credentials) {
            return Ok(of_user(credentials, Arc::new(account?)));
        }
        let account = match (&credentials.user, &credentials.password) {
            (Some(user), Some(password)) => self.by_password(&credentials, user, password).await?,
            (None, Some(_)) => return Err(Denied::Credentials),
            (user, None) => match self.by_certificate(&credentials) {
                Some(account) => Arc::new(account?),
                None if user.is_none() => return self.anonymous(credentials),
                None => return Err(Denied::Credentials),
            },
        };
        Ok(of_user(credentials, account))
    }

    /// By a token, if the client shows one. The user name that came with it means nothing.
    fn by_token(&self, credentials: &Credentials) -> Option<Result<Account, Denied>> {
        let tokens = self.asked.tokens.as_ref()?;
        let password = credentials.password.as_deref();
        let token = match password.filter(|password| looks_like_token(password)) {
            Some(password) => str::from_utf8(password).ok()?,
            // A password is for the user that it came with, wherever it came from.
            None if password.is_some() => return None,
            None => credentials.origin.token.as_deref()?,
        };
        Some(tokens.verify(token).map_err(Denied::from))
    }

    /// By a client certificate, if that is meant to say who a client is, and the client has one. A user name beside it must be the same.
    fn by_certificate(&self, credentials: &Credentials) -> Option<Result<Account, Denied>> {
        let which = self.asked.certificate;
        let certificate = credentials.origin.certificate.as_ref()?;
        if which == CertificateName::Off {
            return None;
        }
        let name = which.of(certificate).filter(|name| is_user_name(name));
        Some(match (name, credentials.user.as_deref()) {
            (None, _) => Err(Denied::Certificate),
            (Some(name), Some(user)) if name != user => Err(Denied::Credentials),
            (Some(name), _) => Ok(Account {
                user: name.into(),
                shown: Shown::Certificate,
                ..Account::default()
            }),
        })
    }

    fn anonymous(&self, credentials: Credentials) -> Result<Identity, Denied> {
        let served = |anonymous: &Anonymous| anonymous.serves(credentials.origin.peer.ip());
        if !self.asked.anonymous.as_ref().is_some_and(served) {
            return Err(Denied::NoCredentials);
        }
        match credentials.id_is_assigned || is_own(NOBODY, credentials.client_id.as_str()) {
            true => Ok(Identity::anonymous(credentials.client_id)),
            false => Err(Denied::UsersId),
        }
    }

    /// By user name and password. What was right a short time ago, from anywhere, is right at once.
    async fn by_password(
        &self,
        credentials: &Credentials,
        user: &str,
        password: &[u8],
    ) -> Result<Arc<Account>, Denied> {
        let from = credentials.origin.peer.ip();
        if let Some(account) = self.recall(credentials, user, password) {
            self.delays.lock().succeeded(from, user);
            return Ok(account);
        }
        let turn = self.delays.lock().ask(from, user, self.now());
        let wait = turn.ok_or(Denied::TooManyFailures)?;
        pause(wait).await;
        let verified = self.verify(credentials, user, password).await;
        match &verified {
            Ok(_) => self.delays.lock().succeeded(from, user),
            Err(Denied::Credentials) => {
                let wait = self.delays.lock().failed(from, user, self.now());
                pause(wait).await;
            }
            Err(_) => {}
        }
        verified
    }

    fn recall(&self, credentials: &Credentials, user: &str, password: &[u8]) -> Option<Arc<Account>> {
        let now = self.now();
        let of_file = self
            .asked
            .passwords
            .as_ref()
            .and_then(|file| file.recall(user, password, now));
        of_file.or_else(|| self.asked.call_out.as_ref()?.recall(credentials, now))
    }

    /// The password file, or the operator's service for users whom that does not have.
    async fn verify(&self, credentials: &Credentials, user: &str, password: &[u8]) -> Result<Arc<Account>, Denied> {
        let now = self.now();
        match (&self.asked.passwords, &self.asked.call_out) {
            (Some(file), None) => file.verify(user, password, now).await,
            (Some(file), Some(_)) if file.knows(user) => file.verify(user, password, now).await,
            (_, Some(call_out)) => call_out.ask(credentials, now).await,
            (None, None) => Err(Denied::Credentials),
        }
    }
}

impl Authenticator for Authentication {
    fn authenticate(&self, credentials: Credentials) -> Authenticating<'_> {
        Box::pin(self.identify(credentials))
    }

    fn takes_tokens(&self) -> bool {
        self.asked.tokens.is_some()
    }

    fn renew(&self, who: &Identity, token: &str) -> Result<Identity, Denied> {
        let tokens = self.asked.tokens.as_ref().ok_or(Denied::Credentials)?;
        let account = tokens.verify(token)?;
        Ok(who.renewed(account))
    }
}

/// A client of a user. A client ID that the broker made up for it is its own for now.
fn of_user(credentials: Credentials, account: Arc<Account>) -> Identity {
    match credentials.id_is_assigned {
        true => Identity::assigned(credentials.client_id, (*account).clone()),
        false => Identity::of(credentials.client_id, account),
    }
}

async fn pause(wait: Duration) {
    if !wait.is_zero() {
        sleep(wait).await;
    }
}

#[cfg(test)]
mod tests;
