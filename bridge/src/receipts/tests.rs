//! Receipts: what they say, how they are joined, kept, and given up.

use std::sync::Arc;

use inbox_types::{Age, Outcome, Proof, RECEIPTS_WAITING_MAX, Refusal};

use super::keeping::{read_deed, read_unread};
use super::*;

fn address(topic: &str, correlation: &'static str) -> Address {
    Address {
        topic: topic.into(),
        correlation: (!correlation.is_empty()).then(|| Bytes::from_static(correlation.as_bytes())),
    }
}

fn unread(topic: &str, correlation: &'static str) -> Unread {
    Unread {
        to: address(topic, correlation),
        from: "alice".into(),
        id: Some("m1".into()),
        since: 3,
    }
}

fn receipt(topic: &str, correlation: &'static str, seq: u64) -> Receipt {
    Receipt {
        inbox: ClientId::new("bob").unwrap(),
        seq: Seq(seq),
        at: Micros(7),
        state: State::Delivered,
        about: Asking::Kept(unread(topic, correlation)),
    }
}

fn joined(receipts: &[Receipt]) -> Vec<Telling> {
    join(receipts, &|inbox| format!("inbox/{inbox}"))
}

fn telling(receipt: Receipt) -> Telling {
    joined(&[receipt]).remove(0)
}

fn said(told: &[Receipt]) -> (Message, serde_json::Value) {
    let telling = joined(told);
    let message = message(&telling[0], Micros(9), Expiry::of(Age(0), 0, None));
    let said: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
    // Names are in order, so that the same receipts have the same text in every version, and so the same id.
    assert_eq!(said.to_string().as_bytes(), &message.payload[..]);
    (message, said)
}

#[test]
fn rule_11_receipts_are_joined_by_where_they_go_and_what_they_carry() {
    // Goal: one message for one topic and Correlation Data, in order, and at most a hundred in each.
    let mut all: Vec<_> = (0..150).map(|seq| receipt("alice", "", seq)).collect();
    all.insert(1, receipt("alice", "c1", 1000));
    all.insert(3, receipt("carol", "", 1001));
    all.push(Receipt {
        inbox: ClientId::new("dave").unwrap(),
        ..receipt("alice", "", 1002)
    });
    let joined = joined(&all);
    let receipts = |telling: &Telling| {
        let text: serde_json::Value = serde_json::from_slice(&telling.text).unwrap();
        text["receipts"].as_array().unwrap().clone()
    };
    let seqs: Vec<Vec<_>> = joined
        .iter()
        .map(|telling| {
            receipts(telling)
                .iter()
                .map(|one| one["seq"].as_u64().unwrap())
                .collect()
        })
        .collect();
    let places: Vec<_> = joined.iter().map(|telling| (&telling.to, telling.count)).collect();
    let expected = [
        ("alice", "", 100),
        ("alice", "c1", 1),
        ("carol", "", 1),
        ("alice", "", 51),
    ];
    let expected = expected.map(|(topic, correlation, count)| (address(topic, correlation), count));
    assert!(places.into_iter().eq(expected.iter().map(|(to, count)| (to, *count))));
    let topics = receipts(&joined[3]).into_iter().map(|one| one["topic"].clone());
    assert!(topics.eq(std::iter::repeat_n("inbox/bob", 50).chain(["inbox/dave"])));
    assert_eq!(seqs[0], (0..100).collect::<Vec<_>>());
    assert_eq!((&seqs[1][..], &seqs[2][..]), (&[1000][..], &[1001][..]));
    assert_eq!(seqs[3], (100..150).chain([1002]).collect::<Vec<_>>());
}

#[test]
fn rule_11_a_receipt_says_what_became_of_the_message() {
    // Goal: the documented form, with the topic of the inbox; the same told again has the same id, and something else another one.
    let unnamed = Unread {
        id: None,
        ..unread("alice", "c1")
    };
    let dropped = Receipt {
        state: State::Purged,
        about: Asking::Kept(unnamed),
        ..receipt("alice", "c1", 5)
    };
    let refused = Receipt {
        state: State::Refused(0x83),
        ..receipt("alice", "c1", 6)
    };
    let (message, text) = said(&[dropped.clone(), refused.clone()]);
    assert_eq!(
        text,
        serde_json::json!({"notice": "receipt", "receipts": [
            {"topic": "inbox/bob", "seq": 5, "at": 7, "state": "dropped", "why": "purged"},
            {"topic": "inbox/bob", "seq": 6, "at": 7, "state": "refused", "reason": 0x83, "id": "m1"},
        ]})
    );
    let properties = message.properties.as_deref().unwrap();
    assert_eq!(properties.correlation_data.as_deref(), Some(&b"c1"[..]));
    assert_eq!(properties.user_property(MARK), Some("receipt"));
    assert_eq!((message.receipts_wanted(), message.from.as_str()), (None, "$inboxd"));
    assert_eq!(said(&[dropped.clone(), refused]).0.id, message.id);
    assert_ne!(said(&[dropped]).0.id, message.id);
}

