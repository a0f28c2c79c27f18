//! The disk works, slowly; it fails; power goes away.

use inbox_bridge::{ClientId, Trouble};

use super::{Check, SECOND, World};

impl World {
    pub(super) fn commit_step(&mut self) -> Check {
        let Some(broker) = self.broker.as_ref() else {
            return Ok(());
        };
        let now = self.clock.mono();
        if let Some((pending, began)) = self.commit.take() {
            self.disk.end(pending.batch(), &mut self.random);
            let broken = broker.finish_commit(pending, Ok(()));
            broken.map_err(|error| format!("a commit that went well failed: {error}"))?;
            self.trace.say(now, format_args!("the commit ends"));
            self.take_notes()?;
            if let Some(began) = began {
                self.is_committed(began, now);
            }
            self.check_totals()?;
        } else if self.dying.is_none() {
            // An inbox whose totals cannot be read is not in it, nor is a removal of a message that is to be read first.
            let sees_all = !self.disk.lacks();
            let pending = broker.begin_commit(&self.disk, false);
            self.oracle.commit_begins();
            if let Some(ordinary) = &mut self.ordinary {
                ordinary.book.commit_begins();
            }
            let (puts, removals) = (pending.batch().puts.len(), pending.batch().removals.len());
            self.disk.begin(&mut self.random);
            if pending.batch().is_empty() {
                let broken = broker.finish_commit(pending, Ok(()));
                broken.map_err(|error| error.to_string())?;
                self.take_notes()?;
                if sees_all {
                    self.is_committed(now, now);
                }
            } else {
                self.trace
                    .say(now, format_args!("a commit begins: {puts} puts, {removals} removals"));
                self.take_notes()?;
                self.commit = Some((pending, sees_all.then_some(now)));
            }
        }
        Ok(())
    }

    fn is_committed(&mut self, began: u64, now: u64) {
        self.oracle.committed(began, now);
        if let Some(ordinary) = &mut self.ordinary {
            ordinary.book.committed(began);
        }
    }

    /// What the broker believes to be in the store is there, and no more: totals that are too small make an inbox with mail look empty.
    pub(super) fn check_totals(&self) -> Check {
        let Some(broker) = self.broker.as_ref().filter(|_| self.dying.is_none()) else {
            return Ok(());
        };
        for name in &self.names {
            let inbox = ClientId::new(name).map_err(|error| error.to_string())?;
            let Some(believed) = broker.totals(&inbox) else {
                continue;
            };
            let stored = self.disk.holds(&inbox).map_err(|error| error.to_string())?;
            if believed != stored {
                return Err(format!(
                    "the totals of {name} say {believed:?}, and the store holds {stored:?}"
                ));
            }
        }
        Ok(())
    }

    /// Writing or syncing fails. The process goes on for a moment, to tell its clients.
    pub(super) fn disk_fails(&mut self) -> Check {
        let (Some(broker), Some((pending, _))) = (self.broker.as_ref(), self.commit.take()) else {
            return Ok(());
        };
        self.trace.say(self.clock.mono(), format_args!("the disk fails"));
        let error = self.disk.fail();
        let batch = pending.batch().clone();
        let _the_error_itself = broker.finish_commit(pending, Err(error));
        // What the failed write left behind shows after the restart; until then nothing can be read.
        self.disk.crash(Some(&batch), &mut self.random);
        self.disk.fail();
        self.dying = Some(self.random.between(1, 60));
        self.take_notes()
    }

    /// The process is killed, or power goes away; it comes back later, perhaps with another time.
    pub(super) fn crash(&mut self) -> Check {
        self.trace.say(self.clock.mono(), format_args!("CRASH"));
        self.crashes += 1;
        let batch = self.commit.take().map(|(pending, _)| pending.batch().clone());
        self.disk.crash(batch.as_ref(), &mut self.random);
        (self.broker, self.dying, self.swept_to) = (None, None, None);
        self.events = None;
        self.pages.clear();
        self.watcher.0.lock().unwrap().clear();
        for at in self.alive.clone() {
            self.links[at].conn = None;
            self.retire(at);
        }
        for client in 0..self.clients.len() {
            self.clients[client].session_is_lost();
            if self.current[client].is_some_and(|at| !self.alive.contains(&at)) || self.random.percent(50) {
                self.give_up(client);
            }
        }
        self.oracle.crashed();
        self.ordinary_crash();
        let closed = self.random.pick(&[0, 0, 1, 30]) * SECOND;
        self.pass(closed);
        if self.random.percent(20) {
            self.clock_jumps()?;
        }
        if self.random.percent(15) {
            self.clock.reboot();
            self.pass(0);
            self.oracle.skew.rebooted(self.clock.offset());
            self.trace.say(self.clock.mono(), format_args!("it was a reboot"));
        }
        Ok(())
    }

    /// Reads of the store lack something for a while.
    pub(super) fn reads_lack(&mut self) -> Check {
        let trouble = self
            .random
            .pick(&[Trouble::NoDescriptors, Trouble::NoMemory, Trouble::TryAgain]);
        let reads = self.random.pick(&[1, 2, 10]);
        self.disk.lack(trouble, reads);
        Ok(())
    }

    pub(super) fn page_step(&mut self) -> Check {
        let Some(broker) = self.broker.as_ref() else {
            return Ok(());
        };
        while let Some(request) = broker.next_read() {
            self.pages.push_back((request, None));
        }
        if self.pages.is_empty() {
            return Ok(());
        }
        let at = self.random.below(self.pages.len());
        let Some((request, page)) = self.pages.remove(at) else {
            return Ok(());
        };
        match page {
            None => match broker.fetch(&self.disk, &request) {
                Ok(Some(page)) => self.pages.push_back((request, Some(page))),
                Ok(None) => {}
                Err(trouble) => {
                    self.trace
                        .say(self.clock.mono(), format_args!("a read lacks something: {trouble}"));
                    self.pages.push_back((request, None));
                    self.retried += 1;
                    if !broker.counters().contains(&("reads_retried", self.retried)) {
                        return Err("A1: a read that is tried again is not counted".into());
                    }
                }
            },
            Some(page) => broker.hand_over(&request, page),
        }
        self.take_notes()
    }
}
