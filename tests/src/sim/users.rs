//! Users: whose clients there are, the tokens that they show, and who knows what a token says.

use std::sync::Arc;

use access::{Account, Authenticating, Authenticator, ClientIds, Credentials, Denied, Identity, Shown};

use super::clock::SimClock;

/// Who runs clients.
pub(super) const USERS: [&str; 3] = ["u0", "u1", "u2"];
/// The clients, and the users who run them.
pub(super) const CLIENTS: [(&str, usize); 6] = [("u0", 0), ("u0~d", 0), ("g2", 1), ("g3", 1), ("u1~d", 1), ("u2", 2)];
/// The client whose ID is nobody's own: the role `gate` lets users have it.
pub(super) const OF_GATE: usize = 3;
/// The client whose ID is nobody's own: tokens that list it let users have it.
pub(super) const LISTED: usize = 2;
/// The role that passes by lists.
const SERVICE: &str = "service";

/// What somebody shows to prove who it is. Nobody forges one here: signatures are no part of the simulation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    /// Of [`USERS`].
    pub(super) user: usize,
    /// It gives the role `service`.
    pub(super) is_service: bool,
    /// It gives the client ID of [`LISTED`], and no other.
    pub(super) lists: bool,
    /// In seconds since 1970; `None`: it does not end.
    pub(super) expires_at: Option<u64>,
}

/// Who a client is: its client ID and what it showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bearer {
    /// Of [`CLIENTS`].
    pub(super) client: usize,
    pub(super) token: Token,
}

impl Token {
    pub(super) fn text(self) -> String {
        let Token {
            user,
            is_service,
            lists,
            expires_at,
        } = self;
        format!(
            "{user} {} {} {}",
            u8::from(is_service),
            u8::from(lists),
            expires_at.unwrap_or(0)
        )
    }

    fn parse(text: &str) -> Option<Self> {
        let numbers: Option<Vec<u64>> = text.split(' ').map(|number| number.parse().ok()).collect();
        let &[user, is_service, lists, expires_at] = numbers?.as_slice() else {
            return None;
        };
        Some(Token {
            user: user as usize,
            is_service: is_service == 1,
            lists: lists == 1,
            expires_at: Some(expires_at).filter(|at| *at > 0),
        })
    }

    /// Whether it is over, by a wall clock in microseconds.
    pub(super) fn has_ended(self, wall: u64) -> bool {
        self.expires_at.is_some_and(|at| at * 1_000_000 <= wall)
    }
}

impl Bearer {
    pub(super) fn id(self) -> &'static str {
        CLIENTS[self.client].0
    }

    pub(super) fn user(self) -> &'static str {
        USERS[self.token.user]
    }

    /// The user property that tells of the user, where the client ID does not (contract rule 7).
    pub(super) fn told_user(self) -> Option<&'static str> {
        Some(self.user()).filter(|user| *user != self.id())
    }
}

/// Whose client this is, by its ID.
pub(super) fn party(client: usize) -> &'static str {
    let id = CLIENTS[client].0;
    id.split('~').next().unwrap_or(id)
}

/// Knows what tokens say. It stands for the broker's own authenticators, which ask clocks, files and services of the real world.
pub(super) struct Registrar(pub(super) Arc<SimClock>);

impl Registrar {
    fn account(&self, token: &str) -> Result<Account, Denied> {
        let token = Token::parse(token).ok_or(Denied::Credentials)?;
        if token.has_ended(self.0.wall()) {
            return Err(Denied::Credentials);
        }
        Ok(Account {
            user: USERS[token.user].into(),
            roles: token.is_service.then(|| SERVICE.into()).into_iter().collect(),
            client_ids: match token.lists {
                true => ClientIds::Listed(vec![CLIENTS[LISTED].0.into()]),
                false => ClientIds::Own,
            },
            shown: Shown::Token,
            expires_at: token.expires_at,
            ..Account::default()
        })
    }
}

impl Authenticator for Registrar {
    fn authenticate(&self, credentials: Credentials) -> Authenticating<'_> {
        let token = credentials.origin.token.as_deref().map(str::as_bytes);
        let token = token.or(credentials.password.as_deref()).unwrap_or_default();
        let account = self.account(str::from_utf8(token).unwrap_or_default());
        let identity = account.map(|account| Identity::of(credentials.client_id, Arc::new(account)));
        Box::pin(std::future::ready(identity))
    }

    fn takes_tokens(&self) -> bool {
        true
    }

    fn renew(&self, who: &Identity, token: &str) -> Result<Identity, Denied> {
        let account = self.account(token)?;
        Ok(Identity::of(who.client_id().clone(), Arc::new(account)))
    }
}
