//! What the broker may send to a reader: which message, when, in which order and with which properties
//! (contract rules 1, 4 and 7).

use super::{Attachment, Check, InFlight, Link, Oracle};
use crate::sim::client::mail_of;
use crate::sim::users::Bearer;
use crate::{Publish, Version, property};

impl Oracle {
    pub(super) fn publish(&mut self, at: usize, publish: &Publish, names: &[String], now: u64) -> Check {
        let Some(link) = self.links.get_mut(&at) else {
            return Ok(());
        };
        let client = link.client;
        if publish.topic != names[client] {
            return Err(format!(
                "c{client} got a message on {:?}, to which it never subscribed",
                publish.topic
            ));
        }
        let cursor = link.attachment.as_ref().map_or(0, |attachment| attachment.cursor);
        let notice = self.notices.find(client, &publish.payload, cursor, &self.ledger);
        let is_brokers = |at: usize| self.ledger.get(at).from == usize::MAX;
        let notice = notice.filter(|notice| publish.retain == is_brokers(*notice));
        let Some(mail_at) = notice.or_else(|| mail_of(&publish.payload)) else {
            return Err("a payload came that nobody sent".into());
        };
        let mail = self.ledger.get(mail_at);
        if mail.to != client {
            return Err(format!("rule 1: m{mail_at} is for c{}, and c{client} got it", mail.to));
        }
        let Some(attachment) = link.attachment.as_mut() else {
            return Err(format!("rule 4: m{mail_at} came before SUBACK, or after UNSUBACK"));
        };
        let Some(seq) = mail.seq else {
            return Err(format!("m{mail_at} was never accepted"));
        };
        // What is sent again under the same identifier keeps its QoS, though the subscription has another now.
        let in_flight = self.sessions[client].in_flight.get(&publish.packet_id);
        let again = in_flight.filter(|in_flight| publish.qos > 0 && in_flight.mail == mail_at);
        let is_here = |in_flight: &InFlight| in_flight.mail == mail_at && in_flight.link == at;
        let settles = link
            .settling
            .iter()
            .chain(&link.unwritten)
            .any(|(_, mail)| *mail == mail_at);
        if settles || self.sessions[client].in_flight.values().any(is_here) {
            return Err(format!(
                "rule 4: m{mail_at} is in flight on this connection, and was sent again (MQTT-4.4.0-1)"
            ));
        }
        let qos = again.map_or(mail.qos.min(attachment.qos), |in_flight| in_flight.qos);
        if publish.qos != qos || publish.retain != notice.is_some_and(is_brokers) {
            return Err(format!(
                "m{mail_at} came with QoS {} or RETAIN (rule 1, MQTT-3.8.4-8)",
                publish.qos
            ));
        }
        if seq <= attachment.cursor {
            return Err(format!(
                "rule 4: m{mail_at} came out of order, or again without a reason"
            ));
        }
        if publish.qos > 0 && mail.sent > 0 && !publish.dup {
            return Err(format!("rule 4: m{mail_at} was sent before, and DUP is not set"));
        }
        if link.version == Version::V5 {
            let is_marked = publish.props.user("$inboxd") == Some("edit");
            let own_id = mail.amends.as_ref().filter(|_| !is_marked).or(mail.id.as_ref());
            let of_will = publish
                .props
                .user("id")
                .filter(|id| mail.is_will && id.starts_with("will-"));
            let made = || of_will.map_or_else(|| format!("{seq:016x}"), str::to_owned);
            let expected_id = own_id.cloned().unwrap_or_else(made);
            if is_marked && publish.props.user("edit-of") != mail.amends.as_deref() {
                return Err(format!("rule 12: m{mail_at} is said to be an edit of another message"));
            }
            let expected = [
                ("id", expected_id),
                ("seq", seq.to_string()),
                (
                    "from",
                    names.get(mail.from).cloned().unwrap_or_else(|| "$inboxd".into()),
                ),
            ];
            for (name, expected) in expected {
                let said: Vec<_> = publish
                    .props
                    .users()
                    .into_iter()
                    .filter(|(theirs, _)| *theirs == name)
                    .collect();
                if said != [(name, expected.as_str())] {
                    return Err(format!("rule 7: m{mail_at} says {said:?}, not {name} = {expected}"));
                }
            }
            let prev = (cursor > 0).then(|| cursor.to_string());
            let said: Vec<_> = publish
                .props
                .users()
                .into_iter()
                .filter(|(name, _)| *name == "prev")
                .collect();
            if said != prev.iter().map(|prev| ("prev", prev.as_str())).collect::<Vec<_>>() {
                return Err(format!(
                    "rule 6: m{mail_at} says {said:?}, and {prev:?} was delivered before it"
                ));
            }
            let user = mail.bearer.and_then(Bearer::told_user);
            let said: Vec<_> = publish
                .props
                .users()
                .into_iter()
                .filter(|(name, _)| *name == "user")
                .collect();
            if self.access.is_some() && said != user.map(|user| ("user", user)).into_iter().collect::<Vec<_>>() {
                return Err(format!("rule 7: m{mail_at} says {said:?}, not user = {user:?}"));
            }
            let told = publish.props.number(property::MESSAGE_EXPIRY);
            let (least, most) = mail.expiry_left(now, self.skew);
            if told < least || told > most {
                return Err(format!(
                    "rule 5: m{mail_at} says that {told:?} s are left, and not between {least:?} and {most:?}"
                ));
            }
        }
        let (since, dropped) = (attachment.since, attachment.dropped);
        if link.version == Version::V5 && mail.amends.is_some() {
            self.is_in_form(mail_at, publish.props.user("$inboxd") == Some("edit"))?;
        }
        let Some(link) = self.links.get(&at) else { return Ok(()) };
        if link.version == Version::V5 {
            self.check_dropped(client, dropped, publish)?;
        }
        self.ledger.may_be_sent(mail_at, since)?;
        self.check_skipped(at, seq)?;
        self.check_rate(at)?;
        self.deliveries += 1;
        self.notices.delivered(mail_at);
        self.receipts.seen(client, seq);
        let Some(link) = self.links.get_mut(&at) else {
            return Ok(());
        };
        if let Some(attachment) = link.attachment.as_mut() {
            attachment.cursor = seq;
        }
        let mail = self.ledger.get_mut(mail_at);
        self.repeats += u64::from(mail.sent > 0);
        mail.sent += 1;
        mail.being_written = false;
        if publish.qos == 0 {
            if mail.qos > 0 {
                mail.being_written = true;
                link.unwritten.push_back((link.encoded, mail_at));
            }
            return Ok(());
        }
        let session = &mut self.sessions[client];
        let earlier = session.in_flight.insert(
            publish.packet_id,
            InFlight {
                mail: mail_at,
                qos,
                released: false,
                link: at,
            },
        );
        if earlier.is_some_and(|earlier| earlier.link == at && earlier.mail != mail_at) {
            return Err(format!(
                "packet identifier {} is in use (MQTT-2.2.1-3)",
                publish.packet_id
            ));
        }
        let open = session
            .in_flight
            .values()
            .filter(|in_flight| in_flight.link == at)
            .count();
        if open > link.window {
            return Err(format!(
                "{open} messages are unacknowledged, and the window is {} (section 4.9)",
                link.window
            ));
        }
        Ok(())
    }

    /// Nothing that must be in the inbox is passed over by a reader that goes on at `seq`.
    pub(super) fn check_skipped(&self, at: usize, seq: u64) -> Check {
        let Some(link) = self.links.get(&at) else { return Ok(()) };
        let Some(attachment) = link.attachment.as_ref() else {
            return Ok(());
        };
        for mail in self.ledger.between(link.client, attachment.cursor, seq) {
            if self.ledger.must_be_there(mail) && !self.is_exempt(at, link, attachment, mail) {
                return Err(format!("rule 4: m{mail} is left out of what c{} reads", link.client));
            }
        }
        Ok(())
    }

    /// It is not to be sent to this reader: its own, with No Local, or one that this connection has already.
    fn is_exempt(&self, at: usize, link: &Link, attachment: &Attachment, mail: usize) -> bool {
        let own = attachment.no_local && self.ledger.get(mail).from == link.client;
        let in_flight = &self.sessions[link.client].in_flight;
        own || in_flight
            .values()
            .any(|in_flight| in_flight.mail == mail && (in_flight.released || in_flight.link == at))
    }
}
