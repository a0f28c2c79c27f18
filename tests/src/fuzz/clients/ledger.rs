//! What is promised of every message, and what became of it. It knows the contract, and nothing of how inboxes work.

use std::collections::BTreeMap;

use inbox_bridge::{Batch, Given, Left, Seq};

/// Whether a message has left its inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gone {
    No,
    /// It may be there or not: nothing is checked.
    Perhaps,
    /// At this tick.
    At(u64),
}

/// A message that a client sent, or left as its will.
#[derive(Debug)]
pub(super) struct Mail {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) qos: u8,
    /// The place that it was given last.
    pub(super) seq: Option<u64>,
    expires_at: u64,
    /// Its publisher was told yes.
    promised: bool,
    /// Its publisher was told that the inbox is full.
    refused: bool,
    /// Where it was made durable.
    stored: Option<u64>,
    gone: Gone,
    /// Its reader released it (PUBREC) at this tick, in a session that still lives.
    pub(super) released: Option<u64>,
    pub(super) deliveries: u32,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) tick: u64,
    mails: Vec<Mail>,
    names: Vec<&'static str>,
    by_seq: BTreeMap<u64, usize>,
}

/// Which message a payload is.
pub(super) fn number(payload: &[u8]) -> usize {
    let text = std::str::from_utf8(payload).expect("all payloads here are text");
    text.split('.')
        .next()
        .and_then(|number| number.parse().ok())
        .expect("all payloads here begin with a number")
}

