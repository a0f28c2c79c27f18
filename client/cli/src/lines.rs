//! `inbox send --lines`: a message for each line, in their order.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, BufRead, BufReader, IsTerminal};
use std::pin::Pin;
use std::task::Poll;
use std::thread;

use inbox_client::{Inbox, SendError, Sent};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::sync::mpsc;

use crate::cli::SendArgs;
use crate::connect::{Deadline, LEAVING, first_attempt, open};
use crate::failure::Failure;
use crate::narrator::narrate;
use crate::output;
use crate::send::{message, source, too_late, wait_for};
use crate::settings::Settings;

/// So many messages are under way at most; the SDK remembers more.
const UNDER_WAY_MAX: usize = 1000;
/// Lines that are read ahead.
const READ_AHEAD: usize = 64;

type Line = Result<Vec<u8>, io::Error>;

/// Sends all lines, and waits until each is as far as was asked.
pub(crate) async fn run(settings: &Settings, args: &SendArgs) -> Result<(), Failure> {
    if args.text.as_deref().is_some_and(|text| text != "-") {
        return Err(Failure::TextAndLines);
    }
    let lines = read(BufReader::new(source(args)?));
    let inbox = open(settings).await?;
    let bar = bar();
    let above = bar.clone();
    let narrating = tokio::spawn(narrate(inbox.events(), move |line| above.suspend(|| output::say(line))));
    let batch = Batch {
        settings,
        args,
        inbox: &inbox,
        bar,
        under_way: VecDeque::new(),
        front_until: Deadline::after(args.timeout),
        lines: 0,
        reached: 0,
        failed: None,
    };
    let done = batch.run(lines).await;
    narrating.abort();
    let _older = inbox.close(LEAVING).await;
    done
}

/// The lines that were sent, and what became of them.
struct Batch<'a> {
    settings: &'a Settings,
    args: &'a SendArgs,
    inbox: &'a Inbox,
    bar: ProgressBar,
    /// Oldest first, with their numbers.
    under_way: VecDeque<(u64, Step)>,
    /// Until when the oldest one must have got there.
    front_until: Deadline,
    lines: u64,
    reached: u64,
    /// The first that did not get there.
    failed: Option<(u64, Failure)>,
}

/// How far a line is.
enum Step {
    /// On its way into the outbox, its place in the order being taken.
    Saving(Pin<Box<dyn Future<Output = Result<Sent, SendError>> + Send>>),
    Sent(Sent),
}

