//! The password file on disk: read with a look at who else can, and replaced as a whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::hash::{self, HashError};
use super::text::{self, Edit, LineError, NoRoleName, NoUserName, Users};

/// Largest password file, in bytes: a few hundred thousand users.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Permissions of a file that `inboxd passwd` writes.
const MODE: u32 = 0o600;
/// Permissions of those who have nothing to do with the file.
const OTHERS: u32 = 0o007;

/// Why a password file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PasswordFileError {
    /// The system does not let us read it.
    #[error("cannot read the password file {}: {why}; the broker must be able to, and nobody else", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        why: io::Error,
    },
    /// It is too large.
    #[error("the password file {} is larger than {} MiB; keep so many users in a service of your own (auth.http)", path.display(), FILE_BYTES_MAX >> 20)]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// It holds bytes that are no text.
    #[error("the password file {} is not UTF-8; correct it", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
    },
    /// A line of it is wrong.
    #[error("{}, line {line}: {why}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// From 1 on.
        line: usize,
        /// What is wrong.
        #[source]
        why: LineError,
    },
}

/// Why a user was not written to a password file.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// The file that is there cannot be used.
    #[error(transparent)]
    File(#[from] PasswordFileError),
    /// Nobody can have that name.
    #[error(transparent)]
    User(#[from] NoUserName),
    /// No role can have that name.
    #[error(transparent)]
    Role(#[from] NoRoleName),
    /// The password cannot be used.
    #[error(transparent)]
    Password(#[from] HashError),
    /// There is nobody to delete.
    #[error("there is no user {user:?} in {}", path.display())]
    NoSuchUser {
        /// Who.
        user: Box<str>,
        /// The file.
        path: PathBuf,
    },
    /// The system does not let us write it.
    #[error("cannot write the password file {}: {why}; nothing was changed", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        why: io::Error,
    },
}

/// What became of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edited {
    /// It is new.
    Added,
    /// It has another password.
    Changed,
    /// It is gone.
    Deleted,
}

/// What is in a password file, and whether users of the system who have nothing to do with it can read or change it.
pub(crate) struct Loaded {
    pub(crate) users: Users,
    pub(crate) is_open_to_others: bool,
}

pub(crate) fn load(path: &Path) -> Result<Loaded, PasswordFileError> {
    let (text, mode) = read(path)?;
    Ok(Loaded {
        users: parse(path, &text)?,
        is_open_to_others: mode & OTHERS != 0,
    })
}

fn parse(path: &Path, text: &str) -> Result<Users, PasswordFileError> {
    text::parse(text).map_err(|(line, why)| PasswordFileError::Line {
        path: path.to_owned(),
        line,
        why,
    })
}

/// Gives `user` of the file at `path` this password, and these roles if there are any; without a password it is deleted. The file is made if there
/// is none, and replaced as a whole: whoever reads it sees the old one or the new one.
///
/// # Errors
/// See [`EditError`]; then nothing was changed.
pub fn edit_passwords(
    path: &Path,
    user: &str,
    password: Option<&[u8]>,
    roles: &[Box<str>],
) -> Result<Edited, EditError> {
    text::check_user(user)?;
    for role in roles {
        text::check_role(role)?;
    }
    let hash = password.map(hash::hash).transpose()?;
    let unwritable = |why| EditError::Unwritable {
        path: path.to_owned(),
        why,
    };
    // The file itself, where this is a link to it.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let directory = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let directory = (File::open(&directory).map_err(unwritable)?, directory);
    // Two that edit at a time do so one after the other.
    directory.0.lock().map_err(unwritable)?;
    let text = match read(&target) {
        Ok((text, _)) => text,
        Err(PasswordFileError::Unreadable { why, .. }) if why.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error.into()),
    };
    let users = parse(path, &text)?;
    let edit = match &hash {
        Some(hash) => Edit::Set { hash, roles },
        None => Edit::Delete,
    };
    let edited = text::edit(&text, user, edit).ok_or_else(|| EditError::NoSuchUser {
        user: user.into(),
        path: path.to_owned(),
    })?;
    replace(&target, &directory.1, &edited)
        .and_then(|()| directory.0.sync_all())
        .map_err(unwritable)?;
    Ok(match (hash, users.contains_key(user)) {
        (None, _) => Edited::Deleted,
        (Some(_), true) => Edited::Changed,
        (Some(_), false) => Edited::Added,
    })
}

