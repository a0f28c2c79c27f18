//! Which client IDs a user may use: nobody takes over another's session or inbox.

use inbox_types::DEVICE;

/// Longest user name, in bytes.
pub(crate) const USER_BYTES_MAX: usize = 256;
/// Whose client IDs clients without a user have, where other clients have one.
pub(crate) const NOBODY: &str = "anonymous";

/// Which client IDs a user may use.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ClientIds {
    /// The user name, and everything that begins with it and `~`.
    #[default]
    Own,
    /// What these patterns say: an ID, or the beginning of IDs and `*`.
    Listed(Vec<Box<str>>),
}

impl ClientIds {
    /// Whether `user` may use `client_id`.
    pub fn allow(&self, user: &str, client_id: &str) -> bool {
        match self {
            ClientIds::Own => is_own(user, client_id),
            ClientIds::Listed(patterns) => patterns.iter().any(|pattern| matches(pattern, client_id)),
        }
    }

    /// The same, and this one.
    pub(crate) fn and(&self, user: &str, client_id: &str) -> ClientIds {
        let mut patterns = match self {
            ClientIds::Own => vec![user.into(), format!("{user}{DEVICE}*").into()],
            ClientIds::Listed(patterns) => patterns.clone(),
        };
        patterns.push(client_id.into());
        ClientIds::Listed(patterns)
    }
}

/// Whether `client_id` is `user`, or begins with it and `~`.
pub(crate) fn is_own(user: &str, client_id: &str) -> bool {
    let rest = client_id.strip_prefix(user);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(DEVICE))
}

/// Whether somebody can have this name. It has neither what separates names nor what topic filters and patterns are made of, so that no
/// name means another's client IDs.
pub(crate) fn is_user_name(name: &str) -> bool {
    let is_short = !name.is_empty() && name.len() <= USER_BYTES_MAX;
    let is_plain = !name.contains(|c: char| c.is_control() || matches!(c, DEVICE | '*' | '+' | '#'));
    is_short && is_plain && !name.starts_with('$') && name != NOBODY && name.trim() == name
}

fn matches(pattern: &str, client_id: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => client_id.starts_with(beginning),
        None => client_id == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_its_name_and_what_begins_with_it_and_a_tilde() {
        // Goal: without patterns alice is alice and alice~phone, and nobody whose name begins with hers.
        for (id, may) in [
            ("alice", true),
            ("alice~", true),
            ("alice~phone", true),
            ("alice2", false),
            ("alic", false),
            ("bob", false),
        ] {
            assert_eq!(ClientIds::Own.allow("alice", id), may, "{id}");
        }
        let listed = ClientIds::Listed(vec!["meter-*".into(), "bob".into()]);
        for (id, may) in [
            ("meter-7", true),
            ("bob", true),
            ("bob~x", false),
            ("alice", false),
            ("meter", false),
        ] {
            assert_eq!(listed.allow("alice", id), may, "{id}");
        }
        assert!(!ClientIds::Listed(Vec::new()).allow("alice", "alice"));
        let more = ClientIds::Own.and("alice", "auto-1");
        assert!(
            ["alice", "alice~x", "auto-1"].iter().all(|id| more.allow("alice", id)) && !more.allow("alice", "auto-2")
        );
    }

    #[test]
    fn no_user_has_a_name_that_means_somebody_else() {
        // Goal: a name cannot hold what separates names, and cannot be the broker's or nobody's.
        for good in ["alice", "alice@example.com", "auth0|123", "Zoë", "a b"] {
            assert!(is_user_name(good), "{good}");
        }
        let long = "x".repeat(USER_BYTES_MAX + 1);
        for bad in [
            "",
            "alice~phone",
            "a*",
            "a+",
            "#",
            "$inboxd",
            "anonymous",
            " a",
            "a\n",
            &long,
        ] {
            assert!(!is_user_name(bad), "{bad}");
        }
    }
}
