//! Which brokers there are on this machine: known ones that are found, and others that are named with their start command.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context;

use inbox_test_support::net::free_ports;

use crate::launch::{Gaps, Launch, Scratch, fill};
use crate::peers::{INBOXD, PEERS, Peer, Setting};
use crate::results::Variant;

/// What was looked for.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// inboxd first.
    pub(crate) launches: Vec<Launch>,
    /// What was not found, and how to get it.
    pub(crate) missing: Vec<(String, String)>,
}

/// A broker named on the command line: `NAME=COMMAND`, where COMMAND has `{port}`, and `{dir}` if it wants a directory. With the
/// name of a known broker, `{config}` is the configuration that this benchmark writes for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    name: String,
    command: Vec<String>,
}

impl std::str::FromStr for Named {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, command) = text.split_once('=').ok_or("give NAME=COMMAND")?;
        let command: Vec<String> = command.split_ascii_whitespace().map(str::to_owned).collect();
        let is_known = PEERS.iter().any(|peer| peer.name == name);
        if name.is_empty() || command.is_empty() {
            return Err("give NAME=COMMAND");
        }
        if !command
            .iter()
            .any(|word| word.contains("{port}") || (is_known && word.contains("{config}")))
        {
            return Err("COMMAND must say {port} where the port belongs (for a known broker, {config} will do)");
        }
        Ok(Named {
            name: name.to_owned(),
            command,
        })
    }
}

/// Looks for all brokers. `peers_bin` is a directory that comes before the PATH; `only` are the names to look for, or none for all.
pub(crate) fn discover(
    inboxd: &Path,
    peers_bin: &Path,
    named: &[Named],
    only: &[String],
    scratch: &Scratch,
) -> anyhow::Result<Found> {
    let mut found = Found::default();
    found.launches.extend(settings(&INBOXD, inboxd, &[], scratch)?);
    anyhow::ensure!(!found.launches.is_empty(), "inboxd accepts none of its configurations");
    put_default_engine_first(inboxd, &mut found.launches);
    let is_wanted = |name: &str| only.is_empty() || only.iter().any(|it| it == name);
    for peer in PEERS.iter().filter(|peer| is_wanted(peer.name)) {
        let named = named.iter().find(|it| it.name == peer.name);
        let program = match named.and_then(|it| it.command.first()) {
            Some(program) => Some(PathBuf::from(program)),
            None => find(peer, peers_bin),
        };
        match program {
            Some(program) => found.launches.extend(settings(
                peer,
                &program,
                named.map_or(&[], |it| it.command.as_slice()),
                scratch,
            )?),
            None => found.missing.push((peer.name.to_owned(), peer.get.to_owned())),
        }
    }
    let others = named.iter().filter(|it| PEERS.iter().all(|peer| peer.name != it.name));
    found.launches.extend(others.map(stranger));
    Ok(found)
}

/// What inboxd uses without a configuration is what the others are compared with.
fn put_default_engine_first(inboxd: &Path, launches: &mut [Launch]) {
    let printed = Command::new(inboxd).arg("print-config").output();
    let text = printed.map(|it| String::from_utf8_lossy(&it.stdout).into_owned());
    let engine = text.as_deref().unwrap_or_default().lines().find_map(|line| {
        let value = line.strip_prefix("engine = ")?;
        Some(value.trim_matches('"').to_owned())
    });
    launches.sort_by_key(|it| Some(&it.variant.setting) != engine.as_ref());
}

fn find(peer: &Peer, peers_bin: &Path) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::iter::once(peers_bin.to_owned())
        .chain(peer.places.iter().map(PathBuf::from))
        .chain(std::env::split_paths(&path));
    places.map(|place| place.join(peer.program)).find(|file| file.is_file())
}

/// The settings of a peer that this version of it accepts, the first of each name.
fn settings(peer: &Peer, program: &Path, command: &[String], scratch: &Scratch) -> anyhow::Result<Vec<Launch>> {
    let version = version(peer, program, scratch)?;
    let mut launches: Vec<Launch> = Vec::new();
    for setting in peer.settings {
        let required = setting.requires.iter().find(|file| Path::new(file).exists());
        let is_known = launches.iter().any(|it| it.variant.setting == setting.name);
        if is_known || (required.is_none() && !setting.requires.is_empty()) {
            continue;
        }
        let launch = launch(
            peer,
            setting,
            program,
            command,
            &version,
            required.copied().unwrap_or_default(),
        );
        if peer.check.is_empty() || accepts(peer, &launch, scratch)? {
            launches.push(launch);
        }
    }
    Ok(launches)
}

