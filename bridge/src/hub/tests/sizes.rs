//! Inboxes with a size of their own, and what changes it while they are in memory (contract rule 3).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::kit::{Broker, FAR, id, message_from, small};
use inbox_store::Store;
use inbox_types::{ClientId, InboxSize, InboxSizes, Left, Limits, Outcome, Port, Qos, Refusal, Ticket, WhenFull};

/// How large the inboxes are that are not as large as all others.
#[derive(Default, Clone)]
struct Own(BTreeMap<&'static str, InboxSize>);

impl InboxSizes for Own {
    fn size_of(&self, inbox: &ClientId, usual: InboxSize) -> InboxSize {
        self.0.get(inbox.as_str()).copied().unwrap_or(usual)
    }
}

impl Broker {
    /// The inbox `of` has this size, and all others have the usual one.
    fn resize(&self, of: &'static str, messages_max: u64, bytes_max: u64) {
        let size = InboxSize {
            messages_max,
            bytes_max,
        };
        self.hub.resize(Some(Arc::new(Own([(of, size)].into()))));
    }

    /// What is answered to each of `count` messages of `size` bytes, in their order: whether it is accepted, and why not.
    fn fill(&self, inbox: &str, from: &str, size: usize, count: u64) -> Vec<Option<Refusal>> {
        let port: Arc<dyn Port> = self.port.clone();
        for ticket in 0..count {
            let message = message_from(from, ticket, size, Qos::AtLeastOnce, FAR);
            self.hub.publish(&id(inbox), message, &port, Ticket(ticket));
        }
        self.commit();
        let settled = self.port.take_settled().into_iter();
        let settled: BTreeMap<_, _> = settled.map(|(Ticket(ticket), outcome)| (ticket, outcome)).collect();
        let refusal = |outcome| match outcome {
            Outcome::Accepted(_) => None,
            Outcome::Refused(why) => Some(why),
        };
        settled.into_values().map(refusal).collect()
    }

    fn messages(&self, inbox: &str) -> u64 {
        let record = self.store.inbox(&id(inbox)).unwrap();
        record.map_or(0, |record| record.messages)
    }
}

fn limits() -> Limits {
    Limits {
        inbox_messages_max: 3,
        inbox_bytes_max: 1_000,
        ..small()
    }
}

const FULL: Option<Refusal> = Some(Refusal::InboxFull);
const SHARE: Option<Refusal> = Some(Refusal::SenderShare);

// Goal: of two inboxes each has its size, by messages and by bytes, whether it is in memory or was forgotten.
#[test]
fn two_inboxes_have_two_sizes() {
    let broker = Broker::new(limits());
    broker.resize("bob", 5, 60);
    assert_eq!(broker.fill("bob", "ann", 8, 6), [None, None, None, None, None, FULL]);
    assert_eq!(broker.fill("cyd", "ann", 8, 4), [None, None, None, FULL]);
    broker.forget_idle();
    assert_eq!(
        (broker.fill("bob", "ann", 8, 1), broker.fill("cyd", "ann", 8, 1)),
        (vec![FULL], vec![FULL])
    );

    broker.resize("dan", 100, 60);
    assert_eq!(broker.fill("dan", "ann", 20, 4), [None, None, None, FULL]);
    assert_eq!(broker.fill("dan", "ann", 61, 1), [Some(Refusal::LargerThanInbox)]);
    assert_eq!(broker.fill("eve", "ann", 61, 1), [None]);
}

// Goal: a new size holds at once for an inbox in memory, its reader there or not; one that holds more than that keeps it, and refuses; when nobody says
// anything any more, it has the usual size again.
#[test]
fn a_new_size_holds_for_inboxes_in_memory() {
    let broker = Broker::new(limits());
    let attachment = broker.hub.attach(&id("bob"), broker.port.clone(), 1);
    assert_eq!(broker.fill("bob", "ann", 8, 4), [None, None, None, FULL]);
    broker.resize("bob", 5, 1_000);
    assert_eq!(broker.fill("bob", "ann", 8, 3), [None, None, FULL]);
    broker.hub.detach(&id("bob"), attachment);
    broker.resize("bob", 2, 1_000);
    assert_eq!(broker.fill("bob", "ann", 8, 1), [FULL]);
    broker.forget_idle();
    assert_eq!(
        (broker.fill("bob", "ann", 8, 1), broker.messages("bob")),
        (vec![FULL], 5)
    );
    broker.resize("bob", 7, 48);
    assert_eq!(broker.fill("bob", "ann", 8, 2), [None, FULL]);
    broker.hub.resize(None);
    assert_eq!(
        (broker.fill("bob", "ann", 8, 1), broker.messages("bob")),
        (vec![FULL], 6)
    );
}

// Goal: an inbox that drops its oldest holds what its new size says as soon as something comes, and not before.
#[test]
fn a_smaller_inbox_drops_its_oldest_when_something_comes() {
    let broker = Broker::new(Limits {
        when_full: WhenFull::DropOldest,
        ..limits()
    });
    broker.resize("bob", 6, 1_000);
    assert_eq!(broker.fill("bob", "ann", 8, 7), [None; 7]);
    assert_eq!((broker.messages("bob"), broker.observer.left.lock().len()), (6, 1));
    broker.resize("bob", 2, 1_000);
    assert_eq!(broker.fill("cyd", "ann", 8, 1), [None]);
    assert_eq!(broker.messages("bob"), 6);
    assert_eq!(broker.fill("bob", "ann", 8, 1), [None]);
    let left = broker.observer.left.lock();
    assert_eq!((broker.messages("bob"), left.len()), (2, 6));
    assert!(
        left.iter()
            .all(|(inbox, _, why)| *inbox == id("bob") && *why == Left::Dropped)
    );
}

// Goal: a sender has its share of the inbox's own size, of a new one too.
#[test]
fn a_share_is_of_the_inboxs_own_size() {
    let broker = Broker::new(Limits {
        inbox_messages_max: 4,
        sender_share: 50,
        ..small()
    });
    broker.resize("bob", 8, 1_000);
    assert_eq!(broker.fill("bob", "eve", 8, 5), [None, None, None, None, SHARE]);
    assert_eq!(broker.fill("cyd", "eve", 8, 3), [None, None, SHARE]);
    broker.resize("bob", 12, 1_000);
    assert_eq!(broker.fill("bob", "eve", 8, 3), [None, None, SHARE]);
    broker.resize("bob", 10, 1_000);
    assert_eq!(broker.fill("bob", "eve", 8, 1), [SHARE]);
    assert_eq!(broker.fill("bob", "ann", 8, 4), [None; 4]);
    assert_eq!(broker.fill("bob", "ann", 8, 1), [FULL]);
    broker.resize("bob", 100, 90);
    assert_eq!(broker.fill("bob", "dan", 8, 2), [None, FULL], "by bytes");
}
