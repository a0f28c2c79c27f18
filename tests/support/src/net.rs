//! Ports of this machine.

use std::io;
use std::net::TcpListener;

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
    let mut candidates = candidates(std::process::id());
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

/// All of them once, beginning at one that follows from the process id.
fn candidates(process: u32) -> impl Iterator<Item = u16> {
    let start = process.wrapping_mul(97) % u32::from(GIVEN - FIRST);
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

    /// Goal: wherever a process begins, it tries each port once.
    #[test]
    fn every_port_is_tried() {
        for process in [0, 1, 4_000_000, u32::MAX] {
            let mut all: Vec<u16> = super::candidates(process).collect();
            all.sort_unstable();
            assert_eq!(all, (super::FIRST..super::GIVEN).collect::<Vec<_>>());
        }
    }
}
