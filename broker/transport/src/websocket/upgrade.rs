//! The HTTP request with which a WebSocket begins, and the answer to it (RFC 6455, section 4.2; MQTT 5, section 6).

use std::net::{IpAddr, SocketAddr};

use tungstenite::handshake::derive_accept_key;

/// Headers that a request may have. Browsers send about twenty.
const HEADERS_MAX: usize = 64;
/// What a client asks for to speak MQTT (MQTT-6.0.0-3).
const SUBPROTOCOL: &str = "mqtt";
/// Any page may connect.
const ANY_ORIGIN: &str = "*";

/// Where MQTT is spoken on a listener, and to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebSocketRules {
    /// The paths of the URL, each with its slash.
    pub paths: Vec<String>,
    /// The origins of web pages that may connect, in small letters; `*` is any.
    pub origins: Vec<String>,
    /// Whether pages that the browser has from this same host and port may, too.
    pub same_host: bool,
}

impl WebSocketRules {
    /// Whether pages of this origin may connect to this host, as the header `Host` names it. Browsers send the origin, and pages cannot forge
    /// it; other clients send what they like, or none.
    pub fn let_in_pages_of(&self, origin: &str, host: &str, peer: IpAddr) -> bool {
        let origin = origin.to_ascii_lowercase();
        let mut listed = self.origins.iter();
        if listed.any(|known| *known == ANY_ORIGIN || *known == origin) {
            return true;
        }
        let is_same_host = origin.split_once("://").is_some_and(|(_, host_of)| {
            let host = host.to_ascii_lowercase();
            host_of == host || without_port(host_of) == without_port(&host)
        });
        self.same_host && is_same_host && !(is_loopback(peer) && is_name(host))
    }
}

/// A request that asks for a WebSocket, as whoever read it understood it.
#[derive(Debug, Clone)]
pub struct UpgradeRequest<'r> {
    /// The method.
    pub method: &'r str,
    /// Path and query of the URL.
    pub target: &'r str,
    /// Names and values of the headers.
    pub headers: Vec<(&'r str, &'r [u8])>,
}

/// A request that is granted.
#[derive(PartialEq, Eq)]
pub(crate) struct Granted {
    /// The header `Sec-WebSocket-Accept` of the answer.
    pub(crate) accept: String,
    /// What the client shows for itself.
    pub(crate) token: Option<Box<str>>,
}

impl Granted {
    /// The answer to the client.
    pub(crate) fn answer(&self) -> String {
        let accept = &self.accept;
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n"
        )
    }
}

/// Why a request is not granted. The sentence is for the client, and for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UpgradeError {
    /// It is not HTTP.
    #[error(
        "this is not HTTP: a WebSocket begins with an HTTP request, so use a ws:// URL here, or another port for MQTT over TCP or TLS"
    )]
    NotHttp,
    /// It is too long.
    #[error("the HTTP request is longer than 8 KiB, or has more than 64 headers")]
    TooLong,
    /// It is a request for something else.
    #[error("this is an MQTT broker, and no web page: connect an MQTT client to it over WebSocket")]
    NotAnUpgrade,
    /// It is for another path.
    #[error("MQTT is not spoken at this path; the listener's key path says where (default: /mqtt, and /)")]
    Path,
    /// It is for another version of WebSocket.
    #[error("only version 13 of WebSocket is spoken here")]
    Version,
    /// It has no key that can be answered.
    #[error("the header Sec-WebSocket-Key is missing, or is not 16 bytes in Base64")]
    Key,
    /// It does not ask for MQTT.
    #[error("the client does not ask for the WebSocket subprotocol \"mqtt\" (MQTT-6.0.0-3)")]
    Subprotocol,
    /// It comes from a page that may not connect.
    #[error("web pages of this origin may not connect; list it in the listener's key origins if they should")]
    Origin,
    /// Something came behind it, before it was answered.
    #[error("bytes came behind the HTTP request before it was answered (RFC 6455, section 4.1)")]
    Early,
}

impl UpgradeError {
    /// The status code of the answer to the client.
    pub fn status(self) -> u16 {
        match self {
            UpgradeError::NotHttp | UpgradeError::Key | UpgradeError::Subprotocol | UpgradeError::Early => 400,
            UpgradeError::Origin => 403,
            UpgradeError::Path => 404,
            UpgradeError::NotAnUpgrade | UpgradeError::Version => 426,
            UpgradeError::TooLong => 431,
        }
    }

    /// The answer to the client.
    pub(crate) fn answer(self) -> String {
        let status = match self.status() {
            403 => "403 Forbidden",
            404 => "404 Not Found",
            426 => "426 Upgrade Required",
            431 => "431 Request Header Fields Too Large",
            _ => "400 Bad Request",
        };
        let (connection, upgrade) = match self {
            UpgradeError::NotAnUpgrade | UpgradeError::Version => {
                ("close, Upgrade", "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n")
            }
            _ => ("close", ""),
        };
        let text = format!("{self}\n");
        let length = text.len();
        format!(
            "HTTP/1.1 {status}\r\nConnection: {connection}\r\n{upgrade}Content-Type: text/plain; charset=utf-8\r\n\
             Content-Length: {length}\r\n\r\n{text}"
        )
    }
}

