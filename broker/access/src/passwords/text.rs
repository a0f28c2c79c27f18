//! The text of a password file: one user a line, `USER:HASH` or `USER:HASH:ROLE,ROLE`; empty lines and lines that begin with `#` say nothing.

use std::collections::HashMap;
use std::sync::Arc;

use super::hash::{self, WrongHash};
use crate::client_ids::{USER_BYTES_MAX, is_user_name};
use crate::identity::Account;

/// A user of the file.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) hash: Box<str>,
    pub(crate) account: Arc<Account>,
}

pub(crate) type Users = HashMap<Box<str>, User>;

/// What is wrong with a line. It never shows the hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// There is no colon.
    #[error("it is USER:HASH or USER:HASH:ROLE,ROLE; make it with `inboxd passwd`")]
    NoHash,
    /// The hash cannot be used.
    #[error("{0}; make it with `inboxd passwd`")]
    Hash(#[from] WrongHash),
    /// Nobody can have that name.
    #[error(transparent)]
    User(#[from] NoUserName),
    /// Nothing can be called so.
    #[error(transparent)]
    Role(#[from] NoRoleName),
    /// The user is there already.
    #[error("the user {user:?} is there already, on line {first}; remove one of the two")]
    Twice {
        /// Who.
        user: Box<str>,
        /// The line, from 1 on.
        first: usize,
    },
}

/// Nobody can have this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a user name has 1 to {USER_BYTES_MAX} bytes without ~ * + # : and control characters, has no space at its ends, does not begin with $ or #, \
     and is not \"anonymous\""
)]
pub struct NoUserName;

/// No role can have this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a role is 1 to 64 of a-z, A-Z, 0-9, - and _; for several, the file has commas between them, and `inboxd passwd` takes --role for each"
)]
pub struct NoRoleName;

/// What `inboxd passwd` does to a file.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Edit<'e> {
    /// The user has this hash from now on, and these roles; without any, those that it had.
    Set {
        hash: &'e str,
        roles: &'e [Box<str>],
    },
    Delete,
}

/// A name for a user of a password file.
pub(crate) fn check_user(name: &str) -> Result<(), NoUserName> {
    match is_user_name(name) && !name.contains(':') && !name.starts_with('#') {
        true => Ok(()),
        false => Err(NoUserName),
    }
}

/// A name for a role.
pub(crate) fn check_role(name: &str) -> Result<(), NoRoleName> {
    let is_plain = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    match (1..=64).contains(&name.len()) && is_plain {
        true => Ok(()),
        false => Err(NoRoleName),
    }
}

/// The users of a file. An error comes with its line, from 1 on.
pub(crate) fn parse(text: &str) -> Result<Users, (usize, LineError)> {
    let mut users = Users::new();
    let mut lines = HashMap::<Box<str>, usize>::new();
    for (at, line) in text.lines().enumerate() {
        let number = at + 1;
        if says_nothing(line) {
            continue;
        }
        let (name, user) = parse_line(line).map_err(|error| (number, error))?;
        if let Some(first) = lines.insert(name.clone(), number) {
            return Err((number, LineError::Twice { user: name, first }));
        }
        users.insert(name, user);
    }
    Ok(users)
}

/// The text after an edit; `None` when there is no such user to delete. Everything else stays as it is.
pub(crate) fn edit(text: &str, user: &str, edit: Edit<'_>) -> Option<String> {
    let is_users = |line: &str| !says_nothing(line) && line.split(':').next() == Some(user);
    let was_there = text.lines().any(is_users);
    let mut edited = String::with_capacity(text.len() + 256);
    for line in text.lines() {
        match edit {
            _ if !is_users(line) => push_line(&mut edited, line),
            Edit::Set { hash, roles } => push_line(&mut edited, &new_line(user, hash, roles, roles_of(line))),
            Edit::Delete => {}
        }
    }
    match (was_there, edit) {
        (false, Edit::Delete) => return None,
        (false, Edit::Set { hash, roles }) => push_line(&mut edited, &new_line(user, hash, roles, "")),
        (true, _) => {}
    }
    Some(edited)
}

fn says_nothing(line: &str) -> bool {
    line.trim().is_empty() || line.starts_with('#')
}

fn push_line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

