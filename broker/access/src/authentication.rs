//! Who a client is, by whatever it shows: the authenticators that the operator configured, one after the other.
//!
//! What a client shows decides who is asked. Clients that show nothing are anonymous, where that is allowed; among clients with users, they have the
//! client IDs `anonymous` and `anonymous~…`, and those that the broker makes up, and nobody else's.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use crate::authenticator::{Anonymous, Authenticating, Authenticator, Credentials};
use crate::client_ids::{NOBODY, is_own};
use crate::delays::Delays;
use crate::denied::Denied;
use crate::identity::{Account, Identity};
use crate::passwords::Passwords;

/// Who is asked, and in which order. Without any of them, [`Anonymous`] is enough.
#[derive(Default)]
pub struct Authenticators {
    /// Clients that show nothing: none of them, unless somebody says so.
    pub anonymous: Option<Anonymous>,
    /// The password file.
    pub passwords: Option<Arc<Passwords>>,
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
        let account = match (&credentials.user, &credentials.password) {
            (None, None) => return self.anonymous(credentials),
            (Some(user), Some(password)) => {
                let from = credentials.origin.peer.ip();
                self.by_password(from, user, password).await?
            }
            (None, Some(_)) | (Some(_), None) => return Err(Denied::Credentials),
        };
        Ok(of_user(credentials, account))
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
    async fn by_password(&self, from: IpAddr, user: &str, password: &[u8]) -> Result<Arc<Account>, Denied> {
        let Some(passwords) = &self.asked.passwords else {
            return Err(Denied::Credentials);
        };
        if let Some(account) = passwords.recall(user, password, self.now()) {
            self.delays.lock().succeeded(from, user);
            return Ok(account);
        }
        let turn = self.delays.lock().ask(from, user, self.now());
        let wait = turn.ok_or(Denied::TooManyFailures)?;
        pause(wait).await;
        let verified = passwords.verify(user, password, self.now()).await;
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
}

impl Authenticator for Authentication {
    fn authenticate(&self, credentials: Credentials) -> Authenticating<'_> {
        Box::pin(self.identify(credentials))
    }
}

/// A client of a user. A client ID that the broker made up for it is its own for now.
fn of_user(credentials: Credentials, account: Arc<Account>) -> Identity {
    let account = match credentials.id_is_assigned {
        true => Arc::new(Account {
            client_ids: account.client_ids.and(&account.user, credentials.client_id.as_str()),
            ..(*account).clone()
        }),
        false => account,
    };
    Identity::of(credentials.client_id, account)
}

async fn pause(wait: Duration) {
    if !wait.is_zero() {
        sleep(wait).await;
    }
}

#[cfg(test)]
mod tests;
