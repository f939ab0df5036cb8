//! Every timer of RFC 3261 and RFC 6026, in one enum and one table.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use kraliki_time::Time;

use crate::limits::{T1, T2, T4};

/// What a wake-up is for. Names as in RFC 3261 table 4; L and M as in RFC 6026 §7.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    /// INVITE client: send the request again, doubling.
    A,
    /// INVITE client: no answer at all.
    B,
    /// INVITE client: absorb retransmissions of a non-2xx answer.
    D,
    /// Non-INVITE client: send the request again, doubling up to T2.
    E,
    /// Non-INVITE client: no final answer.
    F,
    /// INVITE server: send the non-2xx answer again until the ACK.
    G,
    /// INVITE server: the ACK to a non-2xx never came.
    H,
    /// INVITE server: absorb retransmitted ACKs.
    I,
    /// Non-INVITE server: absorb retransmitted requests.
    J,
    /// Non-INVITE client: absorb retransmitted answers.
    K,
    /// INVITE server: absorb retransmitted INVITEs after a 2xx; by then the ACK must have come (§13.3.1.4).
    L,
    /// INVITE client: answer retransmitted 2xx with the ACK.
    M,
    /// INVITE server: send the 2xx again until the ACK (§13.3.1.4).
    Accepted,
    /// INVITE client: no final answer after our CANCEL (§9.1).
    Cancelled,
    /// An answer to a call that we do not have has been cleared long enough.
    Stray,
    /// A call: a reliable provisional answer waits for its PRACK (RFC 3262 §3).
    Reliable,
    /// A call: its session is to be refreshed, or has not been (RFC 4028 §10).
    Session,
    /// A call: a change of ours that met one of the peer's is tried again (RFC 3261 §14.1).
    Again,
}

impl Timer {
    /// Whether it belongs to a call rather than to a transaction.
    pub(crate) fn is_of_call(self) -> bool {
        matches!(self, Timer::Reliable | Timer::Session | Timer::Again)
    }
}

impl Timer {
    /// The first (or only) interval over UDP.
    pub(crate) const fn first(self) -> Duration {
        const T1_X64: Duration = Duration::from_millis(T1.as_millis() as u64 * 64);
        match self {
            Timer::A | Timer::E | Timer::G | Timer::Accepted => T1,
            Timer::B | Timer::F | Timer::H | Timer::J | Timer::L | Timer::M => T1_X64,
            // "At least 32 seconds" (§17.1.1.2), which is 64*T1.
            Timer::D | Timer::Cancelled | Timer::Stray => T1_X64,
            Timer::I | Timer::K => T4,
            // A call's timers are armed for a moment, by `arm_at`.
            Timer::Reliable | Timer::Session | Timer::Again => T1,
        }
    }

    /// The interval after `last` for the timers that repeat.
    pub(crate) fn again(self, last: Duration) -> Duration {
        match self {
            // §17.1.1.2: the INVITE's interval doubles without a cap; timer B ends it.
            Timer::A => last * 2,
            _ => (last * 2).min(T2),
        }
    }
}

/// One wake-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) at: Time,
    /// The transaction's id, the stray's key, or the call. Whoever is woken checks that it is still waiting.
    pub(crate) target: u64,
    pub(crate) timer: Timer,
    pub(crate) interval: Duration,
}

/// All wake-ups. SIP knows about eight different intervals, so that each has a queue that is in order by itself:
/// arming and firing cost the same with ten calls and with a hundred thousand. Nothing is ever searched for or
/// taken out early; an entry whose target has moved on is dropped when its time comes. The few wake-ups of calls, for
/// any moment (a session timer's length is the peer's choice), have a heap.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    lanes: Vec<(Duration, VecDeque<Entry>)>,
    odd: BinaryHeap<Reverse<Odd>>,
}

/// A wake-up in the heap.
#[derive(Debug, PartialEq, Eq)]
struct Odd(Entry);

impl Ord for Odd {
    fn cmp(&self, other: &Odd) -> std::cmp::Ordering {
        (self.0.at, self.0.target).cmp(&(other.0.at, other.0.target))
    }
}

impl PartialOrd for Odd {
    fn partial_cmp(&self, other: &Odd) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Timers {
    pub(crate) fn arm(&mut self, now: Time, target: u64, timer: Timer) {
        self.arm_after(now, target, timer, timer.first());
    }

    pub(crate) fn arm_after(&mut self, now: Time, target: u64, timer: Timer, interval: Duration) {
        let entry = Entry { at: now + interval, target, timer, interval };
        match self.lanes.iter_mut().find(|(length, _)| *length == interval) {
            Some((_, lane)) => lane.push_back(entry),
            None => self.lanes.push((interval, VecDeque::from([entry]))),
        }
    }

    /// For a moment of any distance.
    pub(crate) fn arm_at(&mut self, at: Time, target: u64, timer: Timer) {
        self.odd.push(Reverse(Odd(Entry { at, target, timer, interval: Duration::ZERO })));
    }

    /// When to wake up next.
    pub(crate) fn next(&self) -> Option<Time> {
        let lanes = self.lanes.iter().filter_map(|(_, lane)| lane.front()).map(|entry| entry.at);
        lanes.chain(self.odd.peek().map(|odd| odd.0.0.at)).min()
    }

    /// The earliest wake-up that is due.
    pub(crate) fn pop(&mut self, now: Time) -> Option<Entry> {
        if self.odd.peek().is_some_and(|odd| odd.0.0.at <= now) {
            return self.odd.pop().map(|odd| odd.0.0);
        }
        let due = self.lanes.iter_mut().filter(|(_, lane)| lane.front().is_some_and(|entry| entry.at <= now));
        let (_, lane) = due.min_by_key(|(_, lane)| lane.front().map(|entry| entry.at))?;
        lane.pop_front()
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.lanes.iter().map(|(_, lane)| lane.len()).sum::<usize>() + self.odd.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fires_in_order_over_all_lanes() {
        let mut timers = Timers::default();
        let at = Time::from_millis;
        timers.arm(at(0), 1, Timer::B);
        timers.arm(at(0), 2, Timer::A);
        timers.arm(at(200), 3, Timer::A);
        timers.arm(at(200), 4, Timer::K);
        assert_eq!(timers.next(), Some(at(500)));
        assert!(timers.pop(at(499)).is_none());
        let mut order = Vec::new();
        while let Some(entry) = timers.pop(at(40_000)) {
            order.push((entry.target, entry.at.as_millis()));
        }
        assert_eq!(order, [(2, 500), (3, 700), (4, 5_200), (1, 32_000)]);
        assert_eq!((timers.next(), timers.len()), (None, 0));
    }

    #[test]
    fn intervals_double_as_the_rfc_says() {
        assert_eq!(Timer::A.again(Duration::from_secs(4)), Duration::from_secs(8));
        assert_eq!(Timer::E.again(Duration::from_secs(4)), Duration::from_secs(4));
        assert_eq!(Timer::B.first(), Duration::from_secs(32));
    }
}
