//! The life of a call, state by state.

mod answer;
mod command;
mod disposition;
mod end;
mod fail_over;
mod hand_over;
mod line;
mod longest;
mod machine;
mod prompt;
mod routing;
mod serve;
mod spend;
mod stage;

use kraliki_time::Time;
use serde::{Deserialize, Serialize};

use crate::event::{CallState, CallView, Event, LeadView, MachineSign, RecordingState};
use crate::ledger::Entry;
use crate::pacing::{LineView, Traits};
use crate::timer::Timer;
use crate::trunk::Meter;
use crate::{AgentId, AttemptId, CampaignId, Engine, Lead, Outcome, Output, TrunkId, TryId};

pub(crate) use disposition::{Disposables, Dispose, Given};
pub(crate) use fail_over::FailedTry;
pub(crate) use hand_over::Part;
pub(crate) use line::Cause;
pub(crate) use routing::Idle;
pub(crate) use stage::{Stage, Talk};

/// What an answer leads to; settled when it is dialed, whatever the campaign's mode becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Course {
    /// To whichever agent is free.
    Agents,
    /// To the agent who dials it by hand, whoever answers.
    Bound(AgentId),
    /// To a prompt.
    Prompt,
}

/// What a block says of itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Blocked {
    pub(crate) status: Option<u16>,
    pub(crate) redress: String,
}

/// An attempt from its decision to its last confirmation.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Call {
    /// Its present try.
    pub(crate) id: TryId,
    pub(crate) campaign: CampaignId,
    pub(crate) trunk: TrunkId,
    pub(crate) lead: Lead,
    pub(crate) caller_id: String,
    /// What was known of the lead when it was dialed, and the chance that a person answers that followed from it.
    pub(crate) traits: Traits,
    pub(crate) answers: f64,
    pub(crate) course: Course,
    /// The tries before the present one, each over another trunk that could not take it.
    pub(crate) failed: Vec<FailedTry>,
    /// The command that waits for its commit.
    pub(crate) reply: Option<u64>,
    /// When the pacer, or an agent, wanted it.
    pub(crate) decided: Time,
    /// The wall clock when it was begun, as its record has it.
    pub(crate) began_unix_ms: i64,
    /// When the INVITE went out; until then the decision.
    pub(crate) dialed: Time,
    pub(crate) stage: Stage,
    /// Since when it is in that stage.
    pub(crate) since: Time,
    /// What its present try costs its trunk.
    pub(crate) meter: Meter,
    /// Where it can be contested that somebody blocks it.
    pub(crate) redress: String,
    /// Who blocked it.
    pub(crate) blocked: Option<Blocked>,
    /// When it is ended for its length; none: not within the next minute.
    pub(crate) ends: Option<Time>,
    /// Whether it is ended then because its trunk has spent what it may.
    pub(crate) over_cap: bool,
    /// Whether a packet of the far end came.
    pub(crate) rtp: bool,
    /// Whether the beep behind a greeting was heard, whoever was thought to be there.
    pub(crate) beeped: bool,
    /// Why its agent may think that a machine answered.
    pub(crate) machine: Option<MachineSign>,
    /// What the ledger says of it.
    pub(crate) entry: Option<Entry>,
    pub(crate) connected: Option<Time>,
    /// What agents had of it before the present one.
    pub(crate) parts: Vec<Part>,
    pub(crate) outcome: Option<Outcome>,
    /// Whether it is recorded now.
    pub(crate) recording: Option<RecordingState>,
    /// What its agent said of it.
    pub(crate) disposition: Option<Given>,
}

impl Call {
    pub(crate) fn attempt(&self) -> AttemptId {
        self.id.attempt
    }

    /// Who dials it by hand.
    pub(crate) fn bound(&self) -> Option<AgentId> {
        match self.course {
            Course::Bound(agent) => Some(agent),
            Course::Agents | Course::Prompt => None,
        }
    }

    /// How it ends when it is hung up before an agent has it. Only who was promised an agent is abandoned: everybody
    /// on a line that was dialed for agents, and in an agentless call those who asked for one. Never a call by hand:
    /// its agent was there when it was dialed, and ends it or loses the audio.
    pub(crate) fn without_agent(&self) -> Outcome {
        match (self.course, &self.stage) {
            // Whose agent was lost was promised another one.
            (_, Stage::Waiting { .. }) if !self.parts.is_empty() => Outcome::Abandoned,
            (_, Stage::Greeting { .. } | Stage::Voicemail { .. }) => Outcome::Machine,
            (_, Stage::Message { .. }) | (Course::Agents, _) | (Course::Prompt, Stage::Waiting { .. }) => {
                Outcome::Abandoned
            }
            (Course::Prompt, Stage::Prompt { .. }) => Outcome::PromptPlayed,
            (Course::Bound(_) | Course::Prompt, _) => Outcome::Cancelled,
        }
    }

