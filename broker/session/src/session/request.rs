//! What a client asks of the broker: about its own inbox, and what it sent to others, by publishing to `$inbox/…`; and as an operator, by
//! publishing to `$SYS/inboxd/api/…`, which is handed on ([`Operators`]).
//!
//! A request about the own inbox with QoS 1 or 2 is acknowledged when what it changes is durable; then it is answered, if it names a response topic to which
//! the client may publish.

use std::sync::Arc;

use access::{Action, Denied, ListKind, ListRefused, Recipients};
use bytes::Bytes;
use inbox_types::{ClientId, MemoryBudget, Now, Properties, Qos, Refusal, Ticket};
use intake::{Destination, Publication, Shut, Taken};

use super::amending::Change;
use super::incoming::Answer;
use super::operators::{NotAsked, OPERATORS_TOPICS, OperatorsRequest, Reply, is_operators_request};
use super::subject::Subject;
use super::{Ending, RouterCall, Session, Shared};
use crate::NotPublished;
use crate::marks::{self, MarksRefused};
use mqtt_codec::Publish;

/// The topics of requests.
const BLOCK: &str = "$inbox/block";
const ALLOW: &str = "$inbox/allow";
const READ: &str = "$inbox/read";
const RECEIPTS: &str = "$inbox/receipts";
const RECALL: &str = "$inbox/recall";
const EDIT: &str = "$inbox/edit";

/// Whether what is published to `topic` asks for something about the own inbox.
pub fn is_request(topic: &str) -> bool {
    about_inbox(topic).is_some()
}

/// What a publish asks for.
pub(super) enum Asked {
    /// A list of the own inbox.
    List(ListKind),
    /// That messages are noted as read.
    Marks,
    /// That their senders are told so, or not.
    Receipts,
    /// That a message which was sent is taken back, or replaced.
    Amendment(Change),
    /// Something that operators do.
    Operation,
}

/// What a publish to `topic` asks for, if it is a request.
#[inline]
pub(super) fn asked(destination: &Destination, topic: &str) -> Option<Asked> {
    match destination {
        Destination::Reserved if is_operators_request(topic) => Some(Asked::Operation),
        Destination::Reserved => about_inbox(topic),
        _ => None,
    }
}

fn about_inbox(topic: &str) -> Option<Asked> {
    match topic {
        BLOCK => Some(Asked::List(ListKind::Block)),
        ALLOW => Some(Asked::List(ListKind::Allow)),
        READ => Some(Asked::Marks),
        RECEIPTS => Some(Asked::Receipts),
        RECALL => Some(Asked::Amendment(Change::Recall)),
        EDIT => Some(Asked::Amendment(Change::Edit)),
        _ => None,
    }
}

impl Session {
    /// The client asks for something. `ticket` is that of its publish; with QoS 0 there is none.
    pub(super) fn request(
        &mut self,
        asked: Asked,
        publish: &Publish<'_>,
        topic: &str,
        ticket: Option<Ticket>,
        now: Now,
    ) -> Result<(), Ending> {
        match asked {
            Asked::List(kind) => self.edit(publish, topic, ticket, now, |recipients, owner, budget| {
                Ok(recipients.edit(owner, kind, publish.payload, budget)?)
            }),
            Asked::Receipts => self.edit(publish, topic, ticket, now, |recipients, owner, budget| {
                let tells = marks::tells_reading(publish.payload)?;
                Ok(recipients.tell_reading(owner, tells, budget)?)
            }),
            Asked::Marks => self.mark_read(publish, topic, ticket),
            Asked::Amendment(change) => self.amend(change, publish, topic, ticket, now),
            Asked::Operation => match self.hand_on(publish, topic) {
                Ok(()) => {
                    if let Some(ticket) = ticket {
                        self.incoming.settle(ticket, &Answer::Success);
                    }
                    self.flush_answers()
                }
                Err(why) => self.refuse_request(publish, topic, ticket, why),
            },
        }
    }

    /// Hands on what operators ask for, if the client is one.
    fn hand_on(&self, publish: &Publish<'_>, topic: &str) -> Result<(), NotPublished> {
        let Shared { access, operators, .. } = &*self.shared;
        access
            .decide(&self.identity, Action::Operate)
            .map_err(|denied| NotPublished::Shut(Shut::Denied(denied)))?;
        let reply = Reply::wanted(publish).ok_or(NotPublished::NoResponseTopic)?;
        let request = OperatorsRequest {
            who: self.identity.clone(),
            command: topic.strip_prefix(OPERATORS_TOPICS).unwrap_or_default().into(),
            parameters: Bytes::copy_from_slice(publish.payload),
            qos: publish.qos,
            reply,
        };
        operators.ask(request).map_err(|busy| match busy {
            NotAsked::Nobody => NotPublished::Shut(Shut::Denied(Denied::Reserved)),
            NotAsked::Busy => NotPublished::OperatorsBusy,
        })
    }

