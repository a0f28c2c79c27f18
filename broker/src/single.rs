//! The whole broker on one thread, without I/O: sessions, inboxes and committer, driven step by step by a simulator.
//!
//! Everything that decides anything is the code that serves real clients: the hub, [`Conversation`] with its timers, the table of
//! sessions. Left out are what only moves bytes or waits (sockets, tasks), and the router for ordinary topics: here it says yes to
//! everything and delivers nothing.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use access::Identity;
#[cfg(feature = "testing")]
use inbox_bridge::Absences;
use inbox_bridge::{
    Clock, Fetched, Hub, Limits, Now, Observer, PendingCommit, ReadRequest, Round, Store, StoreError, Trouble,
};
use tokio::sync::oneshot;

use crate::{access_rules, sessions};
use intake::InboxNames;
use mqtt_session::{
    Conversation, Ending, Metrics, MqttLimits, Parted, PendingWill, Remains, RouterCall, Session, Sessions, Shared,
    Step,
};
use pubsub::{Published, Reach};

#[cfg(feature = "testing")]
mod chores;
#[cfg(feature = "testing")]
mod looks;
mod rights;

pub use rights::Rights;
use rights::authenticate;

/// Names a connection; never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(u64);

/// What became of a connection that is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The last bytes for the client; none if the network connection was lost.
    pub last: Vec<u8>,
    /// The reason code and the sentence, if the broker ended it.
    pub closed: Option<(u8, String)>,
}

/// See the module's documentation.
pub struct Single {
    hub: Arc<Hub>,
    shared: Arc<Shared>,
    sessions: Sessions,
    reads: flume::Receiver<ReadRequest>,
    connections: BTreeMap<ConnId, Connection>,
    last_conn: u64,
    #[cfg(feature = "testing")]
    absences: Absences,
}

struct Connection {
    conversation: Conversation,
    /// Of a client whose session cannot be opened yet.
    wanted: Option<Wanted>,
    had_session: bool,
    /// Of one whose session is open.
    will: Option<Arc<PendingWill>>,
}

/// A session that waits until another connection has ended.
struct Wanted {
    identity: Identity,
    clean_start: bool,
    /// There until that is known.
    gone: Option<oneshot::Receiver<()>>,
    /// Of its CONNECT, which counts as received when the session is opened.
    bytes: usize,
}

