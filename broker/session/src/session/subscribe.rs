//! Subscriptions: the session's own inbox, and ordinary filters.

use inbox_types::{AttachmentId, Port, Qos, Seq};

use super::{Ending, RouterCall, Session};
use mqtt_codec::TopicFilter;
use mqtt_codec::{PacketId, RetainHandling, Subscribe, SubscriptionOptions, Unsubscribe, encode, reason};
use pubsub::SubscribeError;

/// The low bits of a subscription's number are its QoS.
const QOS_BITS: u32 = 2;
/// So much of a filter is quoted in a reason string.
const QUOTED_CHARS_MAX: usize = 128;

/// A session reads its inbox.
#[derive(Debug)]
pub(super) struct InboxSubscription {
    pub(super) qos: Qos,
    pub(super) no_local: bool,
    pub(super) subscription_id: Option<u32>,
    /// There while the client is connected.
    pub(super) attachment: Option<AttachmentId>,
}

/// One subscription to ordinary topics.
#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) number: u32,
    pub(super) filter: TopicFilter,
    pub(super) options: SubscriptionOptions,
    pub(super) subscription_id: Option<u32>,
}

/// The ordinary subscriptions of a session: few, so they are searched one by one.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    all: Vec<Subscription>,
    next: u32,
}

impl Subscriptions {
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether one of them is shared.
    pub(super) fn has_shares(&self) -> bool {
        self.all
            .iter()
            .any(|subscription| subscription.filter.share_group().is_some())
    }

    pub(super) fn get(&self, number: u32) -> Option<&Subscription> {
        self.all
            .iter()
            .find(|subscription| subscription.number >> QOS_BITS == number >> QOS_BITS)
    }

    fn by_filter(&self, filter: &str) -> Option<&Subscription> {
        self.all
            .iter()
            .find(|subscription| subscription.filter.as_str() == filter)
    }

    fn remove(&mut self, filter: &str) -> Option<Subscription> {
        let at = self
            .all
            .iter()
            .position(|subscription| subscription.filter.as_str() == filter)?;
        Some(self.all.swap_remove(at))
    }

    /// A number for a subscription with `qos`, which it tells: see [`outlives_connection`]. One that takes the place of `earlier`
    /// is the same but for the QoS, so that deliveries under way find it.
    fn number(&mut self, earlier: Option<u32>, qos: Qos) -> u32 {
        let counted = match earlier {
            Some(earlier) => earlier >> QOS_BITS,
            None => {
                self.next = (self.next + 1) % (u32::MAX >> QOS_BITS);
                self.next
            }
        };
        counted << QOS_BITS | qos as u32
    }
}

/// Whether a message waits for a client that is away: those with QoS 0 do not, on either side (MQTT 5, section 4.1).
pub(super) fn outlives_connection(delivery: &pubsub::Delivery) -> bool {
    delivery.subscription & ((1 << QOS_BITS) - 1) != 0 && delivery.message.qos != Qos::AtMostOnce
}

/// A SUBSCRIBE that awaits the router. Its task makes the subscriptions, notes errors in `codes`, and hands it back.
pub struct SubscribeCall {
    packet_id: PacketId,
    codes: Vec<u8>,
    why: Option<String>,
    requests: Vec<Request>,
    attach: bool,
}

struct Request {
    /// Of its reason code.
    at: usize,
    subscription: Subscription,
    send_retained: bool,
}

impl SubscribeCall {
    /// What to ask the router for: a number, a filter, a share name, whether retained messages are wanted.
    pub fn requests(&self) -> impl Iterator<Item = (usize, u32, &str, Option<&str>, bool)> {
        self.requests.iter().enumerate().map(|(at, request)| {
            let Subscription { number, filter, .. } = &request.subscription;
            (
                at,
                *number,
                filter.filter(),
                filter.share_group(),
                request.send_retained,
            )
        })
    }

