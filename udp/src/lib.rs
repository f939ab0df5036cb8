//! Batches of datagrams by one system call, for the drivers of SIP and media: `recvmmsg` and `sendmmsg`, which the
//! standard library does not have. And [`Poller`], which tells what has come to many sockets.
//!
//! Measured: for 400 media legs a receive and a send by batches of 2 ms cost 5.1 µs a packet, a wake-up per packet
//! 9–10.
#![allow(unsafe_code)]

mod ready;

pub use ready::{Poller, Token, Waker};

use std::io;
use std::mem::{MaybeUninit, zeroed};
use std::net::{SocketAddr, UdpSocket};
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::null_mut;

use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};

/// Room for a batch of datagrams, in slots of one size, and the kernel's way to fill it.
pub struct Batch {
    slot_bytes: usize,
    receive_bytes: usize,
    bytes: Box<[u8]>,
    names: Box<[libc::sockaddr_storage]>,
    iovecs: Box<[libc::iovec]>,
    headers: Box<[libc::mmsghdr]>,
}

// SAFETY: the pointers in `iovecs` and `headers` are written and used within one call of `receive`.
unsafe impl Send for Batch {}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batch")
            .field("slots", &self.headers.len())
            .field("slot_bytes", &self.slot_bytes)
            .finish()
    }
}

impl Batch {
    /// So many slots of `slot_bytes`, of which `receive_bytes` are filled at most: what is longer is dropped.
    pub fn new(slots: usize, slot_bytes: usize, receive_bytes: usize) -> Batch {
        // SAFETY: for these three C structures all zeroes is a valid value.
        let (names, iovecs, headers) = unsafe {
            (
                vec![zeroed::<libc::sockaddr_storage>(); slots],
                vec![zeroed::<libc::iovec>(); slots],
                vec![zeroed::<libc::mmsghdr>(); slots],
            )
        };
        Batch {
            slot_bytes,
            receive_bytes: receive_bytes.min(slot_bytes),
            bytes: vec![0; slots.saturating_mul(slot_bytes)].into(),
            names: names.into(),
            iovecs: iovecs.into(),
            headers: headers.into(),
        }
    }

    /// Receives into the slots of `slots` what waits on the socket; gives how many.
    pub fn receive(&mut self, fd: BorrowedFd<'_>, slots: Range<usize>) -> usize {
        let bytes = self.bytes.chunks_exact_mut(self.slot_bytes.max(1)).skip(slots.start);
        let names = self.names.iter_mut().skip(slots.start);
        let iovecs = self.iovecs.iter_mut().skip(slots.start);
        let Some(headers) = self.headers.get_mut(slots) else { return 0 };
        for (((header, bytes), name), iovec) in headers.iter_mut().zip(bytes).zip(names).zip(iovecs) {
            *iovec = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: self.receive_bytes };
            header.msg_hdr.msg_name = (&raw mut *name).cast();
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            header.msg_hdr.msg_iov = &raw mut *iovec;
            header.msg_hdr.msg_iovlen = 1;
        }
        // SAFETY: every header points to a name and, by its one iovec, to a slot of at least `receive_bytes`, all owned
        // by `self`, which is borrowed mutably; the count is that of the headers.
        let count = unsafe {
            libc::recvmmsg(
                fd.as_raw_fd(),
                headers.as_mut_ptr(),
                headers.len() as libc::c_uint,
                libc::MSG_DONTWAIT,
                null_mut(),
            )
        };
        // Nothing there, interrupted, or an error that a UDP socket has once: all are no datagram.
        usize::try_from(count).unwrap_or(0)
    }

    /// Where the datagram of a slot came from, and its length; `None` for what is no IP address, and for a datagram
    /// that was too long for the slot.
    pub fn received(&self, slot: usize) -> Option<(SocketAddr, usize)> {
        let header = self.headers.get(slot)?;
        let name = self.names.get(slot)?;
        if header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0 {
            return None;
        }
        // SAFETY: the kernel wrote an address of `msg_namelen` bytes into the storage.
        let (_, address) = unsafe {
            SockAddr::try_init(|storage, len| {
                storage.cast::<libc::sockaddr_storage>().write(*name);
                *len = header.msg_hdr.msg_namelen;
                Ok(())
            })
            .ok()?
        };
        Some((address.as_socket()?, header.msg_len as usize))
    }

    /// A slot's bytes, with the room behind the datagram.
    pub fn slot_mut(&mut self, slot: usize) -> &mut [u8] {
        let start = slot.saturating_mul(self.slot_bytes);
        self.bytes.get_mut(start..start + self.slot_bytes).unwrap_or_default()
    }

    /// The first `len` bytes of a slot.
    pub fn slot(&self, slot: usize, len: usize) -> &[u8] {
        let start = slot.saturating_mul(self.slot_bytes);
        self.bytes.get(start..start + len.min(self.slot_bytes)).unwrap_or_default()
    }
}

/// Opens a socket on the address of another one, connected to a far end: it hears that far end alone, and the other socket
/// hears everybody else. What is sent by it needs no route looked up.
///
/// Until this returns, other programs of the machine could bind the address too; afterwards nobody can. What comes between
/// binding and connecting may be from anybody: look at where datagrams come from.
pub fn connect_beside(socket: &UdpSocket, to: SocketAddr) -> io::Result<UdpSocket> {
    let at = socket.local_addr()?;
    let beside = Socket::new(Domain::for_address(at), Type::DGRAM, Some(Protocol::UDP))?;
    beside.set_nonblocking(true)?;
    let shared = SockRef::from(socket);
    // socket(7): both must allow it.
    beside.set_reuse_address(true)?;
    shared.set_reuse_address(true)?;
    let bound = beside.bind(&at.into());
    shared.set_reuse_address(false)?;
    beside.set_reuse_address(false)?;
    bound?;
    beside.connect(&to.into())?;
    Ok(beside.into())
}

