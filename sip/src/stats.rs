//! Counters, readable by anyone while the endpoint runs.

use std::sync::atomic::{AtomicU64, Ordering};

/// A counter with one writer: the thread that drives the endpoint, or the one that serves connections.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`. A load and a store, no locked instruction: there is one writer only.
    pub(crate) fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    pub(crate) fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    /// The count.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Methods that are counted by name, in the order of [`ByKind::methods`]; the last is for all others.
pub const METHODS: [&str; 10] =
    ["INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "UPDATE", "INFO", "REGISTER", "REFER", "other"];

/// Messages of one direction, by kind.
#[derive(Debug, Default)]
pub struct ByKind {
    /// Requests, in the order of [`METHODS`].
    pub methods: [Counter; METHODS.len()],
    /// Responses by status class: 1xx to 6xx.
    pub classes: [Counter; 6],
}

impl ByKind {
    pub(crate) fn request(&self, method: &[u8]) {
        let at = METHODS.iter().position(|name| name.as_bytes() == method).unwrap_or(METHODS.len() - 1);
        if let Some(counter) = self.methods.get(at) {
            counter.add(1);
        }
    }

    pub(crate) fn response(&self, status: u16) {
        if let Some(counter) = self.classes.get(usize::from(status / 100).wrapping_sub(1)) {
            counter.add(1);
        }
    }

    /// Counts a message that is being sent, by its first line.
    pub(crate) fn encoded(&self, bytes: &[u8]) {
        let end = bytes.iter().position(|b| *b == b' ').unwrap_or(0);
        match bytes.get(..end).unwrap_or_default() {
            b"SIP/2.0" => {
                let class = bytes.get(end + 1).map_or(0, |digit| u16::from(digit.wrapping_sub(b'0')));
                self.response(class.wrapping_mul(100));
            }
            method => self.request(method),
        }
    }
}

/// What the endpoint and its driver count.
#[derive(Debug, Default)]
pub struct Stats {
    /// Messages received.
    pub received: ByKind,
    /// Messages sent, retransmissions included.
    pub sent: ByKind,
    /// Requests and responses that were sent again.
    pub retransmitted: Counter,
    /// Requests that were received again.
    pub repeats: Counter,
    /// Dropped: not SIP, or not to be acted on.
    pub dropped_malformed: Counter,
    /// Requests that were answered with 400, 414, 416, 501, 505 or 513 because they are malformed.
    pub refused_malformed: Counter,
    /// Dropped: from an address that no trunk has.
    pub dropped_source: Counter,
    /// Dropped: an answer to nothing that we asked.
    pub dropped_unmatched: Counter,
    /// Refused or dropped: a table was full.
    pub dropped_full: Counter,
    /// Calls that were refused because we are overloaded: from peers with 503, ours before anything was sent.
    pub refused_overload: Counter,
    /// Dropped: the queue of the shard that it was for was full, on a port that shards share.
    pub dropped_shard: Counter,
    /// Dropped: the socket would not take it, or gave an error.
    pub dropped_send: Counter,
    /// Dropped by the kernel because the receive buffer was full (RcvbufErrors of our sockets).
    pub dropped_receive_buffer: Counter,
    /// Calls placed.
    pub calls_out: Counter,
    /// Calls taken.
    pub calls_in: Counter,
    /// Calls that exist now.
    pub calls: Counter,
    /// Transactions that exist now, tombstones included.
    pub transactions: Counter,
    /// Calls that were cleared because nobody here knows them: forks, and calls from before a crash.
    pub strays: Counter,
    /// Bindings of phones that exist now.
    pub bindings: Counter,
    /// Digests that were wrong, unknown users among them.
    pub auth_failures: Counter,
    /// Users that were locked out at an address after too many wrong digests.
    pub lockouts: Counter,
    /// Connections that exist now, those that are being made included.
    pub connections: Counter,
    /// Connections that peers made; handshakes are done.
    pub connections_accepted: Counter,
    /// Connections that we made; handshakes are done.
    pub connections_made: Counter,
    /// Connections that we could not make, and accepted ones whose handshake or first message did not come in time
    /// or was not right.
    pub connections_failed: Counter,
    /// Connections of peers that were refused: too many in all, or from one address.
    pub connections_refused: Counter,
    /// Connections that were closed because the peer took so little that its queue was full.
    pub connections_overrun: Counter,
    /// Times that the driver paused reading because the owner was behind with its events.
    pub event_stalls: Counter,
}

impl Stats {
    /// Every counter. Nothing is left out: a new one does not compile before it is named here.
    fn counters(&self) -> impl Iterator<Item = &Counter> {
        let Stats {
            received,
            sent,
            retransmitted,
            repeats,
            dropped_malformed,
            refused_malformed,
            dropped_source,
            dropped_unmatched,
            dropped_full,
            refused_overload,
            dropped_shard,
            dropped_send,
            dropped_receive_buffer,
            calls_out,
            calls_in,
            calls,
            transactions,
            strays,
            bindings,
            auth_failures,
            lockouts,
            connections,
            connections_accepted,
            connections_made,
            connections_failed,
            connections_refused,
            connections_overrun,
            event_stalls,
        } = self;
        let kinds = [received, sent].into_iter().flat_map(|kinds| kinds.methods.iter().chain(&kinds.classes));
        kinds.chain([
            retransmitted,
            repeats,
            refused_overload,
            dropped_malformed,
            refused_malformed,
            dropped_source,
            dropped_unmatched,
            dropped_full,
            dropped_shard,
            dropped_send,
            dropped_receive_buffer,
            calls_out,
            calls_in,
            calls,
            transactions,
            strays,
            bindings,
            auth_failures,
            lockouts,
            connections,
            connections_accepted,
            connections_made,
            connections_failed,
            connections_refused,
            connections_overrun,
            event_stalls,
        ])
    }

    /// Sets every counter to the sum of the parts'.
    pub(crate) fn set_sums<'a>(&self, parts: impl IntoIterator<Item = &'a std::sync::Arc<Stats>>) {
        let mut sums = vec![0u64; self.counters().count()];
        for part in parts {
            sums.iter_mut().zip(part.counters()).for_each(|(sum, counter)| *sum += counter.get());
        }
        self.counters().zip(sums).for_each(|(counter, sum)| counter.set(sum));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_hold_every_counter() {
        let parts: Vec<_> = (0..3).map(|_| std::sync::Arc::new(Stats::default())).collect();
        for (at, part) in parts.iter().enumerate() {
            part.counters().enumerate().for_each(|(i, counter)| counter.add((i * (at + 1)) as u64));
        }
        let total = Stats::default();
        // Twice: a sum is no addition to the one before.
        for _ in 0..2 {
            total.set_sums(&parts);
            assert!(total.counters().enumerate().all(|(i, counter)| counter.get() == 6 * i as u64));
        }
        assert_eq!(total.counters().count() * size_of::<Counter>(), size_of::<Stats>());
    }

    #[test]
    fn kinds() {
        let kinds = ByKind::default();
        kinds.encoded(b"SIP/2.0 486 Busy Here\r\n");
        kinds.encoded(b"BYE sip:a SIP/2.0\r\n");
        kinds.encoded(b"FOO sip:a SIP/2.0\r\n");
        kinds.encoded(b"");
        assert_eq!(kinds.classes[3].get(), 1);
        assert_eq!(kinds.methods[2].get(), 1);
        assert_eq!(kinds.methods[9].get(), 2);
        kinds.response(700);
        kinds.response(0);
    }
}
