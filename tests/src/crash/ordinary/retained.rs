//! What must be retained, by what those who set it saw.
//!
//! Each topic has one client that sets and clears it. What is retained there is the last that was acknowledged, or a later one that was sent. Within one life
//! of the broker it does not go back either. A look is a new subscription: it began when its SUBSCRIBE was sent, and saw all that came before its mark. What is set in
//! the middle of a look may come to it as a message of that moment, and then nothing older as the retained one.

use std::collections::BTreeMap;

use super::checked::RetainedChecked;
use super::plan::filled;
use crate::Publish;

/// Topics of each client that sets them.
pub(super) const SLOTS: usize = 8;
pub(super) const SETTERS: usize = 3;
pub(super) const TOPICS: usize = SETTERS * SLOTS;
const VIOLATIONS_MAX: usize = 20;

#[derive(Debug, Default)]
struct Topic {
    /// What was sent, by number: whether it clears. Those before the last acknowledged one are forgotten when a life begins.
    sent: BTreeMap<u64, bool>,
    acknowledged: u64,
    /// The largest that was seen in this life.
    seen: u64,
}

impl Topic {
    /// Whether nothing may be there for a look that began when `floor` was the last that was acknowledged.
    fn may_be_empty(&self, floor: u64) -> bool {
        floor == 0 || self.sent.range(floor..).any(|(_, clears)| *clears)
    }
}

/// A look that is not over.
#[derive(Debug)]
pub(super) struct Look {
    floors: Vec<u64>,
    found: Vec<Option<u64>>,
    /// Topics that were set or cleared meanwhile, and the subscription was told.
    told: Vec<bool>,
}

#[derive(Debug, Default)]
pub(super) struct Retained {
    topics: [Topic; TOPICS],
    pub(super) violations: Vec<String>,
    pub(super) checked: RetainedChecked,
}

impl Retained {
    pub(super) fn violation(&mut self, what: String) {
        if self.violations.len() < VIOLATIONS_MAX {
            eprintln!("VIOLATION of what is retained: {what}");
            self.violations.push(what);
        }
    }

    /// The broker was started again, and nobody looks.
    pub(super) fn begin_life(&mut self) {
        for topic in &mut self.topics {
            topic.sent = topic.sent.split_off(&topic.acknowledged);
            topic.seen = 0;
        }
    }

    /// A publish that sets or clears `topic` is about to be sent. Answers its number.
    pub(super) fn setting(&mut self, topic: usize, clears: bool) -> u64 {
        let topic = &mut self.topics[topic];
        let last = topic
            .sent
            .last_key_value()
            .map_or(topic.acknowledged, |(last, _)| *last);
        topic.sent.insert(last + 1, clears);
        last + 1
    }

    /// It was acknowledged.
    pub(super) fn accepted(&mut self, topic: usize, number: u64) {
        self.checked.pubacks += 1;
        let topic = &mut self.topics[topic];
        topic.acknowledged = topic.acknowledged.max(number);
    }

    /// A SUBSCRIBE to all of these topics is about to be sent.
    pub(super) fn looking(&self) -> Look {
        Look {
            floors: self.topics.iter().map(|topic| topic.acknowledged).collect(),
            found: vec![None; TOPICS],
            told: vec![false; TOPICS],
        }
    }

    /// The new subscription got a retained message.
    pub(super) fn found(&mut self, look: &mut Look, publish: &Publish) {
        let Some((topic, number)) = message_of(publish).filter(|_| publish.retain) else {
            let (name, head) = (&publish.topic, publish.payload.get(..40).unwrap_or(&publish.payload));
            let head = String::from_utf8_lossy(head);
            return self.violation(format!("{name} has what nobody set: {head:?} …"));
        };
        let floor = look.floors[topic];
        let books = &mut self.topics[topic];
        let was_set = number >= floor && books.sent.get(&number) == Some(&false);
        let seen = books.seen;
        books.seen = seen.max(number);
        let before = look.found[topic].replace(number);
        if !was_set {
            let later = self.topics[topic].sent.range(floor..);
            let what = format!(
                "topic {topic} has {number}; {floor} was acknowledged, and these were sent (true clears): {later:?}"
            );
            self.violation(what);
        } else if number < seen {
            self.violation(format!(
                "topic {topic} has {number} again, after {seen} in the same life"
            ));
        } else if let Some(before) = before {
            self.violation(format!("topic {topic} has both {before} and {number}"));
        }
    }

    /// The new subscription got a message that somebody sent right now.
    pub(super) fn told(&mut self, look: &mut Look, publish: &Publish) {
        let topic = (0..TOPICS).find(|topic| name(*topic) == publish.topic);
        let is_ours = publish.payload.is_empty() || message_of(publish).is_some();
        match topic {
            Some(topic) if is_ours => look.told[topic] = true,
            _ => self.violation(format!("on {} came what nobody sent", publish.topic)),
        }
    }

    /// Everything that was retained has come.
    pub(super) fn looked(&mut self, look: &Look) {
        self.checked.looks += 1;
        for (topic, floor) in look.floors.iter().enumerate() {
            if look.found[topic].is_some() || look.told[topic] {
                self.checked.found += 1;
            } else if self.topics[topic].may_be_empty(*floor) {
                self.checked.empty += 1;
            } else {
                let later = self.topics[topic].sent.range(floor..);
                let what = format!(
                    "topic {topic} has nothing; {floor} was acknowledged, and these were sent (true clears): {later:?}"
                );
                self.violation(what);
            }
        }
    }
}

/// The topics of a look.
pub(super) const ALL: &str = "kept/+/#";

pub(super) fn name(topic: usize) -> String {
    format!("kept/{}/slot/{}", topic / SLOTS, topic % SLOTS)
}

/// What a publish says that sets a topic; one that clears it is empty.
pub(super) fn payload(topic: usize, number: u64) -> String {
    filled(format!("{topic} {number} "), number)
}

/// Which one this is; `None` when one byte is not as it was sent.
fn message_of(publish: &Publish) -> Option<(usize, u64)> {
    let text = std::str::from_utf8(&publish.payload).ok()?;
    let mut fields = text.split(' ').map(|field| field.parse::<u64>().ok());
    let (topic, number) = (fields.next()?? as usize, fields.next()??);
    let is_whole = topic < TOPICS && publish.topic == name(topic) && payload(topic, number) == text;
    is_whole.then_some((topic, number))
}
