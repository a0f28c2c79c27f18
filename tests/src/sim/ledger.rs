//! What the oracle knows of every message: who sent it to whom, what was promised, and whether it may still be there.

use std::collections::{BTreeMap, BTreeSet};

use super::Check;
use super::clock::Skew;
use super::law::Verdict;
use super::users::Bearer;

/// A message, as one transmission of it: one that is sent again is another one.
pub(super) struct Mail {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) qos: u8,
    /// The user property that the sender gave.
    pub(super) id: Option<String>,
    /// It replaces earlier ones with this key.
    pub(super) key: Option<&'static str>,
    /// It replaces the one with this `id`; and whether it was seen to say so to its reader.
    pub(super) amends: Option<String>,
    pub(super) is_marked: Option<bool>,
    /// The receipts that its sender asks for: delivered, and read.
    pub(super) wants: (bool, bool),
    /// Its reader took it, and its reader did not want it: both may have been, one after the other.
    pub(super) taken: bool,
    pub(super) rejected: bool,
    /// Somebody was told that it left unread.
    left: bool,
    /// It was sent again as the same (contract rule 8).
    pub(super) repeated: bool,
    /// It was left as a will: the broker may give it an `id`, and publish it again after a crash.
    pub(super) is_will: bool,
    /// Of whom it was taken, where clients have users, and what is to become of it; a will is judged when it is published.
    pub(super) bearer: Option<Bearer>,
    pub(super) verdict: Option<Verdict>,
    /// Its place, once it has one.
    pub(super) seq: Option<u64>,
    /// When it got it, in the oracle's ticks.
    given: u64,
    /// The same on the real clock, in microseconds.
    given_at: u64,
    /// What the sender asked for, in seconds.
    pub(super) expiry: Option<u32>,
    /// Its inbox had a reader when it came, or before its publisher was told: it may have been handed on, though nothing shows that on the wire.
    pub(super) had_reader: bool,
    /// The publisher was told that it is safe.
    pub(super) promised: bool,
    /// The publisher was told that it is not accepted.
    pub(super) refused: bool,
    /// Its sender asks to be told of room if it is refused.
    pub(super) asks_for_room: bool,
    /// It left its inbox.
    gone: Option<Gone>,
    /// It was encoded for a reader with QoS 0, which takes it away when it is written.
    pub(super) being_written: bool,
    /// How often it was sent to its reader.
    pub(super) sent: u32,
    /// Of its payload, as [`super::client::payload`] makes it.
    pub(super) length: usize,
    /// The QoS 2 publish that it repeats: one of the two may be stored (contract rule 10).
    pub(super) repeats: Option<usize>,
}

#[derive(Clone, Copy)]
struct Gone {
    tick: u64,
    run: u32,
    /// From when on a commit includes it, on the monotonic clock; `None` while a commit is under way.
    due: Option<u64>,
    durable: bool,
    /// Its reader had not acknowledged it.
    unread: bool,
}

/// See the module's documentation.
#[derive(Default)]
pub(super) struct Ledger {
    all: Vec<Mail>,
    /// Per inbox, by seq.
    inboxes: BTreeMap<(usize, u64), usize>,
    last_seq: u64,
    /// What left unread, if only until a crash: the inbox, and the seq.
    left_unread: BTreeSet<(usize, u64)>,
    /// Those that are gone, and not durably so.
    fading: Vec<usize>,
    /// How many times the broker was started.
    run: u32,
    time_to_live: u64,
}

impl Mail {
    /// What its reader is to be told of its expiry, at least and at most.
    pub(super) fn expiry_left(&self, now: u64, skew: Skew) -> (Option<u32>, Option<u32>) {
        let left = |waited: u64| {
            let seconds = u32::try_from(waited / 1_000_000).unwrap_or(u32::MAX);
            self.expiry.map(|expiry| expiry.saturating_sub(seconds))
        };
        let waited = now - self.given_at;
        (left(waited + skew.early), left(waited.saturating_sub(skew.late)))
    }
}

impl Ledger {
    /// `time_to_live` in microseconds.
    pub(super) fn new(time_to_live: u64) -> Self {
        Ledger {
            time_to_live,
            ..Ledger::default()
        }
    }

    fn lives(&self, at: usize) -> u64 {
        let wanted = self.all[at]
            .expiry
            .map_or(u64::MAX, |seconds| u64::from(seconds) * 1_000_000);
        wanted.min(self.time_to_live)
    }

    pub(super) fn get(&self, at: usize) -> &Mail {
        &self.all[at]
    }

    pub(super) fn get_mut(&mut self, at: usize) -> &mut Mail {
        &mut self.all[at]
    }

