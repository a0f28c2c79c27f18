//! One connection, from its beginning to its end.

use std::pin::pin;
use std::time::{Duration, Instant};

use tokio::time::sleep_until;

use super::{Driver, End};
use crate::arrivals::{PacketRef, Verdict};
use crate::connection::{self, Broker, Failed, Happened, Outgoing, Unpublished, Writer};
use crate::error::{Lost, LostWhy, StopReason};
use crate::heartbeat::Beat;
use crate::message::Receipts;
use crate::outbox::{Destination, Record};
use crate::shared::{Command, now_us};
use crate::undelivered::{Refusal, Refused, Undelivered};

/// How long a goodbye may take, until the broker closes the connection.
const GOODBYE: Duration = Duration::from_secs(2);
/// Looks are no rarer than this, whatever is due.
const LOOK_AFTER: Duration = Duration::from_secs(60);

/// Where a connection is.
pub(super) struct Link {
    pub(super) writer: Writer,
    /// What the broker said of itself; `None` before CONNACK.
    broker: Option<Broker>,
    /// The own inbox is read, and messages may be published.
    is_ready: bool,
    /// The longest interval of the heartbeat that was agreed.
    keep_alive: Duration,
    goodbye_by: Option<Instant>,
    /// There is no use in reading on.
    pub(super) ended: Option<Lost>,
}

impl Link {
    pub(super) fn is_inboxd(&self) -> bool {
        self.broker.as_ref().is_some_and(|broker| broker.epoch.is_some())
    }
}

impl Driver {
    /// Connects, and drives the connection to its end.
    pub(super) async fn connect(&mut self) -> End {
        self.settings.keep_alive = self.heartbeat.keep_alive();
        let (writer, mut reader) = connection::open(&self.settings);
        let mut link = Link {
            writer,
            broker: None,
            is_ready: false,
            keep_alive: self.settings.keep_alive,
            goodbye_by: None,
            ended: None,
        };
        loop {
            reader.take_beside(&mut link.writer);
            let happened = {
                let mut next = pin!(reader.next());
                loop {
                    // First: what was acknowledged is told before anything that builds on it.
                    while let Ok(command) = self.commands.try_recv() {
                        if let Some(end) = self.obey(&mut link, command) {
                            return end;
                        }
                    }
                    let look_at = match self.look(&mut link) {
                        Ok(look_at) => look_at,
                        Err(end) => return end,
                    };
                    // Only what is idle may be interrupted: see `connection`.
                    if link.writer.wants_beside() && link.writer.is_idle() {
                        break None;
                    }
                    tokio::select! {
                        happened = &mut next => break Some(happened),
                        command = self.commands.recv() => {
                            let command = command.unwrap_or(Command::Abandon);
                            if let Some(end) = self.obey(&mut link, command) {
                                return end;
                            }
                        }
                        () = self.shared.wake.notified() => {}
                        () = sleep_until(look_at.into()) => {}
                    }
                }
            };
            let end = match happened {
                None => continue,
                Some(Ok(happened)) => self.happened(&mut link, happened),
                Some(Err(failed)) => {
                    for happened in reader.rest() {
                        if let Happened::Answered { .. } = &happened {
                            self.happened(&mut link, happened);
                        }
                    }
                    Some(match failed {
                        Failed::Stopped(reason) => End::Stopped(reason),
                        Failed::Lost(lost) => End::Lost(lost),
                    })
                }
            };
            if let Some(end) = end.or_else(|| link.ended.take().map(End::Lost)) {
                let is_goodbye = link.goodbye_by.is_some();
                return if is_goodbye { End::Closed } else { end };
            }
        }
    }

    fn obey(&mut self, link: &mut Link, command: Command) -> Option<End> {
        match command {
            Command::Answer { packet, verdict } => self.answer(link, packet, verdict),
            Command::Close if link.is_ready => {
                link.writer.say_goodbye();
                link.goodbye_by = Some(Instant::now() + GOODBYE);
            }
            Command::Close | Command::Abandon => return Some(End::Closed),
        }
        None
    }

    /// Does what is due, and says when to look again.
    fn look(&mut self, link: &mut Link) -> Result<Instant, End> {
        let now = Instant::now();
        let mut look_at = now + LOOK_AFTER;
        if let Some(by) = link.goodbye_by {
            look_at = look_at.min(by);
            if now >= by {
                return Err(End::Closed);
            }
        }
        look_at = self.shared.tick(now).map_or(look_at, |tick| look_at.min(tick));
        if link.is_ready && link.goodbye_by.is_none() {
            self.publish(link);
        }
        if link.broker.is_some() {
            match self.heartbeat.due(now, link.keep_alive) {
                Beat::Wait(at) => look_at = look_at.min(at),
                Beat::Ask => {
                    link.writer.ask();
                    self.heartbeat.asking(now);
                }
                Beat::Dead => {
                    return Err(End::Lost(Lost {
                        why: LostWhy::Silent,
                        told: None,
                    }));
                }
            }
        }
        Ok(look_at)
    }

