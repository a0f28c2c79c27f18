//! `$SYS/inboxd/` in the documents, exit codes in prose, and options of the command line.

use std::collections::BTreeSet;
use std::sync::Arc;

use admin::Measured;
use clap::CommandFactory;
use inbox_bridge::{Age, Hub, MemoryStore};
use intake::InboxNames;
use mqtt_session::{Metrics, Shared};
use pubsub::{Router, RouterOptions};

use super::page::{pages, quoted, read, section, table};
use crate::cli::Cli;
use crate::config::Config;
use crate::exit::Exit;
use crate::observe::{Numbers, Watcher};
use crate::receipts::Receipts;

/// Every counter, as it is published.
pub(super) fn published() -> BTreeSet<String> {
    let config = Config::default();
    let clock = Arc::new(inbox_bridge::SystemClock::default());
    let (hub, _reads) = Hub::open(
        &MemoryStore::default(),
        config.limits(),
        clock,
        Arc::new(Watcher::new(Arc::default(), Receipts::new(InboxNames::new("")).0).0),
    )
    .unwrap();
    let shared = Shared {
        node: Arc::new(Arc::new(hub).node()),
        names: InboxNames::new(""),
        mqtt: config.mqtt.clone(),
        packet_bytes_max: config.packet_bytes_max(),
        quotas: access::Quotas::default(),
        retains: true,
        operators: mqtt_session::Operators::default(),
        metrics: Metrics::default(),
        access: access::Access::new(Arc::new(access::Anonymous { is_everywhere: false })),
    };
    let router = Router::start(RouterOptions::default(), Arc::new(Age::default)).unwrap();
    let shared = Arc::new(shared);
    let numbers = Numbers { shared, router }.numbers();
    numbers.into_iter().map(|(name, _)| name.to_owned()).collect()
}

#[test]
fn protocol_md_lists_every_counter() {
    // Goal: the two tables together are the object of $SYS/inboxd/metrics, no name more and none less.
    let page = read("docs/protocol.md");
    let topics = section(&page, "## Topics under $SYS/inboxd");
    let mut rows = table(topics, "| Counter | Counts |");
    rows.extend(table(section(&page, "### Refusals by cause"), "| Counter | Cause |"));
    let names = rows
        .iter()
        .flat_map(|row| quoted(&row[0]))
        .filter(|name| !name.ends_with('…'));
    let listed: Vec<String> = names.map(str::to_owned).collect();
    let distinct: BTreeSet<String> = listed.iter().cloned().collect();
    assert_eq!(distinct, published());
    assert_eq!(listed.len(), distinct.len(), "a counter is listed twice");
}

#[test]
fn protocol_md_lists_every_topic_of_the_broker() {
    // Goal: the table names what is published.
    let page = read("docs/protocol.md");
    let rows = table(
        section(&page, "## Topics under $SYS/inboxd"),
        "| Topic | When | Payload |",
    );
    let listed: BTreeSet<&str> = rows.iter().flat_map(|row| quoted(&row[0])).collect();
    assert_eq!(listed, admin::TOPICS.into());
}

#[test]
fn protocol_md_lists_every_request_of_operators() {
    // Goal: the table names the commands that are answered.
    let page = read("docs/protocol.md");
    let rows = table(
        section(&page, "## Requests of operators"),
        "| Command | Parameters | Result |",
    );
    let listed: BTreeSet<&str> = rows.iter().flat_map(|row| quoted(&row[0])).collect();
    assert_eq!(listed, admin::Operator::commands().iter().copied().collect());
}

#[test]
fn exit_codes_in_prose_exist() {
    // Goal: "exit code 75" is a code of the program, on every page and in --help. The page of `inbox` is checked with that program.
    let known: BTreeSet<u8> = Exit::ALL.iter().map(|exit| exit.code()).chain([2]).collect();
    let mut found = 0;
    for (path, page) in pages().into_iter().filter(|(path, _)| !path.ends_with("inbox.md")) {
        for before in ["exit code ", "exits with ", "ends with ", "exit "] {
            for (at, _) in page.match_indices(before) {
                let digits: String = page[at + before.len()..]
                    .chars()
                    .take_while(char::is_ascii_digit)
                    .collect();
                if let Ok(code) = digits.parse::<u8>() {
                    assert!(known.contains(&code), "{path}: {before}{code}");
                    found += 1;
                }
            }
        }
    }
    assert!(found >= 5, "{found}");
    let help = Cli::command().render_long_help().to_string();
    let codes = help.split("Exit codes: ").nth(1).unwrap();
    let listed = codes
        .split([',', ' ', '\n'])
        .filter_map(|word| word.parse().ok())
        .collect();
    assert_eq!(known, listed, "{codes}");
}

#[test]
fn operations_md_shows_every_command_and_option() {
    // Goal: the usage at the top of the page is the one of the program.
    let page = read("docs/operations.md");
    let mut shown = BTreeSet::new();
    for line in page.lines().filter(|line| line.starts_with("inboxd ")) {
        for word in line.split(['[', ']', '|', ' ']).filter(|word| word.starts_with("--")) {
            shown.insert(word.trim_start_matches('-').to_owned());
        }
    }
    let (mut options, mut commands) = (BTreeSet::new(), BTreeSet::new());
    collect(&Cli::command(), &mut options, &mut commands);
    assert_eq!(shown, options);
    for command in commands {
        assert!(page.contains(&command), "{command} is not in docs/operations.md");
    }
}

fn collect(command: &clap::Command, options: &mut BTreeSet<String>, commands: &mut BTreeSet<String>) {
    let longs = command.get_arguments().filter_map(|argument| argument.get_long());
    options.extend(
        longs
            .filter(|long| !matches!(*long, "help" | "version"))
            .map(str::to_owned),
    );
    for below in command.get_subcommands() {
        commands.insert(below.get_name().to_owned());
        collect(below, options, commands);
    }
}
