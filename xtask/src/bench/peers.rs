//! The brokers that are compared: where to find them, their settings, and what their PUBACK promises.
//!
//! A setting is files with gaps (see [`fill`]) and a command line. The first setting of a name that the program itself accepts is
//! taken, so that a version without an option is shown with the most that it can do.

/// A broker that this benchmark knows how to start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    /// Looked for in the directories below, and on the PATH.
    pub(crate) program: &'static str,
    /// Directories that come before the PATH.
    pub(crate) places: &'static [&'static str],
    /// The command that tells the version: the first line with a digit is taken.
    pub(crate) version: &'static [&'static str],
    /// How to get it.
    pub(crate) get: &'static str,
    pub(crate) command: &'static [&'static str],
    pub(crate) environment: &'static [(&'static str, &'static str)],
    /// A command that fails if the configuration is not understood.
    pub(crate) check: &'static [&'static str],
    pub(crate) settings: &'static [Setting],
    /// What the broker leaves running, and is to be stopped after it.
    pub(crate) after: &'static [&'static str],
}

/// One way to run it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    pub(crate) name: &'static str,
    /// Each with its name, in pieces; the first one is `{config}`.
    pub(crate) files: &'static [(&'static str, &'static [&'static str])],
    pub(crate) puback: &'static str,
    /// See [`super::results::Variant::needs_sessions`].
    pub(crate) needs_sessions: bool,
    pub(crate) is_fastest: bool,
    /// A file that must exist, such as a plugin: one of these.
    pub(crate) requires: &'static [&'static str],
}

/// Room for every workload in one inbox, and nothing that differs from the defaults otherwise.
const INBOXD_COMMON: &str =
    "[inbox]\nmessages_max = 10000000\nbytes_max = \"16GiB\"\n[log]\nlevel = \"warn\"\n[store]\n";

/// inboxd. Its engines are settings; one that the binary does not know is refused by `check-config`.
pub(crate) const INBOXD: Peer = Peer {
    name: "inboxd",
    program: "inboxd",
    places: &[],
    version: &["{program}", "--version"],
    get: "built by this benchmark",
    command: &[
        "{program}",
        "--config",
        "{config}",
        "--data",
        "{dir}/data",
        "--listen",
        "127.0.0.1:{port}",
    ],
    environment: &[],
    check: &["{program}", "check-config", "--config", "{config}"],
    settings: &[
        Setting {
            files: &[("inboxd.toml", &[INBOXD_COMMON, "engine = \"sled\"\n"])],
            ..ENGINE_SLED
        },
        Setting {
            name: "fjall",
            files: &[("inboxd.toml", &[INBOXD_COMMON, "engine = \"fjall\"\n"])],
            ..ENGINE_SLED
        },
    ],
    after: &[],
};

const ENGINE_SLED: Setting = Setting {
    name: "sled",
    files: &[],
    puback: "The message is on disk, with fsync, or its recipient has acknowledged it.",
    needs_sessions: false,
    is_fastest: false,
    requires: &[],
};

/// The others.
pub(crate) const PEERS: &[Peer] = &[MOSQUITTO, NATS, RABBITMQ, RUMQTTD, RMQTT, FLASHMQ, NANOMQ];

const DURABLE: Setting = Setting {
    name: "durable",
    files: &[],
    puback: "",
    needs_sessions: true,
    is_fastest: false,
    requires: &[],
};

const FASTEST: Setting = Setting {
    name: "fastest",
    is_fastest: true,
    ..DURABLE
};

/// A process of root would give up its rights, and could not write into the directory.
const MOSQUITTO_COMMON: &str = "user root\n\
    listener {port} 127.0.0.1\n\
    allow_anonymous true\n\
    persistence_location {dir}/\n\
    max_queued_messages 0\n\
    max_inflight_messages 100\n\
    set_tcp_nodelay true\n";

