//! Worlds with ordinary topics: clients that publish and subscribe there, beside those that write and read mail.

use std::time::Duration;

use super::{Check, World, show};
use crate::Packet;
use crate::sim::client::Client as MailClient;
use crate::sim::ordinary::{Book, Client};

/// Clients with mail beside these.
const MAIL_CLIENTS: usize = 2;

/// What such a world has beside others.
pub(super) struct Ordinary {
    pub(super) clients: Vec<Client>,
    /// The connection that each believes to have.
    current: Vec<Option<usize>>,
    pub(super) book: Book,
}

impl World {
    /// Makes it such a world.
    pub(super) fn have_ordinary(&mut self) {
        let kept: Vec<_> = (0..self.random.between(2, 4))
            .map(|at| at == 0 || self.random.percent(60))
            .collect();
        let new_client = |(at, is_kept): (usize, &bool)| Client::new(at, *is_kept, &mut self.random);
        let clients: Vec<_> = kept.iter().enumerate().map(new_client).collect();
        // Nothing is refused or dropped for want of room, and no session expires.
        self.limits.memory_bytes_max = usize::MAX;
        self.mqtt.queue_messages_max = 100_000;
        self.oracle.let_wait(self.mqtt.queue_messages_max);
        self.mqtt.durable_sessions = true;
        self.mqtt.session_expiry_max = Duration::from_secs(u32::MAX.into());
        // Mail is for other worlds to look at.
        self.names.truncate(MAIL_CLIENTS);
        self.current = vec![None; MAIL_CLIENTS];
        self.oracle.have_clients(MAIL_CLIENTS);
        self.clients = (0..MAIL_CLIENTS)
            .map(|at| MailClient::new(at, self.names.clone(), true).ending_at_once())
            .collect();
        self.trace.say(
            0,
            format_args!("clients of ordinary topics, with sessions that are kept: {kept:?}"),
        );
        let flush = self.limits.ack_flush_interval.as_micros() as u64;
        let in_flight_max = usize::from(self.mqtt.in_flight_max);
        self.ordinary = Some(Ordinary {
            current: vec![None; clients.len()],
            clients,
            book: Book::new(&kept, flush, in_flight_max),
        });
    }

    pub(super) fn something_ordinary(&mut self) -> Check {
        // What this is about shows after crashes.
        if self.random.below(150) == 0 {
            return self.crash();
        }
        self.ordinary_acts();
        Ok(())
    }

    /// One of these clients does something.
    fn ordinary_acts(&mut self) {
        let Some(ordinary) = &mut self.ordinary else { return };
        let client = self.random.below(ordinary.clients.len());
        let one = &mut ordinary.clients[client];
        match ordinary.current[client] {
            None if self.random.percent(25) => self.ordinary_connects(client, false),
            None => {}
            Some(link) if self.random.percent(2) => {
                self.give_up_link(link);
                self.ordinary_connects(client, false);
            }
            Some(link) if one.is_up => {
                if self.random.percent(3) {
                    let sent = one.leave();
                    self.send(link, vec![sent]);
                    self.give_up_link(link);
                } else {
                    let sent = one.act(&mut self.random, &mut ordinary.book);
                    self.send(link, sent);
                }
            }
            Some(_) => {}
        }
    }

    fn ordinary_connects(&mut self, client: usize, plain: bool) {
        let (Some(broker), Some(ordinary)) = (self.broker.as_mut(), self.ordinary.as_mut()) else {
            return;
        };
        let conn = broker.connect();
        let (sent, is_clean) = ordinary.clients[client].connect(&mut self.random, plain);
        let (version, window) = (
            ordinary.clients[client].version,
            ordinary.clients[client].receive_maximum(),
        );
        let at = self.links.len();
        ordinary.book.connects(at, client, is_clean, window);
        ordinary.current[client] = Some(at);
        self.links.push(super::Link::new(client, version, conn, true));
        self.alive.push(at);
        self.send(at, vec![sent]);
    }

    /// The client of this link gives it up, if it has not another one already.
    pub(super) fn ordinary_gives_up(&mut self, at: usize) {
        let client = self.links[at].client;
        let Some(ordinary) = &mut self.ordinary else { return };
        if ordinary.current[client] == Some(at) {
            self.trace
                .say(self.clock.mono(), format_args!("t/{client} gives up link {at}"));
            ordinary.current[client] = None;
            ordinary.clients[client].down();
            self.links[at].is_cut = true;
        }
    }

    /// The oracle of these looks at a packet of the broker.
    pub(super) fn ordinary_is_told(&mut self, at: usize, packet: &Packet) -> Check {
        match &mut self.ordinary {
            Some(ordinary) => {
                ordinary.book.now = self.clock.mono();
                ordinary.book.says(at, packet)
            }
            None => Ok(()),
        }
    }

    /// A packet has arrived at its client.
    pub(super) fn ordinary_gets(&mut self, at: usize, packet: Packet) -> Check {
        let client = self.links[at].client;
        self.trace
            .say(self.clock.mono(), format_args!("t/{client} gets {}", show(&packet)));
        let Some(ordinary) = &mut self.ordinary else {
            return Ok(());
        };
        let sent = ordinary.clients[client].receive(packet, &mut self.random, &mut ordinary.book)?;
        self.send(at, sent);
        Ok(())
    }

    /// What these owe, when all is to come to rest.
    pub(super) fn ordinary_settles(&mut self, at: usize) {
        let client = self.links[at].client;
        let Some(ordinary) = &mut self.ordinary else { return };
        if ordinary.current[client] == Some(at) && ordinary.clients[client].is_up {
            let sent = ordinary.clients[client].settle();
            self.send(at, sent);
        }
    }

    pub(super) fn ordinary_crash(&mut self) {
        let Some(ordinary) = &mut self.ordinary else { return };
        ordinary.book.crashed();
        for at in ordinary.current.clone().into_iter().flatten() {
            if !self.alive.contains(&at) || self.random.percent(50) {
                self.ordinary_gives_up(at);
            }
        }
    }

    /// Every session gets what waits for it, and a new subscription what is retained.
    pub(super) fn read_ordinary(&mut self) -> Check {
        let Some(ordinary) = &self.ordinary else {
            return Ok(());
        };
        let clients = ordinary.clients.len();
        for client in 0..clients {
            if let Some(at) = self.ordinary.as_ref().and_then(|ordinary| ordinary.current[client]) {
                self.give_up_link(at);
            }
            self.ordinary_connects(client, true);
        }
        self.settle()?;
        for client in 0..clients {
            let Some(ordinary) = &mut self.ordinary else { break };
            let link = ordinary.current[client];
            if let Some(link) = link.filter(|_| !ordinary.clients[client].is_kept) {
                let sent = ordinary.clients[client].look_at_all();
                self.send(link, vec![sent]);
            }
        }
        self.settle()?;
        match &self.ordinary {
            Some(ordinary) => {
                ordinary.clients.iter().try_for_each(Client::check_released)?;
                ordinary.book.check_quiet().and_then(|()| ordinary.book.check_empty())
            }
            None => Ok(()),
        }
    }
}
