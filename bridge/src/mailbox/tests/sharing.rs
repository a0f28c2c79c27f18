//! A sender's share of an inbox (contract rule 3).

use super::desk::{Desk, SIZE};
use crate::hub::tests::kit::{FAR, small};
use inbox_types::{Limits, Outcome, Refusal, Ticket, WhenFull};

/// An inbox of ten messages, of which one sender may hold three.
fn desk(when_full: WhenFull) -> Desk {
    Desk::new(Limits {
        when_full,
        inbox_messages_max: 10,
        sender_share: 30,
        ..small()
    })
}

fn publish(desk: &mut Desk, from: &str) -> u64 {
    desk.publish_from(from, SIZE, FAR)
}

/// Tickets that were refused for their sender's share; none for anything else.
fn refused(desk: &Desk) -> Vec<u64> {
    let over = |(Ticket(ticket), outcome)| match outcome {
        Outcome::Accepted(_) => None,
        Outcome::Refused(Refusal::SenderShare) => Some(ticket),
        Outcome::Refused(other) => panic!("{ticket}: {other:?}"),
    };
    desk.port.take_settled().into_iter().filter_map(over).collect()
}

// Goal: a sender has its share and no more, with all of its clients together; others go on; with one of its messages gone it goes on, too.
#[test]
fn a_sender_has_its_share() {
    let mut desk = desk(WhenFull::Refuse);
    for from in ["eve", "eve~phone", "eve", "eve~laptop", "ann", "ann"] {
        publish(&mut desk, from);
        desk.commit();
    }
    assert_eq!((refused(&desk), desk.stored()), (vec![4], vec![1, 2, 3, 5, 6]));
    publish(&mut desk, "eve");
    assert_eq!(refused(&desk), [7], "with all counted it is said at once");
    desk.acknowledge(2);
    publish(&mut desk, "eve");
    publish(&mut desk, "eve");
    desk.commit();
    assert_eq!((refused(&desk), desk.stored()), (vec![9], vec![1, 3, 5, 6, 8]));
    assert_eq!(desk.counters.refused_sender_share.get(), 3);
}

// Goal: what comes at once is judged in its order, before it is written.
#[test]
fn a_burst_is_judged_in_its_order() {
    let mut desk = desk(WhenFull::Refuse);
    for from in ["eve", "eve", "ann", "eve", "eve", "ann", "eve"] {
        publish(&mut desk, from);
    }
    desk.commit();
    assert_eq!((refused(&desk), desk.stored()), (vec![5, 7], vec![1, 2, 3, 4, 6]));
}

// Goal: an inbox that was forgotten, or found by a new run, is counted again, over several pages, before anything is written to it.
#[test]
fn it_counts_after_a_restart() {
    let mut desk = desk(WhenFull::Refuse);
    for from in ["ann", "bob", "cyd", "eve", "eve", "eve"] {
        publish(&mut desk, from);
    }
    desk.commit();
    assert_eq!(refused(&desk), [0; 0]);
    desk.forget();
    publish(&mut desk, "eve");
    publish(&mut desk, "ann");
    desk.commit();
    assert_eq!((refused(&desk), desk.stored()), (vec![7], vec![1, 2, 3, 4, 5, 6, 8]));
}

// Goal: an inbox that drops its oldest does not drop others' for one that has its share.
#[test]
fn nobody_is_pushed_out_by_a_flood() {
    let mut desk = desk(WhenFull::DropOldest);
    publish(&mut desk, "ann");
    for _ in 0..20 {
        publish(&mut desk, "eve");
        desk.commit();
    }
    assert_eq!((refused(&desk).len(), desk.stored()), (17, vec![1, 2, 3, 4]));
    assert_eq!(desk.left, []);
}

// Goal: by bytes, exactly; one message is taken however large, for it would be refused for ever.
#[test]
fn a_share_has_bytes() {
    let mut desk = Desk::new(Limits {
        inbox_bytes_max: 100,
        sender_share: 50,
        ..small()
    });
    for (from, size) in [("eve", 30), ("eve", 20), ("eve", 8), ("ann", 45)] {
        desk.publish_from(from, size, FAR);
        desk.commit();
    }
    assert_eq!((refused(&desk), desk.stored()), (vec![3], vec![1, 2, 4]));
    for seq in [1, 2, 4] {
        desk.acknowledge(seq);
    }
    desk.publish_from("eve", 70, FAR);
    desk.commit();
    assert_eq!((refused(&desk), desk.stored()), (vec![], vec![5]));
}

// Goal: nothing is counted while nobody can hold too much, nor where one sender may hold all.
#[test]
fn nothing_is_counted_without_need() {
    let mut desk = desk(WhenFull::Refuse);
    for _ in 0..3 {
        publish(&mut desk, "eve");
    }
    desk.commit();
    assert!(desk.mailbox.shares.is_none(), "three fit");
    publish(&mut desk, "ann");
    desk.commit();
    assert!(desk.mailbox.shares.is_some() && desk.mailbox.memory_bytes() > 0);
    for seq in [1, 2, 3] {
        desk.acknowledge(seq);
    }
    publish(&mut desk, "ann");
    desk.commit();
    assert!(
        desk.mailbox.shares.is_some(),
        "not counted again and again at the limit"
    );
    desk.acknowledge(4);
    desk.commit();
    desk.acknowledge(5);
    publish(&mut desk, "ann");
    desk.commit();
    assert!(desk.mailbox.shares.is_none(), "far below it");
    let mut desk = Desk::new(small());
    desk.store(50);
    assert!(desk.mailbox.shares.is_none(), "off");
}

// Goal: what a reader was sent before anybody could tell is not refused any more: nobody gets what was refused (rule 3).
#[test]
fn what_a_reader_was_sent_stays() {
    let mut desk = desk(WhenFull::Refuse);
    for _ in 0..3 {
        publish(&mut desk, "eve");
    }
    desk.commit();
    desk.forget();
    desk.attach(10);
    desk.turn_pages();
    publish(&mut desk, "eve");
    assert_eq!(desk.delivered(), [1, 2, 3, 4]);
    desk.commit();
    publish(&mut desk, "eve");
    assert_eq!((refused(&desk), desk.stored()), (vec![5], vec![1, 2, 3, 4]));
}
