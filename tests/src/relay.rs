//! A bad network: a TCP relay in front of the broker that knows where packets of MQTT begin and end.
//!
//! It cuts, goes silent, refuses, delays, and swallows chosen packets. A packet is either passed on whole or not at all.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// Which way a packet goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// To the broker.
    ToBroker,
    /// To the client.
    ToClient,
}

/// Packets by their type (MQTT 5, section 2.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// PUBLISH.
    Publish = 3,
    /// PUBACK.
    PubAck = 4,
    /// SUBACK.
    SubAck = 9,
    /// PINGREQ.
    PingReq = 12,
}

/// What is done with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trick {
    /// It vanishes, and the connection goes on.
    Swallow,
    /// It vanishes, and the connection with it.
    CutInstead,
    /// It gets there, and the connection is cut then.
    CutAfter,
}

/// See the module's documentation. Connections that are open when it is dropped are cut.
pub struct Relay {
    port: u16,
    net: Arc<Net>,
}

#[derive(Default)]
struct Net {
    to: AtomicU16,
    /// Milliseconds by which each piece is late.
    late_ms: AtomicU64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    open: Vec<TcpStream>,
    tricks: Vec<(Way, Kind, Trick)>,
    is_silent: bool,
    refuses: bool,
    connections: usize,
    passed: Vec<(Way, u8)>,
}

impl Relay {
    /// Leads to this port of this machine.
    pub fn to(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let own = listener.local_addr().unwrap().port();
        let net = Arc::new(Net::default());
        net.to.store(port, Ordering::Relaxed);
        let shared = net.clone();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if Arc::strong_count(&shared) == 1 {
                    return;
                }
                shared.connect(client);
            }
        });
        Relay { port: own, net }
    }

    /// Where clients connect to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Leads new connections elsewhere: to a broker that was started again.
    pub fn lead_to(&self, port: u16) {
        self.net.to.store(port, Ordering::Relaxed);
    }

    /// Cuts what is connected.
    pub fn cut(&self) {
        self.net.cut(&mut self.net.state.lock().unwrap());
    }

    /// Passes nothing on, either way, and closes nothing.
    pub fn go_silent(&self, is_silent: bool) {
        self.net.state.lock().unwrap().is_silent = is_silent;
    }

    /// Closes new connections at once.
    pub fn refuse(&self, refuses: bool) {
        self.net.state.lock().unwrap().refuses = refuses;
    }

    /// Is late with everything by this.
    pub fn be_late(&self, by: Duration) {
        self.net.late_ms.store(by.as_millis() as u64, Ordering::Relaxed);
    }

    /// Plays a trick on the next packet of this kind.
    pub fn trick(&self, way: Way, kind: Kind, trick: Trick) {
        self.net.state.lock().unwrap().tricks.push((way, kind, trick));
    }

    /// How many tricks were not played yet.
    pub fn tricks_left(&self) -> usize {
        self.net.state.lock().unwrap().tricks.len()
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.net.state.lock().unwrap().connections
    }

    /// How many packets of a kind were passed on.
    pub fn passed(&self, way: Way, kind: Kind) -> usize {
        let state = self.net.state.lock().unwrap();
        let same = state.passed.iter().filter(|passed| **passed == (way, kind as u8));
        same.count()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.cut();
        self.refuse(true);
        // Wakes the thread that accepts. Nobody may listen any more.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

impl Net {
    fn connect(self: &Arc<Self>, client: TcpStream) {
        let mut state = self.state.lock().unwrap();
        if state.refuses {
            return;
        }
        let Ok(broker) = TcpStream::connect((Ipv4Addr::LOCALHOST, self.to.load(Ordering::Relaxed))) else {
            return;
        };
        state.connections += 1;
        for socket in [&client, &broker] {
            socket.set_nodelay(true).unwrap();
            state.open.push(socket.try_clone().unwrap());
        }
        let ways = [
            (Way::ToBroker, client.try_clone().unwrap(), broker.try_clone().unwrap()),
            (Way::ToClient, broker, client),
        ];
        for (way, from, to) in ways {
            let net = self.clone();
            thread::spawn(move || net.carry(way, from, to));
        }
    }

    fn cut(&self, state: &mut State) {
        for socket in state.open.drain(..) {
            // It may be closed already.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    fn carry(&self, way: Way, mut from: TcpStream, mut to: TcpStream) {
        let mut bytes = Vec::new();
        let mut chunk = [0; 16 * 1024];
        while let Ok(read @ 1..) = from.read(&mut chunk) {
            bytes.extend_from_slice(&chunk[..read]);
            thread::sleep(Duration::from_millis(self.late_ms.load(Ordering::Relaxed)));
            while let Some(end) = packet_end(&bytes) {
                let packet: Vec<u8> = bytes.drain(..end).collect();
                let kind = packet[0] >> 4;
                let trick = {
                    let mut state = self.state.lock().unwrap();
                    let at = state.tricks.iter().position(|(w, k, _)| *w == way && *k as u8 == kind);
                    let trick = at.map(|at| state.tricks.remove(at).2);
                    if trick == Some(Trick::CutInstead) {
                        self.cut(&mut state);
                    }
                    if state.is_silent || matches!(trick, Some(Trick::Swallow | Trick::CutInstead)) {
                        continue;
                    }
                    state.passed.push((way, kind));
                    trick
                };
                // The other side may be gone.
                let _ = to.write_all(&packet);
                if trick == Some(Trick::CutAfter) {
                    self.cut(&mut self.state.lock().unwrap());
                }
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    }
}

/// Where the first packet ends, if it is whole.
fn packet_end(bytes: &[u8]) -> Option<usize> {
    let mut length = 0;
    for (at, byte) in bytes.iter().skip(1).take(4).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            let end = 2 + at + length;
            return (bytes.len() >= end).then_some(end);
        }
    }
    None
}
