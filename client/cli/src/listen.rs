//! `inbox listen`.
//!
//! The promise: a message is acknowledged when its line is written and flushed, and not before. Who reads standard output may still not have read
//! it: what is in a pipe when its reader ends is lost to that reader.

use std::io::{self, IsTerminal};
use std::time::Duration;

use inbox_client::{AckError, Delivery, DeliveryKind, Inbox, Status};
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep;

use crate::cli::ListenArgs;
use crate::clock::clock;
use crate::connect::{LEAVING, open};
use crate::failure::{Failure, WhereItIs};
use crate::narrator::narrate;
use crate::output::{self, Reader, hexadecimal, one_line, when_nobody_reads};
use crate::settings::Settings;
use crate::signals::ended;

/// So many messages inboxd hands out without acknowledgement, unless it is configured otherwise.
const WINDOW: usize = 100;

/// Prints messages until it is to end.
pub(crate) async fn run(settings: &Settings, args: &ListenArgs) -> Result<(), Failure> {
    let inbox = open(settings).await?;
    let narrating = tokio::spawn(narrate(inbox.events(), output::say));
    let mut listener = Listener {
        args,
        inbox: &inbox,
        is_terminal: io::stdout().is_terminal(),
        printed: 0,
        kept: Vec::new(),
        acknowledging: JoinSet::new(),
    };
    let done = listener.run().await;
    let acknowledged = listener.acknowledged().await;
    narrating.abort();
    let _sent_nothing = inbox.close(LEAVING).await;
    done.and(acknowledged)
}

struct Listener<'a> {
    args: &'a ListenArgs,
    inbox: &'a Inbox,
    is_terminal: bool,
    printed: u64,
    /// With `--no-ack`: as long as they are kept, they are not printed again after a lost connection.
    kept: Vec<Delivery>,
    acknowledging: JoinSet<Result<(), AckError>>,
}

impl Listener<'_> {
    async fn run(&mut self) -> Result<(), Failure> {
        let (gone, mut nobody_reads) = oneshot::channel();
        when_nobody_reads(move || {
            // Who waited for it may have ended.
            let _ended = gone.send(());
        });
        let mut ended = Box::pin(ended());
        let mut time_is_over = Box::pin(after(self.args.timeout));
        while self.args.count.is_none_or(|count| self.printed < count) {
            tokio::select! {
                Ok(()) = &mut nobody_reads => return Ok(()),
                () = &mut ended => return Ok(()),
                () = &mut time_is_over => return self.time_is_over(),
                Some(acknowledged) = self.acknowledging.join_next(), if !self.acknowledging.is_empty() => look(acknowledged)?,
                delivery = self.inbox.recv() => match delivery {
                    None => return self.stopped(),
                    Some(delivery) => match output::write(&self.line(&delivery))? {
                        Reader::Gone => return Ok(()),
                        Reader::There => self.printed(delivery),
                    },
                },
            }
        }
        Ok(())
    }

    fn printed(&mut self, delivery: Delivery) {
        self.printed += 1;
        if !self.args.no_ack {
            // Not awaited here, so that many go to the disk together.
            self.acknowledging.spawn(async move { delivery.ack().await });
            return;
        }
        self.kept.push(delivery);
        if self.kept.len() == WINDOW {
            output::say("the broker may hand out no more messages before some are acknowledged");
        }
    }

    /// Waits for what is being acknowledged.
    async fn acknowledged(&mut self) -> Result<(), Failure> {
        while let Some(acknowledged) = self.acknowledging.join_next().await {
            look(acknowledged)?;
        }
        Ok(())
    }

    fn time_is_over(&self) -> Result<(), Failure> {
        if self.inbox.status() == Status::Connecting {
            return Err(Failure::NoConnection {
                after: self.args.timeout.unwrap_or_default(),
                why: None,
                where_it_is: WhereItIs::Inbox,
            });
        }
        match self.args.count {
            None => Ok(()),
            Some(wanted) => Err(Failure::TooFew {
                came: self.printed,
                wanted,
            }),
        }
    }

    fn stopped(&self) -> Result<(), Failure> {
        match self.inbox.status() {
            Status::Stopped { reason } => Err(inbox_client::ConnectError::from(reason).into()),
            _ => Ok(()),
        }
    }

    fn line(&self, delivery: &Delivery) -> String {
        if self.args.json {
            return format!("{}\n", as_json(delivery));
        }
        let text = match &delivery.kind {
            DeliveryKind::Recall { .. } => "(took a message back)".into(),
            _ => one_line(&delivery.payload),
        };
        match self.is_terminal {
            true => format!(
                "{} {}: {text}\n",
                clock(delivery.at_us, &TimeZone::system()),
                one_line(delivery.from.as_bytes())
            ),
            false => format!("{text}\n"),
        }
    }
}

/// By the names that exports of inboxd have.
fn as_json(delivery: &Delivery) -> Value {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    put("id", json!(delivery.id));
    put("seq", json!(delivery.seq));
    put("from", json!(delivery.from));
    put("at", json!(delivery.at_us));
    if let Some(user) = &delivery.user {
        put("user", json!(user));
    }
    match &delivery.kind {
        DeliveryKind::Edit { id } => drop(put("edit_of", json!(id))),
        DeliveryKind::Recall { id } => drop(put("recall_of", json!(id))),
        _ => {}
    }
    if let Some(content_type) = &delivery.content_type {
        put("content_type", json!(content_type));
    }
    put("properties", json!(delivery.properties));
    match delivery.text() {
        Ok(text) => put("payload", json!(text)),
        Err(_) => put("payload_hex", json!(hexadecimal(&delivery.payload))),
    };
    Value::Object(fields)
}

fn look(acknowledged: Result<Result<(), AckError>, JoinError>) -> Result<(), Failure> {
    // It panics only with a broken invariant of the SDK, which has told it.
    Ok(acknowledged.unwrap_or(Err(AckError::Closed))?)
}

/// Waits so long, or for ever.
async fn after(time: Option<Duration>) {
    match time {
        Some(time) => sleep(time).await,
        None => std::future::pending().await,
    }
}
