use std::net::SocketAddr;

use bytes::Bytes;
use inbox_types::ClientId;

use super::*;
use crate::decision::{Access, Action};
use crate::passwords::edit_passwords;

const HERE: &str = "127.0.0.1:1";
const AWAY: &str = "192.0.2.1:1";

struct Client {
    from: &'static str,
    id: &'static str,
    user: Option<&'static str>,
    password: Option<&'static str>,
    id_is_assigned: bool,
}

impl Client {
    fn anonymous(from: &'static str, id: &'static str) -> Self {
        Client {
            from,
            id,
            user: None,
            password: None,
            id_is_assigned: false,
        }
    }

    fn of(user: &'static str, password: &'static str, id: &'static str) -> Self {
        Client {
            user: Some(user),
            password: Some(password),
            ..Client::anonymous(AWAY, id)
        }
    }

    fn from(self, from: &'static str) -> Self {
        Client { from, ..self }
    }
}

/// What a client is answered: whether it is who it says, and may use its client ID.
async fn connect(access: &Access, client: &Client) -> Result<Identity, Denied> {
    let credentials = Credentials {
        client_id: ClientId::new(client.id).unwrap(),
        id_is_assigned: client.id_is_assigned,
        origin: client.from.parse::<SocketAddr>().unwrap().into(),
        user: client.user.map(Box::from),
        password: client.password.map(|password| Bytes::from_static(password.as_bytes())),
    };
    let identity = access.authenticate(credentials).await?;
    access.decide(&identity, Action::Connect)?;
    Ok(identity)
}

/// A broker with the user alice, whose password is "secret".
fn access(anonymous: Option<Anonymous>) -> Access {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("users");
    edit_passwords(&path, "alice", Some(b"secret"), &["ops".into()]).unwrap();
    let passwords = Passwords::load(&path, 2, Duration::from_secs(300)).unwrap();
    let asked = Authenticators {
        anonymous,
        passwords: Some(Arc::new(passwords)),
        ..Authenticators::default()
    };
    Access::new(Arc::new(Authentication::new(asked)))
}

#[tokio::test]
async fn users_have_their_own_client_ids_alone() {
    // Goal: a user gets in with its password, and only under its own client IDs, or one that the broker made up.
    let access = access(None);
    let alice = connect(&access, &Client::of("alice", "secret", "alice~phone"))
        .await
        .unwrap();
    assert_eq!((alice.user(), alice.roles()), (Some("alice"), &[Box::from("ops")][..]));
    assert!(connect(&access, &Client::of("alice", "secret", "alice")).await.is_ok());
    for id in ["bob", "alice2", "auto-7", "anonymous"] {
        assert_eq!(
            connect(&access, &Client::of("alice", "secret", id)).await,
            Err(Denied::ClientId),
            "{id}"
        );
    }
    let assigned = Client {
        id_is_assigned: true,
        ..Client::of("alice", "secret", "auto-7")
    };
    assert_eq!(
        connect(&access, &assigned).await.unwrap().client_id().as_str(),
        "auto-7"
    );
}

#[tokio::test(start_paused = true)]
async fn who_shows_nothing_or_something_wrong_is_told_so() {
    // Goal: wrong passwords and unknown users are one refusal, no credentials are another.
    let access = access(None);
    for client in [
        Client::of("alice", "wrong", "alice"),
        Client::of("bob", "secret", "bob"),
        Client::of("alice", "", "alice"),
    ] {
        assert_eq!(connect(&access, &client).await, Err(Denied::Credentials));
    }
    let half = Client {
        password: None,
        ..Client::of("alice", "", "alice")
    };
    assert_eq!(connect(&access, &half).await, Err(Denied::Credentials));
    for from in [HERE, AWAY] {
        assert_eq!(
            connect(&access, &Client::anonymous(from, "x")).await,
            Err(Denied::NoCredentials)
        );
    }
}

