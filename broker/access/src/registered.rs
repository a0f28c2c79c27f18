//! Which client IDs somebody may own: those of users in the password file, and what the access rules add to them.
//!
//! An inbox of another name could be read by nobody, so mail for it would only fill the disk (`inbox.registered_only`).

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use inbox_types::{ClientId, party};
use parking_lot::Mutex;

use crate::acl::Rules;
use crate::client_ids::{NOBODY, USER_BYTES_MAX, is_own};
use crate::identity::{Account, Identity};
use crate::passwords::{Passwords, Users};

type Examples = Arc<[Arc<Account>]>;

/// See the module's documentation. What the file says counts at once when it is read again.
pub struct Registered {
    passwords: Arc<Passwords>,
    /// Clients without a user have inboxes, too.
    with_nobodys: bool,
    /// Of these users, one for each set of roles. Taken for a comparison, or to go through the users of a file that was read just now.
    examples: Mutex<Option<(Arc<Users>, Examples)>>,
}

impl fmt::Debug for Registered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registered").finish_non_exhaustive()
    }
}

impl Registered {
    /// The users of this file; with `with_nobodys`, the client IDs of clients without a user count as well.
    pub fn new(passwords: Arc<Passwords>, with_nobodys: bool) -> Self {
        Registered {
            passwords,
            with_nobodys,
            examples: Mutex::new(None),
        }
    }

    /// Whether anybody may have the client ID `owner`.
    pub fn may_own(&self, owner: &str, rules: &Rules) -> bool {
        if self.passwords.knows(party(owner)) || (self.with_nobodys && is_own(NOBODY, owner)) {
            return true;
        }
        rules.give_client_ids() && self.rules_give(owner, rules, &self.passwords.users())
    }

    /// Whether a role gives it to one of these users.
    fn rules_give(&self, owner: &str, rules: &Rules, users: &Arc<Users>) -> bool {
        let Ok(owner) = ClientId::new(owner) else { return false };
        let gives = |account: &Arc<Account>| {
            let who = Identity::of(owner.clone(), account.clone());
            rules.lets_use_id(&who).is_some()
        };
        let account = |name: &str| users.get(name).map(|user| &user.account);
        // A pattern that is the same for all is found by any user who has the role; one with a user's name in it, by that user.
        self.examples(users).iter().any(gives)
            || rules.members_with_client_ids().filter_map(account).any(gives)
            || named(owner.as_str(), rules).filter_map(account).any(gives)
    }

    fn examples(&self, users: &Arc<Users>) -> Examples {
        let mut examples = self.examples.lock();
        match &*examples {
            Some((of, found)) if Arc::ptr_eq(of, users) => found.clone(),
            _ => {
                let mut found: Vec<Arc<Account>> = Vec::new();
                let mut seen = HashSet::new();
                for user in users.values() {
                    if seen.insert(&user.account.roles) {
                        found.push(user.account.clone());
                    }
                }
                let found: Examples = found.into();
                *examples = Some((users.clone(), found.clone()));
                found
            }
        }
    }
}

/// Which users a pattern with a user's name in it could mean `owner` for.
fn named<'o>(owner: &'o str, rules: &'o Rules) -> impl Iterator<Item = &'o str> {
    let rests = rules
        .client_id_beginnings()
        .filter_map(|beginning| owner.strip_prefix(beginning));
    rests.flat_map(|rest| {
        let ends = rest.char_indices().map(|(at, c)| at + c.len_utf8());
        ends.take_while(|end| *end <= USER_BYTES_MAX)
            .filter_map(|end| rest.get(..end))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Access, Action, Anonymous, Denied, Target, edit_passwords};

    fn rules(text: &str) -> Rules {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Rules::load(file.path(), "").unwrap()
    }

    #[test]
    fn only_names_that_somebody_may_have_are_registered() {
        // Goal: users of the file with all their devices; what roles give, to everybody, by the file, to members, and by name; clients without a
        // user only where they are let in. The file counts when it is read again.
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("users");
        let add = |user: &str, roles: &[Box<str>]| edit_passwords(&path, user, Some(b"x"), roles).unwrap();
        add("alice", &[]);
        add("gw", &["gateway".into()]);
        let passwords = Arc::new(Passwords::load(&path, 1, std::time::Duration::ZERO).unwrap());
        let plain = Rules::without_file(true);
        let registered = Registered::new(passwords.clone(), false);
        for (owner, may) in [
            ("alice", true),
            ("alice~phone", true),
            ("alice2", false),
            ("bob", false),
            ("bob~alice", false),
            ("anonymous~1", false),
            ("auto-1", false),
        ] {
            assert_eq!(registered.may_own(owner, &plain), may, "{owner}");
        }
        assert!(Registered::new(passwords.clone(), true).may_own("anonymous~1", &plain));
        let given = rules(
            "[[role]]\nname = \"gateway\"\nclient_ids = [\"sensor-*\"]\n\
             [[role]]\nname = \"board\"\nmembers = [\"alice\", \"zoe\"]\nclient_ids = [\"panel\"]\n\
             [[role]]\nname = \"zoos\"\nmembers = [\"zoe\"]\nclient_ids = [\"zoo\"]\n\
             [[role]]\nname = \"authenticated\"\nclient_ids = [\"dev-%u-*\", \"%u-%u\"]\n",
        );
        for (owner, may) in [
            ("sensor-7", true),
            ("panel", true),
            ("zoo", false),
            ("dev-alice-1", true),
            ("dev-bob-1", false),
            ("gw-gw", true),
            ("gw-alice", false),
        ] {
            assert_eq!(registered.may_own(owner, &given), may, "{owner}");
        }
        add("bob", &[]);
        passwords.reload().unwrap();
        assert!(registered.may_own("bob", &plain) && registered.may_own("dev-bob-1", &given));
        let access =
            Access::ruled(Arc::new(Anonymous { is_everywhere: true }), plain).registered_only(Some(registered));
        let alice = Identity::of(
            ClientId::new("alice").unwrap(),
            Arc::new(Account {
                user: "alice".into(),
                ..Account::default()
            }),
        );
        let to = |owner| access.decide(&alice, Action::Publish(Target::Inbox(owner)));
        assert_eq!((to("bob"), to("nobody")), (Ok(()), Err(Denied::Unregistered)));
    }
}
