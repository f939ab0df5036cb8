//! The least that a relay can cost on this machine: a process that passes packets on without looking at them, by the same
//! sockets, system calls and batches as ours. What ours costs beyond it is ours; machines compare by the ratio.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use kraliki_udp::{Batch, Poller, Sender, Token, Waker};
use serde::{Deserialize, Serialize};
use socket2::SockRef;

use super::load::{SLOTS, stamped};
use crate::process::tell;

/// As in our relay.
const WAKE_EVERY: Duration = Duration::from_millis(2);
const BATCH_DATAGRAMS: usize = 64;
const SHARED_READ: usize = 32;
const DATAGRAM_BYTES: usize = 1_600;
const RECEIVE_BUFFER_BYTES: usize = 8 << 20;
/// Of the socket that all agents send to.
const SHARED: u64 = u64::MAX - 1;

/// Passes packets between callers, each by a socket of its own, and agents, all by one.
#[derive(Args)]
pub(crate) struct Floor {
    #[arg(long)]
    callers: SocketAddr,
    /// One for each call
    #[arg(long, value_delimiter = ',')]
    agents: Vec<SocketAddr>,
}

/// Where it is heard.
#[derive(Serialize, Deserialize)]
pub(super) struct Heard {
    pub(super) callers: Vec<SocketAddr>,
    pub(super) agents: SocketAddr,
}

/// The agents of some calls: plain sockets, as many as browsers would have.
pub(super) struct Sockets {
    all: Vec<UdpSocket>,
    /// What is added to a packet, so that it is as long as an encrypted one.
    padding: usize,
}

struct Call {
    socket: UdpSocket,
    agent: SocketAddr,
}

impl Floor {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let waker = Waker::new()?;
        let mut poller = Poller::new(&waker)?;
        let open = || {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
            socket.set_nonblocking(true)?;
            Ok::<_, anyhow::Error>(socket)
        };
        let shared = open()?;
        SockRef::from(&shared).set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
        poller.add(shared.as_fd(), SHARED)?;
        let mut calls = Vec::new();
        let mut heard = Heard { callers: Vec::new(), agents: shared.local_addr()? };
        for (token, agent) in (0..).zip(&self.agents) {
            let socket = open()?;
            socket.connect(self.callers)?;
            poller.add_direct(socket.as_fd(), token)?;
            heard.callers.push(socket.local_addr()?);
            calls.push(Call { socket, agent: *agent });
        }
        tell(&heard)?;
        // The bench ends it by a signal.
        Passing::new(shared, calls).run(&mut poller)
    }
}

struct Passing {
    shared: UdpSocket,
    calls: Vec<Call>,
    batch: Batch,
    sender: Sender,
    /// What goes to agents: place in the batch, length, destination.
    to_agents: Vec<(usize, usize, SocketAddr)>,
    /// What goes to callers.
    to_callers: Vec<(usize, usize)>,
    used: usize,
    /// The call whose caller is next: who sent it is not looked up.
    next: usize,
}

impl Passing {
    fn new(shared: UdpSocket, calls: Vec<Call>) -> Passing {
        Passing {
            shared,
            calls,
            batch: Batch::new(BATCH_DATAGRAMS, DATAGRAM_BYTES, DATAGRAM_BYTES),
            sender: Sender::default(),
            to_agents: Vec::new(),
            to_callers: Vec::new(),
            used: 0,
            next: 0,
        }
    }

    fn run(mut self, poller: &mut Poller) -> anyhow::Result<()> {
        loop {
            std::thread::sleep(WAKE_EVERY);
            poller.wait(Some(Duration::ZERO));
            for n in 0.. {
                match poller.token(n) {
                    Some(Token::Socket(SHARED)) => self.read_shared(),
                    Some(Token::Socket(call)) => self.read_call(usize::try_from(call)?),
                    Some(Token::Waker) => {}
                    None => break,
                }
            }
            self.send();
        }
    }

    fn read_shared(&mut self) {
        loop {
            if self.used + SHARED_READ > BATCH_DATAGRAMS {
                self.send();
            }
            let slots = self.used..self.used + SHARED_READ;
            let count = self.batch.receive(self.shared.as_fd(), slots.clone());
            let lengths = slots.take(count).filter_map(|slot| Some((slot, self.batch.received(slot)?.1)));
            self.to_callers.extend(lengths);
            self.used += count;
            if count < SHARED_READ {
                return;
            }
        }
    }

    fn read_call(&mut self, call: usize) {
        if self.used >= BATCH_DATAGRAMS {
            self.send();
        }
        let Some(Call { socket, agent }) = self.calls.get(call) else { return };
        if let Ok((len, _)) = socket.recv_from(self.batch.slot_mut(self.used)) {
            self.to_agents.push((self.used, len, *agent));
            self.used += 1;
        }
    }

    fn send(&mut self) {
        for (slot, len) in self.to_callers.drain(..) {
            self.next = (self.next + 1) % self.calls.len().max(1);
            if let Some(Call { socket, .. }) = self.calls.get(self.next) {
                // What is lost is seen by the far ends.
                let _ = socket.send(self.batch.slot(slot, len));
            }
        }
        let datagrams = self.to_agents.iter().map(|(slot, len, to)| (self.batch.slot(*slot, *len), *to));
        self.sender.send(self.shared.as_fd(), datagrams);
        self.to_agents.clear();
        self.used = 0;
    }
}

impl Sockets {
    pub(super) fn open(count: usize, padding: usize) -> anyhow::Result<Sockets> {
        let open = |_| {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
            socket.set_nonblocking(true)?;
            Ok::<_, anyhow::Error>(socket)
        };
        Ok(Sockets { all: (0..count).map(open).collect::<anyhow::Result<_>>()?, padding })
    }

    /// Their addresses, as an argument.
    pub(super) fn addresses(&self) -> anyhow::Result<String> {
        let mut all = Vec::new();
        for socket in &self.all {
            all.push(socket.local_addr().context("an agent's address")?.to_string());
        }
        Ok(all.join(","))
    }

    pub(super) fn connect(&self, to: SocketAddr) -> anyhow::Result<()> {
        for socket in &self.all {
            socket.connect(to)?;
        }
        Ok(())
    }

    pub(super) fn say(&self, slot: usize, packet: &[u8]) -> u64 {
        let mut said = 0;
        for socket in self.all.iter().skip(slot).step_by(SLOTS) {
            let mut packet = stamped(packet);
            packet.resize(packet.len() + self.padding, 0);
            said += u64::from(socket.send(&packet).is_ok());
        }
        said
    }

    pub(super) fn hear(&self, slot: usize) -> u64 {
        let mut packet = [0; 2_000];
        let mut heard = 0;
        for socket in self.all.iter().skip(slot).step_by(SLOTS) {
            while socket.recv(&mut packet).is_ok() {
                heard += 1;
            }
        }
        heard
    }
}
