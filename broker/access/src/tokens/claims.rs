//! What a token says, once its signature is right.

use std::time::Duration;

use serde_json::{Map, Value};

use super::fault::TokenFault;
use crate::client_ids::{ClientIds, is_user_name};
use crate::identity::{Account, Shown};

pub(crate) type Claims = Map<String, Value>;

/// Roles, and patterns of client IDs, that one token may have.
const LIST_MAX: usize = 64;
/// The bytes of each of them.
const LISTED_BYTES_MAX: usize = 1024;

/// What a token must say, and where it says who its bearer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRules {
    /// The issuer (`iss`); `None`: any.
    pub issuer: Option<String>,
    /// The audience (`aud`), or one of them; `None`: any.
    pub audience: Option<String>,
    /// How much clocks may differ.
    pub leeway: Duration,
    /// The claim that names the user.
    pub user_claim: String,
    /// The claim that lists the client IDs of the user; `None`: those that begin with its name.
    pub client_claim: Option<String>,
    /// The claim that lists the roles of the user.
    pub roles_claim: String,
}

impl Default for TokenRules {
    fn default() -> Self {
        TokenRules {
            issuer: None,
            audience: None,
            leeway: Duration::from_secs(10),
            user_claim: "sub".to_owned(),
            client_claim: None,
            roles_claim: "roles".to_owned(),
        }
    }
}

impl TokenRules {
    /// Whose token this is. `now` is in seconds since 1970 (UTC).
    pub(super) fn account(&self, claims: &Claims, now: u64) -> Result<Account, TokenFault> {
        let leeway = self.leeway.as_secs();
        let expires = seconds(claims.get("exp").ok_or(TokenFault::NoExpiry)?).ok_or(TokenFault::NoExpiry)?;
        let expires_at = expires.saturating_add(leeway);
        if expires_at <= now {
            return Err(TokenFault::Expired);
        }
        if let Some(not_before) = claims.get("nbf") {
            let not_before = seconds(not_before).ok_or(TokenFault::TooEarly)?;
            if not_before > now.saturating_add(leeway) {
                return Err(TokenFault::TooEarly);
            }
        }
        if !is_one_of(claims.get("aud"), self.audience.as_deref()) {
            return Err(TokenFault::Audience);
        }
        let issuer = claims.get("iss").and_then(Value::as_str);
        if self.issuer.is_some() && issuer != self.issuer.as_deref() {
            return Err(TokenFault::Issuer);
        }
        let user = claims.get(&self.user_claim).and_then(Value::as_str);
        let user = user.filter(|name| is_user_name(name)).ok_or(TokenFault::User)?;
        let client_ids = match self.client_claim.as_ref().and_then(|claim| claims.get(claim)) {
            Some(ids) => ClientIds::Listed(texts(ids)?),
            None => ClientIds::Own,
        };
        let roles = claims.get(&self.roles_claim).map(texts).transpose()?;
        Ok(Account {
            user: user.into(),
            roles: roles.unwrap_or_default(),
            client_ids,
            shown: Shown::Token,
            expires_at: Some(expires_at),
            ..Account::default()
        })
    }
}

/// A NumericDate (RFC 7519, section 2), which may have a fraction.
fn seconds(value: &Value) -> Option<u64> {
    let float = || value.as_f64().filter(|seconds| (0.0..1e15).contains(seconds));
    value.as_u64().or_else(|| float().map(|seconds| seconds as u64))
}

fn is_one_of(audience: Option<&Value>, wanted: Option<&str>) -> bool {
    let Some(wanted) = wanted else { return true };
    match audience {
        Some(Value::Array(all)) => all.iter().any(|one| one.as_str() == Some(wanted)),
        Some(one) => one.as_str() == Some(wanted),
        None => false,
    }
}

