use std::net::SocketAddr;

use bytes::Bytes;
use inbox_types::ClientId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

const NOW: Duration = Duration::from_secs(1);

fn alice() -> Credentials {
    Credentials {
        client_id: ClientId::new("alice~phone").unwrap(),
        id_is_assigned: false,
        origin: SocketAddr::from(([192, 0, 2, 1], 7)).into(),
        user: Some("alice".into()),
        password: Some(Bytes::from_static(b"secret")),
    }
}

/// A service that answers one request with these bytes, and says what it was asked; without any it hangs.
async fn service(answer: Option<String>) -> (CallOut, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/auth", listener.local_addr().unwrap());
    let asked = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = Vec::new();
        while !asked.ends_with(b"}") {
            stream.read_buf(&mut asked).await.unwrap();
        }
        match answer {
            Some(answer) => {
                // A client that has read enough closes.
                let _ = stream.write_all(answer.as_bytes()).await;
            }
            None => std::future::pending().await,
        }
        String::from_utf8(asked).unwrap()
    });
    let patience = Duration::from_millis(500);
    (CallOut::new(&url, patience, Duration::from_secs(60)).unwrap(), asked)
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn a_service_says_who_a_client_is() {
    // Goal: it is told everything that it can decide by; its answer is the account, and is remembered for what was shown.
    let answer = r#"{"allow": true, "roles": ["ops"], "client_ids": ["alice~*"], "expires_in": 60}"#;
    let (call_out, asked) = service(Some(ok(answer))).await;
    let account = call_out.ask(&alice(), NOW).await.unwrap();
    assert_eq!((&*account.user, account.roles.len()), ("alice", 1));
    assert_eq!(account.client_ids, ClientIds::Listed(vec!["alice~*".into()]));
    assert!(account.expires_at.is_some());
    let asked = asked.await.unwrap();
    for said in [
        "POST /auth HTTP/1.1",
        r#""client_id":"alice~phone""#,
        r#""user":"alice""#,
        r#""password":"secret""#,
        r#""peer":"192.0.2.1:7""#,
    ] {
        assert!(asked.contains(said), "{said} is not in {asked}");
    }
    assert!(call_out.recall(&alice(), NOW).is_some());
    let other = Credentials {
        password: Some(Bytes::from_static(b"other")),
        ..alice()
    };
    assert!(call_out.recall(&other, NOW).is_none());
    call_out.forget();
    assert!(call_out.recall(&alice(), NOW).is_none());
}

#[tokio::test]
async fn every_other_answer_refuses() {
    // Goal: no, garbage, other statuses, redirects, huge answers, hanging and being down let nobody in, and are not remembered.
    let huge = format!("{{\"allow\": true, \"x\": \"{}\"}}", "x".repeat(ANSWER_BYTES_MAX));
    for (answer, denied) in [
        (Some(ok(r#"{"allow": false}"#)), Denied::Credentials),
        (Some(ok(r#"{"allow": "true"}"#)), Denied::Undecided),
        (Some(ok(r#"{"allow": true, "user": "a~b"}"#)), Denied::Undecided),
        (Some(ok(r#"{"allow": true, "roles": "ops"}"#)), Denied::Undecided),
        (Some(ok(r#"{"allow": true, "expires_in": -1}"#)), Denied::Undecided),
        (Some(ok("garbage")), Denied::Undecided),
        (Some(ok("")), Denied::Undecided),
        (Some(ok(&huge)), Denied::Undecided),
        (
            Some("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n".to_owned()),
            Denied::Undecided,
        ),
        (
            Some(ok(r#"{"allow": true}"#).replace("200 OK", "500 Oops")),
            Denied::Undecided,
        ),
        (Some("no HTTP at all\r\n\r\n".to_owned()), Denied::Undecided),
        (None, Denied::Undecided),
    ] {
        let (call_out, _asked) = service(answer.clone()).await;
        assert_eq!(call_out.ask(&alice(), NOW).await, Err(denied), "{answer:?}");
        assert!(call_out.recall(&alice(), NOW).is_none());
    }
    let nobody_listens = CallOut::new("http://127.0.0.1:1/", Duration::from_secs(5), Duration::ZERO).unwrap();
    assert_eq!(nobody_listens.ask(&alice(), NOW).await, Err(Denied::Undecided));
}
