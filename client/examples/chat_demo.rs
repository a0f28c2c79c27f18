//! Two clients that talk through the broker, while one of them comes and goes.
//!
//! ```text
//! chat_demo alice      sends numbered messages to bob, all the time
//! chat_demo bob        is there for some seconds, and away for some; checks that no number is missing
//! ```
//!
//! `CHAT_BROKER` is where the broker is (`127.0.0.1:1883`), `CHAT_PASSWORD` the password of the client's user, where the broker has users. alice
//! sends the next message when the one before is safe; a connection that is lost in between is for the SDK. bob forgets everything when he goes, so
//! a number may come to him twice where he had acknowledged it and the broker did not hear that. When a number is missing, bob says `LOST` and ends with 1.

use std::collections::HashMap;
use std::env;
use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use inbox_client::{Delivery, Inbox, InboxOptions, Message};
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
    let inbox = connect("alice").await;
    // What alice sent before it was started again are other messages.
    let began = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_millis();
    for number in 1_u64.. {
        while let Err(why) = send(&inbox, &format!("{began} {number}")).await {
            say(&format!("alice: {number} is not safe: {why}"));
            sleep(PATIENCE).await;
        }
        say(&format!("alice: {number} is safe with bob, or on disk for him"));
        sleep(PACE).await;
    }
    unreachable!("there are more numbers than seconds")
}

async fn send(inbox: &Inbox, text: &str) -> Result<(), Box<dyn std::error::Error>> {
    inbox.send("bob", Message::text(text)).await?.stored().await?;
    Ok(())
}

/// Comes and goes for ever.
async fn bob() -> Result<std::convert::Infallible, Lost> {
    let mut seen = Seen::default();
    loop {
        let inbox = connect("bob").await;
        say("bob: here");
        let there = timeout(THERE, read(&inbox, &mut seen));
        if let Ok(lost) = there.await {
            lost?;
        }
        // He sends nothing, so there is nothing to wait for.
        let _nothing = inbox.close(PATIENCE).await;
        say(&format!(
            "bob: away; {} came so far, {} of them twice",
            seen.came, seen.again
        ));
        sleep(AWAY).await;
    }
}

async fn read(inbox: &Inbox, seen: &mut Seen) -> Result<(), Lost> {
    while let Some(delivery) = inbox.recv().await {
        say(&format!("bob: {}", seen.look(&delivery)?));
        // When it cannot be acknowledged, it comes again.
        if let Err(why) = delivery.ack().await {
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
    fn look(&mut self, delivery: &Delivery) -> Result<String, Lost> {
        let text = String::from_utf8_lossy(&delivery.payload);
        let Some((began, found)) = text
            .split_once(' ')
            .and_then(|(began, number)| Some((began, number.parse::<u64>().ok()?)))
        else {
            return Ok(format!("{} says {text:?}", delivery.from));
        };
        self.came += 1;
        let waited = waited(delivery.at_us.unwrap_or_default());
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
async fn connect(name: &str) -> Inbox {
    let broker = env::var("CHAT_BROKER").unwrap_or_else(|_| "127.0.0.1:1883".to_owned());
    let mut options = InboxOptions::new(format!("mqtt://{broker}"), name);
    // Nobody wants to watch a minute's pause.
    options.reconnect.longest = 5 * PATIENCE;
    if let Ok(password) = env::var("CHAT_PASSWORD") {
        options = options.login(name, password);
    }
    loop {
        match Inbox::connect(options.clone()).await {
            Ok(inbox) => return inbox,
            Err(why) => say(&format!("{name}: {why}")),
        }
        sleep(PATIENCE).await;
    }
}

/// A line on standard output. Nobody may be reading it.
fn say(line: &str) {
    let _nobody = writeln!(std::io::stdout().lock(), "{line}");
}
