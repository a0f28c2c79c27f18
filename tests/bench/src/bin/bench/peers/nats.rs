//! NATS with JetStream.

use super::{DURABLE, FASTEST, Peer, Setting};

const NATS_BEGIN: &str =
    "server_name: bench\nlisten: \"127.0.0.1:{port2}\"\njetstream { store_dir: \"{dir}/jetstream\"";
const NATS_MIDDLE: &str = " }\nmqtt { listen: \"127.0.0.1:{port}\", max_ack_pending: 100";
const NATS_END: &str = " }\n";

pub(super) const NATS: Peer = Peer {
    name: "nats",
    program: "nats-server",
    places: &["/usr/sbin", "/usr/local/bin"],
    version: &["{program}", "--version"],
    get: "`apt-get install nats-server`",
    command: &["{program}", "-c", "{config}"],
    environment: &[],
    check: &["{program}", "-t", "-c", "{config}"],
    settings: &[
        Setting {
            files: &[(
                "nats.conf",
                &[NATS_BEGIN, ", sync_interval: always", NATS_MIDDLE, "", NATS_END],
            )],
            puback: "The message is in a file of JetStream, with fsync.",
            ..DURABLE
        },
        // Version 2.9 has no such option.
        Setting {
            files: &[("nats.conf", &[NATS_BEGIN, "", NATS_MIDDLE, "", NATS_END])],
            puback: "The message is written to a file of JetStream, without fsync: that comes every two minutes, and this version has no \
                     option for it.",
            ..DURABLE
        },
        Setting {
            files: &[(
                "nats.conf",
                &[NATS_BEGIN, "", NATS_MIDDLE, ", consumer_memory_storage: true", NATS_END],
            )],
            puback: "The message is written to a file of JetStream, without fsync; what readers acknowledged is in memory.",
            ..FASTEST
        },
    ],
    after: &[],
};
