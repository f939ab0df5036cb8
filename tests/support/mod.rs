//! What the system tests share: processes that are ended by pid, waiting for a condition, an HTTP client, a dialer
//! with its configuration, an agent with a phone.

mod desk;
mod dialer;
mod http;
mod network;

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

pub(crate) use desk::{Desk, FarEnd};
pub(crate) use dialer::{Dialer, PASSWORD, Site, campaign, carrier, carrier_with};
pub(crate) use http::Client;
pub(crate) use network::{Impairment, Network};

/// What a finished command left.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs our program to its end.
pub(crate) fn kraliki(args: &[&str]) -> Run {
    kraliki_reads(args, "")
}

/// As `kraliki`, with something to read.
pub(crate) fn kraliki_reads(args: &[&str], stdin: &str) -> Run {
    let mut child = Command::new(env!("CARGO_BIN_EXE_kraliki"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that does not read what it is given is no fault.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let output = child.wait_with_output().unwrap();
    Run {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A process in the background; killed when dropped.
pub(crate) struct Process {
    child: Child,
    lines: Receiver<String>,
    name: String,
}

impl Process {
    /// Starts it; both its outputs are gathered line by line.
    pub(crate) fn start(program: &str, args: &[&str], dir: &Path) -> Process {
        let mut child = Command::new(program)
            .args(args)
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("{program}: {e}"));
        let (sender, lines) = channel();
        let outputs: [Box<dyn std::io::Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for output in outputs {
            let sender = sender.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        break;
                    }
                }
            });
        }
        Process { child, lines, name: program.to_owned() }
    }

    /// Starts our program.
    pub(crate) fn kraliki(args: &[&str], dir: &Path) -> Process {
        Process::start(env!("CARGO_BIN_EXE_kraliki"), args, dir)
    }

    /// The first line, from now on, for which `pick` gives something.
    pub(crate) fn wait_line<T>(&mut self, most: Duration, mut pick: impl FnMut(&str) -> Option<T>) -> T {
        let until = Instant::now() + most;
        let mut seen = Vec::new();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    if let Some(found) = pick(&line) {
                        return found;
                    }
                    seen.push(line);
                }
                Err(_) => panic!("{} did not say what was waited for; it said {seen:#?}", self.name),
            }
        }
    }

    /// Waits for the end; gives the exit code and what it said.
    pub(crate) fn finish(mut self, most: Duration) -> (Option<i32>, Vec<String>) {
        let status = wait_for("the process to end", most, || self.child.try_wait().unwrap());
        let lines = std::iter::from_fn(|| self.lines.recv_timeout(Duration::from_millis(200)).ok()).collect();
        (status.code(), lines)
    }

    /// Whether it still runs.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").args(["-s", signal, &pid]).status();
    }

    /// SIGKILL, and gone.
    pub(crate) fn kill(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let said: Vec<String> = self.lines.try_iter().collect();
            eprintln!("{} said, and nobody read it: {said:#?}", self.name);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Polls until `probe` gives something; what is waited for is outside this process, so there is no event to wait on.
pub(crate) fn wait_for<T>(what: &str, most: Duration, mut probe: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + most;
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(Instant::now() < until, "waited {most:?} for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A port of this host, for UDP and TCP, that was free a moment ago; see `free_ports`.
pub(crate) fn free_port() -> u16 {
    free_ports(1)[0]
}

/// So many ports of this host, for UDP and TCP, that were free a moment ago, each given once in this process.
/// None is one of those that the system gives to sockets that ask for any (32768 and above): such a socket could take a
/// port between its finding and its use.
pub(crate) fn free_ports(count: u16) -> Vec<u16> {
    const FIRST: u32 = 12_000;
    // From here on a demo takes its ports, which may run beside.
    const END: u32 = 16_000;
    static TRIED: Mutex<u32> = Mutex::new(0);
    // Two runs at once begin at different places.
    let begin = std::process::id() % 20 * 200;
    let mut tried = TRIED.lock().unwrap_or_else(PoisonError::into_inner);
    let mut found = Vec::new();
    while found.len() < usize::from(count) {
        assert!(*tried < END - FIRST, "no {count} free ports");
        let port = u16::try_from(FIRST + (begin + *tried) % (END - FIRST)).unwrap();
        *tried += 1;
        if free(port) {
            found.push(port);
        }
    }
    found
}

/// Whether a port is free for UDP at both loopback addresses, and for TCP.
fn free(port: u16) -> bool {
    let taken = |address: &str| {
        let bound = UdpSocket::bind((address, port));
        matches!(bound, Err(e) if e.kind() == ErrorKind::AddrInUse)
    };
    !taken("127.0.0.1") && !taken("::1") && TcpListener::bind(("127.0.0.1", port)).is_ok()
}

/// The first of so many ports of this host, one after another, that were free a moment ago, for UDP and TCP: even, and
/// given to nobody else in this process.
pub(crate) fn free_block(ports: u16) -> u16 {
    // Below the system's own choices (32768), above those that our commands take by default.
    const FIRST: u32 = 24_000;
    const END: u32 = 32_700;
    // Where the last block ended. A block is used a while after it was found: no other may begin within it.
    static NEXT: Mutex<Option<u32>> = Mutex::new(None);
    let step = u32::from(ports.next_multiple_of(2));
    // Two runs at once begin at different places.
    let begin = FIRST + std::process::id() % 40 * 200;
    let mut next = NEXT.lock().unwrap_or_else(PoisonError::into_inner);
    for _ in 0..2 * (END - FIRST) / step {
        let base = next.unwrap_or(begin);
        let base = if base + step > END { FIRST } else { base };
        *next = Some(base + step);
        if (base..base + step).all(|port| free(u16::try_from(port).unwrap())) {
            return u16::try_from(base).unwrap();
        }
    }
    panic!("no block of {ports} free ports")
}
