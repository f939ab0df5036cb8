//! The pool of even/odd port pairs, opened ahead. A pair that was freed rests at the tail of the queue.

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use kraliki_time::Time;

use super::config::Interface;
use super::stats::PortStats;
use crate::error::{MediaError, StartError};
use crate::limits::{PORT_REST, STALE_DATAGRAMS};

/// The sockets of one leg.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) rtp: UdpSocket,
    pub(super) rtcp: UdpSocket,
    /// What far ends are told.
    pub(super) advertised: SocketAddr,
    interface: usize,
    used: bool,
}

/// All pairs that are not in use.
pub(super) struct PortPool {
    /// One queue per interface, the longest rested in front, with the moment from which it may be used.
    free: Vec<Mutex<VecDeque<(Time, Pair)>>>,
    total: u64,
    exhausted: AtomicU64,
}

impl PortPool {
    /// Opens every pair of the range on every interface. Ports that others have are left out.
    pub(super) fn open(
        interfaces: &[Interface],
        range: &RangeInclusive<u16>,
    ) -> Result<PortPool, StartError> {
        let mut free = Vec::with_capacity(interfaces.len());
        let mut total = 0;
        for (index, interface) in interfaces.iter().enumerate() {
            let mut pairs = VecDeque::new();
            let mut last_error = io::Error::from(io::ErrorKind::InvalidInput);
            // RFC 3550 §11: RTP has the even port, RTCP the odd one above.
            for port in range.clone().filter(|port| port % 2 == 0 && *port < *range.end()) {
                match open_pair(interface, index, port) {
                    Ok(pair) => pairs.push_back((Time::ZERO, pair)),
                    Err(error) => last_error = error,
                }
            }
            if pairs.is_empty() {
                return Err(StartError::NoPorts {
                    ip: interface.listen,
                    first: *range.start(),
                    last: *range.end(),
                    source: last_error,
                });
            }
            total += pairs.len() as u64;
            free.push(Mutex::new(pairs));
        }
        Ok(PortPool { free, total, exhausted: AtomicU64::new(0) })
    }

    /// A pair for a new leg, without datagrams of the one before.
    pub(super) fn take(&self, now: Time, interface: usize) -> Result<Pair, MediaError> {
        let queue = self.free.get(interface).ok_or(MediaError::NoInterface(interface))?;
        let pair = {
            let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
            match queue.front() {
                Some((usable, _)) if *usable <= now => queue.pop_front(),
                _ => None,
            }
        };
        let Some((_, pair)) = pair else {
            self.exhausted.fetch_add(1, Ordering::Relaxed);
            return Err(MediaError::PortsExhausted);
        };
        if pair.used {
            drain(&pair.rtp);
            drain(&pair.rtcp);
        }
        Ok(pair)
    }

    /// Takes a leg's pair back.
    pub(super) fn give(&self, now: Time, mut pair: Pair) {
        pair.used = true;
        if let Some(queue) = self.free.get(pair.interface) {
            queue.lock().unwrap_or_else(PoisonError::into_inner).push_back((now + PORT_REST, pair));
        }
    }

    pub(super) fn stats(&self, now: Time) -> PortStats {
        let mut stats = PortStats {
            total: self.total,
            exhausted: self.exhausted.load(Ordering::Relaxed),
            ..PortStats::default()
        };
        let mut free = 0;
        for queue in &self.free {
            let queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
            free += queue.len() as u64;
            // The queue is in the order of the moments.
            stats.resting += queue.iter().rev().take_while(|(usable, _)| *usable > now).count() as u64;
        }
        stats.in_use = self.total.saturating_sub(free);
        stats
    }
}

fn open_pair(interface: &Interface, index: usize, port: u16) -> io::Result<Pair> {
    let open = |port: u16| {
        let socket = UdpSocket::bind((interface.listen, port))?;
        socket.set_nonblocking(true)?;
        Ok::<_, io::Error>(socket)
    };
    Ok(Pair {
        rtp: open(port)?,
        rtcp: open(port + 1)?,
        advertised: SocketAddr::new(interface.advertise, port),
        interface: index,
        used: false,
    })
}

fn drain(socket: &UdpSocket) {
    let mut byte = [0; 1];
    // A datagram that is longer than the buffer is dropped all the same.
    for _ in 0..STALE_DATAGRAMS {
        if socket.recv_from(&mut byte).is_err() {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    #[test]
    fn freed_pairs_rest_at_the_tail_and_come_back_empty() {
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let interface = Interface { listen: ip, advertise: Ipv4Addr::new(192, 0, 2, 9).into() };
        // Two pairs somewhere; others may have some of the range.
        let pool = (0..50)
            .find_map(|n| {
                let first = 42_000 + n * 4;
                PortPool::open(&[interface], &(first..=first + 3)).ok().filter(|pool| pool.total == 2)
            })
            .unwrap();
        let at = |ms| Time::from_millis(ms);
        let first = pool.take(at(0), 0).unwrap();
        let second = pool.take(at(0), 0).unwrap();
        let port = first.rtp.local_addr().unwrap().port();
        assert_eq!(port % 2, 0);
        assert_eq!(first.rtcp.local_addr().unwrap().port(), port + 1);
        assert_eq!(first.advertised, SocketAddr::from(([192, 0, 2, 9], port)));
        assert!(matches!(pool.take(at(0), 0), Err(MediaError::PortsExhausted)));
        assert!(matches!(pool.take(at(0), 1), Err(MediaError::NoInterface(1))));
        pool.give(at(1_000), second);
        pool.give(at(2_000), first);
        assert_eq!(pool.stats(at(2_000)), PortStats { total: 2, in_use: 0, resting: 2, exhausted: 1 });
        assert!(matches!(pool.take(at(5_999), 0), Err(MediaError::PortsExhausted)), "at rest");
        // A stray packet of the call before.
        UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"stray", ("127.0.0.1", port)).unwrap();
        assert_ne!(pool.take(at(6_000), 0).unwrap().rtp.local_addr().unwrap().port(), port);
        let again = pool.take(at(7_000), 0).unwrap();
        assert_eq!(again.rtp.local_addr().unwrap().port(), port);
        assert!(again.rtp.recv_from(&mut [0; 9]).is_err());
    }
}