impl Ledger {
    pub(super) fn new(names: &[&'static str]) -> Self {
        Ledger {
            names: names.to_vec(),
            ..Ledger::default()
        }
    }

    pub(super) fn get(&self, mail: usize) -> &Mail {
        &self.mails[mail]
    }

    pub(super) fn get_mut(&mut self, mail: usize) -> &mut Mail {
        &mut self.mails[mail]
    }

    /// A client is about to send a message. Gives its payload.
    pub(super) fn sending(&mut self, from: usize, to: usize, qos: u8, size: usize) -> (usize, Vec<u8>) {
        let mut payload = format!("{}.", self.mails.len()).into_bytes();
        payload.resize(payload.len() + size, b'x');
        self.mails.push(Mail {
            from,
            to,
            qos,
            seq: None,
            expires_at: u64::MAX,
            promised: false,
            refused: false,
            stored: None,
            gone: Gone::No,
            released: None,
            deliveries: 0,
        });
        (self.mails.len() - 1, payload)
    }

    /// The broker gave places to messages. Whether it then takes them is another question.
    pub(super) fn given(&mut self, given: &[Given]) {
        for Given { inbox, seq, message } in given {
            let at = number(&message.payload);
            let last = self.by_seq.last_key_value().map_or(0, |(seq, _)| *seq);
            assert!(seq.0 > last, "contract rule 6: seq {seq} was given after {last}");
            let mail = &mut self.mails[at];
            assert_eq!(
                inbox.as_str(),
                self.names[mail.to],
                "contract rule 1: m{at} went to another inbox"
            );
            (mail.seq, mail.expires_at) = (
                Some(seq.0),
                message.at.0.saturating_add(message.expiry.lives()).saturating_add(1),
            );
            self.by_seq.insert(seq.0, at);
        }
    }

    /// Its publisher has PUBACK or PUBREC.
    pub(super) fn answered(&mut self, at: usize, reason: u8) {
        let mail = &mut self.mails[at];
        match reason {
            0 => {
                let is_safe = mail.stored.is_some() || mail.gone != Gone::No;
                assert!(
                    is_safe,
                    "contract rule 3: m{at} is acknowledged, and neither durable nor read: {mail:?}"
                );
                mail.promised = true;
            }
            0x97 => mail.refused = true,
            0x83 => {}
            other => panic!("m{at} was refused with {other:#04x}"),
        }
    }

    /// Its reader is done with it.
    pub(super) fn read(&mut self, at: usize) {
        let mail = &mut self.mails[at];
        if !matches!(mail.gone, Gone::At(_)) {
            mail.gone = Gone::At(self.tick);
        }
    }

    /// Its reader may be done with it.
    pub(super) fn perhaps_read(&mut self, at: usize) {
        let mail = &mut self.mails[at];
        if mail.gone == Gone::No {
            mail.gone = Gone::Perhaps;
        }
    }

    /// The broker told of a message that left unread (contract rule 5).
    pub(super) fn left(&mut self, seq: u64, why: Left, wall: u64, drops_oldest: bool) {
        let at = self.by_seq[&seq];
        match why {
            Left::Expired => assert!(
                self.mails[at].expires_at <= wall,
                "contract rule 5: m{at} expired before its time"
            ),
            Left::Dropped => assert!(
                drops_oldest,
                "contract rule 5: m{at} was dropped by a broker that refuses"
            ),
            Left::Idle | Left::Purged => panic!("nobody purges here, and inboxes are not forgotten"),
            Left::Collapsed | Left::Recalled | Left::Edited => panic!("nobody changes its mind here"),
        }
        self.mails[at].gone = Gone::At(self.tick);
    }

    /// A batch is durable.
    pub(super) fn committed(&mut self, batch: &Batch) {
        for (_, entry) in &batch.puts {
            let at = number(&entry.message.payload);
            let mail = &mut self.mails[at];
            let earlier = mail.stored.replace(entry.seq.0);
            assert!(
                earlier.is_none_or(|earlier| earlier == entry.seq.0),
                "contract rule 10: m{at} is stored twice"
            );
            assert!(mail.qos > 0, "contract rule 9: m{at} has QoS 0 and is stored");
        }
        for (_, seq) in &batch.removals {
            let at = self.by_seq[&seq.0];
            assert!(
                self.mails[at].gone != Gone::No,
                "contract rule 5: m{at} is removed for no reason"
            );
        }
    }

    /// The broker was started again on a store that holds these.
    pub(super) fn restarted(&mut self, found: &BTreeMap<Seq, usize>, wall: u64) {
        self.tick += 1;
        let tick = self.tick;
        for (at, mail) in self.mails.iter_mut().enumerate() {
            let place = found.iter().find_map(|(seq, found)| (*found == at).then_some(seq.0));
            let must_be_there = mail.promised && mail.gone == Gone::No && mail.expires_at > wall;
            assert!(
                place.is_some() || !must_be_there,
                "contract rule 3: m{at} is lost: {mail:?}"
            );
            assert!(
                place.is_none() || !mail.refused,
                "contract rule 3: m{at} was refused and is stored"
            );
            (mail.stored, mail.released) = (place, None);
            // What is there although its reader had it was not removed durably; it may be delivered again.
            mail.gone = match mail.gone {
                _ if place.is_none() => Gone::At(tick),
                Gone::At(_) => Gone::Perhaps,
                other => other,
            };
        }
    }

    /// Whether it has certainly left its inbox.
    pub(super) fn is_gone(&self, at: usize) -> bool {
        matches!(self.mails[at].gone, Gone::At(_))
    }

    /// Checks one delivery to a reader who began at `since`.
    pub(super) fn delivered(&mut self, at: usize, dup: bool, qos: u8, since: u64) {
        let mail = &mut self.mails[at];
        assert!(!mail.refused, "contract rule 3: m{at} was refused and is delivered");
        if let Gone::At(tick) = mail.gone {
            assert!(
                tick >= since,
                "contract rule 5: m{at} is delivered after it was gone: {mail:?}"
            );
        }
        if let Some(tick) = mail.released {
            assert!(
                tick >= since,
                "m{at} is sent again after PUBREC (MQTT-4.3.3-6): {mail:?}"
            );
        }
        assert!(
            mail.qos > 0 || mail.deliveries == 0,
            "contract rule 9: m{at} has QoS 0 and comes twice"
        );
        assert!(
            qos == 0 || dup || mail.deliveries == 0,
            "contract rule 4: m{at} comes again, without DUP"
        );
        mail.deliveries += 1;
    }

    /// Checks that a reader at `cursor`, who goes on at `next`, misses nothing.
    pub(super) fn passed_over(&self, reader: usize, cursor: u64, next: u64, no_local: bool, wall: u64) {
        if next <= cursor + 1 {
            return;
        }
        for (seq, at) in self.by_seq.range(cursor + 1..next) {
            let mail = &self.mails[*at];
            let is_theirs = mail.to == reader && mail.stored == Some(*seq) && !(no_local && mail.from == reader);
            let must_come = mail.promised && mail.gone == Gone::No && mail.released.is_none() && mail.expires_at > wall;
            assert!(
                !(is_theirs && must_come),
                "contract rule 4: m{at} is left out: {mail:?}"
            );
        }
    }

    /// The session of this reader is gone: it may have everything again that it has not finished with.
    pub(super) fn forget_released(&mut self, reader: usize) {
        self.mails
            .iter_mut()
            .filter(|mail| mail.to == reader)
            .for_each(|mail| mail.released = None);
    }
}
