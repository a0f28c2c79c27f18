//! What is sent to the client, and its answers to it.

use std::cell::Cell;
use std::mem;

use inbox_types::{Age, Delivery, Message, NOTICE_FROM, Now, Qos};

use super::fitting::{publish_out, write_fitting};
use super::in_flight::{Ordinary, What};
use super::own_user::{OwnUser, Texts};
use super::packet_ids::of_place;
use super::subscriptions::{Subscription, sent_with};
use super::{OUT_BYTES_MAX, Session};
use mqtt_codec::{AckKind, PacketId, PublishOut, Version, reason};

/// Most messages taken from the outbox at once.
const TAKE_MAX: usize = 64;

impl Session {
    /// How many more messages with QoS 1 or 2 the client takes now (MQTT 5, section 4.9).
    pub(super) fn room(&self) -> usize {
        let window = self.link.receive_maximum.min(self.shared.mqtt.in_flight_max);
        let window = if inbox_types::fault!(IgnoreWindow) {
            u16::MAX
        } else {
            window
        };
        // What waits to be sent again is not outstanding, and has its identifier nevertheless.
        let identifiers = usize::from(self.keeping.ids.in_turn().len()).saturating_sub(self.outgoing.in_flight.len());
        // Ordinary messages are kept until the client has them, so their bytes count, too.
        let is_full = self.outgoing.ordinary_bytes() >= self.shared.mqtt.queue_bytes_max;
        let window = if is_full { 0 } else { usize::from(window) };
        let identifiers = identifiers.min(self.keeping.ids.left());
        window.saturating_sub(self.outgoing.outstanding).min(identifiers)
    }

    /// Whether the next piece of mail can be sent although the window is full: with QoS 0 (MQTT 5, section 4.9), or because the inbox
    /// starts over and it was sent before.
    fn mail_passes(&self) -> bool {
        !self.mail_has_to_wait() && self.next_mail_needs_no_place()
    }

    pub(super) fn next_mail_needs_no_place(&self) -> bool {
        let Some(inbox) = self.inbox.as_ref() else { return false };
        match inbox
            .attachment
            .and_then(|attachment| self.outbox.next_mail(attachment))
        {
            // What began with another QoS, over an earlier connection, goes on with that: it needs a place.
            Some((seq, qos)) => match self.outgoing.place(seq) {
                Some(holds_place) => holds_place,
                None => qos.min(inbox.qos) == Qos::AtMostOnce,
            },
            None => false,
        }
    }

    /// Whether anything can be sent although the window is full. What does not pass holds back what is behind it.
    pub(super) fn passes_full_window(&self) -> bool {
        self.outgoing.resend.is_empty() && (self.mail_passes() || self.outbox.next_ordinary_is_qos0())
    }

    /// Encodes what waits for the client, as far as it takes it.
    pub(super) fn send_waiting(&mut self, now: Now) {
        let age = self.shared.node.inboxes.age(now);
        // Whether mail has to wait is known from here on.
        self.paced(0, now.mono);
        while self.can_send() {
            let Some(packet_id) = self.outgoing.resend.pop_front() else {
                break;
            };
            self.send_again(packet_id, age);
        }
        while self.can_send() && self.outgoing.resend.is_empty() {
            let most = self.room().min(TAKE_MAX);
            if most == 0 {
                if self.mail_passes() {
                    self.send_mail_waiting(1, now, age);
                } else {
                    self.send_ordinary_waiting(1, age);
                }
                continue;
            }
            let sent = match mem::replace(&mut self.outgoing.ordinary_first, false) {
                true => match self.send_ordinary_waiting(most, age) {
                    0 => self.send_mail_waiting(most, now, age),
                    sent => sent,
                },
                false => match self.send_mail_waiting(most, now, age) {
                    0 => self.send_ordinary_waiting(most, age),
                    sent => {
                        self.outgoing.ordinary_first = true;
                        sent
                    }
                },
            };
            if sent == 0 {
                break;
            }
        }
    }

    /// Sends mail that waits, at most `most`. Gives how many were taken.
    fn send_mail_waiting(&mut self, most: usize, now: Now, age: Age) -> usize {
        let most = self.paced(most, now.mono);
        if most == 0 {
            return 0;
        }
        let mut mail = mem::take(&mut self.outgoing.mail);
        let lost = self.outbox.take_mail(most, OUT_BYTES_MAX, self.out.len(), &mut mail);
        if lost > 0 {
            self.shared.node.counters.qos0_undelivered.add(lost);
        }
        let taken = mail.len();
        self.spend(taken, now.mono);
        let is_timed = self.shared.node.timings.are_wanted(now.mono);
        for (attachment, delivery) in mail.drain(..) {
            if self
                .inbox
                .as_ref()
                .is_some_and(|inbox| inbox.attachment == Some(attachment))
            {
                if is_timed {
                    self.stopwatch.delivers(&delivery, &self.shared.node, now);
                }
                self.send_mail(&delivery, age);
            }
        }
        self.outgoing.mail = mail;
        taken
    }

