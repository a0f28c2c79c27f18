//! RabbitMQ.

use super::{DURABLE, FASTEST, Peer, Setting};

const RABBITMQ_COMMON: &str = "listeners.tcp = none\n\
    mqtt.listeners.tcp.1 = 127.0.0.1:{port}\n\
    mqtt.allow_anonymous = true\n\
    mqtt.prefetch = 100\n\
    disk_free_limit.absolute = 100MB\n\
    log.console = true\n\
    log.console.level = error\n";

pub(super) const RABBITMQ: Peer = Peer {
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
