//! Why the value of a key cannot be used: sentences for the operator, who must change it.

use std::io;
use std::time::Duration;

use inbox_bridge::{format_duration, format_size};

use super::directives::DirectivesError;

/// Longest name of a listener, in bytes: it is in log lines and in the line that says that the broker is ready.
pub(super) const NAME_BYTES_MAX: usize = 32;
/// Listeners beside the one of `mqtt.listen`. Each is a task.
pub(super) const LISTENERS_MAX: usize = 64;

/// Why a value cannot be used: the end of a sentence that begins with key and value, with range, unit and an example.
#[derive(Debug, thiserror::Error)]
pub enum WrongValue {
    /// It is neither `true` nor `false`.
    #[error("it is true or false")]
    Truth,
    /// It is no whole number, or out of range.
    #[error("it is a whole number from {least} to {most}")]
    Count {
        /// The least that it may be.
        least: u64,
        /// The most that it may be.
        most: u64,
    },
    /// It is no size, or out of range.
    #[error(
        "it is a size from {} to {}, in bytes or with a unit (KiB, MiB, GiB, TiB), like \"1MiB\"",
        format_size(*least), format_size(*most)
    )]
    Size {
        /// The least that it may be, in bytes.
        least: u64,
        /// The most that it may be, in bytes.
        most: u64,
    },
    /// It is no duration, or out of range.
    #[error(
        "it is a duration from \"{}\" to \"{}\": one whole number and one unit (ms, s, m, h, d), like \"10s\"",
        format_duration(*least), format_duration(*most)
    )]
    Span {
        /// The least that it may be.
        least: Duration,
        /// The most that it may be.
        most: Duration,
    },
    /// It is a number where a duration belongs.
    #[error("a duration needs its unit (ms, s, m, h, d): write \"{number}s\" if you mean seconds")]
    NoUnit {
        /// The number, as it was written.
        number: String,
    },
    /// It has a fraction of a second, and MQTT has no room for that.
    #[error("MQTT counts it in whole seconds; leave the fraction of a second out")]
    Fraction,
    /// As the other one says, and there is a value for none.
    #[error("{0}; \"0s\" means none")]
    OrNone(Box<WrongValue>),
    /// It is no address with a port.
    #[error(
        "it is an IP address or a host name, and a port, like \"127.0.0.1:1883\", \"[::1]:1883\" or \"localhost:1883\""
    )]
    Address,
    /// It is no address, and does not say where HTTP is spoken either.
    #[error(
        "it is \"auto\" (127.0.0.1:8080, or a free port where that is in use), \"off\", or an address and a port, like \"0.0.0.0:8080\""
    )]
    HttpListen,
    /// It is no address, and does not say whether the port has it either.
    #[error(
        "it is \"on\" (where http.listen is), \"off\", or an address and a port of its own, like \"127.0.0.1:9090\""
    )]
    HttpPart,
    /// It is no list of origins.
    #[error(
        "it is a list of what browsers call the origin of a page, like \"https://example.org\", or \"*\" for any page"
    )]
    Origins,
    /// The host name has no address.
    #[error("this host name has no address; write the IP address")]
    HostWithoutAddress,
    /// The host name is not known here.
    #[error("this host name cannot be resolved here ({why}); write the IP address")]
    HostUnknown {
        /// What the system says.
        #[source]
        why: io::Error,
    },
    /// It is no path.
    #[error("it is the path of a directory, like \"/var/lib/inboxd\"")]
    Directory,
    /// It is no path.
    #[error("it is the path of a file, like \"/etc/inboxd/users\", or empty")]
    File,
    /// It is no text, or too long.
    #[error("it is text of at most {most} bytes")]
    Text {
        /// The most bytes that it may have.
        most: usize,
    },
    /// It is empty.
    #[error("it must not be empty")]
    EmptyText,
    /// It is a path with bytes that are no text.
    #[error("it is a path in UTF-8")]
    PathNotUtf8,
    /// It is nothing that inbox topics can begin with.
    #[error(transparent)]
    Prefix(#[from] PrefixError),
    /// It is no text.
    #[error("it is text, like \"info\" or \"info,inboxd=debug\"")]
    NotDirectives,
    /// It does not say what to log.
    #[error(transparent)]
    Directives(#[from] DirectivesError),
    /// It is none of the names.
    #[error("it is {}", names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(" or "))]
    Choice {
        /// The names that there are.
        names: Vec<&'static str>,
    },
    /// It is no list of listeners.
    #[error(transparent)]
    Listeners(Box<ListenersError>),
    /// It is no list of roles with quotas.
    #[error(transparent)]
    RoleQuotas(Box<RoleQuotasError>),
}

impl From<ListenersError> for WrongValue {
    fn from(why: ListenersError) -> Self {
        WrongValue::Listeners(Box::new(why))
    }
}

impl From<RoleQuotasError> for WrongValue {
    fn from(why: RoleQuotasError) -> Self {
        WrongValue::RoleQuotas(Box::new(why))
    }
}

/// Why inbox topics cannot begin so (contract rule 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PrefixError {
    /// It is no text.
    #[error("it is text, like \"inbox/\", or empty")]
    NotText,
    /// Its last level is not ended.
    #[error("it must end with '/', like \"inbox/\", or be empty")]
    NoSlash,
    /// Two slashes follow each other, or it begins with one.
    #[error("it must have no empty level; write something like \"inbox/\"")]
    EmptyLevel,
    /// Its topics would be the broker's.
    #[error("it must not begin with '$': those topics are the broker's own")]
    Reserved,
    /// It is a filter.
    #[error("it must hold no '+', '#' or NUL: it is the start of topic names, not a filter")]
    Wildcard,
    /// It is too long.
    #[error("it must have at most {most} bytes")]
    TooLong {
        /// The most bytes that it may have.
        most: usize,
    },
}

