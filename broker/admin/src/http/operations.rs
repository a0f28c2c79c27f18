//! Requests of operators, and who carries them out.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;

use serde_json::Value;
use tokio::sync::mpsc;

use super::pieces::Pieces;
use crate::error::{Code, OperatorError};

/// A request that was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// Why, for programs.
    pub code: Code,
    /// Why, as a sentence.
    pub message: String,
}

impl ApiError {
    /// This sentence.
    pub fn new(code: Code, message: impl fmt::Display) -> Self {
        ApiError {
            code,
            message: message.to_string(),
        }
    }
}

impl From<OperatorError> for ApiError {
    fn from(error: OperatorError) -> Self {
        ApiError::new(error.code(), error)
    }
}

/// A request of an operator.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// What is to be done, such as `inbox/list`.
    pub command: &'static str,
    /// Its parameters: an object.
    pub parameters: Value,
    /// Who asks, for logs.
    pub who: String,
}

/// The answer to a request, when there is one.
pub type Wanted<'a, T> = Pin<Box<dyn Future<Output = Result<T, ApiError>> + Send + 'a>>;

/// Carries requests out. Whoever asks is allowed to.
pub trait Operations: Send + Sync + 'static {
    /// Does it, and gives its result.
    fn answer(&self, request: Request) -> Wanted<'_, Value>;

    /// Does it, and gives one result after the other until it is over, or whoever asked has gone: the receiver is dropped then.
    fn stream(&self, request: Request) -> Wanted<'_, mpsc::Receiver<Value>>;

    /// Begins a backup, which ends when whoever asked has gone: the pieces are dropped then.
    fn backup(&self, request: Request) -> Wanted<'_, Pieces>;
}

/// A request that would have changed something, as the audit log has it.
#[derive(Debug)]
pub struct Performed<'p> {
    /// What was to be done.
    pub command: &'static str,
    /// Its parameters.
    pub parameters: &'p Value,
    /// Who asked.
    pub who: &'p str,
    /// From where.
    pub peer: SocketAddr,
    /// Why it was not done.
    pub error: &'p ApiError,
}
