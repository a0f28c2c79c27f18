//! RMQTT.

use super::{DURABLE, FASTEST, Peer, Setting};

const RMQTT_COMMON: &str = "node.id = 1\n\
    rpc.server_addr = \"127.0.0.1:{port2}\"\n\
    log.to = \"console\"\n\
    log.level = \"error\"\n\
    plugins.dir = \"{dir}/\"\n\
    [listener.tcp.external]\n\
    addr = \"127.0.0.1:{port}\"\n\
    allow_anonymous = true\n\
    max_connections = 50000\n\
    max_handshaking_limit = 5000\n\
    handshake_timeout = \"30s\"\n\
    max_packet_size = \"2M\"\n\
    max_mqueue_len = 1000000\n\
    max_inflight = 100\n";

pub(super) const RMQTT: Peer = Peer {
    name: "rmqtt",
    program: "rmqttd",
    places: &[],
    version: &["{program}", "--version"],
    get: "`cargo install rmqttd --root TARGET/peers`, TARGET being Cargo's target directory; it needs protoc (`apt-get install \
          protobuf-compiler`)",
    command: &["{program}", "-f", "{config}"],
    environment: &[],
    check: &[],
    settings: &[
        Setting {
            files: &[
                (
                    "rmqtt.toml",
                    &["plugins.default_startups = [\"rmqtt-session-storage\"]\n", RMQTT_COMMON],
                ),
                (
                    "rmqtt-session-storage.toml",
                    &[
                        "storage.type = \"sled\"\nstorage.sled.path = \"{dir}/session\"\nstorage.sled.cache_capacity = \"1G\"\n",
                    ],
                ),
            ],
            puback: "The message is in memory; for clients that are away it is stored with sled, without waiting for the disk.",
            ..DURABLE
        },
        Setting {
            files: &[("rmqtt.toml", &[RMQTT_COMMON])],
            puback: "The message is in memory.",
            ..FASTEST
        },
    ],
    after: &[],
};
