//! The books notice what is wrong: each test tells them a history with one thing wrong in it, and the same history without it.

use super::plan::{KEPT, Key};
use super::retained::{self, Retained, TOPICS};
use super::sessions::{Sessions, Start};
use crate::Publish;
use crate::build::{Version, property};
use crate::parse::{Properties, Value};

/// MQTT 5, QoS 2 on `house/#`, with a subscription identifier.
const SESSION: usize = 1;
/// QoS 1, one at a time.
const PUBLISHER: usize = 0;

/// What makes a delivery wrong.
type Change = fn(&mut Publish);

/// A message as the broker delivers it to [`SESSION`].
fn delivery(key: Key) -> Publish {
    let identifier = KEPT[SESSION].identifier(0).unwrap();
    Publish {
        dup: false,
        qos: 1,
        retain: false,
        topic: key.topic(),
        packet_id: 1,
        props: Properties(vec![(property::SUBSCRIPTION_ID, Value::Number(identifier))]),
        payload: key.payload().into(),
    }
}

impl Sessions {
    fn comes(&mut self, key: Key) {
        assert_eq!(self.delivered(SESSION, Version::V5, &delivery(key)), Some(key));
    }

    /// Connects and subscribes, for the first time.
    fn subscribed_session() -> Self {
        let mut books = Sessions::default();
        books.connecting(SESSION, Start::Kept);
        assert!(!books.connected(SESSION, Start::Kept, false));
        books.subscribe();
        books
    }

    fn subscribe(&mut self) {
        self.subscribing(SESSION, 0);
        self.subscribed(SESSION, 0);
    }

    /// After a restart.
    fn comes_back(&mut self, is_present: bool) {
        self.connecting(SESSION, Start::Kept);
        self.connected(SESSION, Start::Kept, is_present);
    }

    fn published(&mut self) -> Key {
        let key = self.publishing(PUBLISHER);
        self.accepted(key);
        self.through(key);
        key
    }

    /// The one thing that was wrong.
    fn wrong(mut self) -> String {
        self.check_nothing_is_missing(SESSION);
        assert_eq!(self.violations.len(), 1, "{:?}", self.violations);
        self.violations.remove(0)
    }

    fn expect_right(mut self) {
        self.check_nothing_is_missing(SESSION);
        assert!(self.violations.is_empty(), "{:?}", self.violations);
    }
}

#[test]
fn a_session_that_is_not_present_any_more_is_noticed() {
    // Goal: after a SUBACK the session is present, until it may have been ended.
    let mut books = Sessions::subscribed_session();
    books.comes_back(true);
    assert_eq!(books.checked.resumed, 1);
    books.comes_back(false);
    assert!(books.wrong().contains("is not present, and must be"));
    let mut books = Sessions::subscribed_session();
    books.ending(SESSION);
    books.comes_back(false);
    books.expect_right();
}

#[test]
fn a_session_that_is_back_after_a_clean_one_is_noticed() {
    // Goal: a clean session in its place ends it for good.
    let mut books = Sessions::subscribed_session();
    books.connecting(SESSION, Start::Clean);
    books.connected(SESSION, Start::Clean, false);
    books.comes_back(true);
    assert!(books.wrong().contains("is present, and must not be"));
}

#[test]
fn a_message_with_qos_2_that_comes_twice_is_noticed() {
    // Goal: what was sent with QoS 2 and is the subscriber's does not come again, also not from a publisher that sends again.
    let mut books = Sessions::subscribed_session();
    let key = books.publishing(4);
    let mut publish = delivery(key);
    publish.qos = 2;
    books.delivered(SESSION, Version::V5, &publish);
    publish.dup = true;
    books.delivered(SESSION, Version::V5, &publish);
    assert_eq!(books.violations, [""; 0], "it was not the subscriber's");
    books.acknowledged(SESSION, key);
    books.delivered(SESSION, Version::V5, &publish);
    assert!(books.violations[0].contains("twice"), "{:?}", books.violations);
}

#[test]
fn a_message_that_is_missing_is_noticed() {
    // Goal: what was acknowledged to its publisher comes, and comes again until it is acknowledged; without an answer to the publisher it need not.
    let mut books = Sessions::subscribed_session();
    let key = books.published();
    books.comes_back(true);
    assert_eq!(books.missing(SESSION), 1);
    books.comes(key);
    assert!(books.wrong().contains("did not get 1 acknowledged"));
    let mut books = Sessions::subscribed_session();
    books.publishing(PUBLISHER);
    let key = books.published();
    books.comes(key);
    books.acknowledged(SESSION, key);
    books.expect_right();
}

