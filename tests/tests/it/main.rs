//! Black-box tests of inboxd: one module per rule of the delivery contract (docs/delivery.md) and per topic of MQTT.
//!
//! Every test starts its own broker on a free port and a directory of its own, so all of them run in parallel.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "this crate is tests: a failed assumption is a failed test"
)]

mod access_matrix;
mod access_rules;
mod audit;
mod authentication;
mod backup;
mod bad_input;
mod command_line;
mod commands;
mod conformance;
mod dashboard;
mod engines;
mod file_modes;
mod first_configuration;
mod home_assistant;
mod http;
mod inbox_sizes;
mod kept_sessions;
mod kept_wills;
mod logging;
mod mqtt;
mod operating;
mod operators;
mod quotas;
mod recipients;
mod refusals;
mod restart;
mod retained;
mod room_told;
mod rule_01_inbox_topics;
mod rule_02_reading;
mod rule_03_puback;
mod rule_04_replay;
mod rule_05_removal;
mod rule_06_order;
mod rule_07_duplicates;
mod rule_08_deduplication;
mod rule_09_qos_0;
mod rule_10_qos_2;
mod rule_11_receipts;
mod rule_12_changed_minds;
mod security_example;
mod sender_share;
mod service_manager;
mod stuck_readers;
mod third_party;
mod transports;
