//! How a session goes on after a restart.

use std::num::NonZeroU64;
use std::sync::Arc;

use arcstr::ArcStr;
use inbox_types::Qos;
use mqtt_codec::{PacketId, TopicFilter};
use pubsub::{OrdinaryDelivery, SessionKey};

use super::absent::Absent;
use super::in_flight::Outgoing;
use super::incoming::Incoming;
use super::packet_ids::{PacketIds, Span};
use super::subscriptions::Subscription;
use super::{Session, Shared};
use crate::keeping::{Journal, OWN_INBOX, Restored};

/// What the router is to be told of a subscription that goes on.
#[derive(Debug, Clone)]
pub struct Resumed {
    /// Its number.
    pub number: u32,
    /// The filter, without `$share/NAME/`.
    pub filter: ArcStr,
    /// The name of a shared subscription.
    pub share: Option<Box<str>>,
}

impl Session {
    /// A session that the store has, without a connection; and what the router is to be told.
    pub(crate) fn restored(restored: Restored, key: SessionKey, shared: &Arc<Shared>) -> (Box<Absent>, Vec<Resumed>) {
        let Restored {
            life,
            head,
            subscriptions,
            queued,
            taken,
            exchanges,
        } = restored;
        let node = shared.node.clone();
        let mut session = Box::new(Absent::new(life.id().clone(), key, shared));
        session.session_expiry = head.expiry;
        let mut outgoing = Outgoing::default();
        if let Some((first, end)) = head.packet_ids
            && let (Some(first), Some(end)) = (PacketId::new(first), PacketId::new(end))
        {
            session.keeping.ids = PacketIds::restored();
            outgoing.restore(Span { first, end });
        }
        outgoing.restore_taken(&taken);
        let has_qos_2 = subscriptions
            .iter()
            .any(|(_, kept)| kept.options.qos == Qos::ExactlyOnce);
        if has_qos_2 || !taken.is_empty() || queued.iter().any(|one| one.message.qos == Qos::ExactlyOnce) {
            session.keeping.ids.leave_places();
        }
        outgoing.give_from(session.keeping.ids.in_turn());
        if outgoing.finished().is_none() || !exchanges.is_empty() {
            session.goes_on(Incoming::restored(&exchanges), outgoing);
        }
        session.subscriptions.expect(subscriptions.len());
        let forgotten = usize::from(inbox_types::fault!(ForgetSubscription));
        for (number, kept) in subscriptions.into_iter().skip(forgotten) {
            if number == OWN_INBOX {
                session.reads_inbox(kept.options.qos, kept.options.no_local, kept.subscription_id);
            } else if let Ok(filter) = TopicFilter::of(kept.filter) {
                let restored = Subscription::new(number, filter, kept.options, kept.subscription_id);
                session.subscriptions.restore(restored);
            }
        }
        for queued in &queued {
            session.subscriptions.was_given(queued.subscription);
        }
        let places = queued.last().map(|last| last.place).into_iter().chain(taken);
        let last_place = places.max().map_or(0, NonZeroU64::get);
        session.keeping.sent_up_to = last_place;
        let journal = Journal::resumed(life, node, last_place, session.outbox().waits());
        session.outbox().keep_in(journal);
        let waits = queued.into_iter().map(|queued| OrdinaryDelivery {
            subscription: queued.subscription,
            message: Arc::new(queued.message),
            retained: queued.retained,
            kept: Some(queued.place),
        });
        session.subscriptions.rest();
        session.outbox().restore(match inbox_types::fault!(ReverseQueue) {
            true => waits.rev().collect(),
            false => waits.collect(),
        });
        let resumed = session.subscriptions.all().iter().map(|one| Resumed {
            number: one.number,
            filter: one.filter.to_filter(),
            share: one.filter.share_group().map(Box::from),
        });
        let resumed = resumed.collect();
        (session, resumed)
    }
}