    /// What a refusal of this request would be about.
    pub(super) fn note_request(&mut self, publish: &Publish<'_>, topic: &str, ticket: Option<Ticket>) {
        if let Some(ticket) = ticket {
            self.incoming
                .note_subject(ticket, Subject::hashed(topic, publish.payload));
        }
    }

    pub(super) fn refuse_request(
        &mut self,
        publish: &Publish<'_>,
        topic: &str,
        ticket: Option<Ticket>,
        why: NotPublished,
    ) -> Result<(), Ending> {
        self.note_request(publish, topic, ticket);
        match ticket {
            Some(ticket) => {
                self.refuse(topic, ticket, why);
                self.send_notices();
            }
            None => self.refused(topic, &why),
        }
        self.flush_answers()
    }

    /// The application has read messages.
    fn mark_read(&mut self, publish: &Publish<'_>, topic: &str, ticket: Option<Ticket>) -> Result<(), Ending> {
        let marks = match self.inbox_topic {
            Some(_) => marks::marks(publish.payload),
            None => Err(MarksRefused::NoInbox),
        };
        let marks = match marks {
            Ok(marks) => marks,
            Err(why) => return self.refuse_request(publish, topic, ticket, why.into()),
        };
        let Shared { access, node, .. } = &*self.shared;
        if !access.recipients().tells_reading(&self.id) {
            if let Some(ticket) = ticket {
                self.incoming.settle(ticket, &Answer::Success);
            }
            return self.flush_answers();
        }
        let inboxes = node.inboxes.clone();
        // It is mostly about what was acknowledged just now.
        self.tell_acknowledged();
        let (port, ticket) = self.who_waits(ticket);
        inboxes.mark_read(&self.id, marks, &port, ticket);
        Ok(())
    }

    /// The client asks for a change of what is kept of it, or what that is.
    fn edit(
        &mut self,
        publish: &Publish<'_>,
        topic: &str,
        ticket: Option<Ticket>,
        now: Now,
        edit: impl FnOnce(&Recipients, &ClientId, &Arc<MemoryBudget>) -> Result<Option<Bytes>, NotPublished>,
    ) -> Result<(), Ending> {
        let kept = match self.change(edit) {
            Ok(kept) => kept,
            Err(why) => return self.refuse_request(publish, topic, ticket, why),
        };
        let reply = Reply::wanted(publish);
        let inboxes = self.shared.node.inboxes.clone();
        let (port, waits_for) = self.who_waits(ticket);
        inboxes.keep_senders(&self.id, kept, &port, waits_for);
        match (ticket, reply) {
            (Some(ticket), Some(reply)) => self.replies.push((ticket, reply)),
            (None, Some(reply)) => self.reply(reply, now),
            (_, None) => {}
        }
        Ok(())
    }

    fn change(
        &self,
        edit: impl FnOnce(&Recipients, &ClientId, &Arc<MemoryBudget>) -> Result<Option<Bytes>, NotPublished>,
    ) -> Result<Option<Bytes>, NotPublished> {
        let Shared { access, node, .. } = &*self.shared;
        if self.inbox_topic.is_none() {
            return Err(ListRefused::NoInbox.into());
        }
        if node.budgets.are_used_up() {
            node.counters.refused_memory_full.add(1);
            return Err(Refusal::MemoryFull.into());
        }
        let kept = edit(access.recipients(), &self.id, &node.budgets.all)?;
        // It waits for the disk, and with QoS 0 nothing bounds how many do.
        Ok(kept.map(|kept| node.budgets.all.payload(&kept)))
    }

    /// A publish has its outcome: if it was a request, it is answered.
    pub(super) fn reply_to(&mut self, ticket: Ticket, answer: &Answer) {
        let Some(at) = self.replies.iter().position(|(of, _)| *of == ticket) else {
            return;
        };
        let (_, reply) = self.replies.remove(at);
        if !answer.is_refusal() {
            self.reply(reply, self.shared.node.now());
        }
    }

    fn reply(&mut self, reply: Reply, now: Now) {
        let lists = self.shared.access.recipients().show(&self.id);
        // It is the client that has it published.
        if let Some(pace) = &mut self.pace {
            pace.published(lists.len(), now.mono);
        }
        let properties = Properties {
            content_type: Some("application/json".into()),
            correlation_data: reply.correlation_data,
            ..Properties::default()
        };
        let said = || Publication {
            qos: Qos::AtLeastOnce,
            retain: false,
            message_expiry: None,
            payload: lists,
            properties: Some(Box::new(properties)),
        };
        match self.shared.intake(now).take(&self.identity, &reply.topic, said) {
            Ok(Taken::Inbox(inbox, message)) => {
                self.shared.wrote(&self.identity, &inbox);
                let (port, ticket) = self.who_waits(None);
                let inboxes = &self.shared.node.inboxes;
                inboxes.publish(&inbox, &port, &mut vec![(message, ticket)], now);
            }
            Ok(Taken::Ordinary(message)) => self.calls.push_back(RouterCall::Publish(message, None)),
            Err(shut) => self.refused(&reply.topic, &shut.into()),
        }
    }
}
