use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::json;

use super::*;

const NOW: u64 = 1_000_000;
const SECRET: &[u8] = b"a secret that is long enough for HS256";

/// Algorithm, private key and public key of the issuer.
fn issuer(algorithm: Algorithm) -> (EncodingKey, &'static [u8]) {
    match algorithm {
        Algorithm::RS256 => (
            EncodingKey::from_rsa_pem(include_bytes!("testdata/rsa.pem")).unwrap(),
            include_bytes!("testdata/rsa.pub.pem"),
        ),
        Algorithm::ES256 => (
            EncodingKey::from_ec_pem(include_bytes!("testdata/ec.pem")).unwrap(),
            include_bytes!("testdata/ec.pub.pem"),
        ),
        Algorithm::EdDSA => (
            EncodingKey::from_ed_pem(include_bytes!("testdata/ed.pem")).unwrap(),
            include_bytes!("testdata/ed.pub.pem"),
        ),
        _ => (EncodingKey::from_secret(SECRET), SECRET),
    }
}

fn token(algorithm: Algorithm, kid: Option<&str>) -> String {
    let header = Header {
        kid: kid.map(str::to_owned),
        ..Header::new(algorithm)
    };
    encode(&header, &json!({"sub": "alice", "exp": NOW + 60}), &issuer(algorithm).0).unwrap()
}

/// Tokens by the keys in files with these contents.
fn tokens(secret: Option<&[u8]>, public_key: Option<&[u8]>, jwks: Option<&[u8]>) -> Result<Tokens, KeysError> {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, content: Option<&[u8]>| {
        let path = directory.path().join(name);
        content.map(|content| {
            std::fs::write(&path, content).unwrap();
            path
        })
    };
    let files = TokenKeyFiles {
        secret: file("secret", secret),
        public_key: file("public_key", public_key),
        jwks: file("jwks", jwks),
        jwks_url: None,
    };
    Tokens::load(files, TokenRules::default())
}

