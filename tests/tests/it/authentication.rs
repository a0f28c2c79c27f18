//! Who clients are, from outside: the password file, its command, and what is answered (docs/security.md).

mod call_out;
mod key_url;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use inbox_tests::tools::{mosquitto_pub, mosquitto_sub, mosquitto_sub_output};
use inbox_tests::{
    Broker, Connect, Packet, Props, RawClient, Version, Will, inboxd_command, packet, run_fed, run_inboxd,
};
use ring::hmac;
use rustix::process::Signal;

const VERSIONS: [(Version, &str); 2] = [(Version::V311, "mqttv311"), (Version::V5, "mqttv5")];

/// `inboxd passwd FILE USER …` with this on its standard input.
pub(crate) fn passwd(file: &Path, args: &[&str], piped: &str) -> Output {
    let mut command = inboxd_command();
    run_fed(command.arg("passwd").arg(file).args(args), piped.as_bytes())
}

/// A broker whose users are alice and bob, each with the password "NAME's".
fn broker(directory: &Path) -> Broker {
    let file = directory.join("users");
    for user in ["alice", "bob"] {
        assert!(passwd(&file, &[user], &format!("{user}'s\n")).status.success());
    }
    Broker::with_config(&format!("[auth]\npassword_file = {file:?}\n"))
}

/// The code in CONNACK.
pub(crate) fn answer(broker: &Broker, connect: &Connect) -> u8 {
    let mut client = RawClient::open(broker, connect.version);
    client.send(&connect.encode());
    client.connack().code
}

#[test]
fn mosquitto_sends_mail_with_user_name_and_password() {
    // Goal: stock tools log in with -u and -P in both versions, mail goes from user to user, and a wrong password is refused.
    let directory = tempfile::tempdir().unwrap();
    let broker = broker(directory.path());
    for (_, version) in VERSIONS {
        let alice = ["-V", version, "-i", "alice~phone", "-u", "alice", "-P", "alice's"];
        mosquitto_pub(
            &broker,
            &[&alice[..], &["-q", "1", "-t", "bob", "-m", version]].concat(),
        );
        let bob = [
            "-V", version, "-i", "bob", "-u", "bob", "-P", "bob's", "-q", "1", "-t", "bob", "-C", "1",
        ];
        assert_eq!(mosquitto_sub(&broker, &bob), [version]);
        let wrong = mosquitto_sub_output(
            &broker,
            &[
                "-V", version, "-i", "bob", "-u", "bob", "-P", "alice's", "-t", "bob", "-C", "1",
            ],
        );
        assert!(!wrong.status.success());
    }
}

#[test]
fn every_way_to_connect_has_its_answer() {
    // Goal: the table of docs/security.md, in both versions: who is let in, and with which code the others are refused.
    let directory = tempfile::tempdir().unwrap();
    let broker = broker(directory.path());
    for (version, _) in VERSIONS {
        let [credentials, authorized] = match version {
            Version::V311 => [4, 5],
            Version::V5 => [0x86, 0x87],
        };
        let huge = "x".repeat(60_000);
        for (id, user, password, code) in [
            ("alice", "alice", "alice's", 0),
            ("alice~phone", "alice", "alice's", 0),
            ("", "alice", "alice's", 0),
            ("alice", "alice", "bob's", credentials),
            ("alice", "alice", "", credentials),
            ("alice", "alice", &huge, credentials),
            ("carol", "carol", "alice's", credentials),
            ("bob", "alice", "alice's", authorized),
            ("bob~phone", "alice", "alice's", authorized),
            ("alice2", "alice", "alice's", authorized),
        ] {
            let connect = Connect::new(version, id).login(user, password);
            assert_eq!(answer(&broker, &connect), code, "{version:?}: {id} of {user}");
        }
        assert_eq!(answer(&broker, &Connect::new(version, "alice")), authorized);
        assert_eq!(answer(&broker, &Connect::new(version, "x")), authorized);
    }
    broker.wait_for_log("connect_credentials");
    let log = broker.stderr();
    assert!(
        !log.contains("alice's") && !log.contains("xxxx"),
        "no password is in the log"
    );
}

