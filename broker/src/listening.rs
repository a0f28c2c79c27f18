//! Every listener of a configuration: its files, its socket, and the task that accepts on it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use transport::{
    Bind, BindError, Bound, Broker, Entrance, Fresh, Handshakes, OverTcp, OverTls, OverWebSocket, Remark, Tcp,
    TcpAddress, TlsError, TlsKeys, accept,
};

use crate::config::{Config, NamedListener, Transport};
use crate::http_ports;

/// What clients ask for by ALPN (RFC 7301) to speak MQTT over TLS, and HTTP.
const ALPN_MQTT: &[u8] = b"mqtt";
const ALPN_HTTP: &[u8] = b"http/1.1";

/// Why a configured listener cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ListenerError {
    /// Its files cannot be used.
    #[error("the listener {name:?} cannot use TLS: {why}")]
    Tls {
        /// Which listener.
        name: String,
        /// Why.
        #[source]
        why: Box<TlsError>,
    },
    /// Two listeners have one address.
    #[error(
        "the listeners {first:?} and {second:?} cannot both listen on {address}, which is one address or a part of the other; give each its \
         own, or leave one out"
    )]
    SameAddress {
        /// The name of one.
        first: String,
        /// The name of the other.
        second: String,
        /// The address.
        address: SocketAddr,
    },
}

impl ListenerError {
    fn tls(name: &str, why: TlsError) -> Self {
        ListenerError::Tls {
            name: name.to_owned(),
            why: Box::new(why),
        }
    }
}

/// Looks whether the listeners go together and their files can be used. Gives what an operator should know about these.
///
/// # Errors
/// See [`ListenerError`].
pub(crate) fn check(config: &Config) -> Result<Vec<Remark>, ListenerError> {
    check_distinct(config)?;
    Certificates::load(config).map(|certificates| certificates.remarks())
}

fn check_distinct(config: &Config) -> Result<(), ListenerError> {
    let listeners = config.all_listeners();
    let http = http_ports::places(config);
    // The default address of HTTP gives way.
    let set = http.iter().filter(|place| !place.is_auto);
    let all = listeners
        .iter()
        .map(|listener| (listener.name.as_str(), listener.listen));
    let all: Vec<_> = all.chain(set.map(|place| (place.name, place.address))).collect();
    for (at, (name, address)) in all.iter().enumerate() {
        let mut before = all.iter().take(at);
        if let Some((first, _)) = before.find(|(_, other)| overlap(*other, *address)) {
            return Err(ListenerError::SameAddress {
                first: (*first).to_owned(),
                second: (*name).to_owned(),
                address: *address,
            });
        }
    }
    Ok(())
}

/// Whether the system lets only one of two addresses be listened on: they are one, or one of them is all addresses of the machine. All
/// of IPv6 are those of IPv4, too.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let is_all = |all: SocketAddr, of: SocketAddr| all.ip().is_unspecified() && (all.is_ipv6() || of.is_ipv4());
    // Port 0 is another one each time.
    one.port() == other.port()
        && one.port() != 0
        && (one.ip() == other.ip() || is_all(one, other) || is_all(other, one))
}

/// The certificates of all listeners with TLS.
#[derive(Debug, Clone)]
pub(crate) struct Certificates(Vec<(String, Arc<TlsKeys>)>);

