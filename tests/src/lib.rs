//! The harness of inboxd's black-box tests.
//!
//! It sees the broker as users do: a process ([`Broker`]), its socket, its files and its exit code. [`RawClient`] speaks
//! MQTT byte by byte, so that a test can say exactly what is sent, right or wrong, and see exactly what comes back.
//! [`tools`] runs the third-party clients. Every wait is for an event and bounded by [`DEADLINE`] ([`wait_until`]), and no process that a test
//! starts outlives it ([`Running`]).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "this crate is tests: a failed assumption is a failed test"
)]

mod broker;
mod closed_port;
pub mod crash;
pub mod fuzz;
mod http_service;
mod output;
mod parse;
pub mod power;
mod programs;
mod raw_client;
mod relay;
mod running;
mod scripted_broker;
pub mod sim;
mod small_disk;
mod sockets;
pub mod tools;
mod tunnel;
mod waiting;

use std::time::Duration;

pub use broker::{Broker, BrokerOptions, Exit, KillOnDrop, inboxd_command, run_inboxd};
pub use closed_port::ClosedPort;
pub use http_service::{Answer, Asked, HttpService};
pub(crate) use inbox_test_support::packets as build;
pub use inbox_test_support::packets::{
    Connect, Props, PublishPacket, Version, Will, ack, disconnect, packet, ping, property, pubrel, remaining_length,
    string, subscribe, unsubscribe,
};
pub use output::{fails, stderr, succeeds};
pub use parse::{Ack, AckKind, ConnAck, Packet, Properties, Publish, SubAck, Value};
pub use programs::inbox_command;
pub use raw_client::RawClient;
pub use relay::{Kind, Relay, Trick, Way};
pub use running::{Running, run, run_fed, run_within};
pub use scripted_broker::{Guest, ScriptedBroker};
pub use small_disk::{SmallDisk, fill};
pub use sockets::{head, told};
pub use tunnel::Tunnel;
pub use waiting::{wait_for, wait_until, wait_within};

/// How long a test waits for something that must happen. Long, because machines that test are busy.
pub const DEADLINE: Duration = Duration::from_secs(30);
