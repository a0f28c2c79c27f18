//! `inbox status`.

use inbox_client::{Inbox, Sent, SentState, Status};
use serde_json::json;

use crate::cli::StatusArgs;
use crate::connect::{Deadline, first_attempt, open};
use crate::failure::{Failure, WhereItIs};
use crate::output;
use crate::quantity::Patience;
use crate::settings::Settings;

/// Says how things are; fails if there is no connection.
pub(crate) async fn run(settings: &Settings, args: &StatusArgs) -> Result<(), Failure> {
    let inbox = open(settings).await?;
    let outbox = inbox.outbox();
    let attempted = first_attempt(&inbox, Deadline::after(Patience(Some(args.timeout)))).await;
    let text = match args.json {
        true => as_json(settings, &inbox, &outbox),
        false => as_text(settings, &inbox, &outbox),
    };
    let where_it_is = match outbox.iter().any(|sent| is_waiting(&sent)) {
        true => WhereItIs::NextTime,
        false => WhereItIs::NoneWaits,
    };
    let is_connected = matches!(inbox.status(), Status::Connected { .. });
    let _older = inbox.close(std::time::Duration::ZERO).await;
    output::write(&text)?;
    match attempted? {
        None if is_connected => Ok(()),
        why => Err(Failure::NoConnection {
            after: args.timeout,
            why,
            where_it_is,
        }),
    }
}

fn broker(inbox: &Inbox) -> &'static str {
    match inbox.status() {
        Status::Connected { is_inboxd: true } => "connected",
        Status::Connected { is_inboxd: false } => "connected, to a broker that is not inboxd",
        _ => "not connected",
    }
}

fn is_waiting(sent: &&Sent) -> bool {
    sent.state() == SentState::Waiting
}

fn as_text(settings: &Settings, inbox: &Inbox, outbox: &[Sent]) -> String {
    let place = settings
        .outbox
        .as_ref()
        .map_or("in memory".to_owned(), |path| path.display().to_string());
    let waiting = outbox.iter().filter(is_waiting).count();
    let mut text = format!(
        "server     {}\nclient ID  {}\nbroker     {}\nepoch      {}\noutbox     {place}\n",
        settings.shown_url(),
        inbox.client_id(),
        broker(inbox),
        inbox.epoch().as_deref().unwrap_or("unknown"),
    );
    text += &format!(
        "waiting    {waiting} to be sent, {} for their receipts\n",
        outbox.len() - waiting
    );
    for sent in outbox.iter().filter(is_waiting) {
        text += &format!("           {} to {}\n", sent.id(), sent.to());
    }
    text
}

fn as_json(settings: &Settings, inbox: &Inbox, outbox: &[Sent]) -> String {
    let state = |sent: &Sent| match sent.state() {
        SentState::Waiting => "waiting",
        SentState::Stored(_) => "stored",
        SentState::Delivered => "delivered",
        SentState::Read => "read",
        SentState::Failed(_) => "failed",
    };
    let messages: Vec<_> = outbox
        .iter()
        .map(|sent| json!({ "to": sent.to(), "id": sent.id(), "state": state(sent) }))
        .collect();
    let body = json!({
        "server": settings.shown_url(),
        "client_id": inbox.client_id(),
        "connected": matches!(inbox.status(), Status::Connected { .. }),
        "is_inboxd": matches!(inbox.status(), Status::Connected { is_inboxd: true }),
        "epoch": inbox.epoch(),
        "outbox": settings.outbox,
        "messages": messages,
    });
    format!("{body}\n")
}
