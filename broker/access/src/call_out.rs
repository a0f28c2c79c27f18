//! A service of the operator's own is asked who a client is.
//!
//! It is sent a POST with a JSON object: `client_id`, `user`, `password` (text, or `password_hex` where it is no UTF-8), `peer`. Only an answer 200 with
//! `{"allow": true, …}` lets a client in. Anything else refuses it: another status, a redirect, garbage, too many bytes, no answer in time.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use inbox_types::hexadecimal;
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::authenticator::Credentials;
use crate::client_ids::{ClientIds, is_user_name};
use crate::denied::Denied;
use crate::http::{Endpoint, UrlError};
use crate::identity::{Account, Shown};
use crate::remembered::{NoRandomness, Remembered, Tag};

/// Largest answer, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Requests at a time; the others wait.
const REQUESTS_MAX: usize = 64;
/// Roles, and patterns of client IDs, in one answer.
const LIST_MAX: usize = 64;

/// Why a service cannot be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallOutError {
    /// Its URL cannot be used.
    #[error("auth.http.url: {0}")]
    Url(#[from] UrlError),
    /// There are no random numbers.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
}

/// See the module's documentation.
pub struct CallOut {
    endpoint: Endpoint,
    timeout: Duration,
    cache: Duration,
    remembered: Remembered,
    requests: Semaphore,
}

impl CallOut {
    /// Asks `url`, waits for an answer for `timeout`, and remembers a success for `cache`.
    ///
    /// # Errors
    /// See [`CallOutError`].
    pub fn new(url: &str, timeout: Duration, cache: Duration) -> Result<Self, CallOutError> {
        Ok(CallOut {
            endpoint: Endpoint::parse(url)?,
            timeout,
            cache,
            remembered: Remembered::new()?,
            requests: Semaphore::new(REQUESTS_MAX),
        })
    }

    /// Forgets whom the service let in.
    pub fn forget(&self) {
        self.remembered.forget();
    }

    /// Who this is, if the service said so a short time ago. `now` is on a monotonic clock.
    pub(crate) fn recall(&self, credentials: &Credentials, now: Duration) -> Option<Arc<Account>> {
        self.remembered.look_up(&self.tag(credentials), now)
    }

    /// Asks the service.
    pub(crate) async fn ask(&self, credentials: &Credentials, now: Duration) -> Result<Arc<Account>, Denied> {
        let era = self.remembered.era();
        let answer = timeout(self.timeout, async {
            let _permit = self.requests.acquire().await;
            self.endpoint.post(question(credentials), ANSWER_BYTES_MAX).await
        });
        let failed = |error: &dyn std::fmt::Display| {
            tracing::warn!(service = ?self.endpoint, %error, "the service that authenticates clients (auth.http.url) does not answer as it should");
            Denied::Undecided
        };
        let answer = answer.await.map_err(|_elapsed| failed(&"it gave no answer in time"))?;
        let answer = answer.map_err(|error| failed(&error))?;
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        let account = match read_answer(&answer, credentials, wall) {
            Ok(account) => Arc::new(account.ok_or(Denied::Credentials)?),
            Err(NotAnAnswer) => return Err(failed(&NotAnAnswer)),
        };
        let lasts = account.expires_at.map_or(u64::MAX, |end| end.saturating_sub(wall));
        let until = now + self.cache.min(Duration::from_secs(lasts));
        self.remembered.note(self.tag(credentials), &account, until, era);
        Ok(account)
    }

    /// Everything that the answer may depend on, but for the port.
    fn tag(&self, credentials: &Credentials) -> Tag {
        let user = credentials.user.as_deref().unwrap_or_default();
        self.remembered.tag(&[
            credentials.client_id.as_str().as_bytes(),
            user.as_bytes(),
            credentials.password.as_deref().unwrap_or_default(),
            credentials.origin.peer.ip().to_string().as_bytes(),
        ])
    }
}

/// The answer is no JSON object that says whether the client may come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "its answer is not {{\"allow\": true or false, \"user\": …, \"roles\": […], \"client_ids\": […], \"expires_in\": seconds}}"
)]
struct NotAnAnswer;

fn question(credentials: &Credentials) -> Vec<u8> {
    let mut question = Map::new();
    question.insert("client_id".to_owned(), json!(credentials.client_id.as_str()));
    question.insert("peer".to_owned(), json!(credentials.origin.peer.to_string()));
    question.insert("user".to_owned(), json!(credentials.user));
    let password = credentials.password.as_deref().unwrap_or_default();
    match str::from_utf8(password) {
        Ok(text) => question.insert("password".to_owned(), json!(text)),
        Err(_) => question.insert("password_hex".to_owned(), json!(hexadecimal(password))),
    };
    Value::Object(question).to_string().into_bytes()
}

/// The account that an answer gives; `None`: the client is not let in.
fn read_answer(answer: &[u8], credentials: &Credentials, wall: u64) -> Result<Option<Account>, NotAnAnswer> {
    let answer: Map<String, Value> = serde_json::from_slice(answer).map_err(|_| NotAnAnswer)?;
    match answer.get("allow") {
        Some(Value::Bool(true)) => {}
        Some(Value::Bool(false)) => return Ok(None),
        _ => return Err(NotAnAnswer),
    }
    let user = match answer.get("user") {
        Some(user) => user.as_str(),
        None => credentials.user.as_deref(),
    };
    let user = user.filter(|user| is_user_name(user)).ok_or(NotAnAnswer)?;
    let list = |name: &str| answer.get(name).map(texts).transpose();
    let expires_in = match answer.get("expires_in") {
        Some(seconds) => Some(seconds.as_u64().ok_or(NotAnAnswer)?),
        None => None,
    };
    Ok(Some(Account {
        user: user.into(),
        roles: list("roles")?.unwrap_or_default(),
        client_ids: list("client_ids")?.map_or(ClientIds::Own, ClientIds::Listed),
        shown: Shown::Asked,
        expires_at: expires_in.map(|seconds| wall.saturating_add(seconds)),
        ..Account::default()
    }))
}

fn texts(list: &Value) -> Result<Vec<Box<str>>, NotAnAnswer> {
    let list = list
        .as_array()
        .filter(|list| list.len() <= LIST_MAX)
        .ok_or(NotAnAnswer)?;
    let texts = list
        .iter()
        .map(|text| text.as_str().filter(|text| !text.is_empty()).map(Box::from));
    texts.collect::<Option<_>>().ok_or(NotAnAnswer)
}

#[cfg(test)]
mod tests;