#[test]
fn what_may_have_been_unsubscribed_or_ended_need_not_come() {
    // Goal: the check of what is missing asks for nothing that MQTT does not promise.
    let mut books = Sessions::subscribed_session();
    books.published();
    books.unsubscribing(SESSION, 0);
    books.published();
    books.expect_right();
    let mut books = Sessions::subscribed_session();
    books.published();
    books.connecting(SESSION, Start::Anew);
    books.expect_right();
}

#[test]
fn a_message_from_before_the_subscription_is_noticed() {
    // Goal: what was through before SUBSCRIBE never comes; what was on its way then may.
    let mut books = Sessions::default();
    let (before, on_its_way) = (books.published(), books.publishing(PUBLISHER));
    books.comes_back(false);
    books.subscribe();
    books.comes(on_its_way);
    books.comes(before);
    assert!(books.wrong().contains("was not subscribed"));
}

#[test]
fn a_message_from_after_unsubscribing_is_noticed() {
    // Goal: after UNSUBACK nothing new comes, what waited may; and what was sent in between never does, after a second SUBSCRIBE either.
    for subscribes_again in [false, true] {
        let mut books = Sessions::subscribed_session();
        let waited = books.published();
        books.unsubscribing(SESSION, 0);
        books.unsubscribed(SESSION, 0);
        let between = books.published();
        if subscribes_again {
            books.subscribe();
        }
        books.comes(waited);
        books.comes(between);
        assert!(books.wrong().contains("was not subscribed"));
    }
}

#[test]
fn a_message_from_before_a_clean_start_is_noticed() {
    // Goal: a clean start discards what waited.
    let mut books = Sessions::subscribed_session();
    let old = books.published();
    books.connecting(SESSION, Start::Anew);
    books.connected(SESSION, Start::Anew, false);
    books.subscribe();
    books.comes(old);
    assert!(books.wrong().contains("was not subscribed"));
}

#[test]
fn messages_out_of_order_are_noticed() {
    // Goal: first deliveries of a publisher on a topic come in order. Numbers whose remainders are different are on other topics, and copies may follow.
    let mut books = Sessions::subscribed_session();
    let keys: Vec<Key> = (0..7).map(|_| books.published()).collect();
    let mut took = |number: usize, dup: bool| {
        let mut publish = delivery(keys[number]);
        publish.dup = dup;
        books.delivered(SESSION, Version::V5, &publish);
        books.acknowledged(SESSION, keys[number]);
    };
    for number in [1, 0, 2, 4] {
        took(number, false);
    }
    took(1, true);
    for number in [6, 3, 5] {
        took(number, false);
    }
    assert_eq!(books.checked.out_of_order, 1);
    assert!(books.wrong().contains("after number 7"));
}

#[test]
fn a_copy_without_dup_is_noticed() {
    // Goal: MQTT-3.3.1-1, over restarts, too.
    let mut books = Sessions::subscribed_session();
    let key = books.published();
    books.comes(key);
    books.comes_back(true);
    books.comes(key);
    books.acknowledged(SESSION, key);
    assert!(books.wrong().contains("without DUP"));
}

#[test]
fn options_and_contents_that_changed_are_noticed() {
    // Goal: QoS, subscription identifier and every byte are as they were.
    let wrongs: [(&str, Change); 5] = [
        ("with QoS 0", |publish| publish.qos = 0),
        ("identifiers []", |publish| publish.props.0.clear()),
        ("retained", |publish| publish.retain = true),
        ("nobody sent", |publish| publish.payload.push(b'x')),
        ("nobody sent", |publish| publish.topic = "house/0/7".into()),
    ];
    for (said, change) in wrongs {
        let mut books = Sessions::subscribed_session();
        let mut publish = delivery(books.publishing(PUBLISHER));
        change(&mut publish);
        books.delivered(SESSION, Version::V5, &publish);
        let wrong = books.wrong();
        assert!(wrong.contains(said), "{wrong}");
    }
}

