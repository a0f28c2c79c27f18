//! Who clients are and what they may do (`docs/security.md`, contract rule 2): whose messages are taken, and until when.

use std::collections::{BTreeMap, BTreeSet};

use super::absence::Owner;
use super::fading::Fading;
use super::proof::Proof;
use super::strangers::Strangers;
use super::{Check, Oracle, Said};
use crate::sim::law::{Law, Lists, Request, Verdict};
use crate::sim::users::{Bearer, Token};
use crate::{Ack, Packet, Version};

/// The reason codes of refusals.
const NOT_AUTHORIZED: u8 = 0x87;
const QUOTA_EXCEEDED: u8 = 0x97;
const BAD_CREDENTIALS: u8 = 0x86;
const TOKEN_ENDED: u8 = 0xA0;
/// In the reason string, where it is a stranger whose quota is exceeded.
const STRANGER: &str = "inbox.strangers_max";

/// What the oracle knows of rules and lists.
pub(in crate::sim) struct Access {
    pub(in crate::sim) law: Law,
    lists: BTreeMap<usize, Fading<Lists>>,
    strangers: Option<Strangers>,
    /// By how much the wall clock is ahead, in microseconds.
    offset: i64,
    /// The tick at which a commit under way began: it has what was changed before.
    began: u64,
}

impl Access {
    pub(in crate::sim) fn new(law: Law, strangers_max: Option<u32>, offset: i64) -> Self {
        Access {
            law,
            lists: BTreeMap::new(),
            strangers: strangers_max.map(Strangers::new),
            offset,
            began: 0,
        }
    }

    fn judge(&self, who: Bearer, to: usize) -> Verdict {
        let mut verdict = Verdict {
            may: true,
            denials: Vec::new(),
            is_repeated: false,
        };
        let mut hears = |may: bool, may_not: bool, code: u8| {
            if verdict.may && may_not {
                verdict.denials.push(code);
            }
            verdict.may &= may;
        };
        let allowed = self.law.may_write(who, to);
        hears(allowed, !allowed, NOT_AUTHORIZED);
        if who.token.is_service {
            return verdict;
        }
        if let Some(lists) = self.lists.get(&to).filter(|_| who.client != to) {
            let takes = |wanted| lists.now().iter().any(|lists| lists.take(who) == wanted);
            hears(takes(true), takes(false), NOT_AUTHORIZED);
        }
        if let Some(strangers) = &self.strangers {
            let (may, may_not) = strangers.judge(who, to);
            hears(may, may_not, QUOTA_EXCEEDED);
        }
        verdict
    }

    fn change_list(&mut self, owner: usize, request: &Request, is_repeated: bool, tick: u64) {
        let lists = self.lists.entry(owner).or_default();
        let mut after: BTreeSet<_> = lists.now().iter().map(|lists| request.change(lists.clone())).collect();
        if is_repeated {
            after.extend(lists.now().iter().cloned());
        }
        lists.change(tick, after);
    }

    pub(super) fn crashed(&mut self) {
        self.lists.values_mut().for_each(Fading::crash);
        self.strangers.iter_mut().for_each(Strangers::crash);
    }

    /// The commit that began last has ended well. Of lists, only what was acknowledged is sure to be safe.
    pub(super) fn committed(&mut self) {
        let began = self.began;
        self.strangers.iter_mut().for_each(|strangers| strangers.settle(began));
    }
}

impl Oracle {
    /// A commit begins, and takes what there is.
    pub(in crate::sim) fn commit_begins(&mut self) {
        self.owners.iter_mut().for_each(Owner::commit_begins);
        self.wills.commit_begins(self.tick);
        if let Some(access) = &mut self.access {
            access.began = self.tick;
        }
    }

    /// The wall clock was set.
    pub(in crate::sim) fn clock_jumped(&mut self, offset: i64) {
        let Some(access) = &mut self.access else { return };
        access.offset = offset;
        for link in self.links.values_mut() {
            if let Some(proof) = &mut link.proof {
                proof.clock_jumped(self.now, offset);
            }
        }
    }

    /// The client of a new connection says who it is, and what its will is.
    pub(in crate::sim) fn claims(&mut self, at: usize, who: Bearer, will: Option<usize>) {
        if let Some(link) = self.links.get_mut(&at) {
            link.claim = Some((who, will));
        }
    }

