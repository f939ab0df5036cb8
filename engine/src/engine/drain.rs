//! Shutting down: no new calls, lines that ring are taken back, calls end or reach the deadline.

use std::time::Duration;

use kraliki_time::Time;
use serde::{Deserialize, Serialize};

use crate::call::{Cause, Stage};
use crate::timer::Timer;
use crate::{AgentId, AttemptId, CancelReason, Engine, Outcome, Output};

/// After the deadline, CANCELs and BYEs get this long to be confirmed.
const LAST_CONFIRMS: Duration = Duration::from_secs(5);
/// And then the last writes this long.
const LAST_WRITES: Duration = Duration::from_secs(3);

/// How far a shutdown is.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Drain {
    phase: Phase,
    /// Agents' times were written.
    closed: bool,
    /// Said that it is over.
    over: bool,
}

/// What the next deadline is for.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Phase {
    /// Calls may end by themselves until then.
    Calls,
    /// Their ends may be confirmed until then.
    Confirms,
    /// What is not on disk then is recovered at the next start.
    Writes,
}

impl Engine {
    pub(crate) fn is_draining(&self) -> bool {
        self.drain.is_some()
    }

    /// Asked again, the new deadline holds.
    pub(crate) fn start_drain(&mut self, now: Time, deadline: Duration) {
        let drain = self.drain.get_or_insert(Drain { phase: Phase::Calls, closed: false, over: false });
        if drain.over {
            return;
        }
        drain.phase = Phase::Calls;
        self.timers.set(Timer::Deadline, now + deadline);
        self.timers.clear(Timer::Pace);
        self.take_from_screens(now, |_| true);
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

    /// Calls are ended now; a little later they are written off, and a little later it is over.
    pub(crate) fn deadline(&mut self, now: Time) {
        let Some(drain) = &mut self.drain else { return };
        let (next, wait) = match drain.phase {
            Phase::Calls => (Phase::Confirms, LAST_CONFIRMS),
            Phase::Confirms => (Phase::Writes, LAST_WRITES),
            Phase::Writes => return self.close_drain(now),
        };
        let phase = std::mem::replace(&mut drain.phase, next);
        self.timers.set(Timer::Deadline, now + wait);
        match phase {
            Phase::Calls => self.end_calls(now),
            _ => self.write_off(now),
        }
    }

    fn end_calls(&mut self, now: Time) {
        let calls: Vec<AttemptId> = self.calls.keys().copied().collect();
        for id in calls {
            let Some(mut call) = self.calls.remove(&id) else { continue };
            match call.stage {
                Stage::Detecting { .. }
                | Stage::Waiting { .. }
                | Stage::Message { .. }
                | Stage::Prompt { .. }
                | Stage::Greeting { .. }
                | Stage::Voicemail { .. } => {
                    let outcome = call.without_agent();
                    call = self.hang_up(now, call, outcome);
                }
                Stage::Reserved(_) | Stage::Talking(_) | Stage::Held(_) | Stage::AgentLost(_) => {
                    call = self.hang_up(now, call, Outcome::Connected);
                }
                _ => {}
            }
            self.calls.insert(id, call);
        }
    }

    /// What nobody confirmed is over all the same.
    fn write_off(&mut self, now: Time) {
        let calls: Vec<AttemptId> = self.calls.keys().copied().collect();
        for id in calls {
            let Some(mut call) = self.calls.remove(&id) else { continue };
            match call.stage {
                // Not acknowledged by the disk: it never was.
                Stage::Committing if call.failed.is_empty() => drop(self.calls.insert(id, call)),
                Stage::Committing => self.end_unsent(now, &mut call),
                Stage::Clearing => self.forget(now, &mut call),
                _ => {
                    self.end(now, &mut call, Outcome::Cancelled, Cause::default());
                    self.forget(now, &mut call);
                }
            }
            self.counters.unconfirmed += 1;
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
            let by = agent.by.as_ref().map(|by| by.by);
            self.agent_time(id, state, reason, (since, now), by);
            // What is written up to now is shown up to now: nobody counts it twice, or misses it.
            self.count_time(now, id);
            self.show_agent(id);
        }
    }
}
