//! What a client of a user does: it shows tokens and fresh ones, asks for changes of its lists, and tries what it may not.

use std::sync::Arc;

use super::{Client, Open, Sent};
use crate::sim::clock::SimClock;
use crate::sim::law::Request;
use crate::sim::oracle::{Filter, Said};
use crate::sim::random::Random;
use crate::sim::users::{CLIENTS, LISTED, Token, USERS};
use crate::{Connect, Props, PublishPacket, Version, packet, property, subscribe};

/// The authentication method that there is.
const METHOD: &str = "token";
/// How long tokens last, in seconds; 0: for ever.
const LASTS: [usize; 5] = [3, 15, 60, 300, 0];
/// AUTH: a fresh token (MQTT 5, section 4.12.1).
const REAUTHENTICATE: u8 = 0x19;

/// What a client of a user has beside its session.
pub(in crate::sim) struct Persona {
    pub(in crate::sim) clock: Arc<SimClock>,
    /// Whether it leaves wills.
    pub(in crate::sim) has_wills: bool,
    /// What it showed last.
    pub(in crate::sim) shown: Token,
    /// By an authentication method: it may show a fresh token.
    has_method: bool,
    /// Its will over the present connection.
    pub(in crate::sim) will: Option<usize>,
}

impl Persona {
    pub(in crate::sim) fn new(at: usize, clock: Arc<SimClock>, has_wills: bool) -> Self {
        let shown = Token {
            user: CLIENTS[at].1,
            is_service: false,
            lists: at == LISTED,
            expires_at: None,
        };
        Persona {
            clock,
            has_wills,
            shown,
            has_method: false,
            will: None,
        }
    }
}

impl Client {
    /// Shows a token. A plain one is good, and lasts.
    pub(super) fn log_in(&mut self, connect: Connect, random: &mut Random, plain: bool) -> Connect {
        let (at, version) = (self.at, self.version);
        let Some(persona) = self.persona.as_mut() else {
            return connect;
        };
        persona.shown = token(at, &persona.clock, random, plain);
        persona.has_method = version == Version::V5 && random.percent(60);
        let text = persona.shown.text();
        match persona.has_method {
            true => connect.props(auth_props(&text)),
            false => connect.login("any", text),
        }
    }

    pub(super) fn act_as_user(&mut self, random: &mut Random) -> Vec<Sent> {
        let sent = match random.below(10) {
            0..4 => self.ask(random),
            4..8 => self.show_fresh_token(random),
            _ => Some(self.try_to_read(random)),
        };
        sent.into_iter().collect()
    }

    fn ask(&mut self, random: &mut Random) -> Option<Sent> {
        let qos = random.pick(&[0, 1, 1, 2]);
        if qos > 0 && self.open.len() >= self.window {
            return None;
        }
        let request = Request::random(random, self.names.len());
        let packet_id = if qos > 0 { self.free_id() } else { 0 };
        if qos > 0 {
            let open = Open {
                request: Some(request.clone()),
                to: self.at,
                qos,
                ..Open::default()
            };
            self.begin(packet_id, open);
        }
        Some(asked(self.version, request, qos, packet_id, false))
    }

    fn show_fresh_token(&mut self, random: &mut Random) -> Option<Sent> {
        let (at, version) = (self.at, self.version);
        let persona = self
            .persona
            .as_mut()
            .filter(|persona| persona.has_method && version == Version::V5)?;
        let mut fresh = token(at, &persona.clock, random, false);
        // Mostly that of the user whose connection it is. Others may have some client IDs as well, and not go on with this one's session.
        let is_own = if at == LISTED { 40 } else { 85 };
        fresh.user = match random.percent(is_own) {
            true => persona.shown.user,
            false => random.below(USERS.len()),
        };
        let mut body = vec![REAUTHENTICATE];
        body.extend(auth_props(&fresh.text()).encode());
        Some((packet(0xF0, &body), Said::Auth { token: fresh }))
    }

    /// SUBSCRIBE to what nobody may have.
    fn try_to_read(&mut self, random: &mut Random) -> Sent {
        let packet_id = self.free_id();
        let name = &self.names[random.below(self.names.len())];
        let filter = random.pick(&["$share/all/NAME", "$SYS/#"]).replace("NAME", name);
        let what = Filter::Anothers;
        let bytes = subscribe(self.version, packet_id, &filter, 1, &Props::new());
        (bytes, Said::Subscribe { packet_id, what })
    }
}

/// A request as it is sent.
pub(super) fn asked(version: Version, request: Request, qos: u8, packet_id: u16, again: bool) -> Sent {
    let mut packet = PublishPacket::new(request.topic(), request.text(), qos, packet_id);
    if again {
        packet = packet.dup();
    }
    let said = Said::Ask {
        request,
        qos,
        packet_id,
    };
    (packet.encode(version), said)
}

/// A token for the client `at`, mostly a good one.
fn token(at: usize, clock: &SimClock, random: &mut Random, plain: bool) -> Token {
    let is_strange = !plain && random.percent(8);
    let lasts = if plain { 0 } else { random.pick(&LASTS) as u64 };
    let user = if is_strange {
        random.below(USERS.len())
    } else {
        CLIENTS[at].1
    };
    Token {
        user,
        is_service: !plain && user == 2 && random.percent(20),
        lists: at == LISTED,
        expires_at: (lasts > 0).then(|| clock.wall() / 1_000_000 + lasts),
    }
}

fn auth_props(token: &str) -> Props {
    let props = Props::new().bytes(property::AUTHENTICATION_METHOD, METHOD);
    props.bytes(property::AUTHENTICATION_DATA, token)
}
