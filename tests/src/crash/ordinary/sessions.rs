//! What must be in kept sessions, by what their clients and the publishers saw.
//!
//! Every change is written down before it is sent, and every answer after it came: what comes earlier in this book came earlier in the world.
//! * A session that got a SUBACK is present at every later connection, until it may have been ended.
//! * A message that was sent after a SUBACK and acknowledged to its publisher comes to that session until that acknowledges it, unless it may have unsubscribed or
//!   ended meanwhile. With QoS 2 it is the subscriber's when PUBREL came.
//! * No message comes that was through before the session subscribed, or that was sent after it had unsubscribed.
//! * Messages of one publisher on one topic that were first sent after the SUBACK come for the first time in their order. Copies may follow, with QoS 1.
//! * What comes is whole, with the QoS of its subscription and its identifier; what comes again says DUP (MQTT-3.3.1-1).

use std::collections::{BTreeMap, HashMap, HashSet};

use super::checked::SessionsChecked;
use super::plan::{KEPT, Key, PUBLISHERS, SOURCES};
use crate::Publish;
use crate::build::{Version, property};

/// A place in this book.
type Tick = u64;
const NEVER: Tick = Tick::MAX;
const VIOLATIONS_MAX: usize = 20;

/// How a connection begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// Clean start 0, and the session is kept.
    Kept,
    /// Clean start 1, and the session is kept.
    Anew,
    /// Clean start 1, and the session ends with the connection.
    Clean,
}

/// What is known of something that the broker keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    No,
    Perhaps,
    Yes,
}

#[derive(Debug)]
struct Filter {
    is_subscribed: Known,
    /// Nothing comes that was sent after the first and was through before the second of each.
    closed: Vec<(Tick, Tick)>,
    /// The first number of each publisher that was sent after the SUBACK.
    ordered_from: [u64; PUBLISHERS],
}

impl Filter {
    fn new() -> Self {
        Filter {
            is_subscribed: Known::No,
            closed: vec![(0, NEVER)],
            ordered_from: [0; PUBLISHERS],
        }
    }
}

#[derive(Debug)]
struct Session {
    is_there: Known,
    /// By a clean session in its place.
    was_ended: bool,
    filters: Vec<Filter>,
    /// What must come when it was acknowledged to its publisher, by which filter, and whether it was.
    due: BTreeMap<Key, (usize, bool)>,
    seen: HashSet<Key>,
    /// Acknowledged to the end.
    done: HashSet<Key>,
    /// The largest number that came, by publisher and topic.
    last: HashMap<(usize, usize), u64>,
}

impl Session {
    fn new(filters: usize) -> Self {
        Session {
            is_there: Known::No,
            was_ended: false,
            filters: (0..filters).map(|_| Filter::new()).collect(),
            due: BTreeMap::new(),
            seen: HashSet::new(),
            done: HashSet::new(),
            last: HashMap::new(),
        }
    }

    /// It may be gone from now on.
    fn may_end(&mut self) {
        self.is_there = Known::Perhaps;
        self.due.clear();
        for filter in &mut self.filters {
            if filter.is_subscribed == Known::Yes {
                filter.is_subscribed = Known::Perhaps;
            }
        }
    }
}

/// When a message was sent first, and when its exchange was over.
#[derive(Debug, Clone, Copy)]
struct Sent {
    at: Tick,
    through: Tick,
}

#[derive(Debug)]
pub(super) struct Sessions {
    tick: Tick,
    sent: [Vec<Sent>; PUBLISHERS],
    kept: Vec<Session>,
    pub(super) violations: Vec<String>,
    pub(super) checked: SessionsChecked,
}

impl Default for Sessions {
    fn default() -> Self {
        Sessions {
            tick: 0,
            sent: Default::default(),
            kept: KEPT.iter().map(|kept| Session::new(kept.filters.len())).collect(),
            violations: Vec::new(),
            checked: SessionsChecked::default(),
        }
    }
}

impl Sessions {
    pub(super) fn violation(&mut self, what: String) {
        if self.violations.len() < VIOLATIONS_MAX {
            eprintln!("VIOLATION in a kept session: {what}");
            self.violations.push(what);
        }
    }

    fn now(&mut self) -> Tick {
        self.tick += 1;
        self.tick
    }

