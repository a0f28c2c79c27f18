//! Senders that are told when there is room again (`notify-space`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::kit::{Broker, FAR, id, message_from, small};
use inbox_store::{PageLimit, Store, Trouble};
use inbox_types::{
    Age, AttachmentId, ClientId, InboxSize, InboxSizes, Limits, NOTICE_FROM, Outcome, Port, Qos, Refusal, Seq, Ticket,
    WantedRoom,
};

const SIZE: usize = 8;
const EVERYTHING: PageLimit = PageLimit {
    messages: usize::MAX,
    bytes: usize::MAX,
};

fn holding(messages: u64) -> Limits {
    Limits {
        inbox_messages_max: messages,
        ..small()
    }
}

impl Broker {
    /// Writes into `inbox` from `sender`, who asks to be told if that is refused for want of room. Tells whether it is.
    fn write(&self, sender: &str, inbox: &str) -> Option<Refusal> {
        self.write_for(sender, inbox, FAR)
    }

    /// The same with a message that leaves a store of that age.
    fn write_for(&self, sender: &str, inbox: &str, expires_at: Age) -> Option<Refusal> {
        let port: Arc<dyn Port> = self.port.clone();
        let message = message_from(sender, 1, SIZE, Qos::AtLeastOnce, expires_at);
        self.hub.publish(&id(inbox), message, &port, Ticket(1));
        self.settle();
        let refusal = match self.port.take_settled().pop() {
            Some((_, Outcome::Refused(refusal))) => refusal,
            _ => return None,
        };
        self.ask(sender, inbox, SIZE, refusal);
        Some(refusal)
    }

    fn ask(&self, sender: &str, inbox: &str, bytes: usize, why: Refusal) {
        let wanted = WantedRoom {
            inbox: id(inbox),
            topic: inbox.into(),
            bytes,
        };
        self.hub.await_room(&id(sender), wanted, why);
        self.settle();
    }

    /// The client of `inbox` reads up to `n` messages, and stays away again.
    fn take(&self, inbox: &str, n: usize) {
        self.port.take_delivered();
        let attachment = self.hub.attach(&id(inbox), self.port.clone(), 100);
        self.read();
        let delivered = self.delivered().into_iter().map(|(seq, _)| seq);
        let seqs: Vec<Seq> = delivered.take(n).collect();
        self.hub.acknowledge(&id(inbox), &seqs);
        self.hub.detach(&id(inbox), attachment);
        self.settle();
    }

