//! Accepting connections.

use std::sync::Arc;
use std::time::Duration;

use access::Origin;
use inbox_types::Now;
use mqtt_session::{Caller, Cause, Counted};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::connection::{Broker, Connection};
use crate::entrance::{Arrival, Entrance, NotEntered};
use crate::listener::Listener;

/// How long to wait after the system had no file descriptor for a new connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts connections on the listener that operators know by `name`, for ever. What a client has to say before MQTT is heard by
/// `entrance`, in the task of its connection, which holds a clone of `alive` while it lives.
pub async fn accept<L: Listener, E: Entrance<L::Io>>(
    name: Arc<str>,
    listener: L,
    entrance: Arc<E>,
    broker: Arc<Broker>,
    alive: mpsc::Sender<()>,
) {
    loop {
        let (raw, peer) = match listener.accept().await {
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
        let origin = Origin {
            listener: Some(name.clone()),
            ..Origin::from(peer)
        };
        let Some(slot) = place(&broker, &name, &origin) else {
            continue;
        };
        tracing::debug!(%peer, listener = %name, "accepted");
        let (name, entrance, broker, alive) = (name.clone(), entrance.clone(), broker.clone(), alive.clone());
        tokio::spawn(async move {
            // Dropped at the end, and also when the task panics.
            let _held = (slot, alive);
            let mut connection = let_in(raw, origin, &*entrance, &name, broker).await;
            drop((name, entrance));
            if let Some(connection) = &mut connection {
                connection.serve().await;
            }
        });
    }
}

/// A place among the connections; `None`: there is none, which was told.
pub(crate) fn place(broker: &Broker, name: &str, origin: &Origin) -> Option<Counted> {
    let slot = broker.shared.metrics.connections.enter(broker.most() as u64);
    if slot.is_none() {
        broker.shared.metrics.connects_refused.add(1);
        refuse(broker, name, origin);
    }
    slot
}

/// Hears what comes before MQTT; `None`: the client is not let in, or the broker shuts down.
async fn let_in<R, E: Entrance<R>>(
    raw: R,
    mut origin: Origin,
    entrance: &E,
    name: &str,
    broker: Arc<Broker>,
) -> Option<Connection<E::Io>> {
    let accepted = broker.shared.node.now();
    let mut closing = broker.closing.clone();
    let entered = tokio::select! {
        entered = timeout(broker.shared.mqtt.connect_timeout, entrance.enter(raw, &mut origin)) => entered,
        _ = closing.wait_for(|closing| *closing) => return None,
    };
    let why = match entered.unwrap_or(Err(NotEntered::Late)) {
        Ok(io) => {
            let arrival = Arrival {
                origin,
                accepted,
                idle_bytes: E::IDLE_BYTES,
            };
            return Some(Connection::new(io, arrival, broker));
        }
        Err(why) => why,
    };
    turn_away(&broker, name, &origin, &why, accepted);
    None
}

/// Tells that a client was not let in.
pub(crate) fn turn_away(broker: &Broker, name: &str, origin: &Origin, why: &NotEntered, now: Now) {
    let metrics = &broker.shared.metrics;
    metrics.connects_refused.add(1);
    match why.cause() {
        Some(cause) => metrics
            .refusals
            .turn_away(cause, Caller::from(origin), name, why, now.mono),
        None => tracing::debug!(peer = %origin.peer, listener = name, %why, "a connection was gone before its CONNECT"),
    }
}

/// Tells which limit it was that a connection was closed for.
fn refuse(broker: &Broker, name: &str, origin: &Origin) {
    let now = broker.shared.node.now().mono;
    let refusals = &broker.shared.metrics.refusals;
    let (most, caller) = (broker.most(), Caller::from(origin));
    if most == broker.connections_max {
        let why = format_args!("{most} connections are open (mqtt.connections_max)");
        refusals.turn_away(Cause::ConnectionLimit, caller, name, &why, now);
    } else {
        let why = format_args!("{most} connections are open, and the other file descriptors are the store's");
        refusals.turn_away(Cause::NoDescriptor, caller, name, &why, now);
    }
}
