//! `inbox send`: one message.

use std::fs::File;
use std::io::{self, IsTerminal, Read};

use inbox_client::{Inbox, Lost, Message, Sent, SentState, Status, Undelivered};

use crate::cli::{SendArgs, Wait};
use crate::connect::{Deadline, LEAVING, first_attempt, open};
use crate::failure::{Failure, WhereItIs};
use crate::narrator::narrate;
use crate::output;
use crate::settings::Settings;

/// Sends it, and waits until it is as far as was asked.
pub(crate) async fn run(settings: &Settings, args: &SendArgs) -> Result<(), Failure> {
    let message = message(args, payload(args)?, args.id.clone());
    let inbox = open(settings).await?;
    let narrating = tokio::spawn(narrate(inbox.events(), output::say));
    let done = send(settings, &inbox, args, message).await;
    narrating.abort();
    // Acknowledgements that it made go out; older messages that wait for their recipients wait on.
    let _older = inbox.close(LEAVING).await;
    done
}

async fn send(settings: &Settings, inbox: &Inbox, args: &SendArgs, message: Message) -> Result<(), Failure> {
    let deadline = Deadline::after(args.timeout);
    // A wrong password is told before the message is in the outbox.
    let lost = first_attempt(inbox, deadline).await?;
    let sent = inbox.send(&args.to, message).await?;
    output::write(&format!("{}\n", sent.id()))?;
    match deadline.run(wait_for(&sent, args.wait)).await {
        Some(outcome) => Ok(outcome?),
        None => Err(too_late(settings, inbox, args, &sent, lost)),
    }
}

/// Waits until the message is as far as that.
pub(crate) async fn wait_for(sent: &Sent, wait: Wait) -> Result<(), Undelivered> {
    match wait {
        Wait::Stored => sent.stored().await.map(|_| ()),
        Wait::Delivered => sent.delivered().await,
        Wait::Read => sent.read().await,
    }
}

/// Says where a message is whose time is over.
pub(crate) fn too_late(settings: &Settings, inbox: &Inbox, args: &SendArgs, sent: &Sent, why: Option<Lost>) -> Failure {
    let after = args.timeout.0.unwrap_or_default();
    let id = sent.id().to_owned();
    let where_it_is = match (sent.state(), &settings.outbox) {
        (SentState::Delivered | SentState::Read, _) => WhereItIs::Recipient,
        (SentState::Stored(_), _) => WhereItIs::Broker,
        (_, Some(outbox)) => WhereItIs::Outbox {
            outbox: outbox.clone(),
            id,
        },
        (_, None) => WhereItIs::Memory { id },
    };
    let is_out = matches!(where_it_is, WhereItIs::Broker | WhereItIs::Recipient);
    match inbox.status() {
        Status::Connecting if !is_out => Failure::NoConnection {
            after,
            why,
            where_it_is,
        },
        _ => Failure::NotInTime {
            state: args.wait,
            after,
            where_it_is,
        },
    }
}

/// A message as the options say. Text is sent as text.
pub(crate) fn message(args: &SendArgs, payload: Vec<u8>, id: Option<String>) -> Message {
    let mut message = match String::from_utf8(payload) {
        Ok(text) => Message::text(text),
        Err(error) => Message::bytes(error.into_bytes()),
    };
    if let Some(id) = id {
        message = message.id(id);
    }
    if let Some(key) = &args.collapse {
        message = message.collapse(key);
    }
    if let Some(time) = args.expires_after {
        message = message.expires_after(time);
    }
    message
}

/// Opens what is to be sent, where that is no argument.
pub(crate) fn source(args: &SendArgs) -> Result<Box<dyn Read + Send>, Failure> {
    match &args.file {
        Some(path) => {
            let opened = File::open(path).map_err(|error| Failure::NoFile {
                path: path.clone(),
                kind: error.kind(),
            })?;
            Ok(Box::new(opened))
        }
        // Who typed "-" knows what to type next.
        None if args.text.is_none() && io::stdin().is_terminal() => Err(Failure::NoMessage),
        None => Ok(Box::new(io::stdin())),
    }
}

fn payload(args: &SendArgs) -> Result<Vec<u8>, Failure> {
    if let Some(text) = args.text.as_ref().filter(|text| *text != "-") {
        return Ok(text.clone().into_bytes());
    }
    let mut payload = Vec::new();
    let read = source(args)?.read_to_end(&mut payload);
    read.map_err(|error| Failure::Input(error.kind()))?;
    Ok(payload)
}
