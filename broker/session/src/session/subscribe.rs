//! Subscriptions: the session's own inbox, and ordinary filters.

use std::sync::Arc;

use access::{Action, Target};
use arcstr::ArcStr;
use hashbrown::HashMap;
use inbox_types::{AttachmentId, Port, Qos, Seq, Ticket};

use super::not_granted::{NotGranted, quoted};
use super::subscriptions::{Subscription, counted};
use super::{Ending, Session};
use crate::closed::Closed;
use crate::keeping::OWN_INBOX;
use mqtt_codec::TopicFilter;
use mqtt_codec::{PacketId, RetainHandling, Subscribe, SubscriptionOptions, Unsubscribe, encode, reason};
use pubsub::{OrdinaryMessage, Orphan, SubscribeError, Together};

/// A session reads its inbox.
#[derive(Debug)]
pub(super) struct InboxSubscription {
    pub(super) qos: Qos,
    pub(super) no_local: bool,
    pub(super) subscription_id: Option<u32>,
    /// There while the client is connected.
    pub(super) attachment: Option<AttachmentId>,
    /// The seq of what the attachment was sent last, which the next one is to say (contract rule 6).
    pub(super) prev: Option<Seq>,
}

/// What the session asks of the router. Its task carries these out in order, before anything else.
pub enum RouterCall {
    /// Publish; the result goes to [`Session::routed`], unless nobody waits for it (QoS 0).
    Publish(Arc<OrdinaryMessage>, Option<Ticket>),
    /// The same, of a session that is kept, with QoS 2.
    PublishOnce(Arc<OrdinaryMessage>, Ticket, Arc<Together>),
    /// Subscribe; then call [`Session::subscribed`].
    Subscribe(Box<SubscribeCall>),
    /// Unsubscribe; then give what waited for a shared subscription to other members.
    Unsubscribe(u32, Vec<Orphan>),
}

/// A SUBSCRIBE that awaits the router. Its task makes the subscriptions, notes errors in `codes`, and hands it back.
pub struct SubscribeCall {
    packet_id: PacketId,
    codes: Vec<u8>,
    /// Filters that are not granted, and why.
    denied: Vec<(Box<str>, NotGranted)>,
    requests: Vec<Request>,
    /// The numbers of the requests by their filters: one packet can have very many.
    numbers: HashMap<Box<str>, u32>,
    /// The filters of the requests that are new, together.
    new_bytes: usize,
    /// The own inbox is among the filters.
    own_inbox: bool,
    attach: bool,
}

struct Request {
    /// Of its reason code.
    at: usize,
    subscription: Subscription,
    send_retained: bool,
}

/// What the router is to be asked for.
#[derive(Debug, Clone)]
pub struct Wanted<'c> {
    /// The place of the request, for [`SubscribeCall::refused`].
    pub at: usize,
    /// The number of the subscription.
    pub number: u32,
    /// The topic filter, without `$share/NAME/`.
    pub filter: ArcStr,
    /// The name of a shared subscription.
    pub share: Option<&'c str>,
    /// Whether retained messages are to be sent.
    pub send_retained: bool,
}

impl SubscribeCall {
    /// What to ask the router for, in order.
    pub fn requests(&self) -> impl Iterator<Item = Wanted<'_>> {
        self.requests.iter().enumerate().map(|(at, request)| {
            let Subscription { number, filter, .. } = &request.subscription;
            Wanted {
                at,
                number: *number,
                filter: filter.to_filter(),
                share: filter.share_group(),
                send_retained: request.send_retained,
            }
        })
    }

    /// The router refused the request at this place.
    pub fn refused(&mut self, at: usize, error: SubscribeError) {
        let denied = NotGranted::from(error);
        let Some(request) = self.requests.get(at) else { return };
        if let Some(code) = self.codes.get_mut(request.at) {
            *code = denied.code();
        }
        self.denied.push((request.subscription.filter.as_str().into(), denied));
    }
}

