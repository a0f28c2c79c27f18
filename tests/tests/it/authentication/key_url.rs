//! The keys of tokens come from a URL, where the issuer changes them now and then (docs/security.md, "Tokens").

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use inbox_tests::{Answer, Broker, Connect, DEADLINE, HttpService, Version, wait_within};
use ring::signature::{Ed25519KeyPair, KeyPair};
use rustix::process::Signal;

use super::{VERSIONS, answer};

/// One of the issuer's keys.
struct Key {
    name: &'static str,
    pair: Ed25519KeyPair,
}

impl Key {
    fn named(name: &'static str) -> Self {
        let mut seed = [7; 32];
        seed[..name.len()].copy_from_slice(name.as_bytes());
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
        Key { name, pair }
    }

    fn jwk(&self) -> String {
        let public = URL_SAFE_NO_PAD.encode(self.pair.public_key());
        format!(
            r#"{{"kty": "OKP", "crv": "Ed25519", "kid": "{}", "x": "{public}"}}"#,
            self.name
        )
    }

    /// A token for ann.
    fn token(&self) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"EdDSA","kid":"{}"}}"#, self.name));
        let claims = URL_SAFE_NO_PAD.encode(format!(r#"{{"sub":"ann","exp":{}}}"#, now + 600));
        let signature = URL_SAFE_NO_PAD.encode(self.pair.sign(format!("{header}.{claims}").as_bytes()));
        format!("{header}.{claims}.{signature}")
    }
}

fn set(keys: &[&Key]) -> Answer {
    let keys: Vec<String> = keys.iter().map(|key| key.jwk()).collect();
    Answer::json(&format!("{{\"keys\": [{}]}}", keys.join(", ")))
}

/// An issuer whose URL answers the first request with `first`, and each later one with `later`; and a broker that trusts it.
fn issuer(first: Answer, later: Answer) -> (HttpService, Broker) {
    let requests = AtomicUsize::new(0);
    let service = HttpService::start(move |_| match requests.fetch_add(1, Ordering::SeqCst) {
        0 => first.clone(),
        _ => later.clone(),
    });
    let config = format!(
        "[log]\nlevel = \"trace\"\n[auth.jwt]\njwks_url = \"{}\"\n",
        service.url("/jwks")
    );
    let broker = Broker::with_config(&config);
    (service, broker)
}

/// The answer to a client that shows a token that this key signed.
fn code(broker: &Broker, version: Version, key: &Key) -> u8 {
    answer(broker, &Connect::new(version, "ann").login("any", key.token()))
}

/// Waits until this is so. The URL is asked no sooner than 30 s after the last time, so more than one deadline may pass.
fn until(what: &str, is_so: impl Fn() -> bool) {
    wait_within(3 * DEADLINE, what, is_so);
}

/// Until the first key counts.
fn until_known(broker: &Broker, key: &Key) {
    until("the key at the URL is known", || code(broker, Version::V5, key) == 0);
}

#[test]
fn a_new_key_at_the_url_is_found_and_the_old_one_ends() {
    // Goal: a token with a key that is not known is refused and makes the broker look again; then it counts, and the key that is not there any more does not. A
    // flood of such tokens makes no flood of requests.
    let (old, new) = (Key::named("old"), Key::named("new"));
    let (service, broker) = issuer(set(&[&old]), set(&[&new]));
    until_known(&broker, &old);
    for _ in 0..50 {
        assert_eq!(VERSIONS.map(|(version, _)| code(&broker, version, &new)), [4, 0x86]);
    }
    assert_eq!(service.asked().len(), 1);
    until_known(&broker, &new);
    assert_eq!(VERSIONS.map(|(version, _)| code(&broker, version, &old)), [4, 0x86]);
    let asked = service.asked();
    assert!(asked.len() == 2 && asked.iter().all(|asked| asked.method == "GET" && asked.path == "/jwks"));
    assert!(!broker.stderr().contains("eyJ"), "no token is in the log");
}

#[test]
fn known_keys_stay_when_the_url_gives_no_good_answer() {
    // Goal: with a set that is too large, no JSON, no set, an error, a redirect, garbage and an issuer that is down, the log says what is wrong, and the keys that
    // were there before stay in force.
    let key = Arc::new(Key::named("key"));
    let huge = format!("{{\"keys\": [{}{}]}}", " ".repeat(256 * 1024), key.jwk());
    let cases = [
        (Answer::json(&huge), "larger than 262144 bytes"),
        (Answer::json("<html>"), "it is no JWKS"),
        (Answer::json(r#"{"keys": []}"#), "it has no key"),
        (Answer::Says("500 Oh", "text/plain", Vec::new()), "it answered 500"),
        (Answer::Elsewhere("/other".to_owned()), "it answered 302"),
        (Answer::Bytes(b"SSH-2.0-x\r\n".to_vec()), "does not speak HTTP"),
        (Answer::Nothing, "no answer in time"),
    ];
    // Each of them waits for the second request; together they wait once.
    thread::scope(|scope| {
        for (later, says) in cases {
            let key = key.clone();
            scope.spawn(move || {
                let (_service, broker) = issuer(set(&[&key]), later);
                stays(&broker, &key, says);
            });
        }
        let key = key.clone();
        scope.spawn(move || {
            let (mut service, broker) = issuer(set(&[&key]), set(&[&key]));
            until_known(&broker, &key);
            service.go_down();
            stays(&broker, &key, "cannot be reached");
        });
    });
}

/// The key counts before the log says this, and after it.
fn stays(broker: &Broker, key: &Key, says: &str) {
    until_known(broker, key);
    broker.signal(Signal::HUP);
    until(says, || broker.stderr().contains(says));
    assert_eq!(
        VERSIONS.map(|(version, _)| code(broker, version, key)),
        [0, 0],
        "{says}"
    );
}

#[test]
fn an_issuer_that_is_down_at_the_start_is_asked_again() {
    // Goal: without any key nobody gets in, with 0x86; when the issuer answers, clients do, without a restart or SIGHUP.
    let key = Key::named("key");
    let (_service, broker) = issuer(Answer::Bytes(Vec::new()), set(&[&key]));
    broker.wait_for_log("does not speak HTTP");
    assert_eq!(VERSIONS.map(|(version, _)| code(&broker, version, &key)), [4, 0x86]);
    until_known(&broker, &key);
}
