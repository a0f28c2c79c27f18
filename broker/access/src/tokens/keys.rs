//! The keys that tokens are verified with. Each has one algorithm, whatever a token says: no public key is ever taken for a secret.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::Value;

use crate::http::UrlError;

/// Largest file, or answer, with keys, in bytes.
pub(crate) const KEYS_BYTES_MAX: usize = 256 * 1024;
/// Keys in one set.
const KEYS_MAX: usize = 256;
/// Shortest secret for HS256, in bytes (RFC 7518, section 3.2).
const SECRET_BYTES_MIN: usize = 32;

/// Why keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The system does not let us read them.
    #[error("cannot read the keys for tokens in {}: {why}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        why: io::Error,
    },
    /// The set of keys has no address.
    #[error("auth.jwt.jwks_url: {0}")]
    Url(#[from] UrlError),
    /// What is there is no key, or a bad one.
    #[error("{}: {why}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        why: WrongKey,
    },
}

/// Why a key cannot be used. It never shows the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WrongKey {
    /// Too many bytes.
    #[error("it is larger than {} KiB, and no set of keys is", KEYS_BYTES_MAX / 1024)]
    TooLarge,
    /// The secret can be guessed.
    #[error(
        "a secret for HS256 has {SECRET_BYTES_MIN} bytes or more (RFC 7518, section 3.2); make one with `openssl rand -base64 48`"
    )]
    ShortSecret,
    /// A secret where a public key belongs.
    #[error("it is a private key, which only the issuer of tokens may have; give the public one")]
    PrivateKey,
    /// No PEM that we know.
    #[error("it is no public key in PEM (BEGIN PUBLIC KEY) for RS256, ES256 or EdDSA")]
    NotPem,
    /// No JWKS.
    #[error("it is no JWKS: JSON with a list \"keys\"")]
    NotJwks,
    /// Nothing in it is of use.
    #[error("it has no key for RS256, ES256 or EdDSA that can be used to verify")]
    NoKey,
}

/// A key and what it is for.
#[derive(Clone)]
pub(crate) struct TokenKey {
    pub(crate) id: Option<Box<str>>,
    pub(crate) algorithm: Algorithm,
    pub(crate) key: DecodingKey,
}

impl fmt::Debug for TokenKey {
    /// Without the key, which may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} key {:?}", self.algorithm, self.id)
    }
}

/// The secret in a file, for HS256. An end of line at its end is none of it.
pub(crate) fn secret(bytes: &[u8]) -> Result<Vec<TokenKey>, WrongKey> {
    let secret = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let secret = secret.strip_suffix(b"\r").unwrap_or(secret);
    if secret.starts_with(b"-----BEGIN") {
        return Err(WrongKey::NotPem);
    }
    match secret.len() < SECRET_BYTES_MIN {
        true => Err(WrongKey::ShortSecret),
        false => Ok(vec![key(None, Algorithm::HS256, DecodingKey::from_secret(secret))]),
    }
}

/// The public key in a PEM file. Its kind is its algorithm.
pub(crate) fn pem(bytes: &[u8]) -> Result<Vec<TokenKey>, WrongKey> {
    let text = str::from_utf8(bytes).map_err(|_| WrongKey::NotPem)?;
    if text.contains("PRIVATE KEY-----") {
        return Err(WrongKey::PrivateKey);
    }
    type Read = fn(&[u8]) -> jsonwebtoken::errors::Result<DecodingKey>;
    let kinds: [(Algorithm, Read); 3] = [
        (Algorithm::RS256, DecodingKey::from_rsa_pem),
        (Algorithm::ES256, DecodingKey::from_ec_pem),
        (Algorithm::EdDSA, DecodingKey::from_ed_pem),
    ];
    let mut read = kinds
        .iter()
        .filter_map(|(algorithm, read)| Some((*algorithm, read(bytes).ok()?)));
    let (algorithm, public) = read.next().ok_or(WrongKey::NotPem)?;
    Ok(vec![key(None, algorithm, public)])
}

/// The keys of a JWKS (RFC 7517). Those that are for something else are passed over, and so are secrets: a set of public keys has none.
pub(crate) fn jwks(bytes: &[u8]) -> Result<Vec<TokenKey>, WrongKey> {
    let set: Value = serde_json::from_slice(bytes).map_err(|_| WrongKey::NotJwks)?;
    let all = set.get("keys").and_then(Value::as_array).ok_or(WrongKey::NotJwks)?;
    let keys: Vec<TokenKey> = all.iter().filter_map(from_jwk).take(KEYS_MAX).collect();
    match keys.is_empty() {
        true => Err(WrongKey::NoKey),
        false => Ok(keys),
    }
}

/// The content of a file with keys.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, KeysError> {
    let unreadable = |why| KeysError::Unreadable {
        path: path.to_owned(),
        why,
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(KEYS_BYTES_MAX as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    match bytes.len() > KEYS_BYTES_MAX {
        true => Err(KeysError::File {
            path: path.to_owned(),
            why: WrongKey::TooLarge,
        }),
        false => Ok(bytes),
    }
}

fn from_jwk(value: &Value) -> Option<TokenKey> {
    let jwk: Jwk = serde_json::from_value(value.clone()).ok()?;
    let (algorithm, named) = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => (Algorithm::RS256, KeyAlgorithm::RS256),
        AlgorithmParameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P256 => {
            (Algorithm::ES256, KeyAlgorithm::ES256)
        }
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => {
            (Algorithm::EdDSA, KeyAlgorithm::EdDSA)
        }
        _ => return None,
    };
    let is_for_it = jwk.common.key_algorithm.is_none_or(|said| said == named);
    let verifies = !matches!(jwk.common.public_key_use, Some(PublicKeyUse::Encryption));
    if !is_for_it || !verifies {
        return None;
    }
    let id = jwk.common.key_id.as_deref().map(Box::from);
    Some(key(id, algorithm, DecodingKey::from_jwk(&jwk).ok()?))
}

fn key(id: Option<Box<str>>, algorithm: Algorithm, key: DecodingKey) -> TokenKey {
    TokenKey { id, algorithm, key }
}
