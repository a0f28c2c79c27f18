//! Who a client is, and what it may do.
//!
//! An [`Authenticator`] makes an [`Identity`] of what a client says about itself, and may take its time. [`Access::decide`] is
//! asked for everything that the client does afterwards: it is synchronous, does no I/O, and is the only place that says no to a
//! publish, a subscription or a client.
//!
//! No sockets and no MQTT packets here. `ARCHITECTURE.md` has the map.

mod acl;
mod authentication;
mod authenticator;
mod call_out;
mod client_ids;
mod decision;
mod delays;
mod denied;
mod generations;
mod http;
mod identity;
mod origin;
mod passwords;
mod quota;
mod recipients;
mod registered;
mod remembered;
mod tokens;

/// The target of records of the audit log: who came in, who was turned away, what operators changed.
pub const AUDIT_TARGET: &str = "audit";

pub use acl::{BadPattern, BadPercent, BadSender, BadSize, BadTopicRule, Grounds, RuleError, Rules, RulesError};
pub use authentication::{Authentication, Authenticators, CertificateName};
pub use authenticator::{Anonymous, Authenticating, Authenticator, Credentials};
pub use call_out::{CallOut, CallOutError};
pub use client_ids::ClientIds;
pub use decision::{Access, Action, Target};
pub use denied::Denied;
pub use http::{Endpoint, HttpError, UrlError};
pub use identity::{Account, Identity, Shown};
pub use origin::{Certificate, Origin};
pub use passwords::{
    EditError, Edited, HashError, LineError, NoRoleName, NoUserName, PasswordFileError, Passwords, PasswordsError,
    WrongHash, edit_passwords,
};
pub use quota::{Held, OverQuota, Pace, QuotaLimits, Quotas, RoleQuota};
pub use recipients::{Acquaintance, ListKind, ListRefused, NoObject, Recipients, Strangers, Unreadable, read_object};
pub use registered::Registered;
pub use remembered::NoRandomness;
pub use tokens::{KeysError, TokenFault, TokenKeyFiles, TokenRules, Tokens, WrongKey};