/// Why a value is no list of roles with quotas.
#[derive(Debug, thiserror::Error)]
pub enum RoleQuotasError {
    /// It is no list.
    #[error("it is a list of tables: write [[quota.role]] in a file, with name and the limits of that role below it")]
    NotAList,
    /// The list is too long.
    #[error("there are at most {most}")]
    TooMany {
        /// How many there may be.
        most: usize,
    },
    /// Two tables are about one role.
    #[error("two of them are about the role {name:?}; put them together")]
    Twice {
        /// The role.
        name: String,
    },
    /// A table does not say which role it is about.
    #[error("one of them has no name; name = \"…\" says which role it is about")]
    Name,
    /// A table has a key that means nothing.
    #[error(
        "there is no key {key:?} in the one of {name:?}: connections_per_user, publishes_per_second and publish_bytes_per_second are \
         limits of a role"
    )]
    UnknownKey {
        /// Of which role.
        name: String,
        /// The key, as it was written.
        key: String,
    },
    /// A limit cannot be used.
    #[error("{key} of {name:?}: {why}; 0 means none")]
    Limit {
        /// Of which role.
        name: String,
        /// Which limit.
        key: String,
        /// Why.
        #[source]
        why: Box<WrongValue>,
    },
}

/// Why a value is no list of listeners.
#[derive(Debug, thiserror::Error)]
pub enum ListenersError {
    /// It is no list.
    #[error("it is a list of tables: write [[listener]] in a file, with name and listen below it")]
    NotAList,
    /// The list is too long.
    #[error("there are at most {LISTENERS_MAX}")]
    TooMany,
    /// Two listeners have one name.
    #[error("two of them are called {name:?}; a name is there to tell them apart")]
    Twice {
        /// The name.
        name: String,
    },
    /// There is something else in the list.
    #[error("each is a table with name and listen")]
    NotATable,
    /// A table has a key that means nothing.
    #[error("there is no key {key:?} in it: the keys of a listener are {known}")]
    UnknownKey {
        /// The key, as it was written.
        key: String,
        /// The keys that there are.
        known: String,
    },
    /// A table lacks a key.
    #[error("one of them has no {0}; write it")]
    Lacks(&'static str),
    /// The name cannot be used.
    #[error(
        "a name is 1 to {NAME_BYTES_MAX} of a-z, 0-9 and -, and not \"mqtt\" or \"http\", which are those of mqtt.listen and http.listen, nor one that begins with \"http-\""
    )]
    Name,
    /// TLS needs a key that is not there.
    #[error("{name:?} has no {key}, which TLS needs; write the path of a file in PEM")]
    LacksOfTls {
        /// The key.
        key: &'static str,
        /// Which listener.
        name: String,
    },
    /// The value of a key cannot be used, or the key means nothing there.
    #[error("{key} of {name:?}: {allowed}")]
    Key {
        /// The key.
        key: &'static str,
        /// Which listener.
        name: String,
        /// What is allowed instead.
        allowed: &'static str,
    },
    /// The value of a key cannot be used.
    #[error("{key} of {name:?}: {why}")]
    Value {
        /// The key.
        key: &'static str,
        /// Which listener.
        name: String,
        /// Why.
        #[source]
        why: Box<WrongValue>,
    },
}
