//! Listeners of Mosquitto: the default one, and those that `listener` begins.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::lines::Line;
use super::spans::{number, toml_path, toml_text, truth};
use super::{Around, Note};

/// As many as inboxd takes beside `mqtt.listen`.
const LISTENERS_MAX: usize = 64;
const DEFAULT_PORT: u16 = 1883;

/// All listeners, as far as they were read.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    /// What is set before the first `listener`.
    default: One,
    others: Vec<One>,
}

#[derive(Debug, Default)]
struct One {
    /// The line that begins it.
    line: Option<Line>,
    /// The first line that is about the default one, which no line begins.
    first: Option<Line>,
    port: Option<u16>,
    /// Where, if that is said.
    host: Option<String>,
    is_web: bool,
    /// It cannot be made into a listener, and a note says why.
    is_lost: bool,
    certificate: Option<Line>,
    key: Option<Line>,
    ca: Option<Line>,
    requires_certificate: bool,
    names_user: Option<Line>,
    connections_max: Option<(i64, Line)>,
}

/// Listeners as inboxd has them.
#[derive(Debug)]
pub(super) struct Written {
    /// The address of `mqtt.listen`, and the line that it comes from.
    pub(super) main: Option<(String, String)>,
    /// Tables of `[[listener]]`, as TOML.
    pub(super) others: Vec<String>,
    /// How many connections there may be, and the lines that say so.
    pub(super) most: Option<(i64, Vec<Line>)>,
}

impl Listeners {
    /// Takes a directive that is about a listener. Gives whether it is one of those.
    pub(super) fn take(&mut self, line: &Line, notes: &mut Vec<Note>) -> bool {
        if line.name == "listener" {
            self.others.push(One::begun(line, notes));
            return true;
        }
        let now = self.others.last_mut().unwrap_or(&mut self.default);
        let is_taken = now.take(line, notes);
        if is_taken && now.line.is_none() && now.first.is_none() && now.is_meant() {
            now.first = Some(line.clone());
        }
        is_taken
    }

    /// The line that says that a certificate names the user.
    pub(super) fn names_users(&self) -> Option<Line> {
        let asking = self.all().filter(|one| one.asks_for_certificates());
        asking.filter_map(|one| one.names_user.clone()).next()
    }

    fn all(&self) -> impl Iterator<Item = &One> {
        std::iter::once(&self.default).chain(&self.others)
    }

    /// With `is_closed`, nobody could come in: then they are for this machine alone, where inboxd asks nobody.
    pub(super) fn written(&self, around: &Around<'_>, is_closed: bool, notes: &mut Vec<Note>) -> Written {
        let mut written = Written {
            main: None,
            others: Vec::new(),
            most: self.most(notes),
        };
        let mut ports = BTreeMap::new();
        for one in self.all().filter(|one| one.is_meant() && !one.is_lost) {
            let from = one
                .line
                .as_ref()
                .map_or_else(|| "the default listener".to_owned(), Line::text);
            let mut note = |why: &str| {
                notes.push(Note {
                    place: one.begins().map(|line| (super::lines::CONF, line.number)),
                    text: from.clone(),
                    why: why.to_owned(),
                });
            };
            let mut address = one.address(&mut note);
            if is_closed && !address.ip().is_loopback() {
                note(
                    "nobody could come in there: no users are known, and allow_anonymous is not true. It listens on this machine alone; set up \
                     [auth] (docs/security.md), then change its address",
                );
                address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
            }
            if let Some(other) = ports.get(&address.port()) {
                note(&format!(
                    "{other} has this port, and it is not seen here whether the two go together; add it yourself"
                ));
                continue;
            }
            ports.insert(address.port(), one.named());
            one.say_what_is_of_no_use(&mut note);
            let is_plain = one.certificate.is_none() && one.key.is_none() && !one.is_web;
            if is_plain && written.main.is_none() {
                written.main = Some((address.to_string(), from));
            } else if written.others.len() == LISTENERS_MAX {
                note("there are at most 64 listeners beside mqtt.listen");
            } else if let Some(table) = one.table(address, &from, around, &mut note) {
                written.others.push(table);
            }
        }
        written
    }

    /// The limit is one for all of them. Where one listener has none, their sum would be a limit that Mosquitto did not have.
    fn most(&self, notes: &mut Vec<Note>) -> Option<(i64, Vec<Line>)> {
        let meant = self.all().filter(|one| one.is_meant() && !one.is_lost).count();
        let limits = self.all().filter(|one| !one.is_lost);
        let limits: Vec<&(i64, Line)> = limits.filter_map(|one| one.connections_max.as_ref()).collect();
        if limits.len() < meant {
            for (_, line) in limits {
                notes.push(line.note(
                    "there is one limit for all listeners, and another listener has none: set mqtt.connections_max yourself (50000 where \
                     nothing is said)",
                ));
            }
            return None;
        }
        let sum: i64 = limits.iter().map(|(most, _)| *most).sum();
        let lines: Vec<Line> = limits.iter().map(|(_, line)| line.clone()).collect();
        (!lines.is_empty()).then(|| (sum.clamp(1, 10_000_000), lines))
    }
}

impl One {
    fn begun(line: &Line, notes: &mut Vec<Note>) -> Self {
        let mut words = line.value.split_whitespace();
        let port = words.next().and_then(|port| port.parse().ok());
        let host = words.next().map(str::to_owned);
        let is_lost = port.is_none_or(|port: u16| port == 0);
        if is_lost {
            notes.push(
                line.note("it is a port, and an address if that is not to be any; sockets of Unix are not listened on"),
            );
        }
        One {
            line: Some(line.clone()),
            port,
            host,
            is_lost,
            ..One::default()
        }
    }

