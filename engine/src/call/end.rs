//! How an attempt ends: once, with one outcome, and what follows for lead, agent and ledger.

use kraliki_time::Time;

use super::{Call, Cause, Given, Stage};
use crate::lead::phones::has_another;
use crate::lead::retry::{Tally, after_outcome};
use crate::limits::CLEAR_MOST;
use crate::pacing::Observation;
use crate::timer::Timer;
use crate::{Engine, LeadStatus, Outcome, Output, Write};

impl Engine {
    /// Ends an answered call: the outcome is known now, the confirmation comes later.
    pub(crate) fn hang_up(&mut self, now: Time, call: Call, outcome: Outcome) -> Call {
        self.hang_up_for(now, call, outcome, None)
    }

    /// As [`Engine::hang_up`], with a cause (Q.850) for the record.
    pub(crate) fn hang_up_for(
        &mut self,
        now: Time,
        mut call: Call,
        outcome: Outcome,
        q850: Option<u16>,
    ) -> Call {
        self.out.push_back(Output::Hangup { id: call.id });
        self.end(now, &mut call, outcome, Cause { status: Some(200), q850 });
        self.timers.set(Timer::Stage(call.attempt()), now + CLEAR_MOST);
        call
    }

    /// Writes how the try ended, and the outcome. The call is `Clearing` afterwards.
    pub(crate) fn end(&mut self, now: Time, call: &mut Call, outcome: Outcome, cause: Cause) {
        self.end_try(now, call, cause);
        self.end_attempt(now, call, outcome);
    }

    /// Writes how the present try ended.
    pub(crate) fn end_try(&mut self, now: Time, call: &mut Call, Cause { status, q850 }: Cause) {
        let at_unix_ms = self.clock.unix_ms(now);
        if let Some(line) = self.trunks.get_mut(&call.trunk) {
            line.today.over(now, &mut call.meter);
        }
        self.watch_spend(now, call.trunk);
        self.fact(now, Write::TryEnded { id: call.id, status, q850, at_unix_ms });
    }

    /// Writes the outcome, once.
    pub(crate) fn end_attempt(&mut self, now: Time, call: &mut Call, outcome: Outcome) {
        // Answered, and not one packet from then on: whatever we thought, nobody was there.
        let heard_us = outcome.is_person() || outcome == Outcome::PromptPlayed;
        let outcome = if heard_us && !call.rtp { Outcome::NoMedia } else { outcome };
        call.outcome = Some(outcome);
        if call.recording.take().is_some() {
            self.out.push_back(Output::StopRecording { id: call.id });
        }
        self.judge_caller_id(now, call, outcome);
        let at_unix_ms = self.clock.unix_ms(now);
        let lead = self.follow_up(call, outcome, at_unix_ms);
        let talk = call.stage.talk();
        if let Some(talk) = talk.filter(|_| !call.parts.is_empty()) {
            self.part_ends(now, call, talk, now);
        }
        let talked = match talk {
            Some(talk) if call.parts.is_empty() => now.since(talk.bridged),
            _ => call.parts.iter().map(|part| part.lasted).sum(),
        };
        let talk_ms = u64::try_from(talked.as_millis()).unwrap_or(u64::MAX);
        let suppress = match outcome {
            // RFC 8197: the called person said so to the network. Off the lists until somebody looks at it.
            Outcome::Unwanted if lead.status == LeadStatus::Suppressed => Some("unwanted (607)"),
            Outcome::OptedOut => Some("opted out by key"),
            _ => None,
        };
        self.fact(now, Write::AttemptEnded { attempt: call.attempt(), outcome, at_unix_ms, talk_ms, lead });
        match outcome {
            Outcome::Abandoned => {
                self.recent.abandoned(&call.lead.phone.0, call.attempt(), call.began_unix_ms, at_unix_ms);
            }
            Outcome::NotSent => self.recent.never_was(&call.lead.phone.0, call.attempt()),
            _ => {}
        }
        if let Some(reason) = suppress {
            self.suppress(now, &call.lead.phone.0, reason);
        }
        self.count_outcome(now, call, outcome);
        self.shift(now, call, Stage::Clearing);
        // For agents who look at the screen: the call is over before the far end confirms it.
        let mut view = self.call_view(call);
        view.agent = talk.map(|talk| talk.agent).or(call.bound());
        // Who dialed by hand sees that nothing was sent.
        if outcome != Outcome::NotSent || call.bound().is_some() {
            self.out.push_back(Output::Event(crate::Event::Call(view.clone())));
        }
        let Some(talk) = talk else {
            // Whoever had it last may say what came of it.
            if let Some(part) = call.parts.last().copied() {
                self.remember(call, outcome, part.agent);
            }
            return self.unbind(now, call);
        };
        self.remember(call, outcome, talk.agent);
        if outcome == Outcome::Connected {
            let lasted = now.since(talk.bridged);
            self.observe(now, call.campaign, Observation::TalkEnded { lasted });
            self.wrap_up(now, talk.agent, call.campaign, view);
        } else {
            // Nobody was there: there is nothing to write down.
            self.free(now, talk.agent);
        }
    }

    /// What becomes of the lead: what its agent said, else what the outcome says.
    fn follow_up(&mut self, call: &Call, outcome: Outcome, at_unix_ms: i64) -> crate::LeadChange {
        let Some(live) = self.campaigns.get(&call.campaign) else {
            return Tally::of(&call.lead).and(outcome).change(LeadStatus::Done, at_unix_ms);
        };
        let change = after_outcome(&live.campaign.settings, &mut self.zones, &call.lead, outcome, at_unix_ms);
        match &call.disposition {
            Some(Given { status, next_unix_ms, callback, .. }) => crate::LeadChange {
                status: *status,
                next_unix_ms: *next_unix_ms,
                callback: *callback,
                ..change
            },
            None if self.suppressed.contains(&call.lead.phone.0, call.campaign)
                && !has_another(&call.lead) =>
            {
                crate::LeadChange { status: LeadStatus::Suppressed, ..change }
            }
            None => change,
        }
    }

    fn count_outcome(&mut self, now: Time, call: &mut Call, outcome: Outcome) {
        if outcome.is_person() {
            let unlike = |entry: crate::ledger::Entry| outcome == Outcome::Abandoned && !entry.abandoned;
            if call.entry.is_none_or(unlike) {
                let answered = call.stage.answered().unwrap_or(now);
                self.enter_ledger(call, answered, outcome == Outcome::Abandoned);
            }
        } else if let Some(entry) = call.entry.take()
            && let Some(live) = self.campaigns.get_mut(&call.campaign)
        {
            live.ledger.strike(entry);
        }
        if matches!(outcome, Outcome::Machine | Outcome::Screened) && call.stage.talk().is_none() {
            let at = self.clock.unix_ms(call.stage.answered().unwrap_or(now));
            if let Some(live) = self.campaigns.get_mut(&call.campaign) {
                live.ledger.machine_ended(at);
            }
        }
        *self.counters.outcomes.entry(outcome).or_default() += 1;
        if let Some(live) = self.campaigns.get_mut(&call.campaign) {
            *live.outcomes.entry(outcome).or_default() += 1;
            live.dirty = true;
        }
    }
}
