//! The same inbox for programs without async.
//!
//! It has a runtime of its own, with one thread. Nothing in here may be called, or dropped, within another runtime.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use inbox_client::InboxOptions;
//! use inbox_client::blocking::Inbox;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let inbox = Inbox::connect(InboxOptions::new("mqtt://localhost", "alice").outbox("alice.redb"))?;
//! inbox.on_message(|delivery| {
//!     println!("{} says {}", delivery.from, delivery.text().unwrap_or("something that is no text"));
//!     if let Err(why) = delivery.ack() {
//!         eprintln!("it comes again: {why}");
//!     }
//! });
//! inbox.send("bob", "hello")?.stored()?;
//! inbox.close(Duration::from_secs(10))?;
//! # Ok(())
//! # }
//! ```

use std::fmt;
use std::io;
use std::ops::Deref;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use crate::error::{AckError, ConnectError, SendError};
use crate::event::{Event, Status};
use crate::inbox::NotAllSent;
use crate::message::Message;
use crate::options::InboxOptions;
use crate::requests::{Recalled, RequestError};
use crate::sent::{SentState, Stored};
use crate::undelivered::Undelivered;

/// [`crate::Inbox`] with calls that block; what they do is said there.
#[derive(Clone)]
pub struct Inbox {
    inbox: crate::Inbox,
    runtime: Arc<Runtime>,
}

