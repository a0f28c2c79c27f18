//! What became of a message that was sent.

use tokio::sync::watch;

use crate::error::StopReason;
use crate::message::Receipts;
use crate::undelivered::{NotToldWhy, Undelivered};

/// Where the broker has a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Its sequence number in the recipient's inbox (contract rule 6); `None` where the broker does not tell.
    pub seq: Option<u64>,
}

/// How far a message is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SentState {
    /// It is in the outbox.
    Waiting,
    /// The broker has it on disk, or its recipient has it (contract rule 3).
    Stored(Stored),
    /// Its recipient acknowledged it.
    Delivered,
    /// Its recipient's application says that it was read.
    Read,
    /// It did not get any further.
    Failed(Undelivered),
}

/// What is known of a message.
#[derive(Debug, Clone, Default)]
pub(crate) struct Progress {
    pub(crate) asked: Receipts,
    pub(crate) stored: Option<Stored>,
    pub(crate) delivered: bool,
    pub(crate) read: bool,
    pub(crate) failed: Option<Undelivered>,
    pub(crate) untold: Option<NotToldWhy>,
    pub(crate) over: Option<Over>,
    /// What a request was answered: `recalled`, `told` and so on.
    pub(crate) answer: Option<String>,
}

/// Why nothing more comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    Closed,
    Stopped(StopReason),
}

impl From<Over> for Undelivered {
    fn from(over: Over) -> Self {
        match over {
            Over::Closed => Undelivered::Closed,
            Over::Stopped(reason) => Undelivered::Stopped(reason),
        }
    }
}

/// A message that was sent. Clones tell of the same message; dropping them changes nothing.
///
/// Each question can be asked several times, in any order, and given up at any time.
///
/// ```no_run
/// # use std::time::Duration;
/// # use inbox_client::{Sent, Undelivered};
/// # async fn program(sent: &Sent) {
/// match tokio::time::timeout(Duration::from_secs(5), sent.delivered()).await {
///     Ok(Ok(())) => println!("{} has it", sent.to()),
///     Ok(Err(Undelivered::Dropped { why })) => println!("{} never saw it: {why}", sent.to()),
///     Ok(Err(other)) => println!("{other}"),
///     Err(_) => println!("not yet: {:?}", sent.state()), // ask again later, or never
/// }
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "without asking nobody knows what became of the message"]
pub struct Sent {
    pub(crate) to: String,
    pub(crate) id: String,
    pub(crate) progress: watch::Receiver<Progress>,
}

impl Sent {
    /// The id by which repeats are recognised.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The recipient.
    pub fn to(&self) -> &str {
        &self.to
    }

    /// Waits until the broker has the message on disk, or the recipient has it (contract rule 3). Cancel safe.
    ///
    /// # Errors
    /// [`Undelivered::Refused`], [`Undelivered::Expired`], [`Undelivered::Recalled`]: nobody has it, and nobody will. [`Undelivered::Closed`],
    /// [`Undelivered::Stopped`]: nobody knows yet.
    pub async fn stored(&self) -> Result<Stored, Undelivered> {
        self.until(|progress| progress.stored.map(Ok)).await
    }

    /// Waits until the recipient has acknowledged the message. Cancel safe.
    ///
    /// # Errors
    /// As [`Sent::stored`], and [`Undelivered::Dropped`], [`Undelivered::Rejected`]: it left the inbox otherwise; [`Undelivered::NotTold`]: nobody
    /// tells.
    pub async fn delivered(&self) -> Result<(), Undelivered> {
        self.until(|progress| {
            if progress.delivered || progress.read {
                return Some(Ok(()));
            }
            let asked = progress.asked.delivered || progress.asked.read;
            progress.not_told(asked).map(Err)
        })
        .await
    }

    /// Waits until the recipient's application said that the message was read, which it may never do. Cancel safe.
    ///
    /// # Errors
    /// As [`Sent::delivered`].
    pub async fn read(&self) -> Result<(), Undelivered> {
        self.until(|progress| match progress.read {
            true => Some(Ok(())),
            false => progress.not_told(progress.asked.read).map(Err),
        })
        .await
    }

    /// How far it is now.
    pub fn state(&self) -> SentState {
        self.progress.borrow().state()
    }

    /// Waits until [`Sent::state`] may be another one. `false`: it will not be. Cancel safe.
    pub async fn changed(&mut self) -> bool {
        self.progress.changed().await.is_ok()
    }

    /// What a request was answered.
    pub(crate) fn answer(&self) -> Option<String> {
        self.progress.borrow().answer.clone()
    }

    async fn until<T>(&self, look: impl Fn(&Progress) -> Option<Result<T, Undelivered>>) -> Result<T, Undelivered> {
        let mut progress = self.progress.clone();
        loop {
            let found = {
                let progress = progress.borrow_and_update();
                look(&progress).or_else(|| progress.ended().map(Err))
            };
            if let Some(found) = found {
                return found;
            }
            if progress.changed().await.is_err() {
                let last = look(&progress.borrow());
                return last.unwrap_or(Err(Undelivered::Closed));
            }
        }
    }
}

impl Progress {
    pub(crate) fn asking(asked: Receipts) -> Self {
        Progress {
            asked,
            ..Progress::default()
        }
    }

    /// The failure of it, or the end of everything.
    fn ended(&self) -> Option<Undelivered> {
        self.failed.clone().or_else(|| self.over.map(Undelivered::from))
    }

    /// Why nobody will tell, once the broker has the message.
    fn not_told(&self, asked: bool) -> Option<Undelivered> {
        let why = match asked {
            true => self.untold?,
            false => NotToldWhy::NotAsked,
        };
        self.stored.map(|_| Undelivered::NotTold { why })
    }

    fn state(&self) -> SentState {
        match (&self.failed, self.stored) {
            (Some(failed), _) => SentState::Failed(failed.clone()),
            (None, _) if self.read => SentState::Read,
            (None, _) if self.delivered => SentState::Delivered,
            (None, Some(stored)) => SentState::Stored(stored),
            (None, None) => match self.over {
                Some(over) => SentState::Failed(over.into()),
                None => SentState::Waiting,
            },
        }
    }
}
