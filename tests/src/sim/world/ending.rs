//! The end of a run, in which nothing goes wrong.

use super::{Check, MILLI, SECOND, World};

/// Rounds of doing everything that can be done, after which a broker that is not quiet never will be.
const QUIET_ROUNDS_MAX: usize = 8_000;

impl World {
    /// Nothing goes wrong any more: whoever is connected gets everything, and then everybody comes and reads all there is.
    pub(in crate::sim) fn finish(&mut self) -> Check {
        if self.dying.is_some() {
            self.crash()?;
        }
        if self.broker.is_none() {
            self.start()?;
        }
        self.trace
            .say(self.clock.mono(), format_args!("nothing goes wrong from here on"));
        self.open_all()?;
        self.settle()?;
        self.oracle.check_quiet()?;
        for round in 0..2 {
            // What is read makes receipts, for some who have read already; and so does what is found to be expired then.
            // Where inboxes are small, many of them wait for room.
            for _ in 0..if self.limits.inbox_messages_max < 20 || self.limits.inbox_bytes_max < 10_000 {
                12
            } else {
                3
            } {
                if let Some(broker) = &self.broker {
                    broker.look_after_receipts(&self.disk);
                    self.take_notes()?;
                }
                match self.ends_in_turn {
                    true => self.read_in_turn()?,
                    false => self.read_together()?,
                }
            }
            // Who waits for room in the whole broker is told then.
            self.housekeeping()?;
            self.settle()?;
            self.read_ordinary()?;
            self.oracle.check_quiet()?;
            self.oracle.check_empty()?;
            self.check_totals()?;
            if round == 0 {
                self.pass(SECOND);
                self.settle()?;
                self.crash()?;
                self.start()?;
            }
        }
        Ok(())
    }

    fn read_together(&mut self) -> Check {
        for client in 0..self.clients.len() {
            self.give_up(client);
            self.connect(client, true);
        }
        self.settle()?;
        for client in 0..self.clients.len() {
            self.read_all(client);
        }
        self.settle()
    }

    /// When the others have gone, each client is let in and gets all there is.
    fn read_in_turn(&mut self) -> Check {
        for client in 0..self.clients.len() {
            for other in 0..self.clients.len() {
                self.give_up(other);
            }
            self.settle()?;
            self.housekeeping()?;
            self.connect(client, true);
            self.settle()?;
            if !self.clients[client].is_up {
                // Sessions that are kept use a small budget up. They do not outlive the process.
                self.crash()?;
                self.start()?;
                self.connect(client, true);
                self.settle()?;
            }
            self.read_all(client);
            self.settle()?;
        }
        Ok(())
    }

    fn read_all(&mut self, client: usize) {
        if let Some(link) = self.current[client] {
            let sent = self.clients[client].read(1, false);
            self.send(link, vec![sent]);
        }
    }

    /// Does everything that can be done until nothing is left to do.
    pub(super) fn settle(&mut self) -> Check {
        let mut quiet = 0;
        for _ in 0..QUIET_ROUNDS_MAX {
            let before = self.trace.lines();
            for at in self.alive.clone() {
                self.links[at].arrived = self.links[at].up.len();
                self.turn(at)?;
                self.write(at)?;
                if self.links[at].is_cut && self.links[at].conn.is_some() {
                    self.cut(at)?;
                }
                self.client_reads(at)?;
                if self.links[at].is_ordinary {
                    self.ordinary_settles(at);
                    continue;
                }
                let client = self.links[at].client;
                if self.current[client] == Some(at) && self.clients[client].is_up {
                    let sent = self.clients[client].settle(&mut self.random);
                    self.send(at, sent);
                }
            }
            self.page_step()?;
            self.commit_step()?;
            self.pass(20 * MILLI);
            let idle = self.trace.lines() == before && self.pages.is_empty() && self.commit.is_none();
            let moving = self
                .alive
                .iter()
                .any(|&at| !self.links[at].down.is_empty() || self.links[at].seen > 0);
            quiet = if idle && !moving { quiet + 1 } else { 0 };
            // Long enough for every hold and flush interval, and for mail with QoS 0 to settle.
            if quiet > 80 {
                return Ok(());
            }
        }
        Err("the broker does not come to rest".into())
    }
}
