//! From the answer to an agent, or to the message that nobody is there.

use std::time::Duration;

use kraliki_time::Time;

use super::{Call, Course, Stage, Talk};
use crate::agent::{Activity, Next};
use crate::limits::{DETECT_MOST, FIRST_PACKET_MOST, MESSAGE_MOST};
use crate::pacing::Observation;
use crate::timer::Timer;
use crate::{AgentId, CancelReason, Engine, Message, Output, Write};

impl Engine {
    /// A 200 came. One that crossed our CANCEL is a person who picked up: whoever took the line back, they are served,
    /// unless a person asked for the end.
    pub(crate) fn answered(
        &mut self,
        now: Time,
        mut call: Call,
        dialog: Vec<u8>,
        detecting: bool,
    ) -> Option<Call> {
        let refused = matches!(call.stage, Stage::Cancelling { reason: CancelReason::Command, .. });
        match call.stage {
            Stage::Dialing | Stage::Ringing { .. } | Stage::Cancelling { .. } => {}
            Stage::Clearing => {
                // Given up on and answered after all: it must not stay up.
                self.out.push_back(Output::Hangup { id: call.id });
                return Some(call);
            }
            _ => {
                self.counters.stray += 1;
                return Some(call);
            }
        }
        self.trunk_sign(now, &call, crate::trunk::Sign::Good);
        let at_unix_ms = self.clock.unix_ms(now);
        self.count_answer(now, &mut call);
        self.fact(now, Write::Answered { id: call.id, dialog, at_unix_ms });
        if refused {
            // A person picked up and hears nothing: no better than abandoned, unless nobody was promised an agent.
            let outcome = call.without_agent();
            return Some(self.hang_up(now, call, outcome));
        }
        // Who dials by hand hears for themselves who answered.
        if !detecting || call.bound().is_some() {
            return Some(self.person(now, call, now));
        }
        self.shift(now, &mut call, Stage::Detecting { answered: now });
        self.timers.set(Timer::Stage(call.attempt()), now + DETECT_MOST);
        Some(call)
    }

    /// A person is there, from now on: an agent, or a place in the queue.
    pub(crate) fn person(&mut self, now: Time, mut call: Call, answered: Time) -> Call {
        let after = answered.since(call.dialed);
        let (known_after, lead) = (now.since(answered), call.traits);
        self.observe_line(now, &call, Observation::Answered { after, person: true, known_after, lead });
        match call.course {
            Course::Agents => {}
            Course::Bound(agent) if self.is_bound(agent, call.attempt()) => {
                return self.bridge(now, call, agent, answered, Duration::ZERO);
            }
            Course::Bound(_) => {
                let outcome = call.without_agent();
                return self.hang_up(now, call, outcome);
            }
            Course::Prompt => return self.prompt(now, call, answered),
        }
        if let Some(agent) = self.free_agent(now, &call) {
            return self.bridge(now, call, agent, answered, Duration::ZERO);
        }
        let grace = self.grace(&call);
        if grace.is_zero() {
            return self.abandon(now, call);
        }
        self.shift(now, &mut call, Stage::Waiting { answered, since: now });
        self.timers.set(Timer::Stage(call.attempt()), now + grace);
        call
    }

    pub(crate) fn grace(&self, call: &Call) -> Duration {
        self.campaigns.get(&call.campaign).map_or(Duration::ZERO, |live| live.terms.grace)
    }

    /// Gives a person to an agent.
    pub(crate) fn bridge(
        &mut self,
        now: Time,
        mut call: Call,
        agent: AgentId,
        answered: Time,
        waited: Duration,
    ) -> Call {
        // Who asked for an agent by a key waits by their own choice.
        let late = call.course == Course::Agents && waited > self.grace(&call);
        let wait_ms = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
        self.out.push_back(Output::Bridge { id: call.id, agent });
        if !call.parts.is_empty() {
            return self.bridge_on(now, call, agent, answered);
        }
        self.record(&mut call, agent);
        let at_unix_ms = self.clock.unix_ms(now);
        self.fact(
            now,
            Write::Connected {
                attempt: call.attempt(),
                agent,
                at_unix_ms,
                wait_ms: u32::try_from(wait_ms).unwrap_or(u32::MAX),
                late,
            },
        );
        self.enter_ledger(&mut call, answered, late);
        self.counters.wait_ms.record(wait_ms);
        self.counters.late += u64::from(late);
        self.observe_line(now, &call, Observation::Served { waited });
        call.connected = Some(now);
        self.reserve(now, call, agent, answered)
    }

