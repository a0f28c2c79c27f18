use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::message::Receipts;

fn limits(depth: usize) -> OutboxLimits {
    OutboxLimits {
        messages_max: 8,
        bytes_max: 100,
        awaiting_max: 3,
        depth,
        retry: Pauses::default(),
    }
}

fn record(to: &str, id: &str) -> Arc<Record> {
    Arc::new(Record {
        to: Destination::Inbox(to.to_owned()),
        id: id.to_owned(),
        content_type: None,
        collapse: None,
        receipts: Receipts::ALL,
        properties: Vec::new(),
        sent_at_us: 0,
        expires_at_us: None,
        stage: Stage::Waiting,
        payload_hash: None,
    })
}

fn payload(bytes: usize) -> Bytes {
    Bytes::from(vec![b'x'; bytes])
}

const STORED: Stage = Stage::Stored { seq: Some(1) };

#[test]
fn a_full_outbox_says_so_and_has_room_when_something_is_out() {
    // Goal: messages and bytes are bounded, a message larger than all is told apart, an id is taken once.
    let mut outbox = Outbox::new(limits(1));
    assert_eq!(outbox.reserve(record("bob", "0"), payload(101)), Err(NoRoom::TooLarge));
    let first = outbox.reserve(record("bob", "0"), payload(60)).unwrap();
    assert_eq!(outbox.reserve(record("bob", "1"), payload(60)), Err(NoRoom::Full));
    assert_eq!(outbox.reserve(record("bob", "0"), payload(1)), Err(NoRoom::SameId));
    outbox.saved(first);
    outbox.next().unwrap();
    outbox.accepted(first, STORED, true).unwrap();
    assert_eq!((outbox.waiting(), outbox.bytes()), (0, 0));
    for id in 1..=8 {
        outbox.reserve(record("bob", &id.to_string()), payload(1)).unwrap();
    }
    assert_eq!(outbox.reserve(record("bob", "9"), payload(1)), Err(NoRoom::Full));
}

#[test]
fn the_same_message_is_known_after_its_payload_is_gone() {
    // Goal: an id that waits for receipts is not taken for that of another payload; files without hashes are as before.
    let mut outbox = Outbox::new(limits(2));
    for (id, payload_hash, is_told_apart) in [("new", Some(hash_of(&payload(1))), true), ("old", None, false)] {
        let record = Arc::new(Record {
            payload_hash,
            ..Record::clone(&record("bob", id))
        });
        let order = outbox.reserve(record, payload(1)).unwrap();
        assert!(!outbox.is_the_same(order, &payload(1)), "it is not durable");
        outbox.saved(order);
        assert!(outbox.is_the_same(order, &payload(1)) && !outbox.is_the_same(order, &payload(2)));
        outbox.next().unwrap();
        outbox.accepted(order, STORED, true).unwrap();
        assert!(outbox.is_the_same(order, &payload(1)));
        assert_eq!(outbox.is_the_same(order, &payload(2)), !is_told_apart);
    }
}

#[test]
fn what_may_be_out_is_not_taken_back() {
    // Goal: only what was never published is taken out; what was unanswered when a connection ended may be with the broker, and so may what an earlier life
    // of the program left.
    let mut outbox = Outbox::new(limits(1));
    let [first, second] = ["1", "2"].map(|id| outbox.reserve(record("bob", id), payload(1)).unwrap());
    outbox.saved(first);
    outbox.saved(second);
    assert_eq!(outbox.next().unwrap().0, first);
    assert!(!outbox.take_back(first));
    outbox.put_back(first);
    assert!(!outbox.take_back(first));
    assert!(outbox.take_back(second));
    outbox.restore(9, record("bob", "9"), payload(1));
    assert!(!outbox.take_back(9));
}

#[test]
fn a_request_about_a_message_does_not_overtake_it() {
    // Goal: a recall waits behind what was sent to that recipient, also while that is held back; requests about the own inbox wait for nobody.
    let mut outbox = Outbox::new(limits(1));
    let mut request = Record::clone(&record("bob", "r"));
    request.to = Destination::About {
        topic: "$inbox/recall".to_owned(),
        to: "bob".to_owned(),
    };
    let mut own = Record::clone(&record("bob", "o"));
    own.to = Destination::Request("$inbox/read".to_owned());
    let all = [record("bob", "1"), Arc::new(request), Arc::new(own)];
    let [message, recall, own] = all.map(|record| outbox.reserve(record, payload(1)).unwrap());
    [message, recall, own].into_iter().for_each(|order| outbox.saved(order));
    assert_eq!(outbox.next().unwrap().0, message);
    outbox.refused_for_now(message, Instant::now(), 0.0).unwrap();
    assert_eq!(outbox.next().unwrap().0, own);
    assert!(
        outbox.next().is_none(),
        "the message is held back, and so is what is about it"
    );
    outbox.room(&Destination::Inbox("bob".to_owned()));
    assert_eq!(outbox.next().unwrap().0, message);
    outbox.accepted(message, STORED, true).unwrap();
    assert_eq!(outbox.next().unwrap().0, recall);
}