    fn send_again(&mut self, packet_id: PacketId, age: Age) {
        let Some(sent) = self.outgoing.get_mut(packet_id) else {
            return;
        };
        sent.over_this_connection = true;
        let (awaits, what) = (sent.awaits, sent.what.clone());
        self.outgoing.outstanding += 1;
        match what {
            // That follows when the journal has it.
            What::Taken(_) => return,
            _ if awaits == AckKind::PubComp => self.write_pubrel(packet_id, reason::SUCCESS),
            What::Ordinary(ordinary) => {
                if !self.write_ordinary(&ordinary, Some(packet_id), true, age) {
                    self.outgoing.remove(packet_id);
                    return self.give_up(ordinary.kept, ordinary.qos == Qos::ExactlyOnce);
                }
            }
            What::Mail(_) | What::Released(_) => {}
        }
        self.note_encoded(packet_id);
    }

    fn send_mail(&mut self, delivery: &Delivery, age: Age) {
        let Some(inbox) = self.inbox.as_ref() else { return };
        let stored = delivery.message.qos != Qos::AtMostOnce;
        if inbox.no_local && delivery.message.from == self.id {
            // It stays in the inbox, for a subscription that wants it (MQTT-3.8.3-3).
            return self.shared.node.inboxes.skip(&self.id, delivery.seq);
        }
        let granted = inbox.qos.min(delivery.message.qos);
        let repeated = self.outgoing.repeated(delivery.seq);
        let (qos, packet_id) = match repeated {
            // Released: the client has it, and is sent PUBREL.
            Some((_, AckKind::PubComp)) => return,
            Some((packet_id, AckKind::PubAck)) => (Qos::AtLeastOnce, Some(packet_id)),
            Some((packet_id, _)) => (Qos::ExactlyOnce, Some(packet_id)),
            None if granted == Qos::AtMostOnce => (granted, None),
            None => (granted, Some(self.free_id())),
        };
        let dup = delivery.dup || repeated.is_some();
        if !self.write_mail(delivery, qos, packet_id, dup, age) {
            tracing::warn!(client = %self.id, seq = %delivery.seq, "a message is larger than its reader's Maximum Packet Size; it stays in the inbox");
            self.shared.metrics.too_large_for_reader.add(1);
            if let Some((packet_id, _)) = repeated {
                self.outgoing.remove(packet_id);
            }
            return self.shared.node.inboxes.skip(&self.id, delivery.seq);
        }
        if let Some(packet_id) = packet_id {
            self.note_encoded(packet_id);
        }
        match packet_id {
            Some(packet_id) if repeated.is_none() => self.outgoing.push(packet_id, What::Mail(delivery.seq), qos),
            None if stored => {
                let end = self.bytes_written + self.out.len() as u64;
                self.settle_when_written.push_back((end, delivery.seq));
            }
            _ => {}
        }
    }

    /// Encodes a message from the inbox. Tells whether it fits the client's Maximum Packet Size.
    fn write_mail(&mut self, delivery: &Delivery, qos: Qos, packet_id: Option<PacketId>, dup: bool, age: Age) -> bool {
        let Some(topic) = self.inbox_topic.as_deref() else {
            return true;
        };
        let message: &Message = &delivery.message;
        let mut texts = Texts::default();
        let prev = self.inbox.as_ref().and_then(|inbox| inbox.prev);
        let own_user =
            (self.link.version == Version::V5).then(|| OwnUser::of(delivery, prev, self.shared.node.epoch, &mut texts));
        let own_user = own_user.as_ref();
        let subscription_id = self.inbox.as_ref().and_then(|inbox| inbox.subscription_id);
        let publish = PublishOut {
            own_user: own_user.map_or(&[], OwnUser::all),
            subscription_ids: subscription_id.as_slice(),
            message_expiry: message.expiry.seconds_left(age),
            ..publish_out(
                message.properties.as_deref(),
                dup,
                qos,
                // Never on mail of a client, so that no client can forge a notice (contract rule 3).
                message.from == *NOTICE_FROM,
                packet_id,
                &message.payload,
            )
        };
        // What a reader can do without makes no message too large for it.
        let necessary = || own_user.and_then(OwnUser::necessary);
        let shorter = |own_user| PublishOut { own_user, ..publish };
        let fits = write_fitting(&mut self.out, &mut self.link, topic, publish)
            || necessary().is_some_and(|own| write_fitting(&mut self.out, &mut self.link, topic, shorter(own)));
        if fits {
            self.stopwatch.sent(message.payload.len());
            if let Some(inbox) = self.inbox.as_mut() {
                let stays = inbox_types::fault!(WrongPrev).then_some(inbox.prev).flatten();
                inbox.prev = stays.or(Some(delivery.seq));
            }
        }
        fits
    }

