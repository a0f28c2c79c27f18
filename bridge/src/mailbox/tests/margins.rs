//! Comparisons at their very edge, which mutants that survived the other tests have pointed at.

use std::time::Duration;

use super::desk::Desk;
use crate::hub::tests::kit::FAR;
use crate::hub::tests::kit::small;
use crate::mailbox::Mailbox;
use inbox_types::{Limits, Seq};

// Goal: a message that fills an empty inbox to its last byte is accepted; one byte more never fits.
#[test]
fn a_message_may_fill_the_inbox() {
    let mut desk = Desk::new(Limits {
        inbox_bytes_max: 100,
        ..small()
    });
    desk.publish_sized(101, FAR);
    desk.publish_sized(100, FAR);
    desk.commit();
    assert_eq!(desk.stored(), [2]);
}

// Goal: the mark of what was sent is there while a message is, and gone with the last one, so that the next mail is no duplicate.
#[test]
fn the_sent_mark_goes_with_the_last_message() {
    let mut desk = Desk::new(small());
    desk.store(2);
    let reader = desk.attach(5);
    desk.turn_pages();
    desk.acknowledge(1);
    desk.commit();
    assert_eq!(desk.mailbox.sent_mark(), Seq(2));
    desk.acknowledge(2);
    desk.detach(reader);
    desk.advance(small().ack_flush_interval);
    desk.commit();
    assert_eq!((desk.stored(), desk.mailbox.sent_mark()), (vec![], Seq::ZERO));
}

// Goal: an inbox is listed for the committer once for the same time, and again only for an earlier one.
#[test]
fn an_inbox_is_listed_once_for_a_time() {
    let mut mailbox = Mailbox::default();
    let at = Duration::from_secs;
    assert_eq!(mailbox.list_for(Some(at(2))), Some(at(2)));
    assert_eq!(mailbox.list_for(Some(at(2))), None);
    assert_eq!((mailbox.list_for(Some(at(3))), mailbox.list_for(None)), (None, None));
    assert_eq!(mailbox.list_for(Some(at(1))), Some(at(1)));
}
