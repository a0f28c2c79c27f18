//! The access rules as a file: TOML, in which every rule has a line that can be named.

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use super::client_pattern::{BadPattern, ClientPattern};
use super::inbox_rule::{BadSender, InboxRule, Sender};
use super::inbox_size::{self, BadSize, OwnSize};
use super::roles::{ANONYMOUS, GIVEN, Inboxes, Role, Ruled, Topics};
use super::topic_rule::{BadTopicRule, TopicRule};
use super::{Rules, built_in};
use crate::client_ids::is_user_name;
use crate::passwords::{NoRoleName, NoUserName, check_role};

/// Larger files are refused.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Why access rules are not in force.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// The file cannot be read.
    #[error("the access rules {} cannot be read ({why}); correct access.acl_file, or let the broker read it", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        why: io::Error,
    },
    /// It is too large.
    #[error("the access rules {} are larger than {FILE_BYTES_MAX} bytes; name roles instead of single users", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// A line is wrong.
    #[error("the access rules {}, line {line}: {why}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// From 1 on.
        line: u32,
        /// What is wrong with it.
        #[source]
        why: RuleError,
    },
}

/// What is wrong with a line of the access rules.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// It is no TOML, or has a key that means nothing.
    #[error("{0}")]
    Toml(Box<str>),
    /// Nothing can be called so.
    #[error("the role {name:?} cannot be: {why}")]
    RoleName {
        /// What stands there.
        name: Box<str>,
        /// Why.
        why: NoRoleName,
    },
    /// A role is described twice.
    #[error("the role {name:?} is described already, on line {first}; put the two together")]
    RoleTwice {
        /// Its name.
        name: Box<str>,
        /// The line, from 1 on.
        first: u32,
    },
    /// The broker says who has a role.
    #[error("who has the role {0:?} is not for a list to say: it is given by the broker to all clients of its kind")]
    Members(Box<str>),
    /// Nobody can be a user by this name.
    #[error("no user can be called {name:?}: {why}")]
    User {
        /// What stands there.
        name: Box<str>,
        /// Why.
        why: NoUserName,
    },
    /// Clients without a user have no other client IDs.
    #[error("clients without a user have client IDs that begin with \"anonymous~\", and no others")]
    AnonymousIds,
    /// It is no topic filter.
    #[error("{text:?}: {why}")]
    Topic {
        /// What stands there.
        text: Box<str>,
        /// Why.
        why: BadTopicRule,
    },
    /// It is no pattern of client IDs.
    #[error("{text:?}: {why}")]
    Client {
        /// What stands there.
        text: Box<str>,
        /// Why.
        why: BadPattern,
    },
    /// It names no sender.
    #[error("{text:?}: {why}")]
    Sender {
        /// What stands there.
        text: Box<str>,
        /// Why.
        why: BadSender,
    },
    /// Nobody publishes there.
    #[error(
        "topics that begin with $ are the broker's to publish to (MQTT-4.7.2-1), and requests under $inbox/ need no rule; leave it out"
    )]
    Reserved,
    /// It is no size of an inbox.
    #[error(transparent)]
    Size(#[from] BadSize),
    /// It is about nobody.
    #[error("this [[inbox]] says nothing: give it allow or deny, messages_max or bytes_max")]
    Nothing,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    role: Vec<RoleTable>,
    #[serde(default)]
    inbox: Vec<InboxTable>,
}

