//! The least HTTP client that asks a broker: one request, one answer, plain HTTP.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// An answer is at most so long.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;
const HEADERS_MAX: usize = 64;

/// Why nothing was asked.
#[derive(Debug, thiserror::Error)]
pub enum UrlError {
    /// It is no URL of a broker.
    #[error("{url:?} is not the URL of a broker, like http://127.0.0.1:8080")]
    NotHttp {
        /// What was given.
        url: String,
    },
    /// Nobody answers there.
    #[error("no broker answers at {url}: {why}")]
    Unreachable {
        /// Where.
        url: String,
        /// What the system says.
        #[source]
        why: io::Error,
    },
    /// What answers is something else.
    #[error("what answers at {url} is not HTTP")]
    NotUnderstood {
        /// Where.
        url: String,
    },
}

/// Gets `path` from the server at `url`. Gives the status and the body.
///
/// # Errors
/// See [`UrlError`].
pub fn fetch(url: &str, path: &str, patience: Duration) -> Result<(u16, String), UrlError> {
    let not_http = || UrlError::NotHttp { url: url.to_owned() };
    let authority = url.strip_prefix("http://").map(|rest| rest.trim_end_matches('/'));
    let authority = authority.filter(|it| !it.is_empty() && !it.contains(['/', '?', '#', '@', ' ']));
    let authority = authority.ok_or_else(not_http)?;
    let has_port = authority
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let address = if has_port {
        authority.to_owned()
    } else {
        format!("{authority}:80")
    };
    let answer = ask(&address, authority, path, patience).map_err(|why| UrlError::Unreachable {
        url: url.to_owned(),
        why,
    })?;
    understood(&answer).ok_or_else(|| UrlError::NotUnderstood { url: url.to_owned() })
}

fn ask(address: &str, host: &str, path: &str, patience: Duration) -> io::Result<Vec<u8>> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in address.to_socket_addrs()? {
        let mut stream = match TcpStream::connect_timeout(&address, patience) {
            Ok(stream) => stream,
            Err(error) => {
                last = error;
                continue;
            }
        };
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nAccept: application/json\r\n\r\n"
        )?;
        let mut answer = Vec::new();
        stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
        return Ok(answer);
    }
    Err(last)
}

fn understood(answer: &[u8]) -> Option<(u16, String)> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let Ok(httparse::Status::Complete(head)) = response.parse(answer) else {
        return None;
    };
    let body = String::from_utf8_lossy(answer.get(head..).unwrap_or_default()).into_owned();
    Some((response.code?, body))
}
