//! Every listener of a configuration: its files, its socket, and the task that accepts on it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use admin::Part;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use transport::{
    Bind, BindError, Bound, Broker, Entrance, Fresh, Handshakes, OverTcp, OverTls, OverWebSocket, Remark, Tcp,
    TcpAddress, TlsError, TlsKeys, accept,
};

use crate::addresses::overlap;
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

/// An address of the configuration.
#[derive(Debug, Clone)]
pub(crate) struct Spot {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    /// Another one will do: see [`http_ports::places`].
    pub(crate) is_auto: bool,
    /// Whether clients speak MQTT there.
    pub(crate) has_mqtt: bool,
}

/// Every address of `config`: those of the listeners, and those of HTTP.
pub(crate) fn spots(config: &Config) -> Vec<Spot> {
    let listeners = config.all_listeners().into_iter().map(|listener| Spot {
        name: listener.name,
        address: listener.listen,
        is_auto: false,
        has_mqtt: true,
    });
    let http = http_ports::places(config).into_iter().map(|place| Spot {
        has_mqtt: place.has(Part::WebSocket),
        name: place.name.to_owned(),
        address: place.address,
        is_auto: place.is_auto,
    });
    listeners.chain(http).collect()
}

fn check_distinct(config: &Config) -> Result<(), ListenerError> {
    let all = spots(config);
    for (at, Spot { name, address, .. }) in all.iter().enumerate() {
        let mut before = all.iter().take(at);
        if let Some(first) = before.find(|other| overlap(other.address, *address)) {
            return Err(ListenerError::SameAddress {
                first: first.name.clone(),
                second: name.clone(),
                address: *address,
            });
        }
    }
    Ok(())
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