fn base64(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

#[test]
fn each_algorithm_has_its_key() {
    // Goal: a token is good with the key of its issuer and algorithm, and with no other.
    let all = [Algorithm::HS256, Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];
    for ours in all {
        let public = issuer(ours).1;
        let tokens = match ours {
            Algorithm::HS256 => tokens(Some(public), None, None).unwrap(),
            _ => tokens(None, Some(public), None).unwrap(),
        };
        for theirs in all {
            let verified = tokens.verify_at(&token(theirs, None), NOW);
            match ours == theirs {
                true => assert_eq!(&*verified.unwrap().user, "alice"),
                false => assert_eq!(verified, Err(TokenFault::UnknownKey), "{ours:?} {theirs:?}"),
            }
        }
        assert_eq!(tokens.verify_at(&token(ours, None), NOW + 70), Err(TokenFault::Expired));
    }
}

#[test]
fn a_public_key_is_no_secret_and_no_signature_is_none() {
    // Goal: RFC 8725: key confusion (an RSA public key as the secret of HS256), alg none, other algorithms, and changed tokens are refused.
    let public = issuer(Algorithm::RS256).1;
    let tokens = tokens(None, Some(public), None).unwrap();
    let claims = json!({"sub": "alice", "exp": NOW + 60});
    let confused = encode(
        &Header::new(Algorithm::HS256),
        &claims,
        &EncodingKey::from_secret(public),
    )
    .unwrap();
    assert_eq!(tokens.verify_at(&confused, NOW), Err(TokenFault::UnknownKey));
    for alg in ["none", "None", "NONE", ""] {
        let header = base64(&format!(r#"{{"alg":"{alg}","typ":"JWT"}}"#));
        for signature in ["", "x"] {
            let unsigned = format!("{header}.{}.{signature}", base64(&claims.to_string()));
            assert_eq!(tokens.verify_at(&unsigned, NOW), Err(TokenFault::Malformed), "{alg}");
        }
    }
    let other = encode(&Header::new(Algorithm::RS512), &claims, &issuer(Algorithm::RS256).0).unwrap();
    assert_eq!(tokens.verify_at(&other, NOW), Err(TokenFault::Malformed));
    let good = token(Algorithm::RS256, None);
    let parts: Vec<&str> = good.split('.').collect();
    let changed = base64(&json!({"sub": "bob", "exp": NOW + 60}).to_string());
    let forged = [parts[0], &changed, parts[2]].join(".");
    assert_eq!(tokens.verify_at(&forged, NOW), Err(TokenFault::Signature));
    for garbage in [
        "",
        ".",
        "..",
        "a.b.c",
        "eyJ.eyJ.",
        &good[..good.len() / 2],
        &"x".repeat(TOKEN_BYTES_MAX + 1),
    ] {
        assert!(tokens.verify_at(garbage, NOW).is_err(), "{garbage}");
    }
}

#[test]
fn a_key_set_is_searched_by_key_id() {
    // Goal: the key of a token's kid is asked; keys of other kinds and uses, secrets among them, are passed over.
    let pem = String::from_utf8(issuer(Algorithm::EdDSA).1.to_vec()).unwrap();
    let der: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let der = base64::engine::general_purpose::STANDARD.decode(der).unwrap();
    let x = URL_SAFE_NO_PAD.encode(&der[der.len() - 32..]);
    let set = |kid: &str, r#use: &str| {
        json!({"keys": [
            {"kty": "oct", "k": URL_SAFE_NO_PAD.encode(SECRET), "kid": "s", "alg": "HS256"},
            {"kty": "LATTICE", "kid": "future"},
            {"kty": "OKP", "crv": "Ed25519", "x": x, "kid": kid, "use": r#use},
        ]})
        .to_string()
    };
    let tokens = |set: String| tokens(None, None, Some(set.as_bytes()));
    let by_id = tokens(set("one", "sig")).unwrap();
    for kid in [None, Some("one")] {
        assert!(by_id.verify_at(&token(Algorithm::EdDSA, kid), NOW).is_ok(), "{kid:?}");
    }
    assert_eq!(
        by_id.verify_at(&token(Algorithm::EdDSA, Some("two")), NOW),
        Err(TokenFault::UnknownKey)
    );
    assert_eq!(
        by_id.verify_at(&token(Algorithm::HS256, Some("s")), NOW),
        Err(TokenFault::UnknownKey)
    );
    assert!(matches!(
        tokens(set("one", "enc")),
        Err(KeysError::File {
            why: WrongKey::NoKey,
            ..
        })
    ));
}

#[test]
fn keys_that_cannot_be_used_are_refused() {
    // Goal: short secrets, private keys, certificates, garbage, huge sets and missing files each have a sentence.
    let huge = format!("{{\"keys\": [{}]}}", " ".repeat(keys::KEYS_BYTES_MAX));
    for (loaded, wrong) in [
        (tokens(Some(b"short\n"), None, None), WrongKey::ShortSecret),
        (tokens(Some(issuer(Algorithm::RS256).1), None, None), WrongKey::NotPem),
        (
            tokens(None, Some(include_bytes!("testdata/rsa.pem")), None),
            WrongKey::PrivateKey,
        ),
        (
            tokens(None, Some(b"-----BEGIN CERTIFICATE-----"), None),
            WrongKey::NotPem,
        ),
        (tokens(None, None, Some(b"[]")), WrongKey::NotJwks),
        (tokens(None, None, Some(b"{\"keys\": []}")), WrongKey::NoKey),
        (tokens(None, None, Some(huge.as_bytes())), WrongKey::TooLarge),
    ] {
        let why = loaded.unwrap_err();
        assert!(matches!(why, KeysError::File { why, .. } if why == wrong), "{why}");
    }
    let files = TokenKeyFiles {
        jwks: Some("/no/such/file".into()),
        ..TokenKeyFiles::default()
    };
    assert!(matches!(
        Tokens::load(files, TokenRules::default()),
        Err(KeysError::Unreadable { .. })
    ));
}

#[test]
fn a_reload_that_fails_keeps_the_keys() {
    // Goal: keys that are renewed badly stay as they were; good ones count at once.
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key.pem");
    std::fs::write(&path, issuer(Algorithm::ES256).1).unwrap();
    let files = TokenKeyFiles {
        public_key: Some(path.clone()),
        ..TokenKeyFiles::default()
    };
    let tokens = Tokens::load(files, TokenRules::default()).unwrap();
    std::fs::write(&path, "garbage").unwrap();
    assert!(tokens.reload().is_err());
    assert!(tokens.verify_at(&token(Algorithm::ES256, None), NOW).is_ok());
    std::fs::write(&path, issuer(Algorithm::EdDSA).1).unwrap();
    tokens.reload().unwrap();
    assert_eq!(
        tokens.verify_at(&token(Algorithm::ES256, None), NOW),
        Err(TokenFault::UnknownKey)
    );
    assert!(tokens.verify_at(&token(Algorithm::EdDSA, None), NOW).is_ok());
    assert!(looks_like_token(token(Algorithm::EdDSA, None).as_bytes()) && !looks_like_token(b"eyJ.secret"));
}