impl Single {
    /// Opens a broker on `store`, whose clients may do what `rights` says.
    ///
    /// # Errors
    /// The store failed at once.
    pub fn open_for(
        rights: Rights,
        store: &dyn Store,
        limits: Limits,
        mqtt: MqttLimits,
        clock: Arc<dyn Clock>,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, StoreError> {
        let (hub, reads) = Hub::open(store, limits, clock, observer)?;
        let hub = Arc::new(hub);
        hub.resize(rights.rules.sizes());
        let packet_bytes_max = mqtt.packet_bytes_max();
        let shared = Arc::new(Shared {
            node: Arc::new(hub.node()),
            names: InboxNames::new(""),
            access: rights.access(&hub.node()),
            mqtt,
            packet_bytes_max,
            quotas: access::Quotas::default(),
            retains: true,
            operators: mqtt_session::Operators::default(),
            metrics: Metrics::telling(&hub.node().events),
        });
        access_rules::restore(&shared, store)?;
        Ok(Single {
            #[cfg(feature = "testing")]
            absences: Absences::default(),
            hub,
            sessions: sessions::restore_alone(store, &shared)?,
            shared,
            reads,
            connections: BTreeMap::new(),
            last_conn: 0,
        })
    }

    /// A client opened a network connection.
    pub fn connect(&mut self) -> ConnId {
        self.last_conn += 1;
        let conn = ConnId(self.last_conn);
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let conversation = Conversation::new(self.shared.clone(), peer.into(), self.hub.now());
        let connection = Connection {
            conversation,
            wanted: None,
            had_session: false,
            will: None,
        };
        self.connections.insert(conn, connection);
        conn
    }

    /// Whether bytes of this connection would be read now.
    pub fn takes_bytes(&mut self, conn: ConnId) -> bool {
        let now = self.hub.now();
        let Some(connection) = self.connections.get_mut(&conn) else {
            return false;
        };
        match &connection.wanted {
            Some(wanted) => wanted.gone.is_none(),
            None => connection.conversation.wants_bytes(now),
        }
    }

    /// Acts on what is at the start of `input`. Gives the bytes that were used; the others are to be offered again, with more.
    ///
    /// # Errors
    /// The connection has ended.
    pub fn receive(&mut self, conn: ConnId, input: &[u8]) -> Result<usize, Ended> {
        let now = self.hub.now();
        let Some(connection) = self.connections.get_mut(&conn) else {
            return Ok(0);
        };
        if let Some(wanted) = connection.wanted.take() {
            return Ok(self.open_session(conn, wanted, now));
        }
        let used = connection.conversation.receive(input, now);
        if connection.conversation.session().is_none() {
            self.carry_out(conn, now)?;
        }
        match self
            .connections
            .get_mut(&conn)
            .and_then(|connection| connection.wanted.as_mut())
        {
            Some(wanted) => {
                wanted.bytes = used;
                Ok(0)
            }
            None => Ok(used),
        }
    }

    /// Encodes what waits for a client, carries out what its conversation asks for, and lets its timers ring: one turn of its task.
    ///
    /// # Errors
    /// The connection has ended.
    pub fn turn(&mut self, conn: ConnId) -> Result<(), Ended> {
        let now = self.hub.now();
        loop {
            let Some(Connection { conversation, .. }) = self.connections.get_mut(&conn) else {
                return Ok(());
            };
            if conversation.deadline(now) <= now.mono {
                conversation.timeout(now);
            }
            conversation.turn(now);
            if !self.carry_out(conn, now)? {
                return Ok(());
            }
        }
    }

    /// What is to be written to a client.
    pub fn out(&self, conn: ConnId) -> &[u8] {
        let connection = self.connections.get(&conn);
        connection.map_or(&[], |connection| connection.conversation.out())
    }

    /// The first `n` bytes of [`Single::out`] were written to the socket.
    pub fn written(&mut self, conn: ConnId, n: usize) {
        let now = self.hub.now();
        if let Some(connection) = self.connections.get_mut(&conn) {
            connection.conversation.written(n, now);
        }
    }

    /// The network connection is gone.
    pub fn lost(&mut self, conn: ConnId) {
        let now = self.hub.now();
        if let Some(connection) = self.connections.get_mut(&conn) {
            connection.conversation.lost(now);
            let _ended = self.carry_out(conn, now);
        }
        self.connections.remove(&conn);
    }

    /// What is due by the clock, but for the timers of conversations, which [`Single::turn`] sees to: sessions that expire, wills.
    pub fn reap(&mut self) {
        let now = self.hub.now().mono;
        while let Some(remains) = self.sessions.reap_one(now) {
            self.bury(remains);
        }
    }

    /// The age of the store is saved, if that is due.
    pub fn keep_age(&self) {
        self.hub.keep_age();
    }

    /// Idle inboxes leave memory.
    pub fn evict_idle(&self, idle: Duration) {
        self.hub.evict_idle(idle);
        self.hub.relieve();
        self.hub.pass_room_on();
    }

    /// See [`Hub::begin_commit`].
    pub fn begin_commit(&self, store: &dyn Store, all: bool) -> PendingCommit {
        self.hub.begin_commit(store, all)
    }

    /// See [`Hub::finish_commit`].
    ///
    /// # Errors
    /// What `written` says.
    pub fn finish_commit(&self, pending: PendingCommit, written: Result<(), StoreError>) -> Result<Round, StoreError> {
        self.hub.finish_commit(pending, written)
    }

    /// The next page that a reader waits for.
    pub fn next_read(&self) -> Option<ReadRequest> {
        self.reads.try_recv().ok()
    }

    /// See [`Hub::fetch`].
    pub fn fetch(&self, store: &dyn Store, request: &ReadRequest) -> Result<Option<Fetched>, Trouble> {
        self.hub.fetch(store, request)
    }

    /// See [`Hub::hand_over`].
    pub fn hand_over(&self, request: &ReadRequest, fetched: Fetched) {
        self.hub.hand_over(request, fetched);
    }

    /// Bytes that count against the memory budget.
    pub fn memory_used(&self) -> usize {
        self.hub.budgets().all.used()
    }

    /// What the inboxes counted.
    pub fn counters(&self) -> Vec<(&'static str, u64)> {
        self.hub.counters().snapshot()
    }

    /// A connection that waited for another one to end looks again.
    pub fn look_again(&mut self, conn: ConnId) {
        let wanted = self
            .connections
            .get_mut(&conn)
            .and_then(|connection| connection.wanted.as_mut());
        if let Some(Wanted { gone, .. }) = wanted {
            // A dropped sender says the same as a sent word.
            let waits = gone
                .as_mut()
                .is_some_and(|gone| gone.try_recv() == Err(oneshot::error::TryRecvError::Empty));
            if !waits {
                *gone = None;
            }
        }
    }

    /// Carries out everything that the conversation asks for. Gives whether that was anything.
    fn carry_out(&mut self, conn: ConnId, now: Now) -> Result<bool, Ended> {
        let mut carried_out = false;
        while let Some(connection) = self.connections.get_mut(&conn) {
            let Connection { conversation, will, .. } = connection;
            let Some(step) = conversation.next_step(now) else {
                break;
            };
            carried_out = true;
            match step {
                Step::Authenticate(credentials) => {
                    let decided = authenticate(&self.shared.access, credentials);
                    conversation.authenticated(decided, now);
                }
                Step::Open {
                    identity,
                    clean_start,
                    will: theirs,
                } => {
                    *will = theirs;
                    let wanted = Wanted {
                        identity,
                        clean_start,
                        gone: None,
                        bytes: 0,
                    };
                    self.open_session(conn, wanted, now);
                }
                Step::Route(call) => route(conversation, call, now),
                Step::Close(session, ending) => {
                    let will = will.take();
                    self.close_session(session, will, &ending);
                }
            }
        }
        let ended = self.connections.get(&conn).and_then(|connection| {
            let ending = connection.conversation.ending()?;
            let closed = match ending {
                Ending::Closed(closed) => Some((closed.reason_code(), closed.to_string())),
                Ending::Left { .. } | Ending::Lost => None,
            };
            // What a client that was not let in is told is no session's.
            let last = match connection.had_session {
                true => connection.conversation.out().to_vec(),
                false => Vec::new(),
            };
            Some(Ended { last, closed })
        });
        match ended {
            Some(ended) => {
                self.connections.remove(&conn);
                Err(ended)
            }
            None => Ok(carried_out),
        }
    }

    /// Opens the session, or waits for it. Gives the bytes that count as received with that.
    fn open_session(&mut self, conn: ConnId, wanted: Wanted, now: Now) -> usize {
        let opened = self
            .sessions
            .open(wanted.identity.client_id(), wanted.clean_start, &self.shared, now.mono);
        let connection = self.connections.get_mut(&conn);
        match opened {
            Err(gone) => {
                if let Some(connection) = connection {
                    let gone = Some(gone);
                    connection.wanted = Some(Wanted { gone, ..wanted });
                }
                0
            }
            Ok((session, present, remains)) => {
                self.bury(remains);
                if let Some(connection) = self.connections.get_mut(&conn) {
                    connection.had_session = true;
                    connection.conversation.opened(session, present, now);
                }
                wanted.bytes
            }
        }
    }

    fn close_session(&mut self, session: Box<Session>, will: Option<Arc<PendingWill>>, ending: &Ending) {
        let (parted, due) = Parted::new(session, will, ending);
        self.bury(due);
        let remains = self.sessions.close(parted, self.hub.now().mono);
        self.bury(remains);
    }

    fn bury(&self, mut remains: Remains) {
        let will = remains.will.take();
        if let Some((_ordinary, executor)) =
            will.and_then(|(who, will)| mqtt_session::deliver(&self.shared, &who, will))
        {
            executor.published();
        }
        remains.forget();
    }
}

/// A router that says yes to everything, and delivers nothing.
fn route(conversation: &mut Conversation, call: RouterCall, now: Now) {
    match call {
        RouterCall::Publish(_, Some(ticket)) => conversation.routed(ticket, Ok(Published::Now(Reach::Somebody)), now),
        RouterCall::Subscribe(call) => conversation.subscribed(*call),
        RouterCall::Publish(_, None) | RouterCall::Unsubscribe(..) => {}
    }
}
