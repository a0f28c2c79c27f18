//! `inboxd backup` and `inboxd restore`.
//!
//! What is promised of the bytes is said in [`inbox_bridge::write_backup`] and [`inbox_bridge::restore_backup`]; here they come from
//! somewhere and go to a file, and back. **Promise:** a file has its name only when it is whole: until then it is written under another
//! name, `.partial` at its end, synced, and read back. After an error nothing is left of it.

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, BufReader, BufWriter, ErrorKind, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use admin::{AskError, Question, Remote};
use inbox_bridge::{
    BackupError, BackupOptions, BackupReadError, BackupSummary, Clock, Converted, Engine, Epoch, RestoreError,
    RestoreOptions, Restored, Store, StoreError, StoreOptions, SystemClock, restore_backup, verify_backup,
    write_backup,
};
use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::process::geteuid;

use crate::exit::Exit;
use crate::remote::exit_after;
use crate::said::{Progress, answer};
use crate::serve::{is_lack, open_exit};

/// Ends the name of a file that is not whole.
const PARTIAL: &str = ".partial";
/// What is read or written at once, in bytes.
const BUFFER_BYTES: usize = 1024 * 1024;
/// A broker whose disk is slow says nothing for a while.
const BROKER_PATIENCE: Duration = Duration::from_secs(60);

/// Why the command ended early.
#[derive(Debug, thiserror::Error)]
pub enum BackupCommandError {
    /// There is such a file already.
    #[error("{} is there already; give another name, or --force to replace it", .0.display())]
    Exists(PathBuf),
    /// Another process writes it.
    #[error("another process is writing {}", .0.display())]
    Busy(PathBuf),
    /// What is there is somebody else's.
    #[error("{} is there and is not this user's own file; remove it, and write backups to a directory that nobody else can write to", .0.display())]
    NotOurs(PathBuf),
    /// It would be among the files of a store.
    #[error("{} is in a data directory; write the backup elsewhere", .0.display())]
    InData(PathBuf),
    /// The broker that was asked for it says no, or has gone.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// The file cannot be written.
    #[error("{}: {why}{}", .path.display(), hint(.why))]
    File {
        /// The file, perhaps under its other name.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        why: io::Error,
    },
    /// The store, or the disk that the backup goes to.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// What was written is no backup: it came so, or the disk changed it.
    #[error("what was written to {} is not whole: {why}", .path.display())]
    NotWhole {
        /// The file, under its other name.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        why: BackupReadError,
    },
    /// The backup cannot be used.
    #[error("{}: {why}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        why: BackupReadError,
    },
    /// It was not restored.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// The answer could not be written.
    #[error("the answer could not be written: {0}; the work is done")]
    Output(#[source] io::Error),
}

fn hint(why: &io::Error) -> &'static str {
    match is_lack(why) {
        true => "; make room, and try again. Nothing is left of it",
        false => "",
    }
}

impl BackupCommandError {
    /// How the process ends after this.
    pub fn exit(&self) -> Exit {
        let file = |why: &io::Error| match why.kind() {
            _ if is_lack(why) => Exit::StoreFailed,
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Exit::NotPermitted,
            _ => Exit::Failed,
        };
        let read = |why: &BackupReadError| match why {
            BackupReadError::Io(why) => file(why),
            BackupReadError::Format(_) => Exit::DataUnusable,
        };
        match self {
            BackupCommandError::Ask(error) => exit_after(error),
            BackupCommandError::File { why, .. } | BackupCommandError::Backup(BackupError::Write(why)) => file(why),
            BackupCommandError::Backup(BackupError::Store(StoreError::Damaged { .. })) => Exit::DataUnusable,
            BackupCommandError::Backup(_) | BackupCommandError::NotWhole { .. } => Exit::StoreFailed,
            BackupCommandError::Unreadable { why, .. } | BackupCommandError::Restore(RestoreError::Backup(why)) => {
                read(why)
            }
            BackupCommandError::Restore(RestoreError::Open(error)) => open_exit(error),
            BackupCommandError::Restore(RestoreError::Store { .. } | RestoreError::Different { .. }) => {
                Exit::StoreFailed
            }
            BackupCommandError::Exists(_)
            | BackupCommandError::Busy(_)
            | BackupCommandError::NotOurs(_)
            | BackupCommandError::InData(_)
            | BackupCommandError::Restore(_)
            | BackupCommandError::Output(_) => Exit::Failed,
        }
    }
}

