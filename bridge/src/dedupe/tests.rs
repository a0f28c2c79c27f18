//! `id`s against a plain model, over commits, crashes and time; and the bounds of what is remembered.

use std::collections::HashMap;

use bytes::Bytes;
use inbox_store::MemoryStore;
use inbox_types::{DEDUPE_IDS_PER_SENDER_MAX, Entry, Expiry, Micros, Qos};
use proptest::prelude::*;

use super::*;

const WINDOW: Duration = Duration::from_secs(600);

fn client(name: &str) -> ClientId {
    ClientId::new(name).unwrap()
}

fn message(from: &str, id: &str, payload: u8, accepted: Age) -> Arc<Message> {
    Arc::new(Message {
        from: client(from),
        id: Some(id.into()),
        at: Micros(0),
        expiry: Expiry::of(accepted, 0, None),
        qos: Qos::AtLeastOnce,
        payload: Bytes::copy_from_slice(&[payload]),
        properties: None,
    })
}

fn limits(ids_max: usize) -> Limits {
    Limits {
        dedupe_window: WINDOW,
        dedupe_ids_max: ids_max,
        ..Limits::default()
    }
}

fn dedupe(ids_max: usize) -> Dedupe {
    Dedupe::new(&limits(ids_max), &Budgets::new(usize::MAX), Arc::default())
}

fn named(ids: &Dedupe, inbox: &ClientId, message: &Message) -> Named {
    ids.name(inbox, message).unwrap()
}

/// Makes what is in `young` durable.
fn commit(dedupe: &Dedupe, store: &MemoryStore, young: &mut Vec<(ClientId, Entry)>, age: Age) {
    let mut batch = Batch {
        puts: std::mem::take(young),
        ..Batch::default()
    };
    let group = dedupe.gather(&mut batch, &[], &[], age);
    store.commit(&batch).unwrap();
    if let Some(group) = group {
        dedupe.committed(group);
    }
}

#[derive(Debug, Clone)]
enum Op {
    Publish {
        from: u8,
        to: u8,
        id: u8,
        payload: u8,
    },
    Refuse,
    /// The last one is read before it is written.
    Read,
    /// The last one is durable, and the others wait.
    CommitLast,
    Commit,
    Pass(u16),
    Crash,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0..3u8, 0..2u8, 0..4u8, 0..2u8).prop_map(|(from, to, id, payload)| Op::Publish { from, to, id, payload }),
        1 => Just(Op::Refuse),
        2 => Just(Op::Read),
        2 => Just(Op::CommitLast),
        3 => Just(Op::Commit),
        2 => (0..400u16).prop_map(Op::Pass),
        1 => Just(Op::Crash),
    ]
}

proptest! {
    /// Goal: rule 8: what repeats (sender, inbox, `id`) within the window is known, with the seq of the first, after any crash that came after its
    /// commit; another payload is told apart; nobody else's `id` is taken for it; beyond the window it is new.
    #[test]
    fn rule_08_ids_are_known_for_the_window_and_over_crashes(ops in prop::collection::vec(op(), 1..80)) {
        let (mut ids, mut store) = (dedupe(usize::MAX), MemoryStore::default());
        let mut known = HashMap::<(u8, u8, u8), (Seq, u8, Age, bool, bool)>::new();
        let mut young = Vec::new();
        let (mut age, mut last) = (Age(0), 0);
        for op in ops {
            match op {
                Op::Publish { from, to, id, payload } => {
                    let (inbox, key) = (client(&format!("to-{to}")), (from, to, id));
                    let message = message(&format!("c{from}"), &format!("m{id}"), payload, age);
                    let mine = known.get(&key).filter(|(_, _, at, ..)| age < at.after(WINDOW));
                    let expected = match mine {
                        None => Look::New,
                        Some((_, earlier, ..)) if *earlier != payload => Look::OtherPayload,
                        Some((seq, .., is_delivered)) => Look::Repeats(*seq, *is_delivered),
                    };
                    prop_assert_eq!(ids.look(&named(&ids, &inbox, &message), age), expected);
                    if expected == Look::New {
                        last += 1;
                        ids.remember(&named(&ids, &inbox, &message), Seq(last), age);
                        known.insert(key, (Seq(last), payload, age, false, false));
                        young.push((inbox, Entry { seq: Seq(last), message }));
                    }
                }
                Op::Refuse => {
                    let Some((inbox, entry)) = young.pop() else { continue };
                    ids.forget(&inbox, &entry.message, entry.seq);
                    known.retain(|_, (seq, ..)| *seq != entry.seq);
                }
                Op::Read => {
                    let Some((inbox, entry)) = young.last() else { continue };
                    ids.note_delivered(inbox, &entry.message, entry.seq);
                    known.values_mut().filter(|known| known.0 == entry.seq).for_each(|known| known.4 = true);
                }
                Op::CommitLast => {
                    // What is read before it is written is durable before what waits and was accepted before it.
                    let Some((inbox, entry)) = young.pop() else { continue };
                    known.values_mut().filter(|known| known.0 == entry.seq).for_each(|known| known.3 = true);
                    commit(&ids, &store, &mut vec![(inbox, entry)], age);
                }
                Op::Commit => {
                    commit(&ids, &store, &mut young, age);
                    known.values_mut().for_each(|known| known.3 = true);
                }
                Op::Pass(seconds) => age = age.after(Duration::from_secs(seconds.into())),
                Op::Crash => {
                    young.clear();
                    store = store.crash_image();
                    ids = dedupe(usize::MAX);
                    ids.load(&store, age).unwrap();
                    known.retain(|_, (_, _, _, is_durable, _)| *is_durable);
                    known.values_mut().for_each(|known| known.4 = false);
                }
            }
        }
    }
}