    /// From the bridge to the first packet the call is the agent's, and the agent the call's.
    pub(super) fn reserve(&mut self, now: Time, mut call: Call, agent: AgentId, answered: Time) -> Call {
        let talk = Talk { answered, agent, bridged: now, heard: false };
        self.shift(now, &mut call, Stage::Reserved(talk));
        self.timers.set(Timer::Stage(call.attempt()), now + FIRST_PACKET_MOST);
        if let Some(live) = self.agents.get_mut(&agent) {
            live.calls = live.calls.saturating_add(1);
            if std::mem::take(&mut live.last_call) && live.next.is_none() {
                live.next = Some(Next::Offline);
            }
        }
        self.enter(now, agent, Activity::Reserved(call.attempt()));
        call
    }

    /// The caller is heard by the agent.
    pub(crate) fn first_packet(&mut self, now: Time, call: &mut Call, at: Time) {
        call.rtp = true;
        let Some(mut talk) = call.stage.talk() else { return };
        if talk.heard {
            return; // bridged again after the agent's return
        }
        talk.heard = true;
        // The bridge is made in the input that makes it possible: the answer, the verdict or the agent.
        let micros = u64::try_from(at.since(talk.bridged).as_micros()).unwrap_or(u64::MAX);
        self.counters.bridge_us.record(micros);
        match call.stage {
            Stage::Reserved(_) => {
                self.shift(now, call, Stage::Talking(talk));
                self.agent_talks(now, talk.agent, call.attempt());
            }
            Stage::Talking(_) => call.stage = Stage::Talking(talk),
            Stage::Held(_) => call.stage = Stage::Held(talk),
            Stage::AgentLost(_) => call.stage = Stage::AgentLost(talk),
            _ => {}
        }
    }

    /// Nobody is there for a person who answered: the message, then the end.
    pub(crate) fn abandon(&mut self, now: Time, mut call: Call) -> Call {
        let answered = call.stage.answered().unwrap_or(now);
        self.enter_ledger(&mut call, answered, true);
        self.observe(now, call.campaign, Observation::Abandoned);
        let what = Message::Abandoned;
        self.out.push_back(Output::Play { id: call.id, campaign: call.campaign, what });
        self.shift(now, &mut call, Stage::Message { answered });
        self.timers.set(Timer::Stage(call.attempt()), now + MESSAGE_MOST);
        call
    }

    /// By the time of the answer, as the store has it: a start finds the same sums there.
    pub(crate) fn enter_ledger(&mut self, call: &mut Call, answered: Time, abandoned: bool) {
        let at = self.clock.unix_ms(answered);
        if let Some(live) = self.campaigns.get_mut(&call.campaign) {
            // A call has one entry: one that had an agent and lost them may be abandoned after all.
            if let Some(entry) = call.entry.take() {
                live.ledger.strike(entry);
            }
            call.entry = Some(live.ledger.enter(at, abandoned));
        }
    }

    /// A call by hand teaches the pacer nothing: an agent chose whom to dial, and no machine is told from a person.
    pub(crate) fn observe_line(&mut self, now: Time, call: &Call, seen: Observation) {
        if call.bound().is_none() {
            self.observe(now, call.campaign, seen);
        }
    }

    pub(crate) fn observe(&mut self, now: Time, campaign: crate::CampaignId, seen: Observation) {
        if let Some(live) = self.campaigns.get_mut(&campaign) {
            live.observe(now, seen);
        }
    }
}
