//! A set of keys that the issuer publishes at a URL, and changes now and then.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::keys::{self, KEYS_BYTES_MAX, TokenKey};
use crate::http::{Endpoint, UrlError};

/// How long the answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The URL is asked no sooner than so long after the last time, however many tokens with unknown keys come.
const PAUSE: Duration = Duration::from_secs(30);

pub(super) struct Published {
    endpoint: Endpoint,
    keys: RwLock<Arc<Vec<TokenKey>>>,
    wanted: Notify,
}

impl Published {
    pub(super) fn at(url: &str) -> Result<Self, UrlError> {
        Ok(Published {
            endpoint: Endpoint::parse(url)?,
            keys: RwLock::default(),
            wanted: Notify::new(),
        })
    }

    /// Those that were there when it was asked last and answered as it should.
    pub(super) fn keys(&self) -> Arc<Vec<TokenKey>> {
        self.keys.read().clone()
    }

    /// A key may be there that is not known.
    pub(super) fn want(&self) {
        self.wanted.notify_one();
    }

    pub(super) async fn keep_fresh(&self, every: Duration) {
        loop {
            self.refresh().await;
            sleep(PAUSE).await;
            // Whoever waits for a key has it by then, or it is not there.
            let _wanted_or_old = timeout(every.saturating_sub(PAUSE), self.wanted.notified()).await;
        }
    }

    /// Asks once. What was known stays when there is no good answer.
    async fn refresh(&self) {
        let answer = timeout(PATIENCE, self.endpoint.get(KEYS_BYTES_MAX)).await;
        let why = match answer {
            Ok(Ok(set)) => match keys::jwks(&set) {
                Ok(keys) => {
                    *self.keys.write() = Arc::new(keys);
                    return;
                }
                Err(wrong) => wrong.to_string(),
            },
            Ok(Err(error)) => error.to_string(),
            Err(_elapsed) => "it gave no answer in time".to_owned(),
        };
        tracing::warn!(service = ?self.endpoint, error = %why, "the keys of tokens (auth.jwt.jwks_url) were not read; those that are known stay in force");
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn keys_stay_when_the_url_gives_none() {
        // Goal: a good set is taken; garbage, an error, an empty and a huge set, and silence change nothing.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let published = Published::at(&format!("http://{}/jwks", listener.local_addr().unwrap())).unwrap();
        let good = r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "kid": "one"}]}"#;
        let huge = format!("{{\"keys\": [{}]}}", " ".repeat(KEYS_BYTES_MAX));
        assert!(published.keys().is_empty());
        for (status, body) in [
            ("200 OK", good),
            ("200 OK", "garbage"),
            ("200 OK", "{\"keys\": []}"),
            ("200 OK", &huge),
            ("503 Busy", good),
        ] {
            let answer = async {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut asked = Vec::new();
                while !asked.ends_with(b"\r\n\r\n") {
                    stream.read_buf(&mut asked).await.unwrap();
                }
                assert!(asked.starts_with(b"GET /jwks HTTP/1.1\r\n"));
                let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                // A client that has read enough closes.
                let _ = stream.write_all(answer.as_bytes()).await;
            };
            tokio::join!(published.refresh(), answer);
            let known: Vec<_> = published.keys().iter().map(|key| key.id.clone()).collect();
            assert_eq!(known, [Some("one".into())], "{status} {body:.20}");
        }
        drop(listener);
        published.refresh().await;
        assert_eq!(published.keys().len(), 1);
    }
}
