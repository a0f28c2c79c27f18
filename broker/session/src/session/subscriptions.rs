//! The ordinary subscriptions of one session, found by number and by filter.

use hashbrown::HashMap;
use inbox_types::{Charge, Qos};
use mqtt_codec::{RetainHandling, SubscriptionOptions, TopicFilter};

/// The low bits of a subscription's number are its QoS.
const QOS_BITS: u32 = 2;
/// Up to so many subscriptions are searched one by one: most sessions have a few, and an index costs memory.
const SEARCHED_MAX: usize = 16;
/// A session that passes one of these numbers is told about in the log: the largest cost the most.
const NOTED: [usize; 3] = [100, 1000, 10_000];

/// One subscription to ordinary topics. There are very many, of clients that are away, too.
#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) number: u32,
    terms: Terms,
    pub(super) filter: TopicFilter,
}

/// What was asked for beside the QoS, which the number tells: a subscription identifier has 28 bits (MQTT 5, section 1.5.5), and there are four more.
#[derive(Debug, Clone, Copy)]
struct Terms(u32);

const NO_LOCAL: u32 = 1;
const RETAIN_AS_PUBLISHED: u32 = 2;
const RETAIN_HANDLING_AT: u32 = 2;
const SUBSCRIPTION_ID_AT: u32 = 4;

impl Subscription {
    pub(super) fn new(
        counted: u32,
        filter: TopicFilter,
        options: SubscriptionOptions,
        subscription_id: Option<u32>,
    ) -> Self {
        let flag = |is_set: bool, flag: u32| if is_set { flag } else { 0 };
        let terms = flag(options.no_local, NO_LOCAL)
            | flag(options.retain_as_published, RETAIN_AS_PUBLISHED)
            | (options.retain_handling as u32) << RETAIN_HANDLING_AT
            // 0 is no identifier (MQTT 5, section 3.8.2.1.2).
            | subscription_id.unwrap_or(0) << SUBSCRIPTION_ID_AT;
        Subscription {
            number: counted << QOS_BITS | options.qos as u32,
            terms: Terms(terms),
            filter,
        }
    }

    pub(super) fn options(&self) -> SubscriptionOptions {
        let Terms(terms) = self.terms;
        SubscriptionOptions {
            qos: qos(self.number),
            no_local: terms & NO_LOCAL != 0,
            retain_as_published: terms & RETAIN_AS_PUBLISHED != 0,
            retain_handling: match terms >> RETAIN_HANDLING_AT & 3 {
                0 => RetainHandling::Send,
                1 => RetainHandling::SendIfNew,
                _ => RetainHandling::DoNotSend,
            },
        }
    }

    pub(super) fn subscription_id(&self) -> Option<u32> {
        let id = self.terms.0 >> SUBSCRIPTION_ID_AT;
        (id > 0).then_some(id)
    }
}

/// A subscription counts as so many bytes beside its filter.
const SUBSCRIPTION_BYTES: usize = 256;
/// Up to so many bytes do not count by themselves.
const UNCOUNTED_BYTES: usize = 2048;
/// Who keeps a filter's text: session and router together, the session's index, and the router's levels for as long as the filter is nobody else's.
const COPIES: usize = 3;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Subscriptions {
    /// In the order of their numbers without QoS.
    all: Vec<Subscription>,
    /// Numbers without QoS by filter, once there are more than [`SEARCHED_MAX`].
    index: Option<Box<HashMap<Box<str>, u32>>>,
    next: u32,
    /// The sum of the lengths of their filters.
    filter_bytes: usize,
    /// Counts all of it, router's part included.
    charge: Charge,
    /// How many of [`NOTED`] were passed.
    noted: u8,
}