    /// The broker took a packet. Gives whether it counts.
    pub(super) fn took_from_user(&mut self, at: usize, said: &Said) -> Result<bool, String> {
        let (Some(access), Some(link)) = (self.access.as_mut(), self.links.get_mut(&at)) else {
            return Ok(true);
        };
        if let (Said::Connect { .. }, Some((who, will))) = (said, link.claim) {
            link.proof = Some(Proof::new(who, self.now, access.offset));
            link.is_over = !access.law.may_be(who);
            if let Some(will) = will {
                self.ledger.get_mut(will).bearer = Some(who);
            }
            return Ok(true);
        }
        let Some(proof) = link.proof.filter(|_| !link.is_over) else {
            return Ok(false);
        };
        let who = proof.who;
        if proof.has_ended(self.now) {
            return Err(format!(
                "access: {said:?} was taken from c{} after the end of its token",
                who.client
            ));
        }
        match said {
            Said::Publish {
                mail: Some(mail),
                qos,
                packet_id,
            } => {
                let first = self.repeated(who.client, *qos, *packet_id);
                self.took_publish(who, *mail, first);
            }
            Said::Ask {
                request,
                qos,
                packet_id,
            } => {
                let is_repeated = self.repeated(who.client, *qos, *packet_id).is_some();
                self.took_request(at, request, (*qos > 0).then_some(*packet_id), is_repeated);
            }
            Said::Auth { token } => {
                let fresh = Bearer { token: *token, ..who };
                let wall = (self.now as i64 + access.offset) as u64;
                let is_good = token.user == who.token.user && !token.has_ended(wall) && access.law.may_be(fresh);
                if !is_good {
                    link.is_over = true;
                    return Ok(true);
                }
                link.proof = Some(Proof::new(fresh, self.now, access.offset));
                // Its will is from whoever it is in the end.
                if let Some((_, Some(will))) = link.claim {
                    self.ledger.get_mut(will).bearer = Some(fresh);
                }
            }
            _ => {}
        }
        Ok(true)
    }

    /// The QoS 2 publish that is known under this packet identifier, and which message it was.
    fn repeated(&self, client: usize, qos: u8, packet_id: u16) -> Option<Option<usize>> {
        let known = self.sessions[client].open.get(&packet_id);
        known.copied().filter(|_| qos == 2)
    }

    fn took_publish(&mut self, who: Bearer, mail: usize, first: Option<Option<usize>>) {
        let Some(access) = self.access.as_mut() else { return };
        let to = self.ledger.get(mail).to;
        let mut verdict = access.judge(who, to);
        if let Some(strangers) = access.strangers.as_mut().filter(|_| verdict.may) {
            let for_certain = first.is_none() && !verdict.denials.contains(&NOT_AUTHORIZED);
            strangers.wrote(who, to, for_certain, self.tick);
        }
        verdict.is_repeated = first.is_some();
        let known = self.ledger.get_mut(mail);
        (known.bearer, known.verdict) = (Some(who), Some(verdict));
        // The first one is not told by itself any more, if it was not yet.
        let first = first.flatten().map(|first| self.ledger.get_mut(first));
        if let Some(verdict) = first.and_then(|first| first.verdict.as_mut()) {
            verdict.is_repeated = true;
        }
    }

    /// `packet_id`, if it is to be answered.
    fn took_request(&mut self, at: usize, request: &Request, packet_id: Option<u16>, is_repeated: bool) {
        let (Some(access), Some(link)) = (self.access.as_mut(), self.links.get_mut(&at)) else {
            return;
        };
        access.change_list(link.client, request, is_repeated, self.tick);
        if let Some(packet_id) = packet_id.filter(|_| !is_repeated) {
            link.asked.insert(packet_id, self.tick);
        }
    }

    /// Whether what came last over a connection that ended with this code was taken before it did.
    pub(in crate::sim) fn counts_at_end(&self, at: usize, code: Option<u8>) -> bool {
        let link = self.links.get(&at);
        self.access.is_none() || link.is_some_and(|link| link.proof.is_some() && code != Some(TOKEN_ENDED))
    }

    /// A message was given a place in an inbox.
    pub(super) fn check_may_be_stored(&self, mail: usize) -> Check {
        let Some(access) = &self.access else { return Ok(()) };
        let known = self.ledger.get(mail);
        let Some(who) = known.bearer else {
            return Err(format!(
                "access: m{mail} was accepted from a client that was not to be let in, or is over"
            ));
        };
        let may = match &known.verdict {
            Some(verdict) => verdict.may,
            // A will, by the rules of now.
            None => access.judge(who, known.to).may,
        };
        match may {
            true => Ok(()),
            false => Err(format!(
                "access: m{mail} of {} was accepted, which may not write to c{}",
                who.user(),
                known.to
            )),
        }
    }

