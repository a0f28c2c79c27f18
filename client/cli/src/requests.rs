//! `inbox recall` and `inbox edit`.

use inbox_client::{Inbox, Recalled, RequestError};

use crate::cli::{EditArgs, RecallArgs};
use crate::connect::{Deadline, LEAVING, first_attempt, open};
use crate::failure::{Failure, WhereItIs};
use crate::output;
use crate::settings::Settings;

/// `inbox recall`.
pub(crate) async fn recall(settings: &Settings, args: &RecallArgs) -> Result<(), Failure> {
    let inbox = open(settings).await?;
    let (to, id) = (&args.to, &args.id);
    let recalled = answered(settings, &inbox, args, inbox.recall(to, id)).await?;
    tell(match recalled {
        Recalled::BeforeSending => "recalled before it was sent",
        Recalled::RecipientTold => "not in time: the recipient may have had it, and is told",
        _ => "recalled: the recipient had not got it",
    })
}

/// `inbox edit`.
pub(crate) async fn edit(settings: &Settings, args: &EditArgs) -> Result<(), Failure> {
    let inbox = open(settings).await?;
    let RecallArgs { to, id, .. } = &args.which;
    let edited = answered(settings, &inbox, &args.which, inbox.edit(to, id, args.text.as_str())).await?;
    tell(match edited {
        Recalled::RecipientTold => "not in time: the recipient may have had it, and is told of the new text",
        _ => "edited: the recipient gets the new text only",
    })
}

async fn answered(
    settings: &Settings,
    inbox: &Inbox,
    args: &RecallArgs,
    request: impl Future<Output = Result<Recalled, RequestError>>,
) -> Result<Recalled, Failure> {
    let patience = args.timeout;
    let asked = async {
        let deadline = Deadline::after(patience);
        let lost = first_attempt(inbox, deadline).await?;
        if let Some(answer) = deadline.run(request).await {
            return Ok(answer?);
        }
        let after = patience.0.unwrap_or_default();
        let where_it_is = match &settings.outbox {
            Some(_) => WhereItIs::NextTime,
            None => WhereItIs::Nowhere,
        };
        Err(match lost {
            Some(why) => Failure::NoConnection {
                after,
                why: Some(why),
                where_it_is,
            },
            None => Failure::NotAnswered { after, where_it_is },
        })
    };
    let answer = asked.await;
    // What it was asked is answered; what else waits, waits.
    let _older = inbox.close(LEAVING).await;
    answer
}

fn tell(what: &str) -> Result<(), Failure> {
    output::write(&format!("{what}\n")).map(|_| ())
}
