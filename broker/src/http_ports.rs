//! The HTTP ports of a configuration: their sockets, and what is to be found at each.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use admin::{Health, HttpPort, Part, RunFile, Server, Settings, Site, Token, TokenError};
use transport::{Bind, BindError, Bound, TcpAddress};

use crate::addresses::{is_reachable, overlap};
use crate::config::{Config, DEFAULT_HTTP, HttpListen, HttpPart};
use crate::descriptors;
use crate::reload::Reloading;

/// How long answers that are being given may take at the end.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// Why HTTP cannot be spoken.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// An address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] BindError),
    /// The token cannot be used.
    #[error(transparent)]
    Token(#[from] TokenError),
}

/// One address, and what is to be found there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// What the line that says that the broker is ready calls it.
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    /// Another one of loopback will do.
    pub(crate) is_auto: bool,
    parts: Vec<Part>,
}

impl Place {
    pub(crate) fn has(&self, part: Part) -> bool {
        self.parts.contains(&part)
    }
}

/// Every address that the configuration names. The default one gives way (to port 0) to all that are set.
pub(crate) fn places(config: &Config) -> Vec<Place> {
    let http = &config.http;
    let parts = [
        (Part::Dashboard, http.dashboard, "http-dashboard"),
        (Part::Api, http.api, "http-api"),
        (Part::Metrics, http.metrics, "http-metrics"),
        (Part::WebSocket, http.websocket, "http-websocket"),
    ];
    let mut places = Vec::new();
    let main = match http.listen {
        HttpListen::Off => None,
        HttpListen::Auto => Some(DEFAULT_HTTP),
        HttpListen::At(address) => Some(address),
    };
    if let Some(address) = main {
        let here = parts.iter().filter(|(_, place, _)| *place == HttpPart::On);
        places.push(Place {
            name: "http",
            address,
            is_auto: http.listen == HttpListen::Auto,
            parts: here.map(|(part, ..)| *part).collect(),
        });
    }
    for (part, place, name) in parts {
        let HttpPart::At(address) = place else { continue };
        // Port 0 is another one each time.
        let same = places
            .iter_mut()
            .find(|other| other.address == address && address.port() != 0);
        match same {
            Some(other) => {
                // It was set after all.
                other.is_auto = false;
                other.parts.push(part);
            }
            None => places.push(Place {
                name,
                address,
                is_auto: false,
                parts: vec![part],
            }),
        }
    }
    let listeners = config.all_listeners().into_iter().map(|listener| listener.listen);
    let set = places.iter().filter(|place| !place.is_auto).map(|place| place.address);
    let set: Vec<_> = listeners.chain(set).collect();
    for place in places.iter_mut().filter(|place| place.is_auto) {
        if set.iter().any(|address| overlap(*address, place.address)) {
            place.address.set_port(0);
        }
    }
    places
}

/// HTTP, while the broker runs.
pub(crate) struct Http {
    pub(crate) site: Arc<Site>,
    server: Server,
    /// Every address by its name, for people: each with a space before it.
    pub(crate) addresses: String,
    run_file: Option<RunFile>,
    told: Option<Told>,
}

/// The file by which commands find the broker, as long as it is right.
struct Told(PathBuf);

impl Drop for Told {
    fn drop(&mut self) {
        RunFile::remove(&self.0);
    }
}