    /// The line by which it is there.
    fn begins(&self) -> Option<&Line> {
        self.line.as_ref().or(self.first.as_ref())
    }

    /// What other lines call it.
    fn named(&self) -> String {
        match (&self.line, &self.first) {
            (Some(line), _) => format!("the listener of line {} ({})", line.number, line.text()),
            (None, Some(line)) => format!(
                "the default listener, which is there because of line {} ({}),",
                line.number,
                line.text()
            ),
            (None, None) => "another listener".to_owned(),
        }
    }

    /// Whether there is such a listener at all: the default one is there only when something is set for it.
    fn is_meant(&self) -> bool {
        let has_files = self.certificate.is_some() || self.key.is_some() || self.ca.is_some();
        let is_set = self.port.is_some() || self.host.is_some() || self.connections_max.is_some();
        self.line.is_some()
            || is_set
            || has_files
            || self.is_web
            || self.requires_certificate
            || self.names_user.is_some()
    }

    fn take(&mut self, line: &Line, notes: &mut Vec<Note>) -> bool {
        let value = line.value.as_str();
        let mut refuse = |why: &str| notes.push(line.note(why));
        match line.name.as_str() {
            "port" => match value.parse().ok().filter(|port: &u16| *port != 0) {
                Some(port) => self.port = Some(port),
                None => refuse("it is a port, 1 to 65535"),
            },
            "bind_address" => self.host = Some(value.to_owned()),
            "protocol" => match value {
                "mqtt" => {}
                "websockets" => self.is_web = true,
                _ => refuse("it is mqtt or websockets"),
            },
            "certfile" => self.certificate = Some(line.clone()),
            "keyfile" => self.key = Some(line.clone()),
            "cafile" => self.ca = Some(line.clone()),
            "require_certificate" => match truth(value) {
                Some(requires) => self.requires_certificate = requires,
                None => refuse("it is true or false"),
            },
            "use_identity_as_username" => match truth(value) {
                Some(true) => self.names_user = Some(line.clone()),
                Some(false) => {}
                None => refuse("it is true or false"),
            },
            "max_connections" => match number(value) {
                Some(most @ 1..) => {
                    let before = self.connections_max.replace((most.min(10_000_000), line.clone()));
                    if let Some((_, other)) = before {
                        notes.push(other.note("a later line says another limit for this listener, which was taken"));
                    }
                }
                _ => refuse("there is always a limit: mqtt.connections_max is 50000 where nothing is said"),
            },
            _ => return false,
        }
        true
    }

    /// Whether clients show a certificate there.
    fn asks_for_certificates(&self) -> bool {
        let has_tls = self.certificate.is_some() && self.key.is_some();
        has_tls && self.requires_certificate && self.ca.is_some() && !self.is_lost
    }

    fn say_what_is_of_no_use(&self, note: &mut impl FnMut(&str)) {
        if self.names_user.is_some() && !self.asks_for_certificates() {
            note("use_identity_as_username is of no use where clients need not show a certificate; it is left out");
        }
        if !self.requires_certificate && self.ca.is_some() {
            note("cafile is of no use where clients need not show a certificate; it is left out");
        }
        if self.requires_certificate && self.certificate.is_none() {
            note("require_certificate is of no use without certfile and keyfile; it is left out");
        }
    }

    fn address(&self, note: &mut impl FnMut(&str)) -> SocketAddr {
        let port = self.port.unwrap_or(DEFAULT_PORT);
        let ip = match self.host.as_deref() {
            // Without any address, Mosquitto serves this machine alone.
            None if self.line.is_none() && self.port.is_none() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            None => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            Some("localhost") => IpAddr::V4(Ipv4Addr::LOCALHOST),
            Some(host) => host.parse().unwrap_or_else(|_| {
                note(
                    "names are not looked up here: it listens on this machine alone; write the IP address into listen",
                );
                IpAddr::V4(Ipv4Addr::LOCALHOST)
            }),
        };
        SocketAddr::new(ip, port)
    }

    /// As TOML, with the name of its port.
    fn table(
        &self,
        address: SocketAddr,
        from: &str,
        around: &Around<'_>,
        note: &mut impl FnMut(&str),
    ) -> Option<String> {
        let path = |line: &Line| toml_path(&around.from.join(&line.value));
        let tls = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            // In the clear it would be something else than what was meant.
            _ => {
                note("TLS needs certfile and keyfile; it is left out");
                return None;
            }
        };
        let transport = match (tls.is_some(), self.is_web) {
            (false, false) => "tcp",
            (false, true) => "ws",
            (true, false) => "tls",
            (true, true) => "wss",
        };
        let port = address.port();
        let mut table = format!(
            "# {from}\n[[listener]]\nname = \"port-{port}\"\nlisten = \"{address}\"\ntransport = \"{transport}\"\n"
        );
        let mut say = |key: &str, value: &str| table.push_str(&format!("{key} = {value}\n"));
        if let Some((certificate, key)) = tls {
            say("certificate", &path(certificate));
            say("key", &path(key));
            match (self.requires_certificate, &self.ca) {
                (true, Some(ca)) => {
                    say("client_certificates", &toml_text("required"));
                    say("client_ca", &path(ca));
                }
                (true, None) => {
                    note("clients are to show certificates, and cafile does not say who signs them; it is left out");
                    return None;
                }
                (false, _) => {}
            }
        }
        if self.is_web {
            say("origins", "[]");
        }
        Some(table)
    }
}
