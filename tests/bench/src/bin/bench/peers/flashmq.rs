//! FlashMQ.

use super::{DURABLE, FASTEST, Peer, Setting};

const FLASHMQ_COMMON: &str = "allow_anonymous true\n\
    max_qos_msg_pending_per_client 65535\n\
    max_qos_bytes_pending_per_client 1000000000\n\
    listen {\n\
    protocol mqtt\n\
    inet_protocol ip4\n\
    inet4_bind_address 127.0.0.1\n\
    port {port}\n\
    }\n";

pub(super) const FLASHMQ: Peer = Peer {
    name: "flashmq",
    program: "flashmq",
    places: &["/usr/bin", "/usr/local/bin"],
    version: &["{program}", "--version"],
    get: "packages of the project, flashmq.org",
    command: &["{program}", "--config-file", "{config}"],
    environment: &[],
    check: &["{program}", "--test-config", "--config-file", "{config}"],
    settings: &[
        Setting {
            files: &[("flashmq.conf", &[FLASHMQ_COMMON, "storage_dir {dir}\n"])],
            puback: "The message is in memory. Sessions are written to files now and then, and at the end; no PUBACK waits for that.",
            ..DURABLE
        },
        Setting {
            files: &[("flashmq.conf", &[FLASHMQ_COMMON])],
            puback: "The message is in memory.",
            ..FASTEST
        },
    ],
    after: &[],
};