    /// A publish was answered: as rules and lists say?
    pub(super) fn check_answer(&self, mail: usize, ack: &Ack) -> Check {
        let why = ack.props.reason_string().unwrap_or_default();
        let code = match ack.reason {
            0 => 0,
            NOT_AUTHORIZED => NOT_AUTHORIZED,
            QUOTA_EXCEEDED if why.contains(STRANGER) => QUOTA_EXCEEDED,
            _ => return Ok(()),
        };
        self.check_told(mail, code)
    }

    /// Its sender is told that it is denied for this reason, or, with 0, that it is not.
    pub(super) fn check_told(&self, mail: usize, code: u8) -> Check {
        let Some(verdict) = self.ledger.get(mail).verdict.as_ref() else {
            return match code {
                0 => Ok(()),
                code => Err(format!("rule 3: a publish was answered with {code:#04x}")),
            };
        };
        let is_right = match code {
            0 => verdict.may,
            code => verdict.denials.contains(&code),
        };
        if is_right || verdict.is_repeated {
            return Ok(());
        }
        Err(format!(
            "access: m{mail} was answered with {code:#04x}, and rules and lists say {verdict:?}"
        ))
    }

    /// A request is answered with success: its change is safe.
    pub(super) fn list_is_safe(&mut self, owner: usize, tick: u64) {
        let access = self.access.as_mut();
        if let Some(lists) = access.and_then(|access| access.lists.get_mut(&owner)) {
            lists.settle(tick);
        }
    }

    /// The broker encoded a packet for a client.
    pub(super) fn check_may_be_told(&self, at: usize, packet: &Packet) -> Check {
        let Some(link) = self.links.get(&at).filter(|_| self.access.is_some()) else {
            return Ok(());
        };
        let Some(proof) = link.proof else {
            return Err("access: a client is told something before it was let in".into());
        };
        // Answers to what came before are no deliveries.
        let is_delivery = matches!(packet, Packet::Publish(_));
        if is_delivery && (link.is_over || proof.has_ended(self.now)) {
            return Err(format!(
                "access: a message is for c{} after the end of its token, or as somebody who it may not be",
                link.client
            ));
        }
        Ok(())
    }

    /// A connection goes on after it had a turn.
    pub(in crate::sim) fn check_goes_on(&self, at: usize) -> Check {
        let (Some(access), Some(link)) = (&self.access, self.links.get(&at)) else {
            return Ok(());
        };
        let Some(proof) = link.proof else { return Ok(()) };
        let client = link.client;
        match () {
            () if link.is_over => Err(format!("access: c{client} goes on as somebody who it may not be")),
            () if proof.has_ended(self.now) => Err(format!("access: c{client} goes on after the end of its token")),
            () if !access.law.may_be(proof.who) => Err(format!(
                "access: c{client} goes on under a client ID that the rules took away"
            )),
            () => Ok(()),
        }
    }

    /// The broker ended a connection, or did not let it in.
    pub(in crate::sim) fn check_ending(&self, at: usize, code: Option<u8>) -> Check {
        let (Some(access), Some(link), Some(code)) = (&self.access, self.links.get(&at), code) else {
            return Ok(());
        };
        let wall = (self.now as i64 + access.offset) as u64;
        let is_right = match (code, link.proof, link.claim) {
            (TOKEN_ENDED, Some(proof), _) => proof.may_end(self.now),
            // Of MQTT 3.1.1 clients it may be a publish that was denied.
            (NOT_AUTHORIZED, Some(proof), _) => {
                link.version == Version::V311 || link.is_over || !access.law.may_be(proof.who)
            }
            (BAD_CREDENTIALS, None, Some((Bearer { token, .. }, _))) => Token::has_ended(token, wall),
            (NOT_AUTHORIZED, None, Some((who, _))) => !access.law.may_be(who),
            (TOKEN_ENDED | BAD_CREDENTIALS, ..) => false,
            _ => true,
        };
        match is_right {
            true => Ok(()),
            false => Err(format!(
                "access: c{} was ended with {code:#04x}, and might go on",
                link.client
            )),
        }
    }
}