    /// The router refused the request at this place.
    pub fn refused(&mut self, at: usize, error: SubscribeError) {
        let reason = match error {
            SubscribeError::FiltersFull(_) => reason::QUOTA_EXCEEDED,
            SubscribeError::Stopped => reason::IMPLEMENTATION_SPECIFIC_ERROR,
        };
        if let Some(code) = self.requests.get(at).and_then(|request| self.codes.get_mut(request.at)) {
            *code = reason;
        }
        self.why = Some(error.to_string());
    }
}

impl Session {
    pub(super) fn subscribe(&mut self, subscribe: &Subscribe<'_>) -> Result<(), Ending> {
        self.link.check_codes(subscribe.filters.iter().count())?;
        let mut call = SubscribeCall {
            packet_id: subscribe.packet_id,
            codes: Vec::new(),
            why: None,
            requests: Vec::new(),
            attach: false,
        };
        let subscription_id = subscribe.subscription_id.map(std::num::NonZeroU32::get);
        for (filter, options) in subscribe.filters.iter() {
            let code = match self.names_inbox(filter) {
                Some(true) => {
                    call.attach |= self.subscribe_inbox(options, subscription_id);
                    options.qos as u8
                }
                Some(false) => {
                    call.why = Some(self.why_not_their_inbox(filter));
                    reason::NOT_AUTHORIZED
                }
                None => match self.ordinary_request(filter, options, subscription_id, &mut call)? {
                    Ok(()) => options.qos as u8,
                    Err((reason, why)) => {
                        call.why = Some(why);
                        reason
                    }
                },
            };
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
        for request in call.requests {
            let refused = call
                .codes
                .get(request.at)
                .is_none_or(|code| *code >= reason::UNSPECIFIED_ERROR);
            if refused {
                continue;
            }
            self.subscriptions.remove(request.subscription.filter.as_str());
            self.subscriptions.all.push(request.subscription);
        }
        #[cfg(feature = "testing")]
        if inbox_types::fault!(MailBeforeSuback) && call.attach {
            self.attach();
            self.send_waiting(self.shared.hub.now());
        }
        let why = call
            .why
            .as_deref()
            .and_then(|why| self.link.reason_string(why, call.codes.len()));
        encode::suback(&mut self.out, self.link.version, call.packet_id, &call.codes, why);
        if call.attach {
            self.attach();
        }
    }

    pub(super) fn unsubscribe(&mut self, unsubscribe: &Unsubscribe<'_>) -> Result<(), Ending> {
        self.link.check_codes(unsubscribe.filters.iter().count())?;
        let mut codes = Vec::new();
        for filter in unsubscribe.filters.iter() {
            let existed = match self.names_inbox(filter) {
                Some(true) => self.unsubscribe_inbox(),
                _ => match self.subscriptions.remove(filter) {
                    Some(subscription) => {
                        self.calls.push_back(RouterCall::Unsubscribe(subscription.number));
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
        encode::unsuback(&mut self.out, self.link.version, unsubscribe.packet_id, &codes);
        Ok(())
    }

    /// Reads the own inbox from the start, but for what this connection has in flight: that is not sent again (contract rule 4,
    /// MQTT-4.4.0-1), also when the client unsubscribed in between.
    pub(super) fn attach(&mut self) {
        self.tell_acknowledged();
        // What an earlier attachment left here is void.
        self.outbox.forget_mail();
        let window = self.link.receive_maximum.min(self.shared.mqtt.in_flight_max);
        let port: std::sync::Arc<dyn Port> = self.outbox.clone();
        let in_flight = self.mail_over_this_connection();
        if let Some(inbox) = self.inbox.as_mut() {
            self.outgoing.mail_starts_over();
            let attachment = self.shared.hub.attach_again(&self.id, port, window, &in_flight);
            inbox.attachment = Some(attachment);
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

    /// Whether `filter` names an inbox: the own one, or another's. `None`: it is ordinary.
    fn names_inbox(&self, filter: &str) -> Option<bool> {
        // A shared subscription to an inbox names that inbox, too: it would be a way to read another's. A broken one names nothing.
        let unshared = filter
            .strip_prefix("$share/")
            .and_then(|shared| shared.split_once('/'))
            .filter(|(share, _)| !share.is_empty() && !share.contains(['+', '#']))
            .map(|(_, filter)| filter);
        let name = self.shared.names.inbox_name(unshared.unwrap_or(filter))?;
        Some(unshared.is_none() && (name == self.id.as_str() || inbox_types::fault!(ReadAnothers)))
    }

    /// The options hold from the next delivery on. Tells whether the inbox must be read from the start: not if this connection reads it
    /// already (contract rule 4), unless there may be messages that it was not sent because of No Local and wants now.
    fn subscribe_inbox(&mut self, options: SubscriptionOptions, subscription_id: Option<u32>) -> bool {
        let earlier = self.inbox.as_ref();
        let wants_own_now = earlier.is_some_and(|earlier| earlier.no_local) && !options.no_local;
        let attachment = earlier.and_then(|inbox| inbox.attachment);
        self.inbox = Some(InboxSubscription {
            qos: options.qos,
            no_local: options.no_local,
            subscription_id,
            attachment,
        });
        attachment.is_none() || wants_own_now || inbox_types::fault!(ResendOnSubscribe)
    }

    fn unsubscribe_inbox(&mut self) -> bool {
        match self.inbox.take() {
            Some(InboxSubscription {
                attachment: Some(attachment),
                ..
            }) => {
                self.shared.hub.detach(&self.id, attachment);
                true
            }
            was => was.is_some(),
        }
    }

    fn why_not_their_inbox(&self, filter: &str) -> String {
        // A filter may be longer than a reason string.
        let filter: String = filter.chars().take(QUOTED_CHARS_MAX).collect();
        match &self.inbox_topic {
            Some(own) => format!(
                "{filter:?} is an inbox: only the client with that ID may subscribe to it, and not as a shared subscription; \
                 yours is {own:?}"
            ),
            None => format!(
                "{filter:?} is an inbox: only the client with that ID may subscribe to it. A client ID with / + # or a leading $ \
                 has none"
            ),
        }
    }

    /// Adds to `call` the request for an ordinary filter, or says why not.
    fn ordinary_request(
        &mut self,
        text: &str,
        options: SubscriptionOptions,
        subscription_id: Option<u32>,
        call: &mut SubscribeCall,
    ) -> Result<Result<(), (u8, String)>, Ending> {
        let filter = match TopicFilter::parse(text) {
            Ok(filter) => filter,
            Err(error) => return Ok(Err((reason::TOPIC_FILTER_INVALID, error.to_string()))),
        };
        if filter.share_group().is_some() && options.no_local {
            return Err(Ending::closed(
                reason::PROTOCOL_ERROR,
                "no local is set on a shared subscription (MQTT-3.8.3-4)",
            ));
        }
        let topics = filter.filter();
        if topics.starts_with('$') && topics != "$SYS" && !topics.starts_with("$SYS/") {
            let why = "of the topics that begin with $ only $SYS/… can be subscribed to, and $share/NAME/FILTER is a shared \
                       subscription (MQTT-4.7.2-1)";
            return Ok(Err((reason::TOPIC_FILTER_INVALID, why.into())));
        }
        let earlier_here = call
            .requests
            .iter()
            .map(|request| &request.subscription)
            .find(|other| other.filter == filter);
        let earlier = earlier_here
            .or(self.subscriptions.by_filter(text))
            .map(|earlier| earlier.number);
        let max = self.shared.mqtt.subscriptions_per_session_max;
        if earlier.is_none() && self.subscriptions.all.len() + call.requests.len() >= max {
            return Ok(Err((
                reason::QUOTA_EXCEEDED,
                format!("a session holds at most {max} subscriptions; unsubscribe from some"),
            )));
        }
        let send_retained = match options.retain_handling {
            RetainHandling::Send => true,
            RetainHandling::SendIfNew => earlier.is_none(),
            RetainHandling::DoNotSend => false,
        };
        let number = self.subscriptions.number(earlier, options.qos);
        call.requests.push(Request {
            at: call.codes.len(),
            subscription: Subscription {
                number,
                filter,
                options,
                subscription_id,
            },
            send_retained,
        });
        Ok(Ok(()))
    }
}
