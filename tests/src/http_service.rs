//! A little HTTP server, in the place of a service of the operator's, or of a site with a page.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use rustix::net::sockopt::set_socket_reuseport;
use rustix::net::{AddressFamily, SocketType, bind, getsockname, listen, shutdown, socket};

/// What it was asked.
#[derive(Debug, Clone)]
pub struct Asked {
    /// As the request says it.
    pub method: String,
    /// The path, and what follows it.
    pub path: String,
    /// What the request has beside its head.
    pub body: Vec<u8>,
}

/// What it answers.
#[derive(Debug, Clone)]
pub enum Answer {
    /// A status like "200 OK", a media type, and a body.
    Says(&'static str, &'static str, Vec<u8>),
    /// 302 to this URL.
    Elsewhere(String),
    /// These bytes, which need not be HTTP, and the end of the connection.
    Bytes(Vec<u8>),
    /// Nothing, until the other side goes away.
    Nothing,
}

type Handler = dyn Fn(&Asked) -> Answer + Send + Sync;

/// A server on a port of its own, which stays its own while it is down.
pub struct HttpService {
    port: u16,
    /// Bound, and not listened on: nobody else is given the port.
    _keeps_port: OwnedFd,
    shared: Arc<Shared>,
    accepting: Option<(TcpListener, JoinHandle<()>)>,
}

struct Shared {
    handler: Box<Handler>,
    asked: Mutex<Vec<Asked>>,
}

impl Answer {
    /// 200 with JSON.
    pub fn json(text: &str) -> Self {
        Answer::Says("200 OK", "application/json", text.into())
    }
}

impl HttpService {
    /// Answers each request with what `handler` says, on a thread of its own.
    pub fn start(handler: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let (keeps_port, port) = bound(0);
        let shared = Arc::new(Shared {
            handler: Box::new(handler),
            asked: Mutex::default(),
        });
        let mut service = HttpService {
            port,
            _keeps_port: keeps_port,
            shared,
            accepting: None,
        };
        service.come_back();
        service
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Every request so far, in order.
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// Refuses connections from now on.
    pub fn go_down(&mut self) {
        let Some((listener, accepting)) = self.accepting.take() else {
            return;
        };
        shutdown(&listener, rustix::net::Shutdown::Both).unwrap();
        accepting.join().unwrap();
    }

    /// Takes connections again.
    pub fn come_back(&mut self) {
        let (socket, _) = bound(self.port);
        listen(&socket, 128).unwrap();
        let listener = TcpListener::from(socket);
        let (accepts, shared) = (listener.try_clone().unwrap(), self.shared.clone());
        let accepting = thread::spawn(move || {
            while let Ok((stream, _)) = accepts.accept() {
                let shared = shared.clone();
                // Whoever asks may go away in the middle of it.
                thread::spawn(move || shared.serve(stream).unwrap_or_default());
            }
        });
        self.accepting = Some((listener, accepting));
    }
}

impl Drop for HttpService {
    fn drop(&mut self) {
        self.go_down();
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let Some(asked) = read_request(&mut reader)? else {
            return Ok(());
        };
        self.asked.lock().unwrap().push(asked.clone());
        let mut stream = stream;
        match (self.handler)(&asked) {
            Answer::Says(status, kind, body) => {
                let length = body.len();
                let head = format!("Content-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
                stream.write_all(format!("HTTP/1.1 {status}\r\n{head}").as_bytes())?;
                stream.write_all(&body)?;
            }
            Answer::Elsewhere(url) => {
                let head = format!("Location: {url}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                stream.write_all(format!("HTTP/1.1 302 Found\r\n{head}").as_bytes())?;
            }
            Answer::Bytes(bytes) => stream.write_all(&bytes)?,
            Answer::Nothing => {
                reader.read_to_end(&mut Vec::new())?;
            }
        }
        // A socket that is closed with unread bytes is reset, and what was written may be lost with it.
        stream.shutdown(Shutdown::Write)?;
        reader.read_to_end(&mut Vec::new())?;
        Ok(())
    }
}

fn read_request(reader: &mut impl BufRead) -> std::io::Result<Option<Asked>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        match line.trim_end() {
            "" => break,
            text => lines.push(text.to_owned()),
        }
    }
    let length = lines.iter().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse())
    });
    let mut body = vec![0; length.map_or(0, |length| length.unwrap())];
    reader.read_exact(&mut body)?;
    let mut words = lines[0].split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    Ok(Some(Asked { method, path, body }))
}

/// A socket on this port of the loopback address, or on a free one. Others may be bound to it beside this one, if they say the same.
fn bound(port: u16) -> (OwnedFd, u16) {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    set_socket_reuseport(&socket, true).unwrap();
    bind(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, port))).unwrap();
    let address = SocketAddr::try_from(getsockname(&socket).unwrap()).unwrap();
    (socket, address.port())
}