/// Why a blocking inbox was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no thread for it.
    #[error("there is no thread for the connection: {0}")]
    Thread(#[from] io::Error),
    /// As with async.
    #[error(transparent)]
    Connect(#[from] ConnectError),
}

impl Inbox {
    /// Opens the outbox, connects, and begins to read: see [`crate::Inbox::connect`].
    ///
    /// # Errors
    /// [`OpenError`]: there is no thread for it, or it fails as with async.
    pub fn connect(options: InboxOptions) -> Result<Inbox, OpenError> {
        let runtime = runtime()?;
        let inbox = runtime.block_on(crate::Inbox::connect(options))?;
        Ok(Inbox { inbox, runtime })
    }

    /// Opens the outbox, and goes on connecting: see [`crate::Inbox::open`].
    ///
    /// # Errors
    /// [`OpenError`]: there is no thread for it, or it fails as with async.
    pub fn open(options: InboxOptions) -> Result<Inbox, OpenError> {
        let runtime = runtime()?;
        let inbox = runtime.block_on(crate::Inbox::open(options))?;
        Ok(Inbox { inbox, runtime })
    }

    /// The client ID, which is the name of the inbox.
    pub fn client_id(&self) -> &str {
        self.inbox.client_id()
    }

    /// Whether it is connected now.
    pub fn status(&self) -> Status {
        self.inbox.status()
    }

    /// The epoch of the broker's store: see [`crate::Inbox::epoch`].
    pub fn epoch(&self) -> Option<String> {
        self.inbox.epoch()
    }

    /// Sends a message to the inbox of client `to`: see [`crate::Inbox::send`].
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn send(&self, to: &str, message: impl Into<Message>) -> Result<Sent, SendError> {
        let sent = self.runtime.block_on(self.inbox.send(to, message))?;
        Ok(self.wrap(sent))
    }

    /// Waits for the next message; `None` when the inbox has ended.
    pub fn recv(&self) -> Option<Delivery> {
        let delivery = self.inbox.mail().recv().ok()?;
        Some(self.deliver(delivery))
    }

    /// Waits for the next message, not longer than this; `None` when none came, or the inbox has ended.
    pub fn recv_within(&self, time: Duration) -> Option<Delivery> {
        let delivery = self.inbox.mail().recv_timeout(time).ok()?;
        Some(self.deliver(delivery))
    }

    /// Calls this for each message, one after the other, on a thread of its own that ends with the inbox. Acknowledging is up to `handle`.
    pub fn on_message(&self, mut handle: impl FnMut(Delivery) + Send + 'static) -> thread::JoinHandle<()> {
        let mail = self.inbox.mail().clone();
        let runtime = self.runtime.clone();
        thread::spawn(move || {
            for delivery in mail {
                let runtime = runtime.clone();
                handle(Delivery { delivery, runtime });
            }
        })
    }

    /// Calls this for each event, on a thread of its own that ends with the inbox.
    pub fn on_event(&self, mut handle: impl FnMut(Event) + Send + 'static) -> thread::JoinHandle<()> {
        let mut events = self.inbox.events();
        let runtime = self.runtime.clone();
        thread::spawn(move || {
            while let Some(event) = runtime.block_on(events.next()) {
                handle(event);
            }
        })
    }

    /// The messages in the outbox, and those whose receipts are awaited: see [`crate::Inbox::outbox`].
    pub fn outbox(&self) -> Vec<Sent> {
        let sent = self.inbox.outbox().into_iter();
        sent.map(|sent| self.wrap(sent)).collect()
    }

    /// See [`crate::Inbox::recall`].
    ///
    /// # Errors
    /// See [`RequestError`].
    pub fn recall(&self, to: &str, id: &str) -> Result<Recalled, RequestError> {
        self.runtime.block_on(self.inbox.recall(to, id))
    }

    /// See [`crate::Inbox::edit`].
    ///
    /// # Errors
    /// See [`RequestError`].
    pub fn edit(&self, to: &str, id: &str, message: impl Into<Message>) -> Result<Recalled, RequestError> {
        self.runtime.block_on(self.inbox.edit(to, id, message))
    }

    /// Says that messages were read: see [`crate::Inbox::mark_read`].
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn mark_read<T: AsRef<str>>(&self, from: &str, ids: &[T]) -> Result<Sent, SendError> {
        let sent = self.runtime.block_on(self.inbox.mark_read(from, ids))?;
        Ok(self.wrap(sent))
    }

    /// Waits for the outbox, and ends the connection: see [`crate::Inbox::close`].
    ///
    /// # Errors
    /// [`NotAllSent`]: the deadline came first.
    pub fn close(&self, deadline: Duration) -> Result<(), NotAllSent> {
        self.runtime.block_on(self.inbox.close(deadline))
    }

    fn wrap(&self, sent: crate::Sent) -> Sent {
        let runtime = self.runtime.clone();
        Sent { sent, runtime }
    }

    fn deliver(&self, delivery: crate::Delivery) -> Delivery {
        let runtime = self.runtime.clone();
        Delivery { delivery, runtime }
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inbox.fmt(f)
    }
}

/// A message that was sent: see [`crate::Sent`].
#[must_use = "without asking nobody knows what became of the message"]
pub struct Sent {
    sent: crate::Sent,
    runtime: Arc<Runtime>,
}

impl Sent {
    /// The id by which repeats are recognised.
    pub fn id(&self) -> &str {
        self.sent.id()
    }

    /// The recipient.
    pub fn to(&self) -> &str {
        self.sent.to()
    }

    /// How far it is now.
    pub fn state(&self) -> SentState {
        self.sent.state()
    }

    /// Waits until the broker has the message: see [`crate::Sent::stored`].
    ///
    /// # Errors
    /// As there.
    pub fn stored(&self) -> Result<Stored, Undelivered> {
        self.runtime.block_on(self.sent.stored())
    }

    /// The same, not longer than this; `None` when it takes longer.
    pub fn stored_within(&self, time: Duration) -> Option<Result<Stored, Undelivered>> {
        self.within(time, self.sent.stored())
    }

    /// Waits until the recipient has acknowledged it: see [`crate::Sent::delivered`].
    ///
    /// # Errors
    /// As there.
    pub fn delivered(&self) -> Result<(), Undelivered> {
        self.runtime.block_on(self.sent.delivered())
    }

    /// The same, not longer than this; `None` when it takes longer.
    pub fn delivered_within(&self, time: Duration) -> Option<Result<(), Undelivered>> {
        self.within(time, self.sent.delivered())
    }

    /// Waits until it was read: see [`crate::Sent::read`].
    ///
    /// # Errors
    /// As there.
    pub fn read(&self) -> Result<(), Undelivered> {
        self.runtime.block_on(self.sent.read())
    }

    /// The same, not longer than this; `None` when it takes longer.
    pub fn read_within(&self, time: Duration) -> Option<Result<(), Undelivered>> {
        self.within(time, self.sent.read())
    }

    fn within<T>(&self, time: Duration, asked: impl Future<Output = T>) -> Option<T> {
        self.runtime.block_on(async { timeout(time, asked).await.ok() })
    }
}

impl fmt::Debug for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sent.fmt(f)
    }
}

/// A message out of the own inbox: see [`crate::Delivery`], whose fields it has.
pub struct Delivery {
    delivery: crate::Delivery,
    runtime: Arc<Runtime>,
}

impl Delivery {
    /// Acknowledges it: see [`crate::Delivery::ack`].
    ///
    /// # Errors
    /// See [`AckError`].
    pub fn ack(&self) -> Result<(), AckError> {
        self.runtime.block_on(self.delivery.ack())
    }

    /// Says that this client does not want it: see [`crate::Delivery::reject`].
    ///
    /// # Errors
    /// See [`AckError`].
    pub fn reject(&self) -> Result<(), AckError> {
        self.runtime.block_on(self.delivery.reject())
    }

    /// Says that it was read: see [`crate::Delivery::mark_read`].
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn mark_read(&self) -> Result<(), SendError> {
        self.runtime.block_on(self.delivery.mark_read())
    }
}

impl Deref for Delivery {
    type Target = crate::Delivery;

    fn deref(&self) -> &crate::Delivery {
        &self.delivery
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.delivery.fmt(f)
    }
}

fn runtime() -> io::Result<Arc<Runtime>> {
    let mut builder = Builder::new_multi_thread();
    let builder = builder.worker_threads(1).thread_name("inbox-client").enable_all();
    Ok(Arc::new(builder.build()?))
}
