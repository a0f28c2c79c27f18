//! The command line.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::Serialize;

use crate::asks::Asks;
use crate::publisher::STAMP_BYTES;
use crate::wire::Way;

const MEBIBYTE: usize = 1024 * 1024;

/// Drives an MQTT broker on this machine and measures it: throughput, latency, memory, and whether every acknowledged
/// message arrives, once and in order.
///
/// MQTT 3.1.1 (or 5, see --asks), QoS 1. Every client subscribes to its own client ID and to nothing else; publishers publish to client IDs (but
/// see --ordinary).
/// Exit code 0: clean; 1: messages were lost, out of order, foreign or not delivered; 2: usage; 3: no result.
#[derive(Debug, Parser)]
#[command(name = "load", version, max_term_width = 110)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) workload: Workload,
}

/// What every workload takes.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// Address of the broker: a loopback address, because this program is a flood
    #[arg(long, global = true, default_value = "127.0.0.1", value_parser = loopback)]
    pub(crate) host: IpAddr,
    /// Port of the broker
    #[arg(long, global = true, default_value_t = 1883)]
    pub(crate) port: u16,
    #[command(flatten)]
    pub(crate) way: Way,
    /// Every client connects with this password, and its client ID as user name
    #[arg(long, global = true)]
    pub(crate) password: Option<String>,
    /// Process id of the broker, to report its processor time and memory
    #[arg(long, global = true)]
    pub(crate) pid: Option<u32>,
    /// Print one JSON object instead of a table
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Give up after this many seconds
    #[arg(long, global = true, default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) timeout: u64,
    /// Beginning of every client ID, 1 to 64 letters, digits, - and _ [default: different in every run]
    #[arg(long, global = true, value_parser = prefix)]
    pub(crate) prefix: Option<String>,
    /// Use ordinary topics in the place of inboxes: the client with the ID A subscribes to devices/A/cmd
    #[arg(long, global = true)]
    pub(crate) ordinary: bool,
    /// Threads of this program
    #[arg(long, global = true, default_value_t = 1, value_parser = count(1..=64))]
    pub(crate) threads: usize,
    /// Microseconds between two looks at the sockets of publishers, so that a flood costs few system calls; 0 for none
    /// [default: a quarter of the recent time to PUBACK and at most 32000, if 256 messages or more are in flight and there
    /// is no --rate, where it would add to every latency]
    #[arg(long, global = true, value_parser = clap::value_parser!(u64).range(..=100_000))]
    pub(crate) gather_us: Option<u64>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Workload {
    /// Pairs of one publisher and one online reader, each keeping its window full
    P2p(P2p),
    /// Many publishers, one online reader
    Fanin(Fanin),
    /// Store messages for clients that have never connected; then all come back and read
    Offline(Offline),
    /// Read what `offline --store-only` with the same numbers and the same --prefix stored
    Drain(Drain),
    /// Store messages in one inbox, then read them with one client (the broker's limit per inbox must allow it)
    Replay(Replay),
    /// Store messages for many clients, which then all come back at once
    Storm(Storm),
    /// Open connections with one subscription each and measure the memory of a freshly started broker
    Idle(Idle),
    /// Connect clients, let all of them go, and let all of them come back at once
    Reconnect(Reconnect),
}

#[derive(Debug, Args, Serialize)]
pub(crate) struct P2p {
    /// Publishers, and readers
    #[arg(long, default_value_t = 100, value_parser = count(1..=50_000))]
    pub(crate) pairs: usize,
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) pace: Pace,
}

#[derive(Debug, Args, Serialize)]
pub(crate) struct Fanin {
    /// Publishers
    #[arg(long, default_value_t = 100, value_parser = count(1..=50_000))]
    pub(crate) publishers: usize,
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) pace: Pace,
}

/// How online traffic is paced and measured.
#[derive(Debug, Args, Serialize)]
pub(crate) struct Pace {
    /// Messages that each publisher has in flight at most
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) window: u16,
    /// Payload in bytes
    #[arg(long, default_value_t = 256, value_parser = count(STAMP_BYTES..=MEBIBYTE))]
    pub(crate) bytes: usize,
    /// Measured seconds
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) seconds: u64,
    /// Seconds before measuring
    #[arg(long, default_value_t = 2)]
    pub(crate) warmup: u64,
    /// Messages/s of all publishers together, sent on schedule whatever the broker does; latencies count from the
    /// scheduled time. Without it, a publisher sends one for every PUBACK
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub(crate) rate: Option<u64>,
    /// Readers connect with clean session = 0, for brokers that keep messages of such sessions only
    #[arg(long)]
    pub(crate) keep_session: bool,
    /// Speak MQTT 5, and let every message ask for this
    #[arg(long, value_enum, conflicts_with = "keep_session")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) asks: Option<Asks>,
}

#[derive(Debug, Args, Serialize)]
pub(crate) struct Offline {
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) mail: Mail,
    /// Leave the messages there
    #[arg(long)]
    pub(crate) store_only: bool,
}

