//! What it costs inboxd in which way clients come (TCP, TLS, WebSocket), that it knows who they are, and what they ask it for. inboxd alone; the
//! ways take turns.

use anyhow::Context;
use inbox_test_support::certificates::Authority;

use super::Bench;
use super::generator::Label;
use super::launch::Launch;
use super::process::Broker;
use super::results::Measurement;
use super::watching::Watcher;

/// One way.
#[derive(Debug)]
struct Way {
    name: &'static str,
    /// Keys of a listener, with the gaps of files; nothing for the plain one.
    listener: &'static str,
    /// The rest of the configuration.
    more: &'static str,
    /// Arguments of the load generator.
    arguments: &'static [&'static str],
    /// Somebody watches meanwhile.
    is_watched: bool,
}

/// A workload, and the ways that it is measured with.
#[derive(Debug)]
pub(crate) struct Trial {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    arguments: &'static [&'static str],
    /// Names of ways; the others are compared with the first.
    pub(crate) ways: &'static [&'static str],
    /// Heading, figure of the generator, and factor from its unit. The first one has ratios.
    pub(crate) columns: &'static [(&'static str, &'static str, f64)],
}

/// Trials that are one section of the page.
#[derive(Debug)]
pub(crate) struct Suite {
    /// Its heading.
    pub(crate) title: &'static str,
    /// What measures it and writes it.
    pub(crate) flag: &'static str,
    pub(crate) trials: &'static [Trial],
}

/// How clients come.
pub(crate) const WAYS_IN: Suite = Suite {
    title: "Ways in",
    flag: "--ways",
    trials: TRIALS,
};

/// What messages ask for.
pub(crate) const ASKED_FOR: Suite = Suite {
    title: "Dedupe and receipts",
    flag: "--receipts",
    trials: ASKING,
};

const TCP: &str = "tcp";
const USERS: &str = "users, rules and quotas";
const WATCHED: &str = "watched";
const NOTHING: &str = "nothing";
const PASSWORD: &str = "a password of the benchmark";
const TLS: &[&str] = &["--transport", "tls", "--ca", "{dir}/ca.pem"];
const CERTIFICATE: &str = "certificate = \"{dir}/cert.pem\"\nkey = \"{dir}/key.pem\"\n";

/// To measure something else of the configuration, add it here, and its name to a trial below.
const WAYS: &[Way] = &[
    Way {
        name: TCP,
        listener: "",
        more: "",
        arguments: &[],
        is_watched: false,
    },
    Way {
        name: "tls",
        listener: "transport = \"tls\"\n",
        more: "",
        arguments: TLS,
        is_watched: false,
    },
    Way {
        name: "ws",
        listener: "transport = \"ws\"\n",
        more: "",
        arguments: &["--transport", "ws"],
        is_watched: false,
    },
    Way {
        name: "wss",
        listener: "transport = \"wss\"\n",
        more: "",
        arguments: &["--transport", "wss", "--ca", "{dir}/ca.pem"],
        is_watched: false,
    },
    Way {
        name: "tls with client certificates",
        listener: "transport = \"tls\"\nclient_certificates = \"required\"\nclient_ca = \"{dir}/ca.pem\"\n",
        more: "",
        arguments: &[
            "--transport",
            "tls",
            "--ca",
            "{dir}/ca.pem",
            "--cert",
            "{dir}/client-cert.pem",
            "--key",
            "{dir}/client-key.pem",
        ],
        is_watched: false,
    },
    Way {
        name: USERS,
        listener: "",
        more: "[auth]\npassword_file = \"{dir}/users\"\n[quota]\nconnections_per_address = 1000000\nconnects_per_second = 1000000\n\
               connections_per_user = 10\npublishes_per_second = 1000000\npublish_bytes_per_second = \"1GiB\"\n\
               [access]\nacl_file = \"{dir}/acl.toml\"\n",
        arguments: &["--prefix", PREFIX, "--password", PASSWORD],
        is_watched: false,
    },
    Way {
        name: NOTHING,
        listener: "",
        more: "",
        arguments: &["--asks", "nothing"],
        is_watched: false,
    },
    Way {
        name: "an id",
        listener: "",
        more: "",
        arguments: &["--asks", "id"],
        is_watched: false,
    },
    Way {
        name: "an id, and delivered",
        listener: "",
        more: "",
        arguments: &["--asks", "delivered"],
        is_watched: false,
    },
    Way {
        name: "an id, delivered and read",
        listener: "",
        more: "",
        arguments: &["--asks", "read"],
        is_watched: false,
    },
    Way {
        name: WATCHED,
        listener: "",
        more: "[http]\nlisten = \"127.0.0.1:{port2}\"\n",
        arguments: &[],
        is_watched: true,
    },
];

