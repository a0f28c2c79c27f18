//! Contract rule 5: inboxes whose owners do not come.

use std::sync::Arc;
use std::time::Duration;

use super::kit::{Broker, TestObserver, id, small};
use crate::hub::absence::State;
use crate::hub::{Absences, Hub};
use inbox_store::{Store, Table, TableKey};
use inbox_types::{AttachmentId, Inboxes, Left, Limits, Port};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn limits() -> Limits {
    Limits {
        idle_expiry: Some(10 * DAY),
        ..small()
    }
}

/// A broker whose housekeeper looks when it is told to.
struct World {
    broker: Broker,
    absences: Absences,
}

impl World {
    fn new(limits: Limits) -> Self {
        let broker = Broker::new(limits);
        let mut absences = Absences::default();
        absences.turn(&broker.hub, &broker.store);
        World { broker, absences }
    }

    /// The process is killed, and starts again.
    fn restart(&mut self, limits: Limits) {
        let (clock, observer) = (self.broker.clock.clone(), Arc::new(TestObserver::default()));
        let opened = Hub::open(&self.broker.store, limits, clock, observer.clone()).unwrap();
        (self.broker.hub, self.broker.requests) = opened;
        self.broker.observer = observer;
        self.absences = Absences::default();
        self.absences.turn(&self.broker.hub, &self.broker.store);
    }

    fn pass(&mut self, time: Duration) {
        self.broker.clock.advance(time);
        self.look();
    }

    /// As many turns as it takes to see everything twice, and their commits.
    fn look(&mut self) {
        for _ in 0..8 {
            self.turn();
        }
    }

    fn turn(&mut self) {
        self.absences.turn(&self.broker.hub, &self.broker.store);
        self.broker.clock.advance(Duration::from_secs(61));
        self.broker.commit();
    }

    fn come(&self, owner: &str) -> AttachmentId {
        let port: Arc<dyn Port> = self.broker.port.clone();
        Inboxes::attach(&self.broker.hub, &id(owner), port, 10, &[])
    }

    fn go(&self, owner: &str, attachment: AttachmentId) {
        Inboxes::detach(&self.broker.hub, &id(owner), attachment);
    }

    fn holds(&self, owner: &str) -> u64 {
        let record = self.broker.store.inbox(&id(owner)).unwrap();
        record.map_or(0, |record| record.messages)
    }

    fn forgotten(&self) -> u64 {
        self.broker.hub.counters().inboxes_forgotten.get()
    }
}

fn mail(world: &World, owner: &str, messages: u64) {
    (0..messages).for_each(|ticket| world.broker.publish(owner, ticket));
    world.broker.commit();
}

#[test]
fn rule_05_an_inbox_is_forgotten_when_its_owner_has_not_come_for_so_long() {
    // Goal: of an owner who never came the time counts from the first mail, of one who did from when it left; one that is there, and one that comes
    // in time, keep all. It is told by message, inbox and counter. Pages are small, so that several are read.
    let mut world = World::new(limits());
    for owner in ["never", "there", "left"] {
        mail(&world, owner, 11);
    }
    let there = world.come("there");
    let left = world.come("left");
    world.go("left", left);
    world.look();
    world.pass(8 * DAY);
    let left = world.come("left");
    world.go("left", left);
    world.look();
    world.pass(2 * DAY);
    assert_eq!(
        ["never", "there", "left"].map(|owner| world.holds(owner)),
        [11, 11, 11],
        "no sooner"
    );
    world.pass(DAY);
    assert_eq!(["never", "there", "left"].map(|owner| world.holds(owner)), [0, 11, 11]);
    let told = world.broker.observer.left.lock().clone();
    assert!(
        told.len() == 11
            && told
                .iter()
                .all(|(inbox, _, why)| *inbox == id("never") && *why == Left::Idle)
    );
    assert_eq!(world.broker.hub.counters().idle.get(), 11);
    world.pass(9 * DAY);
    assert_eq!(["never", "there", "left"].map(|owner| world.holds(owner)), [0, 11, 0]);
    assert_eq!(world.forgotten(), 2);
    // It is there no more, and mail that comes for one that was forgotten has all its time.
    world.go("there", there);
    mail(&world, "never", 1);
    world.look();
    world.pass(9 * DAY);
    assert_eq!(["never", "there"].map(|owner| world.holds(owner)), [1, 11]);
    world.pass(3 * DAY);
    assert_eq!(["never", "there"].map(|owner| world.holds(owner)), [0, 0]);
}

