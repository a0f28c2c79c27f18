//! `inboxd store convert`: a stopped broker's messages, moved to another directory, engine or format.
//!
//! What is promised is said in [`inbox_bridge::convert`]; here it is asked for, and told about.

use std::io::{self, Write};
use std::path::Path;

use inbox_bridge::{ConvertError, Converted, Engine, StoreError, StoreOptions, convert};

use crate::exit::Exit;
use crate::said::{Progress, answer};
use crate::serve::open_exit;

/// Why the command ended early.
#[derive(Debug, thiserror::Error)]
pub enum StoreCommandError {
    /// The conversion did.
    #[error(transparent)]
    Convert(#[from] ConvertError),
    /// The answer could not be written.
    #[error("the answer could not be written: {0}; the conversion is complete")]
    Output(#[from] io::Error),
}

impl StoreCommandError {
    /// How the process ends after this.
    pub fn exit(&self) -> Exit {
        match self {
            StoreCommandError::Convert(ConvertError::Open(error)) => open_exit(error),
            StoreCommandError::Convert(ConvertError::Store {
                why: StoreError::Damaged { .. },
                ..
            }) => Exit::DataUnusable,
            StoreCommandError::Convert(ConvertError::Store { .. }) => Exit::StoreFailed,
            StoreCommandError::Convert(_) | StoreCommandError::Output(_) => Exit::Failed,
        }
    }
}

/// Moves the messages of `from` to `to`, on `engine`. Progress goes to `notes`, the answer to `out`.
///
/// # Errors
/// When there is no such store, something is in the target's place, a store fails, or the answer cannot be written.
pub fn run(
    from: &Path,
    to: &Path,
    engine: Engine,
    out: &mut dyn Write,
    notes: &mut dyn Write,
) -> Result<(), StoreCommandError> {
    let options = StoreOptions {
        engine,
        ..StoreOptions::default()
    };
    let mut progress = Progress::on(notes);
    let mut tell =
        |done: Converted| progress.tell(|| format!("copied {} messages of {} inboxes", done.messages, done.inboxes));
    let (done, source) = convert(from, to, &options, &mut tell)?;
    let text = sentence(from, source, to, engine, done);
    Ok(answer(out, &text)?)
}

fn sentence(from: &Path, source: Engine, to: &Path, target: Engine, done: Converted) -> String {
    let Converted {
        inboxes,
        messages,
        bytes,
    } = done;
    format!(
        "copied {messages} messages ({bytes} bytes) of {inboxes} inboxes from {} ({}) to {} ({}), and read them back; the source \
         still has them. To run on the copy, set data_dir to it, and store.engine to {:?}\n",
        from.display(),
        source.name(),
        to.display(),
        target.name(),
        target.name()
    )
}
