//! Accepting connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mqtt_session::Cause;
use tokio::sync::mpsc;

use crate::connection::{Broker, serve};
use crate::listener::Listener;

/// How long to wait after the system had no file descriptor for a new connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts connections on the listener that operators know by `name`, for ever. The task of every connection holds a clone of `alive`
/// while it lives.
pub async fn accept<L: Listener>(name: Arc<str>, listener: L, broker: Arc<Broker>, alive: mpsc::Sender<()>) {
    loop {
        let (io, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Nobody knows who they are.
                let now = broker.shared.node.now().mono;
                let refusals = &broker.shared.metrics.refusals;
                refusals.note(Cause::NoDescriptor, &"anyone", &name, &error, now);
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(slot) = broker.shared.metrics.connections.enter(broker.most() as u64) else {
            broker.shared.metrics.connects_refused.add(1);
            refuse(&broker, &name, peer);
            continue;
        };
        tracing::debug!(%peer, listener = %name, "accepted");
        let (broker, alive) = (broker.clone(), alive.clone());
        tokio::spawn(async move {
            // Dropped at the end, and also when the task panics.
            let _held = (slot, alive);
            serve(io, peer, broker).await;
        });
    }
}

/// Tells which limit it was that a connection was closed for.
fn refuse(broker: &Broker, name: &str, peer: SocketAddr) {
    let now = broker.shared.node.now().mono;
    let refusals = &broker.shared.metrics.refusals;
    let most = broker.most();
    if most == broker.connections_max {
        let why = format_args!("{most} connections are open (mqtt.connections_max)");
        refusals.note(Cause::ConnectionLimit, &peer.ip(), name, &why, now);
    } else {
        let why = format_args!("{most} connections are open, and the other file descriptors are the store's");
        refusals.note(Cause::NoDescriptor, &peer.ip(), name, &why, now);
    }
}
