//! Ports of this machine.

use std::io;
use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

/// Where the search begins.
const FIRST: u16 = 10_000;
/// From here on the system gives ports to whoever asks for any, as Linux is set up by default.
const GIVEN: u16 = 32_768;

/// Ports of the loopback address that nobody uses now, and that the system gives to nobody of itself, so that they are free a moment later, too.
/// Each process begins its search elsewhere. All are taken before any is given back, so that they differ.
///
/// # Errors
/// The system has no port left.
pub fn free_ports<const N: usize>() -> io::Result<[u16; N]> {
    let mut ports = [0; N];
    let mut listeners = Vec::with_capacity(N);
    // What a broker that has just ended leaves at its port keeps some others from listening there.
    static GIVEN_OUT: AtomicU32 = AtomicU32::new(0);
    let given_out = GIVEN_OUT.fetch_add(N as u32, Ordering::Relaxed);
    let mut candidates = candidates(std::process::id().wrapping_mul(97).wrapping_add(given_out));
    for port in &mut ports {
        let mut free = candidates
            .by_ref()
            .filter_map(|port| TcpListener::bind(("127.0.0.1", port)).ok());
        let listener = free.next().ok_or(io::ErrorKind::AddrInUse)?;
        *port = listener.local_addr()?.port();
        listeners.push(listener);
    }
    Ok(ports)
}

/// All of them once, beginning at one that follows from `start`.
fn candidates(start: u32) -> impl Iterator<Item = u16> {
    let start = start % u32::from(GIVEN - FIRST);
    let start = FIRST + u16::try_from(start).unwrap_or_default();
    (start..GIVEN).chain(FIRST..start)
}

#[cfg(test)]
mod tests {
    /// Goal: ports that are handed out together differ.
    #[test]
    fn free_ports_differ() {
        let [a, b, c] = super::free_ports().unwrap();
        assert!(a != b && b != c && a != c && a != 0);
    }

    /// Goal: a port is not given out again at once, so that what its last user left there is gone.
    #[test]
    fn ports_are_not_given_out_again_at_once() {
        let first: [u16; 2] = super::free_ports().unwrap();
        let second: [u16; 2] = super::free_ports().unwrap();
        assert!(first.iter().all(|port| !second.contains(port)));
    }

    /// Goal: wherever it begins, each port is tried once.
    #[test]
    fn every_port_is_tried() {
        for start in [0, 1, 4_000_000, u32::MAX] {
            let mut all: Vec<u16> = super::candidates(start).collect();
            all.sort_unstable();
            assert_eq!(all, (super::FIRST..super::GIVEN).collect::<Vec<_>>());
        }
    }
}
