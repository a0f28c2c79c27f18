//! The ordinary subscriptions of one session, found by number and by filter.

use hashbrown::HashMap;
use inbox_types::{Charge, Qos};
use mqtt_codec::{SubscriptionOptions, TopicFilter};

use crate::keeping::KeptSubscription;

/// The low bits of a subscription's number are its QoS.
const QOS_BITS: u32 = 2;
/// Up to so many subscriptions are searched one by one: most sessions have a few, and an index costs memory.
const SEARCHED_MAX: usize = 16;
/// A session that passes one of these numbers is told about in the log: the largest cost the most.
const NOTED: [usize; 3] = [100, 1000, 10_000];

/// One subscription to ordinary topics.
#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) number: u32,
    pub(super) filter: TopicFilter,
    pub(super) options: SubscriptionOptions,
    pub(super) subscription_id: Option<u32>,
}

/// A subscription counts as so many bytes beside its filter.
const SUBSCRIPTION_BYTES: usize = 256;
/// Up to so many bytes do not count by themselves.
const UNCOUNTED_BYTES: usize = 2048;
/// Who keeps a filter's text: the session, its index, and the router for as long as the filter is nobody else's.
const COPIES: usize = 3;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Subscriptions {
    /// In the order of their numbers without QoS.
    all: Vec<Subscription>,
    /// Numbers without QoS by filter, once there are more than [`SEARCHED_MAX`].
    index: HashMap<Box<str>, u32>,
    next: u32,
    /// The sum of the lengths of their filters.
    filter_bytes: usize,
    /// Counts all of it, router's part included.
    charge: Charge,
    /// How many of [`NOTED`] were passed.
    noted: usize,
}

impl Subscriptions {
    /// None yet; they count against the budget of `charge`.
    pub(super) fn new(charge: Charge) -> Self {
        Subscriptions {
            all: Vec::new(),
            index: HashMap::new(),
            next: 0,
            filter_bytes: 0,
            charge,
            noted: 0,
        }
    }

    /// The filters together, in bytes.
    pub(super) fn filter_bytes(&self) -> usize {
        self.filter_bytes
    }

    /// All of them.
    pub(super) fn all(&self) -> &[Subscription] {
        &self.all
    }