/// Answers the request in `head`, which ends with an empty line and came from `peer`.
pub(crate) fn answer(head: &[u8], rules: &WebSocketRules, peer: IpAddr) -> Result<Granted, UpgradeError> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(head) {
        Ok(httparse::Status::Complete(_)) => {}
        Err(httparse::Error::TooManyHeaders) => return Err(UpgradeError::TooLong),
        Ok(httparse::Status::Partial) | Err(_) => return Err(UpgradeError::NotHttp),
    }
    let headers = request.headers.iter();
    let request = UpgradeRequest {
        method: request.method.unwrap_or_default(),
        target: request.path.unwrap_or_default(),
        headers: headers.map(|header| (header.name, header.value)).collect(),
    };
    grant(&request, rules, peer)
}

/// Answers a request that came from `peer`.
pub(crate) fn grant(
    request: &UpgradeRequest<'_>,
    rules: &WebSocketRules,
    peer: IpAddr,
) -> Result<Granted, UpgradeError> {
    let is_upgrade = request.method == "GET"
        && request.lists("Connection", |word| word.eq_ignore_ascii_case("upgrade"))
        && request.lists("Upgrade", |word| word.eq_ignore_ascii_case("websocket"));
    if !is_upgrade {
        return Err(UpgradeError::NotAnUpgrade);
    }
    let (path, query) = request.target.split_once('?').unwrap_or((request.target, ""));
    if !rules.paths.iter().any(|known| known == path) {
        return Err(UpgradeError::Path);
    }
    if request.header("Sec-WebSocket-Version") != Some("13") {
        return Err(UpgradeError::Version);
    }
    let key = request.header("Sec-WebSocket-Key").filter(|key| is_key(key));
    let key = key.ok_or(UpgradeError::Key)?;
    // A name of a protocol is compared as it is (RFC 6455, section 11.3.4).
    if !request.lists("Sec-WebSocket-Protocol", |word| word == SUBPROTOCOL) {
        return Err(UpgradeError::Subprotocol);
    }
    if let Some(origin) = request.header("Origin")
        && !rules.let_in_pages_of(origin, request.header("Host").unwrap_or_default(), peer)
    {
        return Err(UpgradeError::Origin);
    }
    Ok(Granted {
        accept: derive_accept_key(key.as_bytes()),
        token: token(request.header("Authorization"), query),
    })
}

impl<'r> UpgradeRequest<'r> {
    /// The values of every header of this name that are text.
    fn headers(&self, name: &str) -> impl Iterator<Item = &'r str> {
        let headers = self.headers.iter();
        let named = headers.filter(move |(of, _)| of.eq_ignore_ascii_case(name));
        named.filter_map(|(_, value)| std::str::from_utf8(value).ok().map(str::trim))
    }

    fn header(&self, name: &str) -> Option<&'r str> {
        self.headers(name).next()
    }

    /// Whether one of the values between commas is the one that is `wanted`.
    fn lists(&self, name: &str, wanted: impl Fn(&str) -> bool) -> bool {
        self.headers(name)
            .flat_map(|value| value.split(','))
            .any(|word| wanted(word.trim()))
    }
}

/// Whether it is 16 bytes in Base64: 22 digits and two signs that say so.
fn is_key(key: &str) -> bool {
    let digits = key.strip_suffix("==").unwrap_or_default();
    digits.len() == 22
        && digits
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
}

/// A host as it is where the port is left out: `Host` leaves it out for the port of the scheme, whatever the client calls the scheme.
fn without_port(host: &str) -> &str {
    host.strip_suffix(":443")
        .or_else(|| host.strip_suffix(":80"))
        .unwrap_or(host)
}

/// Whether it is this machine, however its address is written.
pub fn is_loopback(peer: IpAddr) -> bool {
    peer.to_canonical().is_loopback()
}

/// Whether `host` is a name that anybody can let point to this machine. A page of such a name that connects to a broker on the user's own
/// machine is an attack (DNS rebinding), or has to be listed.
pub fn is_name(host: &str) -> bool {
    let is_address = host.parse::<SocketAddr>().is_ok() || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    let bare = host.split(':').next().unwrap_or_default();
    !is_address && !bare.eq_ignore_ascii_case("localhost")
}

/// The token that a client shows: `Authorization: Bearer …`, or `?token=…` for browsers, which can set no headers.
fn token(authorization: Option<&str>, query: &str) -> Option<Box<str>> {
    let bearer = authorization.and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    });
    let of_query = || {
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        pairs
            .find(|(name, _)| name == "token")
            .map(|(_, token)| Box::from(&*token))
    };
    let token = bearer.map(Box::<str>::from).or_else(of_query)?;
    (!token.is_empty()).then_some(token)
}