    /// `publisher` is about to send its next message.
    pub(super) fn publishing(&mut self, publisher: usize) -> Key {
        let at = self.now();
        self.sent[publisher].push(Sent { at, through: NEVER });
        let key = Key {
            publisher,
            number: self.sent[publisher].len() as u64,
        };
        let topic = key.topic();
        for (session, kept) in self.kept.iter_mut().zip(KEPT) {
            if let Some(filter) = kept.filter_of(&topic)
                && session.filters[filter].is_subscribed == Known::Yes
            {
                session.due.insert(key, (filter, false));
            }
        }
        key
    }

    /// PUBACK or PUBREC came.
    pub(super) fn accepted(&mut self, key: Key) {
        self.checked.pubacks += 1;
        for session in &mut self.kept {
            if let Some((_, is_accepted)) = session.due.get_mut(&key) {
                self.checked.due += u64::from(!*is_accepted);
                *is_accepted = true;
            }
        }
    }

    /// PUBACK or PUBCOMP came: from now on nothing that was sent makes the broker take this message.
    pub(super) fn through(&mut self, key: Key) {
        let now = self.now();
        self.sent[key.publisher][key.number as usize - 1].through = now;
    }

    /// A CONNECT is about to be sent.
    pub(super) fn connecting(&mut self, session: usize, start: Start) {
        if start != Start::Kept {
            self.kept[session].may_end();
        }
    }

    /// CONNACK came. Tells whether the session went on.
    pub(super) fn connected(&mut self, session: usize, start: Start, is_present: bool) -> bool {
        let kept = &mut self.kept[session];
        let known = if start == Start::Kept { kept.is_there } else { Known::No };
        let is_wrong = matches!((known, is_present), (Known::Yes, false) | (Known::No, true));
        match known {
            Known::Yes => self.checked.resumed += u64::from(is_present),
            Known::No => self.checked.ended += u64::from(!is_present && kept.was_ended),
            Known::Perhaps => {}
        }
        if !is_present || start != Start::Kept {
            *kept = Session::new(kept.filters.len());
            kept.was_ended = start == Start::Clean;
            if start != Start::Clean {
                kept.is_there = Known::Perhaps;
            }
        }
        if is_wrong {
            let (is, must) = match is_present {
                true => ("is present", "must not be"),
                false => ("is not present", "must be"),
            };
            self.violation(format!("session {session} {is}, and {must} (connected as {start:?})"));
        }
        is_present && start == Start::Kept
    }

    /// The client is about to send what ends its session with this connection.
    pub(super) fn ending(&mut self, session: usize) {
        self.kept[session].may_end();
    }

    /// Filters that the session is not known to have, in `connected` ones.
    pub(super) fn not_subscribed(&self, session: usize) -> Vec<usize> {
        let filters = self.kept[session].filters.iter().enumerate();
        filters
            .filter(|(_, filter)| filter.is_subscribed != Known::Yes)
            .map(|(n, _)| n)
            .collect()
    }

    /// A SUBSCRIBE is about to be sent.
    pub(super) fn subscribing(&mut self, session: usize, filter: usize) {
        let now = self.now();
        let filter = &mut self.kept[session].filters[filter];
        if filter.is_subscribed == Known::No {
            filter.is_subscribed = Known::Perhaps;
            if let Some((_, until)) = filter.closed.last_mut() {
                *until = now;
            }
        }
    }

    /// SUBACK came, and granted it.
    pub(super) fn subscribed(&mut self, session: usize, filter: usize) {
        let next = self.sent.each_ref().map(|sent| sent.len() as u64 + 1);
        let kept = &mut self.kept[session];
        kept.is_there = Known::Yes;
        let filter = &mut kept.filters[filter];
        if filter.is_subscribed != Known::Yes {
            filter.ordered_from = next;
        }
        filter.is_subscribed = Known::Yes;
    }

    /// An UNSUBSCRIBE is about to be sent: what waits may come, and need not.
    pub(super) fn unsubscribing(&mut self, session: usize, filter: usize) {
        let kept = &mut self.kept[session];
        kept.due.retain(|_, (by, _)| *by != filter);
        kept.filters[filter].is_subscribed = Known::Perhaps;
    }

    /// UNSUBACK came.
    pub(super) fn unsubscribed(&mut self, session: usize, filter: usize) {
        let now = self.now();
        let filter = &mut self.kept[session].filters[filter];
        filter.is_subscribed = Known::No;
        filter.closed.push((now, NEVER));
    }

