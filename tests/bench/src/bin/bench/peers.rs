//! The brokers that are compared: where to find them, their settings, and what their PUBACK promises. A file for each.
//!
//! A setting is files with gaps (see [`crate::launch::Gaps`]) and a command line. The first setting of a name that the program itself accepts is
//! taken, so that a version without an option is shown with the most that it can do.

mod flashmq;
mod inboxd;
mod mosquitto;
mod nanomq;
mod nats;
mod rabbitmq;
mod rmqtt;
mod rumqttd;

pub(crate) use inboxd::INBOXD;

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
    /// See [`crate::results::Variant::needs_sessions`].
    pub(crate) needs_sessions: bool,
    pub(crate) is_fastest: bool,
    /// A file that must exist, such as a plugin: one of these.
    pub(crate) requires: &'static [&'static str],
}

/// The others.
pub(crate) const PEERS: &[Peer] = &[
    mosquitto::MOSQUITTO,
    nats::NATS,
    rabbitmq::RABBITMQ,
    rumqttd::RUMQTTD,
    rmqtt::RMQTT,
    flashmq::FLASHMQ,
    nanomq::NANOMQ,
];

/// Most brokers keep messages for sessions only.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::{Gaps, fill};

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