impl Subscriptions {
    /// None yet; they count against the budget of `charge`.
    pub(super) fn new(charge: Charge) -> Self {
        Subscriptions {
            all: Vec::new(),
            index: None,
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
        let Some(index) = &self.index else {
            return self
                .all
                .iter()
                .find(|subscription| subscription.filter.as_str() == filter);
        };
        self.get(*index.get(filter)? << QOS_BITS)
    }

    /// Adds a subscription in the place of one with the same filter, if there is one. Tells the number that the session has now,
    /// if that is worth a record.
    pub(super) fn insert(&mut self, subscription: Subscription) -> Option<usize> {
        self.remove(subscription.filter.as_str());
        let counted = subscription.number >> QOS_BITS;
        self.filter_bytes += subscription.filter.as_str().len();
        if let Some(index) = &mut self.index {
            index.insert(subscription.filter.as_str().into(), counted);
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
        if self.index.is_none() && self.all.len() > SEARCHED_MAX {
            self.index = Some(Box::new(self.by_filters()));
        }
        self.count();
        let next = NOTED.get(usize::from(self.noted));
        let passed = next.is_some_and(|number| self.all.len() > *number);
        self.noted += u8::from(passed);
        passed.then_some(self.all.len())
    }

    pub(super) fn remove(&mut self, filter: &str) -> Option<Subscription> {
        let counted = self.by_filter(filter)?.number >> QOS_BITS;
        let at = self.place(counted).ok()?;
        if let Some(index) = &mut self.index {
            index.remove(filter);
        }
        let removed = self.all.remove(at);
        self.filter_bytes -= filter.len();
        self.count();
        Some(removed)
    }

    fn by_filters(&self) -> HashMap<Box<str>, u32> {
        let named = self
            .all
            .iter()
            .map(|one| (one.filter.as_str().into(), one.number >> QOS_BITS));
        named.collect()
    }

    /// The client is away: nobody asks for one by its filter.
    pub(super) fn rest(&mut self) {
        self.all.shrink_to_fit();
        self.index = None;
    }

    /// The client is back.
    pub(super) fn wake(&mut self) {
        if self.all.len() > SEARCHED_MAX {
            self.index = Some(Box::new(self.by_filters()));
        }
    }

    fn count(&mut self) {
        // Most sessions have one or two small ones, which are within what a connection counts.
        let bytes = self.filter_bytes * COPIES + self.all.len() * SUBSCRIPTION_BYTES;
        self.charge.cover(if bytes < UNCOUNTED_BYTES { 0 } else { bytes });
    }

    /// So many are to be restored.
    pub(super) fn expect(&mut self, subscriptions: usize) {
        self.all.reserve_exact(subscriptions);
    }

    /// Adds a subscription of a session that goes on. Later ones have higher numbers.
    pub(super) fn restore(&mut self, subscription: Subscription) {
        self.next = self.next.max(counted(subscription.number));
        self.insert(subscription);
    }

    /// Something waits in the store for a subscription with this number, which may have ended: no other one is to have it.
    pub(super) fn was_given(&mut self, number: u32) {
        self.next = self.next.max(counted(number));
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

/// The QoS that a subscription's number tells.
fn qos(number: u32) -> Qos {
    // It is none but these.
    Qos::from_u8((number & ((1 << QOS_BITS) - 1)) as u8).unwrap_or(Qos::AtMostOnce)
}

/// A subscription's number without the QoS that it tells.
pub(super) fn counted(number: u32) -> u32 {
    number >> QOS_BITS
}

/// Whether a message waits for a client that is away: those with QoS 0 do not, on either side (MQTT 5, section 4.1).
pub(super) fn outlives_connection(delivery: &pubsub::OrdinaryDelivery) -> bool {
    delivery.subscription & ((1 << QOS_BITS) - 1) != 0 && delivery.message.qos != Qos::AtMostOnce
}

/// The QoS with which a message is sent, unless its subscription gets another one.
pub(super) fn sent_with(delivery: &pubsub::OrdinaryDelivery) -> Qos {
    qos(delivery.subscription).min(delivery.message.qos)
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
        let filter = TopicFilter::parse(filter).unwrap();
        let options = SubscriptionOptions {
            qos: Qos::AtLeastOnce,
            ..SubscriptionOptions::default()
        };
        subscriptions.insert(Subscription::new(counted(number), filter, options, None))
    }

    #[test]
    fn what_was_asked_for_is_what_is_kept() {
        // Goal: options of every kind and the largest identifier come out as they went in.
        for bits in 0..3 * 2 * 2 * 3 {
            let (handling, bits) = (bits % 3, bits / 3);
            let options = SubscriptionOptions {
                qos: Qos::from_u8(bits / 4).unwrap(),
                no_local: bits & 1 != 0,
                retain_as_published: bits & 2 != 0,
                retain_handling: [
                    RetainHandling::Send,
                    RetainHandling::SendIfNew,
                    RetainHandling::DoNotSend,
                ][usize::from(handling)],
            };
            for id in [None, Some(1), Some(268_435_455)] {
                let filter = TopicFilter::parse("a/b").unwrap();
                let subscription = Subscription::new(7, filter, options, id);
                assert_eq!(
                    (
                        counted(subscription.number),
                        subscription.options(),
                        subscription.subscription_id()
                    ),
                    (7, options, id)
                );
            }
        }
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
