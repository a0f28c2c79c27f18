//! A broker that is asked over HTTP: one request a connection, plain HTTP, and answers of any length.
//!
//! **Promise:** an answer that was cut off is never taken for a whole one, and nobody is waited for longer than was said.

mod body;
mod error;

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::token::Token;
use crate::error::Code;
use body::{Body, Timed, head};
pub use error::{AskError, UrlError};

/// A connection takes no longer than this.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);
/// An answer that is one JSON document is at most so long. Pages of the API are far below.
const DOCUMENT_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// So is one line: one message, whose payload may be large.
const LINE_BYTES_MAX: u64 = 1 << 31;

/// What a broker is asked.
#[derive(Debug, Clone, Copy)]
pub struct Question<'q> {
    /// Such as `GET`.
    pub method: &'q str,
    /// The path, with its query.
    pub path: &'q str,
    /// JSON that goes with it.
    pub body: Option<&'q Value>,
    /// It may say nothing for so long.
    pub patience: Duration,
}

impl<'q> Question<'q> {
    /// A question without a body.
    pub fn new(method: &'q str, path: &'q str, patience: Duration) -> Self {
        Question {
            method,
            path,
            body: None,
            patience,
        }
    }
}

/// See the module's documentation.
#[derive(Debug, Clone)]
pub struct Remote {
    url: String,
    /// Host and port, as the URL has them.
    authority: String,
    token: Option<Token>,
}

impl Remote {
    /// The broker at `url`, which is shown `token`.
    ///
    /// # Errors
    /// It is no URL of a broker.
    pub fn at(url: &str, token: Option<Token>) -> Result<Self, UrlError> {
        let authority = url.strip_prefix("http://").map(|rest| rest.trim_end_matches('/'));
        let is_plain = |it: &&str| !it.is_empty() && it.chars().all(|c| c.is_ascii_graphic() && !"/?#@\\".contains(c));
        let authority = authority
            .filter(is_plain)
            .ok_or_else(|| UrlError::NotHttp { url: url.to_owned() })?;
        Ok(Remote {
            url: url.to_owned(),
            authority: authority.to_owned(),
            token,
        })
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether anybody answers there. Nothing is asked.
    ///
    /// # Errors
    /// See [`UrlError::Unreachable`].
    pub fn answers(&self) -> Result<(), UrlError> {
        self.connect(CONNECT_PATIENCE).map(drop)
    }

    /// Asks. An answer that says no is an error.
    ///
    /// # Errors
    /// See [`AskError`].
    pub fn ask(&self, question: Question<'_>) -> Result<Answer, AskError> {
        let (status, mut answer) = self.begin(question, None)?;
        if status == 200 {
            return Ok(answer);
        }
        let said = answer.document()?;
        Err(answer.refusal(&said).unwrap_or_else(|| answer.not_ours()))
    }

    /// Asks for one result, which must be there within the patience of the question.
    ///
    /// # Errors
    /// See [`AskError`].
    pub fn result(&self, question: Question<'_>) -> Result<Value, AskError> {
        let (_status, mut answer) = self.begin(question, Some(Instant::now() + question.patience))?;
        let mut said = answer.document()?;
        if let Some(refusal) = answer.refusal(&said) {
            return Err(refusal);
        }
        let result = said.get_mut("result").map(Value::take);
        result.ok_or_else(|| answer.not_ours())
    }

    fn begin(&self, question: Question<'_>, until: Option<Instant>) -> Result<(u16, Answer), UrlError> {
        let (status, body) = self.exchange(question, until)?;
        let answer = Answer {
            url: self.url.clone(),
            body: BufReader::new(body),
        };
        Ok((status, answer))
    }

    /// Asks, and gives the status and the body as it comes.
    pub(super) fn exchange(&self, question: Question<'_>, until: Option<Instant>) -> Result<(u16, Body), UrlError> {
        let unreachable = |why| self.unreachable(why);
        let stream = self.connect(question.patience.min(CONNECT_PATIENCE))?;
        let stream = self.send(stream, question).map_err(unreachable)?;
        let timed = Timed::new(stream, question.patience, until);
        let not_understood = || UrlError::NotUnderstood { url: self.url.clone() };
        head(timed).map_err(unreachable)?.ok_or_else(not_understood)
    }

    fn connect(&self, patience: Duration) -> Result<TcpStream, UrlError> {
        let port = self.authority.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
        let address = match port {
            Some(Ok(_)) => self.authority.clone(),
            _ => format!("{}:80", self.authority),
        };
        connect(&address, patience).map_err(|why| self.unreachable(why))
    }

    fn unreachable(&self, why: io::Error) -> UrlError {
        UrlError::Unreachable {
            url: self.url.clone(),
            why,
        }
    }

    fn send(&self, mut stream: TcpStream, question: Question<'_>) -> io::Result<TcpStream> {
        let Question {
            method,
            path,
            body,
            patience,
        } = question;
        let host = &self.authority;
        let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
        if let Some(token) = &self.token {
            text.push_str(&format!("Authorization: Bearer {}\r\n", token.reveal()));
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        if !body.is_empty() {
            text.push_str(&format!(
                "Content-Type: application/json\r\nContent-Length: {}\r\n",
                body.len()
            ));
        }
        text.push_str("\r\n");
        text.push_str(&body);
        stream.set_write_timeout(Some(patience))?;
        stream.write_all(text.as_bytes())?;
        Ok(stream)
    }
}

fn connect(address: &str, patience: Duration) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, patience) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// An answer: bytes, or lines of JSON, as they come.
#[derive(Debug)]
pub struct Answer {
    url: String,
    body: BufReader<Body>,
}

/// Ends an answer from another thread.
#[derive(Debug)]
pub struct Stopper(TcpStream);

impl Stopper {
    /// The answer ends now, as if the broker had gone.
    pub fn stop(&self) {
        // It has ended already, if this fails.
        let _gone = self.0.shutdown(Shutdown::Both);
    }
}

impl Answer {
    /// What ends it.
    ///
    /// # Errors
    /// The system has no descriptor for it.
    pub fn stopper(&self) -> io::Result<Stopper> {
        self.body.get_ref().stream().try_clone().map(Stopper)
    }

