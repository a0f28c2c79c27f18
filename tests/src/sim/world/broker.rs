//! The broker's side of the network: bytes arrive, connections take their turns and end, and the oracle looks at all of it.

use inbox_bridge::{ClientId, NOTICE_FROM, take_given, take_given_back};
use inboxd::single::Ended;

use super::{Check, World, show};
use crate::Packet;
use crate::sim::client::mail_of;
use crate::sim::oracle::Said;

/// The broker looks at its budget whenever it has grown by so many bytes.
const MEMORY_BYTES_UNNOTICED: usize = 4096;

impl World {
    /// Bytes of a client arrive.
    pub(super) fn arrive(&mut self, at: usize) -> Check {
        let link = &mut self.links[at];
        let most = self.random.pick(&[1, 7, 60, usize::MAX]);
        link.arrived = link.up.len().min(link.arrived.saturating_add(most));
        self.offer(at)
    }

    /// Gives the broker what has arrived.
    fn offer(&mut self, at: usize) -> Check {
        let (Some(broker), Some(conn)) = (self.broker.as_mut(), self.links[at].conn) else {
            return Ok(());
        };
        broker.look_again(conn);
        let link = &mut self.links[at];
        if link.arrived == 0 {
            return Ok(());
        }
        let reads = broker.takes_bytes(conn);
        self.oracle.reads(at, reads);
        if !reads {
            return Ok(());
        }
        let used_before = broker.memory_used();
        let received = broker.receive(conn, &link.up[..link.arrived]);
        let used = *received.as_ref().unwrap_or(&link.arrived);
        link.up.drain(..used);
        link.arrived -= used;
        for (end, _) in &mut link.said {
            *end = end.saturating_sub(used);
        }
        let used = used_before.min(broker.memory_used());
        self.is_over_budget = used >= self.limits.memory_bytes_max.saturating_add(MEMORY_BYTES_UNNOTICED);
        let code = received.as_ref().err().and_then(code_of);
        let counts = received.is_ok() || self.oracle.counts_at_end(at, code);
        while self.links[at].said.front().is_some_and(|(end, _)| *end == 0) {
            let Some((_, said)) = self.links[at].said.pop_front() else {
                break;
            };
            self.trace.say(
                self.clock.mono(),
                format_args!("the broker takes from link {at}: {said:?}"),
            );
            let mono = self.time_of_change();
            if let (Some(ordinary), Said::Ordinary(word)) = (&mut self.ordinary, &said) {
                ordinary.book.now = self.clock.mono();
                ordinary.book.took(at, word);
            } else if counts {
                self.oracle.took(at, &said, mono)?;
                if matches!(said, Said::Connect { .. }) {
                    self.opens(at)?;
                }
            }
        }
        match received {
            Ok(_) => self.observe(at),
            Err(ended) => self.ended(at, &ended),
        }
    }

    /// A client that the broker let in has its session, and may not know of it yet.
    fn opens(&mut self, at: usize) -> Check {
        let (Some(broker), Some(conn)) = (self.broker.as_ref(), self.links[at].conn) else {
            return Ok(());
        };
        let Some(is_resumed) = broker.is_resumed(conn) else {
            return Ok(());
        };
        if !is_resumed {
            self.clients[self.links[at].client].session_is_lost();
        }
        self.oracle.opens(at, is_resumed)
    }

    pub(super) fn turn(&mut self, at: usize) -> Check {
        self.offer(at)?;
        let (Some(broker), Some(conn)) = (self.broker.as_mut(), self.links[at].conn) else {
            return Ok(());
        };
        self.oracle.reads(at, broker.takes_bytes(conn));
        if let Err(ended) = broker.turn(conn) {
            return self.ended(at, &ended);
        }
        self.oracle.reads(at, broker.takes_bytes(conn));
        self.observe(at)?;
        self.oracle.check_acknowledges(at)?;
        self.oracle.check_goes_on(at)
    }

    /// The socket takes some bytes.
    pub(super) fn write(&mut self, at: usize) -> Check {
        let (Some(broker), Some(conn)) = (self.broker.as_mut(), self.links[at].conn) else {
            return Ok(());
        };
        let waiting = broker.out(conn).len();
        let n = self.random.pick(&[1, 50, usize::MAX, usize::MAX]).min(waiting);
        if n == 0 {
            return Ok(());
        }
        let link = &mut self.links[at];
        link.down.extend(&broker.out(conn)[..n]);
        link.seen -= n;
        broker.written(conn, n);
        let mono = self.time_of_change();
        self.oracle.wrote(at, n, mono);
        self.observe(at)
    }

    /// The network goes away, or the broker notices that it has.
    pub(super) fn cut(&mut self, at: usize) -> Check {
        let link = &self.links[at];
        if !link.is_cut {
            if self.random.percent(70) {
                return Ok(());
            }
            self.give_up_link(at);
        }
        let (Some(broker), Some(conn)) = (self.broker.as_mut(), self.links[at].conn) else {
            return Ok(());
        };
        broker.lost(conn);
        self.ended(
            at,
            &Ended {
                last: Vec::new(),
                closed: None,
            },
        )
    }

