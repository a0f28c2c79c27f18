//! Tests of files, and of handshakes over pipes in memory.

use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use inbox_test_support::certificates::{Authority, Files, Signed};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio_rustls::TlsConnector;
use tokio_rustls::client;

use super::*;

/// The configuration of a listener with these files.
fn of(files: &Files, client_certificates: ClientCertificates) -> TlsFiles {
    TlsFiles {
        certificate: files.path("cert.pem"),
        key: files.path("key.pem"),
        client_ca: (client_certificates != ClientCertificates::No).then(|| files.path("ca.pem")),
        client_certificates,
    }
}

fn keys(files: &Files, client_certificates: ClientCertificates) -> Arc<TlsKeys> {
    Arc::new(TlsKeys::load(of(files, client_certificates), b"mqtt").unwrap())
}

/// Takes a pipe as it is.
struct Below;

impl Entrance<DuplexStream> for Below {
    type Io = DuplexStream;
    const IDLE_BYTES: usize = 0;

    async fn enter(&self, raw: DuplexStream, _: &mut Origin) -> Result<DuplexStream, NotEntered> {
        Ok(raw)
    }
}

/// A client that trusts `authority`.
fn connector(
    authority: &Authority,
    own: Option<&Signed>,
    versions: &[&'static SupportedProtocolVersion],
) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match own {
        None => builder.with_no_client_auth(),
        Some(own) => {
            let chain = vec![CertificateDer::from_pem_slice(own.certificate.as_bytes()).unwrap()];
            let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    };
    config.alpn_protocols = vec![b"mqtt".to_vec()];
    TlsConnector::from(Arc::new(config))
}

/// What a handshake came to, at the broker's end and at the client's.
struct Met {
    stream: Result<Box<TlsStream<DuplexStream>>, NotEntered>,
    origin: Origin,
    client: std::io::Result<client::TlsStream<DuplexStream>>,
}

async fn meet(keys: &Arc<TlsKeys>, connector: &TlsConnector) -> Met {
    let (server, pipe) = duplex(1 << 16);
    let entrance = OverTls {
        below: Below,
        keys: keys.clone(),
        handshakes: Handshakes::default(),
    };
    let mut origin = Origin::from(SocketAddr::from(([192, 0, 2, 1], 1)));
    let name = ServerName::try_from("localhost").unwrap();
    let (stream, client) = tokio::join!(entrance.enter(server, &mut origin), connector.connect(name, pipe));
    Met { stream, origin, client }
}

async fn talk(met: &mut Met) {
    let (server, client) = (met.stream.as_mut().unwrap(), met.client.as_mut().unwrap());
    client.write_all(b"ping").await.unwrap();
    let mut said = [0; 4];
    server.read_exact(&mut said).await.unwrap();
    server.write_all(&said).await.unwrap();
    server.flush().await.unwrap();
    client.read_exact(&mut said).await.unwrap();
    assert_eq!(&said, b"ping");
}

const BOTH: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];

#[tokio::test]
async fn both_versions_of_tls_carry_bytes() {
    // Goal: TLS 1.2 and 1.3, with the ALPN name of MQTT; a client that shows no certificate has none.
    let files = Files::of_a_broker();
    let keys = keys(&files, ClientCertificates::No);
    for version in BOTH {
        let mut met = meet(&keys, &connector(&files.authority, None, &[version])).await;
        talk(&mut met).await;
        let (_, connection) = met.stream.as_ref().unwrap().get_ref();
        assert_eq!(connection.alpn_protocol(), Some(&b"mqtt"[..]));
        assert_eq!(met.origin.certificate, None);
    }
}