fn new_line(user: &str, hash: &str, roles: &[Box<str>], old_roles: &str) -> String {
    let roles = match roles.is_empty() {
        true => old_roles.to_owned(),
        false => roles.join(","),
    };
    match roles.is_empty() {
        true => format!("{user}:{hash}"),
        false => format!("{user}:{hash}:{roles}"),
    }
}

fn roles_of(line: &str) -> &str {
    line.splitn(3, ':').nth(2).unwrap_or_default()
}

fn parse_line(line: &str) -> Result<(Box<str>, User), LineError> {
    let (name, rest) = line.split_once(':').ok_or(LineError::NoHash)?;
    check_user(name)?;
    let (hash, roles) = rest.split_once(':').unwrap_or((rest, ""));
    let hash = hash.trim_end();
    hash::check(hash)?;
    let roles: Vec<Box<str>> = roles
        .split(',')
        .map(str::trim)
        .filter(|role| !role.is_empty())
        .map(Box::from)
        .collect();
    for role in &roles {
        check_role(role)?;
    }
    let account = Account {
        user: name.into(),
        roles,
        ..Account::default()
    };
    let user = User {
        hash: hash.into(),
        account: Arc::new(account),
    };
    Ok((name.into(), user))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str =
        "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$c2FsdHNhbHRzYWx0c2FsdHNhbHRzYWx0c2FsdHNhbHQ";

    #[test]
    fn users_and_their_roles_are_read() {
        // Goal: comments, empty lines, line ends of other systems and spaces between roles are understood.
        let users = parse(&format!("# people\r\nalice:{HASH}\r\n\nbob:{HASH}:ops, service\n")).unwrap();
        assert_eq!(users.len(), 2);
        assert!(users["alice"].account.roles.is_empty() && *users["alice"].hash == *HASH);
        assert_eq!(users["bob"].account.roles, ["ops", "service"].map(Box::from));
        assert_eq!(&*users["bob"].account.user, "bob");
        assert!(parse("").unwrap().is_empty());
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        // Goal: each kind of bad line is refused with its number, and the hash is in no message.
        for (text, line, says) in [
            ("alice".to_owned(), 1, "USER:HASH"),
            ("\nalice:secret".to_owned(), 2, "no argon2 hash"),
            (format!("a:{HASH}\n# b\na:{HASH}"), 3, "line 1"),
            (format!("a~b:{HASH}"), 1, "user name"),
            (format!(":{HASH}"), 1, "user name"),
            (format!("anonymous:{HASH}"), 1, "user name"),
            (format!("a:{HASH}:two words"), 1, "role"),
            (format!("a:{}", HASH.replace("19456", "4194304")), 1, "MiB"),
        ] {
            let (number, error) = parse(&text).unwrap_err();
            let said = error.to_string();
            assert_eq!(number, line, "{text}: {said}");
            assert!(
                said.contains(says) && !said.contains("c2Fs") && !said.contains("secret"),
                "{said}"
            );
        }
    }

    #[test]
    fn an_edit_changes_one_line_and_nothing_else() {
        // Goal: comments, order and other users stay; a changed user keeps its roles unless there are new ones.
        let text = "# people\nalice:OLD:ops\n\n#bob:OLD\nbob:OLD";
        let ops = ["service".into()];
        let set = |user, hash, roles| edit(text, user, Edit::Set { hash, roles }).unwrap();
        assert_eq!(
            set("alice", "NEW", &[]),
            "# people\nalice:NEW:ops\n\n#bob:OLD\nbob:OLD\n"
        );
        assert_eq!(
            set("alice", "NEW", &ops),
            "# people\nalice:NEW:service\n\n#bob:OLD\nbob:OLD\n"
        );
        assert_eq!(set("bob", "NEW", &[]), "# people\nalice:OLD:ops\n\n#bob:OLD\nbob:NEW\n");
        assert_eq!(
            set("carol", "NEW", &[]),
            "# people\nalice:OLD:ops\n\n#bob:OLD\nbob:OLD\ncarol:NEW\n"
        );
        assert_eq!(
            edit(text, "bob", Edit::Delete).unwrap(),
            "# people\nalice:OLD:ops\n\n#bob:OLD\n"
        );
        assert_eq!(edit(text, "carol", Edit::Delete), None);
        assert_eq!(
            edit(
                "",
                "carol",
                Edit::Set {
                    hash: "NEW",
                    roles: &[]
                }
            )
            .unwrap(),
            "carol:NEW\n"
        );
    }
}
