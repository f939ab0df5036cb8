//! Machines: what becomes of a call that one answered, and what agents say of those that they were given.

use std::time::Duration;

use kraliki_time::Time;

use super::{Call, Course, Stage};
use crate::event::MachineSign;
use crate::limits::{GREETING_MOST, MESSAGE_LEAST, PROMPT_MOST};
use crate::pacing::Observation;
use crate::timer::Timer;
use crate::{
    AgentId, AttemptId, CommandError, Engine, LineEvent, MachineDetection, Mark, Message, Outcome, Output,
    Verdict, Write,
};

impl Engine {
    /// No person answered: the end, or a message behind the greeting.
    pub(crate) fn machine(&mut self, now: Time, mut call: Call, answered: Time, verdict: Verdict) -> Call {
        if !self.may_leave_message(&call, verdict) {
            let outcome = verdict.outcome().unwrap_or(Outcome::Machine);
            return self.hang_up(now, call, outcome);
        }
        if matches!(call.stage, Stage::Prompt { .. }) {
            self.out.push_back(Output::StopPlay { id: call.id });
        }
        self.shift(now, &mut call, Stage::Greeting { answered });
        self.timers.set(Timer::Stage(call.attempt()), now + GREETING_MOST);
        // Where the beep is what showed that it is a machine, the greeting is over.
        if call.beeped { self.leave_message(now, call, answered) } else { call }
    }

    /// Whether a message may be left. Rules of the lead's place that forbid it have their say here.
    fn may_leave_message(&self, call: &Call, verdict: Verdict) -> bool {
        let wanted = self
            .campaigns
            .get(&call.campaign)
            .is_some_and(|live| live.campaign.settings.machine_detection == MachineDetection::Voicemail);
        wanted && verdict == Verdict::Machine
    }

    /// A greeting's beep, or the quiet behind who spoke.
    pub(crate) fn greeting_heard(&mut self, now: Time, mut call: Call, event: LineEvent) -> Call {
        call.beeped |= event == LineEvent::Beep;
        match call.stage {
            Stage::Greeting { answered } => self.leave_message(now, call, answered),
            _ => call,
        }
    }

    /// The greeting is over, or was long enough.
    pub(crate) fn leave_message(&mut self, now: Time, mut call: Call, answered: Time) -> Call {
        let what = Message::Voicemail;
        self.out.push_back(Output::Play { id: call.id, campaign: call.campaign, what });
        self.shift(now, &mut call, Stage::Voicemail { answered });
        self.timers.set(Timer::Stage(call.attempt()), now + PROMPT_MOST);
        call
    }

    /// The message was played to its end.
    pub(crate) fn message_left(&mut self, now: Time, call: Call) -> Call {
        if now.since(call.since) < MESSAGE_LEAST {
            return call; // the end of the prompt that the message took the place of
        }
        self.counters.messages_left += 1;
        self.fact(now, Write::Marked { attempt: call.attempt(), mark: Mark::MessageLeft });
        self.hang_up(now, call, Outcome::Machine)
    }

    /// The agent who is to check a call that was taken for a machine's; none: it ends as such.
    pub(crate) fn checker_of(&mut self, now: Time, call: &Call, outcome: Outcome) -> Option<AgentId> {
        let share = self.campaigns.get(&call.campaign)?.campaign.settings.machine_sample;
        let checked = call.course == Course::Agents
            && matches!(outcome, Outcome::Machine | Outcome::Screened)
            && chance(self.seed, call.attempt()) < share;
        if checked { self.free_agent(now, call) } else { None }
    }

    /// Gives a call that was taken for a machine's to an agent, who says who it is.
    pub(crate) fn have_checked(&mut self, now: Time, mut call: Call, agent: AgentId, answered: Time) -> Call {
        let after = answered.since(call.dialed);
        let (known_after, lead) = (now.since(answered), call.traits);
        // It takes an agent as a person does: so the pacer counts it.
        self.observe_line(now, &call, Observation::Answered { after, person: true, known_after, lead });
        call.machine = Some(MachineSign::Sampled);
        self.counters.sampled += 1;
        self.fact(now, Write::Marked { attempt: call.attempt(), mark: Mark::Sampled });
        self.bridge(now, call, agent, answered, Duration::ZERO)
    }

    /// What an agent took for a person's call sounds like a machine's by now. They decide.
    pub(crate) fn sounds_like_a_machine(&mut self, call: &mut Call) {
        if call.bound().is_some() || call.machine.is_some() {
            return;
        }
        call.machine = Some(MachineSign::Sounds);
        self.counters.machine_signs += 1;
        self.show_call(call);
    }

    /// An agent says who answered their call. A machine is hung up on.
    pub(crate) fn machine_check(
        &mut self,
        now: Time,
        id: AttemptId,
        machine: bool,
    ) -> Result<(), CommandError> {
        let Some(mut call) = self.calls.remove(&id) else {
            return Err(CommandError::NotFound { what: "call".into(), id: id.0 });
        };
        if call.stage.talk().is_none() {
            self.calls.insert(id, call);
            let text = "only who has a call with an agent can say who answered it".into();
            return Err(CommandError::Conflict(text));
        }
        if call.machine.take() == Some(MachineSign::Sampled) {
            self.checked(now, &call, machine);
        }
        if machine {
            call = self.hang_up(now, call, Outcome::Machine);
        } else {
            self.show_call(&call);
        }
        self.calls.insert(id, call);
        Ok(())
    }

    /// A sampled call was checked.
    fn checked(&mut self, now: Time, call: &Call, machine: bool) {
        if machine {
            self.counters.sampled_machines += 1;
        } else {
            self.counters.sampled_persons += 1;
        }
        self.fact(now, Write::Marked { attempt: call.attempt(), mark: Mark::Checked { machine } });
        // By the time of the answer, as the store has it.
        let at_unix_ms = self.clock.unix_ms(call.stage.answered().unwrap_or(now));
        if let Some(live) = self.campaigns.get_mut(&call.campaign) {
            live.ledger.checked(at_unix_ms, !machine);
            live.dirty = true;
        }
    }
}

/// An attempt's lot, from 0 to 1: by the seed, so that a replay draws the same (splitmix64).
fn chance(seed: u64, attempt: AttemptId) -> f64 {
    let mut x = seed ^ attempt.0.unsigned_abs().wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^= x >> 31;
    (x >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lots_are_spread_and_the_same_each_time() {
        let drawn = |seed| (1..=20_000).filter(|n| chance(seed, AttemptId(*n)) < 0.05).count();
        for seed in [0, 1, u64::MAX] {
            assert!((880..1_120).contains(&drawn(seed)), "{}", drawn(seed));
            assert_eq!(drawn(seed), drawn(seed));
        }
        assert_ne!(chance(1, AttemptId(7)).to_bits(), chance(2, AttemptId(7)).to_bits());
    }
}