fn launch(peer: &Peer, setting: &Setting, program: &Path, command: &[String], version: &str, required: &str) -> Launch {
    let strings = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let command = if command.is_empty() {
        strings(peer.command)
    } else {
        command.to_vec()
    };
    let pairs = peer.environment.iter();
    let variant = Variant {
        peer: peer.name.to_owned(),
        setting: setting.name.to_owned(),
        version: version.to_owned(),
        // The directory of a program says nothing about a figure.
        command: command.join(" ").replace("{program}", peer.program),
        files: setting
            .files
            .iter()
            .map(|(name, text)| ((*name).to_owned(), text.concat()))
            .collect(),
        puback: setting.puback.to_owned(),
        needs_sessions: setting.needs_sessions,
        is_fastest: setting.is_fastest,
    };
    Launch {
        variant,
        command,
        environment: pairs
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
        program: program.to_string_lossy().into_owned(),
        required: required.to_owned(),
        after: strings(peer.after),
    }
}

/// A broker that this benchmark does not know.
fn stranger(named: &Named) -> Launch {
    Launch {
        variant: Variant {
            peer: named.name.clone(),
            version: "not known".to_owned(),
            command: named.command.join(" "),
            puback: "Not known: this broker was named with its start command.".to_owned(),
            needs_sessions: true,
            ..Default::default()
        },
        command: named.command.clone(),
        environment: vec![],
        program: named.command.first().cloned().unwrap_or_default(),
        required: String::new(),
        after: vec![],
    }
}

/// Whether the program says that it understands the configuration.
fn accepts(peer: &Peer, launch: &Launch, scratch: &Scratch) -> anyhow::Result<bool> {
    let gaps = scratch.prepare(launch)?;
    let words: Vec<String> = peer.check.iter().map(|word| fill(word, &gaps)).collect();
    let Some((program, arguments)) = words.split_first() else {
        return Ok(true);
    };
    let status = Command::new(program)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .with_context(|| format!("{program} could not be started"))?;
    Ok(status.success())
}

/// The first line with a digit of what the program says about itself.
fn version(peer: &Peer, program: &Path, scratch: &Scratch) -> anyhow::Result<String> {
    let gaps = Gaps {
        program: program.to_string_lossy().into_owned(),
        dir: scratch.path().to_string_lossy().into_owned(),
        ports: free_ports()?,
        ..Default::default()
    };
    std::fs::create_dir_all(scratch.path())?;
    let environment = peer.environment.iter().map(|(key, value)| (*key, fill(value, &gaps)));
    // Even this may start what is to be stopped.
    let run = |words: &[&str]| {
        let words: Vec<String> = words.iter().map(|word| fill(word, &gaps)).collect();
        let (program, arguments) = words.split_first()?;
        let output = Command::new(program)
            .args(arguments)
            .envs(environment.clone())
            .output()
            .ok()?;
        Some([output.stdout, output.stderr].concat())
    };
    let said = run(peer.version).unwrap_or_default();
    run(peer.after);
    Ok(String::from_utf8_lossy(&said)
        .lines()
        .find(|line| line.contains(|it: char| it.is_ascii_digit()))
        .unwrap_or("not known")
        .trim()
        .to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a named broker needs a place for its port, or it could not be found; a known one may have it in its configuration.
    #[test]
    fn a_named_broker_has_a_port() {
        let named: Named = "other=/opt/other --listen 127.0.0.1:{port} --data {dir}"
            .parse()
            .unwrap();
        assert_eq!(named.command.len(), 5);
        let launch = stranger(&named);
        assert_eq!(
            (launch.variant.name().as_str(), launch.variant.needs_sessions),
            ("other", true)
        );
        assert!("mosquitto=/opt/mosquitto -c {config}".parse::<Named>().is_ok());
        for text in [
            "other",
            "other=",
            "=x {port}",
            "other=/opt/other -c {config}",
            "other=x",
        ] {
            assert!(text.parse::<Named>().is_err(), "{text}");
        }
    }
}