impl Session {
    pub(super) fn subscribe(&mut self, subscribe: &Subscribe<'_>) -> Result<(), Ending> {
        self.link.check_codes(subscribe.filters.iter().count())?;
        let mut call = SubscribeCall {
            packet_id: subscribe.packet_id,
            codes: Vec::new(),
            denied: Vec::new(),
            requests: Vec::new(),
            numbers: HashMap::new(),
            new_bytes: 0,
            own_inbox: false,
            attach: false,
        };
        let subscription_id = subscribe.subscription_id.map(std::num::NonZeroU32::get);
        for (filter, options) in subscribe.filters.iter() {
            let target = self.shared.names.named_by(filter);
            let denied = match self.shared.access.decide(&self.identity, Action::Subscribe(target)) {
                Err(denied) => Some(self.denied(denied, filter)),
                Ok(()) => match target {
                    Target::Inbox(_) | Target::SharedInbox(_) => {
                        call.own_inbox = true;
                        call.attach |= self.subscribe_inbox(options, subscription_id);
                        None
                    }
                    Target::Ordinary(_) | Target::Reserved(_) => self
                        .ordinary_request(filter, options, subscription_id, &mut call)?
                        .err(),
                },
            };
            if denied.is_none() && options.qos == Qos::ExactlyOnce {
                self.delivers_exactly_once(matches!(target, Target::Inbox(_) | Target::SharedInbox(_)));
            }
            let code = denied.as_ref().map_or(options.qos as u8, NotGranted::code);
            call.denied.extend(denied.map(|denied| (filter.into(), denied)));
            call.codes.push(code);
        }
        if call.requests.is_empty() {
            self.subscribed(call);
        } else {
            self.is_subscribing = true;
            self.calls.push_back(RouterCall::Subscribe(Box::new(call)));
        }
        Ok(())
    }

    /// A SUBSCRIBE is done: SUBACK, then the mail (contract rule 4).
    pub fn subscribed(&mut self, call: SubscribeCall) {
        self.is_subscribing = false;
        let mut granted = Vec::new();
        for request in call.requests {
            let refused = call
                .codes
                .get(request.at)
                .is_none_or(|code| *code >= reason::UNSPECIFIED_ERROR);
            if refused {
                continue;
            }
            granted.push(request.subscription.number);
            let filter: Box<str> = request.subscription.filter.as_str().into();
            if let Some(number) = self.subscriptions.insert(request.subscription) {
                let most = self.shared.mqtt.subscriptions_per_session_max;
                tracing::info!(
                    client = %self.id,
                    last = filter,
                    "a session holds {number} subscriptions now, and may hold {most} (mqtt.subscriptions_per_session_max)"
                );
            }
        }
        #[cfg(feature = "testing")]
        if inbox_types::fault!(MailBeforeSuback) && call.attach {
            self.attach();
            self.send_waiting(self.shared.node.now());
        }
        let now = self.shared.node.now().mono;
        for (filter, denied) in &call.denied {
            let refusals = &self.shared.metrics.refusals;
            refusals.note(denied.cause(), &self.id, filter, denied, now);
        }
        let why = call.denied.last().map(|(_, denied)| denied.to_string());
        let why = why
            .as_deref()
            .and_then(|why| self.link.reason_string(why, call.codes.len()));
        let mut suback = Vec::new();
        encode::suback(&mut suback, self.link.version, call.packet_id, &call.codes, why);
        self.answer_when_kept(&granted, call.own_inbox, suback, call.attach);
    }

    pub(super) fn unsubscribe(&mut self, unsubscribe: &Unsubscribe<'_>) -> Result<(), Ending> {
        self.link.check_codes(unsubscribe.filters.iter().count())?;
        let (mut codes, mut ended, mut handed_over) = (Vec::new(), Vec::new(), None);
        for filter in unsubscribe.filters.iter() {
            let existed = match self.shared.names.named_by(filter) {
                Target::Inbox(owner) if owner == self.id.as_str() => {
                    let existed = self.unsubscribe_inbox();
                    ended.extend(existed.then_some(OWN_INBOX));
                    existed
                }
                _ => match self.subscriptions.remove(filter) {
                    Some(subscription) => {
                        ended.push(subscription.number);
                        let mut orphans = self.take_orphans_of(&subscription);
                        if !orphans.is_empty() && handed_over.is_none() {
                            handed_over = self.hands_over();
                        }
                        if let Some((_, safe)) = &handed_over {
                            safe.awaits(&mut orphans);
                        }
                        self.calls
                            .push_back(RouterCall::Unsubscribe(subscription.number, orphans));
                        true
                    }
                    None => false,
                },
            };
            codes.push(match existed {
                true => reason::SUCCESS,
                // As SUBSCRIBE answers it: filter by filter, so that the client learns which one it was.
                false if TopicFilter::parse(filter).is_err() => reason::TOPIC_FILTER_INVALID,
                false => reason::NO_SUBSCRIPTION_EXISTED,
            });
        }
        let mut unsuback = Vec::new();
        encode::unsuback(&mut unsuback, self.link.version, unsubscribe.packet_id, &codes);
        self.answer_when_forgotten(ended, handed_over, unsuback);
        Ok(())
    }

    /// Reads the own inbox from the start, but for what this connection has in flight: that is not sent again (contract rule 4,
    /// MQTT-4.4.0-1), also when the client unsubscribed in between.
    pub(super) fn attach(&mut self) {
        self.tell_acknowledged();
        // What an earlier attachment left here is void.
        self.outbox.forget_mail();
        let window = self.link.receive_maximum.min(self.shared.mqtt.in_flight_max);
        let port: Arc<dyn Port> = self.outbox.clone();
        let in_flight = self.mail_over_this_connection();
        self.stopwatch.attached_at = self.shared.node.now().wall;
        if let Some(inbox) = self.inbox.as_mut() {
            self.outgoing.mail_starts_over();
            let attachment = self.shared.node.inboxes.attach(&self.id, port, window, &in_flight);
            inbox.attachment = Some(attachment);
            inbox.prev = None;
        }
    }

