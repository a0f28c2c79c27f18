//! Somebody who watches a broker as its dashboard and Prometheus do: subscribed to the board and the events, and scraping `/metrics`.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use inbox_test_support::packets::{Connect, Props, Version, subscribe};

/// What a dashboard is subscribed to.
const FILTERS: [&str; 4] = [
    "$SYS/inboxd/overview",
    "$SYS/inboxd/top",
    "$SYS/inboxd/clients",
    "$SYS/inboxd/event/#",
];
/// How often Prometheus scrapes.
const SCRAPE_EVERY: Duration = Duration::from_secs(5);
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// It watches until it is dropped.
pub(crate) struct Watcher {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<std::io::Result<()>>>,
}

impl Watcher {
    /// Watches the broker at this port for MQTT, with that one for HTTP.
    pub(crate) fn start(port: u16, http_port: u16) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let is_over = is_over.clone();
            move || watch(port, http_port, &is_over)
        });
        Watcher {
            is_over,
            thread: Some(thread),
        }
    }

    /// Ends it, and tells what it met.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        self.is_over.store(true, Relaxed);
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(watched)) => Ok(watched?),
            _ => anyhow::bail!("the watcher panicked"),
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.is_over.store(true, Relaxed);
    }
}

fn watch(port: u16, http_port: u16, is_over: &AtomicBool) -> std::io::Result<()> {
    let mut mqtt = TcpStream::connect(("127.0.0.1", port))?;
    mqtt.write_all(&Connect::new(Version::V5, "watcher").encode())?;
    for (packet_id, filter) in (1..).zip(FILTERS) {
        mqtt.write_all(&subscribe(Version::V5, packet_id, filter, 0, &Props::new()))?;
    }
    mqtt.set_read_timeout(Some(LOOK_INTERVAL))?;
    let mut buffer = vec![0; 64 * 1024];
    let mut scrape_at = Instant::now();
    while !is_over.load(Relaxed) {
        match mqtt.read(&mut buffer) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Err(error) if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return Err(error),
            _ => {}
        }
        if Instant::now() >= scrape_at {
            scrape_at += SCRAPE_EVERY;
            let mut http = TcpStream::connect(("127.0.0.1", http_port))?;
            http.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
            let mut text = String::new();
            http.read_to_string(&mut text)?;
            if !text.starts_with("HTTP/1.1 200") {
                return Err(std::io::Error::other("/metrics did not answer"));
            }
        }
    }
    Ok(())
}
