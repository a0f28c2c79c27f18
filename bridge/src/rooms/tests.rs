//! The lists of who waits for room, against a plain list.

use proptest::prelude::*;

use super::*;
use crate::hub::tests::kit::id;

const NAMES: [&str; 3] = ["ann", "bob", "cyd"];

fn wanted(inbox: &str, bytes: usize) -> WantedRoom {
    WantedRoom {
        inbox: id(inbox),
        topic: inbox.into(),
        bytes,
    }
}

#[derive(Debug, Clone)]
enum Op {
    Await {
        sender: usize,
        inbox: usize,
        bytes: usize,
    },
    Due {
        sender: usize,
        inbox: usize,
    },
    /// Room for so many messages of at most so many bytes.
    Offer {
        inbox: usize,
        messages: usize,
        bytes: usize,
    },
    Take(usize),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let (name, bytes) = (0..NAMES.len(), 0..4_usize);
    let op = prop_oneof![
        4 => (name.clone(), name.clone(), bytes.clone())
            .prop_map(|(sender, inbox, bytes)| Op::Await { sender, inbox, bytes }),
        1 => (name.clone(), name.clone()).prop_map(|(sender, inbox)| Op::Due { sender, inbox }),
        2 => (name, 0..3_usize, bytes).prop_map(|(inbox, messages, bytes)| Op::Offer { inbox, messages, bytes }),
        1 => (0..3_usize).prop_map(Op::Take),
    ];
    prop::collection::vec(op, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    // Goal: who waits, in which order, and who is due is what a plain list says, whatever comes; nobody is in a list twice.
    #[test]
    fn the_lists_agree_with_a_plain_one(ops in ops()) {
        let rooms = Rooms::default();
        // Sender, inbox, bytes, in the order of waiting; sender and inbox, in the order of being due.
        let (mut waiting, mut due) = (Vec::<(usize, usize, usize)>::new(), Vec::<(usize, usize)>::new());
        let is_due = |due: &mut Vec<_>, who| if !due.contains(&who) { due.push(who) };
        for op in ops {
            match op {
                Op::Await { sender, inbox, bytes } => {
                    rooms.await_room(&id(NAMES[sender]), wanted(NAMES[inbox], bytes));
                    due.retain(|who| *who != (sender, inbox));
                    match waiting.iter_mut().find(|(s, i, _)| (*s, *i) == (sender, inbox)) {
                        Some(earlier) => earlier.2 = bytes,
                        None => waiting.push((sender, inbox, bytes)),
                    }
                }
                Op::Due { sender, inbox } => {
                    rooms.make_due(id(NAMES[sender]), wanted(NAMES[inbox], 0));
                    waiting.retain(|(s, i, _)| (*s, *i) != (sender, inbox));
                    is_due(&mut due, (sender, inbox));
                }
                Op::Offer { inbox, messages, bytes } => {
                    let mut left = messages;
                    let is_awaited = rooms.offer(&id(NAMES[inbox]), |_, wanted| match wanted {
                        _ if left == 0 => Offer::Full,
                        wanted if wanted > bytes => Offer::No,
                        _ => {
                            left -= 1;
                            Offer::Yes
                        }
                    });
                    let mut left = messages;
                    waiting.retain(|(sender, at, wanted)| {
                        let fits = *at == inbox && left > 0 && *wanted <= bytes;
                        if fits {
                            left -= 1;
                            is_due(&mut due, (*sender, inbox));
                        }
                        !fits
                    });
                    prop_assert_eq!(is_awaited, waiting.iter().any(|(_, at, _)| *at == inbox));
                }
                Op::Take(n) => {
                    let taken: Vec<_> = rooms.take_due(n).into_iter().map(|(sender, wanted)| (sender, wanted.inbox)).collect();
                    let expected: Vec<_> = due.drain(..n.min(due.len())).map(|(s, i)| (id(NAMES[s]), id(NAMES[i]))).collect();
                    prop_assert_eq!(taken, expected);
                }
            }
            prop_assert_eq!(rooms.has_due(), !due.is_empty());
            let lists = rooms.lists.lock();
            prop_assert_eq!((lists.waiting.places.len(), lists.waiting.by_place.len()), (waiting.len(), waiting.len()));
            prop_assert_eq!((lists.due.places.len(), lists.due.by_place.len()), (due.len(), due.len()));
            prop_assert_eq!(lists.by_inbox.values().map(BTreeSet::len).sum::<usize>(), waiting.len());
            prop_assert!(lists.by_inbox.values().all(|places| !places.is_empty()));
        }
    }
}

// Goal: what is remembered is bounded. Those who wait longest are forgotten, and that is counted.
#[test]
fn those_who_wait_longest_are_forgotten() {
    let rooms = Rooms::default();
    let forgotten: u64 = (0..ROOMS_AWAITED_MAX + 2)
        .map(|n| rooms.await_room(&id(&format!("c{n}")), wanted(&format!("i{}", n % 7), 1)))
        .sum();
    assert_eq!(forgotten, 2);
    for inbox in 0..7 {
        rooms.offer(&id(&format!("i{inbox}")), |_, _| Offer::Yes);
    }
    assert_eq!(rooms.make_due(id("one more"), wanted("bob", 1)), 1);
    let told = rooms.take_due(usize::MAX);
    assert_eq!(told.len(), ROOMS_AWAITED_MAX);
    assert!(!told.iter().any(|(sender, _)| ["c0", "c1"].contains(&sender.as_str())));
    let lists = rooms.lists.lock();
    assert!(lists.by_inbox.is_empty() && lists.waiting.places.is_empty() && lists.due.places.is_empty());
}
