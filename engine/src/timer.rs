//! Timers: one enum, one table, a named reason each.

use std::collections::{BTreeMap, BTreeSet};

use kraliki_time::Time;
use serde::{Deserialize, Serialize};

use crate::{AgentId, AttemptId, CampaignId, TrunkId};

/// Why the engine wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Timer {
    /// The stage of a call has lasted as long as it may: ring time-out, verdict, grace, first packet, message, lost
    /// agent, unconfirmed clearing.
    Stage(AttemptId),
    /// A wrap-up ends by itself.
    WrapUp(AgentId),
    /// A Ready agent's leg stays away.
    LegAway(AgentId),
    /// A lead has been on an agent's screen as long as it may.
    Preview(AgentId),
    /// An agent's shift ends.
    ShiftEnd(AgentId),
    /// The next INVITE that waits for its turn under the trunk's calls per second.
    Send(TrunkId),
    /// A trunk that rested is asked whether it works again, or did not answer.
    Ask(TrunkId),
    /// A call is about to be as long as it may, or is.
    Longest(AttemptId),
    /// What a trunk may spend today is about to be used up.
    Spend(TrunkId),
    /// Calls from before a crash count no longer.
    Orphans,
    /// Leads may be due.
    Refill(CampaignId),
    /// The store is tried again.
    Probe,
    /// Numbers of campaigns and trunks go out.
    Publish,
    /// A pacing decision.
    Pace,
    /// Calls are ended now.
    Deadline,
}

/// The table. Setting a timer again moves it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Timers {
    at: BTreeMap<Timer, Time>,
    queue: BTreeSet<(Time, Timer)>,
}

impl Timers {
    pub(crate) fn set(&mut self, timer: Timer, at: Time) {
        if let Some(old) = self.at.insert(timer, at) {
            self.queue.remove(&(old, timer));
        }
        self.queue.insert((at, timer));
    }

    /// Sets it unless it is due earlier already.
    pub(crate) fn set_earlier(&mut self, timer: Timer, at: Time) {
        if self.at.get(&timer).is_none_or(|old| at < *old) {
            self.set(timer, at);
        }
    }

    pub(crate) fn clear(&mut self, timer: Timer) {
        if let Some(old) = self.at.remove(&timer) {
            self.queue.remove(&(old, timer));
        }
    }

    pub(crate) fn is_set(&self, timer: Timer) -> bool {
        self.at.contains_key(&timer)
    }

    /// How many are set.
    pub(crate) fn len(&self) -> usize {
        self.at.len()
    }

    /// The next moment to wake up at.
    pub(crate) fn next(&self) -> Option<Time> {
        self.queue.first().map(|(at, _)| *at)
    }

    /// Takes the first timer that is due.
    pub(crate) fn pop(&mut self, now: Time) -> Option<Timer> {
        let (at, timer) = *self.queue.first()?;
        if at > now {
            return None;
        }
        self.queue.pop_first();
        self.at.remove(&timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moves_and_pops_in_order() {
        let mut timers = Timers::default();
        timers.set(Timer::Pace, Time::from_millis(30));
        timers.set(Timer::Probe, Time::from_millis(20));
        timers.set(Timer::Pace, Time::from_millis(10));
        timers.set_earlier(Timer::Pace, Time::from_millis(40));
        timers.clear(Timer::Publish);
        assert_eq!(timers.next(), Some(Time::from_millis(10)));
        assert_eq!(timers.pop(Time::from_millis(9)), None);
        assert_eq!(timers.pop(Time::from_millis(25)), Some(Timer::Pace));
        assert_eq!(timers.pop(Time::from_millis(25)), Some(Timer::Probe));
        assert_eq!(timers.next(), None);
        assert!(!timers.is_set(Timer::Pace));
    }
}
