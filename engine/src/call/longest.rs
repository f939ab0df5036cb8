//! A call is ended when it is as long as its trunk lets calls be; its agent is told a minute before.

use std::time::Duration;

use kraliki_time::Time;

use super::{Call, Stage};
use crate::limits::LONGEST_WARNING;
use crate::timer::Timer;
use crate::{AttemptId, Engine, Outcome};

/// Recovery on timer expiry (Q.850): what stands in the record of a call that was too long.
const TOO_LONG: u16 = 102;
/// Normal, unspecified: that of one whose trunk has spent what it may.
const OVER_CAP: u16 = 31;

impl Engine {
    /// A call was answered: it costs from now on, counts for its caller id, and has its length before it.
    pub(crate) fn count_answer(&mut self, now: Time, call: &mut Call) {
        self.count_caller_id(now, &call.caller_id, |used| used.answers = used.answers.saturating_add(1));
        let Some(line) = self.trunks.get_mut(&call.trunk) else { return };
        line.today.answered(now, &mut call.meter);
        self.set_longest(now, now, call);
        self.watch_spend(now, call.trunk);
        self.share_the_rest(now, call);
    }

    /// When its agent is to be told that it is about to be too long.
    pub(super) fn set_longest(&mut self, now: Time, answered: Time, call: &Call) {
        let longest_s = self.trunks.get(&call.trunk).map_or(0, |line| line.trunk.longest_call_s);
        let longest = Duration::from_secs(longest_s.into());
        let at = answered + longest.saturating_sub(LONGEST_WARNING);
        match longest.is_zero() {
            true => self.timers.clear(Timer::Longest(call.attempt())),
            false => self.timers.set(Timer::Longest(call.attempt()), at.max(now)),
        }
    }

    /// It is about to be as long as it may, or is.
    pub(crate) fn longest(&mut self, now: Time, id: AttemptId) {
        let Some(mut call) = self.calls.remove(&id) else { return };
        let Some(answered) = call.stage.answered() else {
            self.calls.insert(id, call);
            return;
        };
        if call.over_cap && !self.is_used_up(call.trunk) {
            // Another day began, or somebody raised the limit.
            (call.ends, call.over_cap) = (None, false);
            self.set_longest(now, answered, &call);
            self.show_call(&call);
        } else if call.ends.is_none() {
            let longest_s = self.trunks.get(&call.trunk).map_or(0, |line| line.trunk.longest_call_s);
            let ends = now.max(answered + Duration::from_secs(longest_s.into()));
            call.ends = Some(ends);
            self.timers.set(Timer::Longest(id), ends);
            self.show_call(&call);
        } else {
            self.counters.too_long += u64::from(!call.over_cap);
            self.counters.over_cap += u64::from(call.over_cap);
            let cause = if call.over_cap { OVER_CAP } else { TOO_LONG };
            let outcome = match call.stage {
                Stage::Reserved(_) | Stage::Talking(_) | Stage::Held(_) | Stage::AgentLost(_) => {
                    Outcome::Connected
                }
                _ => call.without_agent(),
            };
            call = self.hang_up_for(now, call, outcome, Some(cause));
        }
        self.calls.insert(id, call);
    }
}
