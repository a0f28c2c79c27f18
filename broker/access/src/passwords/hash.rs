//! Passwords as hashes: argon2id, in the text form of PHC strings.

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use ring::rand::{SecureRandom, SystemRandom};

use crate::remembered::NoRandomness;

/// Longest password, in bytes. MQTT has room for 65,535, and hashing a flood of those would be work for nothing.
pub(crate) const PASSWORD_BYTES_MAX: usize = 4096;
/// Memory for one verification, in KiB; passes; lanes: what OWASP advises for argon2id (Password Storage Cheat Sheet).
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// Most of them in a hash that somebody else made.
const MEMORY_KIB_MAX: u32 = 256 * 1024;
const PASSES_MAX: u32 = 16;
const LANES_MAX: u32 = 16;
const SALT_BYTES: usize = 16;

/// Why a password cannot be hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// It has no bytes.
    #[error("the password is empty; give one")]
    Empty,
    /// It is too long.
    #[error("the password has {0} bytes; it may have {PASSWORD_BYTES_MAX}")]
    TooLong(usize),
    /// The system gives no random numbers.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
    /// A mistake of the broker.
    #[error("the password could not be hashed; please report this")]
    Failed,
}

/// Why a hash in a file cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WrongHash {
    /// It is something else.
    #[error("what follows the user name is no argon2 hash ($argon2id$v=19$…)")]
    NotAHash,
    /// It is made in another way.
    #[error("the hash is not argon2id, version 19")]
    Algorithm,
    /// It would take too much to verify.
    #[error("the hash takes more than {} MiB, {PASSES_MAX} passes or {LANES_MAX} lanes to verify", MEMORY_KIB_MAX / 1024)]
    TooCostly,
}

/// The hash of `password`, with a fresh salt.
pub(crate) fn hash(password: &[u8]) -> Result<String, HashError> {
    match password.len() {
        0 => return Err(HashError::Empty),
        n if n > PASSWORD_BYTES_MAX => return Err(HashError::TooLong(n)),
        _ => {}
    }
    let salt = salt()?;
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|_| HashError::Failed)?;
    let hashed = Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hash_password(password, &salt);
    hashed.map(|hash| hash.to_string()).map_err(|_| HashError::Failed)
}

/// A hash that no password has, as far as anyone knows, and that takes as long to verify as others.
pub(crate) fn nobodys() -> Result<String, NoRandomness> {
    // 32 bytes, as a hash has, in the alphabet of PHC strings.
    let (salt, one, two) = (salt()?, salt()?, salt()?);
    let output: String = one.as_str().chars().chain(two.as_str().chars()).take(43).collect();
    // The last of 43 characters has only four bits of its own.
    let output = format!("{}A", output.get(..42).unwrap_or_default());
    Ok(format!(
        "$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${salt}${output}"
    ))
}

/// Whether `password` has this hash. It takes long, and memory.
pub(crate) fn verify(password: &[u8], hash: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| Argon2::default().verify_password(password, &hash).is_ok())
}

/// Whether this is a hash that [`verify`] can be asked for.
pub(crate) fn check(hash: &str) -> Result<(), WrongHash> {
    let parsed = PasswordHash::new(hash).map_err(|_| WrongHash::NotAHash)?;
    let is_argon2id = Algorithm::try_from(parsed.algorithm) == Ok(Algorithm::Argon2id);
    if !is_argon2id || parsed.version != Some(Version::V0x13.into()) {
        return Err(WrongHash::Algorithm);
    }
    if parsed.hash.is_none() || parsed.salt.is_none() {
        return Err(WrongHash::NotAHash);
    }
    let params = Params::try_from(&parsed).map_err(|_| WrongHash::NotAHash)?;
    match params.m_cost() > MEMORY_KIB_MAX || params.t_cost() > PASSES_MAX || params.p_cost() > LANES_MAX {
        true => Err(WrongHash::TooCostly),
        false => Ok(()),
    }
}

fn salt() -> Result<SaltString, NoRandomness> {
    let mut bytes = [0; SALT_BYTES];
    SystemRandom::new().fill(&mut bytes).map_err(|_| NoRandomness)?;
    SaltString::encode_b64(&bytes).map_err(|_| NoRandomness)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_of_its_password_alone() {
        // Goal: the right password is right, others are not; two hashes of one password differ; the parameters are OWASP's.
        let (one, two) = (hash(b"secret").unwrap(), hash(b"secret").unwrap());
        assert!(
            one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$") && one != two,
            "{one}"
        );
        assert_eq!(check(&one), Ok(()));
        assert!(verify(b"secret", &one) && verify(b"secret", &two) && !verify(b"Secret", &one) && !verify(b"", &one));
    }

    #[test]
    fn nobodys_hash_is_one_and_nobody_has_it() {
        // Goal: an unknown user costs as much as a known one, so the hash must not be refused before it is computed.
        let nobodys = nobodys().unwrap();
        assert_eq!(check(&nobodys), Ok(()));
        let parsed = PasswordHash::new(&nobodys).unwrap();
        assert_eq!(parsed.hash.unwrap().len(), 32);
        assert!(!verify(b"", &nobodys) && !verify(b"secret", &nobodys));
    }

    #[test]
    fn passwords_and_hashes_that_cannot_be_used_are_told_apart() {
        // Goal: empty and huge passwords are refused; so is every hash that is not argon2id, or takes too much.
        assert_eq!(hash(b""), Err(HashError::Empty));
        assert_eq!(
            hash(&[b'x'; PASSWORD_BYTES_MAX + 1]),
            Err(HashError::TooLong(PASSWORD_BYTES_MAX + 1))
        );
        assert!(hash(&[b'x'; PASSWORD_BYTES_MAX]).is_ok());
        let salted = "$c2FsdHNhbHRzYWx0c2FsdA$c2FsdHNhbHRzYWx0c2FsdHNhbHRzYWx0c2FsdHNhbHQ";
        for (hash, wrong) in [
            ("secret".to_owned(), WrongHash::NotAHash),
            ("$argon2id$v=19$m=19456,t=2,p=1".to_owned(), WrongHash::NotAHash),
            (format!("$argon2i$v=19$m=19456,t=2,p=1{salted}"), WrongHash::Algorithm),
            (format!("$argon2id$v=16$m=19456,t=2,p=1{salted}"), WrongHash::Algorithm),
            ("$6$rounds=5000$salt$hash".to_owned(), WrongHash::NotAHash),
            (
                format!("$argon2id$v=19$m=4194304,t=2,p=1{salted}"),
                WrongHash::TooCostly,
            ),
            (format!("$argon2id$v=19$m=19456,t=99,p=1{salted}"), WrongHash::TooCostly),
        ] {
            assert_eq!(check(&hash), Err(wrong), "{hash}");
        }
    }
}
