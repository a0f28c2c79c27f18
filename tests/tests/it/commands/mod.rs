//! Commands that ask a broker that runs: its inboxes, traces, backups, and what they say when it cannot be asked.

mod backup;
mod inbox;
mod refused;
mod session;
mod trace;

use inbox_tests::Broker;

/// Where the API of this broker is.
fn url(broker: &Broker) -> String {
    format!("http://127.0.0.1:{}", broker.port_of("http"))
}
