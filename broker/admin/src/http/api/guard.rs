//! Who may use the API.
//!
//! | Shown | Let in |
//! |---|---|
//! | the token of this run, or that of `http.token_file` | always |
//! | name and password, or a token, of a user with the role `ops` | where users are known |
//! | nothing | from this machine, where neither users nor a token file are known |
//!
//! Whoever shows something can be a program anywhere. Whoever shows nothing must not be a web page: browsers send requests for pages of anybody,
//! from this machine. So the request must be for a name of this machine, and not for one that somebody lets point to it (DNS rebinding). And
//! no page of another site is let in, whatever it shows (CSRF).

#[cfg(test)]
mod tests;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use access::{Credentials, Denied, Origin};
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, HOST, HeaderName, ORIGIN};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use inbox_types::ClientId;
use tokio::time::timeout;
use transport::{WebSocketRules, is_loopback, is_name};

use super::super::site::Site;
use super::super::token::Token;

/// The role of operators.
const OPS: &str = "ops";
/// How long it may take to find out who asks.
const PATIENCE: Duration = Duration::from_secs(10);
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What a request shows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'r> {
    pub(super) peer: IpAddr,
    pub(super) host: &'r str,
    pub(super) origin: Option<&'r str>,
    /// What the browser says of the page that asks.
    pub(super) fetch_site: Option<&'r str>,
    pub(super) authorization: Option<&'r str>,
}

/// Whom to let in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules<'s> {
    pub(super) own: &'s Token,
    pub(super) of_file: Option<&'s Token>,
    pub(super) knows_users: bool,
    pub(super) pages: &'s WebSocketRules,
}

/// Who is let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Who {
    /// Whoever can read the data directory.
    Owner,
    /// Whoever has the token of the operator.
    Token,
    /// A user with the role.
    User(Box<str>),
    /// Somebody on this machine.
    Local,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Who::Owner => f.write_str("a command on this machine"),
            Who::Token => f.write_str("the token of http.token_file"),
            Who::User(user) => write!(f, "the user {user}"),
            Who::Local => f.write_str("a program on this machine"),
        }
    }
}

/// What proves a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Proof {
    Password(Box<str>, Box<[u8]>),
    Token(Box<str>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    LetIn(Who),
    /// The authenticator knows.
    Prove(Proof),
    Refuse(NotAllowed),
}

/// Why somebody is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotAllowed {
    #[error("web pages of this origin may not use the API; list it in http.origins if they should")]
    Page,
    #[error(
        "show who you are: Authorization: Bearer with the token of http.token_file or of a user with the role ops, or Basic with name and password"
    )]
    NothingShown,
    #[error("this token, or this name and password, is not accepted")]
    Credentials,
    #[error("too many wrong passwords came before; try again later")]
    TooMany,
    #[error("who you are was not found out in time; try again")]
    Undecided,
    #[error("only users with the role ops may use the API")]
    NotOps,
    #[error("from other machines a token is needed: set http.token_file, or [auth], on the broker")]
    NotLocal,
    #[error("without a token the API answers only where it is called localhost, or by its address")]
    Name,
}

impl NotAllowed {
    /// One word for logs.
    pub(super) fn name(self) -> &'static str {
        match self {
            NotAllowed::Page => "origin",
            NotAllowed::NothingShown => "no-credentials",
            NotAllowed::Credentials => "credentials",
            NotAllowed::TooMany => "too-many-failures",
            NotAllowed::Undecided => "undecided",
            NotAllowed::NotOps => "role",
            NotAllowed::NotLocal => "not-local",
            NotAllowed::Name => "host",
        }
    }

    /// Whether other credentials would be.
    pub(super) fn is_about_credentials(self) -> bool {
        matches!(
            self,
            NotAllowed::NothingShown | NotAllowed::Credentials | NotAllowed::NotLocal
        )
    }
}

