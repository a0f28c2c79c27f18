//! An operator empties an inbox that is in use.

use std::sync::Arc;

use super::kit::{Broker, TestPort, id, small};
use crate::hub::unread::counts_unread;
use crate::hub::{Fetched, Hub, ReadRequest};
use crate::mailbox::Place;
use inbox_store::Store;
use inbox_types::Seq;

/// As they are read where the messages cannot be.
fn stored(places: &[Seq]) -> Vec<Place> {
    let place = |seq: &Seq| Place {
        seq: *seq,
        message: None,
    };
    places.iter().map(place).collect()
}

// Goal: regression: rule 5: a notice does not take the place of one that an operator purged. It was taken off the totals a second time, so that they
// said less than the inbox held. The simulator found it.
#[test]
fn rule_05_a_notice_that_was_purged_is_not_replaced() {
    let broker = Broker::new(small());
    broker.refuse(1);
    broker.commit();
    let places = broker.store.seqs(&id("bob"), Seq::ZERO, 10).unwrap();
    assert_eq!(broker.hub.purge_places(&id("bob"), &stored(&places)), places);
    broker.commit();
    broker.publish("bob", 2);
    broker.commit();
    broker.refuse(3);
    broker.commit();
    let stored = broker.store.inbox(&id("bob")).unwrap();
    assert_eq!(stored.unwrap().messages, 2);
    assert_eq!(broker.hub.totals(&id("bob")), stored);
}

// Goal: rule 5: how many left unread is known before the first delivery, also to an inbox that was not in memory, and to a hub that opens the
// store again; another inbox is not counted with it; erasing a client forgets the number.
#[test]
fn rule_05_what_left_unread_is_told_from_the_store() {
    let broker = Broker::new(small());
    for (inbox, ticket) in [("bob", 1), ("bob", 2), ("carol", 3)] {
        broker.publish(inbox, ticket);
    }
    broker.commit();
    let places = broker.store.seqs(&id("bob"), Seq::ZERO, 10).unwrap();
    assert_eq!(broker.hub.purge_places(&id("bob"), &stored(&places)).len(), 2);
    broker.commit();
    broker.publish("bob", 4);
    broker.commit();
    broker.forget_idle();
    let told = |hub: &Hub, requests: &flume::Receiver<ReadRequest>, inbox| {
        let port: Arc<TestPort> = Arc::default();
        let attachment = hub.attach(&id(inbox), port.clone(), 10);
        assert!(port.take_delivered().is_empty(), "it is not known yet");
        while let Ok(request) = requests.try_recv() {
            hub.read(&broker.store, &request);
        }
        hub.detach(&id(inbox), attachment);
        let delivered = port.take_delivered();
        delivered
            .iter()
            .map(|(_, delivery)| delivery.dropped)
            .collect::<Vec<_>>()
    };
    assert_eq!(told(&broker.hub, &broker.requests, "bob"), [2]);
    assert_eq!(told(&broker.hub, &broker.requests, "carol"), [0]);
    let (hub, requests) = Hub::open(&broker.store, small(), broker.clock.clone(), broker.observer.clone()).unwrap();
    assert_eq!(told(&hub, &requests, "bob"), [2]);
    hub.erase_unread(&id("bob"));
    hub.commit_round(&broker.store, true).unwrap();
    assert!(!counts_unread(&broker.store).unwrap());
    assert_eq!(told(&hub, &requests, "bob"), [0]);
}

// Goal: regression: rule 5: an answer of the store that was for an earlier reader is not taken for that of the next one: more may have left
// between the two. The simulator found it.
#[test]
fn rule_05_a_late_answer_of_what_left_unread_is_not_taken() {
    let broker = Broker::new(small());
    let purge = |ticket| {
        broker.publish("bob", ticket);
        broker.commit();
        let places = broker.store.seqs(&id("bob"), Seq::ZERO, 10).unwrap();
        assert_eq!(broker.hub.purge_places(&id("bob"), &stored(&places)), places);
        broker.commit();
        broker.forget_idle();
    };
    purge(1);
    let first = broker.hub.attach(&id("bob"), broker.port.clone(), 10);
    let requests: Vec<_> = broker.requests.try_iter().collect();
    let late: Vec<_> = requests
        .iter()
        .filter_map(|request| Some((request, broker.hub.fetch(&broker.store, request).unwrap()?)))
        .collect();
    assert!(late.iter().any(|(_, fetched)| matches!(fetched, Fetched::Unread(1))));
    broker.hub.detach(&id("bob"), first);
    broker.forget_idle();
    purge(2);
    broker.publish("bob", 3);
    broker.commit();
    broker.forget_idle();
    broker.hub.attach(&id("bob"), broker.port.clone(), 10);
    for (request, fetched) in late {
        broker.hub.hand_over(request, fetched);
    }
    assert!(broker.port.take_delivered().is_empty());
    broker.read();
    let delivered = broker.port.take_delivered();
    let told: Vec<_> = delivered.iter().map(|(_, delivery)| delivery.dropped).collect();
    assert_eq!(told, [2]);
}