#[test]
fn what_is_kept_is_read_again() {
    // Goal: keys and values of both kinds survive the store, and damaged ones are told apart from whole ones without a panic.
    let telling = telling(receipt("alice", "c1", 5));
    let change = deed_change(7, Some(&telling));
    let value = change.value.unwrap();
    assert_eq!(read_deed(&change.key, &value), Some(Deed { number: 7, telling }));
    let unread = unread("alice", "");
    let bob = ClientId::new("bob").unwrap();
    let kept = unread_change(unread_key(&bob, Seq(9)), Some(&unread));
    assert_eq!(
        read_unread(&kept.key, &kept.value.clone().unwrap()),
        Some((bob, Seq(9), unread))
    );
    for length in 0..value.len() {
        assert_eq!(read_deed(&change.key, &value[..length]), None);
    }
    assert_eq!(read_deed(&kept.key, &value), None);
    assert_eq!(read_unread(&change.key, &kept.value.unwrap()), None);
}

#[test]
fn rule_11_a_receipt_is_kept_until_it_is_safe() {
    // Goal: its number is removed with the commit of its message, or when that was acknowledged before; what finds no room comes again; what never
    // will is given up, and so is the oldest of too many.
    let mut books = Books::default();
    let mut deed = || books.begin(telling(receipt("alice", "", 1)));
    let (written, read, refused, hopeless) = (deed(), deed(), deed(), deed());
    let tickets = [&written, &read, &refused, &hopeless].map(|deed| books.sending(deed.clone(), Seq(deed.number)));
    assert_eq!(books.is_written(Seq(written.number)), Some(written.number));
    assert_eq!(books.is_written(Seq(99)), None);
    #[allow(clippy::disallowed_methods, reason = "as an inbox would")]
    let accepted = Outcome::Accepted(Proof::of(Seq(1)));
    let outcomes = [
        accepted.clone(),
        accepted,
        Outcome::Refused(Refusal::InboxFull),
        Outcome::Refused(Refusal::LargerThanInbox),
    ];
    let lost = tickets
        .iter()
        .zip(&outcomes)
        .map(|(ticket, outcome)| books.settled(*ticket, outcome));
    assert_eq!(lost.sum::<u64>(), 1);
    assert_eq!(books.take_done(), [read.number, hopeless.number]);
    assert_eq!(books.take_again(), [refused]);
    assert!(!books.is_sending() && !books.has_done());

    let mut lost = 0;
    for _ in 0..=RECEIPTS_WAITING_MAX {
        let deed = books.begin(telling(receipt("alice", "", 1)));
        lost += books.put_off(deed);
    }
    assert_eq!((lost, books.take_again().len()), (1, RECEIPTS_WAITING_MAX));
}

#[test]
fn rule_11_only_what_was_asked_for_is_told() {
    // Goal: each state for whoever asks for it, and how a message left otherwise for both.
    let asking = |receipts: &str| {
        let properties = Properties {
            response_topic: Some("alice".into()),
            user: vec![("receipt".into(), receipts.into())],
            ..Properties::default()
        };
        let (mut message, _) = said(&[receipt("alice", "", 1)]);
        message.properties = Some(Box::new(properties));
        Arc::new(message)
    };
    let told = |receipts: &str, state: State| state.is_told(asking(receipts).receipts_wanted().unwrap());
    let states = [State::Delivered, State::Read, State::Expired, State::Refused(0x80)];
    for (receipts, expected) in [
        ("delivered", [true, false, true, true]),
        ("read", [false, true, true, true]),
        ("delivered,read", [true, true, true, true]),
    ] {
        assert_eq!(states.map(|state| told(receipts, state)), expected, "{receipts}");
        let whole = Asking::Whole(asking(receipts)).unread(Age(3));
        assert_eq!(whole.map(|unread| unread.to), Some(address("alice", "")));
    }
}
