//! What happens on a line, stage by stage.

use kraliki_time::Time;

use super::{Blocked, Call, Stage};
use crate::engine::trunk_view;
use crate::limits::{CLEAR_MOST, KEY_WAIT};
use crate::pacing::Observation;
use crate::timer::Timer;
use crate::trunk::Sign;
use crate::{CancelReason, EndedBy, Engine, Failure, LineEvent, Outcome, Output, TryId};

/// How a try ended, for its record.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cause {
    pub(crate) status: Option<u16>,
    pub(crate) q850: Option<u16>,
}

/// What the failure of an INVITE means.
pub(super) struct Ending {
    pub(super) outcome: Outcome,
    pub(super) cause: Cause,
    /// Whether anything beyond 100 came.
    rang: bool,
    /// Whether we took it back.
    ours: bool,
}

impl Ending {
    pub(super) fn of(call: &Call, failure: &Failure) -> Ending {
        let rang_here = call.stage.ringing().is_some();
        let ours = match call.stage {
            Stage::Cancelling { reason: CancelReason::RingTimeout, .. } => Some(Outcome::NoAnswer),
            Stage::Cancelling { .. } => Some(Outcome::Cancelled),
            _ => None,
        };
        let (outcome, cause, rang) = match failure {
            Failure::Cancelled => (ours.unwrap_or(Outcome::Cancelled), Cause::default(), rang_here),
            // RFC 3261 §9.1: the INVITE that we took back ends with 487, or with a 200 that crossed the CANCEL; SIP has
            // ended that call.
            Failure::Status { status: status @ (200 | 487), q850, rang, .. } if ours.is_some() => {
                let cause = Cause { status: Some(*status), q850: *q850 };
                (ours.unwrap_or(Outcome::Cancelled), cause, *rang || rang_here)
            }
            Failure::Status { status, q850, reason, rang, .. } => {
                let rang = *rang || rang_here;
                let outcome = Outcome::of_failure(Some(*status), *q850, reason, rang);
                (outcome, Cause { status: Some(*status), q850: *q850 }, rang)
            }
            Failure::Timeout { rang } => {
                let rang = *rang || rang_here;
                (Outcome::of_failure(None, None, "", rang), Cause::default(), rang)
            }
            Failure::NotSent { .. } => (Outcome::NotSent, Cause::default(), false),
        };
        Ending { outcome, cause, rang, ours: ours.is_some() }
    }

    /// What it says of its trunk. A person who is busy or a number that is wrong says that the trunk works.
    pub(super) fn sign(&self) -> Sign {
        match self.outcome {
            Outcome::Congestion | Outcome::TrunkFault => Sign::Bad,
            Outcome::Cancelled | Outcome::NotSent => Sign::None,
            // Not one word from the far side in the whole ring time.
            _ if self.ours && !self.rang && self.cause.status.is_none() => Sign::Bad,
            // That it rang was a sign when it did; its end is our own doing.
            _ if self.ours => Sign::None,
            _ => Sign::Good,
        }
    }
}

impl Engine {
    pub(crate) fn line(&mut self, now: Time, id: TryId, event: LineEvent) {
        let Some(call) = self.calls.remove(&id.attempt) else {
            self.orphan(id, &event);
            return;
        };
        if call.id != id {
            self.calls.insert(id.attempt, call);
            self.counters.stray += 1;
            return;
        }
        if let Some(call) = self.line_event(now, call, event) {
            self.calls.insert(id.attempt, call);
        }
    }

