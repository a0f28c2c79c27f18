//! Sends to somebody, and prints what comes back.
//!
//! ```text
//! cargo run -p inbox-client --example first -- mqtt://localhost alice bob "hello"
//! ```
//!
//! The last two can be left out: then it only listens. Two of them, in two terminals, talk.

use std::env;
use std::io::Write;

use inbox_client::{Inbox, InboxOptions};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = env::args().skip(1);
    let url = arguments.next().unwrap_or_else(|| "mqtt://localhost".to_owned());
    let name = arguments.next().unwrap_or_else(|| "alice".to_owned());

    let options = InboxOptions::new(url, &name).outbox(env::temp_dir().join(format!("first-{name}.redb")));
    let inbox = Inbox::connect(options).await?;
    if let (Some(to), Some(text)) = (arguments.next(), arguments.next()) {
        let sent = inbox.send(&to, text).await?;
        let stored = sent.stored().await?;
        writeln!(std::io::stdout(), "the broker has it: {stored:?}")?;
    }
    while let Some(delivery) = inbox.recv().await {
        let text = String::from_utf8_lossy(&delivery.payload);
        writeln!(std::io::stdout(), "{}: {text}", delivery.from)?;
        delivery.ack().await?;
    }
    Ok(())
}