type Texts = Vec<Spanned<Box<str>>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RoleTable {
    name: Spanned<Box<str>>,
    #[serde(default)]
    members: Texts,
    client_ids: Option<Texts>,
    publish: Option<Texts>,
    deny_publish: Option<Texts>,
    subscribe: Option<Texts>,
    deny_subscribe: Option<Texts>,
    write_to: Option<Texts>,
    deny_write_to: Option<Texts>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InboxTable {
    of: Spanned<Box<str>>,
    allow: Option<Texts>,
    deny: Option<Texts>,
    messages_max: Option<Spanned<toml::Value>>,
    bytes_max: Option<Spanned<toml::Value>>,
}

impl Rules {
    /// The rules of the file `path`. Inboxes are the topics of one level more than `inbox_prefix`.
    ///
    /// # Errors
    /// See [`RulesError`].
    pub fn load(path: &Path, inbox_prefix: &str) -> Result<Self, RulesError> {
        let text = read(path)?;
        Rules::parse(&text, inbox_prefix).map_err(|(line, why)| RulesError::Line {
            path: path.to_owned(),
            line,
            why,
        })
    }

    /// The rules that `text` says.
    ///
    /// # Errors
    /// A line is wrong: which one, from 1 on.
    pub fn parse(text: &str, inbox_prefix: &str) -> Result<Self, (u32, RuleError)> {
        let file: File = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            (Lines::of(text).line_at(at), RuleError::Toml(error.message().into()))
        })?;
        let reading = Reading {
            lines: Lines::of(text),
            inbox_prefix,
        };
        let mut roles = built_in();
        let mut lines = HashMap::<Box<str>, u32>::new();
        for table in file.role {
            let (name, line) = reading.role_name(&table.name)?;
            if let Some(first) = lines.insert(name.clone(), line) {
                return Err((line, RuleError::RoleTwice { name, first }));
            }
            match roles.iter_mut().find(|role| role.name == name) {
                Some(role) => reading.describe(role, &table)?,
                None => {
                    let mut role = Role {
                        name,
                        ..Role::default()
                    };
                    reading.describe(&mut role, &table)?;
                    roles.push(role);
                }
            }
        }
        let (mut inboxes, mut sizes) = (Vec::new(), Vec::new());
        for table in &file.inbox {
            let of = reading.of(table)?;
            let (rule, size) = (reading.inbox(table)?, reading.size(table, &of)?);
            if rule.is_none() && size.is_none() {
                return Err((reading.line(&table.of), RuleError::Nothing));
            }
            // Two questions: a rule that answers one of them hides no other one's answer to the other.
            inboxes.extend(rule.map(|rule| (of.clone(), rule)));
            sizes.extend(size.map(|size| (of, size)));
        }
        Ok(Rules::new(roles, inboxes, sizes))
    }
}

fn read(path: &Path) -> Result<String, RulesError> {
    let unreadable = |why| RulesError::Unreadable {
        path: path.to_owned(),
        why,
    };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(FILE_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    match text.len() as u64 > FILE_BYTES_MAX {
        true => Err(RulesError::TooLarge { path: path.to_owned() }),
        false => Ok(text),
    }
}

/// Where the lines of a text end.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        Lines(ends.map(|(at, _)| at).collect())
    }

    /// The line, from 1 on, in which the byte at this place is.
    fn line_at(&self, at: usize) -> u32 {
        let before = self.0.partition_point(|end| *end < at);
        u32::try_from(1 + before).unwrap_or(u32::MAX)
    }
}

/// From the tables of a file to rules.
struct Reading<'f> {
    lines: Lines,
    inbox_prefix: &'f str,
}