#[test]
fn a_reload_changes_who_gets_in() {
    // Goal: SIGHUP reads the password file again; a file with a mistake changes nothing, and the log names the line.
    let directory = tempfile::tempdir().unwrap();
    let broker = broker(directory.path());
    let file = directory.path().join("users");
    let login = |user: &str, password: &str| answer(&broker, &Connect::new(Version::V5, user).login(user, password));
    assert_eq!([login("alice", "alice's"), login("carol", "carol's")], [0, 0x86]);
    assert!(passwd(&file, &["carol", "--role", "ops"], "carol's").status.success());
    assert!(passwd(&file, &["alice"], "new").status.success());
    assert!(passwd(&file, &["bob", "--delete"], "").status.success());
    broker.signal(Signal::HUP);
    broker.wait_for_log("the configuration was reloaded");
    let codes = [
        ("carol", "carol's"),
        ("alice", "new"),
        ("alice", "alice's"),
        ("bob", "bob's"),
    ];
    assert_eq!(codes.map(|(user, password)| login(user, password)), [0, 0, 0x86, 0x86]);
    fs::write(&file, "# people\nalice:broken\n").unwrap();
    broker.signal(Signal::HUP);
    broker.wait_for_log("line 2");
    assert_eq!(login("alice", "new"), 0);
}

#[test]
fn bad_password_files_keep_the_broker_from_starting() {
    // Goal: a file that is missing, or has a bad line, is exit code 78 and a sentence; one that is open to others is so for --strict alone.
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("users");
    let config = directory.path().join("inboxd.toml");
    let data = directory.path().join("data");
    fs::write(
        &config,
        format!("data_dir = {data:?}\n[auth]\npassword_file = {file:?}\n"),
    )
    .unwrap();
    let check = |more: &[&str]| {
        let output = run_inboxd(&[&["check-config", "--config", config.to_str().unwrap()], more].concat());
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, said) = check(&[]);
    assert!(code == Some(78) && said.contains("password file"), "{said}");
    for (text, says) in [("alice\n", "line 1"), ("\nalice:secret\n", "line 2")] {
        fs::write(&file, text).unwrap();
        let (code, said) = check(&[]);
        assert!(
            code == Some(78) && said.contains(says) && !said.contains("secret"),
            "{said}"
        );
    }
    fs::remove_file(&file).unwrap();
    assert!(passwd(&file, &["alice"], "secret").status.success());
    assert_eq!(check(&["--strict"]).0, Some(0));
    fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
    let (code, said) = check(&["--strict"]);
    assert!(code == Some(78) && said.contains("chmod 600"), "{said}");
    let (code, said) = check(&[]);
    assert!(code == Some(0) && said.contains("chmod 600"), "{said}");
}

#[test]
fn passwd_says_what_it_did_or_why_not() {
    // Goal: added, changed, deleted; an empty or huge password, a bad name, a user who is not there: exit code 1 and a sentence.
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("users");
    let huge = "x".repeat(5000);
    for (args, piped, code, says) in [
        (&["alice"][..], "secret\n", 0, "added user alice"),
        (&["alice"], "secret\n", 0, "changed user alice"),
        (&["alice"], "\n", 1, "empty"),
        (&["alice"], &huge, 1, "4096"),
        (&["alice"], "", 1, "no password"),
        (&["al~ice"], "secret\n", 1, "user name"),
        (&["alice", "--role", "a b"], "secret\n", 1, "role"),
        (&["alice", "--delete"], "", 0, "deleted user alice"),
        (&["alice", "--delete"], "", 1, "no user"),
    ] {
        let output = passwd(&file, args, piped);
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        assert!(said.contains(says) && !said.contains("secret"), "{args:?}: {said}");
    }
}

