//! inboxd: an MQTT broker that gives every client ID a durable inbox.

#![allow(dead_code, unused_imports, reason = "the parts come before what uses them")]

pub mod cli;
pub mod config;
pub mod config_command;
pub mod exit;
pub mod inbox_command;
pub mod logging;
mod packet;
mod router;