/// Whether a request is let in, as far as that can be told without asking anybody.
pub(super) fn judge(asked: Asked<'_>, rules: Rules<'_>) -> Verdict {
    let is_cross_site = asked
        .fetch_site
        .is_some_and(|site| site.eq_ignore_ascii_case("cross-site"));
    let is_let_in = |origin| rules.pages.let_in_pages_of(origin, asked.host, asked.peer);
    let page_is_let_in = asked.origin.map(is_let_in);
    if page_is_let_in == Some(false) || (is_cross_site && page_is_let_in.is_none()) {
        return Verdict::Refuse(NotAllowed::Page);
    }
    let Some(authorization) = asked.authorization else {
        return judge_unknown(asked, rules);
    };
    let (scheme, shown) = authorization.trim().split_once(' ').unwrap_or((authorization, ""));
    let shown = shown.trim();
    let proof = if scheme.eq_ignore_ascii_case("bearer") {
        if rules.own.is(shown) {
            return Verdict::LetIn(Who::Owner);
        }
        if rules.of_file.is_some_and(|token| token.is(shown)) {
            return Verdict::LetIn(Who::Token);
        }
        (!shown.is_empty()).then(|| Proof::Token(shown.into()))
    } else if scheme.eq_ignore_ascii_case("basic") {
        name_and_password(shown)
    } else {
        None
    };
    match proof.filter(|_| rules.knows_users) {
        Some(proof) => Verdict::Prove(proof),
        None => Verdict::Refuse(NotAllowed::Credentials),
    }
}

/// Whether somebody is let in who shows nothing.
fn judge_unknown(asked: Asked<'_>, rules: Rules<'_>) -> Verdict {
    if rules.knows_users || rules.of_file.is_some() {
        return Verdict::Refuse(NotAllowed::NothingShown);
    }
    if !is_loopback(asked.peer) {
        return Verdict::Refuse(NotAllowed::NotLocal);
    }
    match asked.host.is_empty() || is_name(asked.host) {
        true => Verdict::Refuse(NotAllowed::Name),
        false => Verdict::LetIn(Who::Local),
    }
}

fn name_and_password(shown: &str) -> Option<Proof> {
    let decoded = BASE64_STANDARD.decode(shown).ok()?;
    let at = decoded.iter().position(|byte| *byte == b':')?;
    let user = str::from_utf8(decoded.get(..at)?).ok()?;
    Some(Proof::Password(user.into(), decoded.get(at + 1..)?.into()))
}

/// Whether the request with these headers is let in.
pub(super) async fn allow(site: &Site, peer: SocketAddr, headers: &HeaderMap) -> Result<Who, NotAllowed> {
    let text = |name: &HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let asked = Asked {
        peer: peer.ip(),
        host: text(&HOST).unwrap_or_default(),
        origin: text(&ORIGIN),
        fetch_site: text(&SEC_FETCH_SITE),
        authorization: text(&AUTHORIZATION),
    };
    let of_file = site.token.load();
    let rules = Rules {
        own: &site.own_token,
        of_file: of_file.as_deref(),
        knows_users: site.settings.knows_users,
        pages: &site.pages,
    };
    match judge(asked, rules) {
        Verdict::LetIn(who) => Ok(who),
        Verdict::Refuse(why) => Err(why),
        Verdict::Prove(proof) => prove(site, peer, proof).await,
    }
}

/// Asks the authenticator, as if a client came under a client ID that the broker made up.
async fn prove(site: &Site, peer: SocketAddr, proof: Proof) -> Result<Who, NotAllowed> {
    let live = site.live().ok_or(NotAllowed::Undecided)?;
    let client_id =
        ClientId::new(&format!("http-{:016x}", rand::random::<u64>())).map_err(|_| NotAllowed::Undecided)?;
    let mut origin = Origin {
        listener: Some("http".into()),
        ..Origin::from(peer)
    };
    let (user, password) = match proof {
        Proof::Password(user, password) => (Some(user), Some(Bytes::from(password))),
        Proof::Token(token) => {
            origin.token = Some(token);
            (None, None)
        }
    };
    let credentials = Credentials {
        client_id,
        id_is_assigned: true,
        origin,
        user,
        password,
    };
    let decided = timeout(PATIENCE, live.shared.access.authenticate(credentials)).await;
    let identity = decided
        .map_err(|_elapsed| NotAllowed::Undecided)?
        .map_err(|denied| match denied {
            Denied::TooManyFailures => NotAllowed::TooMany,
            Denied::Undecided => NotAllowed::Undecided,
            _ => NotAllowed::Credentials,
        })?;
    // Whoever shows a token that nobody checks is anonymous.
    let user = identity.user().ok_or(NotAllowed::Credentials)?;
    match identity.roles().iter().any(|role| **role == *OPS) {
        true => Ok(Who::User(user.into())),
        false => Err(NotAllowed::NotOps),
    }
}
