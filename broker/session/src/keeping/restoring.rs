//! From what the store has to sessions: entries in the order of their keys, which has those of one session side by side.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use inbox_types::{Age, ClientId, MemoryBudget, Micros};
use mqtt_codec::PacketId;
use pubsub::OrdinaryMessage;

use super::records::{Head, KeptSubscription, RecordError, is_nil, read_head, read_queued, read_subscription};
use super::{About, Key, Life, parse_key};

/// What the store has of one life of a session.
#[derive(Debug)]
pub struct Restored {
    pub(crate) life: Life,
    pub(crate) head: Head,
    /// By their numbers without QoS.
    pub(crate) subscriptions: Vec<(u32, KeptSubscription)>,
    /// In the order of their places.
    pub(crate) queued: Vec<Queued>,
    /// Places of messages that the client has, and is to release.
    pub(crate) taken: Vec<NonZeroU64>,
    /// Packet identifiers of publishes that were taken, and that the client has not released.
    pub(crate) exchanges: Vec<PacketId>,
}

impl Restored {
    /// For how long it is kept from this age of the store on; `None` is for ever. Of one that had a connection all of its time is left.
    pub(crate) fn lives(&self, age: Age) -> Option<Duration> {
        let waited = self.left().map_or(Duration::ZERO, |left| age.since(left));
        let lives = Duration::from_secs(self.head.expiry.into());
        (self.head.expiry != u32::MAX).then(|| lives.saturating_sub(waited))
    }

    /// The age of the store when its last connection ended; `None` if it had one when the broker ended.
    pub(crate) fn left(&self) -> Option<Age> {
        self.head.left.map(Age)
    }
}

/// A message that waits for a session.
#[derive(Debug)]
pub(crate) struct Queued {
    pub(crate) place: NonZeroU64,
    pub(crate) subscription: u32,
    /// It was a retained one.
    pub(crate) retained: bool,
    pub(crate) message: OrdinaryMessage,
}

/// What can be made of the entries of one life.
#[derive(Debug)]
pub enum Found {
    /// A session.
    Session(Box<Restored>),
    /// Nothing: what is left of a session that has ended, or one that is damaged. Its keys begin so, and are to go.
    Remains(Bytes),
}

/// Reads entries.
#[derive(Debug)]
pub struct Restoring {
    budget: Arc<MemoryBudget>,
    life: Option<Reading>,
}

#[derive(Debug)]
struct Reading {
    /// What its keys begin with.
    prefix: Bytes,
    id: Result<ClientId, &'static str>,
    begins: Micros,
    head: Option<Head>,
    subscriptions: Vec<(u32, KeptSubscription)>,
    queued: Vec<Queued>,
    taken: Vec<NonZeroU64>,
    exchanges: Vec<PacketId>,
    damage: Damage,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Damage {
    None,
    /// Another build may read it.
    Unknown,
    ForGood,
}

impl Restoring {
    /// What waits for sessions counts against `budget`.
    pub fn new(budget: &Arc<MemoryBudget>) -> Self {
        Restoring {
            budget: budget.clone(),
            life: None,
        }
    }

    /// Takes the next entry. Gives what comes of those before it, if it is the first of another life.
    pub fn take(&mut self, key: &[u8], value: &[u8]) -> Option<Found> {
        let Some(key) = parse_key(key) else {
            tracing::error!(
                ?key,
                "a record of a session has a key that says nothing to this build; it is left as it is"
            );
            return None;
        };
        let before = match &self.life {
            Some(reading) if reading.prefix == key.prefix => None,
            _ => self.life.replace(Reading::new(&key)),
        };
        if let Some(reading) = &mut self.life
            && let Err(why) = reading.take(key.about, value, &self.budget)
        {
            tracing::error!(
                client = key.id, %why,
                "a record of a kept session cannot be read: the session is lost, with what waited for it on ordinary topics; its inbox is not touched"
            );
            let damage = match why {
                RecordError::Version(_) => Damage::Unknown,
                _ => Damage::ForGood,
            };
            reading.damage = Damage::max(std::mem::replace(&mut reading.damage, Damage::None), damage);
        }
        before.and_then(Reading::end)
    }