    /// A message came. `None` when it is none of ours.
    pub(super) fn delivered(&mut self, session: usize, version: Version, publish: &Publish) -> Option<Key> {
        self.checked.deliveries += 1;
        let Some(key) = Key::of(publish) else {
            let head: String = publish.payload.iter().take(60).map(|byte| char::from(*byte)).collect();
            let topic = &publish.topic;
            self.violation(format!(
                "session {session} got what nobody sent so, on {topic}: {head:?} …"
            ));
            return None;
        };
        let Some(filter) = KEPT[session].filter_of(&publish.topic) else {
            self.violation(format!("session {session} got {key:?}, and no filter of it takes that"));
            return None;
        };
        self.check_was_subscribed(session, filter, key);
        self.check_options(session, filter, key, version, publish);
        self.check_repetition(session, filter, key, publish);
        Some(key)
    }

    fn check_was_subscribed(&mut self, session: usize, filter: usize, key: Key) {
        let Some(sent) = self.sent[key.publisher].get(key.number as usize - 1).copied() else {
            return self.violation(format!("session {session} got {key:?}, which was not sent yet"));
        };
        let closed = &self.kept[session].filters[filter].closed;
        let mut wrong = closed
            .iter()
            .filter(|(from, until)| sent.at > *from && (sent.through < *until || *until == NEVER));
        if let Some((from, until)) = wrong.next() {
            let what =
                format!("session {session} was not subscribed from {from} to {until}, and got {key:?}: {sent:?}");
            self.violation(what);
        }
    }

    fn check_options(&mut self, session: usize, filter: usize, key: Key, version: Version, publish: &Publish) {
        let granted = KEPT[session].filters[filter].1;
        let qos = granted.min(SOURCES[key.publisher].qos);
        if publish.qos != qos {
            let came = publish.qos;
            self.violation(format!("session {session} got {key:?} with QoS {came}, not {qos}"));
        }
        if publish.retain {
            self.violation(format!("session {session} got {key:?} as a retained message"));
        }
        let ids = publish.props.numbers(property::SUBSCRIPTION_ID);
        if version == Version::V5 && ids != Vec::from_iter(KEPT[session].identifier(filter)) {
            self.violation(format!("session {session} got {key:?} with the identifiers {ids:?}"));
        }
    }

    fn check_repetition(&mut self, session: usize, filter: usize, key: Key, publish: &Publish) {
        let kept = &mut self.kept[session];
        let resends = SOURCES[key.publisher].resends;
        let was_done = kept.done.contains(&key);
        if !kept.seen.insert(key) {
            self.checked.replayed += u64::from(!was_done);
            self.checked.duplicates += u64::from(was_done);
            // A copy that its publisher made is a message of its own.
            if !publish.dup && !resends {
                self.violation(format!("session {session} got {key:?} again without DUP"));
            }
            if was_done && publish.qos == 2 {
                self.violation(format!("session {session} got {key:?} twice, with QoS 2"));
            }
            return;
        }
        if key.number < kept.filters[filter].ordered_from[key.publisher] {
            return;
        }
        let last = kept.last.entry((key.publisher, key.room())).or_default();
        let before = (*last).max(key.number);
        let before = std::mem::replace(last, before);
        if before > key.number {
            self.checked.out_of_order += 1;
            self.violation(format!(
                "session {session} got {key:?} for the first time after number {before} of that topic"
            ));
        }
    }

    /// The session's client acknowledges a message to the end, now.
    pub(super) fn acknowledged(&mut self, session: usize, key: Key) {
        let kept = &mut self.kept[session];
        kept.due.remove(&key);
        kept.done.insert(key);
    }

    /// How many messages the session still has to get.
    pub(super) fn missing(&self, session: usize) -> usize {
        self.kept[session]
            .due
            .values()
            .filter(|(_, accepted)| *accepted)
            .count()
    }

    /// The session was read to its end: nothing may be missing.
    pub(super) fn check_nothing_is_missing(&mut self, session: usize) {
        let due = self.kept[session].due.iter();
        let missing: Vec<Key> = due
            .filter(|(_, (_, accepted))| *accepted)
            .map(|(key, _)| *key)
            .collect();
        self.checked.lost += missing.len() as u64;
        if let Some(first) = missing.first() {
            self.violation(format!(
                "session {session} did not get {} acknowledged messages, the first: {first:?}",
                missing.len()
            ));
        }
    }
}
