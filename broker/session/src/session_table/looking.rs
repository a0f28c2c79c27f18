//! What an operator sees of sessions.
//!
//! The table is locked for some sessions at a time, and a connection is waited for without the lock: neither clients that come and go nor mail notice that somebody
//! looks, however many sessions there are.

use std::ops::Bound;
use std::time::Duration;

use inbox_types::ClientId;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout_at};

use super::{SessionTable, Sessions, Slot};
use crate::session::{Holdings, Seen, WantedFilters};

/// Sessions that are looked at under one lock.
const AT_ONCE: usize = 64;
/// How long connections have to say what their sessions have, all of one look together.
const PATIENCE: Duration = Duration::from_secs(1);
/// How soon a session is looked at again whose connection ended, or had hardly begun.
const AGAIN: Duration = Duration::from_millis(20);

/// A session that was looked at.
enum Looked {
    Kept(Seen),
    /// Its connection will say.
    Connected(ClientId, oneshot::Receiver<Holdings>),
}

impl SessionTable {
    /// At most `limit` sessions with client IDs after `after`, in byte order.
    pub async fn page(&self, after: Option<&ClientId>, limit: usize) -> Vec<Seen> {
        let until = Instant::now() + PATIENCE;
        let mut looked: Vec<Looked> = Vec::new();
        loop {
            let most = AT_ONCE.min(limit - looked.len());
            let after = looked.last().map(Looked::client).or(after);
            let now = self.shared.node.now().mono;
            let next = self.state.lock().look_after(after, most, now);
            let is_end = next.len() < AT_ONCE;
            looked.extend(next);
            if is_end {
                break;
            }
        }
        let mut page = Vec::with_capacity(looked.len());
        for looked in looked {
            page.extend(self.answered(looked, WantedFilters::NONE, until).await);
        }
        page
    }

    /// The session of this client, if there is one, with those of its subscriptions that are wanted.
    pub async fn look(&self, client: &ClientId, wanted: WantedFilters) -> Option<Seen> {
        let until = Instant::now() + PATIENCE;
        let looked = self.look_now(client, wanted)?;
        self.answered(looked, wanted, until).await
    }

    fn look_now(&self, client: &ClientId, wanted: WantedFilters) -> Option<Looked> {
        let now = self.shared.node.now().mono;
        let sessions = self.state.lock();
        sessions.slots.get(client).map(|slot| slot.look(client, wanted, now))
    }

    /// What was looked at, if it is there yet when that is known.
    async fn answered(&self, mut looked: Looked, wanted: WantedFilters, until: Instant) -> Option<Seen> {
        loop {
            let (client, told) = match looked {
                Looked::Kept(seen) => return Some(seen),
                Looked::Connected(client, told) => (client, told),
            };
            let holds = timeout_at(until, told).await;
            if let Ok(Err(_)) = holds
                && Instant::now() < until
            {
                sleep(AGAIN).await;
                looked = self.look_now(&client, wanted)?;
                continue;
            }
            return Some(Seen {
                client,
                is_connected: true,
                ends_in: None,
                holds: holds.ok().and_then(Result::ok),
            });
        }
    }
}

impl Sessions {
    fn look_after(&self, after: Option<&ClientId>, most: usize, now: Duration) -> Vec<Looked> {
        let after = after.map_or(Bound::Unbounded, Bound::Excluded);
        let page = self.slots.range::<ClientId, _>((after, Bound::Unbounded)).take(most);
        page.map(|(id, slot)| slot.look(id, WantedFilters::NONE, now)).collect()
    }
}

impl Slot {
    fn look(&self, id: &ClientId, wanted: WantedFilters, now: Duration) -> Looked {
        match self {
            Slot::Kept(kept) => Looked::Kept(Seen {
                client: id.clone(),
                is_connected: false,
                ends_in: kept.expires.map(|expires| expires.saturating_sub(now)),
                holds: Some(kept.session.holdings(wanted)),
            }),
            Slot::Connected { outbox, .. } => Looked::Connected(id.clone(), outbox.ask(wanted)),
        }
    }
}

