//! Asking a service of the operator over HTTP/1.1: one connection for each request, no redirects, bounded answers.

use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Why a URL cannot be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It is no URL that we know.
    #[error("it is a URL like \"https://auth.example/inboxd\", without user name and password")]
    NotHttp,
    /// There is no certificate to trust.
    #[error("this system has no certificates of authorities, which https needs; install them (ca-certificates)")]
    NoRoots,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// There is no connection.
    #[error("it cannot be reached ({0})")]
    Unreachable(#[from] io::Error),
    /// What comes is no HTTP.
    #[error("it does not speak HTTP as it should ({0})")]
    Http(#[from] hyper::Error),
    /// It says no.
    #[error("it answered {0}, and not 200")]
    Status(StatusCode),
    /// There is too much of it, or too little.
    #[error("its answer is larger than {0} bytes, or was cut off")]
    Body(usize),
}

/// Where a service is.
pub struct Endpoint {
    host: Box<str>,
    port: u16,
    authority: HeaderValue,
    path: Uri,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({}:{})", self.host, self.port)
    }
}

impl Endpoint {
    /// What a URL names.
    ///
    /// # Errors
    /// It is none of HTTP, or there are no certificates to trust.
    pub fn parse(url: &str) -> Result<Self, UrlError> {
        let uri: Uri = url.parse().map_err(|_| UrlError::NotHttp)?;
        let is_tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(UrlError::NotHttp),
        };
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'));
        let authority = authority.ok_or(UrlError::NotHttp)?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let tls = match is_tls {
            true => {
                let name = ServerName::try_from(host.to_owned()).map_err(|_| UrlError::NotHttp)?;
                Some((connector()?, name))
            }
            false => None,
        };
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        Ok(Endpoint {
            host: host.into(),
            port: authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 }),
            authority: HeaderValue::from_str(authority.as_str()).map_err(|_| UrlError::NotHttp)?,
            path: path.parse().map_err(|_| UrlError::NotHttp)?,
            tls,
        })
    }

    /// Posts JSON. Gives the body of an answer 200 that has at most `bytes_max` bytes. To be given up after a time by the caller.
    pub(crate) async fn post(&self, json: Vec<u8>, bytes_max: usize) -> Result<Bytes, HttpError> {
        let mut request = Request::new(Full::new(Bytes::from(json)));
        *request.method_mut() = hyper::Method::POST;
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(CONTENT_TYPE, json);
        self.ask(request, bytes_max).await
    }

    /// The same without a body of its own, by GET.
    pub(crate) async fn get(&self, bytes_max: usize) -> Result<Bytes, HttpError> {
        self.ask(Request::new(Full::default()), bytes_max).await
    }

    async fn ask(&self, request: Request<Full<Bytes>>, bytes_max: usize) -> Result<Bytes, HttpError> {
        let answer = self.begin(request).await?;
        // Nobody reads what comes with a no: it may be long, or not come at all.
        match answer.0.status() {
            StatusCode::OK => body(answer, bytes_max).await,
            status => Err(HttpError::Status(status)),
        }
    }

    /// Sends a request, to the path of the URL. Gives an answer whose body has at most `bytes_max` bytes. To be given up after a time by
    /// the caller.
    ///
    /// # Errors
    /// See [`HttpError`]; not by the status of an answer.
    pub async fn send(
        &self,
        request: Request<Full<Bytes>>,
        bytes_max: usize,
    ) -> Result<(StatusCode, Bytes), HttpError> {
        let answer = self.begin(request).await?;
        Ok((answer.0.status(), body(answer, bytes_max).await?))
    }

    async fn begin(&self, mut request: Request<Full<Bytes>>) -> Result<Answer, HttpError> {
        *request.uri_mut() = self.path.clone();
        request.headers_mut().insert(HOST, self.authority.clone());
        let stream = TcpStream::connect((&*self.host, self.port)).await?;
        match &self.tls {
            Some((connector, name)) => exchange(connector.connect(name.clone(), stream).await?, request).await,
            None => exchange(stream, request).await,
        }
    }
}

/// An answer whose body is still to come, and what brings it.
type Answer = (hyper::Response<Incoming>, Driver);

async fn body((answer, _driver): Answer, bytes_max: usize) -> Result<Bytes, HttpError> {
    let body = Limited::new(answer.into_body(), bytes_max).collect().await;
    Ok(body.map_err(|_| HttpError::Body(bytes_max))?.to_bytes())
}

/// A task that ends with whoever waits for it.
struct Driver(tokio::task::JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn exchange<T: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    stream: T,
    request: Request<Full<Bytes>>,
) -> Result<Answer, HttpError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let driver = Driver(tokio::spawn(async move {
        // What goes wrong shows in the answer.
        let _ended = connection.await;
    }));
    Ok((sender.send_request(request).await?, driver))
}

fn connector() -> Result<TlsConnector, UrlError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(UrlError::NoRoots);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|_| UrlError::NoRoots)?;
    let config = config.with_root_certificates(roots).with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_http_without_secrets_is_asked() {
        // Goal: other schemes, relative paths, and URLs with a password in them are refused.
        let endpoint = Endpoint::parse("http://[::1]:8080/auth?x=1").unwrap();
        assert_eq!((&*endpoint.host, endpoint.port), ("::1", 8080));
        assert_eq!(Endpoint::parse("http://auth.example").unwrap().port, 80);
        for bad in [
            "",
            "/auth",
            "ftp://x/",
            "auth.example",
            "http://",
            "http://user:secret@x/",
        ] {
            assert_eq!(Endpoint::parse(bad).err(), Some(UrlError::NotHttp), "{bad}");
        }
    }

    #[tokio::test]
    async fn an_answer_that_says_no_is_not_read_to_its_end() {
        // Goal: regression: a service that says no with a long body, or with one that never comes, was told of as one that is too long or too slow.
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = Endpoint::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let _service = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let no = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 1000000\r\n\r\n";
            tokio::io::AsyncWriteExt::write_all(&mut stream, no).await.unwrap();
            std::future::pending::<()>().await;
        });
        let answer = endpoint.get(100).await;
        assert!(
            matches!(answer, Err(HttpError::Status(StatusCode::SERVICE_UNAVAILABLE))),
            "{answer:?}"
        );
    }
}
