//! The engine that embeds rumqttd's router. It does what it does well: it says which filters a topic matches. Everything in which it is inexact
//! stays on our side:
//!
//! ```text
//! sessions ──Command──▶ queue ──▶ adapter thread ──topic + token───▶ rumqttd's router (one link, its own thread)
//!                                   │    ▲                               │
//!                                   │    └──── filter + token ───────────┘
//!                                   └──OrdinaryDelivery──▶ Sink of each subscribed session
//! ```
//!
//! Commands take effect in the order in which the calls returned. Every message that was taken is delivered, even when rumqttd's router panics in
//! between: the adapter then starts another one, puts the filters back and routes the unfinished messages again.
//!
//! How it keeps that: messages go to the router in *bursts*, small enough for its logs and its queue, and a burst ends
//! when the router has proved that it has nothing more to say about it (see `engine`). The router carries tokens, not
//! messages, so it never holds a payload, and an empty payload or a RETAIN flag means nothing to it.

mod adapter;
mod audience;
mod engine;
mod subscriptions;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use inbox_types::{Port, Qos, Ticket};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::retained::{Page, Replay, Retaining};
use super::{
    Counters, OrdinaryMessage, Orphan, PublishError, Published, Publisher, Reach, RouterOptions, SessionKey,
    SubscribeError, Together, Wanted,
};
use adapter::Adapter;
use audience::{Audience, Coming};

/// A handle to the adapter; clones share one. When the last handle goes, its threads end.
#[derive(Clone)]
pub(super) struct Embedded {
    commands: mpsc::Sender<Command>,
    /// Free room in the queue, in KiB: its permits travel with the messages.
    room: Arc<Semaphore>,
    room_kib: u32,
    audience: Arc<Audience>,
    retaining: Arc<Retaining>,
    /// There was a session that keeps what it is given.
    keeps: Arc<AtomicBool>,
}

/// What sessions ask of the adapter.
enum Command {
    Publish {
        message: Arc<OrdinaryMessage>,
        room: OwnedSemaphorePermit,
        /// Who is told when it is safe, if somebody may have to keep it.
        publisher: Option<Arc<Publisher>>,
        /// Only messages to retain can be refused, so only they wait for an answer.
        reply: Option<oneshot::Sender<Result<(), PublishError>>>,
    },
    Subscribe(Box<Subscribe>),
    Unsubscribe {
        session: SessionKey,
        subscription: u32,
    },
    Close {
        session: SessionKey,
        done: Option<oneshot::Sender<()>>,
    },
    /// Retained messages for a subscription.
    Hand {
        page: Page,
        done: oneshot::Sender<()>,
    },
    HandOver {
        orphans: Vec<Orphan>,
        /// Takes how many nobody else could have.
        lost: oneshot::Sender<u64>,
    },
    Shutdown {
        done: oneshot::Sender<()>,
    },
    #[cfg(test)]
    Crash,
}

struct Subscribe {
    wanted: Wanted,
    /// Until the adapter is done with it, nobody is told that a message reaches nobody.
    coming: Coming,
    reply: oneshot::Sender<Result<Option<Replay>, SubscribeError>>,
}

impl Embedded {
    /// Starts the adapter's thread and rumqttd's.
    pub(super) fn start(
        options: &RouterOptions,
        retaining: Arc<Retaining>,
        counters: Arc<Counters>,
    ) -> std::io::Result<Self> {
        let (commands, queue) = mpsc::channel(options.queue_commands_max.max(1));
        let room_kib = u32::try_from(options.queue_bytes_max / 1024)
            .unwrap_or(u32::MAX)
            .clamp(1, 1 << 24);
        let adapter = Adapter::new(queue, options.clone(), Arc::clone(&retaining), counters);
        let audience = adapter.audience();
        std::thread::Builder::new()
            .name("ordinary-topics".into())
            .spawn(move || adapter.run())?;
        Ok(Embedded {
            commands,
            room: Arc::new(Semaphore::new(room_kib as usize)),
            room_kib,
            audience,
            retaining,
            keeps: Arc::default(),
        })
    }

