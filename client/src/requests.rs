//! Requests about the own inbox, and about messages that were sent (docs/protocol.md, "Requests").

use std::fmt::Display;

use crate::error::SendError;
use crate::inbox::Inbox;
use crate::message::Message;
use crate::outbox::Destination;
use crate::sent::Sent;
use crate::shared::request;
use crate::undelivered::{NotToldWhy, Undelivered};

/// What became of a recall or an edit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Recalled {
    /// It had not left the outbox.
    BeforeSending,
    /// It was undelivered: the recipient never sees it, or sees the new one only.
    Undelivered,
    /// The recipient had it, or may have had it, or there was no such message: it is told.
    RecipientTold,
}

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// It was not taken.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The broker refused it, or nobody knows.
    #[error(transparent)]
    Refused(#[from] Undelivered),
}

impl Inbox {
    /// Takes a message back that was sent to `to` with this id. One that is still in the outbox leaves it; if it was published, this asks the broker, with
    /// `$inbox/recall`, and waits until what became of it is durable (contract rule 12).
    ///
    /// # Errors
    /// [`RequestError::Refused`]: this client may not write to `to` any more, or the broker has no `$inbox/recall`.
    pub async fn recall(&self, to: &str, id: &str) -> Result<Recalled, RequestError> {
        if self.shared().take_back(to, id) {
            return Ok(Recalled::BeforeSending);
        }
        let body = serde_json::json!({ "to": to, "id": id });
        self.ask("$inbox/recall", to, request(body.to_string().into())).await
    }

    /// Asks the broker, with `$inbox/edit`, to replace a message that was sent to `to` with this id, and waits until that is durable. Its handle goes on: receipts tell
    /// of the new one.
    ///
    /// # Errors
    /// As [`Inbox::recall`]; also where `to` has no room for the new message.
    pub async fn edit(&self, to: &str, id: &str, message: impl Into<Message>) -> Result<Recalled, RequestError> {
        let mut message = message.into();
        message.receipts = crate::message::Receipts::NONE;
        let named = [("to", to), ("id", id)].map(|(name, value)| (name.to_owned(), value.to_owned()));
        message.properties.splice(0..0, named);
        self.ask("$inbox/edit", to, message).await
    }

    /// Says that everything from `from` with these ids was read, as [`Delivery::mark_read`](crate::Delivery::mark_read) does of one message.
    /// [`Sent::stored`] says when the broker knows it.
    ///
    /// # Errors
    /// As [`Inbox::send`].
    pub async fn mark_read<T: AsRef<str>>(&self, from: &str, ids: &[T]) -> Result<Sent, SendError> {
        let ids: Vec<&str> = ids.iter().map(AsRef::as_ref).collect();
        self.tell("read", &serde_json::json!({ "from": from, "ids": ids }))
            .await
    }

    /// Says that everything up to this [`Delivery::seq`](crate::Delivery::seq) was read, whoever sent it.
    ///
    /// # Errors
    /// As [`Inbox::send`].
    pub async fn mark_read_up_to(&self, seq: u64) -> Result<Sent, SendError> {
        self.tell("read", &serde_json::json!({ "up_to": seq })).await
    }

    /// Switches read receipts of this inbox on or off, durably: with `false`, senders are not told any more what was read.
    ///
    /// # Errors
    /// As [`Inbox::send`].
    pub async fn tell_when_read(&self, is_told: bool) -> Result<Sent, SendError> {
        self.tell("receipts", &serde_json::json!({ "read": is_told })).await
    }

    async fn tell(&self, what: &str, body: &impl Display) -> Result<Sent, SendError> {
        let to = Destination::Request(format!("$inbox/{what}"));
        let pending = self.shared().submit(to, request(body.to_string().into()))?;
        pending.saved().await
    }

    /// Asks for something about messages to `to`, behind those.
    async fn ask(&self, topic: &str, to: &str, message: Message) -> Result<Recalled, RequestError> {
        let (topic, to) = (topic.to_owned(), to.to_owned());
        let to = Destination::About { topic, to };
        let sent = self.shared().submit(to, message)?.saved().await?;
        sent.stored().await?;
        match sent.answer().as_deref() {
            Some("told") => Ok(Recalled::RecipientTold),
            Some("recalled" | "edited") => Ok(Recalled::Undelivered),
            // It took this for a message like any other.
            _ => Err(Undelivered::NotTold {
                why: NotToldWhy::Broker,
            }
            .into()),
        }
    }
}