#[tokio::test]
async fn the_names_of_a_client_certificate_are_known() {
    // Goal: client certificates: required or optional, the names of one that is right, and a refusal of one that is missing, expired or
    // signed by somebody else.
    let files = Files::of_a_broker();
    let alice = files.authority.client("alice");
    let forged = Authority::new("ours").client("alice");
    let expired = files.authority.expired_broker();
    for version in BOTH {
        let with = |own| connector(&files.authority, own, &[version]);
        for asked in [ClientCertificates::Optional, ClientCertificates::Required] {
            let keys = keys(&files, asked);
            let mut met = meet(&keys, &with(Some(&alice))).await;
            talk(&mut met).await;
            let names = met.origin.certificate.unwrap();
            assert_eq!(names.common_name.as_deref(), Some("alice"));
            let expected = ["alice@example.org", "alice.example.org", "urn:user:alice"];
            assert_eq!(names.alternative_names, expected.map(Box::from));
            for (what, own) in [("forged", &forged), ("expired", &expired)] {
                let met = meet(&keys, &with(Some(own))).await;
                let why = met.stream.err().unwrap();
                assert_eq!(why.cause(), Some(Cause::ClientCertificate), "{what}: {why}");
                assert_eq!(met.origin.certificate, None);
            }
            let none = meet(&keys, &with(None)).await;
            match asked {
                ClientCertificates::Required => {
                    assert_eq!(none.stream.err().unwrap().cause(), Some(Cause::ClientCertificate));
                }
                _ => assert!(none.stream.is_ok() && none.origin.certificate.is_none()),
            }
        }
    }
}

#[tokio::test]
async fn new_files_are_for_new_clients_and_bad_ones_for_nobody() {
    // Goal: a certificate that is renewed is shown to whoever comes, while connections go on; files that do not go together, that hold nothing or
    // are gone change nothing. A client cannot resume a session that the old files let in.
    let files = Files::of_a_broker();
    let keys = keys(&files, ClientCertificates::No);
    let ours = connector(&files.authority, None, BOTH);
    let mut old = meet(&keys, &ours).await;
    talk(&mut old).await;

    let other = Authority::new("other");
    let fresh = other.broker();
    for (what, signed) in [
        (
            "a key of another",
            Signed {
                certificate: fresh.certificate.clone(),
                ..files.authority.broker()
            },
        ),
        (
            "no key",
            Signed {
                key: fresh.certificate.clone(),
                ..fresh.clone()
            },
        ),
        (
            "no certificate",
            Signed {
                certificate: "none".into(),
                ..fresh.clone()
            },
        ),
        (
            "half a certificate",
            Signed {
                certificate: fresh.certificate[..200].into(),
                ..fresh.clone()
            },
        ),
    ] {
        files.write("", &signed);
        assert!(keys.read_again().is_err(), "{what}");
        assert!(meet(&keys, &ours).await.client.is_ok(), "{what}");
    }
    files.write("", &fresh);
    keys.read_again().unwrap().enforce();
    talk(&mut old).await;
    let met = meet(&keys, &ours).await;
    assert!(met.client.is_err());
    assert_eq!(
        met.stream.err().unwrap().cause(),
        Some(Cause::TlsHandshake),
        "the client does not know who signed it"
    );
    let mut met = meet(&keys, &connector(&other, None, BOTH)).await;
    talk(&mut met).await;
    talk(&mut old).await;
}

#[tokio::test]
async fn what_is_no_tls_is_refused_and_who_goes_away_is_not() {
    // Goal: MQTT without TLS, TLS without our ALPN name, and a client that is gone at once: the first two are refusals with a reason.
    let files = Files::of_a_broker();
    let keys = keys(&files, ClientCertificates::No);
    let entrance = OverTls {
        below: Below,
        keys: keys.clone(),
        handshakes: Handshakes::default(),
    };
    for (said, cause) in [
        (&b"\x10\x0c\0\x04MQTT\x04\x02\0\0\0\0"[..], Some(Cause::TlsHandshake)),
        (b"", None),
    ] {
        let (server, mut client) = duplex(4096);
        client.write_all(said).await.unwrap();
        client.shutdown().await.unwrap();
        let mut origin = Origin::from(SocketAddr::from(([192, 0, 2, 1], 1)));
        let why = entrance.enter(server, &mut origin).await.unwrap_err();
        assert_eq!(why.cause(), cause, "{why}");
    }
    let http = TlsKeys::load(of(&files, ClientCertificates::No), b"http/1.1").unwrap();
    let met = meet(&Arc::new(http), &connector(&files.authority, None, BOTH)).await;
    assert_eq!(met.stream.err().unwrap().cause(), Some(Cause::TlsHandshake));
}

