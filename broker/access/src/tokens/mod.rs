//! JSON Web Tokens (RFC 7519): somebody whom the operator trusts says who a client is, and until when.
//!
//! A token is verified with a key that is for its algorithm and has its key ID. The algorithm is the key's; what the token says only chooses among
//! keys. Tokens without a signature, or without an expiry, are not accepted.

mod claims;
mod fault;
mod keys;
mod published;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use parking_lot::RwLock;

use crate::identity::Account;
use claims::Claims;
use keys::TokenKey;
use published::Published;

pub use claims::TokenRules;
pub use fault::TokenFault;
pub use keys::{KeysError, WrongKey};

/// Longest token, in bytes.
const TOKEN_BYTES_MAX: usize = 16 * 1024;
/// What the JSON of a header begins with, in Base64url.
const BEGINNING: &[u8] = b"eyJ";

/// Where the keys of tokens are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TokenKeyFiles {
    /// A secret, for HS256.
    pub secret: Option<PathBuf>,
    /// A public key in PEM.
    pub public_key: Option<PathBuf>,
    /// A set of public keys.
    pub jwks: Option<PathBuf>,
    /// The URL of a set of public keys, which [`Tokens::keep_fresh`] asks.
    pub jwks_url: Option<String>,
}

impl TokenKeyFiles {
    /// Whether there are any.
    pub fn are_any(&self) -> bool {
        self.secret.is_some() || self.public_key.is_some() || self.jwks.is_some() || self.jwks_url.is_some()
    }
}

/// See the module's documentation.
pub struct Tokens {
    files: TokenKeyFiles,
    rules: TokenRules,
    keys: RwLock<Arc<Vec<TokenKey>>>,
    /// Where more of them are, and those that were there.
    published: Option<Published>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens")
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}

impl Tokens {
    /// Tokens that are signed with the keys in these files.
    ///
    /// # Errors
    /// A file cannot be used.
    pub fn load(files: TokenKeyFiles, rules: TokenRules) -> Result<Self, KeysError> {
        let keys = load_keys(&files)?;
        let published = files.jwks_url.as_deref().map(Published::at).transpose()?;
        Ok(Tokens {
            published,
            files,
            rules,
            keys: RwLock::new(Arc::new(keys)),
        })
    }

    /// Reads the keys again.
    ///
    /// # Errors
    /// A file cannot be used. What was read before stays in force.
    pub fn reload(&self) -> Result<(), KeysError> {
        let keys = load_keys(&self.files)?;
        *self.keys.write() = Arc::new(keys);
        self.published.iter().for_each(Published::want);
        Ok(())
    }

    /// Asks the URL of the set of keys again and again, if there is one: at once, after `every`, and when a token has a key that is not known.
    pub async fn keep_fresh(&self, every: Duration) {
        if let Some(published) = &self.published {
            published.keep_fresh(every).await;
        }
    }

    /// Whose token this is.
    pub(crate) fn verify(&self, token: &str) -> Result<Account, TokenFault> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.verify_at(token, now.as_secs())
    }

    /// The same, at a time in seconds since 1970 (UTC).
    pub(crate) fn verify_at(&self, token: &str, now: u64) -> Result<Account, TokenFault> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenFault::Malformed);
        }
        let header = decode_header(token).map_err(|_| TokenFault::Malformed)?;
        let known = [Algorithm::HS256, Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];
        if !known.contains(&header.alg) {
            return Err(TokenFault::Malformed);
        }
        let keys = self.keys.read().clone();
        let published = self.published.as_ref().map(Published::keys).unwrap_or_default();
        let is_for_it = |key: &&TokenKey| {
            let other_id = matches!((&key.id, &header.kid), (Some(id), Some(wanted)) if **id != **wanted);
            key.algorithm == header.alg && !other_id
        };
        let mut fault = TokenFault::UnknownKey;
        for key in keys.iter().chain(published.iter()).filter(is_for_it) {
            match claims_by(key, token) {
                Ok(claims) => return self.rules.account(&claims, now),
                Err(why) => fault = why,
            }
        }
        if fault == TokenFault::UnknownKey {
            self.published.iter().for_each(Published::want);
        }
        Err(fault)
    }
}

/// Whether a password is meant as a token.
pub(crate) fn looks_like_token(password: &[u8]) -> bool {
    password.starts_with(BEGINNING) && password.iter().filter(|byte| **byte == b'.').count() == 2
}

/// The claims of a token, if this key signed it. Times are looked at elsewhere, with a clock that is an argument.
fn claims_by(key: &TokenKey, token: &str) -> Result<Claims, TokenFault> {
    let mut validation = Validation::new(key.algorithm);
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    match decode::<Claims>(token, &key.key, &validation) {
        Ok(decoded) => Ok(decoded.claims),
        Err(error) => Err(match error.kind() {
            ErrorKind::InvalidSignature => TokenFault::Signature,
            _ => TokenFault::Malformed,
        }),
    }
}

fn load_keys(files: &TokenKeyFiles) -> Result<Vec<TokenKey>, KeysError> {
    type Parse = fn(&[u8]) -> Result<Vec<TokenKey>, WrongKey>;
    let kinds: [(Option<&Path>, Parse); 3] = [
        (files.secret.as_deref(), keys::secret),
        (files.public_key.as_deref(), keys::pem),
        (files.jwks.as_deref(), keys::jwks),
    ];
    let mut all = Vec::new();
    for (path, parse) in kinds {
        let Some(path) = path else { continue };
        let bytes = keys::read(path)?;
        all.extend(parse(&bytes).map_err(|why| KeysError::File {
            path: path.to_owned(),
            why,
        })?);
    }
    Ok(all)
}
