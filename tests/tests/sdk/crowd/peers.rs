//! The clients of a crowd: the SDKs for Rust, Python and JavaScript, each of which does as it is told and says what happened, in the words of
//! `clients/python/tests/peer.py`. Those for Rust are in this process, the others in processes of their own.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{ChildStdin, Stdio};
use std::sync::mpsc::{SendError, Sender};
use std::thread;
use std::time::Duration;

use inbox_client::{Inbox, InboxOptions};
use inbox_tests::{Running, tools};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::outbox;

/// A peer's number, and a line that it said.
pub(super) type Said = (usize, String);

/// Which SDK a peer uses.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Rust,
    Python,
    JavaScript,
}

impl Kind {
    /// That of the peer with this number.
    pub(super) fn of(number: usize) -> Self {
        [Kind::Rust, Kind::Python, Kind::JavaScript][number % 3]
    }
}

/// One client.
pub(super) struct Peer {
    pub(super) name: String,
    orders: Orders,
}

enum Orders {
    Here(UnboundedSender<String>),
    There(ChildStdin, Running),
}

impl Peer {
    /// Starts the peer with this number, which connects to `port` and keeps what it must in `folder`. Call it within a Tokio runtime.
    pub(super) fn start(number: usize, port: u16, folder: &Path, said: Sender<Said>) -> Self {
        let kind = Kind::of(number);
        let name = format!("{kind:?}-{number}").to_lowercase();
        let orders = match kind {
            Kind::Rust => {
                let (orders, taken) = unbounded_channel();
                let mut options = crate::options(port, &name);
                let short = Duration::from_millis(500);
                (options.heartbeat.first, options.heartbeat.shortest) = (short, short);
                // Some keep nothing: for a process that lives, that is no different.
                if number.is_multiple_of(2) {
                    options = options.outbox(outbox(folder, &name));
                }
                tokio::spawn(live(options, taken, move |line| said.send((number, line)).unwrap()));
                Orders::Here(orders)
            }
            Kind::Python => there("python/tests/peer.py", &name, port, folder, move |line| {
                said.send((number, line))
            }),
            Kind::JavaScript => there("js/tests/peer.mjs", &name, port, folder, move |line| {
                said.send((number, line))
            }),
        };
        Peer { name, orders }
    }

    /// Tells it what to do.
    pub(super) fn order(&mut self, line: &str) {
        match &mut self.orders {
            Orders::Here(orders) => orders.send(line.to_owned()).unwrap(),
            Orders::There(orders, _) => writeln!(orders, "{line}").unwrap(),
        }
    }

    /// Waits for its end, which must be a good one.
    pub(super) fn end(self) {
        if let Orders::There(orders, mut running) = self.orders {
            drop(orders);
            let status = running.wait();
            assert!(status.success(), "{} ended with {status}", self.name);
        }
    }
}

/// A peer in a process of its own.
fn there(
    script: &str,
    name: &str,
    port: u16,
    folder: &Path,
    say: impl Fn(String) -> Result<(), SendError<Said>> + Send + 'static,
) -> Orders {
    let mut command = tools::client_program(script);
    command.arg(name).arg(folder).arg(port.to_string());
    let mut running = Running::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
    let (orders, lines) = (running.stdin(), BufReader::new(running.stdout()).lines());
    thread::spawn(move || lines.map_while(Result::ok).try_for_each(say));
    Orders::There(orders, running)
}

/// A peer in this process, until it is told to close.
async fn live(
    options: InboxOptions,
    mut orders: UnboundedReceiver<String>,
    say: impl Fn(String) + Clone + Send + 'static,
) {
    let inbox = Inbox::connect(options).await.unwrap();
    say("ready".to_owned());
    let (reading, tell) = (inbox.clone(), say.clone());
    tokio::spawn(async move {
        while let Some(delivery) = reading.recv().await {
            tell(format!("got {} {}", delivery.from, delivery.text().unwrap()));
            delivery.ack().await.unwrap();
        }
    });
    while let Some(order) = orders.recv().await {
        match order.split(' ').collect::<Vec<_>>()[..] {
            ["send", to, text] => {
                inbox.send(to, text).await.unwrap().id();
                say(format!("sent {to} {text}"));
            }
            ["flush"] => {
                assert!(inbox.flushed().await);
                say("flushed".to_owned());
            }
            _ => {
                let left = inbox
                    .close(Duration::from_secs(10))
                    .await
                    .map_or_else(|left| left.messages, |()| 0);
                say(format!("closed {left}"));
            }
        }
    }
}
