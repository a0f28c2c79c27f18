//! Ports of this machine.

use std::io;
use std::net::TcpListener;

/// Ports of the loopback address that nobody uses now. All are taken before any is given back, so that they differ.
///
/// # Errors
/// The system has no port left.
pub fn free_ports<const N: usize>() -> io::Result<[u16; N]> {
    let mut ports = [0; N];
    let mut listeners = Vec::with_capacity(N);
    for port in &mut ports {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        *port = listener.local_addr()?.port();
        listeners.push(listener);
    }
    Ok(ports)
}

#[cfg(test)]
mod tests {
    /// Goal: ports that are handed out together differ.
    #[test]
    fn free_ports_differ() {
        let [a, b, c] = super::free_ports().unwrap();
        assert!(a != b && b != c && a != c && a != 0);
    }
}
