//! Says whether a run keeps the delivery contract (`docs/delivery.md`), from what goes in and comes out of the broker.
//!
//! It stands at the broker's side of the wire: it sees each packet of a client when the broker has taken it, and each packet of the
//! broker as soon as it is encoded. Beside that it is told what [`inbox_bridge::Observer`] is told, and which seq each message
//! was given. It knows nothing of how inboxes work.

mod absence;
mod access;
mod amending;
mod deliveries;
mod dropped;
mod ending;
mod fading;
mod held;
mod memory;
mod notices;
mod proof;
mod publishes;
mod receipts;
mod rooms;
mod said;
mod saying;
mod sessions;
mod strangers;
mod wills;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::Check;
use super::clock::Skew;
use super::ledger::{Ledger, Mail};
use super::users::Bearer;
use crate::{AckKind, Version};
use absence::Owner;
pub(super) use access::Access;
use amending::Amending;
use held::Held;
use notices::Notices;
use proof::Proof;
use receipts::Receipts;
use rooms::Rooms;
pub(super) use said::{Filter, Said, Terms, Word};
use sessions::Hello;
use wills::Wills;

/// See the module's documentation.
pub(super) struct Oracle {
    terms: Terms,
    pub(super) ledger: Ledger,
    tick: u64,
    /// The monotonic clock.
    pub(super) now: u64,
    /// What a reboot may do to waiting.
    pub(super) skew: Skew,
    sessions: Vec<Session>,
    links: BTreeMap<usize, Link>,
    notices: Notices,
    rooms: Rooms,
    receipts: Receipts,
    amending: Amending,
    wills: Wills,
    owners: Vec<Owner>,
    /// How many each client was told that it missed.
    dropped: BTreeMap<usize, u64>,
    /// What clients may do, where they have users.
    pub(super) access: Option<Access>,
    pub(super) promises: u64,
    pub(super) deliveries: u64,
    pub(super) repeats: u64,
}

/// What a session holds, as the client may rely on while CONNACK says that it is present.
#[derive(Default)]
struct Session {
    for_ever: bool,
    reads: Option<(u8, bool)>,
    /// QoS 2 publishes not released.
    open: BTreeMap<u16, Option<usize>>,
    in_flight: BTreeMap<u16, InFlight>,
}

struct InFlight {
    mail: usize,
    qos: u8,
    released: bool,
    link: usize,
}

struct Link {
    client: usize,
    version: Version,
    /// Who its client says it is, where clients have users, and its will.
    claim: Option<(Bearer, Option<usize>)>,
    /// Who it is that was let in, and until when, where clients have users.
    proof: Option<Proof>,
    /// It is not to go on.
    is_over: bool,
    window: usize,
    /// Of a client that was taken CONNECT from.
    hello: Option<Hello>,
    /// It said goodbye, and whether its will is to be published nevertheless.
    leaves: Option<bool>,
    attachment: Option<Attachment>,
    /// Requests, and the ticks at which they were taken.
    asked: BTreeMap<u16, u64>,
    answers_1: VecDeque<(u16, Option<usize>)>,
    answers_2: VecDeque<u16>,
    repeated: BTreeSet<u16>,
    subscribes: BTreeMap<u16, (Filter, u64)>,
    unsubscribes: BTreeMap<u16, bool>,
    /// Bytes encoded, and bytes written.
    encoded: u64,
    written: u64,
    /// PUBLISH packets in the out buffer: where each ends, and its length.
    publishes: VecDeque<(u64, usize)>,
    /// QoS 0 mail in the out buffer, and where each ends.
    unwritten: VecDeque<(u64, usize)>,
    /// QoS 0 mail that was written, and when: it leaves when it has settled (contract rule 5).
    settling: VecDeque<(u64, usize)>,
    held: Held,
}

struct Attachment {
    since: u64,
    cursor: u64,
    qos: u8,
    no_local: bool,
    /// So many had left unread, for certain, when it began.
    dropped: u64,
}

impl Oracle {
    pub(super) fn new(terms: Terms, clients: usize, now: u64) -> Self {
        Oracle {
            ledger: Ledger::new(terms.time_to_live),
            terms,
            tick: 0,
            now,
            skew: Skew::default(),
            sessions: (0..clients).map(|_| Session::default()).collect(),
            links: BTreeMap::new(),
            notices: Notices::default(),
            rooms: Rooms::default(),
            receipts: Receipts::default(),
            amending: Amending::default(),
            wills: Wills::default(),
            owners: (0..clients).map(|_| Owner::default()).collect(),
            dropped: BTreeMap::new(),
            access: None,
            promises: 0,
            deliveries: 0,
            repeats: 0,
        }
    }

