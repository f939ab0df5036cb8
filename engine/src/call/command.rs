//! What people do with a call: end it, hold it, key digits.

use kraliki_time::Time;

use super::{Call, Stage};
use crate::agent::Activity;
use crate::compliance::{Governed, RecordingConsent, recording};
use crate::limits::DTMF_MOST;
use crate::{
    AgentId, AttemptId, CancelReason, CommandError, Engine, Outcome, Output, RecordingPolicy, RecordingState,
};

impl Engine {
    /// Ends a call, wherever it stands. Done twice it is done once.
    pub(crate) fn hangup_command(&mut self, now: Time, id: AttemptId) -> Result<(), CommandError> {
        let Some(mut call) = self.calls.remove(&id) else { return Err(not_found(id)) };
        match call.stage {
            Stage::Dialing | Stage::Ringing { .. } => self.cancel(now, &mut call, CancelReason::Command),
            // A person who answered and whom nobody took.
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
            Stage::Cancelling { .. } | Stage::Clearing => {}
            Stage::Committing | Stage::Queued => {
                self.calls.insert(id, call);
                return Err(CommandError::Conflict("the call is being set up; try again".into()));
            }
        }
        self.calls.insert(id, call);
        Ok(())
    }

    pub(crate) fn hold(&mut self, now: Time, id: AttemptId, on: bool) -> Result<(), CommandError> {
        let Some(mut call) = self.calls.remove(&id) else { return Err(not_found(id)) };
        let done = match (&call.stage, on) {
            (Stage::Talking(talk) | Stage::Reserved(talk), true) => {
                let talk = *talk;
                self.shift(now, &mut call, Stage::Held(talk));
                self.enter(now, talk.agent, Activity::Hold(id));
                self.out.push_back(Output::Hold { id: call.id, on });
                Ok(())
            }
            (Stage::Held(talk), false) => {
                let talk = *talk;
                self.shift(now, &mut call, Stage::Talking(talk));
                self.enter(now, talk.agent, Activity::Talking(id));
                self.out.push_back(Output::Hold { id: call.id, on });
                Ok(())
            }
            (Stage::Held(_), true) | (Stage::Talking(_) | Stage::Reserved(_), false) => Ok(()),
            _ => Err(CommandError::Conflict("only a call with an agent can be held".into())),
        };
        self.calls.insert(id, call);
        done
    }

    /// A call that was just given to an agent is recorded where its campaign wants that.
    pub(crate) fn record(&mut self, call: &mut Call, agent: AgentId) {
        let Some(live) = self.campaigns.get(&call.campaign) else { return };
        let settings = &live.campaign.settings;
        if settings.recording == RecordingPolicy::All {
            // Whoever must know of it, or agree, hears the beep.
            let silent = settings.recording_beep_s == 0;
            if let Governed::By(ready) = self.law.of(settings)
                && silent
                && recording(ready, &call.lead) != RecordingConsent::OneParty
            {
                return self.count_refused(call.campaign, "recording");
            }
            let beep_s = settings.recording_beep_s;
            self.out.push_back(Output::Record { id: call.id, agent, beep_s });
            call.recording = Some(RecordingState::On);
        }
    }

    pub(crate) fn pause_recording(&mut self, id: AttemptId, on: bool) -> Result<(), CommandError> {
        let wanted = if on { RecordingState::Paused } else { RecordingState::On };
        let Some(mut call) = self.calls.remove(&id) else { return Err(not_found(id)) };
        let done = match call.recording {
            None => Err(CommandError::Conflict("this call is not recorded".into())),
            Some(state) if state == wanted => Ok(()),
            Some(_) => {
                call.recording = Some(wanted);
                self.out.push_back(Output::PauseRecording { id: call.id, on });
                self.show_call(&call);
                Ok(())
            }
        };
        self.calls.insert(id, call);
        done
    }

    pub(crate) fn dtmf(&mut self, id: AttemptId, digits: String) -> Result<(), CommandError> {
        let plain = digits.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'*' | b'#' | b'A'..=b'D'));
        if digits.is_empty() || digits.len() > DTMF_MOST || !plain {
            let message = "must be 1 to 32 of 0-9, *, #, A-D".into();
            return Err(CommandError::Invalid { field: "digits".into(), message });
        }
        let call = self.calls.get(&id).ok_or_else(|| not_found(id))?;
        if call.stage.talk().is_none() {
            return Err(CommandError::Conflict("digits can only be sent in a call with an agent".into()));
        }
        self.out.push_back(Output::Dtmf { id: call.id, digits });
        Ok(())
    }
}

fn not_found(id: AttemptId) -> CommandError {
    CommandError::NotFound { what: "call".into(), id: id.0 }
}
