//! Wills (`docs/delivery.md`, "Wills"): which must be published, when, and which must not.
//!
//! From CONNACK on a will outlives crashes. It is *due* when its client has disappeared, or was there when the broker ended; it is void when its client said
//! goodbye, came back in time, or when it is refused, which the broker tells its operator. What is void, or published, is so over crashes as soon as a commit
//! took it.

use std::collections::BTreeMap;

use super::sessions::Hello;
use super::{Check, Oracle};
use crate::sim::clock::Skew;

/// See the module's documentation. Times are those of the monotonic clock, in microseconds.
#[derive(Default)]
pub(super) struct Wills {
    /// By the number of the message.
    all: BTreeMap<usize, Will>,
    /// What a commit takes that is under way was there at this tick.
    commit_began: u64,
}

struct Will {
    client: usize,
    to: usize,
    qos: u8,
    link: usize,
    /// Its client has CONNACK, and it is not one with QoS 0, which nobody may be there to get.
    is_sure: bool,
    /// How long after the end of the connection it is due, and when that was, or will be, if the connection has ended.
    delay: u64,
    delay_ends: Option<u64>,
    /// The broker takes nothing new: it is published when it does.
    waits: bool,
    /// The broker was started since: whoever comes back has not disappeared.
    is_of_before: bool,
    stage: Stage,
}

#[derive(Clone, Copy)]
enum Stage {
    /// Its client is there.
    Connected,
    /// It is published no sooner than `from`; and by then, if it has to be.
    Due {
        from: u64,
        by: Option<u64>,
    },
    Published {
        tick: u64,
        is_durable: bool,
    },
    Void {
        tick: u64,
        is_durable: bool,
    },
}

impl Will {
    /// Whether it is published when somebody looks for what is due, and not at once.
    fn awaits_reaping(&self) -> bool {
        self.is_of_before || self.delay > 0
    }

    fn is_due_at(&self, now: u64) -> bool {
        matches!(self.stage, Stage::Due { from, .. } if from <= now)
    }

    fn is_due(&self) -> bool {
        matches!(self.stage, Stage::Due { .. })
    }

    fn void(&mut self, tick: u64) {
        let is_durable = false;
        self.stage = Stage::Void { tick, is_durable };
    }

    /// The broker crashed. What was published or void may be due again, and does not have to be published.
    fn crashed(&mut self) {
        self.stage = match self.stage {
            Stage::Connected => Stage::Due {
                from: u64::MAX,
                by: self.is_sure.then_some(0),
            },
            // One behind which there is a later one of its client was being published, and is at once.
            Stage::Published { is_durable: false, .. } => Stage::Due { from: 0, by: None },
            // So is one that waited.
            Stage::Due { from, by } => Stage::Due {
                from: if self.waits { 0 } else { from },
                by: by.filter(|_| self.is_sure),
            },
            Stage::Void { is_durable: false, .. } => Stage::Due {
                from: u64::MAX,
                by: None,
            },
            durable => durable,
        };
        self.is_of_before = true;
        self.waits = false;
    }

    /// The broker was started at `now`.
    fn started(&mut self, now: u64, after_restart: u64, skew: Skew) {
        let Stage::Due { from, by } = &mut self.stage else {
            return;
        };
        let ends = self.delay_ends.map(|ends| ends.saturating_sub(skew.early));
        let rest = ends.map_or(self.delay, |ends| ends.saturating_sub(now));
        if *from > 0 {
            *from = now + after_restart.max(rest);
        }
        if by.is_some() {
            *by = Some((now + after_restart.max(self.delay)).saturating_add(skew.late));
        }
    }
}

impl Wills {
    pub(super) fn commit_begins(&mut self, tick: u64) {
        self.commit_began = tick;
    }

    pub(super) fn crashed(&mut self) {
        self.all.values_mut().for_each(Will::crashed);
    }
}

impl Oracle {
    /// A client has its session, so it is back; and it may leave a will.
    pub(super) fn comes_with_will(&mut self, at: usize) {
        let (tick, now) = (self.tick, self.now);
        let Some(link) = self.links.get(&at) else { return };
        let (client, Some(Hello { clean, will, .. })) = (link.client, link.hello) else {
            return;
        };
        for earlier in self.wills.all.values_mut().filter(|will| will.client == client) {
            match &mut earlier.stage {
                // It was too late for that.
                Stage::Due { .. } if earlier.waits => {}
                Stage::Due { .. } if earlier.is_of_before => earlier.void(tick),
                Stage::Due { from, .. } if !clean && *from > now => earlier.void(tick),
                // Its session ends, or it was due before: it is published at once.
                Stage::Due { from, by } => {
                    (*from, *by) = (now, by.map(|_| now));
                    earlier.delay = 0;
                }
                _ => {}
            }
        }
        if let Some((mail, delay)) = will {
            let left = self.ledger.get(mail);
            let new = Will {
                client,
                to: left.to,
                qos: left.qos,
                link: at,
                is_sure: false,
                delay,
                delay_ends: None,
                waits: false,
                is_of_before: false,
                stage: Stage::Connected,
            };
            self.wills.all.insert(mail, new);
        }
    }

    /// CONNACK came.
    pub(super) fn will_is_kept(&mut self, at: usize) {
        // With little memory a will may be in memory only.
        let may_miss = self.terms.has_little_memory;
        for will in self.wills.all.values_mut().filter(|will| will.link == at) {
            will.is_sure = !may_miss && will.qos > 0;
        }
    }

