//! Which of many sockets have something: `epoll`, and a way to wake a thread that waits for it.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::null_mut;
use std::time::Duration;

/// Readiness events taken at once.
const READY_AT_ONCE: usize = 1_024;
/// The token of the waker.
const WAKE: u64 = u64::MAX;

/// Tells which sockets have something, each time something new has come to them (edge-triggered); of direct ones as long as
/// they have (level-triggered).
pub struct Poller {
    epoll: OwnedFd,
    events: Vec<libc::epoll_event>,
    ready: usize,
}

impl std::fmt::Debug for Poller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Poller").field("ready", &self.ready).finish_non_exhaustive()
    }
}

impl Poller {
    /// One that `waker` wakes.
    pub fn new(waker: &Waker) -> io::Result<Poller> {
        // SAFETY: no memory is passed; the result is checked before it is owned.
        let epoll = unsafe {
            let fd = check(libc::epoll_create1(libc::EPOLL_CLOEXEC))?;
            OwnedFd::from_raw_fd(fd)
        };
        let poller =
            Poller { epoll, events: vec![libc::epoll_event { events: 0, u64: 0 }; READY_AT_ONCE], ready: 0 };
        poller.add(waker.0.as_fd(), WAKE)?;
        Ok(poller)
    }

    /// Watches a socket: it is told each time something new has come to it.
    pub fn add(&self, fd: BorrowedFd<'_>, token: u64) -> io::Result<()> {
        self.add_for(fd, token, libc::EPOLLIN | libc::EPOLLET)
    }

    /// A socket that is told as long as it has something.
    pub fn add_direct(&self, fd: BorrowedFd<'_>, token: u64) -> io::Result<()> {
        self.add_for(fd, token, libc::EPOLLIN)
    }

    /// A connection: it is also told when it can be written again.
    pub fn add_stream(&self, fd: BorrowedFd<'_>, token: u64) -> io::Result<()> {
        self.add_for(fd, token, libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLET)
    }

    fn add_for(&self, fd: BorrowedFd<'_>, token: u64, what: libc::c_int) -> io::Result<()> {
        let mut event = libc::epoll_event { events: what as u32, u64: token };
        // SAFETY: both descriptors are open for the call, and `event` outlives it.
        check(unsafe {
            libc::epoll_ctl(self.epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, fd.as_raw_fd(), &raw mut event)
        })?;
        Ok(())
    }

    /// Watches it no longer.
    pub fn remove(&self, fd: BorrowedFd<'_>) {
        // SAFETY: both descriptors are open for the call; deleting takes no event (Linux 2.6.9 and later).
        let _ = unsafe {
            libc::epoll_ctl(self.epoll.as_raw_fd(), libc::EPOLL_CTL_DEL, fd.as_raw_fd(), null_mut())
        };
    }

    /// Waits until something is ready, at most for `timeout` (rounded up to milliseconds).
    pub fn wait(&mut self, timeout: Option<Duration>) {
        let ms = timeout.map_or(-1, |t| {
            let whole = t.as_nanos().div_ceil(1_000_000);
            libc::c_int::try_from(whole).unwrap_or(libc::c_int::MAX)
        });
        let room = self.events.len() as libc::c_int;
        // SAFETY: the kernel writes at most `room` events, which is the vector's length.
        let count = unsafe { libc::epoll_wait(self.epoll.as_raw_fd(), self.events.as_mut_ptr(), room, ms) };
        // An interrupted wait is a short one.
        self.ready = usize::try_from(count).unwrap_or(0);
    }

    /// The `n`th ready socket's token.
    pub fn token(&self, n: usize) -> Option<Token> {
        let event = self.events.get(..self.ready)?.get(n)?;
        let token = event.u64;
        Some(if token == WAKE { Token::Waker } else { Token::Socket(token) })
    }
}

/// What is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    /// The waker: something waits elsewhere.
    Waker,
    /// A socket, by the token that it was added with.
    Socket(u64),
}

/// Wakes a poller from another thread.
#[derive(Debug)]
pub struct Waker(OwnedFd);

impl Waker {
    /// A waker for one poller.
    pub fn new() -> io::Result<Waker> {
        // SAFETY: no memory is passed; the result is checked before it is owned.
        unsafe {
            let fd = check(libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC))?;
            Ok(Waker(OwnedFd::from_raw_fd(fd)))
        }
    }

    /// Wakes the poller, now or when it waits next.
    pub fn wake(&self) {
        let one = 1u64;
        // SAFETY: eight bytes of `one` are read. The counter is never read and would be full after 2^64 calls; each
        // write is an edge for the poller.
        let _ = unsafe { libc::write(self.0.as_raw_fd(), (&raw const one).cast(), size_of::<u64>()) };
    }
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
