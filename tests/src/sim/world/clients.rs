//! The clients' side of the network: they connect, say what they choose, read what arrived, and go away.

use inboxd::single::ConnId;

use super::{Check, Link, World, show};
use crate::sim::client::Sent;
use crate::sim::users::Bearer;
use crate::{Packet, Version};

impl World {
    pub(super) fn client_acts(&mut self) -> Check {
        let at = self.random.below(self.clients.len());
        match self.current[at] {
            None if self.random.percent(25) => self.connect(at, false),
            None => {}
            // Somebody else comes with the same name, or the same one after its network went away.
            Some(_) if self.random.percent(2) => {
                self.give_up(at);
                self.connect(at, false);
            }
            Some(link) if self.clients[at].is_up => {
                if self.random.percent(4) {
                    let sent = self.clients[at].leave(&mut self.random);
                    self.send(link, vec![sent]);
                    self.give_up(at);
                } else {
                    let sent = self.clients[at].act(&mut self.random, &mut self.oracle.ledger);
                    self.send(link, sent);
                }
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// A connection has begun. Gives its place among the links.
    pub(super) fn link(&mut self, client: usize, version: Version, conn: ConnId) -> usize {
        let at = self.links.len();
        self.links.push(Link::new(client, version, conn, false));
        self.alive.push(at);
        self.oracle.connected(at, client);
        at
    }

    pub(super) fn connect(&mut self, client: usize, plain: bool) {
        let Some(broker) = self.broker.as_mut() else { return };
        let conn = broker.connect();
        let sent = self.clients[client].connect(&mut self.random, &mut self.oracle.ledger, plain);
        let at = self.link(client, self.clients[client].version, conn);
        self.current[client] = Some(at);
        if let Some(persona) = &self.clients[client].persona {
            let who = Bearer {
                client,
                token: persona.shown,
            };
            self.trace
                .say(self.clock.mono(), format_args!("c{client} shows {:?}", persona.shown));
            self.oracle.claims(at, who, persona.will);
        }
        self.send(at, vec![sent]);
    }

    /// A client gives its connection up. The broker may not notice for a while.
    pub(super) fn give_up(&mut self, client: usize) {
        if let Some(at) = self.current[client].take() {
            self.trace
                .say(self.clock.mono(), format_args!("c{client} gives up link {at}"));
            self.links[at].is_cut = true;
            self.clients[client].down();
        }
    }

    /// The client of this link gives it up.
    pub(super) fn give_up_link(&mut self, at: usize) {
        match self.links[at].is_ordinary {
            true => self.ordinary_gives_up(at),
            false => self.give_up(self.links[at].client),
        }
    }

    pub(super) fn send(&mut self, at: usize, sent: Vec<Sent>) {
        let link = &mut self.links[at];
        for (bytes, said) in sent {
            self.trace.say(
                self.clock.mono(),
                format_args!("{} says on link {at}: {said:?}", link.name()),
            );
            link.up.extend(bytes);
            link.said.push_back((link.up.len(), said));
        }
    }

    pub(super) fn client_reads(&mut self, at: usize) -> Check {
        let link = &mut self.links[at];
        let most = self.random.pick(&[1, 20, 1000, usize::MAX]).min(link.down.len());
        link.got.extend(link.down.drain(..most));
        if link.is_cut {
            link.down.clear();
            self.retire(at);
            return Ok(());
        }
        while let Some((packet, used)) = Packet::take(self.links[at].version, &self.links[at].got) {
            self.links[at].got.drain(..used);
            if self.links[at].is_ordinary {
                self.ordinary_gets(at, packet)?;
                continue;
            }
            let client = self.links[at].client;
            self.trace
                .say(self.clock.mono(), format_args!("c{client} gets {}", show(&packet)));
            let sent = self.clients[client].receive(packet, &mut self.random, &mut self.oracle.ledger)?;
            self.send(at, sent);
        }
        let link = &self.links[at];
        if link.conn.is_none() && link.down.is_empty() {
            self.give_up_link(at);
            self.retire(at);
        }
        Ok(())
    }

    pub(super) fn retire(&mut self, at: usize) {
        let link = &self.links[at];
        if link.conn.is_none() && (link.is_cut || link.down.is_empty()) {
            self.alive.retain(|alive| *alive != at);
        }
    }
}
