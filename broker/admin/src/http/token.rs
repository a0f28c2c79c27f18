//! Tokens that let programs use the API.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use inbox_types::hexadecimal;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};

/// Whoever can choose a shorter one can guess it.
const CHARS_MIN: usize = 16;
const FILE_BYTES_MAX: u64 = 4096;
/// Random bytes of a token that the broker makes.
const RANDOM_BYTES: usize = 32;

/// A secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be read.
    #[error("the token of the API cannot be read from {} (http.token_file): {why}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        why: io::Error,
    },
    /// What it holds is no token.
    #[error(
        "{} (http.token_file) must hold one line of at least {CHARS_MIN} visible characters, such as `openssl rand -hex 32` prints",
        path.display()
    )]
    NoToken {
        /// The file.
        path: PathBuf,
    },
    /// The system gives no random numbers.
    #[error("the system gives no random numbers for the token of this run")]
    NoRandomness,
}

impl fmt::Debug for Token {
    /// Without the token, so that no log record can hold it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl Token {
    /// A new one.
    ///
    /// # Errors
    /// See [`TokenError::NoRandomness`].
    pub fn random() -> Result<Self, TokenError> {
        let mut bytes = [0; RANDOM_BYTES];
        SystemRandom::new()
            .fill(&mut bytes)
            .map_err(|_| TokenError::NoRandomness)?;
        Ok(Token(hexadecimal(&bytes)))
    }

    /// The one in this file.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub fn load(path: &Path) -> Result<Self, TokenError> {
        let unreadable = |why| TokenError::Unreadable {
            path: path.to_owned(),
            why,
        };
        let no_token = || TokenError::NoToken { path: path.to_owned() };
        if fs::metadata(path).map_err(unreadable)?.len() > FILE_BYTES_MAX {
            return Err(no_token());
        }
        let text = fs::read_to_string(path).map_err(unreadable)?;
        let token = text.trim();
        match token.len() >= CHARS_MIN && token.bytes().all(|byte| byte.is_ascii_graphic()) {
            true => Ok(Token(token.to_owned())),
            false => Err(no_token()),
        }
    }

    /// The secret.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }

    /// A token as it was written down.
    pub(super) fn of(text: &str) -> Self {
        Token(text.to_owned())
    }

    /// Whether `shown` is it. How long that takes tells nothing of the token: digests are compared.
    pub(super) fn is(&self, shown: &str) -> bool {
        digest(&SHA256, self.0.as_bytes()).as_ref() == digest(&SHA256, shown.as_bytes()).as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_file_holds_one_line_that_cannot_be_guessed() {
        // Goal: a file with a line break at its end is taken; short ones, several words and long files are not; a token is never shown.
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        fs::write(&path, "0123456789abcdef\n").unwrap();
        let token = Token::load(&path).unwrap();
        assert!(token.is("0123456789abcdef") && !token.is("0123456789abcdeg") && !token.is(""));
        assert!(!format!("{token:?}").contains("0123"));
        for bad in ["", "short", "two words of a token", &"x".repeat(5000)] {
            fs::write(&path, bad).unwrap();
            assert!(matches!(Token::load(&path), Err(TokenError::NoToken { .. })), "{bad}");
        }
        let missing = Token::load(&directory.path().join("none")).unwrap_err().to_string();
        assert!(missing.contains("http.token_file"), "{missing}");
        assert_ne!(Token::random().unwrap(), Token::random().unwrap());
    }
}
