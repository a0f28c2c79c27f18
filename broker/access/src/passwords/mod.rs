//! User names and passwords, from a file.
//!
//! Verifying a password takes tens of milliseconds and 19 MiB, on purpose. So it happens on threads that may block, for a bounded number of clients
//! at a time; the others wait, for as long as `mqtt.connect_timeout` lets them. Successes are remembered for a short time, so that clients that
//! come back by the thousand need none.

mod file;
mod hash;
mod text;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use tokio::sync::Semaphore;

use crate::denied::Denied;
use crate::identity::Account;
use crate::remembered::{NoRandomness, Remembered};
pub(crate) use hash::PASSWORD_BYTES_MAX;
pub(crate) use text::{Users, check_role};

pub use file::{EditError, Edited, PasswordFileError, edit_passwords};
pub use hash::{HashError, WrongHash};
pub use text::{LineError, NoRoleName, NoUserName};

/// Why passwords cannot be verified.
#[derive(Debug, thiserror::Error)]
pub enum PasswordsError {
    /// The file cannot be used.
    #[error(transparent)]
    File(#[from] PasswordFileError),
    /// There are no random numbers.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
}

/// See the module's documentation.
pub struct Passwords {
    path: PathBuf,
    users: RwLock<Arc<Users>>,
    nobodys: String,
    remember: Duration,
    remembered: Remembered,
    verifications: Arc<Semaphore>,
}

impl Passwords {
    /// The users of the file at `path`. At most `verifications_max` passwords are verified at a time, and a success is remembered for `remember`.
    ///
    /// # Errors
    /// See [`PasswordsError`].
    pub fn load(path: &Path, verifications_max: usize, remember: Duration) -> Result<Self, PasswordsError> {
        let users = load_users(path)?;
        Ok(Passwords {
            path: path.to_owned(),
            users: RwLock::new(Arc::new(users)),
            nobodys: hash::nobodys()?,
            remember,
            remembered: Remembered::new()?,
            verifications: Arc::new(Semaphore::new(verifications_max)),
        })
    }

    /// Reads the file again, and forgets whose passwords were right. Clients that are connected stay.
    ///
    /// # Errors
    /// The file cannot be used. What was read before stays in force.
    pub fn reload(&self) -> Result<(), PasswordFileError> {
        let users = load_users(&self.path)?;
        *self.users.write() = Arc::new(users);
        self.remembered.forget();
        Ok(())
    }

    /// The roles of `user` in the file at `path`; `None` when it is not there.
    ///
    /// # Errors
    /// The file cannot be used.
    pub fn roles_in(path: &Path, user: &str) -> Result<Option<Vec<Box<str>>>, PasswordFileError> {
        let users = file::load(path)?.users;
        Ok(users.get(user).map(|user| user.account.roles.clone()))
    }

    /// All of them, as the file has them now.
    pub(crate) fn users(&self) -> Arc<Users> {
        self.users.read().clone()
    }

    /// Whether there is such a user.
    pub(crate) fn knows(&self, user: &str) -> bool {
        self.users.read().contains_key(user)
    }

    #[cfg(test)]
    pub(crate) fn take_all_verifications(&self) -> tokio::sync::SemaphorePermit<'_> {
        let all = u32::try_from(self.verifications.available_permits()).unwrap();
        self.verifications.try_acquire_many(all).unwrap()
    }

    /// Who showed this, if that was found out a short time ago.
    pub(crate) fn recall(&self, user: &str, password: &[u8], now: Duration) -> Option<Arc<Account>> {
        let tag = self.remembered.tag(&[user.as_bytes(), password]);
        self.remembered.look_up(&tag, now)
    }

    /// Who this is, if the password is right. An unknown user takes as long as a known one.
    pub(crate) async fn verify(&self, user: &str, password: &[u8], now: Duration) -> Result<Arc<Account>, Denied> {
        if password.len() > PASSWORD_BYTES_MAX {
            return Err(Denied::Credentials);
        }
        let era = self.remembered.era();
        let found = self
            .users
            .read()
            .get(user)
            .map(|user| (user.hash.to_string(), user.account.clone()));
        let (hash, account) = match found {
            Some((hash, account)) => (hash, Some(account)),
            None => (self.nobodys.clone(), None),
        };
        // It stays with the thread, which goes on when the client gives up.
        let permit = self.verifications.clone().acquire_owned().await;
        let permit = permit.map_err(|_closed| Denied::Undecided)?;
        if let Some(account) = self.recall(user, password, now) {
            // Another client of the same user was faster.
            return Ok(account);
        }
        let copy = password.to_vec();
        let verified = tokio::task::spawn_blocking(move || {
            let is_right = hash::verify(&copy, &hash);
            drop(permit);
            is_right
        });
        let is_right = verified.await.map_err(|_panicked| Denied::Undecided)?;
        match account.filter(|_| is_right) {
            None => Err(Denied::Credentials),
            Some(account) => {
                let tag = self.remembered.tag(&[user.as_bytes(), password]);
                self.remembered.note(tag, &account, now + self.remember, era);
                Ok(account)
            }
        }
    }
}

fn load_users(path: &Path) -> Result<Users, PasswordFileError> {
    let loaded = file::load(path)?;
    if loaded.is_open_to_others {
        tracing::warn!(
            path = %path.display(),
            "every user of this machine can read or change the password file; make it the broker's alone (chmod 600)"
        );
    }
    Ok(loaded.users)
}

#[cfg(test)]
mod tests;