    /// Gives the call back unless it is over and forgotten.
    fn line_event(&mut self, now: Time, mut call: Call, event: LineEvent) -> Option<Call> {
        match event {
            LineEvent::Trying => Some(call),
            LineEvent::RecordingLost => {
                if call.recording.take().is_some() {
                    self.show_call(&call);
                }
                Some(call)
            }
            LineEvent::Digit(digit) => Some(self.key(now, call, digit)),
            LineEvent::Ringing { .. } => {
                self.ringing(now, &mut call);
                Some(call)
            }
            LineEvent::Answered { dialog, detecting } => self.answered(now, call, dialog, detecting),
            LineEvent::Verdict(verdict) => match (&call.stage, verdict.outcome()) {
                (Stage::Detecting { answered }, None) => {
                    let answered = *answered;
                    Some(self.person(now, call, answered))
                }
                (Stage::Detecting { answered }, Some(outcome)) => {
                    let answered = *answered;
                    if let Some(agent) = self.checker_of(now, &call, outcome) {
                        return Some(self.have_checked(now, call, agent, answered));
                    }
                    let after = answered.since(call.dialed);
                    let (known_after, lead) = (now.since(answered), call.traits);
                    let seen = Observation::Answered { after, person: false, known_after, lead };
                    self.observe_line(now, &call, seen);
                    Some(self.machine(now, call, answered, verdict))
                }
                // Later than the time it had, and still of use: no agent is given a machine.
                (Stage::Waiting { answered, .. } | Stage::Prompt { answered }, Some(_)) => {
                    let answered = *answered;
                    Some(self.machine(now, call, answered, verdict))
                }
                (_, Some(Outcome::Machine | Outcome::Screened)) if call.stage.talk().is_some() => {
                    self.sounds_like_a_machine(&mut call);
                    Some(call)
                }
                _ => Some(call),
            },
            LineEvent::Beep | LineEvent::Quiet => Some(self.greeting_heard(now, call, event)),
            LineEvent::FirstRtp => {
                call.rtp = true;
                Some(call)
            }
            LineEvent::FirstPacket { at } => {
                self.first_packet(now, &mut call, at);
                Some(call)
            }
            LineEvent::Redress(address) => {
                call.redress = address;
                Some(call)
            }
            LineEvent::Failed(failure) => match self.way_on(now, &call, &failure) {
                Some(way) => Some(self.go_on(now, call, &failure, way)),
                None => self.failed(now, call, &failure),
            },
            LineEvent::Ended { by, q850 } => self.ended(now, call, by, q850),
            LineEvent::PlayFailed => match call.stage {
                Stage::Voicemail { .. } => Some(self.hang_up(now, call, Outcome::Machine)),
                _ => Some(call),
            },
            LineEvent::PlayDone => match call.stage {
                Stage::Message { .. } => Some(self.hang_up(now, call, Outcome::Abandoned)),
                Stage::Voicemail { .. } => Some(self.message_left(now, call)),
                Stage::Prompt { .. } => {
                    self.timers.set(Timer::Stage(call.attempt()), now + KEY_WAIT);
                    Some(call)
                }
                _ => Some(call),
            },
        }
    }

    fn ringing(&mut self, now: Time, call: &mut Call) {
        match &mut call.stage {
            Stage::Dialing => {
                let after = now.since(call.dialed);
                self.observe_line(now, call, Observation::Ringing { after });
                self.trunk_sign(now, call, Sign::Good);
                self.shift(now, call, Stage::Ringing { since: now });
                self.set_ring_timeout(call);
            }
            Stage::Cancelling { ringing, .. } => {
                ringing.get_or_insert(now);
                self.trunk_sign(now, call, Sign::Good);
            }
            _ => {} // a further 18x
        }
    }

    /// From the dial, but a phone that rings does so for the least time that the law wants.
    pub(crate) fn set_ring_timeout(&mut self, call: &Call) {
        let Some(live) = self.campaigns.get(&call.campaign) else { return };
        let timeout = std::time::Duration::from_secs(u64::from(live.campaign.settings.ring_timeout_s));
        let mut at = call.dialed + timeout;
        if let Some(since) = call.stage.ringing() {
            at = at.max(since + live.terms.ring_least);
        }
        self.timers.set(Timer::Stage(call.attempt()), at);
    }

    /// Takes back a line that was not answered.
    pub(crate) fn cancel(&mut self, now: Time, call: &mut Call, reason: CancelReason) {
        let ringing = call.stage.ringing();
        self.out.push_back(Output::Cancel { id: call.id, reason });
        self.shift(now, call, Stage::Cancelling { reason, ringing });
        self.timers.set(Timer::Stage(call.attempt()), now + CLEAR_MOST);
    }

    fn failed(&mut self, now: Time, mut call: Call, failure: &Failure) -> Option<Call> {
        match call.stage {
            Stage::Clearing => {
                self.forget(now, &mut call);
                return None;
            }
            Stage::Dialing | Stage::Ringing { .. } | Stage::Cancelling { .. } => {}
            Stage::Committing | Stage::Queued => {
                self.counters.stray += 1; // nothing was sent
                return Some(call);
            }
            // An INVITE that was answered cannot fail; whatever was meant, the call is gone.
            _ => return self.ended(now, call, EndedBy::Far, None),
        }
        let ending = Ending::of(&call, failure);
        let (sign, Ending { outcome, cause, rang, .. }) = (ending.sign(), ending);
        // A further try that was not sent changes nothing of how the one before it ended.
        let outcome = if outcome == Outcome::NotSent { call.unsent() } else { outcome };
        // A line that we took back for our own reasons says nothing of how it would have ended.
        if !matches!(outcome, Outcome::Cancelled | Outcome::NotSent) {
            let after = now.since(call.dialed);
            self.observe_line(now, &call, Observation::Failed { after, rang, lead: call.traits });
        }
        self.trunk_sign(now, &call, sign);
        if outcome == Outcome::Blocked {
            call.blocked = Some(Blocked { status: cause.status, redress: std::mem::take(&mut call.redress) });
        }
        self.end(now, &mut call, outcome, cause);
        self.forget(now, &mut call);
        if outcome == Outcome::NotSent {
            self.give_back(now, &call);
        }
        None
    }

