//! Who clients are, by section `[auth]`: the authenticators, made from files, and what of them is read again at SIGHUP.

use std::sync::Arc;

use access::{
    Anonymous, Authentication, Authenticator, Authenticators, CallOut, CallOutError, KeysError, Passwords,
    PasswordsError, Registered, Tokens,
};

use crate::config::Config;
use crate::reload::Reloading;

/// Why it cannot be found out who clients are.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticationError {
    /// The password file cannot be used.
    #[error(transparent)]
    Passwords(#[from] PasswordsError),
    /// The operator's service cannot be asked.
    #[error(transparent)]
    CallOut(#[from] CallOutError),
    /// The keys of tokens cannot be used.
    #[error(transparent)]
    Keys(#[from] KeysError),
}

/// Who clients are, and who can be one.
pub struct Known {
    /// Who is asked.
    pub authenticator: Arc<dyn Authenticator>,
    /// All who may have an inbox, where that is asked for.
    pub registered: Option<Registered>,
}

/// Makes what `config` asks for, and adds to `reloading` what can be read again. To be called within a runtime.
///
/// # Errors
/// See [`AuthenticationError`].
pub fn start(config: &Config, reloading: &mut Reloading) -> Result<Known, AuthenticationError> {
    if !config.auth.knows_users() {
        // Clients are taken at their word.
        let is_everywhere = config.listener.allow_anonymous;
        return Ok(Known {
            authenticator: Arc::new(Anonymous { is_everywhere }),
            registered: None,
        });
    }
    let passwords = load_passwords(config)?;
    if let Some(passwords) = passwords.clone() {
        reloading.add("password file", move || passwords.reload());
    }
    let tokens = load_tokens(config)?;
    if let Some(tokens) = tokens.clone() {
        let (every, published) = (config.auth.jwks_refresh, tokens.clone());
        tokio::spawn(async move { published.keep_fresh(every).await });
        reloading.add("keys of tokens", move || tokens.reload());
    }
    let call_out = call_out(config)?;
    if let Some(call_out) = call_out.clone() {
        reloading.add("answers of auth.http.url", move || {
            call_out.forget();
            Ok::<_, AuthenticationError>(())
        });
    }
    let registered = registered(config, passwords.clone());
    let authenticator = Arc::new(Authentication::new(Authenticators {
        anonymous: config.anonymous(),
        passwords,
        tokens,
        call_out,
        certificate: config.auth.certificate,
    }));
    Ok(Known {
        authenticator,
        registered,
    })
}

/// All who may have an inbox, where that is asked for: those that `passwords` lists.
fn registered(config: &Config, passwords: Option<Arc<Passwords>>) -> Option<Registered> {
    let listed = passwords.filter(|_| config.inbox.registered_only);
    listed.map(|passwords| Registered::new(passwords, config.anonymous().is_some()))
}

/// The same, from the password file alone.
pub(crate) fn load_registered(config: &Config) -> Result<Option<Registered>, PasswordsError> {
    match config.inbox.registered_only {
        true => Ok(registered(config, load_passwords(config)?)),
        false => Ok(None),
    }
}

/// Looks at what [`start`] would read.
///
/// # Errors
/// As [`start`].
pub fn check(config: &Config) -> Result<(), AuthenticationError> {
    load_passwords(config)?;
    load_tokens(config)?;
    call_out(config)?;
    Ok(())
}

fn load_passwords(config: &Config) -> Result<Option<Arc<Passwords>>, PasswordsError> {
    let auth = &config.auth;
    let Some(path) = &auth.password_file else {
        return Ok(None);
    };
    let passwords = Passwords::load(path, auth.verifications_max, auth.remember)?;
    Ok(Some(Arc::new(passwords)))
}

fn load_tokens(config: &Config) -> Result<Option<Arc<Tokens>>, AuthenticationError> {
    let auth = &config.auth;
    if !auth.token_keys.are_any() {
        return Ok(None);
    }
    let tokens = Tokens::load(auth.token_keys.clone(), auth.token_rules.clone())?;
    Ok(Some(Arc::new(tokens)))
}

fn call_out(config: &Config) -> Result<Option<Arc<CallOut>>, AuthenticationError> {
    let auth = &config.auth;
    let Some(url) = &auth.http_url else {
        return Ok(None);
    };
    let call_out = CallOut::new(url, auth.http_timeout, auth.http_cache)?;
    Ok(Some(Arc::new(call_out)))
}