    /// A client is about to send a message. Gives the number that its payload must carry.
    pub(super) fn sending(&mut self, from: usize, to: usize, qos: u8, id: Option<String>) -> usize {
        self.all.push(Mail {
            from,
            to,
            qos,
            id,
            key: None,
            amends: None,
            is_marked: None,
            wants: (false, false),
            taken: false,
            rejected: false,
            left: false,
            repeated: false,
            is_will: false,
            bearer: None,
            verdict: None,
            seq: None,
            given: 0,
            given_at: 0,
            expiry: None,
            had_reader: false,
            promised: false,
            refused: false,
            asks_for_room: false,
            gone: None,
            being_written: false,
            sent: 0,
            length: 0,
            repeats: None,
        });
        self.all.len() - 1
    }

    /// The broker gave a place to a message of its own.
    pub(super) fn given_to_notice(&mut self, to: usize, seq: u64, now: u64, tick: u64) -> Result<usize, String> {
        let at = self.sending(usize::MAX, to, 1, None);
        self.given(at, to, seq, now, tick)?;
        Ok(at)
    }

    /// The broker gave it a place.
    pub(super) fn given(&mut self, at: usize, inbox: usize, seq: u64, now: u64, tick: u64) -> Check {
        if seq <= self.last_seq {
            return Err(format!("rule 6: seq {seq} was given after {}", self.last_seq));
        }
        self.last_seq = seq;
        let first = self.all.get(at).and_then(|mail| self.all.get(mail.repeats?));
        // One that was only shown to its reader may have been refused afterwards, and its publisher not told: it is not stored.
        if first.is_some_and(|first| first.promised) {
            return Err(format!("rule 10: m{at} repeats a QoS 2 publish and was stored again"));
        }
        let Some(mail) = self.all.get_mut(at) else {
            return Err(format!("message m{at} was never sent"));
        };
        if mail.to != inbox {
            return Err(format!(
                "rule 1: m{at} is for c{} and was put into the inbox of c{inbox}",
                mail.to
            ));
        }
        if let Some(earlier) = mail.seq {
            if (mail.id.is_none() && !mail.is_will) || mail.promised {
                return Err(format!(
                    "rules 6 and 8: m{at} was sent once, or repeated with its id, and got two places, {earlier} and {seq}"
                ));
            }
            // Nobody was told of the first, and it is not there: it was refused, or a crash took it, and its id, too.
            self.inboxes.remove(&(inbox, earlier));
            self.fading.retain(|fading| *fading != at);
            (mail.gone, mail.sent) = (None, 0);
            (mail.had_reader, mail.being_written) = (false, false);
        }
        mail.refused &= mail.id.is_none();
        (mail.seq, mail.given_at, mail.given) = (Some(seq), now, tick);
        self.inboxes.insert((inbox, seq), at);
        Ok(())
    }

    /// An inbox has a reader from now on.
    pub(super) fn has_reader(&mut self, inbox: usize) {
        for at in self.between(inbox, 0, u64::MAX).collect::<Vec<_>>() {
            let mail = &mut self.all[at];
            mail.had_reader |= !mail.promised;
        }
    }

    /// The reader of an inbox has a message. `due` as in [`Gone`].
    pub(super) fn gone(&mut self, at: usize, tick: u64, due: Option<u64>) {
        let mail = &mut self.all[at];
        if mail.gone.is_some_and(|gone| gone.run == self.run) {
            return;
        }
        mail.gone = Some(Gone {
            tick,
            run: self.run,
            due,
            durable: false,
            unread: false,
        });
        mail.being_written = false;
        mail.taken = true;
        self.fading.push(at);
    }

    /// The broker told of a message that left its inbox unread. `now` is the latest that it may believe it to be.
    pub(super) fn left(&mut self, inbox: usize, seq: u64, why: &str, now: u64, tick: u64, due: Option<u64>) -> Check {
        let Some(&at) = self.inboxes.get(&(inbox, seq)) else {
            return Err(format!(
                "rule 5: seq {seq} left the inbox of c{inbox}, and nothing had that seq"
            ));
        };
        if why == "expired" && now - self.all[at].given_at <= self.lives(at) {
            return Err(format!("rule 5: m{at} expired before its time"));
        }
        let was_taken = self.all[at].taken;
        self.gone(at, tick, due);
        (self.all[at].taken, self.all[at].left) = (was_taken, true);
        if matches!(why, "collapsed" | "recalled" | "edited") {
            // Its reader misses nothing.
            return Ok(());
        }
        self.left_unread.insert((inbox, seq));
        if let Some(gone) = self.all[at].gone.as_mut() {
            gone.unread = gone.tick == tick;
        }
        Ok(())
    }

