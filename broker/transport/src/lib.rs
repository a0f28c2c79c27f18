//! How clients reach the broker: listeners, what is said before MQTT, and the task that moves bytes between a socket and a conversation.
//!
//! A listener is a trait ([`Bind`], [`Listener`]), what comes before MQTT is another ([`Entrance`]), and a connection is generic over what
//! it reads and writes, so that every kind of socket has code of its own, without a virtual call per read. `ARCHITECTURE.md` has the map.

mod accept;
mod connection;
mod door;
mod entrance;
#[cfg(any(test, feature = "testing"))]
pub mod fuzzing;
mod listener;
mod proxy;
mod tls;
mod websocket;

pub use accept::accept;
pub use connection::Broker;
pub use door::{Admitted, Door, NotAdmitted};
pub use entrance::{Arrival, Entrance, NotEntered};
pub use ipnet::IpNet;
pub use listener::{BACKLOG, Bind, BindError, Bound, Io, Listener, Tcp, TcpAddress};
pub use proxy::{OverTcp, ProxyError};
pub use tls::{ClientCertificates, Fresh, HandshakeError, Handshakes, OverTls, Remark, TlsError, TlsFiles, TlsKeys};
pub use websocket::{
    OverWebSocket, UpgradeError, UpgradeRequest, Violation, WebSocket, WebSocketRules, is_loopback, is_name,
};
