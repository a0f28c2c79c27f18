//! What the broker delivers: mail for the application, and notices for the SDK itself.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tracing::{debug, trace, warn};

use super::Driver;
use super::link::Link;
use crate::arrivals::{Arrival, Key, Missing, PacketRef, Position, Verdict};
use crate::connection::Incoming;
use crate::delivery::{Delivery, DeliveryKind};
use crate::error::{Lost, LostWhy};
use crate::event::Event;
use crate::notice::Notice;
use crate::shared::Counter;

/// The sender of notices, as whom nobody can connect.
const BROKER: &str = "$inboxd";

/// What the broker says of a delivery.
#[derive(Debug, Default)]
struct Said {
    id: Option<String>,
    from: Option<String>,
    user: Option<String>,
    at_us: Option<u64>,
    position: Position,
    /// What kind of message of the broker's own, or of its making, it is.
    mark: Option<String>,
}

impl Driver {
    pub(super) fn delivered(&mut self, link: &mut Link, mut incoming: Incoming) {
        if link.ended.is_some() {
            return;
        }
        let packet = PacketRef {
            connection: self.connection,
            packet_id: incoming.packet_id,
        };
        let said = match link.is_inboxd() {
            true => Said::by_inboxd(&mut incoming.user_properties),
            // Whoever sent it could have said anything.
            false => Said {
                id: take(&mut incoming.user_properties, "id"),
                ..Said::default()
            },
        };
        trace!(?said, bytes = incoming.payload.len(), "delivered");
        let missing = self.shared.lock().arrivals.placed(said.position);
        missing.into_iter().for_each(|missing| self.tell_missing(missing));
        if said.from.as_deref() == Some(BROKER) {
            return self.notice(link, &said, &incoming, packet);
        }
        let key = match (&said.from, &said.id) {
            (Some(from), Some(id)) => Some(Key {
                from: from.clone(),
                id: said.recognised_by(id),
            }),
            _ => None,
        };
        let arrival = self.shared.lock().arrivals.arrived(key.clone(), packet);
        match arrival {
            Arrival::Repeat(verdict) => {
                debug!(id = said.id, "a repeat is answered as before");
                self.answer(link, packet, verdict);
                if let (Verdict::Read, Some(key)) = (verdict, key) {
                    self.read_again(&key);
                }
            }
            Arrival::Held => debug!(id = said.id, "a message comes again that the application has"),
            Arrival::New(ticket) => {
                let delivery = Delivery {
                    kind: said.kind(&mut incoming),
                    id: said.id.unwrap_or_default(),
                    seq: said.position.seq,
                    from: said.from.unwrap_or_default(),
                    user: said.user,
                    at_us: said.at_us,
                    payload: incoming.payload,
                    content_type: incoming.content_type,
                    properties: incoming.user_properties,
                    ticket,
                    desk: Arc::new(Counter(self.shared.clone())),
                    is_settled: AtomicBool::new(false),
                };
                // What does not fit is let go with its error, and nothing after it may overtake it.
                if self.mail.try_send(delivery).is_err() {
                    warn!("too many messages wait for the application; they come again on another connection");
                    link.ended = Some(Lost {
                        why: LostWhy::Overflow,
                        told: None,
                    });
                }
            }
        }
    }

    /// The broker itself says something. It is acknowledged when that is done.
    fn notice(&mut self, link: &mut Link, said: &Said, incoming: &Incoming, packet: PacketRef) {
        if said.mark.as_deref() == Some("receipt") {
            if let Notice::Receipts(receipts) = Notice::parse(&incoming.payload) {
                return self.shared.receipts(receipts, packet);
            }
        } else if incoming.retain {
            match Notice::parse(&incoming.payload) {
                Notice::Room { topic } => self.shared.room(&topic),
                other => debug!(?other, "a notice of the broker's"),
            }
        }
        self.answer(link, packet, Verdict::Acknowledged);
    }

    /// Reading counts only after the acknowledgement, which was lost.
    fn read_again(&self, key: &Key) {
        if let Err(why) = self.shared.mark_read(&key.from, &[&key.id]) {
            debug!(id = key.id, "that it was read is not told again: {why}");
        }
    }

    fn tell_missing(&self, missing: Missing) {
        match missing {
            Missing::Gap { after, prev } => {
                warn!(after, prev, "messages are missing in between");
                self.shared.tell(Event::Gap { after, prev });
            }
            Missing::Dropped(messages) => {
                warn!(messages, "messages left the inbox unread");
                self.shared.note_standing();
                self.shared.tell(Event::Dropped { messages });
            }
        }
    }
}

impl Said {
    /// Takes out what the broker said: it comes first, and nobody else can say it.
    fn by_inboxd(properties: &mut Vec<(String, String)>) -> Self {
        let number = |text: Option<String>| text.and_then(|text| text.parse().ok());
        let mut take = |name: &str| take(properties, name);
        let said = Said {
            id: take("id"),
            from: take("from"),
            user: take("user"),
            at_us: number(take("at")),
            position: Position {
                seq: number(take("seq")),
                prev: number(take("prev")),
                dropped: number(take("dropped")),
            },
            mark: take("$inboxd"),
        };
        take("epoch");
        said
    }

    /// An edit may have the id of what it replaces; so its seq tells it from that.
    fn recognised_by(&self, id: &str) -> String {
        match (&self.mark, self.position.seq) {
            (Some(mark), Some(seq)) => format!("{mark} {seq} {id}"),
            _ => id.to_owned(),
        }
    }

    fn kind(&self, incoming: &mut Incoming) -> DeliveryKind {
        let id = || self.id.clone().unwrap_or_default();
        match self.mark.as_deref() {
            Some("edit") => DeliveryKind::Edit {
                id: take(&mut incoming.user_properties, "edit-of").unwrap_or_else(id),
            },
            Some("recall") => {
                let told: Option<serde_json::Value> = serde_json::from_slice(&incoming.payload).ok();
                let recalled = told.as_ref().and_then(|told| told.get("id")).and_then(|id| id.as_str());
                DeliveryKind::Recall {
                    id: recalled.map_or_else(id, str::to_owned),
                }
            }
            _ => DeliveryKind::Message,
        }
    }
}

/// Takes the first property of this name out.
fn take(properties: &mut Vec<(String, String)>, name: &str) -> Option<String> {
    let at = properties.iter().position(|(key, _)| key == name)?;
    Some(properties.remove(at).1)
}
