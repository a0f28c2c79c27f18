//! One URL for each way to the broker, and who may come.

use std::fs;

use inbox_client::{ConnectError, Inbox, InboxOptions, LostWhy, StopReason};
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
    let other = Files::of_a_broker();
    let stranger = fs::read(other.path("ca.pem")).unwrap();
    let url = format!("mqtts://localhost:{}", broker.port_of("tls"));
    let error = within(Inbox::connect(InboxOptions::new(url, "a").authority_pem(stranger))).await;
    let error = error.unwrap_err();
    assert!(
        matches!(&error, ConnectError::Lost(lost) if lost.why == LostWhy::Tls),
        "{error}"
    );
    let no_pem = InboxOptions::new("mqtts://localhost", "a").authority_pem("none");
    let error = within(Inbox::connect(no_pem)).await.unwrap_err();
    assert!(matches!(error, ConnectError::Tls(_)), "{error}");
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