    fn ended(&mut self, now: Time, mut call: Call, by: EndedBy, q850: Option<u16>) -> Option<Call> {
        let outcome = match &call.stage {
            Stage::Clearing => {
                self.forget(now, &mut call);
                return None;
            }
            Stage::Committing | Stage::Queued => {
                self.counters.stray += 1;
                return Some(call);
            }
            Stage::Dialing | Stage::Ringing { .. } | Stage::Cancelling { .. } => {
                return self.failed(now, call, &Failure::Timeout { rang: false });
            }
            Stage::Message { .. } => Outcome::Abandoned,
            Stage::Prompt { .. } => Outcome::PromptPlayed,
            Stage::Waiting { .. } if !call.parts.is_empty() => Outcome::Connected,
            Stage::Greeting { .. } | Stage::Voicemail { .. } => Outcome::Machine,
            Stage::Detecting { .. } | Stage::Waiting { .. } => Outcome::CallerHangup,
            Stage::Reserved(_) | Stage::Talking(_) | Stage::Held(_) | Stage::AgentLost(_) => {
                Outcome::Connected
            }
        };
        let lasted = call.stage.answered().map(|at| now.since(at)).unwrap_or_default();
        let gone_at_once = lasted < crate::limits::FALSE_ANSWER && by == EndedBy::Far;
        let outcome =
            if gone_at_once && outcome != Outcome::Abandoned { Outcome::FalseAnswer } else { outcome };
        self.end(now, &mut call, outcome, Cause { status: Some(200), q850 });
        self.forget(now, &mut call);
        None
    }

    /// A call says something of its trunk.
    pub(crate) fn trunk_sign(&mut self, now: Time, call: &Call, sign: Sign) {
        let Some(trunk) = self.trunks.get_mut(&call.trunk) else { return };
        if trunk.breaker.saw(now, call.attempt(), sign) {
            let view = trunk_view(trunk, now);
            self.out.push_back(Output::Event(crate::Event::Trunk(view)));
            self.wait_to_ask(now, call.trunk);
            // What waits for its turn is not sent while the trunk rests.
            self.pump(now, call.trunk);
            self.pace_wanted = true;
        }
    }

    /// A timer of a stage went off.
    pub(crate) fn stage_over(&mut self, now: Time, mut call: Call) -> Option<Call> {
        match call.stage.clone() {
            Stage::Dialing | Stage::Ringing { .. } => {
                self.cancel(now, &mut call, CancelReason::RingTimeout);
                Some(call)
            }
            Stage::Cancelling { .. } => {
                self.counters.unconfirmed += 1;
                self.failed(now, call, &Failure::Cancelled)
            }
            Stage::Detecting { answered } => Some(self.person(now, call, answered)),
            Stage::Waiting { .. } => Some(self.abandon(now, call)),
            Stage::Reserved(talk) => {
                self.shift(now, &mut call, Stage::Talking(talk));
                self.agent_talks(now, talk.agent, call.attempt());
                Some(call)
            }
            Stage::AgentLost(talk) => Some(self.agent_stays_away(now, call, talk)),
            Stage::Message { .. } => Some(self.hang_up(now, call, Outcome::Abandoned)),
            Stage::Prompt { .. } => Some(self.hang_up(now, call, Outcome::PromptPlayed)),
            Stage::Greeting { answered } => Some(self.leave_message(now, call, answered)),
            Stage::Voicemail { .. } => Some(self.hang_up(now, call, Outcome::Machine)),
            Stage::Clearing => {
                self.counters.unconfirmed += 1;
                self.forget(now, &mut call);
                None
            }
            Stage::Committing | Stage::Queued | Stage::Talking(_) | Stage::Held(_) => Some(call),
        }
    }

    /// A call from before a crash is over.
    fn orphan(&mut self, id: TryId, event: &LineEvent) {
        let over = matches!(event, LineEvent::Failed(_) | LineEvent::Ended { .. });
        let mut known = false;
        for trunk in self.trunks.values_mut() {
            if over && trunk.orphans.remove(&id) {
                (trunk.dirty, known, self.pace_wanted) = (true, true, true);
            }
        }
        self.retire_all();
        self.counters.stray += u64::from(!known);
    }

    /// Calls from before a crash have had their time.
    pub(crate) fn orphans_over(&mut self, _now: Time) {
        for trunk in self.trunks.values_mut() {
            trunk.dirty |= !trunk.orphans.is_empty();
            trunk.orphans.clear();
        }
        self.retire_all();
        self.pace_wanted = true;
    }
}