    /// Whether people see it: from its first INVITE to the outcome.
    pub(crate) fn is_shown(&self) -> bool {
        match self.stage {
            Stage::Committing | Stage::Queued => !self.failed.is_empty(),
            Stage::Clearing => false,
            _ => true,
        }
    }
}

impl Engine {
    /// Moves a call to another stage and keeps the books: numbers, lines, the queue of people who wait, timers.
    pub(crate) fn shift(&mut self, now: Time, call: &mut Call, stage: Stage) {
        let id = call.attempt();
        let (from, to) = (call.stage.state(), stage.state());
        if let Some(live) = self.campaigns.get_mut(&call.campaign) {
            if let Stage::Waiting { since, .. } = call.stage {
                live.waiting.remove(&(since, id));
            }
            if let Stage::Waiting { since, .. } = stage {
                live.waiting.insert((since, id));
            }
            live.moved(from, to);
            let unsent = |stage: &Stage| u32::from(matches!(stage, Stage::Committing | Stage::Queued));
            live.unsent = live.unsent.saturating_sub(unsent(&call.stage)) + unsent(&stage);
            let for_agents = call.course == Course::Agents;
            if for_agents && stage.is_line() {
                let (dialed, ringing, answers) = (call.dialed, stage.ringing(), call.answers);
                live.lines.insert(id, LineView { dialed, ringing, answers });
            } else {
                live.lines.remove(&id);
            }
            match stage {
                Stage::Detecting { answered } => drop(live.detecting.insert(id, answered)),
                _ => drop(live.detecting.remove(&id)),
            }
        }
        self.timers.clear(Timer::Stage(id));
        let was_shown = call.is_shown();
        call.stage = stage;
        call.since = now;
        if call.is_shown() && (!was_shown || from != to) {
            self.show_call(call);
        }
        self.pace_wanted = true;
    }

    /// A call that is not in progress any more leaves: its channel and its lead are free.
    pub(crate) fn forget(&mut self, now: Time, call: &mut Call) {
        if call.stage != Stage::Clearing {
            self.shift(now, call, Stage::Clearing);
        }
        self.timers.clear(Timer::Stage(call.attempt()));
        self.timers.clear(Timer::Longest(call.attempt()));
        self.free_channel(call.trunk);
        self.in_flight.remove(&call.lead.id);
        self.numbers.remove(&call.lead.phone.0);
        if let Some(live) = self.campaigns.get_mut(&call.campaign) {
            live.calls = live.calls.saturating_sub(1);
            live.hopper.touch(call.lead.id);
            if live.calls == 0 && live.hopper.is_empty() {
                self.refill_soon(now, call.campaign); // is anything left?
            }
        }
        self.pace_wanted = true;
    }

    /// A try holds its channel no longer.
    fn free_channel(&mut self, trunk: TrunkId) {
        if let Some(line) = self.trunks.get_mut(&trunk) {
            line.channels = line.channels.saturating_sub(1);
            line.dirty = true;
        }
        self.retire(trunk);
    }

    /// The stage of a call lasted as long as it may.
    pub(crate) fn stage_timeout(&mut self, now: Time, id: AttemptId) {
        let Some(call) = self.calls.remove(&id) else { return };
        if let Some(call) = self.stage_over(now, call) {
            self.calls.insert(id, call);
        }
    }

    pub(crate) fn show_call(&mut self, call: &Call) {
        let view = self.call_view(call);
        self.out.push_back(Output::Event(Event::Call(view)));
    }

    pub(crate) fn call_view(&self, call: &Call) -> CallView {
        CallView {
            id: call.attempt(),
            campaign: call.campaign,
            state: call.stage.state().unwrap_or(CallState::Ended),
            since_unix_ms: self.clock.unix_ms(call.since),
            dialed_unix_ms: self.clock.unix_ms(call.dialed),
            connected_unix_ms: call.connected.map(|at| self.clock.unix_ms(at)),
            trunk: call.trunk,
            agent: call.stage.talk().map(|talk| talk.agent).or(call.bound()),
            outcome: call.outcome,
            disposition: call.disposition.as_ref().map(|given| given.code.clone()),
            recording: call.recording,
            machine: call.machine,
            caller_id: call.caller_id.clone(),
            ends_unix_ms: call.ends.map(|at| self.clock.unix_ms(at)),
            lead: LeadView::of(&call.lead),
        }
    }
}

impl LeadView {
    pub(crate) fn of(lead: &Lead) -> LeadView {
        LeadView {
            id: lead.id,
            phone: lead.phone.clone(),
            first_name: lead.first_name.clone(),
            last_name: lead.last_name.clone(),
            time_zone: lead.time_zone.clone(),
            country: lead.country.clone(),
            state: lead.state.clone(),
            consent: lead.consent.kind,
            attempts: lead.attempts,
            callback: lead.callback,
            custom: lead.custom.clone(),
        }
    }
}
