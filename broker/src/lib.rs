//! inboxd: an MQTT broker that gives every client ID a durable inbox.
//!
//! The library is thin: what the binary needs, and what tests drive. `ARCHITECTURE.md` has the map.

pub mod access_rules;
pub mod acl_command;
mod addresses;
mod audit;
pub mod authentication;
pub mod backup_command;
pub mod cli;
pub mod config;
pub mod config_command;
mod descriptors;
pub mod doctor;
#[cfg(test)]
mod documents;
pub mod exit;
pub mod hardening;
pub mod health_command;
pub mod http_ports;
pub mod import_command;
pub mod inbox_command;
pub mod init_command;
mod listening;
pub mod logging;
mod observe;
mod otel;
pub mod passwd_command;
mod receipts;
pub mod reload;
pub mod remote;
pub mod retained;
mod said;
pub mod serve;
mod service_manager;
pub mod session_command;
mod sessions;
pub mod signals;
pub mod single;
pub mod store_command;
pub mod trace_command;
mod written;