/// Where the bytes of a backup come from: a store, or a broker that is asked for them.
pub type Source<'a> = &'a mut dyn FnMut(&mut dyn Write) -> Result<(), BackupCommandError>;

/// Writes what `source` gives to `file`, or to standard output if that is `-`. Says so on `notes`.
///
/// # Errors
/// See [`BackupCommandError`]. `file` is what it was before.
pub fn save(file: &Path, force: bool, source: Source<'_>, notes: &mut dyn Write) -> Result<(), BackupCommandError> {
    if is_standard(file) {
        let mut out = BufWriter::with_capacity(BUFFER_BYTES, io::stdout().lock());
        source(&mut out)?;
        return out.flush().map_err(|why| BackupError::Write(why).into());
    }
    if !force {
        refuse_existing(file)?;
    }
    let above = file.parent().filter(|above| !above.as_os_str().is_empty());
    if above.unwrap_or(Path::new(".")).join("inboxd-store.toml").exists() {
        return Err(BackupCommandError::InData(file.to_owned()));
    }
    let partial = with_suffix(file);
    let summary = write(&partial, source).and_then(|summary| {
        if !force {
            refuse_existing(file)?;
        }
        let in_place = fs::rename(&partial, file).and_then(|()| sync_parent(file));
        in_place.map_err(|why| failed(file, why))?;
        Ok(summary)
    });
    if !matches!(
        summary,
        Ok(_) | Err(BackupCommandError::Busy(_) | BackupCommandError::NotOurs(_))
    ) {
        let _ = fs::remove_file(&partial);
    }
    let (summary, bytes) = summary?;
    let _ = writeln!(notes, "{}: {bytes} bytes, {}", file.display(), described(&summary));
    Ok(())
}

/// Writes the backup, syncs it, and reads it back. Gives its length, too.
fn write(partial: &Path, source: Source<'_>) -> Result<(BackupSummary, u64), BackupCommandError> {
    let io = |why| failed(partial, why);
    let open = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        // Not through a link that somebody else put there.
        .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
        .open(partial);
    let mut file = open.map_err(io)?;
    let found = file.metadata().map_err(io)?;
    if !found.is_file() || found.nlink() != 1 || found.uid() != geteuid().as_raw() {
        return Err(BackupCommandError::NotOurs(partial.to_owned()));
    }
    file.set_permissions(Permissions::from_mode(0o600)).map_err(io)?;
    flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|_| BackupCommandError::Busy(partial.to_owned()))?;
    file.set_len(0).map_err(io)?;
    let mut out = BufWriter::with_capacity(BUFFER_BYTES, &file);
    source(&mut out).map_err(|why| match why {
        BackupCommandError::Backup(BackupError::Write(why)) => failed(partial, why),
        why => why,
    })?;
    out.flush().map_err(io)?;
    drop(out);
    file.sync_all().map_err(io)?;
    file.rewind().map_err(io)?;
    let read = verify_backup(&mut BufReader::with_capacity(BUFFER_BYTES, &file));
    let path = partial.to_owned();
    let summary = read.map_err(|why| BackupCommandError::NotWhole { path, why })?;
    Ok((summary, file.metadata().map_err(io)?.len()))
}

/// A backup of a store that this process has open, as a [`Source`].
///
/// # Errors
/// Those of [`write_backup`].
pub fn of_store(store: &dyn Store, out: &mut dyn Write, notes: &mut dyn Write) -> Result<(), BackupCommandError> {
    let options = BackupOptions {
        created_at: SystemClock::default().now().wall,
        // Nothing is committed meanwhile.
        disk_free_bytes_min: 0,
    };
    let mut progress = Progress::on(notes);
    let mut tell = |done: Converted| progress.tell(|| format!("copied {} messages", done.messages));
    write_backup(store, out, &options, &mut tell)?;
    Ok(())
}

