//! Runs [`super::suites`]: the ways take turns.

use anyhow::Context;
use inbox_test_support::certificates::Authority;

use super::Bench;
use super::generator::Label;
use super::launch::Launch;
use super::process::Broker;
use super::results::Measurement;
use super::suites::{CERTIFICATE, PASSWORD, PREFIX, Suite, Trial, WAYS, Way};
use super::watching::Watcher;

const USERS_EACH: usize = 5000;
const TIMEOUT_S: u64 = 290;

/// Every trial of a suite with each of its ways, in so many rounds.
pub(crate) fn run(bench: &Bench, suite: &Suite, rounds: u32, only: Option<&str>) -> anyhow::Result<Vec<Measurement>> {
    let trials = suite.trials;
    let is_wanted = |trial: &&Trial| only.is_none_or(|only| only == trial.name);
    anyhow::ensure!(
        trials.iter().any(|trial| is_wanted(&trial)),
        "there is no such trial; there are {}",
        trials.iter().map(|trial| trial.name).collect::<Vec<_>>().join(", ")
    );
    let base = bench.launches.first().context("there is no inboxd")?;
    let files = files(&base.program)?;
    let mut done = Vec::new();
    for round in 1..=rounds {
        for trial in trials.iter().filter(is_wanted).filter(|it| round == 1 || !it.is_once) {
            eprintln!("\n==> round {round} of {rounds}: {}", trial.name);
            let turn = round as usize % trial.ways.len();
            let names = trial.ways.iter().cycle().skip(turn).take(trial.ways.len());
            for way in names.filter_map(|name| WAYS.iter().find(|way| way.name == *name)) {
                let peer = way.peer.map(|peer| peer_of(bench, peer));
                match peer.unwrap_or(Some(base)) {
                    Some(base) => done.push(measure(bench, base, trial, way, &files, round)),
                    None => eprintln!("{} is not installed", way.name),
                }
            }
        }
    }
    Ok(done)
}

/// Another broker, with its settings for speed.
fn peer_of<'b>(bench: &'b Bench, name: &str) -> Option<&'b Launch> {
    let of_peer = |launch: &&Launch| launch.variant.peer == name;
    let fastest = bench
        .launches
        .iter()
        .filter(of_peer)
        .find(|launch| launch.variant.is_fastest);
    fastest.or_else(|| bench.launches.iter().find(of_peer))
}

fn measure(
    bench: &Bench,
    base: &Launch,
    trial: &Trial,
    way: &Way,
    files: &[(String, String)],
    round: u32,
) -> Measurement {
    let label = Label {
        workload: trial.name.to_owned(),
        variant: way.name.to_owned(),
        round,
        x: None,
    };
    let launch = match way.peer {
        Some(_) => base.clone(),
        None => launch(base, way, files),
    };
    match Broker::start(&launch, &bench.scratch, None) {
        Ok(broker) => {
            let dir = bench.scratch.path().to_string_lossy().into_owned();
            let words = trial.arguments.split(' ').chain(way.arguments.iter().copied());
            let arguments: Vec<String> = words.map(|word| word.replace("{dir}", &dir)).collect();
            let watcher = way.is_watched.then(|| Watcher::start(broker.port, broker.second_port));
            let measured = bench.generator.measure(&label, &broker, &arguments, TIMEOUT_S, None);
            match watcher.map_or(Ok(()), Watcher::stop) {
                Ok(()) => measured,
                Err(error) => label.failed(format!("it could not be watched: {error:#}")),
            }
        }
        Err(error) => {
            let measurement = label.failed(format!("{error:#}"));
            super::generator::say(&measurement);
            measurement
        }
    }
}

/// inboxd as it is compared with others, and its clients come in this way.
fn launch(base: &Launch, way: &Way, files: &[(String, String)]) -> Launch {
    let mut launch = base.clone();
    let mut more = way.more.to_owned();
    if !way.listener.is_empty() {
        let certificate = if way.listener.contains("\"ws\"") {
            ""
        } else {
            CERTIFICATE
        };
        more.push_str(&format!(
            "[[listener]]\nname = \"measured\"\nlisten = \"127.0.0.1:{{port}}\"\n{}{certificate}",
            way.listener
        ));
        launch
            .command
            .iter_mut()
            .for_each(|word| *word = word.replace("{port}", "{port2}"));
    }
    if let Some((_, config)) = launch.variant.files.first_mut() {
        config.push_str(&more);
    }
    launch.variant.files.extend_from_slice(files);
    launch
}

/// Certificates, and the users, who have one password and so one hash: what it takes to verify it does not depend on that.
fn files(inboxd: &str) -> anyhow::Result<Vec<(String, String)>> {
    let authority = Authority::new("inboxd benchmark");
    let (broker, client) = (authority.broker(), authority.client("bench"));
    let hash = hash(inboxd)?;
    let names = ["r", "w"]
        .into_iter()
        .flat_map(|kind| (0..USERS_EACH).map(move |i| format!("{PREFIX}{kind}{i:06}")));
    let users: String = names.map(|name| format!("{name}:{hash}\n")).collect();
    Ok([
        ("ca.pem", authority.pem.clone()),
        ("cert.pem", broker.certificate),
        ("key.pem", broker.key),
        ("client-cert.pem", client.certificate),
        ("client-key.pem", client.key),
        ("users", users),
        ("acl.toml", rules()),
    ]
    .map(|(name, text)| (name.to_owned(), text))
    .into())
}

/// Rules as a company may have them: 20 roles with lists of their own, and 50 inboxes with lists of senders. The clients here have no role but those that
/// the broker gives, and write to inboxes without lists.
fn rules() -> String {
    let role = |n: usize| {
        format!(
            "[[role]]\nname = \"team-{n}\"\nmembers = [\"lead-{n}\"]\npublish = [\"teams/{n}/#\", \"by/%u/+\"]\n\
             subscribe = [\"teams/{n}/#\"]\ndeny_subscribe = [\"teams/{n}/private/#\"]\n"
        )
    };
    let inbox = |n: usize| format!("[[inbox]]\nof = \"chief-{n}*\"\nallow = [\"role:team-{}\"]\n", n % 20);
    (0..20).map(role).chain((0..50).map(inbox)).collect()
}

/// The hash of [`PASSWORD`], as `inboxd passwd` makes it.
fn hash(inboxd: &str) -> anyhow::Result<String> {
    use std::io::Write;
    use std::process::{Command, Stdio};

    let directory = tempfile::tempdir()?;
    let file = directory.path().join("users");
    let mut passwd = Command::new(inboxd);
    passwd.arg("passwd").arg(&file).arg("user");
    let mut child = passwd.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(format!("{PASSWORD}\n").as_bytes())?;
    }
    anyhow::ensure!(child.wait()?.success(), "inboxd passwd failed");
    let text = std::fs::read_to_string(&file)?;
    let hash = text
        .trim()
        .strip_prefix("user:")
        .context("inboxd passwd wrote another user")?;
    Ok(hash.to_owned())
}
