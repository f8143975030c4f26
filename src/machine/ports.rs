//! Local ports: every connection to one address and port of a server needs one of its own, also for a minute after it was
//! closed.

use crate::store::kernel_text;
use std::net::{IpAddr, SocketAddr};

/// Number of local ports that the system gives to connections; `None` where it does not tell.
pub fn ephemeral_ports() -> Option<u64> {
    range(&kernel_text("/proc/sys/net/ipv4/ip_local_port_range")?)
}

/// Local ports that connections to these addresses take, at most: of the address that has the most. Reading all sockets of
/// the machine is dear, so it is only done when the number of all of them is above `cheap`; below it that number is given.
/// `None` where the system does not tell.
pub fn ports_taken(servers: &[SocketAddr], cheap: u64) -> Option<u64> {
    let all = sockets(&kernel_text("/proc/net/sockstat")?, "TCP:")?;
    let all = all + kernel_text("/proc/net/sockstat6").and_then(|text| sockets(&text, "TCP6:")).unwrap_or(0);
    if all <= cheap {
        return Some(all);
    }
    let tables: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"].iter().filter_map(|path| kernel_text(path)).collect();
    let toward = |server: &SocketAddr| {
        let name = in_table(server);
        tables.iter().map(|table| connections(table, &name)).sum()
    };
    servers.iter().map(toward).max()
}

fn range(text: &str) -> Option<u64> {
    let (low, high) = text.trim().split_once(char::is_whitespace)?;
    let (low, high): (u64, u64) = (low.parse().ok()?, high.trim().parse().ok()?);
    (high + 1).checked_sub(low)
}

/// Sockets in use and in TIME_WAIT, of a line like `TCP: inuse 2 orphan 0 tw 612 alloc 2 mem 111`.
fn sockets(text: &str, line: &str) -> Option<u64> {
    let words: Vec<&str> = text.lines().find_map(|l| l.strip_prefix(line))?.split_whitespace().collect();
    let after = |name: &str| {
        let at = words.iter().position(|word| *word == name)?;
        words.get(at + 1)?.parse::<u64>().ok()
    };
    Some(after("inuse")? + after("tw").unwrap_or(0))
}

/// An address as the kernel's tables write it: words of 32 bits in the order of the machine, in hexadecimal.
fn in_table(server: &SocketAddr) -> String {
    let word = |bytes: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(bytes));
    let address = match server.ip() {
        IpAddr::V4(ip) => word(ip.octets()),
        IpAddr::V6(ip) => {
            let octets = ip.octets();
            let words = octets.chunks_exact(4).filter_map(|part| part.try_into().ok());
            words.map(word).collect()
        }
    };
    format!("{address}:{:04X}", server.port())
}

/// Lines of a table whose remote address, the third column, is this one.
fn connections(table: &str, remote: &str) -> u64 {
    let toward = table.lines().skip(1).filter(|line| line.split_whitespace().nth(2) == Some(remote));
    u64::try_from(toward.count()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_texts_are_understood() {
        assert_eq!(range("32768\t60999\n"), Some(28_232));
        let stat = "sockets: used 23\nTCP: inuse 2 orphan 0 tw 612 alloc 2 mem 111\nUDP: inuse 5 mem 0\n";
        assert_eq!(sockets(stat, "TCP:"), Some(614));
        assert_eq!(sockets("TCP6: inuse 7\n", "TCP6:"), Some(7));
        assert_eq!(sockets("", "TCP:"), None);
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn connections_to_one_address_are_counted() {
        let table = "  sl  local_address rem_address   st\n\
                     0: 0100007F:07E8 00000000:0000 0A\n   1: 0100007F:9FD9 0100007F:1389 01\n\
                     2: 0100007F:9FDA 0100007F:1389 06\n   3: 0100007F:1389 0100007F:9FD9 01\n";
        let server = "127.0.0.1:5001".parse().unwrap();
        assert_eq!((in_table(&server).as_str(), connections(table, "0100007F:1389")), ("0100007F:1389", 2));
        let v6: SocketAddr = "[::1]:80".parse().unwrap();
        assert_eq!(in_table(&v6), "00000000000000000000000001000000:0050");
    }

    #[test]
    fn own_connections_are_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let server = listener.local_addr().unwrap();
        let taken = || ports_taken(&[server], 0);
        let Some(before) = taken() else { return };
        let connections: Vec<_> = (0..5).map(|_| std::net::TcpStream::connect(server).unwrap()).collect();
        assert_eq!(taken(), Some(before + 5));
        assert!(ports_taken(&[server], u64::MAX) >= Some(5), "all sockets of the machine");
        drop(connections);
    }
}
