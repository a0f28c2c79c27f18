//! From settings to an open inbox.

use std::fs::{self, File};
use std::io::{self, BufRead, IsTerminal};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::Duration;

use inbox_client::{ConnectError, Inbox, InboxOptions, Lost};
use tokio::time::{Instant, timeout_at};

use crate::failure::Failure;
use crate::quantity::Patience;
use crate::settings::Settings;

/// How long the end of a command waits for acknowledgements and for older messages in the outbox.
pub(crate) const LEAVING: Duration = Duration::from_secs(2);
/// Somebody is waiting, so no pause is longer.
const PAUSE_MAX: Duration = Duration::from_secs(8);

/// Opens the outbox, and begins to connect.
pub(crate) async fn open(settings: &Settings) -> Result<Inbox, Failure> {
    Ok(Inbox::open(options(settings)?).await?)
}

/// Waits for the first attempt to connect. What it says of a loss may pass.
pub(crate) async fn first_attempt(inbox: &Inbox, deadline: Deadline) -> Result<Option<Lost>, Failure> {
    match deadline.run(inbox.first_attempt()).await {
        None | Some(Ok(())) => Ok(None),
        Some(Err(ConnectError::Lost(lost))) => Ok(Some(lost)),
        Some(Err(why)) => Err(why.into()),
    }
}

/// Until when to wait.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline(Option<Instant>);

impl Deadline {
    /// From now on.
    pub(crate) fn after(patience: Patience) -> Self {
        // What is too far away is for ever.
        Deadline(patience.0.and_then(|time| Instant::now().checked_add(time)))
    }

    /// `None`: the time was over first.
    pub(crate) async fn run<T>(self, future: impl Future<Output = T>) -> Option<T> {
        match self.0 {
            Some(then) => timeout_at(then, future).await.ok(),
            None => Some(future.await),
        }
    }
}

fn options(settings: &Settings) -> Result<InboxOptions, Failure> {
    let mut options = InboxOptions::new(&settings.url, &settings.client_id).inbox_prefix(&settings.prefix);
    options.reconnect.longest = PAUSE_MAX;
    if let Some(login) = &settings.login {
        options = options.login(&login.user, password(&login.password_file)?);
    }
    if let Some(path) = &settings.authority {
        options = options.authority_pem(fs::read(path).map_err(|error| unreadable(path, &error))?);
    }
    if let Some(path) = &settings.outbox {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            let mut private = fs::DirBuilder::new();
            let made = private.recursive(true).mode(0o700).create(folder);
            made.map_err(|error| Failure::OutboxFolder {
                path: folder.to_owned(),
                kind: error.kind(),
            })?;
        }
        options = options.outbox(path);
    }
    Ok(options)
}

/// The first line of a file, of a pipe, or of what is typed without being shown.
fn password(path: &Path) -> Result<String, Failure> {
    let mut line = String::new();
    if path.as_os_str() != "-" {
        let file = File::open(path).map_err(|error| unreadable(path, &error))?;
        let read = io::BufReader::new(file).read_line(&mut line);
        read.map_err(|error| unreadable(path, &error))?;
    } else if io::stdin().is_terminal() {
        line = rpassword::prompt_password("Password: ").map_err(|error| Failure::Input(error.kind()))?;
    } else {
        let read = io::stdin().lock().read_line(&mut line);
        read.map_err(|error| Failure::Input(error.kind()))?;
    }
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::Unreadable {
        path: path.to_owned(),
        kind: error.kind(),
    }
}
