//! Why a client may not do what it wants.

/// Why a client may not do what it wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Denied {
    /// It comes from another machine, and nobody said that such clients are meant to be served.
    #[error("clients of other machines are not let in without authentication, unless mqtt.allow_anonymous = true")]
    Anonymous,
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
    /// Nobody but the broker publishes there (MQTT-4.7.2-1).
    #[error("topics that begin with $ belong to the broker (MQTT-4.7.2-1)")]
    Reserved,
}
