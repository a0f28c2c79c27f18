//! inboxd: an MQTT broker that gives every client ID a durable inbox.

#![allow(dead_code, unused_imports, reason = "the parts come before what uses them")]

mod packet;
mod router;