#[test]
fn a_refusal_that_passes_holds_back_one_recipient_alone() {
    // Goal: bob is held back, carol is not; room lets bob's oldest go first; pauses grow and end.
    let mut outbox = Outbox::new(limits(1));
    let now = Instant::now();
    let orders: Vec<Order> = [("bob", "1"), ("bob", "2"), ("carol", "3")]
        .into_iter()
        .map(|(to, id)| outbox.reserve(record(to, id), payload(1)).unwrap())
        .collect();
    orders.iter().for_each(|order| outbox.saved(*order));
    assert_eq!(outbox.next().unwrap().0, orders[0]);
    let until = outbox.refused_for_now(orders[0], now, 1.0).unwrap();
    assert_eq!(until, now + Duration::from_secs(1));
    assert_eq!(outbox.next().unwrap().0, orders[2]);
    assert!(outbox.next().is_none());
    outbox.room(&Destination::Inbox("bob".to_owned()));
    assert_eq!(outbox.next().unwrap().0, orders[0]);
    let until = outbox.refused_for_now(orders[0], now, 1.0).unwrap();
    assert_eq!(outbox.release(now), Some(until));
    assert_eq!(outbox.release(until), None);
    assert_eq!(outbox.next().unwrap().0, orders[0]);
}

#[test]
fn what_waits_for_receipts_is_bounded() {
    // Goal: the oldest is forgotten when there are too many, and is told.
    let mut outbox = Outbox::new(limits(1));
    for id in 1..=4 {
        let order = outbox.reserve(record("bob", &id.to_string()), payload(1)).unwrap();
        outbox.saved(order);
        assert_eq!(outbox.next().unwrap().0, order);
        let (_, forgotten) = outbox.accepted(order, STORED, true).unwrap();
        assert_eq!(forgotten, (id == 4).then_some(1));
    }
}

#[derive(Debug, Clone)]
enum Step {
    Send(u8),
    Saved(u8),
    Next,
    Accept(u8),
    RefuseForNow(u8),
    Fail(u8),
    Lose,
    Wait,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0_u8..3).prop_map(Step::Send),
        3 => any::<u8>().prop_map(Step::Saved),
        4 => Just(Step::Next),
        3 => any::<u8>().prop_map(Step::Accept),
        1 => any::<u8>().prop_map(Step::RefuseForNow),
        1 => any::<u8>().prop_map(Step::Fail),
        1 => Just(Step::Lose),
        1 => Just(Step::Wait),
    ]
}

/// What the model knows of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    Saving,
    Queued,
    InFlight,
    Done,
}

proptest! {
    #[test]
    fn nothing_overtakes(steps in prop::collection::vec(step(), 1..200), depth in 1_usize..4) {
        // Goal: against a model that is a list: what is published is saved, and each earlier one to its recipient is done or in flight, and with
        // depth 1 done; nothing is lost, and after an end of all trouble everything gets out.
        let mut outbox = Outbox::new(limits(depth));
        let mut model: Vec<(Order, u8, Known)> = Vec::new();
        let mut now = Instant::now();
        let choose = |model: &[(Order, u8, Known)], is: Known, which: u8| {
            let found: Vec<usize> = (0..model.len()).filter(|at| model[*at].2 == is).collect();
            (!found.is_empty()).then(|| found[usize::from(which) % found.len()])
        };
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Send(to) => {
                    if let Ok(order) = outbox.reserve(record(&to.to_string(), &number.to_string()), payload(3)) {
                        model.push((order, to, Known::Saving));
                    }
                }
                Step::Saved(which) => if let Some(at) = choose(&model, Known::Saving, which) {
                    outbox.saved(model[at].0);
                    model[at].2 = Known::Queued;
                },
                Step::Next => if let Some((order, _, _)) = outbox.next() {
                    let at = model.iter().position(|known| known.0 == order).unwrap();
                    prop_assert_eq!(model[at].2, Known::Queued);
                    for earlier in model[..at].iter().filter(|known| known.1 == model[at].1) {
                        let allowed = earlier.2 == Known::Done || depth > 1 && earlier.2 == Known::InFlight;
                        prop_assert!(allowed, "{order} overtook {earlier:?}");
                    }
                    model[at].2 = Known::InFlight;
                },
                Step::Accept(which) => if let Some(at) = choose(&model, Known::InFlight, which) {
                    outbox.accepted(model[at].0, STORED, which % 2 == 0);
                    model[at].2 = Known::Done;
                },
                Step::RefuseForNow(which) => if let Some(at) = choose(&model, Known::InFlight, which) {
                    outbox.refused_for_now(model[at].0, now, 0.5);
                    model[at].2 = Known::Queued;
                },
                Step::Fail(which) => if let Some(at) = choose(&model, Known::InFlight, which) {
                    outbox.remove(model[at].0);
                    model[at].2 = Known::Done;
                },
                Step::Lose => {
                    outbox.lost();
                    model.iter_mut().filter(|known| known.2 == Known::InFlight).for_each(|known| known.2 = Known::Queued);
                }
                Step::Wait => {
                    now += Duration::from_secs(100);
                    outbox.release(now);
                }
            }
            let open = model.iter().filter(|known| known.2 != Known::Done).count();
            prop_assert_eq!((outbox.waiting(), outbox.bytes()), (open, open * 3));
            prop_assert_eq!(outbox.in_flight().count(), model.iter().filter(|known| known.2 == Known::InFlight).count());
        }
        outbox.lost();
        model.iter().filter(|known| known.2 == Known::Saving).for_each(|known| outbox.saved(known.0));
        outbox.release(now + Duration::from_secs(100));
        while let Some((order, _, _)) = outbox.next() {
            outbox.accepted(order, STORED, false);
        }
        prop_assert_eq!(outbox.waiting(), 0);
    }
}
