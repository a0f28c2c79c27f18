//! One URL for each way to the broker, and who may come.

use std::fs;

use inbox_client::{CertificateFault, ConnectError, Inbox, InboxOptions, SendError, StopReason, Undelivered};
use inbox_test_support::certificates::Files;
use inbox_tests::{Broker, inboxd_command, run_fed};
use tempfile::tempdir;

use crate::{take, within};

#[tokio::test]
async fn tcp_tls_and_websocket_are_chosen_by_the_url() {
    // Goal: mail goes over all four; a certificate that is not trusted is told as that.
    let files = Files::of_a_broker();
    let path = |name: &str| files.path(name).to_str().unwrap().to_owned();
    let tls = format!("certificate = {:?}\nkey = {:?}\n", path("cert.pem"), path("key.pem"));
    let listener = |transport: &str, more: &str| {
        format!("[[listener]]\nname = {transport:?}\nlisten = \"127.0.0.1:0\"\ntransport = {transport:?}\n{more}\n")
    };
    let config = listener("tls", &tls) + &listener("ws", "") + &listener("wss", &tls);
    let broker = Broker::with_config(&config);
    let authority = fs::read(files.path("ca.pem")).unwrap();
    let urls = [
        ("mqtt", broker.port(), ""),
        ("mqtts", broker.port_of("tls"), ""),
        ("ws", broker.port_of("ws"), "/mqtt"),
        ("wss", broker.port_of("wss"), "/mqtt"),
    ];
    for (scheme, port, path) in urls {
        let url = format!("{scheme}://localhost:{port}{path}");
        let options = InboxOptions::new(&url, scheme).authority_pem(authority.clone());
        let inbox = within(Inbox::connect(options)).await.unwrap();
        within(within(inbox.send(scheme, vec![b'x'; 100_000])).await.unwrap().stored())
            .await
            .unwrap();
        assert_eq!(take(&inbox).await.payload.len(), 100_000, "{url}");
    }
    let no_pem = InboxOptions::new("mqtts://localhost", "a").authority_pem("none");
    let error = within(Inbox::connect(no_pem)).await.unwrap_err();
    assert!(matches!(error, ConnectError::Tls(_)), "{error}");
}

#[tokio::test]
async fn a_certificate_that_is_not_accepted_stops() {
    // Goal: over TCP and over WebSocket, a certificate that has expired, is for another name, or comes from a stranger stops the inbox with that reason, as
    // another attempt would not help; what does not speak TLS is tried again, as another program may answer there next.
    let files = Files::of_a_broker();
    files.write("old-", &files.authority.expired_broker());
    let cases = [
        ("stranger", "127.0.0.1", "", CertificateFault::UnknownAuthority),
        ("expired", "127.0.0.1", "old-", CertificateFault::Expired),
        // This machine all the same, and in no certificate.
        ("elsewhere", "127.0.0.2", "", CertificateFault::OtherName),
    ];
    let mut config = String::new();
    for (case, host, prefix, _) in cases {
        let path = |name: &str| files.path(&format!("{prefix}{name}.pem"));
        for transport in ["tls", "wss"] {
            config += &format!(
                "[[listener]]\nname = \"{case}-{transport}\"\nlisten = \"{host}:0\"\ntransport = {transport:?}\n\
                 certificate = {:?}\nkey = {:?}\n\n",
                path("cert"),
                path("key"),
            );
        }
    }
    let broker = Broker::with_config(&config);
    let known = fs::read(files.path("ca.pem")).unwrap();
    let stranger = fs::read(Files::of_a_broker().path("ca.pem")).unwrap();
    for (case, host, _, fault) in cases {
        let authority = if case == "stranger" { &stranger } else { &known };
        for (scheme, transport) in [("mqtts", "tls"), ("wss", "wss")] {
            let url = format!(
                "{scheme}://{host}:{}/mqtt",
                broker.port_of(&format!("{case}-{transport}"))
            );
            let options = InboxOptions::new(&url, "a").authority_pem(authority.clone());
            let error = within(Inbox::connect(options.clone())).await.unwrap_err();
            let reason = StopReason::Certificate(fault);
            assert_eq!(error, ConnectError::Stopped(reason), "{url}");
            // Who does not wait for the connection learns it, too.
            let inbox = within(Inbox::open(options)).await.unwrap();
            let sent = within(inbox.send("b", "never")).await;
            let undelivered = match sent {
                Ok(sent) => within(sent.stored()).await.unwrap_err(),
                Err(SendError::Stopped(reason)) => Undelivered::Stopped(reason),
                Err(other) => panic!("{other}"),
            };
            assert_eq!(undelivered, Undelivered::Stopped(reason));
        }
    }
    let plain = InboxOptions::new(format!("mqtts://localhost:{}", broker.port()), "a").authority_pem(known);
    let error = within(Inbox::connect(plain)).await.unwrap_err();
    assert!(matches!(&error, ConnectError::Lost(_)), "{error}");
}

#[tokio::test]
async fn a_password_lets_in_and_a_wrong_one_stops() {
    // Goal: user and password from the URL and from the options; a wrong one stops with its reason, and is not tried again.
    let directory = tempdir().unwrap();
    let file = directory.path().join("users");
    let mut passwd = inboxd_command();
    passwd.arg("passwd").arg(&file).arg("alice");
    assert!(run_fed(&mut passwd, b"alice's\n").status.success());
    let broker = Broker::with_config(&format!("[auth]\npassword_file = {file:?}\n"));
    let at = format!("127.0.0.1:{}", broker.port());
    let in_url = InboxOptions::new(format!("mqtt://alice:alice%27s@{at}"), "alice");
    let inbox = within(Inbox::connect(in_url)).await.unwrap();
    within(inbox.close(std::time::Duration::ZERO)).await.unwrap();
    let beside = InboxOptions::new(format!("mqtt://{at}"), "alice");
    within(Inbox::connect(beside.clone().login("alice", "alice's")))
        .await
        .unwrap();
    let error = within(Inbox::connect(beside.login("alice", "wrong")))
        .await
        .unwrap_err();
    assert!(
        matches!(error, ConnectError::Stopped(StopReason::BadCredentials)),
        "{error}"
    );
}
