//! Where, as whom and within which limits an inbox is opened.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::backoff::Pauses;
use crate::heartbeat::Heartbeats;

/// A client ID or a recipient has at most so many bytes.
const NAME_BYTES_MAX: usize = 1024;

/// Where, as whom and within which limits to open an [`Inbox`](crate::Inbox).
///
/// [`InboxOptions::new`] gives the defaults; every field can be set afterwards, and the most usual ones by methods in a chain.
///
/// ```
/// use std::time::Duration;
///
/// use inbox_client::InboxOptions;
///
/// # let pem = Vec::new();
/// let mut options = InboxOptions::new("mqtts://broker.example", "alice")
///     .login("alice", "correct horse")
///     .authority_pem(pem) // the broker's own authority, and no other
///     .outbox("alice.redb")
///     .limits(|limits| limits.outbox_messages_max = 100_000);
/// options.reconnect.longest = Duration::from_secs(10);
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct InboxOptions {
    /// The broker: `mqtt://`, `mqtts://`, `ws://` or `wss://`, then `[USER:PASSWORD@]HOST[:PORT][/PATH]`. User and password may hold `%XX`. Without a port
    /// it is 1883, 8883, 80 or 443; the path is of a WebSocket, `/mqtt` with inboxd.
    pub url: String,
    /// The client ID, which is also the name of the inbox.
    pub client_id: String,
    /// User and password, where they are not in the URL. Over plain TCP, everybody on the way can read them.
    pub login: Option<(String, String)>,
    /// What the topics of inboxes begin with: the broker's `inbox.prefix`, empty by default.
    pub inbox_prefix: String,
    /// The file of the outbox, which is made if it is not there; `None` keeps everything in memory. It belongs to one client ID, and one
    /// process at a time can have it open.
    pub outbox: Option<PathBuf>,
    /// The certificate of the broker's authority in PEM, instead of those that the system trusts.
    pub authority_pem: Option<Vec<u8>>,
    /// See [`Limits`].
    pub limits: Limits,
    /// The pauses between attempts to connect (up to 1 s at first, and never longer than 64 s).
    pub reconnect: Pauses,
    /// The pauses between attempts to send to a recipient that has no room (the same). inboxd says when there is room again, which ends a pause.
    pub retry: Pauses,
    /// How long the link may be silent before it is asked whether it lives (30 s at first, then between 10 s and 4 minutes).
    pub heartbeat: Heartbeats,
    /// How long an attempt to connect may take, in whole seconds (10 s).
    pub connect_timeout: Duration,
}

/// How much an inbox keeps. Nothing grows without an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Messages in the outbox that the broker has not acknowledged (10,000).
    pub outbox_messages_max: usize,
    /// Bytes of their payloads together, which are also kept in memory (64 MiB).
    pub outbox_bytes_max: usize,
    /// Messages that the broker has and whose receipts are awaited (10,000). Of more than these the oldest is forgotten, without its payload it
    /// takes about 200 bytes.
    pub receipts_max: usize,
    /// Publishes without an answer on a connection (100); the broker may allow fewer.
    pub in_flight_max: u16,
    /// The same for one recipient (1). With more, messages go out faster, but **the order is given up** where one is refused for want of room and
    /// the next one fits.
    pub in_flight_per_recipient_max: usize,
    /// Deliveries that are not acknowledged (100): Receive Maximum of MQTT.
    pub window: u16,
    /// Messages that are remembered as handled, so that repeats are dropped (10,000).
    pub seen_max: usize,
    /// For how long they are remembered (7 days).
    pub seen_for: Duration,
    /// The largest packet that is taken from the broker, in bytes (2 MiB).
    pub packet_bytes_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            outbox_messages_max: 10_000,
            outbox_bytes_max: 64 * 1024 * 1024,
            receipts_max: 10_000,
            in_flight_max: 100,
            in_flight_per_recipient_max: 1,
            window: 100,
            seen_max: 10_000,
            seen_for: Duration::from_secs(7 * 24 * 3600),
            packet_bytes_max: 2 * 1024 * 1024,
        }
    }
}

impl InboxOptions {
    /// `client_id` at the broker of this URL, with everything in memory.
    pub fn new(url: impl Into<String>, client_id: impl Into<String>) -> Self {
        InboxOptions {
            url: url.into(),
            client_id: client_id.into(),
            login: None,
            inbox_prefix: String::new(),
            outbox: None,
            authority_pem: None,
            limits: Limits::default(),
            reconnect: Pauses::default(),
            retry: Pauses::default(),
            heartbeat: Heartbeats::default(),
            connect_timeout: Duration::from_secs(10),
        }
    }

    /// Keeps the outbox, and what was handled, in this file.
    #[must_use]
    pub fn outbox(mut self, path: impl Into<PathBuf>) -> Self {
        self.outbox = Some(path.into());
        self
    }

    /// Shows this user and password to the broker.
    #[must_use]
    pub fn login(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.login = Some((user.into(), password.into()));
        self
    }

    /// What the topics of inboxes begin with, as the broker's `inbox.prefix` says.
    #[must_use]
    pub fn inbox_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.inbox_prefix = prefix.into();
        self
    }

    /// Trusts the authority of this certificate alone.
    #[must_use]
    pub fn authority_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.authority_pem = Some(pem.into());
        self
    }

    /// Changes the limits, whose defaults are in [`Limits`].
    #[must_use]
    pub fn limits(mut self, set: impl FnOnce(&mut Limits)) -> Self {
        set(&mut self.limits);
        self
    }

    /// The topic of the own inbox.
    pub(crate) fn own_topic(&self) -> String {
        format!("{}{}", self.inbox_prefix, self.client_id)
    }
}

/// What [`can_have_an_inbox`] asks of a name, in words.
pub(crate) const NAMES: &str = "1 to 1,024 bytes without '/', '+', '#' and U+0000, and no '$' at its beginning";

/// Whether a client of that name can have an inbox (contract rule 1).
pub(crate) fn can_have_an_inbox(name: &str, prefix: &str) -> bool {
    let is_long_enough = (1..=NAME_BYTES_MAX).contains(&name.len());
    let reserved = prefix.is_empty() && name.starts_with('$');
    is_long_enough && !reserved && !name.contains(['/', '+', '#', '\0'])
}

impl fmt::Debug for InboxOptions {
    /// Without passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("InboxOptions");
        shown.field("client_id", &self.client_id).field("outbox", &self.outbox);
        shown.field("inbox_prefix", &self.inbox_prefix);
        shown.field("limits", &self.limits).finish_non_exhaustive()
    }
}
