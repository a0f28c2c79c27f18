//! The harness of inboxd's black-box tests.
//!
//! It sees the broker as users do: a process ([`Broker`]), its socket, its files and its exit code. [`RawClient`] speaks
//! MQTT byte by byte, so that a test can say exactly what is sent, right or wrong, and see exactly what comes back.
//! [`tools`] runs the third-party clients. Every wait is for an event and bounded by [`DEADLINE`].

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "this crate is tests: a failed assumption is a failed test"
)]

mod broker;
pub mod crash;
pub mod fuzz;
mod http_service;
mod parse;
pub mod power;
mod raw_client;
pub mod sim;
pub mod tools;
mod tunnel;

use std::time::Duration;

pub use broker::{Broker, BrokerOptions, Exit, inboxd_command, run_inboxd};
pub use http_service::{Answer, Asked, HttpService};
pub(crate) use inbox_test_support::packets as build;
pub use inbox_test_support::packets::{
    Connect, Props, PublishPacket, Version, Will, ack, disconnect, packet, ping, property, pubrel, remaining_length,
    string, subscribe, unsubscribe,
};
pub use parse::{Ack, AckKind, ConnAck, Packet, Properties, Publish, SubAck, Value};
pub use raw_client::RawClient;
pub use tunnel::Tunnel;

/// How long a test waits for something that must happen. Long, because machines that test are busy.
pub const DEADLINE: Duration = Duration::from_secs(30);
