//! Sinks that keep what they are given, and publishers who wait until they have.

use inbox_types::{Outcome, Port, Refusal, Ticket};

use super::memory_store::port;
use super::*;

/// Keeps what it is given until it is told that it is durable.
#[derive(Default)]
struct Keeper {
    kept: Mutex<Vec<(OrdinaryDelivery, Option<Arc<Publisher>>)>>,
    delivered: Recorder,
}

impl Sink for Keeper {
    fn deliver(&self, batch: &mut Vec<OrdinaryDelivery>) {
        self.delivered.deliver(batch);
    }
    fn keeps(&self) -> bool {
        true
    }
    fn keep(&self, delivery: OrdinaryDelivery, publisher: Option<Arc<Publisher>>) {
        self.kept.lock().push((delivery, publisher));
    }
    fn lost(&self, _: u64) {}
}

impl Keeper {
    /// What it keeps is durable.
    fn commit(&self) -> usize {
        std::mem::take(&mut *self.kept.lock()).len()
    }

    fn refuse(&self, why: Refusal) {
        for (_, publisher) in std::mem::take(&mut *self.kept.lock()) {
            publisher.unwrap().settle(Ticket(0), Outcome::Refused(why));
        }
    }
}

fn at_least_once(topic: &str) -> OrdinaryMessage {
    OrdinaryMessage {
        qos: Qos::AtLeastOnce,
        ..message(topic, "x")
    }
}

async fn a_publisher_is_told_when_all_who_keep_it_have_it(engine: Engine) {
    // Goal: with two sinks that keep and one that does not, the answer comes when the second one has it; where nobody keeps, it is there at once; a
    // message with QoS 0 is kept by nobody.
    let setup = Setup::new(engine);
    let (told, port) = port();
    let (first, second) = (Arc::new(Keeper::default()), Arc::new(Keeper::default()));
    let plain = Arc::new(Recorder::default());
    setup.subscribe(9, &plain, 1, "a/#").await;
    let now = setup.router.publish_for(at_least_once("a/b"), &port, Ticket(1)).await;
    assert_eq!(now, Ok(Published::Now(Reach::Somebody)));
    for (key, keeper) in [(1, &first), (2, &second)] {
        setup.keep(key, keeper, "a/+").await;
    }
    let later = setup.router.publish_for(at_least_once("a/b"), &port, Ticket(2)).await;
    assert_eq!(later, Ok(Published::Later(Reach::Somebody)));
    setup.settle().await;
    assert_eq!(first.commit(), 1);
    assert!(told.take().is_empty());
    assert_eq!(second.commit(), 1);
    assert_eq!(told.take(), [(Ticket(2), Ok(()))]);
    setup.publish("a/b", "at most once").await;
    setup.settle().await;
    assert_eq!((first.commit(), first.delivered.take().len()), (0, 1));
    assert_eq!(plain.take().len(), 3);
}

async fn a_publisher_is_told_once_of_what_could_not_be_kept(engine: Engine) {
    // Goal: a refusal of one of them is the answer, also when another one has it; a message that is not taken at all is answered by that alone.
    let options = RouterOptions {
        retained_messages_max: 0,
        ..options(engine)
    };
    let setup = Setup::with(options);
    let (told, port) = port();
    let (first, second) = (Arc::new(Keeper::default()), Arc::new(Keeper::default()));
    for (key, keeper) in [(1, &first), (2, &second)] {
        setup.keep(key, keeper, "a/b").await;
    }
    setup
        .router
        .publish_for(at_least_once("a/b"), &port, Ticket(1))
        .await
        .unwrap();
    setup.settle().await;
    first.refuse(Refusal::StoreFailed);
    assert_eq!(second.commit(), 1);
    assert_eq!(told.take(), [(Ticket(1), Err(Refusal::StoreFailed))]);
    let retained = OrdinaryMessage {
        retain: true,
        ..at_least_once("a/b")
    };
    let refused = setup.router.publish_for(retained, &port, Ticket(2)).await;
    assert_eq!(refused, Err(PublishError::RetainedFull));
    setup.settle().await;
    assert_eq!((first.commit(), told.take()), (0, Vec::new()));
}