    /// The filters, in no order.
    pub(super) fn filters(&self) -> impl Iterator<Item = &str> {
        self.all.iter().map(|subscription| subscription.filter.as_str())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether one of them is shared.
    pub(super) fn has_shares(&self) -> bool {
        self.all
            .iter()
            .any(|subscription| subscription.filter.share_group().is_some())
    }

    pub(super) fn get(&self, number: u32) -> Option<&Subscription> {
        self.all.get(self.place(number >> QOS_BITS).ok()?)
    }

    pub(super) fn by_filter(&self, filter: &str) -> Option<&Subscription> {
        if self.index.is_empty() {
            return self
                .all
                .iter()
                .find(|subscription| subscription.filter.as_str() == filter);
        }
        self.get(*self.index.get(filter)? << QOS_BITS)
    }

    /// Adds a subscription in the place of one with the same filter, if there is one. Tells the number that the session has now,
    /// if that is worth a record.
    pub(super) fn insert(&mut self, subscription: Subscription) -> Option<usize> {
        self.remove(subscription.filter.as_str());
        let counted = subscription.number >> QOS_BITS;
        self.filter_bytes += subscription.filter.as_str().len();
        if !self.index.is_empty() {
            self.index.insert(subscription.filter.as_str().into(), counted);
        }
        match self.place(counted) {
            Ok(at) => {
                if let Some(place) = self.all.get_mut(at) {
                    self.filter_bytes -= place.filter.as_str().len();
                    *place = subscription;
                }
            }
            Err(at) => self.all.insert(at, subscription),
        }
        if self.index.is_empty() && self.all.len() > SEARCHED_MAX {
            let named = self
                .all
                .iter()
                .map(|one| (one.filter.as_str().into(), one.number >> QOS_BITS));
            self.index = named.collect();
        }
        self.count();
        let passed = NOTED.get(self.noted).is_some_and(|number| self.all.len() > *number);
        self.noted += usize::from(passed);
        passed.then_some(self.all.len())
    }

    pub(super) fn remove(&mut self, filter: &str) -> Option<Subscription> {
        let counted = self.by_filter(filter)?.number >> QOS_BITS;
        let at = self.place(counted).ok()?;
        self.index.remove(filter);
        let removed = self.all.remove(at);
        self.filter_bytes -= filter.len();
        self.count();
        Some(removed)
    }

    fn count(&mut self) {
        // Most sessions have one or two small ones, which are within what a connection counts.
        let bytes = self.filter_bytes * COPIES + self.all.len() * SUBSCRIPTION_BYTES;
        self.charge.cover(if bytes < UNCOUNTED_BYTES { 0 } else { bytes });
    }

    /// Adds a subscription of a session that goes on: by its number without QoS. Later ones have higher numbers.
    pub(super) fn restore(&mut self, counted: u32, filter: TopicFilter, kept: &KeptSubscription) {
        self.next = self.next.max(counted);
        self.insert(Subscription {
            number: counted << QOS_BITS | kept.options.qos as u32,
            filter,
            options: kept.options,
            subscription_id: kept.subscription_id,
        });
    }

    /// A number for a subscription with `qos`, which it tells: see [`outlives_connection`]. One that takes the place of `earlier`
    /// is the same but for the QoS, so that deliveries under way find it.
    pub(super) fn number(&mut self, earlier: Option<u32>, qos: Qos) -> u32 {
        let counted = match earlier {
            Some(earlier) => earlier >> QOS_BITS,
            None => {
                self.next = (self.next + 1) % (u32::MAX >> QOS_BITS);
                self.next
            }
        };
        counted << QOS_BITS | qos as u32
    }

    fn place(&self, counted: u32) -> Result<usize, usize> {
        self.all.binary_search_by_key(&counted, |one| one.number >> QOS_BITS)
    }
}

/// A subscription's number without the QoS that it tells.
pub(super) fn counted(number: u32) -> u32 {
    number >> QOS_BITS
}

/// Whether a message waits for a client that is away: those with QoS 0 do not, on either side (MQTT 5, section 4.1).
pub(super) fn outlives_connection(delivery: &pubsub::OrdinaryDelivery) -> bool {
    delivery.subscription & ((1 << QOS_BITS) - 1) != 0 && delivery.message.qos != Qos::AtMostOnce
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use inbox_types::MemoryBudget;

    use super::*;

    fn subscriptions() -> Subscriptions {
        Subscriptions::new(Charge::new(&MemoryBudget::new(usize::MAX)))
    }

    fn subscribe(subscriptions: &mut Subscriptions, filter: &str) -> Option<usize> {
        let earlier = subscriptions.by_filter(filter).map(|earlier| earlier.number);
        let number = subscriptions.number(earlier, Qos::AtLeastOnce);
        subscriptions.insert(Subscription {
            number,
            filter: TopicFilter::parse(filter).unwrap(),
            options: SubscriptionOptions {
                qos: Qos::AtLeastOnce,
                no_local: false,
                retain_as_published: false,
                retain_handling: mqtt_codec::RetainHandling::Send,
            },
            subscription_id: None,
        })
    }

    #[test]
    fn few_and_many_are_found_alike() {
        // Goal: by filter and by number, before and after the index is built, and after removals.
        let mut subscriptions = subscriptions();
        for n in 0..50 {
            subscribe(&mut subscriptions, &format!("a/{n}"));
            for m in 0..=n {
                let found = subscriptions.by_filter(&format!("a/{m}")).unwrap();
                assert_eq!(found.filter.as_str(), format!("a/{m}"));
                assert_eq!(
                    subscriptions.get(found.number).unwrap().filter.as_str(),
                    format!("a/{m}")
                );
            }
        }
        let before = subscriptions.by_filter("a/7").unwrap().number;
        subscribe(&mut subscriptions, "a/7");
        assert_eq!(
            subscriptions.by_filter("a/7").unwrap().number,
            before,
            "the same subscription"
        );
        for n in 0..50 {
            assert!(subscriptions.remove(&format!("a/{n}")).is_some());
            assert!(subscriptions.by_filter(&format!("a/{n}")).is_none());
            assert_eq!(subscriptions.len(), 49 - n);
        }
        assert!(subscriptions.is_empty());
        assert!(subscribe(&mut subscriptions, "a/1").is_none());
        assert!(subscriptions.by_filter("a/1").is_some());
    }

    #[test]
    fn ten_thousand_cost_each_no_more_than_ten() {
        // Goal: what a home hub holds is found without looking at all of them. A search one by one would take 50 million steps.
        let mut subscriptions = subscriptions();
        let start = Instant::now();
        let noted: Vec<_> = (0..10_000)
            .filter_map(|n| subscribe(&mut subscriptions, &format!("home/room/entity-{n}/state")))
            .collect();
        for n in 0..10_000 {
            assert!(
                subscriptions
                    .by_filter(&format!("home/room/entity-{n}/state"))
                    .is_some()
            );
            assert!(subscriptions.get((n + 1) << QOS_BITS).is_some());
        }
        assert!(start.elapsed().as_millis() < 2000, "{:?}", start.elapsed());
        assert_eq!(noted, [101, 1001], "told when a number is passed, once");
    }

    #[test]
    fn filters_count_until_they_are_removed() {
        // Goal: the bytes of filters are counted, against the budget too, once for a filter that comes again, and given back.
        let budget = MemoryBudget::new(usize::MAX);
        let mut subscriptions = Subscriptions::new(Charge::new(&budget));
        let long = |n: usize| format!("{n:02}/{}", "x".repeat(9_997));
        for n in 0..30 {
            subscribe(&mut subscriptions, &long(n));
            subscribe(&mut subscriptions, &long(n));
            assert_eq!(subscriptions.filter_bytes(), (n + 1) * 10_000);
            assert!(budget.used() >= (n + 1) * 10_000 * COPIES, "{}", budget.used());
        }
        for n in 0..30 {
            subscriptions.remove(&long(n));
        }
        assert_eq!((subscriptions.filter_bytes(), budget.used()), (0, 0));
        subscribe(&mut subscriptions, &long(1));
        drop(subscriptions);
        assert_eq!(budget.used(), 0, "a session that ends gives everything back");
    }
}
