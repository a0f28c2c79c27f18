//! Who publishes a message, and is told when it is safe.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use inbox_types::{AttachmentId, Delivery, Outcome, Port, Proof, Refusal, Room, Seq, Ticket};
use parking_lot::Mutex;

use crate::{Behind, OrdinaryMessage, PublishError, Reach, Router, Together};

/// The publisher of one message. Everyone who has to keep that message holds it until that is done; who lets go of it last tells the publisher.
pub struct Publisher {
    /// Nobody when it was told.
    port: Option<Arc<dyn Port>>,
    ticket: Ticket,
    refused: Mutex<Option<Refusal>>,
    is_answered: AtomicBool,
    /// What is kept of the message is kept with this.
    together: Weak<Together>,
}

/// When a publisher has its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// Now: nobody has to keep the message, or everyone does already.
    Now(Reach),
    /// Its port is told, perhaps before this is known: somebody keeps the message.
    Later(Reach),
}

impl Router {
    /// Like [`Router::publish`], for a publisher who waits until the message is safe: until every [`Sink`](crate::Sink) that keeps what it is given has it
    /// durably. If that takes its time, `port` is told under `ticket`: a refusal, if one of them could not.
    ///
    /// # Errors
    /// See [`PublishError`].
    pub async fn publish_for(
        &self,
        message: impl Into<Arc<OrdinaryMessage>>,
        port: &Arc<dyn Port>,
        ticket: Ticket,
    ) -> Result<Published, PublishError> {
        let message = message.into();
        match &self.engine {
            Behind::Native(engine) => engine.publish_for(message, Some((port, ticket)), None).await,
            Behind::Rumqttd(engine) => engine.publish_for(message, Some((port, ticket)), None).await,
        }
    }

    /// The same, and what is kept becomes durable in one commit, with the record of `together`; but for what is retained, which goes by
    /// itself.
    ///
    /// # Errors
    /// See [`PublishError`].
    pub async fn publish_once(
        &self,
        message: Arc<OrdinaryMessage>,
        port: &Arc<dyn Port>,
        ticket: Ticket,
        together: &Arc<Together>,
    ) -> Result<Published, PublishError> {
        match &self.engine {
            Behind::Native(engine) => engine.publish_for(message, Some((port, ticket)), Some(together)).await,
            Behind::Rumqttd(engine) => engine.publish_for(message, Some((port, ticket)), Some(together)).await,
        }
    }
}

impl Publisher {
    /// Tells `port` under `ticket` when nobody holds it any more.
    pub fn new(port: &Arc<dyn Port>, ticket: Ticket) -> Arc<Self> {
        Publisher::with(port, ticket, None)
    }

    /// The same; what is kept is kept `together`.
    pub(crate) fn with(port: &Arc<dyn Port>, ticket: Ticket, together: Option<&Arc<Together>>) -> Arc<Self> {
        Arc::new(Publisher {
            port: Some(Arc::clone(port)),
            ticket,
            refused: Mutex::new(None),
            is_answered: AtomicBool::new(false),
            together: together.map_or_else(Weak::new, Arc::downgrade),
        })
    }

    /// What the message is kept with, wherever it is.
    pub fn together(&self) -> Option<Arc<Together>> {
        self.together.upgrade()
    }

    /// Everyone has the message who is to have it.
    pub(crate) fn is_complete(self: &Arc<Self>) {
        if let Some(together) = self.together() {
            together.keep(self.clone(), self.refused.lock().is_some());
        }
    }

    /// It has its answer in another way, and is told nothing.
    pub(crate) fn is_answered(&self) {
        self.is_answered.store(true, Ordering::Relaxed);
    }

    /// Lets go of several. Those of one port that come one after the other, and that nobody else holds, are told together.
    pub fn let_go_of(all: &mut Vec<Arc<Publisher>>) {
        let mut told = Vec::with_capacity(all.len());
        let mut port: Option<Arc<dyn Port>> = None;
        let answers = all
            .drain(..)
            .filter_map(|publisher| Arc::into_inner(publisher)?.answer());
        for (theirs, ticket, outcome) in answers {
            if let Some(before) = port.replace(theirs)
                && port.as_ref().is_some_and(|port| !Arc::ptr_eq(port, &before))
            {
                before.settle_all(&mut told);
            }
            told.push((ticket, outcome));
        }
        if let Some(port) = port {
            port.settle_all(&mut told);
        }
    }

    /// Who is to be told, and what; once.
    #[allow(
        clippy::disallowed_methods,
        reason = "an ordinary message has no place in an inbox: everyone who keeps it has settled"
    )]
    fn answer(&mut self) -> Option<(Arc<dyn Port>, Ticket, Outcome)> {
        let port = self.port.take()?;
        if *self.is_answered.get_mut() {
            return None;
        }
        let outcome = match self.refused.get_mut().take() {
            Some(why) => Outcome::Refused(why),
            None => Outcome::Accepted(Proof::of(Seq::ZERO)),
        };
        Some((port, self.ticket, outcome))
    }
}

/// It is itself and nobody else.
impl PartialEq for Publisher {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for Publisher {}

impl std::fmt::Debug for Publisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Publisher").field(&self.ticket).finish()
    }
}

/// Whoever keeps the message says so here.
impl Port for Publisher {
    fn deliver(&self, _: AttachmentId, _: Delivery) -> Room {
        Room::Left
    }

    fn settle(&self, _: Ticket, outcome: Outcome) {
        if let Outcome::Refused(why) = outcome {
            *self.refused.lock() = Some(why);
        }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        if let Some((port, ticket, outcome)) = self.answer() {
            port.settle(ticket, outcome);
        }
    }
}

impl Published {
    /// Who the message can reach.
    pub fn reach(self) -> Reach {
        match self {
            Published::Now(reach) | Published::Later(reach) => reach,
        }
    }
}
