//! An inbox, for programs with async.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use futures_core::Stream;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::connection::Settings;
use crate::delivery::Delivery;
use crate::driver::{Driver, FirstOutcome};
use crate::error::{ConnectError, SendError};
use crate::event::{Events, Status};
use crate::message::Message;
use crate::options::{InboxOptions, can_have_an_inbox};
use crate::outbox::Destination;
use crate::sent::Sent;
use crate::shared::{Command, Shared};
use crate::store::Store;

/// The inbox of one client, and its way to all others.
///
/// It keeps itself connected. Clones are the same inbox; when the last one is dropped, the connection ends at once, and what was not sent stays in an
/// outbox on disk. [`Inbox::close`] waits for the outbox first.
///
/// ```no_run
/// # use std::time::Duration;
/// # use inbox_client::{Inbox, InboxOptions};
/// # async fn program() -> Result<(), Box<dyn std::error::Error>> {
/// // `open` does not wait for the broker: what is sent without it goes out when it is there.
/// let inbox = Inbox::open(InboxOptions::new("mqtt://localhost", "sensor-7").outbox("sensor-7.redb")).await?;
/// inbox.send("collector", "21.5").await?;
/// if let Err(late) = inbox.close(Duration::from_secs(10)).await {
///     eprintln!("{late}"); // they are on disk, and go out the next time
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Inbox {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    mail: flume::Receiver<Delivery>,
    first: watch::Receiver<FirstOutcome>,
    task: Mutex<Option<JoinHandle<()>>>,
    store: Mutex<Option<thread::JoinHandle<()>>>,
}

/// The inbox was closed, and some messages were not acknowledged by then. They are in the outbox, if that is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{messages} messages were not sent in time; an outbox on disk keeps them")]
pub struct NotAllSent {
    /// How many.
    pub messages: usize,
}

impl Inbox {
    /// Opens the outbox, connects, and begins to read the own inbox. Call it within a Tokio runtime.
    ///
    /// # Errors
    /// Everything that [`Inbox::open`] tells; [`ConnectError::Stopped`]: the broker says no; [`ConnectError::Lost`]: the first attempt failed, but another
    /// one may not.
    pub async fn connect(options: InboxOptions) -> Result<Inbox, ConnectError> {
        let inbox = Inbox::open(options).await?;
        match inbox.first_attempt().await {
            Ok(()) => Ok(inbox),
            Err(why) => {
                // Releases the outbox, so that the next attempt finds it free.
                let _nothing_was_sent = inbox.close(Duration::ZERO).await;
                Err(why)
            }
        }
    }

    /// Opens the outbox, and goes on connecting until it succeeds. Messages can be sent at once: they wait in the outbox. Call it within a Tokio runtime.
    ///
    /// # Errors
    /// [`ConnectError::Url`], [`ConnectError::ClientId`], [`ConnectError::Tls`], [`ConnectError::Outbox`].
    pub async fn open(options: InboxOptions) -> Result<Inbox, ConnectError> {
        if !can_have_an_inbox(&options.client_id, &options.inbox_prefix) {
            return Err(ConnectError::ClientId { id: options.client_id });
        }
        let settings = Settings::new(&options)?;
        let path = options.outbox.clone();
        let opened = tokio::task::spawn_blocking(move || Store::open(path)).await;
        let (store, thread, kept) = opened.map_err(|_| ConnectError::Ended)??;
        // What was handed over on earlier connections may wait beside a window of new messages.
        let (mail, received) = flume::bounded(2 * usize::from(options.limits.window) + 16);
        let (shared, commands) = Shared::new(options, store, kept);
        let shared = Arc::new(shared);
        let (first, outcome) = watch::channel(None);
        let driver = Driver::new(shared.clone(), settings, commands, mail, first);
        Ok(Inbox {
            inner: Arc::new(Inner {
                shared,
                mail: received,
                first: outcome,
                task: Mutex::new(Some(tokio::spawn(driver.run()))),
                store: Mutex::new(Some(thread)),
            }),
        })
    }

    /// Waits for the outcome of the first attempt to connect. Cancel safe.
    ///
    /// # Errors
    /// [`ConnectError::Stopped`], [`ConnectError::Lost`].
    pub async fn first_attempt(&self) -> Result<(), ConnectError> {
        let mut first = self.inner.first.clone();
        let outcome = first.wait_for(Option::is_some).await;
        outcome.map_or(Err(ConnectError::Ended), |outcome| {
            outcome.clone().unwrap_or(Err(ConnectError::Ended))
        })
    }

    /// The client ID, which is the name of the inbox.
    pub fn client_id(&self) -> &str {
        &self.inner.shared.options.client_id
    }