/// The text and the permissions of a file.
fn read(path: &Path) -> Result<(String, u32), PasswordFileError> {
    let unreadable = |why| PasswordFileError::Unreadable {
        path: path.to_owned(),
        why,
    };
    let file = File::open(path).map_err(unreadable)?;
    let mode = file.metadata().map_err(unreadable)?.mode();
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(PasswordFileError::TooLarge { path: path.to_owned() });
    }
    let text = String::from_utf8(bytes).map_err(|_| PasswordFileError::NotText { path: path.to_owned() })?;
    Ok((text, mode))
}

fn replace(target: &Path, directory: &Path, text: &str) -> io::Result<()> {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let fresh = directory.join(format!(".{name}.new"));
    // Left by one that was killed; the lock says that nobody writes it now.
    match fs::remove_file(&fresh) {
        Err(why) if why.kind() != ErrorKind::NotFound => return Err(why),
        _ => {}
    }
    let written = write_new(&fresh, target, text).and_then(|()| fs::rename(&fresh, target));
    if written.is_err() {
        // The one that matters is told.
        let _ = fs::remove_file(&fresh);
    }
    written
}

fn write_new(fresh: &Path, target: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(fresh)?;
    if let Ok(old) = fs::metadata(target) {
        let own = file.metadata()?;
        if (old.uid(), old.gid()) != (own.uid(), own.gid()) {
            // An administrator who changes it must not take it away from the broker's user.
            std::os::unix::fs::fchown(&file, Some(old.uid()), Some(old.gid()))?;
        }
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn users_are_added_changed_and_deleted() {
        // Goal: the file is made, is for its owner alone, keeps comments, and is read back; also through a link.
        let directory = tempfile::tempdir().unwrap();
        let (path, link) = (directory.path().join("users"), directory.path().join("link"));
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let edit = |path, user, password: Option<&str>| edit_passwords(path, user, password.map(str::as_bytes), &[]);
        assert_eq!(edit(&path, "alice", Some("one")).unwrap(), Edited::Added);
        assert_eq!(mode(&path), 0o600);
        let commented = format!("# people\n{}", fs::read_to_string(&path).unwrap());
        fs::write(&path, commented).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        assert!(load(&path).unwrap().is_open_to_others);
        assert_eq!(edit(&link, "alice", Some("two")).unwrap(), Edited::Changed);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(edit(&path, "bob", Some("three")).unwrap(), Edited::Added);
        assert_eq!(mode(&path), 0o600);
        let loaded = load(&path).unwrap();
        assert!(!loaded.is_open_to_others);
        assert!(hash::verify(b"two", &loaded.users["alice"].hash) && hash::verify(b"three", &loaded.users["bob"].hash));
        assert_eq!(edit(&path, "alice", None).unwrap(), Edited::Deleted);
        assert!(!load(&path).unwrap().users.contains_key("alice"));
        assert!(matches!(edit(&path, "alice", None), Err(EditError::NoSuchUser { .. })));
        assert!(fs::read_to_string(&path).unwrap().starts_with("# people\n"));
        assert_eq!(
            fs::read_dir(directory.path()).unwrap().count(),
            2,
            "nothing is left behind"
        );
    }

    #[test]
    fn what_cannot_be_read_or_written_is_told_and_nothing_is_changed() {
        // Goal: no file, a directory, bytes that are no text, a broken line, a bad name and an empty password each give a sentence.
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("users");
        assert!(matches!(load(&path), Err(PasswordFileError::Unreadable { .. })));
        assert!(matches!(
            load(directory.path()),
            Err(PasswordFileError::Unreadable { .. })
        ));
        fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(matches!(load(&path), Err(PasswordFileError::NotText { .. })));
        fs::write(&path, "alice:broken\n").unwrap();
        assert!(load(&path).err().unwrap().to_string().contains("line 1"));
        let edit = |user: &str, password: &[u8], role: &str| {
            edit_passwords(&path, user, Some(password), &[role.into()]).unwrap_err()
        };
        assert!(matches!(edit("bob", b"x", "ops"), EditError::File(_)));
        assert!(matches!(edit("b~b", b"x", "ops"), EditError::User(_)));
        assert!(matches!(edit("bob", b"x", "a b"), EditError::Role(_)));
        assert!(matches!(edit("bob", b"", "ops"), EditError::Password(HashError::Empty)));
        assert_eq!(fs::read(&path).unwrap(), b"alice:broken\n");
        let nowhere = directory.path().join("no/such/users");
        assert!(matches!(
            edit_passwords(&nowhere, "bob", Some(b"x"), &[]),
            Err(EditError::Unwritable { .. })
        ));
    }
}