/// Sends batches by one socket; it keeps only its room.
#[derive(Default)]
pub struct Sender {
    names: Vec<SockAddr>,
    iovecs: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
}

// SAFETY: the pointers in `iovecs` and `headers` are written and used within one call of `send`.
unsafe impl Send for Sender {}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

impl Sender {
    /// Sends them all, in order; gives how many the kernel refused.
    pub fn send<'a>(
        &mut self,
        fd: BorrowedFd<'_>,
        datagrams: impl Iterator<Item = (&'a [u8], SocketAddr)>,
    ) -> usize {
        self.names.clear();
        self.iovecs.clear();
        self.headers.clear();
        for (bytes, to) in datagrams {
            self.names.push(SockAddr::from(to));
            self.iovecs
                .push(libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() });
        }
        for (name, iovec) in self.names.iter().zip(&mut self.iovecs) {
            // SAFETY: for this C structure all zeroes is a valid value.
            let mut header = unsafe { MaybeUninit::<libc::mmsghdr>::zeroed().assume_init() };
            header.msg_hdr.msg_name = name.as_ptr().cast_mut().cast();
            header.msg_hdr.msg_namelen = name.len();
            header.msg_hdr.msg_iov = &raw mut *iovec;
            header.msg_hdr.msg_iovlen = 1;
            self.headers.push(header);
        }
        let mut refused = 0;
        let mut rest = self.headers.as_mut_slice();
        while !rest.is_empty() {
            // SAFETY: each header points to a name and an iovec of `self` and by that to bytes that `datagrams` lent
            // for `'a`, which outlives this call; none of them changes or moves during it, and the kernel only reads
            // them. The count is that of `rest`.
            let sent = unsafe {
                libc::sendmmsg(
                    fd.as_raw_fd(),
                    rest.as_mut_ptr(),
                    rest.len() as libc::c_uint,
                    libc::MSG_DONTWAIT,
                )
            };
            // It stops before the first that fails: leave that one out.
            let done = match usize::try_from(sent) {
                Ok(done) if done > 0 => done,
                _ => {
                    refused += 1;
                    1
                }
            };
            rest = rest.get_mut(done..).unwrap_or_default();
        }
        refused
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    fn socket() -> (UdpSocket, SocketAddr) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        (socket, address)
    }

    #[test]
    fn a_batch_goes_and_comes() {
        let ((a, from), (b, to)) = (socket(), socket());
        let texts: Vec<Vec<u8>> = (0..10u8).map(|n| vec![n; 100 + usize::from(n)]).collect();
        let mut sender = Sender::default();
        assert_eq!(sender.send(a.as_fd(), texts.iter().map(|text| (&text[..], to))), 0);
        let mut batch = Batch::new(16, 128, 105);
        let mut got = 0;
        while got < 10 {
            got += batch.receive(b.as_fd(), got..16);
        }
        for (slot, text) in texts.iter().enumerate() {
            // What is longer than may be received is none.
            let expected = (text.len() <= 105).then_some((from, text.len()));
            assert_eq!(batch.received(slot), expected, "{slot}");
            if expected.is_some() {
                assert_eq!(batch.slot(slot, text.len()), &text[..]);
            }
        }
        assert_eq!(batch.slot_mut(0).len(), 128);
        assert_eq!((batch.slot(99, 1).len(), batch.receive(b.as_fd(), 20..30)), (0, 0));
    }

    #[test]
    fn a_socket_beside_another_hears_its_far_end_alone() {
        let ((a, at), (far, to), (other, elsewhere)) = (socket(), socket(), socket());
        let beside = connect_beside(&a, to).unwrap();
        for socket in [&a, &far, &other] {
            socket.set_nonblocking(true).unwrap();
        }
        other.send_to(b"other", at).unwrap();
        far.send_to(b"far", at).unwrap();
        let heard = |socket: &UdpSocket| socket.recv_from(&mut [0; 9]).ok().map(|(_, from)| from);
        assert_eq!((heard(&beside), heard(&beside)), (Some(to), None));
        assert_eq!((heard(&a), heard(&a)), (Some(elsewhere), None));
        beside.send(b"audio").unwrap();
        assert_eq!(heard(&far), Some(at));
        // Nobody else gets the port.
        let third = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
        third.set_reuse_address(true).unwrap();
        assert!(third.bind(&at.into()).is_err());
        drop(beside);
        far.send_to(b"far", at).unwrap();
        assert_eq!(heard(&a), Some(to));
    }

    #[test]
    fn one_that_the_kernel_refuses_does_not_hold_up_the_others() {
        let ((a, _), (b, to)) = (socket(), socket());
        let large = vec![0; 70_000];
        let list: [(&[u8], SocketAddr); 3] = [(b"one", to), (&large, to), (b"two", to)];
        assert_eq!(Sender::default().send(a.as_fd(), list.into_iter()), 1);
        let mut batch = Batch::new(4, 64, 64);
        let mut got = 0;
        while got < 2 {
            got += batch.receive(b.as_fd(), got..4);
        }
        assert_eq!((batch.slot(0, 3), batch.slot(1, 3)), (&b"one"[..], &b"two"[..]));
    }
}