/// A backup of a broker that runs, as a [`Source`].
///
/// # Errors
/// The broker says no, or does not get to the end; or it cannot be written.
pub fn of_broker(remote: &Remote, out: &mut dyn Write, notes: &mut dyn Write) -> Result<(), BackupCommandError> {
    let mut answer = remote.ask(Question::new("GET", "/api/v1/backup", BROKER_PATIENCE))?;
    let (mut buffer, mut bytes) = (vec![0; BUFFER_BYTES], 0_u64);
    let mut progress = Progress::on(notes);
    loop {
        let read = answer.next_bytes(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        out.write_all(buffer.get(..read).unwrap_or_default())
            .map_err(BackupError::Write)?;
        bytes += read as u64;
        progress.tell(|| format!("copied {bytes} bytes"));
    }
}

/// Makes a data directory from a backup.
///
/// # Errors
/// See [`BackupCommandError`]. Nothing is left of it then.
pub fn restore(
    file: &Path,
    to: &Path,
    engine: Engine,
    out: &mut dyn Write,
    notes: &mut dyn Write,
) -> Result<(), BackupCommandError> {
    let options = RestoreOptions {
        store: StoreOptions {
            engine,
            ..StoreOptions::default()
        },
        epoch: Epoch::from_random(rand::random()),
        now: SystemClock::default().now().wall,
    };
    let mut input = read(file)?;
    let mut progress = Progress::on(notes);
    let mut tell = |done: Converted| progress.tell(|| format!("restored {} messages", done.messages));
    let restored = restore_backup(&mut input, to, &options, &mut tell);
    let Restored { held, backup } = restored.map_err(|why| match why {
        RestoreError::Backup(why) => BackupCommandError::Unreadable {
            path: file.to_owned(),
            why,
        },
        why => why.into(),
    })?;
    let Converted {
        inboxes,
        messages,
        bytes,
    } = held;
    let said = format!(
        "{} holds {messages} messages ({bytes} bytes) of {inboxes} inboxes, read back, as of commit {}; its epoch is {} from now on. \
         To run on it, set data_dir to it, and store.engine to {:?}\n",
        to.display(),
        backup.last_commit,
        options.epoch,
        engine.name()
    );
    answer(out, &said).map_err(BackupCommandError::Output)
}

/// Reads a backup as a whole, and says what it is.
///
/// # Errors
/// It cannot be read, or is not whole.
pub fn verify(file: &Path, out: &mut dyn Write) -> Result<(), BackupCommandError> {
    let summary = verify_backup(&mut read(file)?).map_err(|why| BackupCommandError::Unreadable {
        path: file.to_owned(),
        why,
    })?;
    let said = format!("{} is whole: {}\n", file.display(), described(&summary));
    answer(out, &said).map_err(BackupCommandError::Output)
}

fn described(summary: &BackupSummary) -> String {
    let BackupSummary { copied, commits, .. } = summary;
    let epoch = summary
        .epoch
        .map_or_else(|| "none".to_owned(), |epoch| epoch.to_string());
    format!(
        "{} messages of {} inboxes, and {commits} commits that came meanwhile, up to commit {}, of epoch {epoch}",
        copied.messages, copied.inboxes, summary.last_commit
    )
}

fn read(file: &Path) -> Result<Box<dyn Read>, BackupCommandError> {
    if is_standard(file) {
        return Ok(Box::new(io::stdin().lock()));
    }
    let opened = File::open(file).map_err(|why| failed(file, why))?;
    Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, opened)))
}

fn is_standard(file: &Path) -> bool {
    file == Path::new("-")
}

fn refuse_existing(file: &Path) -> Result<(), BackupCommandError> {
    match file.try_exists() {
        Ok(false) => Ok(()),
        Ok(true) => Err(BackupCommandError::Exists(file.to_owned())),
        Err(why) => Err(failed(file, why)),
    }
}

fn with_suffix(file: &Path) -> PathBuf {
    let mut name = OsString::from(file.as_os_str());
    name.push(PARTIAL);
    name.into()
}

fn sync_parent(file: &Path) -> io::Result<()> {
    let absolute = std::path::absolute(file)?;
    absolute.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
}

fn failed(path: &Path, why: io::Error) -> BackupCommandError {
    let path = path.to_owned();
    BackupCommandError::File { path, why }
}
