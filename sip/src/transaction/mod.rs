//! Transactions (RFC 3261 §17 as corrected by RFC 6026): one table, four machines, one set of timers.
//!
//! A finished transaction stays as a small tombstone for its time: the cached answer or ACK and nothing more.

mod client_invite;
mod client_other;
mod server_invite;
mod server_other;
mod timer;

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::net::SocketAddr;

use bytes::Bytes;
use kraliki_time::Time;

pub(crate) use client_invite::ClientInvite;
pub(crate) use client_other::ClientOther;
pub(crate) use server_invite::ServerInvite;
pub(crate) use server_other::ServerOther;
pub(crate) use timer::{Entry, Timer, Timers};

use crate::endpoint::{CallKey, SocketId};
use crate::limits;

/// Where messages of a transaction or dialog go, and through which socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hop {
    pub(crate) socket: SocketId,
    pub(crate) to: SocketAddr,
}

/// A transaction: its place in the table in the low 24 bits, chance in the others. It is the branch of a client
/// transaction, so that an answer finds its transaction without a search and cannot be guessed by others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TxnId(pub(crate) u64);

const PLACE_BITS: u32 = 24;
const MAGIC: &[u8] = b"z9hG4bK";
const _: () = assert!(limits::TRANSACTIONS <= 1 << PLACE_BITS);

impl TxnId {
    fn place(self) -> usize {
        (self.0 & ((1 << PLACE_BITS) - 1)) as usize
    }

    /// The branch that carries this id (RFC 3261 §8.1.1.7).
    pub(crate) fn branch(self) -> [u8; 23] {
        let mut branch = [0u8; 23];
        branch[..7].copy_from_slice(MAGIC);
        branch[7..].copy_from_slice(&hex(self.0));
        branch
    }

    pub(crate) fn from_branch(branch: &[u8]) -> Option<TxnId> {
        unhex(branch.strip_prefix(MAGIC)?).map(TxnId)
    }
}

/// 16 hexadecimal digits.
#[allow(clippy::indexing_slicing)] // a nibble is below 16, and i below 16
pub(crate) fn hex(number: u64) -> [u8; 16] {
    let mut out = [0u8; 16];
    for (i, digit) in out.iter_mut().enumerate() {
        *digit = b"0123456789abcdef"[((number >> (60 - 4 * i)) & 15) as usize];
    }
    out
}

/// The number in exactly 16 hexadecimal digits.
pub(crate) fn unhex(digits: &[u8]) -> Option<u64> {
    if digits.len() != 16 {
        return None;
    }
    digits.iter().try_fold(0u64, |n, d| Some(n << 4 | u64::from((*d as char).to_digit(16)?)))
}

/// Who hears what becomes of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    Call(CallKey),
    /// An OPTIONS of ours, with when it was sent.
    Options(CallKey, Time),
    /// A BYE for a dialog known before a crash.
    Snapshot(CallKey),
    /// A REGISTER of ours.
    Register(CallKey),
    Nobody,
}

/// One transaction.
#[derive(Debug)]
pub(crate) struct Txn {
    pub(crate) id: TxnId,
    pub(crate) owner: Owner,
    pub(crate) hop: Hop,
    pub(crate) kind: Kind,
}

#[derive(Debug)]
pub(crate) enum Kind {
    ClientInvite(ClientInvite),
    ClientOther(ClientOther),
    ServerInvite(ServerKey, ServerInvite),
    ServerOther(ServerKey, ServerOther),
}

impl Txn {
    /// A provisional answer came.
    pub(crate) fn provisional(&mut self) {
        match &mut self.kind {
            Kind::ClientInvite(state @ ClientInvite::Calling { .. }) => {
                if let Some(request) = state.request().cloned() {
                    *state = ClientInvite::Proceeding { request, cancel: None };
                }
            }
            Kind::ClientOther(state @ ClientOther::Trying { .. }) => {
                if let Some(request) = state.request().cloned() {
                    *state = ClientOther::Proceeding { request };
                }
            }
            _ => {}
        }
    }
}

/// What a timer leads to.
#[derive(Debug)]
pub(crate) enum Fired {
    /// It came too late to matter.
    Nothing,
    /// Send these bytes again, and wake again after the next interval.
    Again(Bytes),
    /// The peer never answered (or acknowledged). With the INVITE that nobody heard.
    TimedOut(Option<Bytes>),
    /// The tombstone has stood long enough.
    Gone,
}

/// What makes two requests the same (RFC 3261 §17.2.3), as a keyed hash of 128 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ServerKey(pub(crate) u128);