#[derive(Debug, Args, Serialize)]
pub(crate) struct Drain {
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) mail: Mail,
}

/// Messages that wait for their clients.
#[derive(Debug, Args, Serialize)]
pub(crate) struct Mail {
    /// Absent clients
    #[arg(long, default_value_t = 1000, value_parser = count(1..=1_000_000))]
    pub(crate) clients: usize,
    /// Messages for all of them together
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1..=50_000_000))]
    pub(crate) messages: u64,
    /// Clients that read at a time
    #[arg(long, default_value_t = 100, value_parser = count(1..=50_000))]
    pub(crate) drain_clients: usize,
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) post: Post,
}

#[derive(Debug, Args, Serialize)]
pub(crate) struct Replay {
    /// Messages in the inbox
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1..=50_000_000))]
    pub(crate) messages: u64,
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) post: Post,
}

#[derive(Debug, Args, Serialize)]
pub(crate) struct Storm {
    /// Clients
    #[arg(long, default_value_t = 5000, value_parser = count(1..=50_000))]
    pub(crate) clients: usize,
    /// Messages that wait for each of them
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(crate) waiting: u64,
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) post: Post,
}

/// How mail is posted and read.
#[derive(Debug, Clone, Args, Serialize)]
pub(crate) struct Post {
    /// Publishers
    #[arg(long, default_value_t = 16, value_parser = count(1..=10_000))]
    pub(crate) publishers: usize,
    /// Messages that each publisher has in flight at most
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) window: u16,
    /// Payload in bytes
    #[arg(long, default_value_t = 256, value_parser = count(STAMP_BYTES..=MEBIBYTE))]
    pub(crate) bytes: usize,
    /// First let every client connect with clean session = 0, subscribe and leave, for brokers that queue for sessions only
    #[arg(long)]
    pub(crate) presubscribe: bool,
    /// Speak MQTT 5, and let every message ask for this: nothing, id, or delivered, whose receipts the publishers come back
    /// for when all is read
    #[arg(long, value_parser = asks_of_mail, conflicts_with = "presubscribe")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) asks: Option<Asks>,
    /// A reader whose messages stop coming for this many seconds counts them as not delivered
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) stall: u64,
}

#[derive(Debug, Args, Serialize)]
pub(crate) struct Idle {
    /// Connections
    #[arg(long, default_value_t = 10_000, value_parser = count(1..=1_000_000))]
    pub(crate) connections: usize,
}

#[derive(Debug, Args, Serialize)]
pub(crate) struct Reconnect {
    /// Clients
    #[arg(long, default_value_t = 5000, value_parser = count(1..=50_000))]
    pub(crate) clients: usize,
}

fn loopback(text: &str) -> Result<IpAddr, &'static str> {
    let address = match text {
        "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
        _ => text.parse().map_err(|_| "give an IP address or localhost")?,
    };
    address
        .is_loopback()
        .then_some(address)
        .ok_or("only loopback addresses are accepted: this program is a flood")
}

fn asks_of_mail(text: &str) -> Result<Asks, &'static str> {
    match Asks::from_str(text, false) {
        Ok(asks) if asks != Asks::Read => Ok(asks),
        // Who drains reads as fast as it can, and says nothing.
        _ => Err("give nothing, id or delivered"),
    }
}

fn prefix(text: &str) -> Result<String, &'static str> {
    let is_valid = (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    is_valid
        .then(|| text.to_owned())
        .ok_or("give 1 to 64 letters, digits, - and _")
}

fn count(range: RangeInclusive<usize>) -> impl Fn(&str) -> Result<usize, String> + Clone {
    move |text| match text.parse() {
        Ok(number) if range.contains(&number) => Ok(number),
        _ => Err(format!("give a number from {} to {}", range.start(), range.end())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, clap::Error> {
        Options::try_parse_from(line.split_ascii_whitespace())
    }

    /// Goal: the flood cannot leave the machine.
    #[test]
    fn only_loopback_is_accepted() {
        for host in ["127.0.0.1", "127.3.2.1", "::1", "localhost"] {
            assert!(
                parse(&format!("load p2p --host {host}"))
                    .unwrap()
                    .common
                    .host
                    .is_loopback()
            );
        }
        for host in ["0.0.0.0", "10.0.0.1", "example.org", "::", ""] {
            assert!(parse(&format!("load --host={host} p2p")).is_err(), "{host}");
        }
    }

    /// Goal: values that would make no valid topic, packet or run are refused on the command line.
    #[test]
    fn impossible_values_are_refused() {
        for line in [
            "load p2p --bytes 15",
            "load p2p --window 0",
            "load p2p --pairs 0",
            "load p2p --prefix a/b",
            "load p2p --threads 0",
            "load replay --bytes 2000000",
            "load offline --asks read",
            "load offline --asks id --presubscribe",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
        let options = parse("load offline --messages 10 --prefix a-b_1 --threads 2").unwrap();
        assert_eq!(
            (options.common.prefix.as_deref(), options.common.threads),
            (Some("a-b_1"), 2)
        );
    }
}
