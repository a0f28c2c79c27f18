//! `inbox chat`: a conversation.
//!
//! Whatever comes into the inbox is shown, also what is from others, and only what was shown is acknowledged and marked as read. Own lines are in the
//! outbox before the next one is read.

mod own;
mod shown;
mod terminal;

use std::collections::VecDeque;
use std::time::Duration;

use inbox_client::{ConnectError, Delivery, DeliveryKind, Event, Events, Inbox, Message, Status};
use jiff::tz::TimeZone;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::cli::ChatArgs;
use crate::connect::{Deadline, LEAVING, first_attempt, open};
use crate::failure::{Failure, WhereItIs};
use crate::narrator::Narrator;
use crate::output::Reader;
use crate::quantity::Patience;
use crate::settings::Settings;
use crate::signals::ended;
use own::OwnLines;
use shown::{Style, excerpt};
use terminal::{Input, Screen, Typed};

/// The end waits so long until the broker has everything: a person, and a script.
const PERSON_WAITS: Duration = Duration::from_secs(5);
const SCRIPT_WAITS: Duration = Duration::from_secs(30);
/// Before the first line can be typed.
const FIRST_ATTEMPT: Duration = Duration::from_secs(3);
/// Messages that the other may take back by name.
const REMEMBERED_MAX: usize = 200;
/// Of messages that were sent before this chat, so many are told of.
const EARLIER_MAX: usize = 20;

/// Talks until the end of the input.
pub(crate) async fn run(settings: &Settings, args: ChatArgs) -> Result<(), Failure> {
    let inbox = open(settings).await?;
    let events = inbox.events();
    let deadline = Deadline::after(Patience(Some(FIRST_ATTEMPT)));
    if let Err(why) = first_attempt(&inbox, deadline).await {
        let _nothing = inbox.close(Duration::ZERO).await;
        return Err(why);
    }
    let (screen, input) = terminal::open(inbox.client_id())?;
    let style = Style::new(args.ascii || screen.is_dumb());
    let (own, changed) = OwnLines::new(style, screen.is_for_people());
    let mut chat = Chat {
        with: args.with,
        inbox: &inbox,
        screen: &screen,
        style,
        own,
        narrator: Narrator::talkative(),
        remembered: VecDeque::new(),
    };
    let done = chat.run(input, events, changed).await;
    let left = match done {
        Ok(Reader::There) => chat.leave(settings).await,
        Ok(Reader::Gone) => Ok(()),
        Err(why) => Err(why),
    };
    let _older = inbox.close(LEAVING).await;
    screen.restore();
    left
}

struct Chat<'a> {
    with: String,
    inbox: &'a Inbox,
    screen: &'a Screen,
    style: Style,
    own: OwnLines,
    narrator: Narrator,
    /// What came, newest last: ids, and how the messages began.
    remembered: VecDeque<(String, String)>,
}

impl Chat<'_> {
    async fn run(
        &mut self,
        mut input: Input,
        mut events: Events,
        mut changed: mpsc::Receiver<u64>,
    ) -> Result<Reader, Failure> {
        self.watch_earlier();
        let mut ended = Box::pin(ended());
        loop {
            let reader = tokio::select! {
                typed = input.recv() => match typed {
                    Some(Typed::Line(line)) => self.say(&line).await?,
                    Some(Typed::Failed(kind)) => return Err(Failure::Input(kind)),
                    None => return Ok(Reader::There),
                },
                delivery = self.inbox.recv() => match delivery {
                    Some(delivery) => self.came(&delivery).await?,
                    None => return self.stopped(),
                },
                Some(event) = events.next() => self.happened(&event)?,
                Some(line) = changed.recv() => {
                    let step = self.own.step(line);
                    self.show_if(step)?
                }
                () = &mut ended => return Ok(Reader::There),
            };
            if reader == Reader::Gone {
                return Ok(Reader::Gone);
            }
        }
    }

    /// What an earlier chat sent, and what is not through yet.
    fn watch_earlier(&mut self) {
        let mut earlier = self.inbox.outbox();
        earlier.retain(|sent| sent.to() == self.with);
        for sent in earlier.into_iter().rev().take(EARLIER_MAX).rev() {
            let text = format!("(sent earlier, as {})", excerpt(sent.id(), 8, self.style));
            self.own.watch_earlier(sent, text);
        }
    }

    async fn say(&mut self, line: &str) -> Result<Reader, Failure> {
        if line.trim().is_empty() {
            return Ok(Reader::There);
        }
        let sent = match self.inbox.send(&self.with, Message::text(line)).await {
            Ok(sent) => sent,
            // A broken recipient breaks every line.
            Err(why @ inbox_client::SendError::Recipient { .. }) => return Err(why.into()),
            Err(why) => return self.screen.show(&self.style.failed(&why, line)),
        };
        self.own.watch(sent, line.to_owned());
        Ok(Reader::There)
    }

    async fn came(&mut self, delivery: &Delivery) -> Result<Reader, Failure> {
        let old = match &delivery.kind {
            DeliveryKind::Edit { id } | DeliveryKind::Recall { id } => self
                .remembered
                .iter()
                .rfind(|(known, _)| known == id)
                .map(|(_, text)| text.as_str()),
            _ => None,
        };
        let line = self.style.incoming(delivery, &self.with, old, &TimeZone::system());
        if self.screen.show(&line)? == Reader::Gone {
            return Ok(Reader::Gone);
        }
        if self.remembered.len() >= REMEMBERED_MAX {
            self.remembered.pop_front();
        }
        let text = String::from_utf8_lossy(&delivery.payload);
        self.remembered
            .push_back((delivery.id.clone(), excerpt(&text, shown::EXCERPT, self.style)));
        delivery.ack().await?;
        // It was shown; that this is not told is no reason to end.
        let _not_told = delivery.mark_read().await;
        Ok(Reader::There)
    }

    fn happened(&mut self, event: &Event) -> Result<Reader, Failure> {
        let line = self.narrator.line(event).map(|line| format!("-- {line}"));
        self.show_if(line)
    }

    fn show_if(&self, line: Option<String>) -> Result<Reader, Failure> {
        line.map_or(Ok(Reader::There), |line| self.screen.show(&line))
    }

    fn stopped(&self) -> Result<Reader, Failure> {
        match self.inbox.status() {
            Status::Stopped { reason } => Err(ConnectError::from(reason).into()),
            _ => Ok(Reader::There),
        }
    }

    /// Waits until the broker has everything, and says how far it got.
    async fn leave(&mut self, settings: &Settings) -> Result<(), Failure> {
        let patience = if self.screen.is_for_people() {
            PERSON_WAITS
        } else {
            SCRIPT_WAITS
        };
        let flushed = timeout(patience, self.inbox.flushed()).await;
        for line in self.own.last_steps() {
            self.screen.show(&line)?;
        }
        if flushed == Ok(true) {
            return Ok(());
        }
        Err(Failure::Waiting {
            messages: self.own.waiting(),
            is_connected: matches!(self.inbox.status(), Status::Connected { .. }),
            where_it_is: match &settings.outbox {
                Some(_) => WhereItIs::NextTime,
                None => WhereItIs::Nowhere,
            },
        })
    }
}
