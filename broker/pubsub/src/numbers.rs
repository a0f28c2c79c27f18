//! What operators are told of ordinary topics.

use std::sync::atomic::Ordering;

use super::Router;

impl Router {
    /// Filters that somebody is subscribed to.
    pub fn filters(&self) -> u64 {
        self.counters.filters.load(Ordering::Relaxed)
    }

    /// Retained messages.
    pub fn retained(&self) -> u64 {
        self.counters.retained.load(Ordering::Relaxed)
    }

    /// Retained messages that were damaged, or could not be read for whoever subscribed.
    pub fn retained_unreadable(&self) -> u64 {
        self.counters.retained_unreadable.load(Ordering::Relaxed)
    }

    /// How often rumqttd's router failed and was replaced.
    pub fn restarts(&self) -> u64 {
        self.counters.restarts.load(Ordering::Relaxed)
    }

    /// How often a healthy router was replaced to free what it never forgets.
    pub fn refreshes(&self) -> u64 {
        self.counters.refreshes.load(Ordering::Relaxed)
    }

    /// Messages lost inside the router, summed over filters; anything but 0 is a defect.
    pub fn lost(&self) -> u64 {
        self.counters.lost.load(Ordering::Relaxed)
    }
}