    /// The next line, or `None` at the end.
    ///
    /// # Errors
    /// See [`AskError`]; also when the line says what went wrong meanwhile.
    pub fn next_line(&mut self) -> Result<Option<Value>, AskError> {
        let mut line = Vec::new();
        let read = self.body.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line);
        if read.map_err(|why| self.broken(why))? == 0 {
            return Ok(None);
        }
        let said = serde_json::from_slice(&line).map_err(|_| self.not_ours())?;
        match self.refusal(&said) {
            Some(refusal) => Err(refusal),
            None => Ok(Some(said)),
        }
    }

    /// Reads some bytes. None are the end.
    ///
    /// # Errors
    /// See [`AskError::Broken`].
    pub fn next_bytes(&mut self, buffer: &mut [u8]) -> Result<usize, AskError> {
        self.body.read(buffer).map_err(|why| self.broken(why))
    }

    fn document(&mut self) -> Result<Value, AskError> {
        let mut bytes = Vec::new();
        let read = self.body.by_ref().take(DOCUMENT_BYTES_MAX).read_to_end(&mut bytes);
        read.map_err(|why| self.broken(why))?;
        serde_json::from_slice(&bytes).map_err(|_| self.not_ours())
    }

    fn broken(&self, why: io::Error) -> AskError {
        AskError::Broken {
            url: self.url.clone(),
            why,
        }
    }

    fn not_ours(&self) -> AskError {
        AskError::NotOurs { url: self.url.clone() }
    }

    /// What an answer says that is no.
    fn refusal(&self, said: &Value) -> Option<AskError> {
        let error = said
            .get("error")
            .filter(|_| said.get("ok") == Some(&Value::Bool(false)))?;
        let text = |name: &str| error.get(name).and_then(Value::as_str);
        Some(AskError::Refused {
            url: self.url.clone(),
            code: text("code").and_then(Code::from_name).unwrap_or(Code::Failed),
            message: text("message").unwrap_or("it does not say why").to_owned(),
        })
    }
}

/// `text` as one part of a path, or as a value in a query.
pub fn url_part(text: &str) -> String {
    let mut part = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'~' => part.push(char::from(byte)),
            other => part.push_str(&format!("%{other:02X}")),
        }
    }
    part
}
