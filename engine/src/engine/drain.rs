//! Shutting down: no new calls, lines that ring are taken back, calls end or reach the deadline.

use std::time::Duration;

use kraliki_time::Time;

use crate::call::Stage;
use crate::timer::Timer;
use crate::{AgentId, AttemptId, CancelReason, Engine, Outcome, Output};

/// After the deadline, BYEs and the last writes get this long.
const LAST: Duration = Duration::from_secs(5);

/// How far a shutdown is.
#[derive(Debug)]
pub(crate) struct Drain {
    /// Calls were ended.
    ended: bool,
    /// Agents' times were written.
    closed: bool,
    /// Said that it is over.
    over: bool,
}

impl Engine {
    pub(crate) fn is_draining(&self) -> bool {
        self.drain.is_some()
    }

    /// Asked again, the new deadline holds.
    pub(crate) fn start_drain(&mut self, now: Time, deadline: Duration) {
        let drain = self.drain.get_or_insert(Drain { ended: false, closed: false, over: false });
        if drain.over {
            return;
        }
        drain.ended = false;
        self.timers.set(Timer::Deadline, now + deadline);
        self.timers.clear(Timer::Pace);
        let lines: Vec<AttemptId> = self.calls.keys().copied().collect();
        for id in lines {
            let Some(mut call) = self.calls.remove(&id) else { continue };
            if matches!(call.stage, Stage::Dialing | Stage::Ringing { .. }) {
                self.cancel(now, &mut call, CancelReason::Drain);
            }
            self.calls.insert(id, call);
        }
        let trunks: Vec<_> = self.trunks.keys().copied().collect();
        for trunk in trunks {
            self.pump(now, trunk); // what waits for its turn is not sent
        }
    }

    /// Calls are ended now; a little later it is over, whatever is still open.
    pub(crate) fn deadline(&mut self, now: Time) {
        let Some(drain) = &mut self.drain else { return };
        if std::mem::replace(&mut drain.ended, true) {
            self.close_drain(now);
            return;
        }
        self.timers.set(Timer::Deadline, now + LAST);
        let calls: Vec<AttemptId> = self.calls.keys().copied().collect();
        for id in calls {
            let Some(mut call) = self.calls.remove(&id) else { continue };
            match call.stage {
                Stage::Detecting { .. } | Stage::Waiting { .. } | Stage::Message { .. } => {
                    call = self.hang_up(now, call, Outcome::Abandoned);
                }
                Stage::Reserved(_) | Stage::Talking(_) | Stage::Held(_) | Stage::AgentLost(_) => {
                    call = self.hang_up(now, call, Outcome::Connected);
                }
                _ => {}
            }
            self.calls.insert(id, call);
        }
    }

    /// Whether the drain is over now: no call, and everything on disk.
    pub(crate) fn finish_drain(&mut self, now: Time) {
        let Some(drain) = &self.drain else { return };
        if drain.over || !self.calls.is_empty() {
            return;
        }
        if !drain.closed {
            self.close_agents(now);
        }
        if self.storing.is_done() {
            self.close_drain(now);
        }
    }

    fn close_drain(&mut self, now: Time) {
        self.close_agents(now);
        let Some(drain) = &mut self.drain else { return };
        self.timers.clear(Timer::Deadline);
        if !std::mem::replace(&mut drain.over, true) {
            self.out.push_back(Output::Drained);
        }
    }

    /// The time of agents' present states is written, as far as it goes.
    fn close_agents(&mut self, now: Time) {
        let Some(drain) = &mut self.drain else { return };
        if std::mem::replace(&mut drain.closed, true) {
            return;
        }
        let agents: Vec<AgentId> = self.agents.keys().copied().collect();
        for id in agents {
            let Some(agent) = self.agents.get(&id) else { continue };
            let (state, since) = (agent.state(), agent.since);
            let reason = match &agent.activity {
                crate::agent::Activity::Offline => continue,
                crate::agent::Activity::Paused(reason) => reason.clone(),
                _ => String::new(),
            };
            self.agent_time(id, state, reason, since, now.since(since));
        }
    }
}
