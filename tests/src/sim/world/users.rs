//! Worlds in which clients have users: rules that are read again, and strangers who try to come in under others' client IDs.

use std::sync::Arc;

use access::Rules;
use inboxd::single::Rights;

use super::{Check, World};
use crate::sim::client::{Client, Persona};
use crate::sim::law::Law;
use crate::sim::oracle::{Access, Said};
use crate::sim::users::{Bearer, CLIENTS, OF_GATE, Registrar, Token, USERS};
use crate::{Connect, Version};

/// What such a world has beside others.
pub(super) struct Users {
    strangers_max: Option<u32>,
    law: Law,
}

impl Users {
    /// One seed in so many: the others mean what they meant before there were users.
    pub(super) const ONE_IN: u64 = 4;
}

impl World {
    /// Makes it such a world.
    pub(super) fn have_users(&mut self) {
        let clients = self.random.between(4, CLIENTS.len());
        let strangers_max = self.random.percent(40).then(|| self.random.between(1, 3) as u32);
        let law = Law::open();
        // A small budget would forget lists and strangers.
        self.limits.memory_bytes_max = usize::MAX;
        self.names = CLIENTS[..clients].iter().map(|(id, _)| (*id).to_owned()).collect();
        self.current = vec![None; clients];
        self.clients = (0..clients)
            .map(|at| Client::new(at, self.names.clone(), false))
            .collect();
        for (at, client) in self.clients.iter_mut().enumerate() {
            // What a will does to strangers is not seen from outside, where the inbox does not take it.
            client.persona = Some(Persona::new(at, self.clock.clone(), strangers_max.is_none()));
        }
        self.oracle.have_clients(clients);
        self.oracle.access = Some(Access::new(law.clone(), strangers_max, self.clock.offset()));
        self.trace.say(
            0,
            format_args!("{clients} clients of users, strangers {strangers_max:?}"),
        );
        self.users = Some(Users { strangers_max, law });
    }

    /// What the clients of a broker that starts may do.
    pub(super) fn rights(&self) -> Result<Rights, String> {
        let Some(users) = &self.users else {
            return Ok(Rights::default());
        };
        Ok(Rights {
            authenticator: Arc::new(Registrar(self.clock.clone())),
            rules: rules(&users.law)?,
            strangers_max: users.strangers_max,
        })
    }

    pub(super) fn something_of_users(&mut self) -> Check {
        match self.random.below(3) {
            0 => {
                let law = Law::random(&mut self.random, self.clients.len());
                self.read_again(law)
            }
            _ => {
                self.intrude();
                Ok(())
            }
        }
    }

    /// Everybody may do everything from here on.
    pub(super) fn open_all(&mut self) -> Check {
        match self.users {
            Some(_) => self.read_again(Law::open()),
            None => Ok(()),
        }
    }

    /// The rules are read again.
    fn read_again(&mut self, law: Law) -> Check {
        self.trace.say(self.clock.mono(), format_args!("the rules are {law:?}"));
        if let Some(broker) = self.broker.as_mut() {
            broker.enforce(rules(&law)?);
        }
        if let Some(access) = &mut self.oracle.access {
            access.law = law.clone();
        }
        if let Some(users) = &mut self.users {
            users.law = law;
        }
        Ok(())
    }

    /// Somebody comes under a client ID that is not for its user, or with a token that is over.
    fn intrude(&mut self) {
        let client = self.random.below(self.clients.len());
        let user = self.random.below(USERS.len());
        let is_late = self.random.percent(30);
        let token = Token {
            user,
            is_service: self.random.percent(30),
            lists: false,
            // Long before any wall clock.
            expires_at: is_late.then_some(1),
        };
        let who = Bearer { client, token };
        let may = !is_late && Law::open().may_be(who);
        let Some(broker) = self.broker.as_mut().filter(|_| !may && client != OF_GATE) else {
            return;
        };
        let conn = broker.connect();
        let version = self.random.pick(&Version::BOTH);
        let said = Said::Connect {
            version,
            window: 65_535,
            clean: true,
            for_ever: false,
            will: None,
        };
        let at = self.link(client, version, conn);
        self.oracle.claims(at, who, None);
        self.trace.say(
            self.clock.mono(),
            format_args!("somebody comes as c{client}, and shows {token:?}"),
        );
        let bytes = Connect::new(version, &self.names[client]).login("any", token.text());
        self.send(at, vec![(bytes.encode(), said)]);
    }

    /// A client that is told nothing notices that its connection has ended, and may come again.
    pub(super) fn is_turned_away(&mut self, at: usize) {
        let link = &self.links[at];
        let (client, has_heard_all) = (link.client, link.down.is_empty());
        if self.users.is_some() && has_heard_all && self.current[client] == Some(at) {
            self.give_up(client);
        }
    }
}

fn rules(law: &Law) -> Result<Rules, String> {
    Rules::parse(&law.toml(), "").map_err(|(line, why)| format!("the rules, line {line}: {why}"))
}
