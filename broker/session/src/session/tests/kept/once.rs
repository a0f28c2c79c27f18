//! A client that keeps the rules of MQTT about QoS 2, and remembers what it must over connections.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::*;

pub(super) const PUBREC: u8 = 0x50;
pub(super) const PUBREL: u8 = 0x62;
pub(super) const PUBCOMP: u8 = 0x70;

/// Bob, who subscribes with QoS 2.
pub(super) struct Once {
    pub(super) keeping: Keeping,
    /// Identifiers of messages that he has answered, or is about to, and not released.
    pub(super) remembers: BTreeSet<u16>,
    /// What came to his application, and how often.
    pub(super) got: BTreeMap<u64, u32>,
    /// What came over this connection and he has not looked at.
    pub(super) coming: VecDeque<Said>,
    pub(super) owes: VecDeque<(u8, u16)>,
    /// What he publishes himself and is not through, by packet identifier: the number, and whether PUBREC came.
    pub(super) publishes: BTreeMap<u16, (u64, bool)>,
    /// What he has published.
    pub(super) numbers: u64,
}

/// Bob's own messages have numbers from here on.
pub(super) const OWN: u64 = 1_000;
/// Publishes that he has open at a time: few, so that identifiers are soon used again.
pub(super) const OPEN_MAX: u16 = 3;

impl Once {
    pub(super) fn begin() -> Self {
        let mut once = Once {
            keeping: Keeping::over(MemoryStore::new(), Arc::default()),
            remembers: BTreeSet::new(),
            got: BTreeMap::new(),
            coming: VecDeque::new(),
            owes: VecDeque::new(),
            publishes: BTreeMap::new(),
            numbers: OWN,
        };
        once.connect();
        once.keeping.send(&subscribe(V5, 1, "t/#", 2));
        once.keeping.commit(false);
        once.hear();
        once.coming.clear();
        once
    }

    pub(super) fn publish(&mut self, qos: u8) {
        self.keeping.publish_with(qos);
    }

    /// Bob publishes to himself.
    pub(super) fn publish_own(&mut self) {
        let free = (1..=OPEN_MAX).find(|id| !self.publishes.contains_key(id));
        if let (Some(id), true) = (free, self.keeping.bob.is_some()) {
            self.numbers += 1;
            self.publishes.insert(id, (self.numbers, false));
            self.keeping
                .send(&publish(V5, 2, id, "t/own", &self.numbers.to_string()));
        }
    }

    /// What is not through is sent again (MQTT-4.4.0-1).
    pub(super) fn publish_again(&mut self) {
        for (id, (number, is_received)) in self.publishes.clone() {
            self.keeping.send(&match is_received {
                true => ack(PUBREL, id),
                false => publish_with(V5, 0x0c, id, "t/own", &[], &number.to_string()),
            });
        }
    }

    pub(super) fn hear(&mut self) {
        let heard = self.keeping.hear();
        self.coming.extend(heard);
    }

    /// Looks at the next packet.
    pub(super) fn take(&mut self) {
        match self.coming.pop_front() {
            Some(Said::Publish(message)) => {
                let number = message.text.parse().unwrap();
                match message.qos {
                    2 if !self.remembers.insert(message.id) => {
                        assert!(message.dup, "{number} is taken for another one")
                    }
                    _ => *self.got.entry(number).or_default() += 1,
                }
                let answer = if message.qos == 2 { PUBREC } else { 0x40 };
                self.owes.push_back((answer, message.id));
            }
            Some(Said::Ack {
                first: PUBREC,
                id,
                reason,
                ..
            }) => {
                assert!(reason < 0x80, "{reason:#x}");
                self.publishes.get_mut(&id).unwrap().1 = true;
                self.owes.push_back((PUBREL, id));
            }
            Some(Said::Ack { first: PUBCOMP, id, .. }) => {
                self.publishes.remove(&id);
            }
            Some(Said::Ack { first: PUBREL, id, .. }) => {
                self.remembers.remove(&id);
                self.owes.push_back((PUBCOMP, id));
            }
            _ => {}
        }
    }

    pub(super) fn answer(&mut self) {
        if self.keeping.bob.is_some()
            && let Some((first, id)) = self.owes.pop_front()
        {
            self.keeping.send(&ack(first, id));
        }
    }

    pub(super) fn connect(&mut self) {
        if self.keeping.bob.is_none() {
            let _present = self.keeping.connect(false, 1000);
            self.coming.extend(std::mem::take(&mut self.keeping.heard));
            self.publish_again();
        }
    }

    pub(super) fn disconnect(&mut self) {
        self.keeping.disconnect();
        self.coming.clear();
        self.owes.clear();
    }

    pub(super) fn crash(&mut self) {
        self.keeping.crash();
        self.coming.clear();
        self.owes.clear();
    }

    /// Everything that can happen by itself does.
    pub(super) fn rest(&mut self) {
        self.connect();
        loop {
            self.hear();
            self.keeping.world.pass(Duration::from_secs(1));
            self.keeping.commit_everything();
            self.hear();
            if self.coming.is_empty() && self.owes.is_empty() {
                return;
            }
            while !self.coming.is_empty() {
                self.take();
            }
            while !self.owes.is_empty() {
                self.answer();
            }
        }
    }

    /// The broker drops nothing for want of room.
    pub(super) fn has_room(&self) -> bool {
        self.keeping.published + self.numbers - OWN < self.got.len() as u64 + 15
    }

    pub(super) fn check_nothing_twice(&self, at_least_once: &BTreeSet<u64>) {
        for (number, times) in &self.got {
            assert!(
                *times == 1 || at_least_once.contains(number),
                "{number} came {times} times"
            );
        }
    }
}

pub(super) fn pubrel(said: &Said) -> Option<u16> {
    match said {
        Said::Ack { first: PUBREL, id, .. } => Some(*id),
        _ => None,
    }
}
