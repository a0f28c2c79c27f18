//! What clients have the store keep beside messages.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;

use super::kit::{TestClock, TestObserver, TestPort, id};
use crate::hub::{Hub, kept};
use inbox_store::{Failure, MemoryStore, StoreError, Table};
use inbox_types::{BATCH_BYTES_MAX, Keeping, Kept, KeptChange, Limits, Outcome, Port, Refusal, Ticket};

fn open(store: &MemoryStore) -> (Arc<Hub>, Arc<TestPort>) {
    let observer = Arc::new(TestObserver::default());
    let opened = Hub::open(store, Limits::default(), Arc::new(TestClock::default()), observer);
    (Arc::new(opened.unwrap().0), Arc::default())
}

#[test]
fn rule_02_whoever_is_told_yes_finds_its_lists_after_any_crash() {
    // Goal: nobody is told before the batch is durable; then what is kept is the last that was said, or nothing where that was said last, also when
    // more was said at a time than a batch takes.
    let store = MemoryStore::new();
    let (hub, settled) = open(&store);
    let port: Arc<dyn Port> = settled.clone();
    let keep = |owner: &str, said: &str, ticket| {
        let said = (!said.is_empty()).then(|| Bytes::copy_from_slice(said.as_bytes()));
        hub.keep_senders(&id(owner), said, &port, Ticket(ticket));
    };
    keep("bob", "1", 1);
    let pending = hub.begin_commit(&store, false);
    assert!(settled.take_settled().is_empty() && kept(&store, Table::SENDERS).unwrap().is_empty());
    let written = inbox_store::Store::commit(&store, pending.batch());
    hub.finish_commit(pending, written).unwrap();
    assert_eq!(settled.take_settled().len(), 1);
    for ticket in 0..5000 {
        keep(&format!("c{}", ticket % 300), &ticket.to_string(), ticket);
    }
    keep("c7", "", 5000);
    let mut told = Vec::new();
    while told.len() < 5001 {
        assert!(hub.commit_round(&store, false).unwrap().wrote);
        told.extend(settled.take_settled());
    }
    let in_order = told
        .iter()
        .enumerate()
        .all(|(at, (ticket, outcome))| ticket.0 == at as u64 && matches!(outcome, Outcome::Accepted(_)));
    assert!(in_order);
    keep("bob", "", 5001);
    assert!(hub.commit_round(&store, false).unwrap().wrote);
    let kept = kept(&store, Table::SENDERS).unwrap();
    assert_eq!(kept.len(), 299);
    for (owner, said) in kept {
        let owner = str::from_utf8(owner.as_bytes()).unwrap();
        let number: u64 = owner[1..].parse().unwrap();
        let last = if number < 200 { 4800 + number } else { 4500 + number };
        assert_eq!(said, last.to_string(), "{owner}");
    }
}

#[test]
fn who_wrote_to_whom_is_in_the_next_batch() {
    // Goal: changes without anybody who waits go with the next batch, in their order, and a value that is taken away is gone.
    let store = MemoryStore::new();
    let (hub, _) = open(&store);
    let change = |key: &'static str, value: Option<&'static str>| {
        (
            Bytes::from_static(key.as_bytes()),
            value.map(|value| Bytes::from_static(value.as_bytes())),
        )
    };
    hub.keep_acquaintances(vec![change("a", Some("1")), change("b", Some("1"))]);
    hub.keep_acquaintances(vec![change("a", Some("2")), change("b", None)]);
    assert!(hub.commit_round(&store, false).unwrap().wrote);
    let kept = kept(&store, Table::ACQUAINTANCES).unwrap();
    let kept: Vec<_> = kept.iter().map(|(key, value)| (key.as_bytes(), &value[..])).collect();
    assert_eq!(kept, [(&b"a"[..], &b"2"[..])]);
}

#[test]
fn what_ordinary_topics_keep_is_counted_until_it_is_written() {
    // Goal: large values come in several batches, in order, each told when it is durable; meanwhile they count, so that publishers slow down.
    let store = MemoryStore::new();
    let (hub, settled) = open(&store);
    let port: Arc<dyn Port> = settled.clone();
    let value = Bytes::from(vec![7; BATCH_BYTES_MAX / 2]);
    for ticket in 0..5_u64 {
        let key = Bytes::copy_from_slice(&ticket.to_be_bytes());
        let waits = Some((port.clone(), Ticket(ticket)));
        hub.keep_ordinary(Kept::Retained, key, Some(value.clone()), waits);
    }
    assert_eq!(hub.uncommitted_bytes(), 5 * (value.len() + 8));
    for told in [2, 2, 1] {
        assert!(hub.commit_round(&store, false).unwrap().wrote);
        assert_eq!(settled.take_settled().len(), told);
    }
    assert_eq!(hub.uncommitted_bytes(), 0);
    assert_eq!(kept(&store, Table::RETAINED).unwrap().len(), 5);
    hub.keep_ordinary(Kept::Session, Bytes::from_static(b"bob"), None, None);
    assert!(hub.commit_round(&store, false).unwrap().wrote);
    assert!(kept(&store, Table::SESSIONS).unwrap().is_empty());
}