impl Http {
    /// Listens, and answers that the broker is not ready. To be called within a runtime.
    ///
    /// # Errors
    /// See [`HttpError`].
    pub(crate) fn start(config: &Config, health: &Arc<Health>) -> Result<Self, HttpError> {
        let token = load_token(config)?;
        let own_token = Token::random()?;
        let (mut ports, mut addresses, mut bound) = (Vec::new(), String::new(), Vec::new());
        for mut place in places(config) {
            let Bound { listener, address } = bind(&place)?;
            addresses.push_str(&format!(" {}={address}", place.name));
            ports.push(HttpPort {
                socket: listener,
                parts: place.parts.clone(),
            });
            place.address = address;
            bound.push(place);
        }
        warn_of_the_network(config, token.is_some(), &bound);
        let of = |part: Part| bound.iter().find(|place| place.has(part));
        let websocket = of(Part::WebSocket).map(|place| {
            let is_beside = place.has(Part::Dashboard) || of(Part::Dashboard).is_none();
            (!is_beside).then(|| place.address.port())
        });
        let settings = Settings {
            version: env!("CARGO_PKG_VERSION"),
            data_dir: config.data_dir.clone(),
            inbox_prefix: config.inbox.prefix.clone(),
            anonymous: config.anonymous().is_some(),
            knows_users: config.auth.knows_users(),
            origins: config.http.origins.clone(),
            websocket,
            has_api: of(Part::Api).is_some(),
            connections_max: connections_max(config),
        };
        let api_url = of(Part::Api).map(|place| url(place.address));
        let run_file = bound.first().map(|place| RunFile {
            url: url(place.address),
            api_url,
            token: own_token.clone(),
        });
        let site = Arc::new(Site::new(settings, health.clone(), own_token, token));
        Ok(Http {
            server: Server::start(ports, &site),
            site,
            addresses,
            run_file,
            told: None,
        })
    }

    /// Lets commands on this machine find the broker. Its data directory is locked by now.
    pub(crate) fn tell_commands(&mut self, config: &Config) {
        let Some(run_file) = &self.run_file else {
            return RunFile::remove(&config.data_dir);
        };
        match run_file.write(&config.data_dir) {
            Ok(()) => self.told = Some(Told(config.data_dir.clone())),
            // The broker serves without it.
            Err(error) => tracing::warn!(%error, "commands on this machine will not find the broker by themselves"),
        }
    }

    /// Answers what was asked, and ends.
    pub(crate) async fn stop(self, config: &Config) {
        drop(self.told);
        self.server.stop(LAST_ANSWERS.min(config.shutdown_timeout)).await;
    }
}

/// Reads the token again at SIGHUP.
pub(crate) fn reload_with(reloading: &mut Reloading, config: &Config, site: &Arc<Site>) {
    let Some(path) = config.http.token_file.clone() else {
        return;
    };
    let site = site.clone();
    reloading.add("token of the API", move || {
        Token::load(&path).map(|token| site.take_token(Some(token)))
    });
}

/// Looks at what [`Http::start`] would read.
///
/// # Errors
/// See [`HttpError`].
pub(crate) fn check(config: &Config) -> Result<(), HttpError> {
    load_token(config).map(drop).map_err(HttpError::from)
}

fn load_token(config: &Config) -> Result<Option<Token>, TokenError> {
    config.http.token_file.as_deref().map(Token::load).transpose()
}

/// HTTP connections that leave most of the file descriptors to clients and to the store.
pub(crate) fn connections_max(config: &Config) -> usize {
    wanted(config).min(descriptors::for_http(descriptors::limit()))
}

/// MQTT connections that leave HTTP and the store theirs, of a limit on file descriptors.
pub(crate) fn mqtt_connections_max(config: &Config, descriptors: Option<u64>) -> usize {
    descriptors::for_connections(descriptors, wanted(config))
}

/// The limit on file descriptors with which there can be as many connections as are configured.
pub(crate) fn descriptors_wanted(config: &Config) -> u64 {
    descriptors::limit_for(config.listener.connections_max as u64, wanted(config))
}

/// HTTP connections as they are configured.
fn wanted(config: &Config) -> usize {
    match places(config).is_empty() {
        true => 0,
        false => config.http.connections_max,
    }
}