    fn ended(&mut self, at: usize, ended: &Ended) -> Check {
        self.trace.say(
            self.clock.mono(),
            format_args!("the broker ends link {at}: {:?}", ended.closed),
        );
        self.oracle.ends(at, ended.closed.is_some());
        self.take_notes()?;
        self.oracle.check_wills(false)?;
        let link = &mut self.links[at];
        let last = ended.last.get(link.seen..).unwrap_or_default().to_vec();
        link.conn = None;
        // The last bytes may arrive, or not.
        if self.random.percent(70) {
            link.down.extend(&ended.last);
        }
        self.look(at, &last)?;
        self.oracle.check_ending(at, code_of(ended))?;
        self.oracle.check_was_stuck(at, code_of(ended))?;
        self.oracle.ended(at);
        if let Some(ordinary) = &mut self.ordinary {
            ordinary.book.ended(at);
        }
        self.retire(at);
        self.is_turned_away(at);
        match ended.closed.as_ref() {
            Some((0x82 | 0x93 | 0x81 | 0x80, why)) => Err(format!("a client that keeps the rules was cut off: {why}")),
            _ => Ok(()),
        }
    }

    /// The oracle looks at what the broker did.
    fn observe(&mut self, at: usize) -> Check {
        self.take_notes()?;
        self.oracle.check_wills(false)?;
        let (Some(broker), Some(conn)) = (self.broker.as_ref(), self.links[at].conn) else {
            return Ok(());
        };
        let out = broker.out(conn);
        let new = out.get(self.links[at].seen..).unwrap_or_default().to_vec();
        let (waiting, length) = (broker.mail_waiting(conn), out.len());
        self.links[at].seen = length;
        self.look(at, &new)?;
        self.oracle.check_memory(at, waiting, length)
    }

    fn look(&mut self, at: usize, new: &[u8]) -> Check {
        let link = &mut self.links[at];
        link.partial.extend(new);
        while let Some((packet, used)) = Packet::take(self.links[at].version, &self.links[at].partial) {
            self.links[at].partial.drain(..used);
            self.trace.say(
                self.clock.mono(),
                format_args!("the broker answers on link {at}: {}", show(&packet)),
            );
            if self.links[at].is_ordinary {
                self.ordinary_is_told(at, &packet)?;
                continue;
            }
            self.oracle.says(at, &packet, used, &self.names, self.clock.mono())?;
        }
        Ok(())
    }

    /// Who got which seq, and what left.
    pub(super) fn take_notes(&mut self) -> Check {
        // Of the last packets that were taken, before and after. Notices are accepted nevertheless: they are few.
        let is_over_budget = std::mem::take(&mut self.is_over_budget);
        // Receipts that had a place before, and found no room.
        for seq in take_given_back() {
            self.oracle.notice_given_back(seq.0);
        }
        for given in take_given() {
            let inbox = self.client(&given.inbox);
            if given.message.from == *NOTICE_FROM {
                self.trace
                    .say(self.clock.mono(), format_args!("a notice is {} of c{inbox}", given.seq));
                self.oracle
                    .notice_given(inbox, given.seq.0, self.clock.mono(), &given.message, &self.names)?;
                continue;
            }
            let Some(mail) = mail_of(&given.message.payload) else {
                let (from, seq) = (self.client(&given.message.from), given.seq.0);
                self.trace.say(
                    self.clock.mono(),
                    format_args!("a recall of c{from} is {seq} of c{inbox}"),
                );
                let now = self.clock.mono();
                self.oracle
                    .recall_given(from, inbox, seq, now, &given.message.payload)?;
                continue;
            };
            self.trace
                .say(self.clock.mono(), format_args!("m{mail} is {} of c{inbox}", given.seq));
            if is_over_budget {
                return Err(format!("bounded memory: m{mail} was accepted beyond the budget"));
            }
            let now = self.clock.mono();
            self.oracle.given(mail, inbox, given.seq.0, now)?;
        }
        self.take_events();
        let left = std::mem::take(&mut *self.watcher.0.lock().unwrap());
        for (inbox, seq, why) in left {
            let inbox = self.client(&inbox);
            self.trace
                .say(self.clock.mono(), format_args!("{seq} of c{inbox} {why}"));
            let mono = self.time_of_change();
            self.oracle.left(inbox, seq, why, self.clock.mono(), mono)?;
        }
        Ok(())
    }

    fn client(&self, id: &ClientId) -> usize {
        self.names
            .iter()
            .position(|name| name == id.as_str())
            .unwrap_or(usize::MAX)
    }

    /// What changes now is due on disk some time after this; `None` while a commit keeps the disk busy.
    fn time_of_change(&self) -> Option<u64> {
        self.commit.is_none().then(|| self.clock.mono())
    }
}

/// Why the broker ended it, if it did.
fn code_of(ended: &Ended) -> Option<u8> {
    ended.closed.as_ref().map(|(code, _)| *code)
}