    pub(super) fn connected(&mut self, link: usize, client: usize) {
        let new = Link {
            client,
            version: Version::V5,
            claim: None,
            proof: None,
            is_over: false,
            window: 0,
            hello: None,
            leaves: None,
            attachment: None,
            asked: BTreeMap::new(),
            answers_1: VecDeque::new(),
            answers_2: VecDeque::new(),
            repeated: BTreeSet::new(),
            subscribes: BTreeMap::new(),
            unsubscribes: BTreeMap::new(),
            encoded: 0,
            written: 0,
            publishes: VecDeque::new(),
            unwritten: VecDeque::new(),
            settling: VecDeque::new(),
            held: Held::default(),
        };
        self.links.insert(link, new);
    }

    /// The broker has no such connection any more.
    pub(super) fn ended(&mut self, link: usize) {
        let ledger = &self.ledger;
        self.rooms.ended(link, |mail| rooms::pair(ledger, mail));
        if let Some(mut link) = self.links.remove(&link) {
            if link.attachment.is_some() {
                self.owners[link.client].comes(self.now);
            }
            for (_, at) in link.unwritten.drain(..) {
                // It stays in the inbox (contract rule 5).
                self.ledger.get_mut(at).being_written = false;
            }
            self.stop_settling(&mut link);
        }
    }

    /// A reader is gone: what had not settled stays in the inbox (contract rule 5). What had may have left, or be about to.
    fn stop_settling(&mut self, link: &mut Link) {
        for (since, at) in link.settling.drain(..) {
            let stays = since + self.terms.settle > self.now && !self.terms.are_small;
            self.ledger.get_mut(at).being_written = !stays;
        }
    }

    pub(super) fn crashed(&mut self) {
        for link in self.links.keys().copied().collect::<Vec<_>>() {
            self.ended(link);
        }
        self.sessions
            .iter_mut()
            .for_each(|session| *session = Session::default());
        self.ledger.crashed();
        self.wills.crashed();
        self.rooms.crashed();
        self.owners.iter_mut().for_each(Owner::crashed);
        self.access.iter_mut().for_each(Access::crashed);
    }

    /// A seq was given.
    pub(super) fn given(&mut self, mail: usize, inbox: usize, seq: u64, now: u64) -> Check {
        self.will_published(mail)?;
        self.ledger.given(mail, inbox, seq, now, self.tick)?;
        self.owners[inbox].gets_mail(now);
        let reads = |link: &Link| link.client == inbox && link.attachment.is_some();
        self.ledger.get_mut(mail).had_reader = self.links.values().any(reads);
        self.check_may_be_stored(mail)?;
        // The publish that it repeats was refused, and nobody could be told: this one takes its place.
        let Mail { from, repeats, .. } = *self.ledger.get(mail);
        if repeats.is_some() {
            for open in self.sessions[from].open.values_mut().filter(|open| **open == repeats) {
                *open = Some(mail);
            }
        }
        Ok(())
    }

    /// A message left unread.
    pub(super) fn left(&mut self, inbox: usize, seq: u64, why: &str, now: u64, mono: Option<u64>) -> Check {
        if why == "dropped" && !self.terms.drops_oldest {
            return Err("rule 5: a message was dropped although full inboxes refuse".into());
        }
        self.tick += 1;
        if why == "idle" {
            self.check_forgotten(inbox, seq, now)?;
        }
        if matches!(why, "collapsed" | "recalled" | "edited") {
            self.withdrawn(inbox, seq, why)?;
        } else {
            self.left_otherwise(inbox, seq);
        }
        self.notices.left(inbox, seq);
        self.receipts.seen(inbox, seq);
        self.ledger.left(
            inbox,
            seq,
            why,
            now + self.skew.early,
            self.tick,
            mono.map(|mono| mono + self.terms.flush),
        )
    }