    /// Sends ordinary messages that wait, at most `most`. Gives how many were taken.
    fn send_ordinary_waiting(&mut self, most: usize, age: Age) -> usize {
        let mut waiting = mem::take(&mut self.outgoing.ordinary);
        let first = Cell::new(None);
        let may_be_sent = |delivery: &pubsub::OrdinaryDelivery| {
            delivery.message.qos != Qos::ExactlyOnce || self.may_be_sent(delivery, &first)
        };
        let lost = self
            .outbox
            .take_ordinary(most, OUT_BYTES_MAX, may_be_sent, &mut waiting);
        if lost > 0 {
            self.shared.metrics.ordinary_overflowed.add(lost);
            tracing::warn!(client = %self.id, messages = lost, "ordinary messages were dropped: the client is slower than its subscriptions");
        }
        let taken = waiting.len();
        for delivery in waiting.drain(..) {
            self.send_ordinary(&delivery, age);
        }
        self.outgoing.ordinary = waiting;
        taken
    }

    fn send_ordinary(&mut self, delivery: &pubsub::OrdinaryDelivery, age: Age) {
        let message = &delivery.message;
        let is_void = |subscription: &Subscription| {
            message.is_expired(age) || (subscription.options().no_local && message.from == self.id)
        };
        let was_sent = self.keeping.may_have_been_sent(delivery.kept);
        // Whatever its subscription had then.
        let may_be_begun = was_sent && message.qos == Qos::ExactlyOnce;
        let subscription = self.subscriptions.get(delivery.subscription);
        let Some(subscription) = subscription.filter(|subscription| !is_void(subscription)) else {
            return self.give_up(delivery.kept, may_be_begun);
        };
        let dup = was_sent && !inbox_types::fault!(NoDupAfterRestart);
        let ordinary = as_subscribed(subscription, delivery, was_sent);
        if ordinary.qos == Qos::AtMostOnce {
            self.write_ordinary(&ordinary, None, false, age);
            return self.kept_no_more(delivery.kept);
        }
        let packet_id = match ordinary.kept.filter(|_| ordinary.qos == Qos::ExactlyOnce) {
            Some(place) if !(was_sent && inbox_types::fault!(NewPacketId)) => of_place(place),
            _ => self.free_id(),
        };
        if self.write_ordinary(&ordinary, Some(packet_id), dup, age) {
            let qos = ordinary.qos;
            self.note_encoded(packet_id);
            if inbox_types::fault!(ForgetWhenSent) {
                self.kept_no_more(ordinary.kept);
            }
            self.outgoing.push(packet_id, What::Ordinary(ordinary), qos);
        } else {
            self.give_up(delivery.kept, may_be_begun);
        }
    }

    /// Encodes an ordinary message. What does not fit the client's Maximum Packet Size is not sent (MQTT-3.1.2-25).
    fn write_ordinary(&mut self, ordinary: &Ordinary, packet_id: Option<PacketId>, dup: bool, age: Age) -> bool {
        let message = &ordinary.message;
        let publish = PublishOut {
            subscription_ids: ordinary.subscription_id.as_slice(),
            message_expiry: message.expiry.and_then(|expiry| expiry.seconds_left(age)),
            ..publish_out(
                message.properties.as_deref(),
                dup,
                ordinary.qos,
                ordinary.retain,
                packet_id,
                &message.payload,
            )
        };
        let fits = write_fitting(&mut self.out, &mut self.link, &message.topic, publish);
        match fits {
            true => self.stopwatch.sent(message.payload.len()),
            false => self.shared.metrics.too_large_for_reader.add(1),
        }
        fits
    }
}

/// What was begun with QoS 2 before the broker ended goes on with that.
fn as_subscribed(subscription: &Subscription, delivery: &pubsub::OrdinaryDelivery, was_sent: bool) -> Ordinary {
    let message = &delivery.message;
    let goes_on = was_sent && sent_with(delivery) == Qos::ExactlyOnce;
    Ordinary {
        message: message.clone(),
        subscription: subscription.number,
        qos: match goes_on {
            true => Qos::ExactlyOnce,
            false => subscription.options().qos.min(message.qos),
        },
        // MQTT-3.3.1-8, -9, -12, -13.
        retain: delivery.retained || (message.retain && subscription.options().retain_as_published),
        subscription_id: subscription.subscription_id(),
        kept: delivery.kept,
    }
}