    pub(super) async fn publish_for(
        &self,
        message: Arc<OrdinaryMessage>,
        waits: Option<(&Arc<dyn Port>, Ticket)>,
        together: Option<&Arc<Together>>,
    ) -> Result<Published, PublishError> {
        let kib = u32::try_from(message.size() / 1024 + 1)
            .unwrap_or(u32::MAX)
            .min(self.room_kib);
        let room = Arc::clone(&self.room)
            .acquire_many_owned(kib)
            .await
            .map_err(|_| PublishError::Stopped)?;
        let (reply, answer) = if message.retain {
            Some(oneshot::channel()).unzip()
        } else {
            (None, None)
        };
        // Who publishes with QoS 0 is not told.
        let asks = (message.qos != Qos::AtMostOnce).then(|| Arc::clone(&message.topic));
        let is_kept = message.retain && self.retaining.keeps(&message);
        let waits = waits.filter(|_| is_kept || self.keeps.load(Ordering::Relaxed));
        let together = together.filter(|_| !message.retain);
        let publisher = waits.map(|(port, ticket)| Publisher::with(port, ticket, together));
        let command = Command::Publish {
            message,
            room,
            publisher: publisher.clone(),
            reply,
        };
        let mut taken = self.commands.send(command).await.map_err(|_| PublishError::Stopped);
        if let (Ok(()), Some(answer)) = (&taken, answer) {
            taken = answer.await.unwrap_or(Err(PublishError::Stopped));
        }
        if let Err(why) = taken {
            publisher.inspect(|publisher| publisher.is_answered());
            return Err(why);
        }
        let reach = asks.map_or(Reach::Somebody, |topic| self.reach(&topic));
        Ok(match publisher {
            Some(_) => Published::Later(reach),
            None => Published::Now(reach),
        })
    }

    pub(super) fn reach(&self, topic: &str) -> Reach {
        self.audience.reach(topic)
    }

    /// Gives what it is owed of the retained messages.
    pub(super) async fn subscribe(&self, wanted: Wanted) -> Result<Option<Replay>, SubscribeError> {
        if wanted.sink.keeps() {
            self.keeps.store(true, Ordering::Relaxed);
        }
        let (reply, answer) = oneshot::channel();
        let subscribe = Subscribe {
            wanted,
            coming: self.audience.coming(),
            reply,
        };
        self.commands
            .send(Command::Subscribe(Box::new(subscribe)))
            .await
            .map_err(|_| SubscribeError::Stopped)?;
        answer.await.unwrap_or(Err(SubscribeError::Stopped))
    }

    pub(super) async fn unsubscribe(&self, session: SessionKey, subscription: u32) {
        self.tell(Command::Unsubscribe { session, subscription }).await;
    }

    pub(super) async fn close(&self, session: SessionKey) {
        self.tell(Command::Close { session, done: None }).await;
    }

    pub(super) async fn close_and_wait(&self, session: SessionKey) {
        let (done, closed) = oneshot::channel();
        let done = Some(done);
        self.tell(Command::Close { session, done }).await;
        // An error means that the adapter has ended, and delivers nothing more.
        let _ = closed.await;
    }

    /// Delivers retained messages.
    pub(super) async fn hand(&self, page: Page) {
        let (done, delivered) = oneshot::channel();
        self.tell(Command::Hand { page, done }).await;
        // An error means that the adapter has ended, and delivers nothing more.
        let _ = delivered.await;
    }

    /// Gives the number of those that nobody else could have.
    pub(super) async fn hand_over(&self, orphans: Vec<Orphan>) -> u64 {
        let all = orphans.len() as u64;
        let (lost, answer) = oneshot::channel();
        self.tell(Command::HandOver { orphans, lost }).await;
        answer.await.unwrap_or(all)
    }

    pub(super) async fn shutdown(&self) {
        let (done, ended) = oneshot::channel();
        self.tell(Command::Shutdown { done }).await;
        // An error means that it had ended before.
        let _ = ended.await;
    }

    #[cfg(test)]
    pub(super) async fn crash(&self) {
        self.tell(Command::Crash).await;
    }

    async fn tell(&self, command: Command) {
        // When the adapter has ended there is nothing left to unsubscribe, close or shut down.
        let _ = self.commands.send(command).await;
    }
}