const PAIRS: &[&str] = &[
    "p2p",
    "--pairs",
    "100",
    "--window",
    "16",
    "--warmup",
    "1",
    "--seconds",
    "4",
];
const PAIRS_COLUMNS: &[(&str, &str, f64)] = &[
    ("delivered/s", "delivered_per_s", 1.0),
    ("broker µs/message", "broker_cpu_us_per_message", 1.0),
    ("PUBACK p50 ms", "puback_us.p50", 1e-3),
    ("PUBACK p99 ms", "puback_us.p99", 1e-3),
];

const ASKING: &[Trial] = &[Trial {
    name: "pairs with MQTT 5",
    what: "100 publishers, each with 16 messages of 256 bytes in flight to a reader of its own, which is there. Every message has an `id`, and asks for receipts: its \
           sender subscribes to its own inbox, receives them there, and acknowledges them. Where messages ask to be told that they are read, their readers say so by \
           `$inbox/read`, of all that they have, one request at a time. A run is clean when every message was delivered, and every receipt came.",
    arguments: PAIRS,
    ways: &[NOTHING, "an id", "an id, and delivered", "an id, delivered and read"],
    columns: &[
        ("delivered/s", "delivered_per_s", 1.0),
        ("broker µs/message", "broker_cpu_us_per_message", 1.0),
        ("PUBACK p50 ms", "puback_us.p50", 1e-3),
        ("receipts in one message", "receipts_per_packet", 1.0),
    ],
}];

const TRIALS: &[Trial] = &[
    Trial {
        name: "pairs",
        what: "100 publishers, each with 16 messages of 256 bytes in flight to a reader of its own, which is there.",
        arguments: PAIRS,
        ways: &[TCP, "tls", "ws", "wss", USERS],
        columns: PAIRS_COLUMNS,
    },
    Trial {
        name: "watched",
        what: "The same, with a dashboard open (the board and the events of `$SYS`), and `/metrics` scraped every 5 s.",
        arguments: PAIRS,
        ways: &[TCP, WATCHED],
        columns: PAIRS_COLUMNS,
    },
    Trial {
        name: "idle connections",
        what: "5,000 clients connect, with at most 64 connections being opened at a time and a whole handshake for each, and subscribe to one topic each.",
        arguments: &["idle", "--connections", "5000"],
        ways: &[TCP, "tls", "ws", "wss", "tls with client certificates"],
        columns: &[
            ("KiB/connection", "broker_rss_kib_per_connection", 1.0),
            ("broker µs/connection", "connect_broker_cpu_us_per_connection", 1.0),
            ("connections/s", "connections_per_s", 1.0),
        ],
    },
    Trial {
        name: "5,000 users come back",
        what: "5,000 users with passwords connect for the first time, 16 at a time; then all leave, and come back at once. Without users: the same clients.",
        arguments: &["reconnect", "--clients", "5000"],
        ways: &[TCP, USERS],
        columns: &[
            ("s until all are back", "again_s", 1.0),
            ("broker µs/connection", "again_broker_cpu_us_per_connection", 1.0),
            ("connection to SUBACK p99 ms", "again_connect_to_suback_us.p99", 1e-3),
            ("s for the first time", "first_s", 1.0),
            ("broker µs/connection then", "first_broker_cpu_us_per_connection", 1.0),
        ],
    },
];

/// What client IDs, and so user names, begin with. The generator numbers readers and writers.
const PREFIX: &str = "bench";
const USERS_EACH: usize = 5000;
const TIMEOUT_S: u64 = 290;

/// Every trial of a suite with each of its ways, in so many rounds. Verifying 5,000 passwords takes minutes, so that trial has one round.
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
        for trial in trials
            .iter()
            .filter(is_wanted)
            .filter(|it| round == 1 || it.columns.len() < 5)
        {
            eprintln!("\n==> round {round} of {rounds}: {}", trial.name);
            let turn = round as usize % trial.ways.len();
            let names = trial.ways.iter().cycle().skip(turn).take(trial.ways.len());
            for way in names.filter_map(|name| WAYS.iter().find(|way| way.name == *name)) {
                done.push(measure(bench, base, trial, way, &files, round));
            }
        }
    }
    Ok(done)
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
    let launch = launch(base, way, files);
    match Broker::start(&launch, &bench.scratch, None) {
        Ok(broker) => {
            let dir = bench.scratch.path().to_string_lossy().into_owned();
            let words = trial.arguments.iter().chain(way.arguments);
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
