//! System calls that the standard library does not have: readiness, a thread's CPU time, the limit of open files. All
//! of the crate's unsafe code is here; batches of datagrams are kraliki-udp's.
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
pub(super) struct Poller {
    epoll: OwnedFd,
    events: Vec<libc::epoll_event>,
    ready: usize,
}

impl Poller {
    pub(super) fn new(waker: &Waker) -> io::Result<Poller> {
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

    pub(super) fn add(&self, fd: BorrowedFd<'_>, token: u64) -> io::Result<()> {
        self.add_for(fd, token, libc::EPOLLIN | libc::EPOLLET)
    }

    /// A socket that is told as long as it has something.
    pub(super) fn add_direct(&self, fd: BorrowedFd<'_>, token: u64) -> io::Result<()> {
        self.add_for(fd, token, libc::EPOLLIN)
    }

    /// A connection: it is also told when it can be written again.
    pub(super) fn add_stream(&self, fd: BorrowedFd<'_>, token: u64) -> io::Result<()> {
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

    pub(super) fn remove(&self, fd: BorrowedFd<'_>) {
        // SAFETY: both descriptors are open for the call; deleting takes no event (Linux 2.6.9 and later).
        let _ = unsafe {
            libc::epoll_ctl(self.epoll.as_raw_fd(), libc::EPOLL_CTL_DEL, fd.as_raw_fd(), null_mut())
        };
    }

    /// Waits until something is ready, at most for `timeout` (rounded up to milliseconds).
    pub(super) fn wait(&mut self, timeout: Option<Duration>) {
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
    pub(super) fn token(&self, n: usize) -> Option<Token> {
        let event = self.events.get(..self.ready)?.get(n)?;
        let token = event.u64;
        Some(if token == WAKE { Token::Waker } else { Token::Socket(token) })
    }
}

/// What is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Waker,
    Socket(u64),
}

/// Wakes a poller from another thread.
pub(super) struct Waker(OwnedFd);

impl Waker {
    pub(super) fn new() -> io::Result<Waker> {
        // SAFETY: no memory is passed; the result is checked before it is owned.
        unsafe {
            let fd = check(libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC))?;
            Ok(Waker(OwnedFd::from_raw_fd(fd)))
        }
    }

    pub(super) fn wake(&self) {
        let one = 1u64;
        // SAFETY: eight bytes of `one` are read. The counter is never read and would be full after 2^64 calls; each
        // write is an edge for the poller.
        let _ = unsafe { libc::write(self.0.as_raw_fd(), (&raw const one).cast(), size_of::<u64>()) };
    }
}

/// CPU time of the calling thread.
pub(super) fn thread_cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

/// Has the calling thread scheduled before others, where the process may ask for that: audio that waits for a busy core
/// is heard as gaps. Without the right to do so it stays as it is.
pub(super) fn prefer_this_thread() {
    const NICENESS: libc::c_int = -10;
    // SAFETY: no memory is passed. On Linux process 0 is the calling thread.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICENESS) };
}

/// Raises the soft limit of open files to `needed`, if the hard one allows it. Gives what is allowed now.
pub(super) fn raise_open_files(needed: u64) -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes one rlimit.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return u64::MAX;
    }
    if limit.rlim_cur < needed {
        let wanted = libc::rlimit { rlim_cur: needed.min(limit.rlim_max), ..limit };
        // SAFETY: the kernel reads one rlimit.
        if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const wanted) } == 0 {
            return wanted.rlim_cur;
        }
    }
    limit.rlim_cur
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