impl Batch<'_> {
    async fn run(mut self, mut lines: mpsc::Receiver<Line>) -> Result<(), Failure> {
        let lost = first_attempt(self.inbox, self.front_until).await?;
        self.front_until = Deadline::after(self.args.timeout);
        let mut is_open = true;
        let mut is_in_time = true;
        while is_in_time && (is_open || !self.under_way.is_empty()) {
            let has_room = self.under_way.len() < UNDER_WAY_MAX;
            tokio::select! {
                line = lines.recv(), if is_open && has_room => match line {
                    None => is_open = false,
                    Some(Ok(line)) => is_in_time = self.submit(line).await,
                    Some(Err(error)) => {
                        self.failed(self.lines + 1, Failure::Input(error.kind()));
                        is_open = false;
                    }
                },
                settled = front(&mut self.under_way, self.args, self.front_until), if !self.under_way.is_empty() => {
                    is_in_time = self.settled(settled);
                }
            }
        }
        // What is left had no time: some of it may be there all the same.
        while let Some((line, step)) = self.under_way.pop_front() {
            let Step::Sent(sent) = step else { continue };
            let arrived = wait_for(&sent, self.args.wait);
            let now = poll_once(Box::pin(arrived)).await;
            match now {
                Poll::Ready(Ok(())) => self.reached += 1,
                Poll::Ready(Err(why)) => self.failed(line, why.into()),
                Poll::Pending => {
                    let why = too_late(self.settings, self.inbox, self.args, &sent, lost.clone());
                    self.failed(line, why);
                }
            }
        }
        self.bar.finish();
        let Some((line, why)) = self.failed else { return Ok(()) };
        Err(Failure::Partly {
            reached: self.reached,
            all: self.lines.max(line),
            state: self.args.wait,
            line,
            why: Box::new(why),
        })
    }

    /// Takes a line's place in the order. `false`: the outbox is full, and nothing leaves it.
    async fn submit(&mut self, line: Vec<u8>) -> bool {
        self.lines += 1;
        self.bar.set_length(self.lines);
        let number = self.lines;
        let id = self.args.id.as_ref().map(|id| format!("{id}.{number}"));
        let message = message(self.args, line, id);
        loop {
            let (inbox, to, copy) = (self.inbox.clone(), self.args.to.clone(), message.clone());
            let mut saving: Pin<Box<dyn Future<Output = _> + Send>> =
                Box::pin(async move { inbox.send(&to, copy).await });
            let step = match poll_fn(|context| Poll::Ready(saving.as_mut().poll(context))).await {
                Poll::Pending => Step::Saving(saving),
                Poll::Ready(Ok(sent)) => Step::Sent(sent),
                Poll::Ready(Err(SendError::Full { .. })) if !self.under_way.is_empty() => {
                    let settled = front(&mut self.under_way, self.args, self.front_until).await;
                    if !self.settled(settled) {
                        self.failed(number, SendError::Closed.into());
                        return false;
                    }
                    continue;
                }
                Poll::Ready(Err(why)) => {
                    self.failed(number, why.into());
                    return true;
                }
            };
            if self.under_way.is_empty() {
                self.front_until = Deadline::after(self.args.timeout);
            }
            self.under_way.push_back((number, step));
            return true;
        }
    }

    /// Notes what became of the oldest line. `false`: its time is over.
    fn settled(&mut self, settled: Option<Result<(), Failure>>) -> bool {
        let Some(outcome) = settled else { return false };
        self.front_until = Deadline::after(self.args.timeout);
        if let Some((line, _)) = self.under_way.pop_front() {
            match outcome {
                Ok(()) => self.reached += 1,
                Err(why) => self.failed(line, why),
            }
            self.bar.inc(1);
        }
        true
    }

    fn failed(&mut self, line: u64, why: Failure) {
        if self.failed.is_none() {
            self.failed = Some((line, why));
        }
    }
}

/// Waits for the oldest line; `None`: its time is over. Cancel safe.
async fn front(under_way: &mut VecDeque<(u64, Step)>, args: &SendArgs, until: Deadline) -> Option<Result<(), Failure>> {
    let (_, step) = under_way.front_mut()?;
    until.run(arrive(step, args)).await
}

async fn arrive(step: &mut Step, args: &SendArgs) -> Result<(), Failure> {
    if let Step::Saving(saving) = step {
        *step = Step::Sent(saving.await?);
    }
    match step {
        Step::Sent(sent) => Ok(wait_for(sent, args.wait).await?),
        Step::Saving(_) => Ok(()),
    }
}

async fn poll_once<T>(mut future: Pin<Box<dyn Future<Output = T> + Send + '_>>) -> Poll<T> {
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await
}

/// Reads lines in a thread, which may wait for them for ever.
fn read(mut source: impl BufRead + Send + 'static) -> mpsc::Receiver<Line> {
    let (lines, read) = mpsc::channel(READ_AHEAD);
    thread::spawn(move || {
        loop {
            let mut line = Vec::new();
            let line = match source.read_until(b'\n', &mut line) {
                Ok(0) => return,
                Ok(_) => Ok(without_end(line)),
                Err(error) => Err(error),
            };
            let is_error = line.is_err();
            if lines.blocking_send(line).is_err() || is_error {
                return;
            }
        }
    });
    read
}

fn without_end(mut line: Vec<u8>) -> Vec<u8> {
    for end in [b'\n', b'\r'] {
        line.pop_if(|last| *last == end);
    }
    line
}

/// On a terminal alone.
fn bar() -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
    match ProgressStyle::with_template("{bar:30} {pos} of {len} lines in {elapsed}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_without_their_ends() {
        // Goal: empty lines count; the last line needs no end; carriage returns of other systems go.
        let mut lines = read(io::Cursor::new(b"one\n\nthree\r\n\xff\nlast".to_vec()));
        let mut all = Vec::new();
        while let Some(line) = lines.blocking_recv() {
            all.push(line.unwrap());
        }
        assert_eq!(all, [&b"one"[..], b"", b"three", b"\xff", b"last"]);
    }
}