#[test]
fn a_message_that_no_filter_takes_is_noticed() {
    // Goal: no message to a session that was never subscribed to its topic.
    let mut books = Sessions::default();
    books.connected(0, Start::Kept, false);
    let key = books.publishing(3);
    books.delivered(0, Version::V311, &delivery(key));
    assert!(books.wrong().contains("no filter of it"));
}

/// What a new subscription gets of a topic.
fn kept(topic: usize, number: u64) -> Publish {
    Publish {
        dup: false,
        qos: 1,
        retain: true,
        topic: retained::name(topic),
        packet_id: 1,
        props: Properties::default(),
        payload: retained::payload(topic, number).into(),
    }
}

impl Retained {
    /// Sets topic 0, or clears it, and is told so.
    fn set(&mut self, clears: bool) -> u64 {
        let number = self.setting(0, clears);
        self.accepted(0, number);
        number
    }

    /// What is wrong with this in topic 0, after a restart.
    fn shows(&mut self, number: Option<u64>) -> Vec<String> {
        self.begin_life();
        let mut look = self.looking();
        if let Some(number) = number {
            self.found(&mut look, &kept(0, number));
        }
        self.looked(&look);
        std::mem::take(&mut self.violations)
    }
}

#[test]
fn what_is_retained_is_the_last_acknowledged_or_a_later_one() {
    // Goal: each that is admissible is right, and none else.
    let mut books = Retained::default();
    assert!(books.shows(None).is_empty());
    let (old, last) = (books.set(false), books.set(false));
    let perhaps = books.setting(0, false);
    for right in [last, perhaps] {
        assert_eq!(books.shows(Some(right)), Vec::<String>::new());
    }
    for wrong in [Some(old), Some(perhaps + 1), None] {
        assert_eq!(books.shows(wrong).len(), 1, "{wrong:?}");
    }
    assert_eq!((books.checked.looks, books.checked.found), (6, 4));
}

#[test]
fn what_was_cleared_is_empty_and_may_be_where_it_was_perhaps() {
    // Goal: the same of publishes that clear.
    let mut books = Retained::default();
    let first = books.set(false);
    books.setting(0, true);
    assert!(books.shows(None).is_empty());
    assert!(books.shows(Some(first)).is_empty());
    books.set(true);
    assert!(books.shows(None).is_empty());
    assert_eq!(books.shows(Some(first)).len(), 1);
}

#[test]
fn a_look_sees_no_older_one_than_the_look_before_it() {
    // Goal: within one life what is retained does not go back, though both were admissible.
    let mut books = Retained::default();
    let (first, second) = (books.set(false), books.setting(0, false));
    books.begin_life();
    for number in [second, first] {
        let mut look = books.looking();
        books.found(&mut look, &kept(0, number));
        books.looked(&look);
    }
    assert_eq!(books.violations.len(), 1);
    assert!(books.violations[0].contains("in the same life"));
}

#[test]
fn what_is_set_in_the_middle_of_a_look_may_come_as_such() {
    // Goal: whoever was sent the newer message needs no older one as the retained one; and what nobody sent is noticed there, too.
    let mut books = Retained::default();
    books.set(false);
    let mut look = books.looking();
    let mut publish = kept(0, books.setting(0, false));
    publish.retain = false;
    books.told(&mut look, &publish);
    books.looked(&look);
    assert!(books.violations.is_empty(), "{:?}", books.violations);
    publish.payload.push(b'x');
    books.told(&mut look, &publish);
    assert_eq!(books.violations.len(), 1);
}

#[test]
fn what_nobody_retained_is_noticed() {
    // Goal: every byte is as it was set, the message says RETAIN, and a topic has one.
    let wrongs: [Change; 3] = [
        |publish| publish.retain = false,
        |publish| publish.payload.push(b'x'),
        |publish| publish.topic = retained::name(TOPICS - 1),
    ];
    for change in wrongs {
        let mut books = Retained::default();
        let mut publish = kept(0, books.setting(0, false));
        change(&mut publish);
        let mut look = books.looking();
        books.found(&mut look, &publish);
        assert_eq!(books.violations.len(), 1);
    }
    let mut books = Retained::default();
    let message = kept(0, books.set(false));
    let mut look = books.looking();
    books.found(&mut look, &message);
    books.found(&mut look, &message);
    assert!(books.violations[0].contains("has both"));
}