#[tokio::test]
async fn clients_that_say_nothing_keep_nobody_out() {
    // Goal: more slow clients than handshakes may compute, before and within their handshakes, and another one is let in all the same.
    let files = Files::of_a_broker();
    let entrance = Arc::new(OverTls {
        below: Below,
        keys: keys(&files, ClientCertificates::No),
        handshakes: Handshakes(Arc::new(Semaphore::new(1))),
    });
    let connector = connector(&files.authority, None, BOTH);
    let mut slow = Vec::new();
    for speaks in [false, true, false, true] {
        let (server, mut client) = duplex(1 << 16);
        if speaks {
            // ClientHello, and then nothing.
            let mut hello = Vec::new();
            let name = ServerName::try_from("localhost").unwrap();
            let mut connection = rustls::ClientConnection::new(connector.config().clone(), name).unwrap();
            connection.write_tls(&mut hello).unwrap();
            client.write_all(&hello).await.unwrap();
        }
        let entrance = entrance.clone();
        let task = tokio::spawn(async move {
            let mut origin = Origin::from(SocketAddr::from(([192, 0, 2, 1], 1)));
            entrance.enter(server, &mut origin).await.is_ok()
        });
        slow.push((task, client));
        tokio::task::yield_now().await;
    }
    let (server, pipe) = duplex(1 << 16);
    let mut origin = Origin::from(SocketAddr::from(([192, 0, 2, 1], 1)));
    let name = ServerName::try_from("localhost").unwrap();
    let met = async { tokio::join!(entrance.enter(server, &mut origin), connector.connect(name, pipe)) };
    let (stream, client) = tokio::time::timeout(Duration::from_secs(60), met)
        .await
        .expect("it is let in");
    assert!(stream.is_ok() && client.is_ok());
    for (task, client) in slow {
        drop(client);
        assert!(!task.await.unwrap());
    }
}

#[test]
fn files_that_cannot_be_used_are_named() {
    // Goal: each mistake an operator can make gets a sentence with the file and what to do.
    let files = Files::of_a_broker();
    let load = |files: &TlsFiles| TlsKeys::load(files.clone(), b"mqtt").unwrap_err().to_string();
    let good = of(&files, ClientCertificates::Required);
    let at = |name: &str| files.path(name);
    fs::write(at("empty.pem"), "").unwrap();
    fs::write(at("other.pem"), Authority::new("x").broker().key).unwrap();
    for (bad, says) in [
        (
            TlsFiles {
                certificate: at("gone.pem"),
                ..good.clone()
            },
            ["gone.pem", "cannot read"],
        ),
        (
            TlsFiles {
                certificate: at("empty.pem"),
                ..good.clone()
            },
            ["empty.pem", "no certificate"],
        ),
        (
            TlsFiles {
                key: at("empty.pem"),
                ..good.clone()
            },
            ["empty.pem", "no private key"],
        ),
        (
            TlsFiles {
                key: at("other.pem"),
                ..good.clone()
            },
            ["other.pem", "does not go with"],
        ),
        (
            TlsFiles {
                client_ca: Some(at("empty.pem")),
                ..good.clone()
            },
            ["empty.pem", "no certificate"],
        ),
    ] {
        let said = load(&bad);
        assert!(says.iter().all(|part| said.contains(part)), "{said}");
    }
    assert!(TlsKeys::load(good, b"mqtt").is_ok());
}

#[test]
fn a_certificate_whose_time_is_over_is_told_about() {
    // Goal: expired, about to expire, not valid yet, and good.
    let files = Files::of_a_broker();
    let remark = |now| {
        let remark = keys(&files, ClientCertificates::No).remark(now);
        remark.map(|remark| remark.to_string()).unwrap_or_default()
    };
    let day = Duration::from_secs(24 * 3600);
    assert_eq!(remark(SystemTime::now()), "");
    assert!(remark(SystemTime::UNIX_EPOCH + 365 * day).contains("is not valid before"));
    files.write("", &files.authority.expired_broker());
    assert!(remark(SystemTime::now()).contains("was valid until"));
    let end = SystemTime::UNIX_EPOCH + (365 * 50 + 12) * day;
    assert!(
        remark(end - 2 * day).contains("is valid only until"),
        "{}",
        remark(end - 2 * day)
    );
}
