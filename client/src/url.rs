//! Where the broker is, from one URL.

use percent_encoding::percent_decode_str;

use crate::error::UrlError;

/// What carries MQTT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Tcp,
    Tls,
    WebSocket,
    WebSocketTls,
}

/// A broker's address.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) transport: Transport,
    /// As in the URL: an IPv6 address is in brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Of a WebSocket; begins with a slash.
    pub(crate) path: String,
    pub(crate) login: Option<Login>,
}

/// A user name and its password.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: String,
}

impl std::fmt::Debug for Endpoint {
    /// Without the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {}:{}{}", self.transport, self.host, self.port, self.path)
    }
}

impl Endpoint {
    /// `SCHEME://[USER[:PASSWORD]@]HOST[:PORT][/PATH]`, with the port of the scheme if none is named: 1883, 8883, 80, 443.
    pub(crate) fn parse(url: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = url.split_once("://").ok_or(UrlError::Scheme)?;
        let (transport, default_port) = match scheme.to_ascii_lowercase().as_str() {
            "mqtt" | "tcp" => (Transport::Tcp, 1883),
            "mqtts" | "ssl" => (Transport::Tls, 8883),
            "ws" => (Transport::WebSocket, 80),
            "wss" => (Transport::WebSocketTls, 443),
            _ => return Err(UrlError::Scheme),
        };
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let (login, address) = match authority.rsplit_once('@') {
            Some((login, address)) => (Some(Login::parse(login)?), address),
            None => (None, authority),
        };
        let (host, port) = match address.rsplit_once(':') {
            // A colon inside of brackets belongs to the address.
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().map_err(|_| UrlError::Port)?),
            _ => (address, default_port),
        };
        if host.is_empty() {
            return Err(UrlError::Host);
        }
        if port == 0 {
            return Err(UrlError::Port);
        }
        let path = if path.is_empty() { "/" } else { path };
        Ok(Endpoint {
            transport,
            host: host.to_owned(),
            port,
            path: path.to_owned(),
            login,
        })
    }
}

impl Login {
    fn parse(text: &str) -> Result<Self, UrlError> {
        let (user, password) = text.split_once(':').unwrap_or((text, ""));
        let plain = |text: &str| {
            let decoded = percent_decode_str(text).decode_utf8();
            decoded.map(String::from).map_err(|_| UrlError::Escape)
        };
        Ok(Login {
            user: plain(user)?,
            password: plain(password)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_say_how_where_and_as_whom() {
        // Goal: the four schemes with their ports, logins with escapes, IPv6, paths; and what is wrong is told.
        let parsed = Endpoint::parse("mqtts://alice:p%40ss@broker.example:8884").unwrap();
        assert_eq!((parsed.transport, parsed.port), (Transport::Tls, 8884));
        let login = parsed.login.unwrap();
        assert_eq!((login.user.as_str(), login.password.as_str()), ("alice", "p@ss"));
        for (url, host, port, path) in [
            ("mqtt://localhost", "localhost", 1883, "/"),
            ("MQTTS://h", "h", 8883, "/"),
            ("ws://h:8080/mqtt", "h", 8080, "/mqtt"),
            ("wss://h", "h", 443, "/"),
            ("mqtt://[::1]:1884", "[::1]", 1884, "/"),
            ("mqtt://[::1]", "[::1]", 1883, "/"),
        ] {
            let parsed = Endpoint::parse(url).unwrap();
            assert_eq!(
                (parsed.host.as_str(), parsed.port, parsed.path.as_str()),
                (host, port, path)
            );
        }
        for (url, error) in [
            ("localhost:1883", UrlError::Scheme),
            ("http://h", UrlError::Scheme),
            ("mqtt://", UrlError::Host),
            ("mqtt://h:0", UrlError::Port),
            ("mqtt://h:x", UrlError::Port),
            ("mqtt://%ff@h", UrlError::Escape),
        ] {
            assert_eq!(Endpoint::parse(url), Err(error), "{url}");
        }
        assert!(!format!("{:?}", Endpoint::parse("mqtt://u:secret@h")).contains("secret"));
    }
}
