//! What the kernel dropped for want of room in a receive buffer.

use std::net::SocketAddr;

/// The sum over our sockets of the last column of `/proc/net/udp`; None where there is no such file.
pub(super) fn receive_drops(bound: &[SocketAddr]) -> Option<u64> {
    let mut drops = 0;
    for (path, ipv4) in [("/proc/net/udp", true), ("/proc/net/udp6", false)] {
        let ports: Vec<u16> = bound.iter().filter(|a| a.is_ipv4() == ipv4).map(SocketAddr::port).collect();
        if !ports.is_empty() {
            drops += sum(&std::fs::read_to_string(path).ok()?, &ports);
        }
    }
    Some(drops)
}

fn sum(table: &str, ports: &[u16]) -> u64 {
    let drops = |line: &str| {
        let mut columns = line.split_ascii_whitespace();
        let (_, port) = columns.nth(1)?.rsplit_once(':')?;
        let ours = u16::from_str_radix(port, 16).is_ok_and(|port| ports.contains(&port));
        columns.last().filter(|_| ours)?.parse::<u64>().ok()
    };
    table.lines().skip(1).filter_map(drops).sum()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_last_column_of_our_ports() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n\
             17: 0100007F:13C4 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1 2 0 42\n\
             18: 0100007F:13C5 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1 2 0 7\n";
        assert_eq!(super::sum(table, &[0x13c4]), 42);
        assert_eq!(super::sum(table, &[]), 0);
    }
}
