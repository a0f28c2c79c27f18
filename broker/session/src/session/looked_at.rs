//! What a session has, for operators who look at it.

use inbox_types::Qos;

use super::absent::Absent;
use super::in_flight::{Outgoing, What};
use super::order::{Asked, Holdings, WantedFilters};
use super::subscriptions::{Subscriptions, counted};
use super::{Outbox, Session};
use crate::keeping::OWN_INBOX;

impl Session {
    /// Answers operators who asked what it has.
    pub(crate) fn tell_who_asked(&self) {
        for Asked { wanted, tell } in self.outbox.take_asked() {
            // Who asked may have gone.
            let _ = tell.send(self.holdings(wanted));
        }
    }

    /// What it has, and of its subscriptions those that are wanted.
    pub(crate) fn holdings(&self, wanted: WantedFilters) -> Holdings {
        Holdings {
            protocol: Some(self.link.protocol()),
            ..holdings(Of {
                expiry: self.link.session_expiry,
                outbox: &self.outbox,
                inbox: self.inbox.as_ref().map(|inbox| inbox.qos),
                inbox_topic: self.inbox_topic.as_deref().unwrap_or_default(),
                subscriptions: &self.subscriptions,
                outgoing: Some(&self.outgoing),
                wanted,
            })
        }
    }
}

impl Absent {
    /// What it has, and of its subscriptions those that are wanted.
    pub(crate) fn holdings(&self, wanted: WantedFilters) -> Holdings {
        holdings(Of {
            expiry: self.session_expiry,
            outbox: self.outbox(),
            inbox: self.inbox_qos(),
            inbox_topic: self.inbox_topic().as_deref().unwrap_or_default(),
            subscriptions: &self.subscriptions,
            outgoing: self.outgoing(),
            wanted,
        })
    }
}

/// Of whom it is asked, and what.
struct Of<'s> {
    expiry: u32,
    outbox: &'s Outbox,
    inbox: Option<Qos>,
    inbox_topic: &'s str,
    subscriptions: &'s Subscriptions,
    outgoing: Option<&'s Outgoing>,
    wanted: WantedFilters,
}

fn holdings(of: Of<'_>) -> Holdings {
    let in_flight = of.outgoing.into_iter().flat_map(|outgoing| &outgoing.in_flight);
    let in_flight = in_flight.filter(|sent| matches!(sent.what, What::Ordinary(_))).count();
    let (waiting, bytes) = of.outbox.ordinary_waiting();
    let inbox = of.inbox.map(|qos| (OWN_INBOX, of.inbox_topic, qos));
    let ordinary = of.subscriptions.all().iter();
    let ordinary = ordinary.map(|one| (counted(one.number), one.filter.as_str(), one.options().qos));
    let (page, has_more) = of.wanted.of(inbox.into_iter().chain(ordinary));
    Holdings {
        protocol: None,
        expiry: of.expiry,
        is_durable: of.outbox.journal().is_some(),
        subscriptions: of.subscriptions.len() + usize::from(of.inbox.is_some()),
        messages: in_flight + waiting,
        bytes: of.outgoing.map_or(0, Outgoing::ordinary_bytes) + bytes,
        page,
        has_more,
    }
}
