//! An operator empties an inbox that is in use.

use super::kit::{Broker, id, small};
use crate::mailbox::Place;
use inbox_store::Store;
use inbox_types::Seq;

// Goal: regression: rule 5: a notice does not take the place of one that an operator purged. It was taken off the totals a second time, so that they
// said less than the inbox held. The simulator found it.
#[test]
fn rule_05_a_notice_that_was_purged_is_not_replaced() {
    let broker = Broker::new(small());
    broker.refuse(1);
    broker.commit();
    let places = broker.store.seqs(&id("bob"), Seq::ZERO, 10).unwrap();
    let stored: Vec<_> = places
        .iter()
        .map(|seq| Place {
            seq: *seq,
            message: None,
        })
        .collect();
    assert_eq!(broker.hub.purge_places(&id("bob"), &stored), places);
    broker.commit();
    broker.publish("bob", 2);
    broker.commit();
    broker.refuse(3);
    broker.commit();
    let stored = broker.store.inbox(&id("bob")).unwrap();
    assert_eq!(stored.unwrap().messages, 2);
    assert_eq!(broker.hub.totals(&id("bob")), stored);
}