impl Certificates {
    fn load(config: &Config) -> Result<Self, ListenerError> {
        let mut all = Vec::new();
        for NamedListener { name, transport, .. } in &config.listeners {
            let alpn = match transport {
                Transport::Tls(_) => ALPN_MQTT,
                _ => ALPN_HTTP,
            };
            if let Some(files) = transport.tls() {
                let keys = TlsKeys::load(files.clone(), alpn).map_err(|why| ListenerError::tls(name, why))?;
                all.push((name.clone(), Arc::new(keys)));
            }
        }
        Ok(Certificates(all))
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads and checks all files again. Connections go on; when one file cannot be used, everything that was in force stays so.
    ///
    /// # Errors
    /// See [`ListenerError::Tls`].
    pub(crate) fn reload(&self) -> Result<(), ListenerError> {
        let mut fresh = Vec::new();
        for (name, keys) in &self.0 {
            fresh.push(keys.read_again().map_err(|why| ListenerError::tls(name, why))?);
        }
        fresh.into_iter().for_each(Fresh::enforce);
        self.log_remarks();
        Ok(())
    }

    fn log_remarks(&self) {
        for remark in self.remarks() {
            tracing::warn!("{remark}");
        }
    }

    fn remarks(&self) -> Vec<Remark> {
        let now = SystemTime::now();
        self.0.iter().filter_map(|(_, keys)| keys.remark(now)).collect()
    }
}

/// Sockets that clients can connect to.
pub(crate) struct Listening {
    listeners: Vec<(NamedListener, Tcp)>,
    certificates: Certificates,
    /// Every listener by its name, for people.
    pub(crate) addresses: String,
}

/// What is wrong with the configuration, or with the system.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotListening {
    #[error(transparent)]
    Listener(#[from] ListenerError),
    #[error(transparent)]
    Bind(#[from] BindError),
}

impl Listening {
    /// Listens. Nobody is let in yet.
    pub(crate) fn start(config: &Config) -> Result<Self, NotListening> {
        let certificates = Certificates::load(config)?;
        certificates.log_remarks();
        let mut listeners = Vec::new();
        let mut addresses = String::new();
        for configured in config.all_listeners() {
            let Bound { listener, address } = TcpAddress(configured.listen).bind()?;
            addresses.push_str(&format!(" {}={address}", configured.name));
            listeners.push((configured, listener));
        }
        Ok(Listening {
            listeners,
            certificates,
            addresses,
        })
    }

    /// What is read again on SIGHUP.
    pub(crate) fn certificates(&self) -> Certificates {
        self.certificates.clone()
    }

    /// Accepts connections on every listener until it is dropped.
    pub(crate) async fn accept_all(self, broker: Arc<Broker>, alive: mpsc::Sender<()>) {
        let mut accepting = Accepting {
            tasks: JoinSet::new(),
            broker,
            alive,
        };
        let handshakes = Handshakes::default();
        for (configured, socket) in self.listeners {
            let NamedListener {
                name,
                transport,
                proxy_protocol_from: proxies,
                ..
            } = configured;
            let tcp = OverTcp { proxies };
            let keys = self.certificates.0.iter().find(|(of, _)| *of == name);
            let tls = keys.map(|(_, keys)| OverTls {
                below: tcp.clone(),
                keys: keys.clone(),
                handshakes: handshakes.clone(),
            });
            match (transport, tls) {
                (Transport::Tls(_), Some(tls)) => accepting.start(&name, socket, tls),
                (Transport::SecureWebSocket(_, rules), Some(below)) => {
                    accepting.start(&name, socket, OverWebSocket { below, rules });
                }
                (Transport::WebSocket(rules), _) => {
                    accepting.start(&name, socket, OverWebSocket { below: tcp, rules });
                }
                (Transport::Tcp, _) => accepting.start(&name, socket, tcp),
                // Every listener with TLS has its keys.
                (Transport::Tls(_) | Transport::SecureWebSocket(..), None) => {}
            }
        }
        drop(accepting.alive);
        while accepting.tasks.join_next().await.is_some() {}
    }
}

struct Accepting {
    tasks: JoinSet<()>,
    broker: Arc<Broker>,
    alive: mpsc::Sender<()>,
}

impl Accepting {
    fn start<E: Entrance<tokio::net::TcpStream>>(&mut self, name: &str, socket: Tcp, entrance: E) {
        let (broker, alive) = (self.broker.clone(), self.alive.clone());
        self.tasks
            .spawn(accept(name.into(), socket, Arc::new(entrance), broker, alive));
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn addresses_that_cannot_both_be_listened_on_are_known() {
        // Goal: one address twice, all addresses beside one of them, all of IPv6 beside those of IPv4; but not other ports, port 0, other
        // addresses, or all of IPv4 beside one of IPv6.
        let overlap = |one: &str, other: &str| {
            let (one, other) = (one.parse().unwrap(), other.parse().unwrap());
            let both = [super::overlap(one, other), super::overlap(other, one)];
            assert_eq!(both[0], both[1], "{one} {other}");
            both[0]
        };
        for (one, other) in [
            ("127.0.0.1:1883", "127.0.0.1:1883"),
            ("0.0.0.0:1883", "127.0.0.1:1883"),
            ("[::]:1883", "127.0.0.1:1883"),
            ("[::]:1883", "0.0.0.0:1883"),
            ("[::]:1883", "[::1]:1883"),
        ] {
            assert!(overlap(one, other), "{one} {other}");
        }
        for (one, other) in [
            ("127.0.0.1:1883", "127.0.0.1:1884"),
            ("127.0.0.1:1883", "127.0.0.2:1883"),
            ("0.0.0.0:1883", "[::1]:1883"),
            ("0.0.0.0:0", "127.0.0.1:0"),
        ] {
            assert!(!overlap(one, other), "{one} {other}");
        }
    }
}
