//! Why a client may not do what it wants.

use crate::tokens::TokenFault;

/// Why a client may not do what it wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Denied {
    /// It comes from another machine, and nobody said that such clients are meant to be served.
    #[error("clients of other machines are not let in without authentication, unless mqtt.allow_anonymous = true")]
    Anonymous,
    /// It shows nothing that says who it is.
    #[error("this broker wants to know who its clients are: give the client a user name and a password")]
    NoCredentials,
    /// What it shows is wrong. Which part of it is not told.
    #[error("the user name or the password is wrong")]
    Credentials,
    /// Its token is not accepted.
    #[error("the token is not accepted: {0}")]
    Token(#[from] TokenFault),
    /// Its fresh token is somebody else's.
    #[error("the fresh token is for another user than the connection is")]
    AnotherUser,
    /// Its certificate names nobody who can be a user.
    #[error("the client certificate has no name that can be a user name (auth.certificate)")]
    Certificate,
    /// Too many failures came from its address, or for its user.
    #[error("too many wrong passwords came from this address, or for this user; try again later")]
    TooManyFailures,
    /// The client ID is not one of its user's.
    #[error(
        "this client ID is not its user's: that is the user name, or the user name with ~ and anything behind it, or what the token says"
    )]
    ClientId,
    /// An anonymous client asks for a client ID that can be a user's.
    #[error("where users are known, clients without one have client IDs that begin with \"anonymous~\", or none")]
    UsersId,
    /// The authenticator gave no answer in time.
    #[error("it could not be found out in time who this client is; try again later")]
    Undecided,
    /// Its client ID is the broker's.
    #[error("this client ID is the broker's own: notices are from it")]
    BrokersId,
    /// An inbox is read by its owner alone (contract rule 2).
    #[error("only the client with that ID may subscribe to its inbox")]
    OthersInbox,
    /// A shared subscription would be a way to read another's inbox (contract rule 2).
    #[error("an inbox is read by the client with that ID alone, and not by a shared subscription")]
    SharedInbox,
    /// A line of the access rules says no, from 1 on.
    #[error("the access rules do not allow it (line {0} of access.acl_file)")]
    Rule(u32),
    /// No access rule says yes.
    #[error("no access rule allows it (access.acl_file)")]
    NoRule,
    /// An inbox is written to by users, unless the access rules say otherwise.
    #[error("clients without a user may not write to this inbox, unless the access rules say so (access.acl_file)")]
    NoUser,
    /// What the broker tells of itself is for its operators.
    #[error("$SYS is read by clients with the role \"ops\", unless the access rules say otherwise (access.acl_file)")]
    NotOps,
    /// What only operators do.
    #[error("only clients with the role \"ops\" ask for this; `inboxd passwd FILE USER --role ops` gives it to a user")]
    NoOperator,
    /// The owner of the inbox does not take messages from it.
    #[error("the owner of this inbox takes no messages from this client")]
    Unwanted,
    /// Nobody may have this client ID.
    #[error("no user of this broker may have this client ID, so nobody could read that inbox (inbox.registered_only)")]
    Unregistered,
    /// It has written to the owner before, and was not answered.
    #[error(
        "the owner of this inbox has not answered what this client wrote before; it may write again then (inbox.strangers_max)"
    )]
    Stranger,
    /// Nobody but the broker publishes there (MQTT-4.7.2-1).
    #[error("topics that begin with $ belong to the broker (MQTT-4.7.2-1)")]
    Reserved,
}
