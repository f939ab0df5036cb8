//! What a trunk may spend in a day is used up: nothing new is dialed, lines that nobody has answered are taken back, and
//! calls that run go on or are ended, as the trunk says.

use kraliki_time::Time;

use super::{Call, Stage};
use crate::limits::LONGEST_WARNING;
use crate::timer::Timer;
use crate::trunk::OverCap;
use crate::{AttemptId, CancelReason, Engine, TrunkId};

impl Engine {
    pub(super) fn is_used_up(&self, id: TrunkId) -> bool {
        self.trunks.get(&id).is_some_and(|line| line.today.is_used_up())
    }

    /// What runs on a trunk, or its limit, has changed: when the money will be used up.
    pub(crate) fn watch_spend(&mut self, now: Time, id: TrunkId) {
        let due = self.trunks.get(&id).and_then(|line| line.today.used_up_at(line.trunk.spend_per_day));
        match due {
            Some(at) => self.timers.set(Timer::Spend(id), at.max(now)),
            None => self.timers.clear(Timer::Spend(id)),
        }
    }

    /// One more minute of the calls that run is all that is left.
    pub(crate) fn spend_used_up(&mut self, now: Time, id: TrunkId) {
        let Some(line) = self.trunks.get_mut(&id) else { return };
        if !line.today.use_up(now, line.trunk.spend_per_day) {
            return self.watch_spend(now, id);
        }
        line.dirty = true;
        let on: Vec<AttemptId> =
            self.calls.iter().filter(|(_, call)| call.trunk == id).map(|(attempt, _)| *attempt).collect();
        for attempt in on {
            let Some(mut call) = self.calls.remove(&attempt) else { continue };
            match call.stage {
                Stage::Dialing => self.cancel(now, &mut call, CancelReason::Spend),
                Stage::Ringing { since } => self.stop_ringing(now, &mut call, since),
                _ => self.end_with_the_money(now, &mut call),
            }
            self.calls.insert(attempt, call);
        }
        // What waits for its turn is not sent.
        self.pump(now, id);
        self.pace_wanted = true;
    }

    /// A phone rings for the least time that the law wants, and no longer.
    fn stop_ringing(&mut self, now: Time, call: &mut Call, since: Time) {
        let least = self.campaigns.get(&call.campaign).map(|live| live.terms.ring_least).unwrap_or_default();
        if since + least <= now {
            self.cancel(now, call, CancelReason::Spend);
        } else {
            self.timers.set_earlier(Timer::Stage(call.attempt()), since + least);
        }
    }

    /// A call was answered: where the money is used up already, it and those beside it have less time.
    pub(super) fn share_the_rest(&mut self, now: Time, call: &mut Call) {
        if !self.is_used_up(call.trunk) {
            return;
        }
        self.end_with_the_money(now, call);
        let trunk = call.trunk;
        let beside = self.calls.iter().filter(|(_, other)| other.trunk == trunk).map(|(attempt, _)| *attempt);
        for attempt in beside.collect::<Vec<_>>() {
            if let Some(mut other) = self.calls.remove(&attempt) {
                self.end_with_the_money(now, &mut other);
                self.calls.insert(attempt, other);
            }
        }
    }

    /// An answered call over a trunk whose money is used up is given the minute that was kept for it, where it is to end.
    pub(super) fn end_with_the_money(&mut self, now: Time, call: &mut Call) {
        let Some(line) = self.trunks.get(&call.trunk) else { return };
        let ends = line.trunk.over_cap == OverCap::End && line.today.is_used_up();
        // One that is not answered, or over already, costs nothing.
        if !ends || !call.meter.runs() {
            return;
        }
        let at = now + line.today.lasts(now, line.trunk.spend_per_day).min(LONGEST_WARNING);
        if call.ends.is_some_and(|ends| ends <= at) {
            return;
        }
        (call.ends, call.over_cap) = (Some(at), true);
        self.timers.set(Timer::Longest(call.attempt()), at);
        self.show_call(call);
    }
}
