//! A call is ended when it is as long as its trunk lets calls be; its agent is told a minute before.

use std::time::Duration;

use kraliki_time::Time;

use super::{Call, Stage};
use crate::limits::LONGEST_WARNING;
use crate::timer::Timer;
use crate::{AttemptId, Engine, Outcome};

/// Recovery on timer expiry (Q.850): what stands in the record of a call that was too long.
const TOO_LONG: u16 = 102;

impl Engine {
    /// A call was answered: it costs from now on, counts for its caller id, and has its length before it.
    pub(crate) fn count_answer(&mut self, now: Time, call: &mut Call) {
        self.count_caller_id(now, &call.caller_id, |used| used.answers = used.answers.saturating_add(1));
        let Some(line) = self.trunks.get_mut(&call.trunk) else { return };
        line.today.answered(now, &mut call.meter);
        let longest = Duration::from_secs(line.trunk.longest_call_s.into());
        if !longest.is_zero() {
            let warning = longest.saturating_sub(LONGEST_WARNING);
            self.timers.set(Timer::Longest(call.attempt()), now + warning);
        }
    }

    /// It is about to be as long as it may, or is.
    pub(crate) fn longest(&mut self, now: Time, id: AttemptId) {
        let Some(mut call) = self.calls.remove(&id) else { return };
        let Some(answered) = call.stage.answered() else {
            self.calls.insert(id, call);
            return;
        };
        if call.ends.is_none() {
            let longest_s = self.trunks.get(&call.trunk).map_or(0, |line| line.trunk.longest_call_s);
            let ends = now.max(answered + Duration::from_secs(longest_s.into()));
            call.ends = Some(ends);
            self.timers.set(Timer::Longest(id), ends);
            self.show_call(&call);
        } else {
            self.counters.too_long += 1;
            let outcome = match call.stage {
                Stage::Reserved(_) | Stage::Talking(_) | Stage::Held(_) | Stage::AgentLost(_) => {
                    Outcome::Connected
                }
                _ => call.without_agent(),
            };
            call = self.hang_up_for(now, call, outcome, Some(TOO_LONG));
        }
        self.calls.insert(id, call);
    }
}