    fn happened(&mut self, link: &mut Link, happened: Happened) -> Option<End> {
        let now = Instant::now();
        match &happened {
            Happened::Written(_) | Happened::Wrote | Happened::Asked | Happened::SaidGoodbye => {
                self.heartbeat.sent(now);
            }
            Happened::Connected(_) => self.heartbeat.connected(now),
            Happened::Subscribed(_) | Happened::Answered { .. } | Happened::Delivered(_) | Happened::Heard => {
                self.heartbeat.heard(now);
            }
            Happened::Postponed => {}
        }
        match happened {
            Happened::Connected(broker) => {
                self.connected(broker.epoch.as_deref());
                link.writer.allow(&broker);
                link.keep_alive = match broker.keep_alive {
                    // It never asks for a sign of life.
                    Some(Duration::ZERO) => Duration::MAX,
                    granted => granted.unwrap_or(link.keep_alive),
                };
                link.broker = Some(broker);
                link.writer.subscribe(&self.shared.options.own_topic());
            }
            Happened::Subscribed(false) => return Some(End::Stopped(StopReason::InboxRefused)),
            Happened::Subscribed(true) => {
                link.is_ready = true;
                self.subscribed(link.is_inboxd());
            }
            Happened::Written(packet_id) => link.writer.written(packet_id),
            Happened::Wrote => link.writer.wrote(),
            Happened::Asked => link.writer.asked(),
            Happened::Answered { packet_id, reply } => {
                if let Some(order) = link.writer.answered(packet_id) {
                    self.shared.answered(order, reply, link.is_inboxd());
                }
            }
            Happened::Delivered(incoming) => self.delivered(link, incoming),
            Happened::Postponed => link.writer.postponed(),
            Happened::Heard => {}
            // The broker closes the connection when it has read everything, acknowledgements among it.
            Happened::SaidGoodbye => link.writer.wrote(),
        }
        None
    }

    pub(super) fn answer(&mut self, link: &mut Link, packet: PacketRef, verdict: Verdict) {
        // Of an earlier connection: the message comes again, and is answered then. Of QoS 0: nobody waits.
        if packet.connection != self.connection || packet.packet_id == 0 {
            return;
        }
        match verdict {
            Verdict::Acknowledged | Verdict::Read => link.writer.acknowledge(packet.packet_id),
            Verdict::Rejected => link.writer.reject(packet.packet_id),
        }
    }

    /// Publishes what may go.
    fn publish(&mut self, link: &mut Link) {
        let most = if self.one_at_a_time { 1 } else { usize::MAX };
        while link.writer.has_room(most) {
            let mut state = self.shared.lock();
            let Some((order, record, payload)) = state.outbox.next() else {
                return;
            };
            let is_again = state.outbox.was_refused(&record.to.queue());
            drop(state);
            let lives_s = record.lives_s(now_us());
            if lives_s == Some(0) {
                self.shared.failed(order, Undelivered::Expired);
                continue;
            }
            let mut outgoing = self.outgoing(&record, link.is_inboxd(), is_again);
            (outgoing.payload, outgoing.expiry_s) = (payload, lives_s);
            match link.writer.publish(order, outgoing) {
                Ok(()) => {}
                Err(Unpublished::TooLarge) => {
                    let (reason, told) = (Refusal::TooLarge, None);
                    self.shared.failed(order, Refused { reason, told }.into());
                }
                Err(Unpublished::Ended) => return self.shared.lock().outbox.put_back(order),
            }
        }
    }

    /// A message as it is published, but for what changes with time (docs/protocol.md).
    fn outgoing(&self, record: &Record, is_inboxd: bool, is_again: bool) -> Outgoing {
        let options = &self.shared.options;
        let mut outgoing = Outgoing {
            content_type: record.content_type.clone(),
            is_text: record
                .content_type
                .as_deref()
                .is_some_and(|what| what.starts_with("text/")),
            ..Outgoing::default()
        };
        let properties = &mut outgoing.user_properties;
        let mut add = |name: &str, value: &str| properties.push((name.to_owned(), value.to_owned()));
        match &record.to {
            Destination::Request(topic) | Destination::About { topic, .. } => outgoing.topic = topic.clone(),
            Destination::Inbox(name) => {
                outgoing.topic = format!("{}{name}", options.inbox_prefix);
                add("id", &record.id);
                if is_inboxd && record.receipts != Receipts::NONE {
                    add("receipt", receipts(record.receipts));
                    outgoing.response_topic = Some(options.own_topic());
                }
                if let Some(key) = &record.collapse {
                    add("collapse", key);
                }
                if is_inboxd && is_again {
                    add("notify-space", "1");
                }
            }
        }
        outgoing.user_properties.extend(record.properties.iter().cloned());
        outgoing
    }
}

fn receipts(asked: Receipts) -> &'static str {
    match (asked.delivered, asked.read) {
        (true, true) => "delivered,read",
        (false, true) => "read",
        _ => "delivered",
    }
}