fn look(ids: &Dedupe, from: &str, id: usize) -> Look {
    let message = message(from, &format!("m{id}"), 0, Age(0));
    ids.look(&named(ids, &client("bob"), &message), Age(0))
}

fn publish(ids: &Dedupe, from: &str, id: usize, young: &mut Vec<(ClientId, Entry)>) {
    let message = message(from, &format!("m{id}"), 0, Age(0));
    let seq = Seq(1 + id as u64);
    ids.remember(&named(ids, &client("bob"), &message), seq, Age(0));
    young.push((client("bob"), Entry { seq, message }));
}

#[test]
fn rule_08_what_one_sender_uses_up_is_its_own() {
    // Goal: a sender that uses very many ids to one inbox loses its own oldest ones, with all of its clients, and nobody else's.
    let (ids, mut young) = (dedupe(usize::MAX), Vec::new());
    publish(&ids, "alice", 0, &mut young);
    for id in 1..=DEDUPE_IDS_PER_SENDER_MAX + 1 {
        publish(
            &ids,
            if id % 2 == 0 { "mallory" } else { "mallory~phone" },
            id,
            &mut young,
        );
    }
    assert_eq!(look(&ids, "mallory~phone", 1), Look::New);
    assert_eq!(look(&ids, "mallory", 2), Look::Repeats(Seq(3), false));
    assert_eq!(look(&ids, "alice", 0), Look::Repeats(Seq(1), false));
    assert_eq!(ids.counters.ids_forgotten.get(), 1);
}

#[test]
fn rule_08_more_than_there_may_be_are_forgotten_the_oldest_first() {
    // Goal: what is remembered is bounded, in memory and on disk, and what is forgotten early is counted; what is over is no loss.
    let (ids, store, mut young) = (dedupe(10), MemoryStore::default(), Vec::new());
    for id in 0..30 {
        publish(&ids, "alice", id, &mut young);
        commit(&ids, &store, &mut young, Age(0));
    }
    assert_eq!(look(&ids, "alice", 18), Look::New);
    assert_eq!(look(&ids, "alice", 29), Look::Repeats(Seq(30), false));
    let kept = || crate::hub::kept(&store, inbox_store::Table::DEDUPE).unwrap().len();
    // The newest group came while the others were counted.
    assert_eq!((kept(), ids.counters.ids_forgotten.get()), (11, 19));

    let later = Age(0).after(WINDOW + Duration::from_secs(60));
    assert!(ids.is_overdue(later) && !ids.is_overdue(Age(0)));
    commit(&ids, &store, &mut young, later);
    assert_eq!((kept(), ids.counters.ids_forgotten.get()), (0, 19));
    let windows = ids.windows.iter().map(|window| window.lock().len());
    assert_eq!(windows.sum::<usize>(), 0);
}

#[test]
fn rule_08_what_cannot_be_read_is_passed_over() {
    // Goal: damage in one group costs its ids alone, whatever its bytes are.
    let (ids, store, mut young) = (dedupe(usize::MAX), MemoryStore::default(), Vec::new());
    for id in 0..2 {
        publish(&ids, "alice", id, &mut young);
        commit(&ids, &store, &mut young, Age(0));
    }
    let (key, value) = crate::hub::kept(&store, inbox_store::Table::DEDUPE).unwrap().remove(0);
    for length in 0..value.len() {
        let cut = inbox_store::TableChange {
            table: inbox_store::Table::DEDUPE,
            key: key.clone(),
            value: Some(value.slice(..length)),
        };
        let tables = vec![cut];
        store
            .commit(&Batch {
                tables,
                ..Batch::default()
            })
            .unwrap();
        let again = dedupe(usize::MAX);
        again.load(&store, Age(0)).unwrap();
        assert_eq!(
            look(&again, "alice", 1),
            Look::Repeats(Seq(2), false),
            "cut at {length}"
        );
    }
}
