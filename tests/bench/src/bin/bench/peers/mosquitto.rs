//! Mosquitto.

use super::{DURABLE, FASTEST, Peer, Setting};

/// A process of root would give up its rights, and could not write into the directory.
const MOSQUITTO_COMMON: &str = "user root\n\
    listener {port} 127.0.0.1\n\
    allow_anonymous true\n\
    persistence_location {dir}/\n\
    max_queued_messages 0\n\
    max_inflight_messages 100\n\
    set_tcp_nodelay true\n";

pub(super) const MOSQUITTO: Peer = Peer {
    name: "mosquitto",
    program: "mosquitto",
    places: &["/usr/sbin", "/usr/local/sbin"],
    version: &["{program}", "-h"],
    get: "`apt-get install mosquitto`; its sqlite persistence comes with version 2.1 or later",
    command: &["{program}", "-c", "{config}"],
    environment: &[],
    check: &[],
    settings: &[
        Setting {
            files: &[(
                "mosquitto.conf",
                &[MOSQUITTO_COMMON, "persistence true\nautosave_interval 1\n"],
            )],
            puback: "The message is in memory. All of it is written to a file once a second, the shortest interval; no PUBACK waits for \
                     that. (Writing on every change writes everything every time, and no PUBACK waits for that either.)",
            ..DURABLE
        },
        Setting {
            name: "sqlite",
            files: &[(
                "mosquitto.conf",
                &[
                    MOSQUITTO_COMMON,
                    "global_plugin {required}\nplugin_opt_sync extra\nplugin_opt_flush_period 1\n",
                ],
            )],
            puback: "The message is in memory and in a transaction of sqlite that is committed within a second; no PUBACK waits for that.",
            requires: &[
                "/usr/lib/x86_64-linux-gnu/mosquitto_persist_sqlite.so",
                "/usr/lib/aarch64-linux-gnu/mosquitto_persist_sqlite.so",
                "/usr/lib/mosquitto_persist_sqlite.so",
                "/usr/local/lib/mosquitto_persist_sqlite.so",
            ],
            ..DURABLE
        },
        Setting {
            files: &[("mosquitto.conf", &[MOSQUITTO_COMMON, "persistence false\n"])],
            puback: "The message is in memory.",
            ..FASTEST
        },
    ],
    after: &[],
};
