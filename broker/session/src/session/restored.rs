//! How a session goes on after a restart.

use std::sync::Arc;

use arcstr::ArcStr;
use mqtt_codec::{PacketId, TopicFilter};
use pubsub::{OrdinaryDelivery, SessionKey};

use super::absent::Absent;
use super::in_flight::Outgoing;
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
        } = restored;
        let node = shared.node.clone();
        let mut session = Box::new(Absent::new(life.id().clone(), key, shared));
        session.session_expiry = head.expiry;
        if let Some((first, end)) = head.packet_ids
            && let (Some(first), Some(end)) = (PacketId::new(first), PacketId::new(end))
            && !inbox_types::fault!(ForgetPacketIds)
        {
            session.keeping.ids = PacketIds::restored();
            let mut outgoing = Outgoing::default();
            outgoing.restore(Span { first, end });
            session.has_in_flight(outgoing);
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
        let last_place = queued.last().map_or(0, |last| last.place.get());
        session.keeping.sent_up_to = last_place;
        session.outbox().keep_in(Journal::resumed(life, node, last_place));
        let waits = queued.into_iter().map(|queued| OrdinaryDelivery {
            subscription: queued.subscription,
            message: Arc::new(queued.message),
            retained: false,
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
