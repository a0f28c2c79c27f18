//! inboxd, with each engine of its store.

use super::{Peer, Setting};

/// Room for every workload in one inbox, and nothing that differs from the defaults otherwise.
const INBOXD_COMMON: &str =
    "[inbox]\nmessages_max = 10000000\nbytes_max = \"16GiB\"\n[log]\nlevel = \"warn\"\n[store]\n";

/// Its engines are settings; one that the binary does not know is refused by `check-config`.
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
