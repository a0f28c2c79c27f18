//! rumqttd, which inboxd has inside for ordinary topics.

use super::{DURABLE, Peer, Setting};

pub(super) const RUMQTTD: Peer = Peer {
    name: "rumqttd",
    program: "rumqttd",
    places: &[],
    version: &["{program}", "--version"],
    get: "`cargo install rumqttd --version 0.20.0 --root TARGET/peers`, TARGET being Cargo's target directory",
    command: &["{program}", "-q", "-c", "{config}"],
    environment: &[],
    check: &[],
    settings: &[Setting {
        name: "",
        files: &[(
            "rumqttd.toml",
            &["id = 0\n\
             [router]\n\
             id = 0\n\
             max_connections = 50000\n\
             max_outgoing_packet_count = 200\n\
             max_segment_size = 104857600\n\
             max_segment_count = 10\n\
             [v4.1]\n\
             name = \"v4\"\n\
             listen = \"127.0.0.1:{port}\"\n\
             next_connection_delay_ms = 0\n\
             [v4.1.connections]\n\
             connection_timeout_ms = 60000\n\
             max_payload_size = 2097152\n\
             max_inflight_count = 100\n\
             dynamic_filters = true\n"],
        )],
        puback: "The message was received; it is appended to a log in memory after that. There is no store on disk.",
        ..DURABLE
    }],
    after: &[],
};
