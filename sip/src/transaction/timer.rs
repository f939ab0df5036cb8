//! Every timer of RFC 3261 and RFC 6026, in one enum and one table.

use std::collections::{BTreeMap, VecDeque};
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
    /// A registration of ours is due: its refresh, or another try.
    Register,
    /// The binding of a phone may have expired.
    Binding,
    /// A call: a reliable provisional answer waits for its PRACK (RFC 3262 §3).
    Reliable,
    /// A call: its session is to be refreshed, or has not been (RFC 4028 §10).
    Session,
    /// A call: a change of ours that met one of the peer's is tried again (RFC 3261 §14.1).
    Again,
    /// A call: nothing was heard of its INVITE for as long as its owner waits.
    Silence,
}

impl Timer {
    /// Whether it belongs to a call rather than to a transaction.
    pub(crate) fn is_of_call(self) -> bool {
        matches!(self, Timer::Reliable | Timer::Session | Timer::Again | Timer::Silence)
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
            // These have no interval: they are armed for a moment.
            Timer::Reliable
            | Timer::Session
            | Timer::Again
            | Timer::Silence
            | Timer::Register
            | Timer::Binding => Duration::ZERO,
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
    /// The transaction's id, or the key of the stray, call, registration or binding. Whoever is woken checks that it is
    /// still waiting.
    pub(crate) target: u64,
    pub(crate) timer: Timer,
    pub(crate) interval: Duration,
}

/// All wake-ups. SIP knows about eight different intervals, so that each has a queue that is in order by itself:
/// arming and firing cost the same with ten calls and with a hundred thousand. Nothing is ever searched for or
/// taken out early; an entry whose target has moved on is dropped when its time comes. Calls, registrations and bindings
/// have moments of their own and stand apart.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    lanes: Vec<(Duration, VecDeque<Entry>)>,
    /// By moment, then in the order of arming.
    moments: BTreeMap<(Time, u64), (u64, Timer)>,
    armed: u64,
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

    pub(crate) fn arm_at(&mut self, at: Time, target: u64, timer: Timer) {
        self.armed += 1;
        self.moments.insert((at, self.armed), (target, timer));
    }

    /// When to wake up next.
    pub(crate) fn next(&self) -> Option<Time> {
        let lane = self.lanes.iter().filter_map(|(_, lane)| lane.front()).map(|entry| entry.at).min();
        lane.into_iter().chain(self.moment()).min()
    }

    fn moment(&self) -> Option<Time> {
        self.moments.first_key_value().map(|((at, _), _)| *at)
    }

    /// The earliest wake-up that is due.
    pub(crate) fn pop(&mut self, now: Time) -> Option<Entry> {
        let moment = self.moment().filter(|at| *at <= now);
        let due = self.lanes.iter_mut().filter_map(|(_, lane)| Some((lane.front()?.at, lane)));
        let lane = due.filter(|(at, _)| *at <= now).min_by_key(|(at, _)| *at);
        match lane {
            Some((at, lane)) if moment.is_none_or(|moment| at <= moment) => lane.pop_front(),
            _ => {
                moment?;
                let ((at, _), (target, timer)) = self.moments.pop_first()?;
                Some(Entry { at, target, timer, interval: Duration::ZERO })
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.lanes.iter().map(|(_, lane)| lane.len()).sum::<usize>() + self.moments.len()
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
        timers.arm_at(at(700), 6, Timer::Binding);
        timers.arm_at(at(40_001), 7, Timer::Register);
        timers.arm_at(at(600), 5, Timer::Register);
        assert_eq!(timers.next(), Some(at(500)));
        assert!(timers.pop(at(499)).is_none());
        let mut order = Vec::new();
        while let Some(entry) = timers.pop(at(40_000)) {
            order.push((entry.target, entry.at.as_millis()));
        }
        assert_eq!(order, [(2, 500), (5, 600), (3, 700), (6, 700), (4, 5_200), (1, 32_000)]);
        assert_eq!((timers.next(), timers.len()), (Some(at(40_001)), 1));
    }

    #[test]
    fn intervals_double_as_the_rfc_says() {
        assert_eq!(Timer::A.again(Duration::from_secs(4)), Duration::from_secs(8));
        assert_eq!(Timer::E.again(Duration::from_secs(4)), Duration::from_secs(4));
        assert_eq!(Timer::B.first(), Duration::from_secs(32));
    }
}