/// Keys are hashes or counters already: one multiplication spreads them.
#[derive(Default)]
pub(crate) struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for b in bytes {
            self.write_u64(u64::from(*b));
        }
    }
    fn write_u64(&mut self, n: u64) {
        self.0 = (self.0.rotate_left(5) ^ n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    fn write_u128(&mut self, n: u128) {
        self.0 = n as u64;
    }
}

pub(crate) type SpreadMap<K, V> = HashMap<K, V, BuildHasherDefault<Spread>>;

/// All transactions.
#[derive(Debug, Default)]
pub(crate) struct Table {
    slots: Vec<Option<Txn>>,
    free: Vec<u32>,
    servers: SpreadMap<ServerKey, TxnId>,
    pub(crate) timers: Timers,
}

impl Table {
    /// Opens a transaction; `make` gives its state once its id is known. None when the table is full.
    pub(crate) fn open(
        &mut self,
        chance: u64,
        owner: Owner,
        hop: Hop,
        make: impl FnOnce(TxnId) -> Kind,
    ) -> Option<TxnId> {
        let place = match self.free.pop() {
            Some(place) => place as usize,
            None if self.slots.len() < limits::TRANSACTIONS => {
                self.slots.push(None);
                self.slots.len() - 1
            }
            None => return None,
        };
        let id = TxnId(chance << PLACE_BITS | place as u64);
        let kind = make(id);
        if let Kind::ServerInvite(key, _) | Kind::ServerOther(key, _) = &kind {
            self.servers.insert(*key, id);
        }
        *self.slots.get_mut(place)? = Some(Txn { id, owner, hop, kind });
        Some(id)
    }

    pub(crate) fn get_mut(&mut self, id: TxnId) -> Option<&mut Txn> {
        self.slots.get_mut(id.place())?.as_mut().filter(|txn| txn.id == id)
    }

    /// The request of a client transaction that has no final answer.
    pub(crate) fn sent(&mut self, id: TxnId) -> Option<Bytes> {
        match &self.get_mut(id)?.kind {
            Kind::ClientInvite(state) => state.request().cloned(),
            Kind::ClientOther(state) => state.request().cloned(),
            _ => None,
        }
    }

    pub(crate) fn server(&mut self, key: ServerKey) -> Option<&mut Txn> {
        let id = *self.servers.get(&key)?;
        self.get_mut(id)
    }

    pub(crate) fn close(&mut self, id: TxnId) {
        let Some(slot) = self.slots.get_mut(id.place()) else { return };
        let Some(txn) = slot.take_if(|txn| txn.id == id) else { return };
        self.free.push(id.place() as u32);
        if let Kind::ServerInvite(key, _) | Kind::ServerOther(key, _) = txn.kind {
            self.servers.remove(&key);
        }
    }

    /// Lets a due timer act. Repeating timers are armed again here.
    pub(crate) fn fire(&mut self, now: Time, entry: Entry) -> Option<(TxnId, Owner, Hop, Fired)> {
        let id = TxnId(entry.target);
        let txn = self.get_mut(id)?;
        let (owner, hop) = (txn.owner, txn.hop);
        let fired = match &mut txn.kind {
            Kind::ClientInvite(state) => state.fire(entry.timer),
            Kind::ClientOther(state) => state.fire(entry.timer),
            Kind::ServerInvite(_, state) => state.fire(entry.timer),
            Kind::ServerOther(_, state) => state.fire(entry.timer),
        };
        match fired {
            Fired::Again(_) => {
                let interval = match (&mut txn.kind, entry.timer) {
                    // §17.1.2.2: once a provisional answer has come, the interval is T2.
                    (Kind::ClientOther(state), Timer::E) if state.proceeding() => limits::T2,
                    _ => entry.timer.again(entry.interval),
                };
                self.timers.arm_after(now, entry.target, entry.timer, interval);
            }
            Fired::Gone => self.close(id),
            // A server's 2xx that was never acknowledged has its BYE sent by the call; all others end here.
            Fired::TimedOut(_) => self.close(id),
            Fired::Nothing => {}
        }
        Some((id, owner, hop, fired))
    }

    /// Requests of ours that went to `hop` and have no final answer; of an INVITE that nobody heard, itself.
    pub(crate) fn waiting_on(&self, hop: Hop) -> Vec<(TxnId, Owner, Option<Bytes>)> {
        let waits = |txn: &Txn| match &txn.kind {
            Kind::ClientInvite(ClientInvite::Calling { request }) => {
                Some((txn.id, txn.owner, Some(request.clone())))
            }
            Kind::ClientInvite(ClientInvite::Proceeding { .. })
            | Kind::ClientOther(ClientOther::Trying { .. } | ClientOther::Proceeding { .. }) => {
                Some((txn.id, txn.owner, None))
            }
            _ => None,
        };
        self.slots.iter().flatten().filter(|txn| txn.hop == hop).filter_map(waits).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_is_its_transaction() {
        let id = TxnId(0x0123_4567_89ab_cdef);
        assert_eq!(&id.branch(), b"z9hG4bK0123456789abcdef");
        assert_eq!(TxnId::from_branch(&id.branch()), Some(id));
        assert_eq!(TxnId::from_branch(b"z9hG4bK12"), None);
        assert_eq!(TxnId::from_branch(b"z9hG4bK0123456789abcdeg"), None);
    }

    #[test]
    fn an_old_id_does_not_find_the_new_transaction_in_its_place() {
        let mut table = Table::default();
        let hop = Hop { socket: SocketId(0), to: "127.0.0.1:5060".parse().unwrap() };
        let make = |_| Kind::ClientOther(ClientOther::Done);
        let first = table.open(1, Owner::Nobody, hop, make).unwrap();
        table.close(first);
        let second = table.open(2, Owner::Nobody, hop, make).unwrap();
        assert_eq!(first.place(), second.place());
        assert!(table.get_mut(first).is_none());
        table.close(first);
        assert_eq!(table.len(), 1);
    }
}