async fn one_member_of_a_shared_subscription_keeps_a_message(engine: Engine) {
    // Goal: the one that is chosen is the one that the publisher waits for.
    let setup = Setup::new(engine);
    let (told, port) = port();
    let keepers = [1, 2].map(|key| (key, Arc::new(Keeper::default())));
    for (key, keeper) in &keepers {
        let sink = Arc::clone(keeper) as Arc<dyn Sink>;
        let subscribed = setup
            .router
            .subscribe(SessionKey(*key), sink, 1, "a/b", Some("s"), true);
        subscribed.await.unwrap();
    }
    for ticket in 0..4 {
        let later = setup
            .router
            .publish_for(at_least_once("a/b"), &port, Ticket(ticket))
            .await;
        assert_eq!(later, Ok(Published::Later(Reach::Somebody)));
    }
    setup.settle().await;
    assert_eq!(keepers.map(|(_, keeper)| keeper.commit()).iter().sum::<usize>(), 4);
    assert_eq!(told.take().len(), 4);
}

impl Setup {
    async fn keep(&self, session: u64, keeper: &Arc<Keeper>, filter: &str) {
        let sink = Arc::clone(keeper) as Arc<dyn Sink>;
        let subscribed = self.router.subscribe(SessionKey(session), sink, 1, filter, None, true);
        subscribed.await.unwrap();
    }
}

async fn a_publisher_goes_on_to_wait_for_whoever_a_message_is_handed_to(engine: Engine) {
    // Goal: a message that lost its reader before that had it is another member's, and its publisher is told when that has it; if there is no other, at once.
    let setup = Setup::new(engine);
    let (told, port) = port();
    let keeper = Arc::new(Keeper::default());
    let sink = Arc::clone(&keeper) as Arc<dyn Sink>;
    let subscribed = setup.router.subscribe(SessionKey(1), sink, 1, "a/b", Some("s"), true);
    subscribed.await.unwrap();
    let orphan = |share: &str, ticket| Orphan {
        filter: "a/b".into(),
        share: share.into(),
        message: Arc::new(at_least_once("a/b")),
        publisher: Some(Publisher::new(&port, Ticket(ticket))),
    };
    assert_eq!(setup.router.hand_over(vec![orphan("s", 1)]).await, 0);
    assert!(told.take().is_empty());
    assert_eq!(keeper.commit(), 1);
    assert_eq!(told.take(), [(Ticket(1), Ok(()))]);
    assert_eq!(setup.router.hand_over(vec![orphan("others", 2)]).await, 1);
    assert_eq!(told.take(), [(Ticket(2), Ok(()))]);
}

of_every_engine! {
    a_publisher_is_told_when_all_who_keep_it_have_it
    a_publisher_is_told_once_of_what_could_not_be_kept
    one_member_of_a_shared_subscription_keeps_a_message
    a_publisher_goes_on_to_wait_for_whoever_a_message_is_handed_to
}

#[test]
fn publishers_that_are_let_go_of_together_are_each_told_once() {
    // Goal: in the order of their letting go at each port; who is held by somebody else is told when that lets go, and a refusal is told as one.
    let ((alice, alices), (bob, bobs)) = (port(), port());
    let ports = [&alices, &alices, &bobs, &alices, &bobs];
    let mut all: Vec<_> = (0..)
        .zip(ports)
        .map(|(n, port)| Publisher::new(port, Ticket(n)))
        .collect();
    let held = all[1].clone();
    all[3].settle(Ticket(0), Outcome::Refused(Refusal::DiskFull));
    Publisher::let_go_of(&mut all);
    assert!(all.is_empty());
    assert_eq!(alice.take(), [(Ticket(0), Ok(())), (Ticket(3), Err(Refusal::DiskFull))]);
    assert_eq!(bob.take(), [(Ticket(2), Ok(())), (Ticket(4), Ok(()))]);
    drop(held);
    assert_eq!(alice.take(), [(Ticket(1), Ok(()))]);
}
