//! Why a token is not accepted.

/// Why a token is not accepted. It tells nothing that its bearer must not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum TokenFault {
    /// It is none, or an unsigned one.
    #[error("it cannot be read, or is not signed with HS256, RS256, ES256 or EdDSA")]
    Malformed,
    /// No key is for it.
    #[error("no key that the broker knows is for it (alg, kid)")]
    UnknownKey,
    /// Somebody else signed it, or changed it.
    #[error("its signature is wrong")]
    Signature,
    /// Its time is over.
    #[error("it has expired (exp)")]
    Expired,
    /// It would be good for ever.
    #[error("it does not say when it expires (exp)")]
    NoExpiry,
    /// Its time has not come.
    #[error("it is not valid yet (nbf); look at the clocks")]
    TooEarly,
    /// It is meant for others.
    #[error("it is for another audience (aud)")]
    Audience,
    /// Somebody else issued it.
    #[error("it is from another issuer (iss)")]
    Issuer,
    /// It says not who its bearer is.
    #[error("it has no claim that can be a user name")]
    User,
    /// Its roles or client IDs are none.
    #[error("its roles or client IDs are no list of texts, or too many")]
    Lists,
}
