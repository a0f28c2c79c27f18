//! The whole broker on one thread, without I/O: sessions, inboxes and committer, driven step by step by a simulator.
//!
//! Everything that decides anything is the code that serves real clients: the hub, [`Session`], the table of sessions, the admission
//! of CONNECT. Left out are what only moves bytes or waits (sockets, timers, tasks), and the router for ordinary topics: here it
//! says yes to everything and delivers nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use inbox_bridge::{Clock, Entry, Hub, Limits, Observer, Page, PendingCommit, ReadRequest, Round, Store, StoreError};
use tokio::sync::oneshot;

use crate::connection::{admit, ordered};
use mqtt_codec::reason;
use mqtt_session::InboxNames;
use mqtt_session::Metrics;
use mqtt_session::deliver;
use mqtt_session::{Ending, Link, MqttLimits, RouterCall, Session, Shared};
use mqtt_session::{Remains, Sessions, wills};
use pubsub::Reach;

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
    shared: Arc<Shared>,
    sessions: Sessions,
    reads: flume::Receiver<ReadRequest>,
    connections: BTreeMap<ConnId, Connection>,
    last_conn: u64,
}

enum Connection {
    /// CONNECT has not come, or waits until another connection has ended.
    New { gone: Option<oneshot::Receiver<()>> },
    Open {
        session: Box<Session>,
        keep_alive: Option<Duration>,
        last_packet: Duration,
    },
}