impl Looked {
    fn client(&self) -> &ClientId {
        match self {
            Looked::Kept(Seen { client, .. }) | Looked::Connected(client, _) => client,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use access::Identity;
    use inbox_types::{Now, Qos};
    use pubsub::{OrdinaryDelivery, OrdinaryMessage, Sink};

    use super::super::tests::{bob, connected, shared, table_of};
    use super::*;
    use crate::Closed;
    use crate::session::{RouterCall, Session};

    fn table() -> Arc<SessionTable> {
        table_of(&shared())
    }

    fn id(text: &str) -> ClientId {
        ClientId::new(text).unwrap()
    }

    /// With filters of three bytes.
    fn subscribed(mut session: Box<Session>, subscriptions: u8, now: Now) -> Box<Session> {
        for number in 1..=subscriptions {
            let subscribe = [0x82, 9, 0, 1, 0, 0, 3, b'f', b'/', b'0' + number, 1];
            let received = session.receive(&subscribe, now);
            assert_eq!(received, Ok(subscribe.len()));
            let Some(RouterCall::Subscribe(call)) = session.next_call() else {
                panic!("it asks the router")
            };
            session.subscribed(*call);
        }
        session
    }

    fn message() -> OrdinaryDelivery {
        OrdinaryDelivery {
            subscription: 1 << 2 | 1,
            message: Arc::new(OrdinaryMessage {
                topic: "f/1".into(),
                retain: false,
                qos: Qos::AtLeastOnce,
                from: bob(),
                expiry: None,
                payload: inbox_types::MemoryBudget::new(usize::MAX).payload(b"12345"),
                properties: None,
            }),
            retained: false,
            kept: None,
        }
    }

    async fn leaves(table: &Arc<SessionTable>, client: &str, expiry: u32) {
        let (place, session, _) = table.open(Identity::anonymous(id(client)), true, None).await;
        let session = connected(session, &table.shared, expiry);
        place.close(session, &Closed::ByOperator.into()).await;
    }

    #[tokio::test]
    async fn kept_sessions_come_page_by_page() {
        // Goal: each once, in the order of client IDs, over as many looks under the lock as that takes; and when they end.
        let table = table();
        for n in 0..200 {
            leaves(&table, &format!("client {n:03}"), 60 + n).await;
        }
        let (mut after, mut found) = (None, Vec::new());
        loop {
            let page = table.page(after.as_ref(), 150).await;
            let Some(last) = page.last() else { break };
            after = Some(last.client.clone());
            found.extend(page);
        }
        let ids: Vec<_> = found.iter().map(|seen| seen.client.to_string()).collect();
        assert_eq!(ids, (0..200).map(|n| format!("client {n:03}")).collect::<Vec<_>>());
        assert!(found[1].ends_in < found[199].ends_in);
        assert_eq!(table.page(None, 128).await.len(), 128);
        assert!(table.look(&id("nobody"), WantedFilters::NONE).await.is_none());
    }

    #[tokio::test]
    async fn a_session_is_seen_with_what_it_has() {
        // Goal: subscriptions a page at a time, bounded by bytes too, what waits with its size, and the same of a client that is there and one that is away.
        let table = table();
        let (place, session, _) = table.open(Identity::anonymous(bob()), true, None).await;
        let session = connected(session, &table.shared, 60);
        let session = subscribed(session, 5, table.shared.node.now());
        Sink::deliver(&**session.outbox(), &mut vec![message(), message()]);
        let wanted = |after, limit, bytes| WantedFilters { after, limit, bytes };
        let numbers = |holds: &Holdings| holds.page.iter().map(|one| one.number).collect::<Vec<_>>();
        let looks = [
            (wanted(None, 9, 99), vec![1, 2, 3, 4, 5], false),
            (wanted(None, 2, 99), vec![1, 2], true),
            (wanted(Some(2), 9, 4), vec![3, 4], true),
            (wanted(Some(4), 1, 1), vec![5], false),
        ];
        for (wanted, page, has_more) in &looks {
            let holds = session.holdings(*wanted);
            assert_eq!((&numbers(&holds), holds.has_more), (page, *has_more));
            assert_eq!((holds.subscriptions, holds.messages, holds.protocol), (5, 2, Some("5")));
        }
        let bytes = session.holdings(WantedFilters::NONE).bytes;
        assert_eq!(bytes, 2 * message().message.size());
        place.close(session, &Closed::ByOperator.into()).await;
        for (wanted, page, has_more) in looks {
            let holds = table.look(&bob(), wanted).await.unwrap().holds.unwrap();
            assert_eq!((numbers(&holds), holds.has_more), (page, has_more));
            assert_eq!((holds.subscriptions, holds.messages, holds.bytes), (5, 2, bytes));
            assert_eq!((holds.protocol, holds.expiry, holds.is_durable), (None, 60, false));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_asked_and_waited_for() {
        // Goal: it answers in its turn; one that does not is listed all the same, when the patience is over; one that ends meanwhile is seen as it is then.
        let table = table();
        let (place, session, _) = table.open(Identity::anonymous(bob()), true, None).await;
        let session = connected(session, &table.shared, 60);
        let silent = table.page(None, 9).await;
        assert_eq!(
            (silent.len(), silent[0].is_connected, &silent[0].holds),
            (1, true, &None)
        );
        let look = |table: &Arc<SessionTable>| {
            let table = table.clone();
            tokio::spawn(async move { table.look(&bob(), WantedFilters::NONE).await })
        };
        let asked = look(&table);
        tokio::task::yield_now().await;
        session.tell_who_asked();
        let seen = asked.await.unwrap().unwrap();
        assert_eq!((seen.is_connected, seen.holds.unwrap().protocol), (true, Some("5")));
        let asked = look(&table);
        tokio::task::yield_now().await;
        place.close(session, &Closed::ByOperator.into()).await;
        let seen = asked.await.unwrap().unwrap();
        assert_eq!((seen.is_connected, seen.ends_in.is_some()), (false, true));
    }
}
