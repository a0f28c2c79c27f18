//! Where a chat is typed and shown: a terminal with a line editor, or a pair of pipes.

use std::io::{self, BufRead, ErrorKind, IsTerminal};
use std::sync::{Mutex, PoisonError};
use std::thread;

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use rustyline::{Config, Editor, ExternalPrinter};
use tokio::sync::mpsc;
use tokio::task::block_in_place;

use crate::failure::Failure;
use crate::output::{self, Reader};

/// Lines that were typed and are not sent yet.
const TYPED_MAX: usize = 16;

/// What somebody typed.
pub(super) enum Typed {
    Line(String),
    Failed(ErrorKind),
}

/// Lines, until the end.
pub(super) type Input = mpsc::Receiver<Typed>;

type Printer = Box<dyn ExternalPrinter + Send>;

/// Where lines are shown.
pub(super) struct Screen {
    /// Prints above the line that is being typed; without it lines just follow each other.
    printer: Option<Mutex<Printer>>,
    /// How the terminal was.
    before: Option<Termios>,
    is_for_people: bool,
    is_dumb: bool,
}

/// Opens both.
pub(super) fn open(name: &str) -> Result<(Screen, Input), Failure> {
    let is_for_people = io::stdin().is_terminal() && io::stdout().is_terminal();
    let is_dumb = is_for_people && std::env::var("TERM").map_or(true, |term| term.is_empty() || term == "dumb");
    let mut screen = Screen {
        printer: None,
        before: None,
        is_for_people,
        is_dumb,
    };
    let (typed, input) = mpsc::channel(TYPED_MAX);
    if !is_for_people || is_dumb {
        thread::spawn(move || read(io::stdin().lock(), &typed));
        return Ok((screen, input));
    }
    let failed = |why: ReadlineError| Failure::Input(kind(&why));
    // Pasting in brackets would have to be switched off when somebody ends this program from outside.
    let config = Config::builder().auto_add_history(true).bracketed_paste(false).build();
    screen.before = tcgetattr(io::stdin()).ok();
    let mut editor = Editor::<(), _>::with_history(config, MemHistory::new()).map_err(failed)?;
    screen.printer = Some(Mutex::new(Box::new(editor.create_external_printer().map_err(failed)?)));
    let prompt = format!("{name}> ");
    thread::spawn(move || edit(&mut editor, &prompt, &typed));
    Ok((screen, input))
}

impl Screen {
    /// Shows a line. It is written out when this returns.
    pub(super) fn show(&self, line: &str) -> Result<Reader, Failure> {
        let line = format!("{line}\n");
        let Some(printer) = &self.printer else {
            return output::write(&line);
        };
        // It waits for the editor, which is quick.
        let printed = block_in_place(|| printer.lock().unwrap_or_else(PoisonError::into_inner).print(line));
        match printed {
            Ok(()) => Ok(Reader::There),
            Err(why) => Err(Failure::Output(kind(&why))),
        }
    }

    /// Whether somebody sits there.
    pub(super) fn is_for_people(&self) -> bool {
        self.is_for_people
    }

    /// Whether it is a terminal that can do nothing.
    pub(super) fn is_dumb(&self) -> bool {
        self.is_dumb
    }

    /// Makes the terminal what it was: the editor may still be waiting for a key.
    pub(super) fn restore(&self) {
        if let Some(before) = &self.before {
            // A terminal that is gone needs nothing.
            let _gone = tcsetattr(io::stdin(), OptionalActions::Now, before);
        }
    }
}

fn edit(editor: &mut Editor<(), MemHistory>, prompt: &str, typed: &mpsc::Sender<Typed>) {
    loop {
        let next = match editor.readline(prompt) {
            Ok(line) => Typed::Line(line),
            Err(ReadlineError::Eof | ReadlineError::Interrupted) => return,
            Err(ReadlineError::Signal(_)) => continue,
            Err(why) => Typed::Failed(kind(&why)),
        };
        let is_over = matches!(next, Typed::Failed(_));
        if typed.blocking_send(next).is_err() || is_over {
            return;
        }
    }
}

fn read(mut lines: impl BufRead, typed: &mpsc::Sender<Typed>) {
    loop {
        let mut line = Vec::new();
        let next = match lines.read_until(b'\n', &mut line) {
            Ok(0) => return,
            Ok(_) => Typed::Line(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']).to_owned()),
            Err(error) => Typed::Failed(error.kind()),
        };
        let is_over = matches!(next, Typed::Failed(_));
        if typed.blocking_send(next).is_err() || is_over {
            return;
        }
    }
}

fn kind(why: &ReadlineError) -> ErrorKind {
    match why {
        ReadlineError::Io(error) => error.kind(),
        _ => ErrorKind::Other,
    }
}