#[tokio::test]
async fn anonymous_clients_have_client_ids_of_their_own() {
    // Goal: where users are known, an anonymous client cannot be one of them, known or not; it comes from where anonymous clients may.
    let here = access(Some(Anonymous { is_everywhere: false }));
    let everywhere = access(Some(Anonymous { is_everywhere: true }));
    for id in ["anonymous", "anonymous~sensor"] {
        assert!(connect(&here, &Client::anonymous(HERE, id)).await.is_ok(), "{id}");
        assert!(connect(&everywhere, &Client::anonymous(AWAY, id)).await.is_ok(), "{id}");
        assert_eq!(
            connect(&here, &Client::anonymous(AWAY, id)).await,
            Err(Denied::NoCredentials),
            "{id}"
        );
    }
    for id in ["alice", "alice~phone", "bob", "auto-7"] {
        assert_eq!(
            connect(&everywhere, &Client::anonymous(AWAY, id)).await,
            Err(Denied::UsersId),
            "{id}"
        );
    }
    let assigned = Client {
        id_is_assigned: true,
        ..Client::anonymous(AWAY, "auto-7")
    };
    assert!(connect(&everywhere, &assigned).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn guessing_is_slow_and_locks_nobody_out() {
    // Goal: after some failures a guess is answered late, or not looked at; the user gets in at once where it did before, with a password that is
    // remembered and with one that is not.
    let access = access(None);
    let alice = || Client::of("alice", "secret", "alice");
    connect(&access, &alice().from(HERE)).await.unwrap();
    let started = Instant::now();
    for _ in 0..20 {
        let answer = connect(&access, &Client::of("alice", "guess", "alice")).await;
        assert!(
            matches!(answer, Err(Denied::Credentials | Denied::TooManyFailures)),
            "{answer:?}"
        );
    }
    assert!(started.elapsed() > Duration::from_secs(20), "{:?}", started.elapsed());
    tokio::time::advance(Duration::from_secs(0)).await;
    let started = Instant::now();
    connect(&access, &alice().from(HERE)).await.unwrap();
    assert_eq!(started.elapsed(), Duration::ZERO, "nothing was waited for");
}

#[tokio::test]
async fn five_thousand_users_who_are_remembered_need_no_verification() {
    // Goal: a reconnect storm of known clients is answered from memory: each user's password is verified once, and with every verification taken, all of
    // them get in again, while a wrong password has to wait for one.
    const USERS: usize = 5000;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("users");
    let hash = cheap_hash(b"secret");
    let line = |i| format!("user{i}:{hash}\n");
    std::fs::write(&path, (0..USERS).map(line).collect::<String>()).unwrap();
    let passwords = Arc::new(Passwords::load(&path, 1, Duration::from_secs(300)).unwrap());
    let asked = Authenticators {
        passwords: Some(passwords.clone()),
        ..Authenticators::default()
    };
    let access = Access::new(Arc::new(Authentication::new(asked)));
    let come = async |i: usize, password: &[u8]| {
        let user = format!("user{i}");
        let credentials = Credentials {
            client_id: ClientId::new(&user).unwrap(),
            id_is_assigned: false,
            origin: AWAY.parse::<SocketAddr>().unwrap().into(),
            user: Some(user.into()),
            password: Some(bytes::Bytes::copy_from_slice(password)),
        };
        access.authenticate(credentials).await.map(drop)
    };
    for i in 0..USERS {
        come(i, b"secret").await.unwrap();
    }
    let _all_taken = passwords.take_all_verifications();
    for i in 0..USERS {
        come(i, b"secret").await.unwrap();
    }
    let guess = tokio::time::timeout(Duration::from_millis(1), come(0, b"guess"));
    assert!(guess.await.is_err(), "a guess is not answered without a verification");
}

/// A hash that costs as little as there is.
fn cheap_hash(password: &[u8]) -> String {
    use argon2::password_hash::{PasswordHasher, SaltString};

    let params = argon2::Params::new(8, 1, 1, None).unwrap();
    let argon2 = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
    let salt = SaltString::encode_b64(b"a salt of tests").unwrap();
    argon2.hash_password(password, &salt).unwrap().to_string()
}

#[tokio::test]
async fn a_certificate_names_its_user() {
    // Goal: the name that was chosen is the user, under its own client IDs; a certificate that was not asked for, or has no such name, is nobody.
    let ask = async |which, certificate: Option<Certificate>, user: Option<&str>, id: &str| {
        let asked = Authenticators {
            certificate: which,
            ..Authenticators::default()
        };
        let access = Access::new(Arc::new(Authentication::new(asked)));
        let mut origin = crate::origin::Origin::from(AWAY.parse::<SocketAddr>().unwrap());
        origin.certificate = certificate.map(Arc::new);
        let credentials = Credentials {
            client_id: ClientId::new(id).unwrap(),
            id_is_assigned: false,
            origin,
            user: user.map(Box::from),
            password: None,
        };
        let identity = access.authenticate(credentials).await?;
        access
            .decide(&identity, Action::Connect)
            .map(|()| identity.user().map(str::to_owned))
    };
    let certificate = || {
        Some(Certificate {
            common_name: Some("alice".into()),
            alternative_names: vec!["meter-7.example".into(), "other".into()],
        })
    };
    let (common, alternative) = (CertificateName::CommonName, CertificateName::AlternativeName);
    assert_eq!(
        ask(common, certificate(), None, "alice~phone").await,
        Ok(Some("alice".to_owned()))
    );
    assert_eq!(
        ask(common, certificate(), Some("alice"), "alice").await,
        Ok(Some("alice".to_owned()))
    );
    let meter = "meter-7.example";
    assert_eq!(
        ask(alternative, certificate(), None, meter).await,
        Ok(Some(meter.to_owned()))
    );
    assert_eq!(ask(common, certificate(), None, "bob").await, Err(Denied::ClientId));
    assert_eq!(
        ask(common, certificate(), Some("bob"), "bob").await,
        Err(Denied::Credentials)
    );
    assert_eq!(
        ask(common, Some(Certificate::default()), None, "alice").await,
        Err(Denied::Certificate)
    );
    assert_eq!(ask(common, None, None, "alice").await, Err(Denied::NoCredentials));
    assert_eq!(
        ask(CertificateName::Off, certificate(), None, "alice").await,
        Err(Denied::NoCredentials)
    );
}