/// A list of texts, or texts with spaces between them, as OAuth has them.
fn texts(value: &Value) -> Result<Vec<Box<str>>, TokenFault> {
    let texts: Option<Vec<&str>> = match value {
        Value::Null => Some(Vec::new()),
        Value::String(text) => Some(text.split_whitespace().collect()),
        Value::Array(all) => all.iter().map(Value::as_str).collect(),
        _ => None,
    };
    let texts = texts.filter(|texts| texts.len() <= LIST_MAX).ok_or(TokenFault::Lists)?;
    match texts
        .iter()
        .any(|text| text.is_empty() || text.len() > LISTED_BYTES_MAX)
    {
        true => Err(TokenFault::Lists),
        false => Ok(texts.into_iter().map(Box::from).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: u64 = 1_000_000;

    fn rules() -> TokenRules {
        TokenRules {
            issuer: Some("https://id.example".to_owned()),
            audience: Some("inboxd".to_owned()),
            client_claim: Some("clients".to_owned()),
            ..TokenRules::default()
        }
    }

    fn claims(changed: &[(&str, Value)]) -> Claims {
        let mut claims = Claims::new();
        for (name, value) in [
            ("iss", json!("https://id.example")),
            ("aud", json!(["other", "inboxd"])),
            ("sub", json!("alice")),
            ("exp", json!(NOW + 60)),
        ] {
            claims.insert(name.to_owned(), value);
        }
        for (name, value) in changed {
            match value.is_null() {
                true => claims.remove(*name),
                false => claims.insert((*name).to_owned(), value.clone()),
            };
        }
        claims
    }

    #[test]
    fn a_token_says_who_its_bearer_is() {
        // Goal: user, roles in both forms, client IDs and expiry are what the claims say.
        let more = [("roles", json!("ops service")), ("clients", json!(["alice-*"]))];
        let account = rules().account(&claims(&more), NOW).unwrap();
        assert_eq!((&*account.user, account.expires_at), ("alice", Some(NOW + 70)));
        assert_eq!(account.roles, ["ops", "service"].map(Box::from));
        assert_eq!(account.client_ids, ClientIds::Listed(vec!["alice-*".into()]));
        let account = rules()
            .account(&claims(&[("roles", json!(["ops"])), ("exp", json!(1_000_060.9))]), NOW)
            .unwrap();
        assert_eq!((account.roles.len(), account.client_ids), (1, ClientIds::Own));
        assert_eq!(account.expires_at, Some(NOW + 70));
    }

    #[test]
    fn what_a_token_lacks_is_told() {
        // Goal: each claim that is missing or wrong has its own answer; clocks may differ by the leeway and no more.
        let none = Value::Null;
        for (name, value, fault) in [
            ("exp", none.clone(), TokenFault::NoExpiry),
            ("exp", json!("soon"), TokenFault::NoExpiry),
            ("exp", json!(-5), TokenFault::NoExpiry),
            ("exp", json!(NOW - 10), TokenFault::Expired),
            ("nbf", json!(NOW + 11), TokenFault::TooEarly),
            ("nbf", json!("later"), TokenFault::TooEarly),
            ("aud", none.clone(), TokenFault::Audience),
            ("aud", json!("other"), TokenFault::Audience),
            ("iss", none.clone(), TokenFault::Issuer),
            ("iss", json!("https://evil.example"), TokenFault::Issuer),
            ("sub", none, TokenFault::User),
            ("sub", json!("alice~phone"), TokenFault::User),
            ("sub", json!(7), TokenFault::User),
            ("roles", json!({}), TokenFault::Lists),
            ("roles", json!([7]), TokenFault::Lists),
            ("clients", json!(vec!["x"; LIST_MAX + 1]), TokenFault::Lists),
            ("clients", json!([""]), TokenFault::Lists),
        ] {
            let changed = [(name, value)];
            assert_eq!(rules().account(&claims(&changed), NOW), Err(fault), "{changed:?}");
        }
        for within in [("exp", json!(NOW - 9)), ("nbf", json!(NOW + 10))] {
            assert!(rules().account(&claims(&[within]), NOW).is_ok());
        }
    }
}
