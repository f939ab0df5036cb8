//! System calls that the standard library does not have: a thread's CPU time, the limit of open files. All of the crate's
//! unsafe code is here; batches of datagrams and readiness are kraliki-udp's.
#![allow(unsafe_code)]

use std::time::Duration;

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
