//! Why a broker was not asked, or there is no whole answer.

use std::io;

use crate::error::Code;

/// Why nothing was asked.
#[derive(Debug, thiserror::Error)]
pub enum UrlError {
    /// It is no URL of a broker.
    #[error("{url:?} is not the URL of a broker, like http://127.0.0.1:8080")]
    NotHttp {
        /// What was given.
        url: String,
    },
    /// Nobody answers there.
    #[error("no broker answers at {url}: {why}")]
    Unreachable {
        /// Where.
        url: String,
        /// What the system says.
        #[source]
        why: io::Error,
    },
    /// What answers is something else.
    #[error("what answers at {url} is not HTTP")]
    NotUnderstood {
        /// Where.
        url: String,
    },
}

/// Why there is no answer, or no whole one.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody was asked.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// It does not do what it was asked to.
    #[error("the broker at {url} refuses: {message}")]
    Refused {
        /// Where.
        url: String,
        /// Why, for programs.
        code: Code,
        /// Why, as a sentence.
        message: String,
    },
    /// The answer began, and has no end.
    #[error("the broker at {url} did not finish its answer: {why}; its log may say more")]
    Broken {
        /// Where.
        url: String,
        /// What the system says.
        #[source]
        why: io::Error,
    },
    /// Something else answers.
    #[error("what answers at {url} is not inboxd")]
    NotOurs {
        /// Where.
        url: String,
    },
}