    /// A commit that began at `began` has ended well at `now`; `flush` is the interval of rule 7. All in microseconds.
    pub(super) fn committed(&mut self, began: u64, now: u64, flush: u64) {
        let all = &mut self.all;
        self.fading.retain(|&at| {
            let Some(gone) = all[at].gone.as_mut() else {
                return false;
            };
            gone.durable |= gone.due.is_some_and(|due| due <= began);
            gone.due = gone.due.or(Some(now + flush));
            !gone.durable
        });
    }

    /// How many messages left this inbox unread: durably, and at most.
    pub(super) fn unread(&self, inbox: usize) -> (u64, u64) {
        let all = self.between(inbox, 0, u64::MAX).map(|at| &self.all[at]);
        let durably = all.filter(|mail| mail.gone.is_some_and(|gone| gone.durable && gone.unread));
        let most = self.left_unread.range((inbox, 0)..(inbox, u64::MAX));
        (durably.count() as u64, most.count() as u64)
    }

    /// The broker crashed.
    pub(super) fn crashed(&mut self) {
        self.run += 1;
        self.fading.clear();
        // Some of what was encoded for QoS 0 may have been written and removed.
    }

    /// Whether it has left its inbox, in this run of the broker.
    pub(super) fn is_gone(&self, at: usize) -> bool {
        self.all[at]
            .gone
            .is_some_and(|gone| gone.durable || gone.run == self.run)
    }

    /// What has this place.
    pub(super) fn at(&self, inbox: usize, seq: u64) -> Option<usize> {
        self.inboxes.get(&(inbox, seq)).copied()
    }

    /// It is known that it durably left.
    pub(super) fn has_durably_left(&mut self, at: usize) -> Check {
        match self.all[at].gone.as_mut() {
            Some(gone) => gone.durable = true,
            None => {
                return Err(format!(
                    "rule 11: m{at} is in its inbox, and its sender has a receipt for it"
                ));
            }
        }
        Ok(())
    }

    /// Whether it left unread, by a rule that somebody was told about.
    pub(super) fn left_unread(&self, at: usize) -> bool {
        self.all[at].left
    }

    /// Whether its reader had it.
    pub(super) fn was_read(&self, at: usize) -> bool {
        let mail = &self.all[at];
        mail.being_written || mail.gone.is_some_and(|gone| !gone.unread)
    }

    /// Whether it must be in its inbox.
    pub(super) fn must_be_there(&self, at: usize) -> bool {
        let mail = &self.all[at];
        mail.promised && mail.gone.is_none() && !mail.being_written
    }

    /// Checks that it may be sent to a reader who began to read at `since`.
    pub(super) fn may_be_sent(&mut self, at: usize, since: u64) -> Check {
        let run = self.run;
        if self.all[at].repeats.is_some_and(|first| self.all[first].promised) {
            return Err(format!(
                "rule 10: m{at} repeats a QoS 2 publish and is delivered as well"
            ));
        }
        let mail = &mut self.all[at];
        if mail.refused {
            return Err(format!("rule 3: m{at} was refused, and is delivered nevertheless"));
        }
        if mail.qos == 0 && (mail.sent > 0 || mail.given < since) {
            return Err(format!(
                "rule 9: m{at} has QoS 0, and is delivered twice or to a reader who came later"
            ));
        }
        match mail.gone {
            None => {}
            // It was on its way already when it expired or was dropped.
            Some(gone) if gone.unread && gone.run == run && gone.tick >= since => {}
            Some(gone) if gone.durable => {
                return Err(format!("rule 5: m{at} is delivered after its removal is durable"));
            }
            Some(gone) if gone.run == run && gone.tick < since => {
                return Err(format!(
                    "rule 5: m{at} is delivered again to a reader who came after it had left"
                ));
            }
            // A removal that the crash undid.
            Some(gone) if gone.run < run => mail.gone = None,
            Some(_) => {}
        }
        Ok(())
    }

    /// When the message with this place was given it.
    pub(super) fn given_at(&self, inbox: usize, seq: u64) -> Option<u64> {
        self.inboxes.get(&(inbox, seq)).map(|at| self.all[*at].given_at)
    }

    /// Those of `inbox` with a seq above `after` and below `before`.
    pub(super) fn between(&self, inbox: usize, after: u64, before: u64) -> impl Iterator<Item = usize> {
        self.inboxes
            .range((inbox, after.saturating_add(1))..(inbox, before.max(after.saturating_add(1))))
            .map(|(_, at)| *at)
    }

    /// When it was given its place.
    pub(super) fn accepted_at(&self, at: usize) -> u64 {
        self.all[at].given_at
    }

    /// How many times the broker was started.
    pub(super) fn run(&self) -> u32 {
        self.run
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }
}