#[test]
fn anonymous_clients_and_users_are_kept_apart() {
    // Goal: with users known, a client that shows nothing gets in only where that is said, and never as somebody who could be a user.
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("users");
    assert!(passwd(&file, &["alice"], "secret").status.success());
    for allow in [
        "[mqtt]\nallow_anonymous = true\n[auth]",
        "[auth]\nanonymous_on_loopback = true",
    ] {
        let broker = Broker::with_config(&format!("{allow}\npassword_file = {file:?}\n"));
        let answer = |id: &str| answer(&broker, &Connect::new(Version::V5, id));
        assert_eq!(["anonymous", "anonymous~sensor", ""].map(answer), [0, 0, 0], "{allow}");
        assert_eq!(["alice", "alice~phone", "bob"].map(answer), [0x87; 3], "{allow}");
    }
}

/// A token of the test's own issuer, as `secret` signs it.
pub(crate) fn token(secret: &[u8], user: &str, lasts_seconds: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    let exp = now + lasts_seconds;
    signed_token(secret, &format!(r#"{{"sub":"{user}","aud":"inboxd","exp":{exp}}}"#))
}

/// A token with these claims, in JSON.
pub(crate) fn signed_token(secret: &[u8], claims: &str) -> String {
    let base64 = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let header = base64(br#"{"alg":"HS256","typ":"JWT"}"#);
    let claims = base64(claims.as_bytes());
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let signature = hmac::sign(&key, format!("{header}.{claims}").as_bytes());
    format!("{header}.{claims}.{}", base64(signature.as_ref()))
}

pub(crate) const SECRET: &[u8] = b"a secret that is long enough for HS256";

/// A broker that takes tokens.
fn broker_with_tokens(directory: &Path) -> Broker {
    let file = directory.join("secret");
    fs::write(&file, SECRET).unwrap();
    Broker::with_config(&format!(
        "[auth.jwt]\nsecret_file = {file:?}\naudience = \"inboxd\"\nleeway = \"0s\"\n"
    ))
}

#[test]
fn a_token_in_the_password_field_says_who_a_client_is() {
    // Goal: stock tools log in with a token in both versions; an expired one, one of another key, and another's client ID are refused.
    let directory = tempfile::tempdir().unwrap();
    let broker = broker_with_tokens(directory.path());
    for (version, name) in VERSIONS {
        let good = token(SECRET, "alice", 60);
        mosquitto_pub(
            &broker,
            &[
                "-V", name, "-i", "alice~x", "-u", "any", "-P", &good, "-q", "1", "-t", "bob", "-m", "x",
            ],
        );
        let [credentials, authorized] = match version {
            Version::V311 => [4, 5],
            Version::V5 => [0x86, 0x87],
        };
        let other = token(b"another secret that is long enough for HS256", "alice", 60);
        for (id, token, code) in [
            ("alice", &good, 0),
            ("bob", &good, authorized),
            ("alice", &token(SECRET, "alice", -1), credentials),
            ("alice", &other, credentials),
        ] {
            let connect = Connect::new(version, id).login("any", token);
            assert_eq!(answer(&broker, &connect), code, "{version:?}: {id}");
        }
    }
    assert!(!broker.stderr().contains("eyJ"), "no token is in the log");
}

/// CONNECT with the authentication method "token".
pub(crate) fn connect_by_token(id: &str, token: &str) -> Connect {
    let props = Props::new().bytes(AUTHENTICATION_METHOD, "token");
    Connect::new(Version::V5, id).props(props.bytes(AUTHENTICATION_DATA, token))
}

const AUTHENTICATION_METHOD: u8 = 0x15;
const AUTHENTICATION_DATA: u8 = 0x16;

/// AUTH with this reason code, method and token.
pub(crate) fn auth(reason: u8, method: &str, token: &str) -> Vec<u8> {
    let props = Props::new().bytes(AUTHENTICATION_METHOD, method);
    let mut bytes = vec![reason];
    bytes.extend(props.bytes(AUTHENTICATION_DATA, token).encode());
    packet(0xF0, &bytes)
}

#[test]
fn a_connection_ends_when_its_token_does() {
    // Goal: MQTT 5 clients are told 0xA0, 3.1.1 clients are closed; the will is published, for the client did not say goodbye.
    let directory = tempfile::tempdir().unwrap();
    let broker = broker_with_tokens(directory.path());
    let mut bob = RawClient::connect(
        &broker,
        &Connect::new(Version::V5, "bob").login("any", token(SECRET, "bob", 60)),
    )
    .0;
    assert_eq!(bob.subscribe("last/words", 0).codes, [0]);
    for (version, _) in VERSIONS {
        let will = Will::new("last/words", "gone");
        let connect = Connect::new(version, "alice")
            .login("any", token(SECRET, "alice", 2))
            .will(will);
        let mut alice = RawClient::connect(&broker, &connect).0;
        match (version, alice.next_or_close()) {
            (Version::V311, None) => {}
            (Version::V5, Some(Packet::Disconnect(code, _))) => assert_eq!(code, 0xA0),
            other => panic!("{other:?}"),
        }
        let Packet::Publish(will) = bob.next() else {
            panic!("the will comes")
        };
        assert_eq!(will.payload, b"gone");
    }
}

#[test]
fn a_fresh_token_keeps_a_connection() {
    // Goal: MQTT 5, section 4.12.1: AUTH 0x19 with a fresh token is answered, and the connection outlives the old one.
    let directory = tempfile::tempdir().unwrap();
    let broker = broker_with_tokens(directory.path());
    let mut short = RawClient::connect(&broker, &connect_by_token("alice~short", &token(SECRET, "alice", 3))).0;
    let mut long = RawClient::connect(&broker, &connect_by_token("alice~long", &token(SECRET, "alice", 3))).0;
    long.send(&auth(0x19, "token", &token(SECRET, "alice", 60)));
    let Packet::Auth(code, props) = long.next() else {
        panic!("AUTH is answered")
    };
    assert_eq!((code, props.text(AUTHENTICATION_METHOD)), (0, Some("token")));
    let Packet::Disconnect(reason, _) = short.next() else {
        panic!("the token of that one ends")
    };
    assert_eq!(reason, 0xA0);
    long.publish("alice~short", "still here", 1);
}

#[test]
fn an_auth_that_is_no_renewal_ends_the_connection() {
    // Goal: each wrong AUTH has its reason code: another user, a bad token, another method or step, and AUTH where CONNECT named no method.
    let directory = tempfile::tempdir().unwrap();
    let broker = broker_with_tokens(directory.path());
    let (alice, bob) = (token(SECRET, "alice", 60), token(SECRET, "bob", 60));
    let login = Connect::new(Version::V5, "alice").login("any", &alice);
    for (connect, auth, code) in [
        (connect_by_token("alice", &alice), auth(0x19, "token", &bob), 0x87),
        (connect_by_token("alice", &alice), auth(0x19, "token", "garbage"), 0x87),
        (
            connect_by_token("alice", &alice),
            auth(0x19, "token", &token(SECRET, "alice", -1)),
            0x87,
        ),
        (connect_by_token("alice", &alice), auth(0x19, "other", &alice), 0x82),
        (connect_by_token("alice", &alice), auth(0x18, "token", &alice), 0x82),
        (login, auth(0x19, "token", &alice), 0x82),
    ] {
        let mut client = RawClient::connect(&broker, &connect).0;
        client.send(&auth);
        let Packet::Disconnect(reason, _) = client.next() else {
            panic!("the connection ends")
        };
        assert_eq!(reason, code);
    }
    let unknown = Props::new().bytes(AUTHENTICATION_METHOD, "SCRAM-SHA-1");
    assert_eq!(
        answer(&broker, &Connect::new(Version::V5, "alice").props(unknown)),
        0x8C
    );
    assert_eq!(answer(&broker, &connect_by_token("alice", "garbage")), 0x86);
    assert_eq!(answer(&broker, &connect_by_token("bob", &alice)), 0x87);
}