    /// Sends a message to the inbox of client `to`, also where nobody of that name was ever there. When this returns, the message is in the outbox, on disk if that is; messages to one recipient keep their order.
    ///
    /// Dropping the future does not take the message back.
    ///
    /// # Errors
    /// See [`SendError`]: the message was not taken, and will not be sent.
    pub async fn send(&self, to: &str, message: impl Into<Message>) -> Result<Sent, SendError> {
        let to = Destination::Inbox(to.to_owned());
        self.inner.shared.submit(to, message.into())?.saved().await
    }

    /// The next message, in the order of the inbox; `None` when the inbox has ended. Cancel safe. Several callers share what comes.
    pub async fn recv(&self) -> Option<Delivery> {
        self.inner.mail.recv_async().await.ok()
    }

    /// The messages as a [`Stream`], in the order of the inbox; it ends when the inbox has ended. It takes from the same queue as [`Inbox::recv`].
    pub fn deliveries(&self) -> Deliveries {
        Deliveries {
            mail: self.inner.mail.clone().into_stream(),
            _inbox: self.clone(),
        }
    }

    /// Calls `handle` for each message, one after the other, in a task of its own, as long as the inbox lives. Acknowledging is up to `handle`.
    ///
    /// The task ends with the inbox; dropping its handle does not end it. Call this within a Tokio runtime.
    ///
    /// ```no_run
    /// # fn program(inbox: &inbox_client::Inbox) {
    /// inbox.on_message(|delivery| async move {
    ///     println!("{}: {} bytes", delivery.from, delivery.payload.len());
    ///     if let Err(why) = delivery.ack().await {
    ///         eprintln!("{why}");
    ///     }
    /// });
    /// # }
    /// ```
    pub fn on_message<F, Handled>(&self, mut handle: F) -> JoinHandle<()>
    where
        F: FnMut(Delivery) -> Handled + Send + 'static,
        Handled: Future<Output = ()> + Send,
    {
        let mail = self.inner.mail.clone();
        tokio::spawn(async move {
            while let Ok(delivery) = mail.recv_async().await {
                handle(delivery).await;
            }
        })
    }

    /// Whether it is connected now.
    pub fn status(&self) -> Status {
        self.inner.shared.status()
    }

    /// The epoch of the broker's store, as last told: the name of one unbroken life of it. `None` before the first connection, and where the broker
    /// is not inboxd.
    pub fn epoch(&self) -> Option<String> {
        self.inner.shared.lock().arrivals.standing().epoch.clone()
    }

    /// What happens beside messages, from now on: connections that come and go, gaps, recipients without room.
    pub fn events(&self) -> Events {
        Events(self.inner.shared.listen())
    }

    /// The messages that are in the outbox, or whose receipts are awaited, oldest first; those of earlier lives of the program among them, so a
    /// program that was started again learns here what became of what it had sent.
    pub fn outbox(&self) -> Vec<Sent> {
        self.inner.shared.sent()
    }

    /// Waits until the broker has everything that was sent. Cancel safe. `false`: the inbox ended before.
    pub async fn flushed(&self) -> bool {
        let mut waiting = self.inner.shared.waiting();
        loop {
            if *waiting.borrow_and_update() == 0 {
                return true;
            }
            if self.inner.shared.is_over() || waiting.changed().await.is_err() {
                return false;
            }
        }
    }

    /// Waits for the outbox, not longer than `deadline`, sends the acknowledgements that were made, and ends the connection. Other clones of the inbox
    /// are closed with it.
    ///
    /// # Errors
    /// [`NotAllSent`]: `deadline`, counted from now, came first. The inbox is closed all the same.
    pub async fn close(&self, deadline: Duration) -> Result<(), NotAllSent> {
        let shared = &self.inner.shared;
        shared.begin_to_close();
        let _in_time = timeout(deadline, self.flushed()).await;
        let messages = *shared.waiting().borrow();
        shared.command(Command::Close);
        let task = self.inner.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            // It panics only with a broken invariant, which it has told.
            let _ended = task.await;
        }
        let store = self.inner.store.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (joined, ended) = oneshot::channel();
        tokio::task::spawn_blocking(move || {
            let _ended = store.map(thread::JoinHandle::join);
            let _nobody = joined.send(());
        });
        let _joined = ended.await;
        match messages {
            0 => Ok(()),
            messages => Err(NotAllSent { messages }),
        }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.inner.shared
    }

    pub(crate) fn mail(&self) -> &flume::Receiver<Delivery> {
        &self.inner.mail
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.command(Command::Abandon);
    }
}

/// The messages of an inbox as a stream, which keeps the inbox open.
pub struct Deliveries {
    mail: flume::r#async::RecvStream<'static, Delivery>,
    _inbox: Inbox,
}

impl std::fmt::Debug for Deliveries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deliveries").finish_non_exhaustive()
    }
}

impl Stream for Deliveries {
    type Item = Delivery;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Delivery>> {
        Pin::new(&mut self.mail).poll_next(context)
    }
}
