//! Who publishes and who subscribes, and what a message looks like.

use crate::Publish;
use crate::build::Version;

/// Topics of each publisher.
pub(super) const ROOMS: u64 = 3;

/// A publisher. Its QoS is always the same, because messages of different QoS have no order among themselves (MQTT 5, section 4.6).
#[derive(Debug, Clone, Copy)]
pub(super) struct Source {
    pub(super) version: Version,
    pub(super) qos: u8,
    pub(super) in_flight: usize,
    /// It keeps its session, and sends again what was not answered.
    pub(super) resends: bool,
}

const fn source(version: Version, qos: u8, in_flight: usize, resends: bool) -> Source {
    Source {
        version,
        qos,
        in_flight,
        resends,
    }
}

pub(super) const SOURCES: [Source; 5] = [
    source(Version::V311, 1, 1, false),
    source(Version::V5, 1, 24, false),
    source(Version::V311, 1, 12, true),
    source(Version::V5, 2, 1, false),
    source(Version::V5, 2, 8, true),
];
pub(super) const PUBLISHERS: usize = SOURCES.len();

/// How the client of a kept session behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Habit {
    /// Always connected.
    Online,
    /// Comes and goes.
    Away,
    /// Stays away in most lives.
    Absent,
    /// Vanishes with messages that it has not acknowledged.
    Taking,
    /// Subscribes and unsubscribes.
    Changing,
    /// Starts anew at times, or ends its session.
    Renewing,
}

/// A kept session: the versions of its connections in turn, and its filters with the QoS of each. They have no topic in common, so a message has one way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kept {
    pub(super) versions: &'static [Version],
    pub(super) habit: Habit,
    pub(super) filters: &'static [(&'static str, u8)],
}

const V311: &[Version] = &[Version::V311];
const V5: &[Version] = &[Version::V5];
const IN_TURN: &[Version] = &[Version::V311, Version::V5];

const fn kept(versions: &'static [Version], habit: Habit, filters: &'static [(&'static str, u8)]) -> Kept {
    Kept {
        versions,
        habit,
        filters,
    }
}

pub(super) const KEPT: [Kept; 9] = [
    kept(V311, Habit::Online, &[("house/0/0", 1), ("house/1/1", 1)]),
    kept(V5, Habit::Online, &[("house/#", 2)]),
    kept(V5, Habit::Away, &[("house/+/1", 1), ("house/4/2", 2)]),
    kept(V311, Habit::Away, &[("house/3/+", 2), ("house/4/+", 2)]),
    kept(V311, Habit::Absent, &[("house/#", 1)]),
    kept(V5, Habit::Absent, &[("house/1/0", 1), ("house/4/#", 2)]),
    kept(V5, Habit::Taking, &[("+/+/0", 1), ("house/2/1", 1), ("house/4/1", 2)]),
    kept(
        V5,
        Habit::Changing,
        &[("house/0/+", 1), ("house/1/#", 1), ("house/3/1", 2)],
    ),
    kept(IN_TURN, Habit::Renewing, &[("house/1/+", 1), ("house/2/+", 1)]),
];

impl Kept {
    /// The filter that takes this topic.
    pub(super) fn filter_of(&self, topic: &str) -> Option<usize> {
        self.filters.iter().position(|(filter, _)| matches(filter, topic))
    }

    /// The subscription identifier of each filter, where all connections speak MQTT 5.
    pub(super) fn identifier(&self, filter: usize) -> Option<u32> {
        let always_5 = !self.versions.contains(&Version::V311);
        always_5.then_some(10 + filter as u32)
    }
}

/// A message: its number grows with every message of its publisher, and names its topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub(super) publisher: usize,
    pub(super) number: u64,
}

impl Key {
    pub(super) fn room(self) -> usize {
        (self.number % ROOMS) as usize
    }

    pub(super) fn topic(self) -> String {
        format!("house/{}/{}", self.publisher, self.room())
    }

    pub(super) fn payload(self) -> String {
        filled(format!("{} {} ", self.publisher, self.number), self.number)
    }

    /// The message that this is; `None` when one byte is not as it was sent.
    pub(super) fn of(publish: &Publish) -> Option<Self> {
        let text = std::str::from_utf8(&publish.payload).ok()?;
        let mut fields = text.split(' ');
        let publisher = fields.next()?.parse().ok()?;
        let number = fields.next()?.parse().ok()?;
        let key = Key { publisher, number };
        let is_known = publisher < PUBLISHERS && number > 0;
        (is_known && key.topic() == publish.topic && key.payload() == text).then_some(key)
    }
}

/// Messages of many sizes, so that some are in several pieces where they are kept.
pub(super) fn filled(head: String, number: u64) -> String {
    let padding = match number {
        n if n % 499 == 0 => 40_000,
        n => n as usize * 7919 % 300,
    };
    let fill = char::from(b'a' + (number % 26) as u8);
    head + &String::from(fill).repeat(padding)
}

/// Whether a filter takes a topic (MQTT 5, section 4.7).
fn matches(filter: &str, topic: &str) -> bool {
    let (mut levels, mut names) = (filter.split('/'), topic.split('/'));
    loop {
        match (levels.next(), names.next()) {
            (Some("#"), _) | (None, None) => return true,
            (Some(level), Some(name)) if level == "+" || level == name => {}
            _ => return false,
        }
    }
}