fn bind(place: &Place) -> Result<Bound<transport::Tcp>, BindError> {
    let (bound, why) = match TcpAddress(place.address).bind() {
        Err(error) if place.is_auto => {
            let free = TcpAddress(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0)).bind()?;
            (free, error.why.to_string())
        }
        outcome => (outcome?, "another listener has it".to_owned()),
    };
    if place.is_auto && bound.address != DEFAULT_HTTP {
        tracing::warn!(
            wanted = %DEFAULT_HTTP,
            taken = %bound.address,
            why,
            "HTTP is spoken on another port than the default one; set http.listen to choose it, or to \"off\""
        );
    }
    Ok(bound)
}

/// Says what other machines can reach, and what they cannot do there.
fn warn_of_the_network(config: &Config, has_token: bool, bound: &[Place]) {
    if has_token || config.auth.knows_users() {
        return;
    }
    for place in bound {
        if place.has(Part::Api) && is_reachable(place.address) {
            tracing::warn!(address = %place.address, "the API refuses other machines: neither users nor http.token_file are set");
        }
    }
}

/// Where programs on this machine reach it.
fn url(address: SocketAddr) -> String {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(ip, address.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(toml: &str) -> Config {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("inboxd.toml");
        std::fs::write(&path, toml).unwrap();
        Config::load(Some(&path), [], &Default::default()).unwrap()
    }

    fn placed(toml: &str) -> Vec<(&'static str, String, usize)> {
        let of = |place: Place| (place.name, place.address.to_string(), place.parts.len());
        places(&config(toml)).into_iter().map(of).collect()
    }

    #[test]
    fn parts_share_a_port_or_have_their_own() {
        // Goal: by default all parts are at one address; a part can be off, elsewhere, or together with another that is elsewhere; without any
        // address nothing listens.
        assert_eq!(placed(""), [("http", "127.0.0.1:8080".to_owned(), 4)]);
        let some =
            "[http]\nlisten = \"127.0.0.1:0\"\nmetrics = \"127.0.0.1:9\"\nwebsocket = \"off\"\napi = \"127.0.0.1:9\"";
        assert_eq!(
            placed(some),
            [
                ("http", "127.0.0.1:0".to_owned(), 1),
                ("http-api", "127.0.0.1:9".to_owned(), 2)
            ]
        );
        assert_eq!(placed("[http]\nlisten = \"off\""), []);
        let alone = "[http]\nlisten = \"off\"\nmetrics = \"127.0.0.1:0\"\napi = \"127.0.0.1:0\"";
        assert_eq!(placed(alone).len(), 2, "port 0 is another one each time");
    }

    #[test]
    fn the_default_port_gives_way_to_addresses_that_are_set() {
        // Goal: whatever else is at the default address, or at all addresses with its port, has it; a part that is set there makes it set.
        let first = |toml: &str| placed(toml).into_iter().next().unwrap().1;
        for toml in [
            "[mqtt]\nlisten = \"127.0.0.1:8080\"",
            "[mqtt]\nallow_anonymous = true\n[[listener]]\nname = \"web\"\ntransport = \"ws\"\nlisten = \"0.0.0.0:8080\"",
            "[http]\napi = \"0.0.0.0:8080\"",
        ] {
            assert_eq!(first(toml), "127.0.0.1:0", "{toml}");
        }
        assert_eq!(first("[mqtt]\nlisten = \"127.0.0.1:8081\""), "127.0.0.1:8080");
        let set = "[http]\nmetrics = \"127.0.0.1:8080\"";
        assert_eq!(placed(set), [("http", "127.0.0.1:8080".to_owned(), 4)]);
        assert!(!places(&config(set))[0].is_auto);
    }

    #[test]
    fn a_url_for_this_machine_is_one_that_can_be_connected_to() {
        // Goal: all addresses of the machine are reached by loopback.
        assert_eq!(url("0.0.0.0:1".parse().unwrap()), "http://127.0.0.1:1");
        assert_eq!(url("[::]:1".parse().unwrap()), "http://[::1]:1");
        assert_eq!(url("192.0.2.1:1".parse().unwrap()), "http://192.0.2.1:1");
    }
}