impl Reading<'_> {
    fn line<T>(&self, spanned: &Spanned<T>) -> u32 {
        self.lines.line_at(spanned.span().start)
    }

    fn role_name(&self, name: &Spanned<Box<str>>) -> Result<(Box<str>, u32), (u32, RuleError)> {
        let line = self.line(name);
        let name = name.get_ref().clone();
        match check_role(&name) {
            Ok(()) => Ok((name, line)),
            Err(why) => Err((line, RuleError::RoleName { name, why })),
        }
    }

    /// What the table says takes the place of what is built in.
    fn describe(&self, role: &mut Role, table: &RoleTable) -> Result<(), (u32, RuleError)> {
        role.members = self.members(&role.name, &table.members)?;
        if let Some(ids) = &table.client_ids {
            if *role.name == *ANONYMOUS {
                return Err((self.line(&table.name), RuleError::AnonymousIds));
            }
            role.client_ids = self.patterns(ids)?;
        }
        let Topics { allow, deny } = &mut role.publish;
        self.no_reserved(&table.publish)?;
        self.topics(&table.publish, allow)?;
        self.topics(&table.deny_publish, deny)?;
        let Topics { allow, deny } = &mut role.subscribe;
        self.topics(&table.subscribe, allow)?;
        self.topics(&table.deny_subscribe, deny)?;
        let Inboxes { allow, deny } = &mut role.write_to;
        if let Some(texts) = &table.write_to {
            *allow = self.inboxes(texts)?;
        }
        if let Some(texts) = &table.deny_write_to {
            *deny = self.inboxes(texts)?;
        }
        Ok(())
    }

    fn members(&self, role: &str, members: &Texts) -> Result<Vec<Box<str>>, (u32, RuleError)> {
        let all = members.iter().map(|member| {
            let name = member.get_ref().clone();
            match () {
                () if GIVEN.contains(&role) => Err((self.line(member), RuleError::Members(role.into()))),
                () if !is_user_name(&name) => Err((self.line(member), RuleError::User { name, why: NoUserName })),
                () => Ok(name),
            }
        });
        all.collect()
    }

    fn topics(&self, texts: &Option<Texts>, into: &mut Vec<Ruled<TopicRule>>) -> Result<(), (u32, RuleError)> {
        if let Some(texts) = texts {
            *into = self.each(texts, |text| {
                TopicRule::parse(text, self.inbox_prefix).map_err(|why| RuleError::Topic { text: text.into(), why })
            })?;
        }
        Ok(())
    }

    /// Nobody but the broker publishes to topics that begin with `$`, and requests there are about the own inbox.
    fn no_reserved(&self, texts: &Option<Texts>) -> Result<(), (u32, RuleError)> {
        let mut texts = texts.iter().flatten();
        match texts.find(|text| text.get_ref().starts_with('$')) {
            Some(text) => Err((self.line(text), RuleError::Reserved)),
            None => Ok(()),
        }
    }

    fn patterns(&self, texts: &Texts) -> Result<Vec<Ruled<ClientPattern>>, (u32, RuleError)> {
        self.each(texts, |text| {
            ClientPattern::parse(text).map_err(|why| RuleError::Client { text: text.into(), why })
        })
    }

    fn inboxes(&self, texts: &Texts) -> Result<Vec<Ruled<ClientPattern>>, (u32, RuleError)> {
        self.each(texts, |text| {
            ClientPattern::of_inboxes(text).map_err(|why| RuleError::Client { text: text.into(), why })
        })
    }

    fn senders(&self, texts: &Texts) -> Result<Vec<Ruled<Sender>>, (u32, RuleError)> {
        self.each(texts, |text| {
            Sender::parse(text).map_err(|why| RuleError::Sender { text: text.into(), why })
        })
    }

    fn of(&self, table: &InboxTable) -> Result<ClientPattern, (u32, RuleError)> {
        let text = table.of.get_ref();
        ClientPattern::of_inboxes(text).map_err(|why| {
            let text = text.clone();
            (self.line(&table.of), RuleError::Client { text, why })
        })
    }

    /// Who may write to it, if the table says that.
    fn inbox(&self, table: &InboxTable) -> Result<Option<InboxRule>, (u32, RuleError)> {
        let senders = |texts: &Option<Texts>| texts.as_ref().map(|texts| self.senders(texts)).transpose();
        let (allow, deny) = (senders(&table.allow)?, senders(&table.deny)?);
        let says = allow.is_some() || deny.is_some();
        Ok(says.then(|| InboxRule {
            line: self.line(&table.of),
            allow,
            deny: deny.unwrap_or_default(),
        }))
    }

    /// How large it is, if the table says that.
    fn size(&self, table: &InboxTable, of: &ClientPattern) -> Result<Option<OwnSize>, (u32, RuleError)> {
        let read = |value: &Option<Spanned<toml::Value>>, read: fn(&toml::Value) -> Result<u64, BadSize>| {
            let Some(value) = value else { return Ok(None) };
            let read = read(value.get_ref()).map(Some);
            read.map_err(|why| (self.line(value), RuleError::Size(why)))
        };
        let size = OwnSize {
            messages_max: read(&table.messages_max, inbox_size::messages)?,
            bytes_max: read(&table.bytes_max, inbox_size::bytes)?,
        };
        let says = size.messages_max.is_some() || size.bytes_max.is_some();
        match says && !of.is_the_same_for_all() {
            true => Err((self.line(&table.of), BadSize::OfSender.into())),
            false => Ok(says.then_some(size)),
        }
    }

    fn each<R>(
        &self,
        texts: &Texts,
        parse: impl Fn(&str) -> Result<R, RuleError>,
    ) -> Result<Vec<Ruled<R>>, (u32, RuleError)> {
        let all = texts.iter().map(|text| {
            let line = self.line(text);
            parse(text.get_ref())
                .map(|rule| Ruled { rule, line })
                .map_err(|why| (line, why))
        });
        all.collect()
    }
}