    /// There are no more. Gives what comes of the last ones.
    pub fn end(self) -> Option<Found> {
        self.life.and_then(Reading::end)
    }
}

impl Reading {
    fn new(key: &Key<'_>) -> Self {
        Reading {
            prefix: Bytes::copy_from_slice(key.prefix),
            id: ClientId::new(key.id).map_err(|_| "a client ID"),
            begins: key.begins,
            head: None,
            subscriptions: Vec::new(),
            queued: Vec::new(),
            taken: Vec::new(),
            exchanges: Vec::new(),
            damage: Damage::None,
        }
    }

    fn take(&mut self, about: About, value: &[u8], budget: &Arc<MemoryBudget>) -> Result<(), RecordError> {
        self.id.as_ref().map_err(|what| RecordError::Value(what))?;
        match about {
            About::Head => self.head = Some(read_head(value)?),
            About::Subscription(number) => self.subscriptions.push((number, read_subscription(value)?)),
            About::Exchange(id) => match PacketId::new(id).filter(|_| is_nil(value)) {
                Some(id) => self.exchanges.push(id),
                None => return Err(RecordError::Value("a packet identifier, and nothing else")),
            },
            About::Queued(place) => {
                let place = NonZeroU64::new(place).ok_or(RecordError::Value("a place"))?;
                if is_nil(value) {
                    self.taken.push(place);
                    return Ok(());
                }
                let (subscription, retained, message) = read_queued(value, budget)?;
                self.queued.push(Queued {
                    place,
                    subscription,
                    retained,
                    message,
                });
            }
        }
        Ok(())
    }

    fn end(self) -> Option<Found> {
        Some(match (self.id, self.head, self.damage) {
            (_, _, Damage::Unknown) => return None,
            (Ok(id), Some(head), Damage::None) if !inbox_types::fault!(ForgetSession) => {
                Found::Session(Box::new(Restored {
                    life: Life {
                        id,
                        begins: self.begins,
                    },
                    head,
                    subscriptions: self.subscriptions,
                    queued: self.queued,
                    taken: self.taken,
                    exchanges: self.exchanges,
                }))
            }
            // Without a head it had begun to be forgotten.
            _ => Found::Remains(self.prefix),
        })
    }
}

#[cfg(test)]
mod tests {
    use inbox_types::Qos;
    use mqtt_codec::SubscriptionOptions;

    use super::super::records::{write_head, write_subscription};
    use super::*;

    fn subscription(filter: &str) -> KeptSubscription {
        KeptSubscription {
            filter: filter.into(),
            options: SubscriptionOptions {
                qos: Qos::AtLeastOnce,
                no_local: false,
                retain_as_published: false,
                retain_handling: mqtt_codec::RetainHandling::Send,
            },
            subscription_id: None,
        }
    }

    #[test]
    fn each_life_is_read_by_itself() {
        // Goal: two lives of one client are two; one without a head, and one with a damaged record, are remains, and harm nobody else.
        let lives = [("ann", 1), ("ann", 2), ("bob", 1), ("cat", 1)];
        let head = write_head(&Head {
            expiry: 9,
            left: None,
            packet_ids: None,
        });
        let mut restoring = Restoring::new(&MemoryBudget::new(usize::MAX));
        let mut found = Vec::new();
        for (id, begins) in lives {
            let id = ClientId::new(id).unwrap();
            let life = Life {
                id,
                begins: Micros(begins),
            };
            if (life.id.as_str(), begins) != ("ann", 1) {
                found.extend(restoring.take(&life.head(), &head));
            }
            let written = write_subscription(&subscription("a/b"));
            let damaged = written.len() - usize::from(life.id.as_str() == "bob");
            found.extend(restoring.take(&life.subscription(4), &written[..damaged]));
            assert!(restoring.take(b"nothing known", b"").is_none());
        }
        found.extend(restoring.end());
        let told: Vec<_> = found
            .iter()
            .map(|found| match found {
                Found::Session(session) => format!("{} {}", session.life.id, session.subscriptions.len()),
                Found::Remains(prefix) => format!("remains of {}", String::from_utf8_lossy(&prefix[..3])),
            })
            .collect();
        assert_eq!(told, ["remains of ann", "ann 1", "remains of bob", "cat 1"]);
    }
}
