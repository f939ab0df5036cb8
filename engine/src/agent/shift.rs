//! The end of a shift: nothing is planned for an agent beyond it, and the agent goes after the call that runs then.

use kraliki_time::Time;

use super::{Activity, Next};
use crate::timer::Timer;
use crate::{AgentId, CommandError, Engine, PeopleChange, Write};

impl Engine {
    /// When everybody's shift ends: the clock was told, or teams changed.
    pub(crate) fn plan_shifts(&mut self, now: Time) {
        let there = self.agents.iter().filter(|(_, agent)| !matches!(agent.activity, Activity::Offline));
        for id in there.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.plan_shift(now, id);
        }
    }

    /// When an agent's shift ends.
    pub(crate) fn plan_shift(&mut self, now: Time, id: AgentId) {
        if !self.clock.known() {
            return;
        }
        let ends = self.people.shift_end(id, self.clock.unix_ms(now));
        let ends = ends.map(|unix_ms| self.clock.time_of(now, unix_ms));
        let Some(agent) = self.agents.get_mut(&id) else { return };
        // The clock is told again and again; a millisecond of jitter is no change.
        let near = |a: Time, b: Time| a.since(b).max(b.since(a)).as_millis() < 1_000;
        match (agent.shift_ends, ends) {
            (Some(old), Some(new)) if near(old, new) => return,
            (None, None) => return,
            _ => {}
        }
        agent.shift_ends = ends;
        match ends {
            Some(at) => self.timers.set(Timer::ShiftEnd(id), at),
            None => self.timers.clear(Timer::ShiftEnd(id)),
        }
        self.pace_wanted = true;
        self.show_agent(id);
    }

    /// It is time to go: at once, or after the call and its wrap-up.
    pub(crate) fn shift_over(&mut self, now: Time, id: AgentId) {
        if self.people.shifts.remove(&id).is_some() {
            self.people_version += 1;
            self.fact(now, Write::People(Box::new(PeopleChange::Shift(id, None))));
        }
        if let Some(agent) = self.agents.get_mut(&id) {
            agent.shift_ends = None;
            // Who is not there any more has nothing to leave.
            let _ = self.leave(now, id, Next::Offline, None);
        }
    }

    /// The agent takes one more call and goes; in a call it is this one.
    pub(crate) fn last_call(&mut self, now: Time, id: AgentId) -> Result<(), CommandError> {
        let agent = self.signed_in(id)?;
        match agent.activity {
            Activity::Ready => {
                agent.last_call = true;
                self.show_agent(id);
                Ok(())
            }
            _ => self.leave(now, id, Next::Offline, None),
        }
    }
}
