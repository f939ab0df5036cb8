//! One UDP port for several shards: a thread reads it and hands each datagram to the shard of its Call-ID.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use kraliki_time::{Clock, Time};
use kraliki_udp::Batch;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};

use crate::endpoint::SocketId;
use crate::event::{AcceptFrom, Event};
use crate::hep::call_id;
use crate::limits;
use crate::shard::CallIds;
use crate::stats::Stats;

/// What a shard is handed.
pub(super) struct Datagram {
    pub(super) socket: SocketId,
    pub(super) from: SocketAddr,
    pub(super) bytes: Bytes,
}

/// Which shard a datagram is for.
pub(super) struct Rule {
    pub(super) ids: CallIds,
    /// Where phones register: whoever is not one of these may be a phone, and phones are shard 0's.
    pub(super) trunks: Option<watch::Receiver<AcceptFrom>>,
}

impl Rule {
    fn shard(&self, from: SocketAddr, datagram: &[u8]) -> usize {
        let phone = || self.trunks.as_ref().is_some_and(|trunks| !trunks.borrow().allows(from));
        // Without a Call-ID it is a keep-alive, or nothing.
        match call_id(datagram) {
            Some(id) if !datagram.starts_with(b"REGISTER ") && !phone() => self.ids.shard(id),
            _ => 0,
        }
    }
}

/// What the reading thread is made of.
pub(super) struct Demux {
    pub(super) sockets: Vec<(SocketId, std::net::UdpSocket)>,
    pub(super) rule: Rule,
    /// By shard.
    pub(super) queues: Vec<mpsc::Sender<Datagram>>,
    pub(super) clock: Clock,
    pub(super) stats: Arc<Stats>,
    /// Keeps the events from ending before the sockets are closed.
    pub(super) events: mpsc::Sender<(Time, Event)>,
}

pub(super) async fn run(demux: Demux) {
    let Demux { sockets, rule, queues, clock, stats, events } = demux;
    let register = |(id, socket)| Ok((id, UdpSocket::from_std(socket)?));
    let sockets: io::Result<Vec<(SocketId, UdpSocket)>> = sockets.into_iter().map(register).collect();
    let (Ok(sockets), Some(first)) = (sockets, queues.first()) else { return };
    let mut batch = Batch::new(limits::DATAGRAMS_AT_ONCE, limits::MESSAGE_BYTES, limits::MESSAGE_BYTES);
    let (mut woke_at, mut more) = (Time::ZERO, false);
    loop {
        // As the driver does.
        let awake = clock.now().since(woke_at);
        if !more && awake < limits::WAKE_GAP {
            std::thread::sleep(limits::WAKE_GAP - awake);
        }
        tokio::select! {
            // The shards have stopped.
            () = first.closed() => break,
            () = readable(&sockets) => {}
        }
        woke_at = clock.now();
        more = false;
        for (socket, io) in &sockets {
            for batches in 1..=limits::BATCHES_PER_WAKE {
                let received = io.try_io(Interest::READABLE, || {
                    match batch.receive(io.as_fd(), 0..limits::DATAGRAMS_AT_ONCE) {
                        0 => Err(io::ErrorKind::WouldBlock.into()),
                        count => Ok(count),
                    }
                });
                let received = received.unwrap_or(0);
                for slot in 0..received {
                    let Some((from, length)) = batch.received(slot) else { continue };
                    let bytes = Bytes::copy_from_slice(batch.slot(slot, length));
                    let queue = queues.get(rule.shard(from, &bytes)).unwrap_or(first);
                    let datagram = Datagram { socket: *socket, from, bytes };
                    if let Err(TrySendError::Full(_)) = queue.try_send(datagram) {
                        stats.dropped_shard.add(1);
                    }
                }
                if received < limits::DATAGRAMS_AT_ONCE {
                    break;
                }
                more |= batches == limits::BATCHES_PER_WAKE;
            }
        }
    }
    drop(sockets);
    drop(events);
}

async fn readable(sockets: &[(SocketId, UdpSocket)]) {
    poll_fn(|cx| match sockets.iter().any(|(_, io)| io.poll_recv_ready(cx).is_ready()) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_call_id_but_phones_and_what_has_none() {
        let ids = CallIds::new(3, 8);
        let (trunk, phone) = ("192.0.2.1:5060".parse().unwrap(), "198.51.100.1:5060".parse().unwrap());
        let all = Rule { ids, trunks: None };
        let (_keep, trunks) = watch::channel(AcceptFrom::Only(vec!["192.0.2.0/24".parse().unwrap()]));
        let phones = Rule { ids, trunks: Some(trunks) };
        let mut seen = std::collections::BTreeSet::new();
        for n in 0..100 {
            let id = format!("id-{n}");
            let expected = ids.shard(id.as_bytes());
            for (line, name) in [("INVITE sip:a SIP/2.0", "Call-ID"), ("SIP/2.0 200 OK", "i ")] {
                let text = format!(
                    "{line}\r\nVia: SIP/2.0/UDP h\r\n{name}: {id}\r\nCSeq: 1 INVITE\r\n\r\nCall-ID: x"
                );
                assert_eq!(all.shard(phone, text.as_bytes()), expected);
                assert_eq!(phones.shard(trunk, text.as_bytes()), expected);
                assert_eq!(phones.shard(phone, text.as_bytes()), 0);
            }
            let register = format!("REGISTER sip:a SIP/2.0\r\nCall-ID: {id}\r\n\r\n");
            assert_eq!(all.shard(phone, register.as_bytes()), 0);
            seen.insert(expected);
        }
        assert_eq!(seen.len(), 8);
        assert_eq!((all.shard(trunk, b"\r\n\r\n"), all.shard(trunk, b"")), (0, 0));
    }
}
