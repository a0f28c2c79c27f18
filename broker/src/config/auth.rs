//! Section `[auth]`: how it is found out who clients are.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use access::{Anonymous, CertificateName, TokenKeyFiles, TokenRules};

use super::Config;

/// Section `[auth]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthConfig {
    /// The users and the hashes of their passwords.
    pub password_file: Option<PathBuf>,
    /// For how long a right password is remembered.
    pub remember: Duration,
    /// Passwords that are verified at a time.
    pub verifications_max: usize,
    /// Which name in a client certificate is the user.
    pub certificate: CertificateName,
    /// Section `[auth.jwt]`: where the keys of tokens are.
    pub token_keys: TokenKeyFiles,
    /// Section `[auth.jwt]`: what tokens must say.
    pub token_rules: TokenRules,
    /// How often the URL of keys is asked.
    pub jwks_refresh: Duration,
    /// Section `[auth.http]`: a service of the operator's own.
    pub http_url: Option<String>,
    /// How long its answer may take.
    pub http_timeout: Duration,
    /// For how long its consent is remembered.
    pub http_cache: Duration,
    /// Among clients with users, those of this machine need not have one.
    pub anonymous_on_loopback: bool,
}

impl Default for AuthConfig {
    fn default() -> Self {
        AuthConfig {
            password_file: None,
            remember: Duration::from_secs(300),
            verifications_max: 2,
            certificate: CertificateName::default(),
            token_keys: TokenKeyFiles::default(),
            token_rules: TokenRules::default(),
            jwks_refresh: Duration::from_secs(3600),
            http_url: None,
            http_timeout: Duration::from_secs(3),
            http_cache: Duration::from_secs(60),
            anonymous_on_loopback: false,
        }
    }
}

impl AuthConfig {
    /// Whether anything is configured that knows users.
    pub fn knows_users(&self) -> bool {
        self.password_file.is_some()
            || self.http_url.is_some()
            || self.token_keys.are_any()
            || self.certificate != CertificateName::Off
    }

    /// Whether all users are in a list, so that nobody else can come.
    pub fn lists_users(&self) -> bool {
        let others = AuthConfig {
            password_file: None,
            ..self.clone()
        };
        self.password_file.is_some() && !others.knows_users()
    }
}

impl Config {
    /// Which clients are served that do not say who they are; `None`: not one.
    pub fn anonymous(&self) -> Option<Anonymous> {
        let is_everywhere = self.listener.allow_anonymous;
        let is_served = is_everywhere || self.auth.anonymous_on_loopback || !self.auth.knows_users();
        is_served.then_some(Anonymous { is_everywhere })
    }

    /// Whether this address may be listened on: without authentication, anyone who reaches the broker can read every inbox.
    pub(super) fn may_listen_on(&self, address: IpAddr) -> bool {
        let served = self.anonymous();
        self.auth.knows_users() || served.is_some_and(|anonymous| anonymous.serves(address))
    }
}
