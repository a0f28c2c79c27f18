//! What files below `/proc` say.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The state of a socket that listens (`TCP_LISTEN`).
const LISTENS: &str = "0A";

/// The addresses in `/proc/net/tcp` or `/proc/net/tcp6` that are listened on.
pub(super) fn listened_on(text: &str) -> Vec<SocketAddr> {
    let of_line = |line: &str| {
        let mut fields = line.split_whitespace().skip(1);
        let (local, _remote, state) = (fields.next()?, fields.next()?, fields.next()?);
        let (ip, port) = local.split_once(':')?;
        let port = u16::from_str_radix(port, 16).ok()?;
        (state == LISTENS).then_some(SocketAddr::new(address(ip)?, port))
    };
    text.lines().filter_map(of_line).collect()
}

/// Words of 32 bits as this machine has them in memory.
fn address(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        let digits = hex.get(8 * at..8 * at + 8)?;
        u32::from_str_radix(digits, 16).ok().map(u32::to_ne_bytes)
    };
    match hex.len() {
        8 => Some(IpAddr::V4(Ipv4Addr::from(word(0)?))),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?];
            let octets: [u8; 16] = words.concat().try_into().ok()?;
            Some(IpAddr::V6(Ipv6Addr::from(octets)))
        }
        _ => None,
    }
}

/// The process that has the file with this number locked, by `/proc/locks`. A number of another file system may be the same, so the owner
/// of the lock asks only about files that it has reason to.
pub(super) fn locked_by(text: &str, inode: u64) -> Option<u32> {
    let of_line = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let at = fields.iter().position(|field| *field == "WRITE")?;
        let (process, file) = (fields.get(at + 1)?, fields.get(at + 2)?);
        let is_it = file.rsplit(':').next()?.parse() == Ok(inode);
        // In a container, a process outside is 0 or less.
        is_it.then(|| process.parse().unwrap_or(0))
    };
    text.lines().filter(|line| line.contains("FLOCK")).find_map(of_line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_that_listen_are_found() {
        // Goal: those that listen, of both families; not connections, and not lines that are none.
        let four = "  sl  local_address rem_address   st tx_queue\n\
            0: 0100007F:075B 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1\n\
            1: 0100007F:075B 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 2\n\
            2: zz:1 x\n3:\n";
        assert_eq!(listened_on(four), ["127.0.0.1:1883".parse::<SocketAddr>().unwrap()]);
        let six = "0: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A 0\n\
            1: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 0\n";
        let expected: [SocketAddr; 2] = ["[::1]:8080".parse().unwrap(), "[::]:80".parse().unwrap()];
        assert_eq!(listened_on(six), expected);
    }

    #[test]
    fn the_holder_of_a_lock_is_found() {
        // Goal: by the number of the file; locks of other kinds and files are no matter.
        let text = "1: POSIX  ADVISORY  WRITE 7 fe:00:5 0 EOF\n2: FLOCK  ADVISORY  WRITE 4711 fe:00:9 0 EOF\n\
            2: -> FLOCK  ADVISORY  WRITE 12 fe:00:9 0 EOF\n3: FLOCK ADVISORY\n";
        assert_eq!(locked_by(text, 9), Some(4711));
        assert_eq!(locked_by(text, 5), None);
    }
}
