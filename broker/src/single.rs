//! The whole broker on one thread, without I/O: sessions, inboxes, ordinary topics and committer, driven step by step by a simulator.
//!
//! Everything that decides anything is the code that serves real clients: the hub, [`Conversation`] with its timers, the table of
//! sessions, the native engine of ordinary topics. Left out are what only moves bytes or waits: sockets, tasks, threads. What awaits something is a
//! future here, too, and is asked again in the next turn (`single/waiting.rs`).

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "testing")]
use inbox_bridge::Absences;
use inbox_bridge::{
    Clock, Fetched, Hub, Limits, Now, Observer, PendingCommit, ReadRequest, Round, StartError, Store, StoreError,
    Trouble,
};
use intake::InboxNames;
use mqtt_session::{Conversation, Ending, Metrics, MqttLimits, SessionTable, Shared, Step};
use pubsub::{Router, RouterOptions};

use crate::{access_rules, retained, serve, sessions};

#[cfg(feature = "testing")]
mod chores;
mod connection;
#[cfg(feature = "testing")]
mod looks;
mod rights;
mod waiting;

use connection::Connection;
pub use rights::Rights;
use waiting::{Waiting, at_once};

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
    table: Arc<SessionTable>,
    router: Router,
    reads: flume::Receiver<ReadRequest>,
    connections: BTreeMap<ConnId, Connection>,
    last_conn: u64,
    /// What is left to do for sessions that have ended.
    chores: Vec<Waiting<()>>,
    #[cfg(feature = "testing")]
    absences: Absences,
}

impl Single {
    /// Opens a broker on `store`, whose clients may do what `rights` says.
    ///
    /// # Errors
    /// The store failed at once.
    pub fn open_for(
        rights: Rights,
        store: Arc<dyn Store>,
        limits: Limits,
        mqtt: MqttLimits,
        clock: Arc<dyn Clock>,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, StartError> {
        let (hub, reads) = Hub::open(&*store, limits, clock, observer)?;
        let hub = Arc::new(hub);
        hub.resize(rights.rules.sizes());
        let node = Arc::new(hub.node());
        // Its cache has room for all that a simulation retains, so nothing is read in the background.
        let options = RouterOptions::default();
        let router = retained::start(options, serve::age_of((*node).clone()), &node, store.clone())?;
        let packet_bytes_max = mqtt.packet_bytes_max();
        let shared = Arc::new(Shared {
            names: InboxNames::new(""),
            access: rights.access(&node),
            mqtt,
            packet_bytes_max,
            quotas: access::Quotas::default(),
            retains: true,
            operators: mqtt_session::Operators::default(),
            metrics: Metrics::telling(&node.events),
            node,
        });
        access_rules::restore(&shared, &*store)?;
        let table = Arc::new(SessionTable::new(shared.clone(), router.clone()));
        at_once(sessions::restore(&table, &shared, &*store))?;
        Ok(Single {
            #[cfg(feature = "testing")]
            absences: Absences::default(),
            hub,
            shared,
            table,
            router,
            reads,
            connections: BTreeMap::new(),
            last_conn: 0,
            chores: Vec::new(),
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
            place: None,
            had_session: false,
            is_resumed: false,
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
            Some(wanted) => wanted.opened.is_some(),
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
        if let Some(wanted) = &mut connection.wanted {
            let (opened, bytes) = (wanted.opened.take(), wanted.bytes);
            return Ok(opened.map_or(0, |opened| {
                connection.open(opened, now);
                bytes
            }));
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

    /// The network connection is gone. Where sessions are kept, one that waits for its session gets it before that is noticed: the session before it may
    /// be on its way out of the store. Else it is forgotten.
    pub fn lost(&mut self, conn: ConnId) {
        let now = self.hub.now();
        if let Some(connection) = self.connections.get_mut(&conn) {
            connection.conversation.lost(now);
            let _ended = self.carry_out(conn, now);
        }
        let connection = self.connections.remove(&conn);
        let connection =
            connection.filter(|connection| connection.wanted.is_some() && self.shared.mqtt.durable_sessions);
        if let Some(connection) = connection {
            self.see_to(connection.open_for_nobody(self.hub.clone()));
        }
    }

    /// What is due by the clock, but for the timers of conversations, which [`Single::turn`] sees to: sessions that expire, wills, retained messages.
    pub fn reap(&mut self) {
        self.chores.retain_mut(|chore| chore.poll().is_pending());
        let table = self.table.clone();
        self.see_to(async move { table.reap_due().await });
        self.router.sweep_retained();
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

    /// A connection that waits for its session looks again.
    pub fn look_again(&mut self, conn: ConnId) {
        let connection = self.connections.get_mut(&conn);
        if let Some(wanted) = connection.and_then(|connection| connection.wanted.as_mut()) {
            self.chores.retain_mut(|chore| chore.poll().is_pending());
            wanted.look();
        }
    }

    /// Carries out everything that the conversation asks for. Gives whether that was anything.
    fn carry_out(&mut self, conn: ConnId, now: Now) -> Result<bool, Ended> {
        let mut carried_out = false;
        while let Some(connection) = self.connections.get_mut(&conn) {
            let Some(step) = connection.conversation.next_step(now) else {
                break;
            };
            carried_out = true;
            match step {
                Step::Authenticate(credentials) => {
                    let decided = at_once(self.shared.access.authenticate(credentials));
                    connection.conversation.authenticated(decided, now);
                }
                Step::Open {
                    identity,
                    clean_start,
                    will,
                } => connection.want(&self.table, identity, clean_start, will, now),
                Step::Route(call) => {
                    if let Some(place) = &connection.place {
                        let routed = at_once(place.route(call));
                        connection.conversation.routed(routed, now);
                    }
                }
                Step::Close(session, ending) => {
                    if let Some(place) = connection.place.take() {
                        self.see_to(async move { place.close(session, &ending).await });
                    }
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

    /// Does what can be done now. [`Single::reap`] goes on with it when more is durable.
    fn see_to(&mut self, chore: impl Future<Output = ()> + Send + 'static) {
        let mut chore = Waiting::new(chore);
        if chore.poll().is_pending() {
            self.chores.push(chore);
        }
    }
}
