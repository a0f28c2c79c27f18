//! How clients reach the broker: listeners, and the task that moves bytes between a socket and a conversation.
//!
//! A listener is a trait ([`Bind`], [`Listener`]), and a connection is generic over what it reads and writes, so that every kind of
//! socket has code of its own, without a virtual call per read. `ARCHITECTURE.md` has the map.

mod accept;
mod connection;
mod listener;

pub use accept::accept;
pub use connection::{Broker, serve};
pub use listener::{Bind, BindError, Bound, Io, Listener, Tcp, TcpAddress};