    /// A connection is about to end, and what that causes may have happened; `is_closed` by the broker.
    pub(in crate::sim) fn ends(&mut self, at: usize, is_closed: bool) {
        self.tick += 1;
        let (tick, now) = (self.tick, self.now);
        let Some(link) = self.links.get(&at) else { return };
        let is_left = link.leaves == Some(false);
        for will in self.wills.all.values_mut().filter(|will| will.link == at) {
            if !matches!(will.stage, Stage::Connected) {
                continue;
            }
            if is_left && !is_closed {
                will.void(tick);
                continue;
            }
            let due = now + will.delay;
            will.delay_ends = Some(due);
            // The broker may have closed the connection before it read the goodbye. With QoS 0 nobody may be there to get it.
            let must = !is_left && will.qos > 0;
            let by = must.then_some(due);
            will.stage = Stage::Due { from: due, by };
        }
    }

    /// These wills are due, and wait until the broker takes something new. One that had a place in its inbox has none.
    pub(in crate::sim) fn wills_wait(&mut self, waiting: &[usize]) {
        let now = self.now;
        for (mail, will) in &mut self.wills.all {
            let is_listed = waiting.contains(mail);
            will.waits = is_listed && will.is_due_at(now);
            if let Stage::Published { is_durable: false, .. } = will.stage
                && is_listed
            {
                will.waits = true;
                will.stage = Stage::Due {
                    from: now,
                    by: Some(now),
                };
            }
        }
    }

    /// The broker told its operator that it did not publish a will of that client to that inbox; it may have had a place there.
    pub(in crate::sim) fn will_refused(&mut self, client: usize, to: usize) {
        self.tick += 1;
        let (tick, now) = (self.tick, self.now);
        for will in self.wills.all.values_mut() {
            let is_meant = match will.stage {
                Stage::Due { from, .. } => from <= now,
                Stage::Published { is_durable, .. } => !is_durable,
                _ => false,
            };
            if is_meant && (will.client, will.to) == (client, to) {
                will.void(tick);
            }
        }
    }

    /// What the last commit took is durable.
    pub(super) fn wills_committed(&mut self) {
        let taken = self.wills.commit_began;
        for will in self.wills.all.values_mut() {
            match &mut will.stage {
                Stage::Void { tick, is_durable } => *is_durable |= *tick <= taken,
                // Nothing but its record tells of one with QoS 0.
                Stage::Published { tick, is_durable } if will.qos == 0 => *is_durable |= *tick <= taken,
                _ => {}
            }
        }
    }

    /// The broker told its operator that this message is durable. If it is a will, it is not published again: with little memory its `id` may be forgotten.
    pub(in crate::sim) fn is_stored(&mut self, inbox: usize, seq: u64) {
        let mail = self.ledger.at(inbox, seq).filter(|_| !self.terms.has_little_memory);
        let will = mail.and_then(|mail| Some((mail, self.wills.all.get_mut(&mail)?)));
        if let Some((mail, will)) = will
            && let Stage::Published { is_durable, .. } = &mut will.stage
        {
            *is_durable = true;
            self.ledger.get_mut(mail).promised = true;
        }
    }

    /// A message was given a place in its inbox. If it is a will, it may be.
    pub(super) fn will_published(&mut self, mail: usize) -> Check {
        let (tick, now) = (self.tick + 1, self.now);
        // A will that is not known is of a client that was gone before it had its session.
        let Some(will) = self.wills.all.get_mut(&mail) else {
            return Ok(());
        };
        self.tick = tick;
        let client = will.client;
        let wrong = match will.stage {
            Stage::Connected => Some("and its client is there"),
            Stage::Due { from, .. } if from > now => Some("before it is due"),
            Stage::Due { .. } => None,
            Stage::Published { .. } => Some("for the second time"),
            Stage::Void { .. } => Some("and its client came back or said goodbye, or it was refused"),
        };
        if let Some(wrong) = wrong {
            return Err(format!("wills: m{mail} of c{client} was published {wrong}"));
        }
        will.stage = Stage::Published {
            tick,
            is_durable: false,
        };
        Ok(())
    }

    /// Everything that had to be published is; also what is only published when somebody looks, if the broker has just `looked`.
    pub(in crate::sim) fn check_wills(&self, looked: bool) -> Check {
        let is_missing = |will: &Will| match will.stage {
            Stage::Due { by: Some(by), .. } => by <= self.now && !will.waits && (looked || !will.awaits_reaping()),
            _ => false,
        };
        match self.wills.all.iter().find(|(_, will)| is_missing(will)) {
            Some((mail, will)) => Err(format!(
                "wills: m{mail} of c{}, which disappeared, was not published",
                will.client
            )),
            None => Ok(()),
        }
    }

    /// With everything read: what was published was kept, or came.
    pub(super) fn check_wills_are_kept(&self) -> Check {
        let is_lost = |mail: usize, will: &Will| {
            let is_published = matches!(will.stage, Stage::Published { is_durable: false, .. });
            let known = self.ledger.get(mail);
            let has_left = self.ledger.is_gone(mail) || self.ledger.left_unread(mail);
            is_published && will.qos > 0 && known.sent == 0 && !has_left
        };
        match self.wills.all.iter().find(|(mail, will)| is_lost(**mail, will)) {
            Some((mail, _)) if !self.terms.has_little_memory => {
                Err(format!("wills: m{mail} was published, and never came"))
            }
            _ => Ok(()),
        }
    }

    /// The broker has started.
    pub(in crate::sim) fn started(&mut self, offset: i64) {
        self.skew.started(offset);
        let (now, after_restart, skew) = (self.now, self.terms.will_after_restart, self.skew);
        let due = self.wills.all.values_mut().filter(|will| will.is_due());
        due.for_each(|will| will.started(now, after_restart, skew));
    }
}
