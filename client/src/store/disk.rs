//! The file: the only one that names redb.
//!
//! | Table | Key | Value |
//! |---|---|---|
//! | `about` | `version` | the version of this layout, 1 |
//! | | `standing` | what is known of the own inbox, in MessagePack |
//! | `outbox` | order | a message without its payload, in MessagePack |
//! | `payloads` | order | the payload, until the broker has the message |
//! | `answered` | number | a message that was answered, in MessagePack |
//!
//! redb refuses everything after an I/O error, so the file is closed then, and opened again for the next commit.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Change, Kept};
use crate::error::StoreError;

const ABOUT: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("about");
const OUTBOX: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("outbox");
const PAYLOADS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("payloads");
const ANSWERED: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("answered");
const VERSION: &[u8] = b"1";
/// redb would take a gigabyte.
const CACHE_BYTES: usize = 8 * 1024 * 1024;
/// A process that has just ended, or an inbox that was dropped, may hold the file for a moment.
const PATIENCE: Duration = Duration::from_secs(2);
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// An open file.
#[derive(Debug)]
pub(super) struct Disk {
    path: PathBuf,
    database: Option<Database>,
}

impl Disk {
    pub(super) fn open(path: PathBuf) -> Result<(Self, Kept), StoreError> {
        let mut disk = Disk { path, database: None };
        let until = Instant::now() + PATIENCE;
        while let Err(why) = disk.database().map(|_| ()) {
            match why {
                StoreError::InUse { .. } if Instant::now() < until => thread::sleep(BETWEEN_LOOKS),
                why => return Err(why),
            }
        }
        disk.sync_folder()?;
        let database = disk.database()?;
        let kept = prepare(database).and_then(|()| read(database));
        let kept = kept.map_err(|why| disk.failed(&why))?;
        Ok((disk, kept))
    }

    /// Makes changes durable, all or none.
    pub(super) fn commit<'a>(&mut self, changes: impl Iterator<Item = &'a Change>) -> Result<(), StoreError> {
        let written = write(self.database()?, changes);
        written.map_err(|why| self.failed(&why))
    }

    fn database(&mut self) -> Result<&mut Database, StoreError> {
        let database = match self.database.take() {
            Some(database) => database,
            None => {
                let mut builder = Database::builder();
                let opened = builder.set_cache_size(CACHE_BYTES).create(&self.path);
                opened.map_err(|why| self.failed(&Failure::from(redb::Error::from(why))))?
            }
        };
        Ok(self.database.insert(database))
    }

    /// A new file must be in its folder after a power cut, too.
    fn sync_folder(&mut self) -> Result<(), StoreError> {
        let folder = match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let synced = File::open(folder).and_then(|folder| folder.sync_all());
        synced.map_err(|why| self.failed(&Failure::Io(why.kind())))
    }

    fn failed(&mut self, why: &Failure) -> StoreError {
        self.database = None;
        let path = self.path.clone();
        match why {
            Failure::InUse => StoreError::InUse { path },
            Failure::NotOurs => StoreError::NotOurs { path },
            Failure::Io(ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => StoreError::DiskFull { path },
            Failure::Io(kind) => StoreError::Io { path, kind: *kind },
        }
    }
}

enum Failure {
    InUse,
    NotOurs,
    Io(ErrorKind),
}

impl<E: Into<redb::Error>> From<E> for Failure {
    fn from(why: E) -> Self {
        match why.into() {
            redb::Error::Io(why) => Failure::Io(why.kind()),
            redb::Error::DatabaseAlreadyOpen => Failure::InUse,
            redb::Error::PreviousIo => Failure::Io(ErrorKind::Other),
            _ => Failure::NotOurs,
        }
    }
}

/// Makes the tables of a new file; a file of another version is refused.
fn prepare(database: &Database) -> Result<(), Failure> {
    let transaction = database.begin_write()?;
    {
        let mut about = transaction.open_table(ABOUT)?;
        let version = about.get("version")?.map(|found| found.value() == VERSION);
        match version {
            Some(true) => {}
            Some(false) => return Err(Failure::NotOurs),
            None => drop(about.insert("version", VERSION)?),
        }
        transaction.open_table(OUTBOX)?;
        transaction.open_table(PAYLOADS)?;
        transaction.open_table(ANSWERED)?;
    }
    transaction.commit()?;
    Ok(())
}

fn read(database: &Database) -> Result<Kept, Failure> {
    let transaction = database.begin_read()?;
    let about = transaction.open_table(ABOUT)?;
    let standing = match about.get("standing")? {
        Some(bytes) => parse(bytes.value())?,
        None => Default::default(),
    };
    let payloads = transaction.open_table(PAYLOADS)?;
    let mut outbox = Vec::new();
    for row in transaction.open_table(OUTBOX)?.iter()? {
        let (order, record) = row?;
        let payload = payloads.get(order.value())?;
        let payload = payload.map(|payload| Bytes::copy_from_slice(payload.value()));
        outbox.push((order.value(), parse(record.value())?, payload.unwrap_or_default()));
    }
    let mut answered = Vec::new();
    for row in transaction.open_table(ANSWERED)?.iter()? {
        let (number, bytes) = row?;
        answered.push((number.value(), parse(bytes.value())?));
    }
    Ok(Kept {
        outbox,
        answered,
        standing,
    })
}

fn write<'a>(database: &Database, changes: impl Iterator<Item = &'a Change>) -> Result<(), Failure> {
    let transaction = database.begin_write()?;
    for change in changes {
        make(&transaction, change)?;
    }
    transaction.commit()?;
    Ok(())
}

fn make(transaction: &WriteTransaction, change: &Change) -> Result<(), Failure> {
    match change {
        Change::Put { order, record, payload } => {
            transaction
                .open_table(OUTBOX)?
                .insert(order, packed(record.as_ref())?.as_slice())?;
            transaction.open_table(PAYLOADS)?.insert(order, payload.as_ref())?;
        }
        Change::Update { order, record } => {
            transaction
                .open_table(OUTBOX)?
                .insert(order, packed(record.as_ref())?.as_slice())?;
            transaction.open_table(PAYLOADS)?.remove(order)?;
        }
        Change::Remove { order } => {
            transaction.open_table(OUTBOX)?.remove(order)?;
            transaction.open_table(PAYLOADS)?.remove(order)?;
        }
        Change::Answered { number, answered } => {
            transaction
                .open_table(ANSWERED)?
                .insert(number, packed(answered)?.as_slice())?;
        }
        Change::Forget { number } => {
            transaction.open_table(ANSWERED)?.remove(number)?;
        }
        Change::Standing(standing) => {
            transaction
                .open_table(ABOUT)?
                .insert("standing", packed(standing)?.as_slice())?;
        }
    }
    Ok(())
}

fn packed<T: Serialize>(value: &T) -> Result<Vec<u8>, Failure> {
    rmp_serde::to_vec_named(value).map_err(|_| Failure::NotOurs)
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    rmp_serde::from_slice(bytes).map_err(|_| Failure::NotOurs)
}