impl Single {
    /// Opens a broker on `store`.
    ///
    /// # Errors
    /// The store failed at once.
    pub fn open(
        store: &dyn Store,
        limits: Limits,
        mqtt: MqttLimits,
        clock: Arc<dyn Clock>,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, StoreError> {
        let (hub, reads) = Hub::open(store, limits, clock, observer)?;
        let packet_bytes_max = mqtt.packet_bytes_max();
        let shared = Arc::new(Shared {
            hub: Arc::new(hub),
            names: InboxNames::new(""),
            mqtt,
            packet_bytes_max,
            retains: true,
            metrics: Metrics::default(),
        });
        Ok(Single {
            shared,
            sessions: Sessions::default(),
            reads,
            connections: BTreeMap::new(),
            last_conn: 0,
        })
    }

    /// A client opened a network connection.
    pub fn connect(&mut self) -> ConnId {
        self.last_conn += 1;
        let conn = ConnId(self.last_conn);
        self.connections.insert(conn, Connection::New { gone: None });
        conn
    }

    /// Whether bytes of this connection would be read now.
    pub fn takes_bytes(&self, conn: ConnId) -> bool {
        match self.connections.get(&conn) {
            Some(Connection::New { gone }) => gone.is_none(),
            Some(Connection::Open { session, .. }) => session.takes_packets() && !self.shared.hub.is_congested(),
            None => false,
        }
    }

    /// Acts on what is at the start of `input`. Gives the bytes that were used; the others are to be offered again, with more.
    ///
    /// # Errors
    /// The connection has ended.
    pub fn receive(&mut self, conn: ConnId, input: &[u8]) -> Result<usize, Ended> {
        let now = self.shared.hub.now();
        let received = match self.connections.get_mut(&conn) {
            None => Ok(0),
            Some(Connection::New { .. }) => return self.connect_packet(conn, input),
            Some(Connection::Open {
                session, last_packet, ..
            }) => {
                let received = session.receive(input, now);
                if received.as_ref().is_ok_and(|used| *used > 0) {
                    *last_packet = now.mono;
                }
                received
            }
        };
        received.map_err(|ending| self.end(conn, &ending))
    }

    /// Encodes what waits for a client, and carries out what its session asks for: one turn of its task.
    ///
    /// # Errors
    /// The connection has ended.
    pub fn turn(&mut self, conn: ConnId) -> Result<(), Ended> {
        let now = self.shared.hub.now();
        let Some(Connection::Open {
            session,
            keep_alive,
            last_packet,
        }) = self.connections.get_mut(&conn)
        else {
            return Ok(());
        };
        let silent = keep_alive.is_some_and(|keep_alive| *last_packet + keep_alive <= now.mono);
        let turned = match session.outbox().take_order() {
            Some(order) => Err(ordered(order)),
            None if silent => Err(Ending::closed(reason::KEEP_ALIVE_TIMEOUT, "keep alive")),
            None => turn(session, now),
        };
        turned.map_err(|ending| self.end(conn, &ending))
    }

    /// What is to be written to a client.
    pub fn out(&self, conn: ConnId) -> &[u8] {
        match self.connections.get(&conn) {
            Some(Connection::Open { session, .. }) => session.out(),
            _ => &[],
        }
    }

    /// The first `n` bytes of [`Single::out`] were written to the socket.
    pub fn written(&mut self, conn: ConnId, n: usize) {
        if let Some(Connection::Open { session, .. }) = self.connections.get_mut(&conn) {
            session.written(n);
        }
    }

    /// Mail that waits for this client's session to send it: messages, and bytes.
    pub fn mail_waiting(&self, conn: ConnId) -> (usize, usize) {
        match self.connections.get(&conn) {
            Some(Connection::Open { session, .. }) => session.outbox().mail_waiting(),
            _ => (0, 0),
        }
    }

    /// The network connection is gone.
    pub fn lost(&mut self, conn: ConnId) {
        self.end(conn, &Ending::Lost);
    }

    /// What is due by the clock, but for keep alive, which [`Single::turn`] sees to: sessions that expire, wills.
    pub fn reap(&mut self) {
        let now = self.shared.hub.now().mono;
        while let Some(remains) = self.sessions.reap_one(now) {
            self.bury(remains);
        }
    }

    /// Idle inboxes leave memory.
    pub fn evict_idle(&self, idle: Duration) {
        self.shared.hub.evict_idle(idle);
    }

    /// Messages that expired leave this inbox; `entries` were read from the store.
    pub fn expire(&self, inbox: &inbox_bridge::ClientId, entries: &[Entry]) {
        self.shared.hub.expire(inbox, entries);
    }

    /// See [`Hub::begin_commit`].
    pub fn begin_commit(&self, store: &dyn Store, all: bool) -> PendingCommit {
        self.shared.hub.begin_commit(store, all)
    }

    /// See [`Hub::finish_commit`].
    ///
    /// # Errors
    /// What `written` says.
    pub fn finish_commit(&self, pending: PendingCommit, written: Result<(), StoreError>) -> Result<Round, StoreError> {
        self.shared.hub.finish_commit(pending, written)
    }

    /// The next page that a reader waits for.
    pub fn next_read(&self) -> Option<ReadRequest> {
        self.reads.try_recv().ok()
    }

    /// See [`Hub::fetch`].
    pub fn fetch(&self, store: &dyn Store, request: &ReadRequest) -> Option<Page> {
        self.shared.hub.fetch(store, request)
    }

    /// See [`Hub::hand_over`].
    pub fn hand_over(&self, request: &ReadRequest, page: Page) {
        self.shared.hub.hand_over(request, page);
    }

    /// What the inboxes counted.
    pub fn counters(&self) -> Vec<(&'static str, u64)> {
        self.shared.hub.counters().snapshot()
    }

    fn connect_packet(&mut self, conn: ConnId, input: &[u8]) -> Result<usize, Ended> {
        let framed = mqtt_codec::frame(input, self.shared.packet_bytes_max);
        let length = match framed.map_err(|error| self.end(conn, &error.into()))? {
            Some(length) => length,
            None => return Ok(0),
        };
        let decoded = mqtt_codec::decode_connect(input.get(..length).unwrap_or_default());
        let connect = decoded.map_err(|error| self.end(conn, &error.into()))?;
        let (id, assigned) = match admit(&connect, &self.shared) {
            Ok(admitted) => admitted,
            Err(refused) => {
                let ending = Ending::closed(reason::UNSPECIFIED_ERROR, refused.to_string());
                return Err(self.end(conn, &ending));
            }
        };
        match self
            .sessions
            .open(&id, connect.clean_start, &self.shared, self.shared.hub.now().mono)
        {
            Err(gone) => {
                self.connections.insert(conn, Connection::New { gone: Some(gone) });
                Ok(0)
            }
            Ok((mut session, present, remains)) => {
                self.bury(remains);
                session.connected(Link::new(&connect, &self.shared.mqtt), present, assigned);
                let keep_alive = session.link().keep_alive;
                let open = Connection::Open {
                    session,
                    keep_alive: (keep_alive > 0).then(|| Duration::from_millis(u64::from(keep_alive) * 1500)),
                    last_packet: self.shared.hub.now().mono,
                };
                self.connections.insert(conn, open);
                Ok(length)
            }
        }
    }

    /// A connection that waited for another one to end looks again.
    pub fn look_again(&mut self, conn: ConnId) {
        if let Some(Connection::New { gone }) = self.connections.get_mut(&conn) {
            // A dropped sender says the same as a sent word.
            let waits = gone
                .as_mut()
                .is_some_and(|gone| gone.try_recv() == Err(oneshot::error::TryRecvError::Empty));
            if !waits {
                *gone = None;
            }
        }
    }

    fn end(&mut self, conn: ConnId, ending: &Ending) -> Ended {
        let mut last = Vec::new();
        if let Some(Connection::Open { mut session, .. }) = self.connections.remove(&conn) {
            while let Some(call) = session.next_call() {
                // How the connection ends is settled already.
                let _too_late = route(&mut session, call);
            }
            session.say_goodbye(ending);
            last = session.take_out();
            let will = session.take_will();
            session.disconnected();
            let (now_due, later) = wills(&session, will, ending);
            let id = session.id().clone();
            self.bury(Remains::of_will(now_due.map(|will| (id, will))));
            let remains = self.sessions.close(session, later, self.shared.hub.now().mono);
            self.bury(remains);
        }
        match ending {
            Ending::Closed { reason, why } => Ended {
                last,
                closed: Some((*reason, why.to_string())),
            },
            Ending::Left { .. } => Ended { last, closed: None },
            Ending::Lost => Ended {
                last: Vec::new(),
                closed: None,
            },
        }
    }

    fn bury(&self, remains: Remains) {
        if let Some((id, will)) = remains.will {
            let _ordinary = deliver(&self.shared, id, *will);
        }
    }
}

fn turn(session: &mut Session, now: inbox_bridge::Now) -> Result<(), Ending> {
    loop {
        session.drain(now)?;
        let mut calls = 0;
        while let Some(call) = session.next_call() {
            route(session, call)?;
            calls += 1;
        }
        if calls == 0 {
            return Ok(());
        }
    }
}

fn route(session: &mut Session, call: RouterCall) -> Result<(), Ending> {
    match call {
        RouterCall::Publish(_, Some(ticket)) => session.routed(ticket, Ok(Reach::Somebody))?,
        RouterCall::Subscribe(call) => session.subscribed(*call),
        RouterCall::Publish(_, None) | RouterCall::Unsubscribe(_) => {}
    }
    Ok(())
}
