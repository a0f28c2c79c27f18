//! `load`: drives an MQTT broker on this machine and measures it. `load --help` says how.
//!
//! It is no part of inboxd: it speaks MQTT 3.1.1 over TCP, TLS or WebSocket and works with any broker, so that figures can be compared; and MQTT 5,
//! to measure what only inboxd has ([`asks`]).
//! One thread drives all connections ([`reactor`]), a workload is a [`run::Worker`] on top of it, and a [`ledger`]
//! keeps account of every message: a fast broker that loses messages is not fast.

mod asks;
mod ended;
mod gather;
mod idle;
mod ledger;
mod live;
mod mail;
mod options;
mod packet;
mod publisher;
mod reactor;
mod reconnect;
mod report;
mod run;
mod subscribe;
mod system;
mod wire;

use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::Parser;
use serde::Serialize;
use serde_json::Value;

use asks::Asks;
use options::{Common, Mail, Options, Workload};
use publisher::Names;
use reactor::Clock;
use report::Report;
use run::{Run, RunError};
use subscribe::LEAVE_TOGETHER_MAX;
use system::Process;
use wire::Wiring;

/// Something was lost, out of order, foreign or not delivered.
const EXIT_NOT_CLEAN: u8 = 1;
/// The run has no result. (2 is a wrong command line.)
const EXIT_NO_RESULT: u8 = 3;

fn main() -> ExitCode {
    let Options { common, workload } = Options::parse();
    let report = match drive(&common, workload) {
        Ok(report) => report,
        Err(error) => {
            eprintln!("load: {error}");
            return ExitCode::from(EXIT_NO_RESULT);
        }
    };
    let text = if common.json { report.json() } else { report.table() };
    // Whoever closed our output does not want to hear more; the exit code still tells.
    std::io::stdout().write_all(text.as_bytes()).unwrap_or_default();
    if report.is_clean() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(EXIT_NOT_CLEAN)
    }
}

fn drive(common: &Common, workload: Workload) -> Result<Report, RunError> {
    system::raise_open_files(connections(&workload))?;
    let names = Names::new(&common.prefix.clone().unwrap_or_else(fresh_prefix));
    let run = Run {
        names: if common.ordinary { names.ordinary() } else { names },
        address: SocketAddr::new(common.host, common.port),
        wiring: Wiring::new(&common.way, common.host)?,
        password: common.password.clone(),
        is_v5: asks(&workload).is_some(),
        threads: common.threads,
        gather_us: common.gather_us,
        broker: common.pid.map(Process::new).transpose()?,
        clock: Clock::start(),
        started: Instant::now(),
        timeout: Duration::from_secs(common.timeout),
    };
    run.check_broker()?;
    match workload {
        Workload::P2p(it) => {
            let plan = live::Plan {
                name: "p2p",
                publishers: it.pairs,
                readers: it.pairs,
                pace: &it.pace,
            };
            live::drive(&run, &plan, value(&it))
        }
        Workload::Fanin(it) => {
            let plan = live::Plan {
                name: "fanin",
                publishers: it.publishers,
                readers: 1,
                pace: &it.pace,
            };
            live::drive(&run, &plan, value(&it))
        }
        Workload::Offline(it) => {
            let options = value(&it);
            mail::drive(&run, &mail_plan("offline", it.mail, true, !it.store_only), options)
        }
        Workload::Drain(it) => {
            let options = value(&it);
            mail::drive(&run, &mail_plan("drain", it.mail, false, true), options)
        }
        Workload::Replay(it) => {
            let options = value(&it);
            let mail = Mail {
                clients: 1,
                messages: it.messages,
                drain_clients: 1,
                post: it.post,
            };
            mail::drive(&run, &mail_plan("replay", mail, true, true), options)
        }
        Workload::Storm(it) => {
            let options = value(&it);
            let messages = it.waiting * it.clients as u64;
            let mail = Mail {
                clients: it.clients,
                messages,
                drain_clients: it.clients,
                post: it.post,
            };
            mail::drive(&run, &mail_plan("storm", mail, true, true), options)
        }
        Workload::Idle(it) => idle::drive(&run, it.connections, value(&it)),
        Workload::Reconnect(it) => reconnect::drive(&run, it.clients, value(&it)),
    }
}

fn mail_plan(name: &'static str, mail: Mail, stores: bool, drains: bool) -> mail::Plan {
    let Mail {
        clients,
        messages,
        drain_clients,
        post,
    } = mail;
    mail::Plan {
        name,
        clients,
        messages,
        drain_clients,
        post,
        stores,
        drains,
    }
}

/// How online traffic is paced, if that is what the workload is.
fn asks(workload: &Workload) -> Option<Asks> {
    match workload {
        Workload::P2p(it) => it.pace.asks,
        Workload::Fanin(it) => it.pace.asks,
        Workload::Offline(it) => it.mail.post.asks,
        Workload::Drain(it) => it.mail.post.asks,
        Workload::Replay(it) => it.post.asks,
        Workload::Storm(it) => it.post.asks,
        Workload::Idle(_) | Workload::Reconnect(_) => None,
    }
}

/// Connections that are open at the same time.
fn connections(workload: &Workload) -> usize {
    match workload {
        Workload::P2p(it) => 2 * it.pairs,
        Workload::Fanin(it) => it.publishers + 1,
        Workload::Offline(it) => {
            let readers = it.mail.drain_clients.min(it.mail.clients);
            let leaving = if it.mail.post.presubscribe {
                it.mail.clients.min(LEAVE_TOGETHER_MAX)
            } else {
                0
            };
            readers.max(leaving).max(it.mail.post.publishers)
        }
        Workload::Drain(it) => it.mail.drain_clients.min(it.mail.clients),
        Workload::Replay(it) => it.post.publishers,
        Workload::Storm(it) => it.clients.max(it.post.publishers),
        Workload::Idle(it) => it.connections,
        Workload::Reconnect(it) => it.clients,
    }
}

/// The options as they are reported. They are plain numbers, for which this cannot fail.
fn value(options: &impl Serialize) -> Value {
    serde_json::to_value(options).unwrap_or_default()
}

/// A prefix that no earlier run on this machine is likely to have had.
fn fresh_prefix() -> String {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("l{:x}x{:x}", std::process::id(), since_1970.as_millis())
}