#[test]
fn rule_05_no_step_of_the_system_clock_forgets_an_inbox_and_a_restart_goes_on() {
    // Goal: the time is that of the store: a clock that is set by years, either way, forgets nothing and keeps nothing; a crash changes nothing.
    let mut world = World::new(limits());
    mail(&world, "bob", 3);
    world.look();
    for years in [5, -30, 60] {
        world.broker.clock.jump(years * 366 * 24 * 3600 * 1_000_000);
        world.pass(DAY);
        world.restart(limits());
        world.look();
        assert_eq!(world.holds("bob"), 3);
    }
    world.pass(7 * DAY);
    assert_eq!(world.holds("bob"), 3);
    world.restart(limits());
    world.pass(2 * DAY);
    assert_eq!(world.holds("bob"), 0);
}

#[test]
fn rule_05_owners_have_an_hour_after_a_long_time_without_a_broker() {
    // Goal: while the broker was down nobody could come, and the store grew older: whoever comes within the hour keeps its mail.
    let mut world = World::new(limits());
    mail(&world, "bob", 3);
    mail(&world, "carol", 3);
    world.look();
    world.broker.clock.advance(100 * DAY);
    world.restart(limits());
    world.look();
    assert_eq!(["bob", "carol"].map(|owner| world.holds(owner)), [3, 3]);
    let bob = world.come("bob");
    world.go("bob", bob);
    world.pass(Duration::from_secs(3600));
    assert_eq!(["bob", "carol"].map(|owner| world.holds(owner)), [3, 0]);
}

#[test]
fn rule_05_whoever_came_while_nothing_was_noted_is_not_forgotten() {
    // Goal: notes of an earlier time, with a time without notes in between, say nothing: nobody knows who came meanwhile.
    let mut world = World::new(limits());
    mail(&world, "bob", 3);
    world.look();
    world.restart(small());
    assert!(matches!(world.absences.0, State::Off));
    world.broker.commit();
    let bob = world.come("bob");
    world.go("bob", bob);
    world.pass(20 * DAY);
    world.restart(limits());
    world.look();
    world.pass(9 * DAY);
    assert_eq!(world.holds("bob"), 3);
    world.pass(3 * DAY);
    assert_eq!(world.holds("bob"), 0);
}

#[test]
fn rule_05_a_store_that_cannot_be_read_at_the_start_is_asked_again() {
    // Goal: regression: one read that failed at the start kept inboxes for as long as the broker ran.
    let mut world = World::new(limits());
    mail(&world, "bob", 3);
    world.look();
    world.broker.store.fail_read(1);
    world.absences = Absences::default();
    world.turn();
    assert!(matches!(world.absences.0, State::Beginning));
    world.look();
    assert!(matches!(world.absences.0, State::Looking(_)));
    world.pass(12 * DAY);
    assert_eq!(world.holds("bob"), 0);
}

#[test]
fn rule_05_an_owner_that_comes_while_its_inbox_is_being_forgotten_keeps_what_is_left() {
    // Goal: regression: more messages than one turn removes; who came and went between two turns lost the rest.
    let mut world = World::new(limits());
    mail(&world, "bob", 4200);
    world.look();
    world.broker.clock.advance(12 * DAY);
    while world.holds("bob") == 4200 {
        world.turn();
    }
    let left = world.holds("bob");
    assert!(left > 0, "one turn removed all of it");
    let bob = world.come("bob");
    world.go("bob", bob);
    world.pass(DAY);
    assert_eq!(world.holds("bob"), left);
}

#[test]
fn rule_05_a_notice_that_was_forgotten_is_not_replaced() {
    // Goal: regression: it was taken off the totals a second time by the next notice, so that they said less than the inbox held.
    let mut world = World::new(limits());
    world.broker.refuse(1);
    world.broker.commit();
    world.look();
    world.pass(12 * DAY);
    assert_eq!(world.holds("bob"), 0);
    mail(&world, "bob", 1);
    world.broker.refuse(2);
    world.broker.commit();
    assert_eq!(world.holds("bob"), 2);
    assert_eq!(world.broker.hub.totals(&id("bob")).unwrap().messages, 2);
}

#[test]
fn owners_that_come_often_are_noted_once_a_day() {
    // Goal: coming and going costs no writes, but one in a day.
    let mut world = World::new(limits());
    let key = TableKey::new(&b"bob"[..]).unwrap();
    let noted = |world: &World| world.broker.store.get(Table::SEEN, &key).unwrap();
    let bob = world.come("bob");
    world.look();
    let first = noted(&world).unwrap();
    for _ in 0..10 {
        world.go("bob", bob);
        world.come("bob");
        world.pass(Duration::from_secs(3600));
        assert_eq!(noted(&world).unwrap(), first);
    }
    world.pass(DAY);
    assert_ne!(noted(&world).unwrap(), first, "it is still there");
}