    /// Mail that this connection was sent and has not acknowledged, or that waits for the socket, in order.
    fn mail_over_this_connection(&self) -> Vec<Seq> {
        if inbox_types::fault!(ResendOnSubscribe) {
            return Vec::new();
        }
        let unwritten = self.settle_when_written.iter().map(|(_, seq)| *seq);
        let mut seqs: Vec<_> = self.outgoing.mail_over_this_connection().chain(unwritten).collect();
        seqs.sort_unstable();
        seqs.dedup();
        seqs
    }

    /// The answer when the access rules say no, with a sentence that names what it is about.
    fn denied(&self, denied: access::Denied, filter: &str) -> NotGranted {
        match denied {
            access::Denied::OthersInbox => NotGranted::OthersInbox {
                filter: quoted(filter),
                owner: quoted(self.shared.names.inbox_name(filter).unwrap_or_default()),
                prefix: self.shared.names.prefix().into(),
                own: self.inbox_topic.clone(),
            },
            access::Denied::SharedInbox => NotGranted::SharedInbox { filter: quoted(filter) },
            // A broken shared subscription is called that.
            access::Denied::Reserved => match TopicFilter::parse(filter) {
                Ok(_) => NotGranted::Reserved,
                Err(error) => error.into(),
            },
            _ => NotGranted::Denied(denied),
        }
    }

    /// The options hold from the next delivery on. Tells whether the inbox must be read from the start: not if this connection reads it
    /// already (contract rule 4), unless there may be messages that it was not sent because of No Local and wants now.
    fn subscribe_inbox(&mut self, options: SubscriptionOptions, subscription_id: Option<u32>) -> bool {
        let earlier = self.inbox.as_ref();
        let wants_own_now = earlier.is_some_and(|earlier| earlier.no_local) && !options.no_local;
        let attachment = earlier.and_then(|inbox| inbox.attachment);
        let prev = earlier.and_then(|inbox| inbox.prev);
        self.inbox = Some(InboxSubscription {
            qos: options.qos,
            no_local: options.no_local,
            subscription_id,
            attachment,
            prev,
        });
        attachment.is_none() || wants_own_now || inbox_types::fault!(ResendOnSubscribe)
    }

    fn unsubscribe_inbox(&mut self) -> bool {
        match self.inbox.take() {
            Some(InboxSubscription {
                attachment: Some(attachment),
                ..
            }) => {
                self.shared.node.inboxes.detach(&self.id, attachment);
                true
            }
            was => was.is_some(),
        }
    }

    /// Adds to `call` the request for an ordinary filter, or says why not.
    fn ordinary_request(
        &mut self,
        text: &str,
        options: SubscriptionOptions,
        subscription_id: Option<u32>,
        call: &mut SubscribeCall,
    ) -> Result<Result<(), NotGranted>, Ending> {
        let filter = match TopicFilter::parse(text) {
            Ok(filter) => filter,
            Err(error) => return Ok(Err(error.into())),
        };
        if filter.share_group().is_some() && options.no_local {
            return Err(Closed::NoLocalOfShared.into());
        }
        let earlier_here = call.numbers.get(text).copied();
        let earlier = earlier_here.or_else(|| self.subscriptions.by_filter(text).map(|earlier| earlier.number));
        let max = self.shared.mqtt.subscriptions_per_session_max;
        if earlier.is_none() && self.subscriptions.len() + call.numbers.len() >= max {
            return Ok(Err(NotGranted::SubscriptionLimit(max)));
        }
        let new_bytes = if earlier.is_none() { text.len() } else { 0 };
        let bytes_max = self.shared.mqtt.filter_bytes_per_session_max;
        if self.subscriptions.filter_bytes() + call.new_bytes + new_bytes > bytes_max && new_bytes > 0 {
            return Ok(Err(NotGranted::FilterBytes(bytes_max)));
        }
        call.new_bytes += new_bytes;
        let send_retained = match options.retain_handling {
            RetainHandling::Send => true,
            RetainHandling::SendIfNew => earlier.is_none(),
            RetainHandling::DoNotSend => false,
        };
        let number = self.subscriptions.number(earlier, options.qos);
        call.numbers.insert(text.into(), number);
        call.requests.push(Request {
            at: call.codes.len(),
            subscription: Subscription::new(counted(number), filter, options, subscription_id),
            send_retained,
        });
        Ok(Ok(()))
    }
}
