//! NanoMQ.

use super::{DURABLE, Peer, Setting};

pub(super) const NANOMQ: Peer = Peer {
    name: "nanomq",
    program: "nanomq",
    places: &["/usr/bin", "/usr/local/bin"],
    version: &["{program}", "--version"],
    get: "packages of the project, nanomq.io",
    command: &["{program}", "start", "--conf", "{config}"],
    environment: &[],
    check: &[],
    settings: &[Setting {
        name: "",
        files: &[(
            "nanomq.conf",
            &[
                "mqtt {\n  max_packet_size = 2MB\n  max_mqueue_len = 65535\n}\nlisteners.tcp {\n  bind = \"127.0.0.1:{port}\"\n}\n",
            ],
        )],
        puback: "The message is in memory. Its sqlite keeps retained messages and what a bridge has to send, not the mail of sessions.",
        ..DURABLE
    }],
    after: &[],
};