    /// What `sender` was told so far: by inbox, how often.
    fn told(&self, sender: &str) -> BTreeMap<String, usize> {
        let page = self.store.read(&id(sender), Seq::ZERO, EVERYTHING).unwrap();
        let mut told = BTreeMap::new();
        for entry in page.entries.iter().filter(|entry| entry.message.from == *NOTICE_FROM) {
            let said: serde_json::Value = serde_json::from_slice(&entry.message.payload).unwrap();
            assert_eq!(said["notice"], "room");
            *told.entry(said["topic"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        told
    }

    fn is_told(&self, sender: &str) -> usize {
        self.told(sender).values().sum()
    }

    /// The committer does all that it is called for: what an inbox says in one round is told in the next.
    fn settle(&self) {
        self.commit();
        self.commit();
    }
}

// Goal: rule 3: whoever asked is told once when there is room again, neither before nor twice, and only after another refusal again.
#[test]
fn rule_03_a_refused_sender_is_told_once_of_room() {
    let broker = Broker::new(holding(2));
    assert_eq!(
        [1, 2, 3].map(|_| broker.write("ann", "bob")),
        [None, None, Some(Refusal::InboxFull)]
    );
    assert_eq!(broker.write("ann", "bob"), Some(Refusal::InboxFull));
    broker.take("bob", 0);
    assert_eq!(broker.is_told("ann"), 0);
    broker.take("bob", 1);
    assert_eq!(broker.told("ann"), [("bob".to_owned(), 1)].into());
    broker.take("bob", 1);
    assert_eq!(broker.is_told("ann"), 1);
    assert_eq!([1, 2].map(|_| broker.write("ann", "bob")), [None, None]);
    broker.write("ann", "bob");
    broker.take("bob", 9);
    assert_eq!(broker.told("ann"), [("bob".to_owned(), 2)].into());
    assert_eq!(broker.hub.counters().rooms_told.get(), 2);
}

// Goal: one place that comes free brings one sender, the one that waits longest; an inbox that was emptied brings all of them, for nothing more
// will leave it.
#[test]
fn rule_03_one_place_brings_one_sender() {
    let broker = Broker::new(holding(3));
    let senders: Vec<String> = (0..6).map(|n| format!("s{n}")).collect();
    for _ in 0..3 {
        broker.write("zoe", "bob");
    }
    for sender in &senders {
        broker.write(sender, "bob");
    }
    let told = || senders.iter().map(|sender| broker.is_told(sender)).collect::<Vec<_>>();
    broker.take("bob", 1);
    assert_eq!(told(), [1, 0, 0, 0, 0, 0]);
    broker.take("bob", 1);
    assert_eq!(
        told(),
        [1, 1, 1, 0, 0, 0],
        "there is room for two now, and nobody used the first"
    );
    broker.take("bob", 1);
    assert_eq!(told(), [1; 6]);
}

// Goal: whoever is told may be gone, or unable to read it: what it does not use is told to the next one, and to nobody when it was used.
#[test]
fn rule_03_room_that_nobody_uses_is_told_to_the_next_one() {
    let broker = Broker::new(holding(3));
    let senders = ["s0", "s1", "s2"];
    for _ in 0..3 {
        broker.write("zoe", "bob");
    }
    for sender in senders {
        broker.write(sender, "bob");
    }
    let told = || senders.map(|sender| broker.is_told(sender));
    let second = || {
        broker.hub.pass_room_on();
        broker.settle();
    };
    second();
    assert_eq!(told(), [0, 0, 0]);
    broker.take("bob", 1);
    assert_eq!(told(), [1, 0, 0]);
    second();
    assert_eq!(told(), [1, 1, 0]);
    assert_eq!(broker.write("s1", "bob"), None);
    second();
    assert_eq!(told(), [1, 1, 0], "it is full again");
    broker.take("bob", 1);
    assert_eq!(told(), [1, 1, 1]);
}

// Goal: a crowd that waits for more than there is room for is not gone through whenever something leaves.
#[test]
fn rule_03_a_crowd_that_waits_is_not_gone_through() {
    let broker = Broker::new(Limits {
        inbox_bytes_max: 100,
        ..holding(100)
    });
    for _ in 0..12 {
        broker.write("zoe", "bob");
    }
    for n in 0..40 {
        broker.ask(&format!("large-{n}"), "bob", 90, Refusal::InboxFull);
    }
    broker.ask("small", "bob", SIZE, Refusal::InboxFull);
    broker.take("bob", 1);
    assert_eq!(broker.is_told("small"), 0, "it waits behind the first of them");
    broker.take("bob", 100);
    assert_eq!((broker.is_told("small"), broker.is_told("large-39")), (1, 1));
}

// Goal: who waits is told though the inbox was forgotten meanwhile, so that it must be counted first; and by an inbox that is emptied by time.
#[test]
fn rule_03_room_is_told_by_inboxes_that_were_not_in_memory() {
    for expires in [false, true] {
        let broker = Broker::new(holding(2));
        for _ in 0..3 {
            broker.write_for("ann", "bob", Age(20_000_000));
        }
        broker.forget_idle();
        if expires {
            broker.forget_idle();
            let page = broker.store.read(&id("bob"), Seq::ZERO, EVERYTHING).unwrap();
            broker.hub.expire(&id("bob"), &page.entries);
            broker.settle();
        } else {
            broker.take("bob", 1);
        }
        assert_eq!(broker.is_told("ann"), 1, "by time: {expires}");
    }
}

// Goal: a store that cannot be read for a while does not make anybody wait for ever.
#[test]
fn rule_03_room_is_told_after_a_trouble_of_the_store() {
    let broker = Broker::new(holding(2));
    for _ in 0..3 {
        broker.write("ann", "bob");
    }
    broker.forget_idle();
    let attachment = broker.hub.attach(&id("bob"), broker.port.clone(), 100);
    broker.read();
    let seqs: Vec<Seq> = broker.delivered().into_iter().map(|(seq, _)| seq).collect();
    broker.store.set_trouble(Some(Trouble::NoDescriptors));
    broker.hub.acknowledge(&id("bob"), &seqs);
    broker.hub.detach(&id("bob"), attachment);
    broker.clock.advance(Duration::from_secs(1));
    broker.hub.commit_round(&broker.store, false).unwrap();
    broker.store.set_trouble(None);
    broker.clock.advance(Duration::from_secs(1));
    for _ in 0..3 {
        broker.hub.commit_round(&broker.store, false).unwrap();
    }
    assert_eq!(broker.is_told("ann"), 1);
}

// Goal: who asks after room came is told at once; who wants more than the inbox could ever hold is never told.
#[test]
fn rule_03_room_that_is_there_already_is_told_at_once() {
    let broker = Broker::new(Limits {
        inbox_bytes_max: 100,
        ..holding(2)
    });
    broker.ask("ann", "bob", 100, Refusal::InboxFull);
    broker.ask("eve", "bob", 101, Refusal::LargerThanInbox);
    assert_eq!((broker.is_told("ann"), broker.is_told("eve")), (1, 0));
}

// Goal: a sender that holds its share waits until less of it is there, whoever else has room.
#[test]
fn rule_03_a_sender_at_its_share_is_told_when_its_own_mail_has_left() {
    let broker = Broker::new(Limits {
        sender_share: 50,
        ..holding(4)
    });
    assert_eq!(
        [1, 2, 3].map(|_| broker.write("ann", "bob")),
        [None, None, Some(Refusal::SenderShare)]
    );
    broker.write("eve", "bob");
    broker.write("eve", "bob");
    broker.write("cyd", "bob");
    broker.take("bob", 1);
    assert_eq!(
        (broker.is_told("ann"), broker.is_told("cyd")),
        (1, 0),
        "one place, and it is the one that ann waited for"
    );
    broker.take("bob", 9);
    assert_eq!((broker.is_told("ann"), broker.is_told("cyd")), (1, 1));
}

// Goal: a refusal of the whole broker is told when the broker takes mail again; to nobody before.
#[test]
fn rule_03_room_on_the_disk_is_told() {
    let broker = Broker::new(small());
    broker.hub.set_disk_free(Some(0));
    assert_eq!(broker.write("ann", "bob"), Some(Refusal::DiskFull));
    broker.hub.tell_rooms();
    broker.settle();
    assert_eq!(broker.is_told("ann"), 0);
    broker.hub.set_disk_free(Some(u64::MAX));
    broker.hub.tell_rooms();
    broker.settle();
    assert_eq!(broker.told("ann"), [("bob".to_owned(), 1)].into());
}

struct Larger;

impl InboxSizes for Larger {
    fn size_of(&self, _: &ClientId, usual: InboxSize) -> InboxSize {
        InboxSize {
            messages_max: usual.messages_max + 1,
            ..usual
        }
    }
}

// Goal: inboxes that are made larger have room, those that are not in memory too.
#[test]
fn rule_03_room_in_an_inbox_that_was_made_larger_is_told() {
    for is_forgotten in [false, true] {
        let broker = Broker::new(holding(1));
        broker.write("ann", "bob");
        broker.write("ann", "bob");
        if is_forgotten {
            broker.forget_idle();
        }
        broker.hub.resize(None);
        broker.settle();
        assert_eq!(broker.is_told("ann"), 0);
        broker.hub.resize(Some(Arc::new(Larger)));
        broker.settle();
        assert_eq!(broker.is_told("ann"), 1, "not in memory: {is_forgotten}");
    }
}

#[derive(Debug, Clone)]
enum Op {
    Write { sender: usize, inbox: usize },
    Take { inbox: usize, n: usize },
    Attach { inbox: usize },
    Forget,
}

const SENDERS: [&str; 3] = ["ann", "ann~2", "eve"];
const INBOXES: [&str; 2] = ["bob", "cyd"];

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        6 => (0..SENDERS.len(), 0..INBOXES.len()).prop_map(|(sender, inbox)| Op::Write { sender, inbox }),
        2 => (0..INBOXES.len(), 0..4_usize).prop_map(|(inbox, n)| Op::Take { inbox, n }),
        1 => (0..INBOXES.len()).prop_map(|inbox| Op::Attach { inbox }),
        1 => Just(Op::Forget),
    ];
    prop::collection::vec(op, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 200, ..ProptestConfig::default() })]

    // Goal: rule 3: whatever happens, nobody is told more often than it was refused; and when all has been read, everybody was told.
    #[test]
    fn rule_03_everybody_who_asked_is_told_once(ops in ops(), sender_share in prop::sample::select(vec![50_u8, 100])) {
        let broker = Broker::new(Limits { sender_share, ..holding(4) });
        let mut asked = BTreeSet::new();
        // How many refusals were not answered by a notice.
        let mut refusals = BTreeMap::<(usize, usize), usize>::new();
        let mut attached: [Option<AttachmentId>; 2] = [None; 2];
        let ends = (0..INBOXES.len()).map(|inbox| Op::Take { inbox, n: 100 });
        for op in ops.into_iter().chain(ends) {
            match op {
                Op::Write { sender, inbox } => {
                    if broker.write(SENDERS[sender], INBOXES[inbox]).is_some() {
                        asked.insert((sender, inbox));
                        *refusals.entry((sender, inbox)).or_default() += 1;
                    }
                }
                Op::Take { inbox, n } => {
                    attached[inbox] = None;
                    broker.take(INBOXES[inbox], n);
                }
                Op::Attach { inbox } => {
                    let owner: ClientId = id(INBOXES[inbox]);
                    attached[inbox] = Some(broker.hub.attach(&owner, broker.port.clone(), 2));
                    broker.read();
                }
                Op::Forget => {
                    for (inbox, attachment) in attached.iter_mut().enumerate() {
                        if let Some(attachment) = attachment.take() {
                            broker.hub.detach(&id(INBOXES[inbox]), attachment);
                        }
                    }
                    broker.settle();
                    broker.forget_idle();
                }
            }
            for (at, sender) in SENDERS.iter().enumerate() {
                let told = broker.told(sender);
                // It reads them: there would be no room for more.
                broker.take(sender, 100);
                for (inbox, n) in told {
                    let inbox = INBOXES.iter().position(|name| *name == inbox).unwrap();
                    prop_assert_eq!(n, 1, "told twice");
                    asked.remove(&(at, inbox));
                    // One that was on its way when another publish was refused is about an earlier one.
                    let refusals = refusals.entry((at, inbox)).or_default();
                    prop_assert!(*refusals > 0, "{} did not ask", sender);
                    *refusals -= 1;
                }
            }
        }
        prop_assert!(asked.is_empty(), "not told: {:?}", asked);
    }
}