    pub(super) fn committed(&mut self, began: u64, now: u64) {
        for link in self.links.values_mut() {
            let by = self.terms.settle + self.terms.flush;
            let settled = link.settling.partition_point(|(since, _)| since + by <= began);
            for (_, mail) in link.settling.drain(..settled) {
                self.ledger.gone(mail, self.tick, Some(began + self.terms.flush));
            }
        }
        self.ledger.committed(began, now, self.terms.flush);
        self.wills_committed();
        self.owners.iter_mut().for_each(Owner::committed);
        self.access.iter_mut().for_each(Access::committed);
    }

    /// The broker has taken a packet. `mono` is the time, unless a commit is under way.
    pub(super) fn took(&mut self, at: usize, said: &Said, mono: Option<u64>) -> Check {
        self.tick += 1;
        let tick = self.tick;
        if !self.took_from_user(at, said)? {
            return Ok(());
        }
        if let Said::Publish { mail: Some(mail), .. } = *said {
            self.took_edit(mail);
        }
        let Some(link) = self.links.get_mut(&at) else {
            return Ok(());
        };
        let session = &mut self.sessions[link.client];
        if let Said::Publish { mail: Some(mail), .. } = *said
            && self.ledger.get(mail).asks_for_room
        {
            self.rooms.asked(mail, at);
        }
        match *said {
            Said::Connect {
                version,
                window,
                clean,
                for_ever,
                will,
            } => {
                (link.version, link.window) = (version, window.min(self.terms.in_flight_max));
                link.hello = Some(Hello::new(tick, clean, for_ever, will));
            }
            Said::Leave { with_will } => link.leaves = Some(with_will),
            Said::Publish {
                mail,
                qos: 1,
                packet_id,
            } => link.answers_1.push_back((packet_id, mail)),
            Said::Publish {
                mail,
                qos: 2,
                packet_id,
            } => match session.open.get(&packet_id) {
                Some(first) => {
                    link.repeated.insert(packet_id);
                    if let Some(mail) = mail {
                        self.ledger.get_mut(mail).repeats = *first;
                    }
                }
                None => {
                    session.open.insert(packet_id, mail);
                    link.answers_2.push_back(packet_id);
                }
            },
            Said::Recall { to, ref id, packet_id } => {
                link.answers_1.push_back((packet_id, None));
                let from = link.client;
                self.took_recall(at, packet_id, from, to, id);
            }
            Said::Mark { up_to, packet_id } => {
                link.answers_1.push_back((packet_id, None));
                let age = self.terms.time_to_live.saturating_sub(self.skew.early);
                let since = self.now.saturating_sub(age / 2);
                self.receipts
                    .marks((at, packet_id), link.client, up_to, since, &self.ledger);
            }
            Said::Ask { qos: 1, packet_id, .. } => link.answers_1.push_back((packet_id, None)),
            Said::Ask { qos: 2, packet_id, .. } => match session.open.get(&packet_id) {
                Some(_) => drop(link.repeated.insert(packet_id)),
                None => {
                    session.open.insert(packet_id, None);
                    link.answers_2.push_back(packet_id);
                }
            },
            Said::Publish { .. } | Said::Ask { .. } | Said::Auth { .. } | Said::Ordinary(_) | Said::Other => {}
            Said::Ack {
                kind: AckKind::PubRel,
                packet_id,
                ..
            } => {
                session.open.remove(&packet_id);
            }
            Said::Ack {
                kind,
                packet_id,
                refused,
            } => {
                if kind != AckKind::PubRec || refused {
                    link.held.landed(packet_id);
                }
                let Some(in_flight) = session.in_flight.get_mut(&packet_id) else {
                    return Ok(());
                };
                if kind == AckKind::PubRec && !refused {
                    in_flight.released = true;
                } else {
                    let mail = in_flight.mail;
                    session.in_flight.remove(&packet_id);
                    let was_taken = self.ledger.get(mail).taken;
                    self.ledger.gone(mail, tick, mono.map(|mono| mono + self.terms.flush));
                    if refused {
                        let mail = self.ledger.get_mut(mail);
                        (mail.taken, mail.rejected) = (was_taken, true);
                    }
                }
            }
            Said::Subscribe { packet_id, what } => {
                link.subscribes.insert(packet_id, (what, tick));
            }
            Said::Unsubscribe { packet_id, own } => {
                link.unsubscribes.insert(packet_id, own);
                if own && link.attachment.is_some() {
                    self.owners[link.client].comes(self.now);
                }
            }
        }
        Ok(())
    }
}