const MOSQUITTO: Peer = Peer {
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

const NATS_BEGIN: &str =
    "server_name: bench\nlisten: \"127.0.0.1:{port2}\"\njetstream { store_dir: \"{dir}/jetstream\"";
const NATS_MIDDLE: &str = " }\nmqtt { listen: \"127.0.0.1:{port}\", max_ack_pending: 100";
const NATS_END: &str = " }\n";

const NATS: Peer = Peer {
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

const RABBITMQ_COMMON: &str = "listeners.tcp = none\n\
    mqtt.listeners.tcp.1 = 127.0.0.1:{port}\n\
    mqtt.allow_anonymous = true\n\
    mqtt.prefetch = 100\n\
    disk_free_limit.absolute = 100MB\n\
    log.console = true\n\
    log.console.level = error\n";

const RABBITMQ: Peer = Peer {
    name: "rabbitmq",
    program: "rabbitmq-server",
    // The one on the PATH of a Debian package changes the user.
    places: &["/usr/lib/rabbitmq/bin", "/usr/sbin", "/usr/local/sbin"],
    version: &["sh", "-c", "\"${0%/*}\"/rabbitmqctl version", "{program}"],
    get: "`apt-get install rabbitmq-server`",
    command: &["{program}"],
    environment: &[
        ("HOME", "{dir}"),
        ("RABBITMQ_NODENAME", "bench{port}@localhost"),
        ("RABBITMQ_DIST_PORT", "{port2}"),
        ("ERL_EPMD_PORT", "{port3}"),
        // Else it would not end while it believes that a node lives.
        ("ERL_EPMD_RELAXED_COMMAND_CHECK", "1"),
        ("RABBITMQ_MNESIA_BASE", "{dir}/mnesia"),
        ("RABBITMQ_LOG_BASE", "{dir}/log"),
        ("RABBITMQ_CONFIG_FILE", "{config}"),
        ("RABBITMQ_ENABLED_PLUGINS_FILE", "{dir}/enabled_plugins"),
        ("RABBITMQ_CONF_ENV_FILE", "{dir}/no-such-file"),
        ("RABBITMQ_PID_FILE", "{dir}/pid"),
    ],
    check: &[],
    settings: &[
        Setting {
            name: "quorum",
            files: &[
                (
                    "rabbitmq.conf",
                    &[RABBITMQ_COMMON, "mqtt.durable_queue_type = quorum\n"],
                ),
                ("enabled_plugins", &["[rabbitmq_mqtt].\n"]),
            ],
            puback: "The message is in a quorum queue (of one node here), with fsync.",
            ..DURABLE
        },
        Setting {
            files: &[
                (
                    "rabbitmq.conf",
                    &[RABBITMQ_COMMON, "mqtt.durable_queue_type = classic\n"],
                ),
                ("enabled_plugins", &["[rabbitmq_mqtt].\n"]),
            ],
            puback: "The message is in a classic queue. Where readers have kept sessions (offline), it is durable: written to a file, \
                     synchronised every now and then.",
            ..FASTEST
        },
    ],
    after: &["epmd", "-port", "{port3}", "-kill"],
};

const RUMQTTD: Peer = Peer {
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

const RMQTT: Peer = Peer {
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

const FLASHMQ_COMMON: &str = "allow_anonymous true\n\
    max_qos_msg_pending_per_client 65535\n\
    max_qos_bytes_pending_per_client 1000000000\n\
    listen {\n\
    protocol mqtt\n\
    inet_protocol ip4\n\
    inet4_bind_address 127.0.0.1\n\
    port {port}\n\
    }\n";

const FLASHMQ: Peer = Peer {
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

const NANOMQ: Peer = Peer {
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

/// What goes into the gaps of files, commands and environments.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gaps {
    pub(crate) program: String,
    pub(crate) dir: String,
    pub(crate) config: String,
    /// The file of [`Setting::requires`] that exists.
    pub(crate) required: String,
    /// The port of the broker, and two more for its own use.
    pub(crate) ports: [u16; 3],
}

/// `template` with its gaps filled.
pub(crate) fn fill(template: &str, gaps: &Gaps) -> String {
    let [port, port2, port3] = gaps.ports.map(|port| port.to_string());
    [
        ("{program}", &gaps.program),
        ("{dir}", &gaps.dir),
        ("{config}", &gaps.config),
        ("{required}", &gaps.required),
        ("{port}", &port),
        ("{port2}", &port2),
        ("{port3}", &port3),
    ]
    .into_iter()
    .fold(template.to_owned(), |text, (gap, value)| text.replace(gap, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gaps() -> Gaps {
        Gaps {
            program: "/bin/broker".to_owned(),
            dir: "/scratch".to_owned(),
            config: "/scratch/broker.conf".to_owned(),
            required: "/lib/plugin.so".to_owned(),
            ports: [1883, 4222, 4369],
        }
    }

    /// Goal: no gap is left open and none is mistaken for another, in any file, command or environment of any peer.
    #[test]
    fn every_gap_is_filled() {
        assert_eq!(
            fill(
                "{program} -p {port} -q {port2},{port3} -d {dir}/x -c {config} {required}",
                &gaps()
            ),
            "/bin/broker -p 1883 -q 4222,4369 -d /scratch/x -c /scratch/broker.conf /lib/plugin.so"
        );
        for peer in PEERS.iter().chain([&INBOXD]) {
            let words = [peer.command, peer.check, peer.version, peer.after].concat();
            let files = peer
                .settings
                .iter()
                .flat_map(|it| it.files)
                .map(|(_, text)| text.concat());
            let texts = words.into_iter().map(str::to_owned).chain(files);
            for text in texts.chain(peer.environment.iter().map(|(_, value)| (*value).to_owned())) {
                for gap in ["{program}", "{dir}", "{config}", "{required}", "{port"] {
                    assert!(!fill(&text, &gaps()).contains(gap), "{}: {gap} in {text:?}", peer.name);
                }
            }
        }
    }

    /// Goal: every peer can be told apart, reached on its port, and says what its PUBACK promises; a fastest setting is never
    /// the only one.
    #[test]
    fn every_peer_is_complete() {
        for peer in PEERS.iter().chain([&INBOXD]) {
            assert!(
                !peer.get.is_empty() && !peer.settings.iter().all(|it| it.is_fastest),
                "{}",
                peer.name
            );
            for setting in peer.settings {
                let texts = setting.files.iter().map(|(_, text)| text.concat());
                let all: String = texts
                    .chain(peer.command.iter().map(|word| (*word).to_owned()))
                    .collect();
                assert!(
                    all.contains("{port}") && !setting.puback.is_empty(),
                    "{} {}",
                    peer.name,
                    setting.name
                );
            }
        }
        let names: std::collections::BTreeSet<&str> = PEERS.iter().map(|peer| peer.name).collect();
        assert_eq!(names.len(), PEERS.len());
    }
}
