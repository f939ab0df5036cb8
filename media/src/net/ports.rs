//! The pool of even/odd port pairs, opened ahead. A pair that was freed rests at the tail of the queue.

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

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
    /// Beside `rtp`, once the one far end is known.
    pub(super) direct: Option<Direct>,
    interface: usize,
    used: bool,
}

/// A socket on a leg's RTP port for the far end that speaks there: what it sends is not mixed up with what strangers send, a
/// flood of theirs fills another buffer, and the kernel looks up no route for each packet.
#[derive(Debug)]
pub(super) struct Direct {
    pub(super) socket: UdpSocket,
    to: SocketAddr,
    /// The shard's wake-up in which it was read last.
    pub(super) read_at: u64,
    _permit: Permit,
}

/// One of the files that the process may have beyond those that it needs.
#[derive(Debug)]
struct Permit(Arc<AtomicU64>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Pair {
    /// Reads what a packet needs of it, so that it comes into the cache. The sum means nothing.
    pub(super) fn touch(&self) -> u64 {
        self.direct.as_ref().map_or(0, |direct| direct.read_at.wrapping_add(direct.to.port().into()))
    }

    /// Sends by the RTP port.
    pub(super) fn send_rtp(&mut self, bytes: &[u8], to: SocketAddr) -> bool {
        match &self.direct {
            Some(Direct { socket, to: known, .. }) if *known == to => {
                // The first may fail because an earlier one could not be delivered (ICMP): that says nothing of this one.
                socket.send(bytes).or_else(|_| socket.send(bytes)).is_ok()
            }
            _ => {
                self.direct = None;
                self.rtp.send_to(bytes, to).is_ok()
            }
        }
    }
}

/// All pairs that are not in use.
pub(super) struct PortPool {
    /// One queue per interface, the longest rested in front, with the moment from which it may be used.
    free: Vec<Mutex<VecDeque<(Time, Pair)>>>,
    total: u64,
    exhausted: AtomicU64,
    /// Direct sockets that may still be opened.
    directs: Arc<AtomicU64>,
}

impl PortPool {
    /// Opens every pair of the range on every interface. Ports that others have are left out. So many pairs at once may
    /// have a direct socket.
    pub(super) fn open(
        interfaces: &[Interface],
        range: &RangeInclusive<u16>,
        directs: u64,
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
        Ok(PortPool { free, total, exhausted: AtomicU64::new(0), directs: Arc::new(AtomicU64::new(directs)) })
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

    /// Opens a pair's direct socket to its far end, if it is not there yet. Without it all goes as before.
    pub(super) fn connect<'a>(&self, pair: &'a mut Pair, to: SocketAddr) -> Option<&'a Direct> {
        if pair.direct.as_ref().is_some_and(|direct| direct.to == to) {
            return None;
        }
        pair.direct = None;
        let less = |left: u64| left.checked_sub(1);
        self.directs.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).ok()?;
        let permit = Permit(Arc::clone(&self.directs));
        let socket = kraliki_udp::connect_beside(&pair.rtp, to).ok()?;
        Some(pair.direct.insert(Direct { socket, to, read_at: 0, _permit: permit }))
    }

    /// Takes a leg's pair back.
    pub(super) fn give(&self, now: Time, mut pair: Pair) {
        (pair.used, pair.direct) = (true, None);
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
        direct: None,
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

    /// Two pairs somewhere; others may have some of the range.
    fn two_pairs(interface: Interface) -> PortPool {
        (0..50)
            .find_map(|n| {
                let first = 42_000 + n * 4;
                PortPool::open(&[interface], &(first..=first + 3), 1).ok().filter(|pool| pool.total == 2)
            })
            .unwrap()
    }

    #[test]
    fn freed_pairs_rest_at_the_tail_and_come_back_empty() {
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let pool = two_pairs(Interface { listen: ip, advertise: Ipv4Addr::new(192, 0, 2, 9).into() });
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

    #[test]
    fn the_direct_socket_follows_where_audio_is_sent() {
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let pool = two_pairs(Interface { listen: ip, advertise: ip });
        let mut pair = pool.take(Time::ZERO, 0).unwrap();
        let at = pair.rtp.local_addr().unwrap();
        let open = || {
            let socket = UdpSocket::bind((ip, 0)).unwrap();
            socket.set_nonblocking(true).unwrap();
            let address = socket.local_addr().unwrap();
            (socket, address)
        };
        let heard = |socket: &UdpSocket| socket.recv_from(&mut [0; 9]).ok().map(|(_, from)| from);
        let ((far, to), (other, elsewhere)) = (open(), open());
        assert!(pool.connect(&mut pair, to).is_some());
        assert!(pool.connect(&mut pair, to).is_none(), "opened once");
        let mut second = pool.take(Time::ZERO, 0).unwrap();
        assert!(pool.connect(&mut second, to).is_none(), "there may be one");
        pool.give(Time::ZERO, second);
        assert!(pair.send_rtp(b"audio", to) && pair.direct.is_some());
        assert_eq!(heard(&far), Some(at));
        // It speaks to another: from the same port.
        assert!(pair.send_rtp(b"audio", elsewhere) && pair.direct.is_none());
        assert_eq!(heard(&other), Some(at));
        // A far end that is gone: each packet is still tried.
        assert!(pool.connect(&mut pair, to).is_some());
        drop(far);
        assert!((0..4).all(|_| pair.send_rtp(b"audio", to)));
        // The next leg begins without it.
        pool.give(Time::ZERO, pair);
        let second = pool.take(Time::from_millis(60_000), 0).unwrap();
        assert_ne!(second.rtp.local_addr().unwrap(), at);
        let pair = pool.take(Time::from_millis(60_000), 0).unwrap();
        assert!(pair.direct.is_none() && pair.rtp.local_addr().unwrap() == at);
        other.send_to(b"other", at).unwrap();
        assert_eq!(heard(&pair.rtp), Some(elsewhere));
    }
}