/// Gives what it has when that is due, once.
struct Source(Mutex<Option<(Duration, KeptChange)>>);

impl Keeping for Source {
    fn gather(&self, now: Duration, all: bool, into: &mut Vec<KeptChange>) -> Option<Duration> {
        let mut state = self.0.lock();
        if let Some((_, change)) = state.take_if(|(due, _)| all || *due <= now) {
            into.push(change);
        }
        state.as_ref().map(|(due, _)| *due)
    }
}

fn session(key: &'static str, value: Option<&'static str>, waits: Option<(Arc<dyn Port>, Ticket)>) -> KeptChange {
    KeptChange {
        kept: Kept::Session,
        key: Bytes::from_static(key.as_bytes()),
        value: value.map(|value| Bytes::from_static(value.as_bytes())),
        waits,
    }
}

#[test]
fn a_source_is_asked_when_it_wants_to_be() {
    // Goal: not before its time, unless everything is due; who waits is told when the batch is durable, and is refused when the store fails.
    let store = MemoryStore::new();
    let (hub, settled) = open(&store);
    let port: Arc<dyn Port> = settled.clone();
    let now = hub.now().mono;
    let later = now + Duration::from_millis(10);
    let source = |ticket| {
        let change = session("a", Some("1"), Some((port.clone(), Ticket(ticket))));
        Arc::new(Source(Mutex::new(Some((later, change)))))
    };
    hub.keep_from(source(1), later);
    let round = hub.commit_round(&store, false).unwrap();
    assert_eq!((round.wrote, round.next), (false, Some(later)));
    assert!(hub.commit_round(&store, true).unwrap().wrote);
    assert_eq!(settled.take_settled().len(), 1);
    assert_eq!(kept(&store, Table::SESSIONS).unwrap().len(), 1);
    hub.keep_from(source(2), later);
    hub.keep_ordinary(Kept::Session, Bytes::from_static(b"b"), None, None);
    let pending = hub.begin_commit(&store, false);
    let failed = StoreError::from(Failure::InboxesPanicked);
    assert!(hub.finish_commit(pending, Err(failed)).is_err());
    let refused = Outcome::Refused(Refusal::StoreFailed);
    assert_eq!(settled.take_settled(), [(Ticket(2), refused)]);
}

#[test]
fn what_is_forgotten_goes_whole_and_takes_nothing_else_with_it() {
    // Goal: everything under the prefix, however much, also what waited before it in the queue; what is kept under another prefix stays, and who waits behind
    // it is told when all of it is gone.
    let store = MemoryStore::new();
    let (hub, settled) = open(&store);
    let port: Arc<dyn Port> = settled.clone();
    let keep = |key: String| hub.keep_ordinary(Kept::Session, key.into(), Some(Bytes::from_static(b"x")), None);
    for n in 0..10_000 {
        keep(format!("a{n}"));
    }
    keep("b".into());
    hub.forget(Kept::Session, Bytes::from_static(b"a"));
    let waits = Some((port, Ticket(1)));
    hub.keep_ordinary(Kept::Session, Bytes::from_static(b"c"), Some(Bytes::new()), waits);
    while settled.take_settled().is_empty() {
        assert!(hub.commit_round(&store, false).unwrap().wrote);
    }
    let left = kept(&store, Table::SESSIONS).unwrap();
    let left: Vec<_> = left.iter().map(|(key, _)| key.as_bytes()).collect();
    assert_eq!(left, [b"b", b"c"]);
}

#[test]
fn a_store_that_fails_says_no() {
    // Goal: what is in the batch, what waits for the next one, and what comes later: each is refused, once.
    let store = MemoryStore::new();
    let (hub, settled) = open(&store);
    let port: Arc<dyn Port> = settled.clone();
    hub.keep_senders(&id("bob"), None, &port, Ticket(1));
    let pending = hub.begin_commit(&store, false);
    hub.keep_senders(&id("bob"), None, &port, Ticket(2));
    let failed = StoreError::from(Failure::InboxesPanicked);
    assert!(hub.finish_commit(pending, Err(failed)).is_err());
    hub.keep_senders(&id("bob"), None, &port, Ticket(3));
    let mut told = settled.take_settled();
    told.sort_by_key(|(ticket, _)| *ticket);
    let refused = Outcome::Refused(Refusal::StoreFailed);
    assert_eq!(told, [1, 2, 3].map(|ticket| (Ticket(ticket), refused.clone())));
}
