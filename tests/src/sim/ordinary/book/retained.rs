//! What is retained: the last message of each topic that was acknowledged, or a later one, over every crash.

use super::super::{TOPICS, matches};
use super::{Book, Message};
use crate::sim::Check;

impl Book {
    /// What may be retained on a topic at this tick, or would be without what was published before and not acknowledged then.
    fn candidates(&self, topic: usize, tick: u64) -> impl Iterator<Item = &Message> {
        let of_topic = move |one: &&Message| one.retain && one.topic == topic && one.taken.is_some();
        let all = self.messages.iter().filter(of_topic);
        all.filter(move |one| !self.is_superseded(one, tick))
    }

    /// Whether there is another one in its place for certain, which was acknowledged by then.
    fn is_superseded(&self, one: &Message, tick: u64) -> bool {
        self.messages.iter().any(|later| {
            let is_after = match (one.taken, later.taken) {
                (Some((one_taken, _)), Some((taken, _))) if one.from == later.from => one_taken < taken,
                (Some(_), Some((taken, _))) => one.through.is_some_and(|through| through < taken),
                _ => false,
            };
            let is_retained = later.retain && later.topic == one.topic;
            is_retained && is_after && later.promised.is_some_and(|promised| promised <= tick)
        })
    }

    /// Whether who subscribed at this tick must be sent a retained message of the topic.
    pub(super) fn must_be_retained(&self, topic: usize, tick: u64) -> bool {
        let is_sure = |one: &Message| one.promised.is_some_and(|promised| promised <= tick);
        self.candidates(topic, tick).any(is_sure) && self.candidates(topic, tick).all(|one| !one.clears)
    }

    /// A retained message comes because of a subscription.
    pub(super) fn retained_comes(&mut self, at: usize, message: usize) -> Check {
        let (known, client) = (&self.messages[message], self.links[&at].client);
        let topic = known.topic;
        if !known.retain {
            return Err(format!("o{message} came with RETAIN, and was published without"));
        }
        let mut because = self.sessions[client]
            .subscriptions
            .iter()
            .filter(|one| matches(one.filter, topic));
        if !because.any(|one| !self.is_superseded(known, one.asked)) {
            return Err(format!(
                "retained messages: t/{client} got o{message} of {}, which had been replaced or cleared",
                TOPICS[topic]
            ));
        }
        self.is_replaced(at, topic);
        Ok(())
    }

    /// A client had what a topic has for it, or something newer.
    pub(super) fn is_replaced(&mut self, at: usize, topic: usize) {
        if let Some(link) = self.links.get_mut(&at) {
            link.owed.remove(&topic);
        }
    }

    /// A message comes that was taken after SUBACK: what was retained is before it.
    pub(super) fn check_was_sent_retained(&self, at: usize, taken: u64) -> Check {
        let link = &self.links[&at];
        match link.owed.iter().find(|(_, since)| **since < taken) {
            Some((topic, _)) => Err(self.not_retained(link.client, *topic)),
            None => Ok(()),
        }
    }

    pub(super) fn not_retained(&self, client: usize, topic: usize) -> String {
        format!(
            "retained messages: {} has one that was acknowledged, and t/{client} subscribed and was not sent it",
            TOPICS[topic]
        )
    }
}
