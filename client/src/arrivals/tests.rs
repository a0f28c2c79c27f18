use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

fn key(id: u8) -> Option<Key> {
    Some(Key {
        from: "alice".to_owned(),
        id: id.to_string(),
    })
}

fn packet(connection: u64, packet_id: u16) -> PacketRef {
    PacketRef { connection, packet_id }
}

fn arrivals(seen_max: usize) -> Arrivals {
    Arrivals::new(seen_max, Duration::from_secs(3600), Standing::default())
}

#[test]
fn an_answer_goes_to_the_newest_packet_and_repeats_get_the_same() {
    // Goal: a message that comes again while the application has it is not handed over twice; once it is answered, repeats are answered alike.
    let mut arrivals = arrivals(10);
    let Arrival::New(ticket) = arrivals.arrived(key(1), packet(1, 7)) else {
        panic!("it is new")
    };
    assert_eq!(arrivals.arrived(key(1), packet(2, 9)), Arrival::Held);
    let answered = arrivals.settling(ticket, Verdict::Rejected, 1);
    let (to, _) = arrivals.settled(ticket, answered);
    assert_eq!(to, Some(packet(2, 9)));
    assert_eq!(
        arrivals.arrived(key(1), packet(3, 1)),
        Arrival::Repeat(Verdict::Rejected)
    );
}

#[test]
fn a_clock_that_is_set_forwards_forgets_little() {
    // Goal: after a step of years, what was answered lately is known still, and is forgotten with time.
    let mut arrivals = arrivals(100);
    let answer = |arrivals: &mut Arrivals, id, at_us| {
        let Arrival::New(ticket) = arrivals.arrived(key(id), packet(1, 1)) else {
            panic!("it is new")
        };
        let answered = arrivals.settling(ticket, Verdict::Acknowledged, at_us);
        arrivals.settled(ticket, answered).1.len()
    };
    for id in 0..10 {
        answer(&mut arrivals, id, 1);
    }
    let years = 100_000_000_000_000;
    assert_eq!(answer(&mut arrivals, 10, years), 2);
    let repeat = Arrival::Repeat(Verdict::Acknowledged);
    assert_eq!(arrivals.arrived(key(9), packet(1, 1)), repeat);
    let forgotten: usize = (11..20).map(|id| answer(&mut arrivals, id, years)).sum();
    assert_eq!(forgotten, 8);
}

#[test]
fn what_was_read_is_told_again_with_the_acknowledgement() {
    // Goal: reading counts for what was acknowledged, once; a repeat says so.
    let mut arrivals = arrivals(10);
    let read = key(1).unwrap();
    let Arrival::New(ticket) = arrivals.arrived(key(1), packet(1, 7)) else {
        panic!("it is new")
    };
    assert_eq!(arrivals.read(&read), None);
    let answered = arrivals.settling(ticket, Verdict::Acknowledged, 5);
    arrivals.settled(ticket, answered);
    let (number, answered) = arrivals.read(&read).unwrap();
    assert_eq!((number, answered.verdict, answered.at_us), (1, Verdict::Read, 5));
    assert_eq!(arrivals.read(&read), None);
    assert_eq!(arrivals.arrived(key(1), packet(2, 9)), Arrival::Repeat(Verdict::Read));
}

#[test]
fn gaps_drops_and_epochs_are_told_once() {
    // Goal: `prev` that does not fit, a count of dropped messages that grew, and another epoch.
    let mut arrivals = arrivals(10);
    assert_eq!(arrivals.connected(Some("a")), None);
    let at = |seq, prev, dropped| Position { seq, prev, dropped };
    assert_eq!(arrivals.placed(at(Some(5), None, None)), []);
    assert_eq!(arrivals.placed(at(Some(9), Some(5), Some(2))), [Missing::Dropped(2)]);
    assert_eq!(
        arrivals.placed(at(Some(20), Some(15), Some(2))),
        [Missing::Gap { after: 9, prev: 15 }]
    );
    assert_eq!(arrivals.connected(Some("b")), Some("a".to_owned()));
    assert_eq!(arrivals.placed(at(Some(1), None, Some(1))), [Missing::Dropped(1)]);
}

#[derive(Debug, Clone)]
enum Step {
    Come(u8),
    Acknowledge(u8),
    LetGo(u8),
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_u8..12).prop_map(Step::Come),
        3 => any::<u8>().prop_map(Step::Acknowledge),
        1 => any::<u8>().prop_map(Step::LetGo),
        1 => Just(Step::Crash),
    ]
}

proptest! {
    #[test]
    fn what_was_acknowledged_is_never_handed_over_again(steps in prop::collection::vec(step(), 1..200)) {
        // Goal: against a model of sets: handed over is what is neither held nor acknowledged, also after a crash that keeps what was durable.
        let mut arrivals = arrivals(1000);
        let mut durable = Vec::new();
        let mut acknowledged = HashSet::new();
        let mut held: Vec<(u8, Ticket)> = Vec::new();
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Come(id) => {
                    let arrival = arrivals.arrived(key(id), packet(1, number as u16));
                    let is_held = held.iter().any(|(other, _)| *other == id);
                    match arrival {
                        Arrival::New(ticket) => {
                            prop_assert!(!is_held && !acknowledged.contains(&id));
                            held.push((id, ticket));
                        }
                        Arrival::Held => prop_assert!(is_held),
                        Arrival::Repeat(_) => prop_assert!(acknowledged.contains(&id)),
                    }
                }
                Step::Acknowledge(which) if !held.is_empty() => {
                    let (id, ticket) = held.swap_remove(usize::from(which) % held.len());
                    let answered = arrivals.settling(ticket, Verdict::Acknowledged, number as u64).unwrap();
                    durable.push(answered.clone());
                    prop_assert!(arrivals.settled(ticket, Some(answered)).0.is_some());
                    acknowledged.insert(id);
                }
                Step::LetGo(which) if !held.is_empty() => {
                    let (_, ticket) = held.swap_remove(usize::from(which) % held.len());
                    arrivals.let_go(ticket);
                }
                Step::Crash => {
                    arrivals = self::arrivals(1000);
                    durable.iter().cloned().for_each(|(number, answered)| arrivals.restore(number, answered));
                    held.clear();
                }
                _ => {}
            }
        }
    }

    #[test]
    fn what_is_remembered_is_bounded(ids in prop::collection::vec(any::<u8>(), 1..300)) {
        // Goal: never more than the bound, and what is told to be forgotten is what was there.
        let mut arrivals = arrivals(5);
        let mut kept = HashSet::new();
        for (at, id) in ids.into_iter().enumerate() {
            if let Arrival::New(ticket) = arrivals.arrived(key(id), packet(1, 1)) {
                let answered = arrivals.settling(ticket, Verdict::Acknowledged, at as u64).unwrap();
                kept.insert(answered.0);
                for number in arrivals.settled(ticket, Some(answered)).1 {
                    prop_assert!(kept.remove(&number));
                }
            }
            prop_assert!(kept.len() <= 5);
        }
    }
}
