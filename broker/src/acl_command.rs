//! `inboxd acl test`: what the access rules say, and which line says so.

use std::fs;
use std::io::{self, Write};
use std::sync::Arc;

use access::{
    Account, Action, Denied, Grounds, Identity, PasswordFileError, Passwords, PasswordsError, Rules, RulesError, Target,
};
use inbox_bridge::ClientIdError;
use intake::InboxNames;
use mqtt_codec::{FilterError, TopicFilter, topic_name_fault};
use mqtt_session::{is_operators_request, is_request};

use crate::access_rules;
use crate::authentication::load_registered;
use crate::cli::{AclAction, AclTestArgs};
use crate::config::Config;
use crate::exit::Exit;
use crate::said::answer;

/// What stands for a client without a user.
const NOBODY: &str = "-";

/// Why the question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum AclError {
    /// The rules cannot be used.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// The password file, which has the roles of the user, cannot be used.
    #[error(transparent)]
    Passwords(#[from] PasswordFileError),
    /// The password file, which has all users, cannot be used.
    #[error(transparent)]
    Users(#[from] PasswordsError),
    /// There is no topic, and the action is about one.
    #[error("which topic? `inboxd acl test USER CLIENT {0} TOPIC`")]
    NoTopic(&'static str),
    /// There is a topic, and the action is about none.
    #[error("to connect is about no topic; leave it out")]
    Topicless,
    /// The client ID cannot be one.
    #[error(transparent)]
    ClientId(#[from] ClientIdError),
    /// No message has this topic.
    #[error("the topic is none: {0}")]
    Topic(&'static str),
    /// Nobody can subscribe to this.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// The answer is there, and cannot be told.
    #[error("standard output cannot be written to ({0})")]
    Unsaid(#[source] io::Error),
}

impl AclError {
    /// How the process ends after this.
    pub fn exit(&self) -> Exit {
        match self {
            AclError::Rules(_) | AclError::Passwords(_) | AclError::Users(_) => Exit::BadConfiguration,
            _ => Exit::Failed,
        }
    }
}

/// Says on `out` whether the client of `args` may do what it asks, and why. Gives whether it may.
///
/// # Errors
/// See [`AclError`].
pub fn test(args: &AclTestArgs, config: &Config, out: &mut dyn Write) -> Result<bool, AclError> {
    let rules = access_rules::load(config)?;
    let names = InboxNames::new(&config.inbox.prefix);
    let who = identity(args, config)?;
    let judged = judge(args, config, &rules, &names, &who)?;
    let mut text = match &judged {
        Ok(Grounds::BuiltIn) if config.access.acl_file.is_none() => {
            "allowed: there are no access rules (access.acl_file is not set)\n".to_owned()
        }
        Ok(Grounds::BuiltIn) => "allowed, as it is without any rule\n".to_owned(),
        Ok(Grounds::Line(line)) => format!("allowed: {}\n", quoted(config, *line)),
        Err(Denied::Rule(line)) => format!("denied: {}\n", quoted(config, *line)),
        Err(why) => format!("denied: {why}\n"),
    };
    let connects = rules.judge(&who, Action::Connect);
    if let (true, Err(why)) = (args.action != AclAction::Connect, &connects) {
        text.push_str(&format!("but it cannot connect in the first place: {why}\n"));
    }
    answer(out, &text).map_err(AclError::Unsaid)?;
    Ok(judged.is_ok() && connects.is_ok())
}

/// Who is asked about. Roles come from the password file and from the command line; those of which the file of rules says who has them are
/// known there.
fn identity(args: &AclTestArgs, config: &Config) -> Result<Identity, AclError> {
    if args.user == NOBODY {
        return Ok(Identity::anonymous(args.client.clone()));
    }
    let known = match &config.auth.password_file {
        Some(path) => Passwords::roles_in(path, &args.user)?,
        None => None,
    };
    let mut roles = known.unwrap_or_default();
    roles.extend(args.roles.iter().map(|role| Box::from(role.as_str())));
    let account = Account {
        user: args.user.as_str().into(),
        roles,
        ..Account::default()
    };
    Ok(Identity::of(args.client.clone(), Arc::new(account)))
}

/// Whether an inbox may be written to as far as `inbox.registered_only` is concerned.
fn is_registered(config: &Config, owner: &str, rules: &Rules) -> Result<bool, AclError> {
    let registered = load_registered(config)?;
    Ok(registered.is_none_or(|registered| registered.may_own(owner, rules)))
}

fn judge(
    args: &AclTestArgs,
    config: &Config,
    rules: &Rules,
    names: &InboxNames,
    who: &Identity,
) -> Result<Result<Grounds, Denied>, AclError> {
    let topic = || args.topic.as_deref();
    match args.action {
        AclAction::Connect if args.topic.is_some() => Err(AclError::Topicless),
        AclAction::Connect => Ok(rules.judge(who, Action::Connect)),
        AclAction::Publish => {
            let topic = topic().ok_or(AclError::NoTopic("publish"))?;
            if is_request(topic) {
                // About the inbox of whoever asks.
                return Ok(Ok(Grounds::BuiltIn));
            }
            if is_operators_request(topic) {
                return Ok(rules.judge(who, Action::Operate));
            }
            if let Some(fault) = topic_name_fault(topic) {
                return Err(AclError::Topic(fault));
            }
            let destination = names.destination(topic);
            let target = destination.target(topic).unwrap_or(Target::Ordinary(topic));
            let judged = rules.judge(who, Action::Publish(target));
            match target {
                Target::Inbox(owner) if judged.is_ok() && !is_registered(config, owner, rules)? => {
                    Ok(Err(Denied::Unregistered))
                }
                _ => Ok(judged),
            }
        }
        AclAction::Subscribe => {
            let filter = topic().ok_or(AclError::NoTopic("subscribe"))?;
            TopicFilter::parse(filter)?;
            Ok(rules.judge(who, Action::Subscribe(names.named_by(filter))))
        }
    }
}

/// The line of the file, as it stands there.
fn quoted(config: &Config, line: u32) -> String {
    let Some(path) = &config.access.acl_file else {
        return format!("line {line}");
    };
    // It was read a moment ago.
    let text = fs::read_to_string(path).unwrap_or_default();
    let line_text = text.lines().nth((line as usize).saturating_sub(1)).unwrap_or_default();
    format!("{}, line {line}: {}", path.display(), line_text.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use inbox_bridge::ClientId;

    #[test]
    fn it_names_the_line_or_says_why_there_is_none() {
        // Goal: what an operator asks about each kind of target, with roles of the command line and members of the file.
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("acl.toml");
        let text = "[[role]]\nname = \"staff\"\npublish = [\"work/%u/#\"]\nmembers = [\"bob\"]\n[[inbox]]\nof = \"boss\"\ndeny = [\"*\"]\n";
        std::fs::write(&path, text).unwrap();
        let mut config = Config::default();
        config.access.acl_file = Some(path);
        let ask = |user: &str, client: &str, action, topic: &str, roles: &[&str]| {
            let mut out = Vec::new();
            let args = AclTestArgs {
                user: user.to_owned(),
                client: ClientId::new(client).unwrap(),
                action,
                topic: (!topic.is_empty()).then(|| topic.to_owned()),
                roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            };
            let may = test(&args, &config, &mut out);
            (may.map_err(|error| error.to_string()), String::from_utf8(out).unwrap())
        };
        let (publish, subscribe) = (AclAction::Publish, AclAction::Subscribe);
        for (user, client, action, topic, roles, may, word) in [
            (
                "alice",
                "alice",
                publish,
                "work/alice/1",
                &["staff"][..],
                true,
                "line 3: publish = [\"work/%u/#\"]",
            ),
            ("bob", "bob", publish, "work/bob/1", &[], true, "line 3"),
            ("alice", "alice", publish, "work/alice/1", &[], false, "no access rule"),
            ("alice", "alice", publish, "boss", &[], false, "line 7: deny"),
            ("alice", "alice", publish, "bob", &[], true, "without any rule"),
            ("-", "anonymous", publish, "bob", &[], false, "without a user"),
            (
                "alice",
                "alice",
                subscribe,
                "bob",
                &[],
                false,
                "only the client with that ID",
            ),
            (
                "alice",
                "alice",
                subscribe,
                "$share/g/bob",
                &[],
                false,
                "shared subscription",
            ),
            ("alice", "alice", subscribe, "$share/g/$SYS/#", &[], false, "ops"),
            (
                "alice",
                "alice",
                subscribe,
                "$SYS/#",
                &["ops"],
                true,
                "without any rule",
            ),
            (
                "alice",
                "alice",
                subscribe,
                "$other/#",
                &["ops"],
                false,
                "belong to the broker",
            ),
            ("alice", "bob", AclAction::Connect, "", &[], false, "client ID"),
            ("alice", "bob", publish, "carol", &[], false, "cannot connect"),
            ("alice", "alice", publish, "$inbox/block", &[], true, "without any rule"),
        ] {
            let (said_may, said) = ask(user, client, action, topic, roles);
            assert!(
                said_may == Ok(may) && said.contains(word),
                "{user} {topic}: {said_may:?}: {said}"
            );
        }
        assert!(
            ask("alice", "alice", publish, "", &[])
                .0
                .unwrap_err()
                .contains("which topic")
        );
        assert!(ask("alice", "alice", publish, "a/#", &[]).0.is_err());
        assert!(ask("alice", "alice", subscribe, "a/#/b", &[]).0.is_err());
    }
}
