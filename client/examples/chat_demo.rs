//! Two clients that talk through the broker, while one of them comes and goes.
//!
//! ```text
//! chat_demo alice      sends numbered messages to bob, all the time
//! chat_demo bob        is there for some seconds, and away for some; checks that no number is missing
//! ```
//!
//! `CHAT_BROKER` is where the broker is (`127.0.0.1:1883`), `CHAT_PASSWORD` the password of the client's user, where the broker has users. alice
//! sends the next message when the one before is safe, and sends it again when nobody knows; so bob gets every number, in order, and a number
//! twice only where a connection was lost. When a number is missing, bob says `LOST` and ends with 1.

use std::collections::HashMap;
use std::env;
use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use inbox_client::{InboxClient, InboxClientOptions, Login, Message, Messages};
use tokio::time::{sleep, timeout};

/// Between two messages of alice.
const PACE: Duration = Duration::from_millis(500);
/// How long bob is there, and away.
const THERE: Duration = Duration::from_secs(6);
const AWAY: Duration = Duration::from_secs(8);
/// Until a connection is tried again.
const PATIENCE: Duration = Duration::from_secs(1);

/// A number is missing, or came too late.
#[derive(Debug, thiserror::Error)]
#[error("LOST: {expected} was to come next, and it was {found}")]
struct Lost {
    expected: u64,
    found: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let ended = match env::args().nth(1).as_deref() {
        Some("alice") => alice().await,
        Some("bob") => bob().await,
        _ => {
            say("chat_demo alice, or chat_demo bob");
            return ExitCode::from(2);
        }
    };
    let Err(lost) = ended;
    say(&format!("bob: {lost}"));
    ExitCode::FAILURE
}

/// Sends for ever.
async fn alice() -> Result<std::convert::Infallible, Lost> {
    let (client, _messages) = connect("alice").await;
    // What alice sent before it was started again are other messages.
    let began = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_millis();
    for number in 1_u64.. {
        // With the same id each time, so that bob could tell duplicates without numbers, too.
        let (text, id) = (format!("{began} {number}"), format!("{began}-{number}"));
        loop {
            let sent = match client.send_with_id("bob", &id, text.clone()).await {
                Ok(receipt) => receipt.accepted().await,
                Err(error) => Err(error),
            };
            match sent {
                Ok(()) => break,
                Err(why) => say(&format!("alice: {number} is not safe yet: {why}")),
            }
            sleep(PATIENCE).await;
        }
        say(&format!("alice: {number} is safe with bob, or on disk for him"));
        sleep(PACE).await;
    }
    unreachable!("there are more numbers than seconds")
}

/// Comes and goes for ever.
async fn bob() -> Result<std::convert::Infallible, Lost> {
    let mut seen = Seen::default();
    loop {
        let (client, mut messages) = connect("bob").await;
        say("bob: here");
        let there = timeout(THERE, read(&mut messages, &mut seen));
        if let Ok(lost) = there.await {
            lost?;
        }
        client.close().await;
        say(&format!(
            "bob: away; {} came so far, {} of them twice",
            seen.came, seen.again
        ));
        sleep(AWAY).await;
    }
}

async fn read(messages: &mut Messages, seen: &mut Seen) -> Result<(), Lost> {
    while let Some(message) = messages.next().await {
        say(&format!("bob: {}", seen.look(&message)?));
        // When the connection is gone, it comes again.
        if let Err(why) = message.acknowledge() {
            say(&format!("bob: {why}"));
        }
    }
    Ok(())
}

/// What bob has seen.
#[derive(Debug, Default)]
struct Seen {
    /// The last number of each time that alice was started.
    last: HashMap<String, u64>,
    came: u64,
    again: u64,
}

impl Seen {
    fn look(&mut self, message: &Message) -> Result<String, Lost> {
        let text = String::from_utf8_lossy(&message.payload);
        let Some((began, found)) = text
            .split_once(' ')
            .and_then(|(began, number)| Some((began, number.parse::<u64>().ok()?)))
        else {
            return Ok(format!("{} says {text:?}", message.from));
        };
        self.came += 1;
        let waited = waited(message.at);
        // bob may have been started in between, and then knows no number yet.
        let last = self.last.entry(began.to_owned()).or_insert(found.saturating_sub(1));
        if found <= *last {
            self.again += 1;
            return Ok(format!("{found} again, as after a lost connection it may"));
        }
        if found != *last + 1 {
            return Err(Lost {
                expected: *last + 1,
                found,
            });
        }
        *last = found;
        Ok(format!("{found}, which waited {:.1} s", waited.as_secs_f64()))
    }
}

/// Since a time in microseconds since 1970.
fn waited(at: u64) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.saturating_sub(Duration::from_micros(at))
}

/// Connects, however long the broker takes to come.
async fn connect(name: &str) -> (InboxClient, Messages) {
    let broker = env::var("CHAT_BROKER").unwrap_or_else(|_| "127.0.0.1:1883".to_owned());
    let (host, port) = broker.rsplit_once(':').unwrap_or((&broker, "1883"));
    let mut options = InboxClientOptions::new(host, port.parse().unwrap_or(1883), name);
    options.keep_alive = Duration::from_secs(5);
    options.login = env::var("CHAT_PASSWORD").ok().map(|password| Login {
        user: name.to_owned(),
        password,
    });
    loop {
        match InboxClient::connect(options.clone()).await {
            Ok(connected) => return connected,
            Err(why) => say(&format!("{name}: {why}")),
        }
        sleep(PATIENCE).await;
    }
}

/// A line on standard output. Nobody may be reading it.
fn say(line: &str) {
    let _nobody = writeln!(std::io::stdout().lock(), "{line}");
}
