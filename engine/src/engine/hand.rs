//! Dialing by hand: an agent names the lead, and is bound to that call from the command on.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use kraliki_time::Time;
use serde::{Deserialize, Serialize};

use super::ready;

use crate::agent::{Activity, Next};
use crate::call::{Call, Course, Stage};
use crate::compliance::Refusal;
use crate::limits::COMMITTING_MOST;
use crate::{
    AgentId, AttemptId, CampaignId, CampaignSettings, CancelReason, CommandError, Engine, Lead, LeadAnswer,
    LeadId, LeadStatus, Mode, Output, Reply, TrunkId,
};

/// A lead that an agent wants to dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wanted {
    pub(crate) agent: AgentId,
    pub(crate) campaign: CampaignId,
    pub(crate) lead: LeadId,
    /// What the store's answer will know of attempts to its number.
    pub(crate) mark: u64,
}

impl Engine {
    /// Asks the store for the lead: it alone knows what became of it so far. A second click is answered like the first
    /// and dials nothing.
    pub(crate) fn dial_lead(&mut self, now: Time, reply: u64, wanted: Wanted) {
        let wanted = Wanted { mark: self.read_mark(), ..wanted };
        let same = |other: &Wanted| Wanted { mark: wanted.mark, ..*other } == wanted;
        if self.dials_already(wanted.agent, wanted.lead) || self.wanted.values().any(same) {
            return self.reply(reply, Ok(Reply::Done));
        }
        let asked = self.wanted.values().any(|other| other.agent == wanted.agent);
        let may = if asked { conflict("another lead is being dialed for you") } else { Ok(()) };
        match may.and_then(|()| self.may_dial(now, &wanted)) {
            Err(error) => self.reply(reply, Err(error)),
            Ok(()) => {
                self.wanted.insert(reply, wanted);
                self.out.push_back(Output::ReadLead { reply, campaign: wanted.campaign, lead: wanted.lead });
            }
        }
    }

    /// The oldest mark that a single lead was asked with.
    pub(crate) fn wanted_mark(&self) -> Option<u64> {
        self.wanted.values().map(|wanted| wanted.mark).min()
    }

    /// Single leads that are on their way were read too early.
    pub(crate) fn drop_wanted(&mut self) {
        for reply in std::mem::take(&mut self.wanted).into_keys() {
            let text = "lists or the clock changed just now; try again";
            self.reply(reply, Err(CommandError::Conflict(text.into())));
        }
    }

    /// Whether the agent dials that lead, or talks with it.
    pub(crate) fn dials_already(&self, agent: AgentId, lead: LeadId) -> bool {
        let call = self.agents.get(&agent).and_then(|agent| match &agent.activity {
            Activity::Dialing(call) => Some(*call),
            _ => agent.in_call(),
        });
        call.and_then(|call| self.calls.get(&call)).is_some_and(|call| call.lead.id == lead)
    }

    /// The store's answer: everything is looked at again, as the moment is another one.
    pub(crate) fn lead_read(&mut self, now: Time, reply: u64, answer: LeadAnswer) {
        let Some(wanted) = self.wanted.remove(&reply) else { return };
        if let Err(error) = self.dial_read(now, reply, &wanted, answer) {
            self.reply(reply, Err(error));
        }
    }

    fn dial_read(
        &mut self,
        now: Time,
        reply: u64,
        wanted: &Wanted,
        answer: LeadAnswer,
    ) -> Result<(), CommandError> {
        self.may_dial(now, wanted)?;
        let lead = match answer {
            LeadAnswer::Found { lead, status, next_unix_ms } if lead.campaign == wanted.campaign => {
                self.may_be_dialed(now, &lead, status, next_unix_ms)?;
                lead
            }
            LeadAnswer::Found { .. } | LeadAnswer::NotFound => {
                return Err(CommandError::NotFound { what: "lead".into(), id: wanted.lead.0 });
            }
            LeadAnswer::Failed => return Err(CommandError::Store),
        };
        self.gate(now, wanted.campaign, &lead).map_err(|refusal| in_words(&refusal, &lead))?;
        let way = self.way_by_hand(now, wanted.campaign, &lead)?;
        self.bind(now, Some(reply), wanted.agent, way, *lead);
        Ok(())
    }

    /// Whether the agent may dial by hand in that campaign now.
    fn may_dial(&mut self, _now: Time, wanted: &Wanted) -> Result<(), CommandError> {
        if self.is_draining() {
            return conflict("the dialer is shutting down");
        }
        let Some(live) = self.campaigns.get(&wanted.campaign) else {
            return Err(CommandError::NotFound { what: "campaign".into(), id: wanted.campaign.0 });
        };
        let (manual, running) = (live.mode() == Mode::Manual, live.is_running());
        let serves = live.serves(wanted.agent);
        let agent = self.signed_in(wanted.agent)?;
        match &agent.activity {
            Activity::Ready | Activity::Paused(_) => {}
            Activity::Preview(_) => return conflict("dial or skip the lead on your screen first"),
            Activity::WrapUp(_) => return conflict("finish the record of your last call first"),
            _ => return conflict("you are in a call; end it first"),
        }
        if !agent.audio() {
            return conflict("there is no audio; connect the headset before dialing");
        }
        if !serves {
            return conflict("you do not serve this campaign; ask its manager to add you");
        }
        if !manual {
            return conflict("this campaign dials by itself; set its mode to manual to dial by hand");
        }
        if !running {
            return conflict("this campaign is not running; start it first");
        }
        Ok(())
    }

    /// What holds for every dial of a lead holds by hand too: its retry time, and that it is not done.
    fn may_be_dialed(
        &self,
        now: Time,
        lead: &Lead,
        status: LeadStatus,
        next_unix_ms: i64,
    ) -> Result<(), CommandError> {
        match status {
            LeadStatus::Suppressed => {
                conflict("this number is on the suppression list; it must not be called")
            }
            LeadStatus::Dialing => conflict("this lead is being called now; wait for the end of that call"),
            LeadStatus::Done => conflict("this lead is done; it is not called again"),
            LeadStatus::Retry if next_unix_ms > self.clock.unix_ms(now) => {
                let at = local(lead, next_unix_ms);
                conflict(&format!(
                    "this lead may be called again from {at} on, the lead's time (its retry rule)"
                ))
            }
            LeadStatus::New | LeadStatus::Retry => Ok(()),
        }
    }

    /// Why nobody at all can be dialed in a campaign now, in words.
    pub(crate) fn nowhere(&self, now: Time, settings: &CampaignSettings) -> Option<String> {
        if !self.storing.is_ok(now) {
            return Some("the store takes no writes now, and nothing is dialed unwritten; try again".into());
        }
        let trunks = || self.trunk_room(now, settings).err();
        let reason = self
            .unlawful(settings)
            .or_else(trunks)
            .or_else(|| self.no_caller_id(now, settings).map(|hold| hold.in_words()))?;
        Some(format!("nothing can be dialed in this campaign now: {reason}"))
    }

    /// Over which trunk and with which number an agent dials, or why not.
    pub(crate) fn way_by_hand(
        &mut self,
        now: Time,
        id: CampaignId,
        lead: &Lead,
    ) -> Result<(CampaignId, TrunkId, String), CommandError> {
        let Some(live) = self.campaigns.get(&id) else {
            return Err(CommandError::NotFound { what: "campaign".into(), id: id.0 });
        };
        let settings = &live.campaign.settings;
        if let Some(reason) = self.nowhere(now, settings) {
            return conflict(&reason);
        }
        let full = self.committing() >= COMMITTING_MOST;
        match self.choose(now, id, lead, &[], "").filter(|_| !full) {
            Some((trunk, caller_id)) => Ok((id, trunk, caller_id)),
            None => conflict("no trunk has room for another call now; try again in a moment"),
        }
    }

    /// Begins the attempt and binds the agent to it: no other call comes until it is over. Who was paused is so again
    /// afterwards.
    pub(crate) fn bind(
        &mut self,
        now: Time,
        reply: Option<u64>,
        agent: AgentId,
        (campaign, trunk, caller_id): (CampaignId, TrunkId, String),
        lead: Lead,
    ) {
        if let Some(live) = self.agents.get_mut(&agent)
            && let Activity::Paused(reason) = &live.activity
        {
            live.next = Some(Next::Paused(reason.clone()));
        }
        let unix_ms = self.clock.unix_ms(now);
        let Some(live) = self.campaigns.get_mut(&campaign) else { return };
        live.hopper.remove(lead.id);
        let ready = ready(live, &mut self.zones, unix_ms, lead);
        self.enter(now, agent, Activity::Dialing(AttemptId(self.next_attempt)));
        self.attempt(now, campaign, (trunk, &caller_id), ready, Course::Bound(agent), reply);
    }

    /// Whether the agent waits for that call by hand, with audio.
    pub(crate) fn is_bound(&self, agent: AgentId, call: AttemptId) -> bool {
        self.agents
            .get(&agent)
            .is_some_and(|live| live.leg_up && matches!(live.activity, Activity::Dialing(id) if id == call))
    }

    /// A call by hand is over unanswered: its agent is free again.
    pub(crate) fn unbind(&mut self, now: Time, call: &Call) {
        let Some(agent) = call.bound() else { return };
        let dials = self.agents.get(&agent).map(|live| &live.activity);
        if matches!(dials, Some(Activity::Dialing(id)) if *id == call.attempt()) {
            self.free(now, agent);
        }
    }

    /// The agent who dials has no audio any more: nobody would be there for who answers.
    pub(crate) fn dialer_lost(&mut self, now: Time, call: AttemptId) {
        let Some(mut call) = self.calls.remove(&call) else { return };
        // What is not sent yet is looked at again in its turn, and finds nobody.
        if matches!(call.stage, Stage::Dialing | Stage::Ringing { .. }) {
            self.cancel(now, &mut call, CancelReason::Pacing);
        }
        self.calls.insert(call.attempt(), call);
    }
}

/// A rule of the gate, in words that say what to do.
pub(crate) fn in_words(refusal: &Refusal, lead: &Lead) -> CommandError {
    let text = match (refusal.rule, refusal.next_unix_ms) {
        ("suppressed", _) => "this number is on the suppression list; it must not be called".into(),
        ("max_attempts", _) => {
            "this lead has had all its attempts; raise the campaign's max_attempts to call it again".into()
        }
        ("max_attempts_day", Some(next)) => format!(
            "this lead has had its attempts of today; again from {} on, the lead's time (max_attempts_day)",
            local(lead, next)
        ),
        ("max_attempts_24h", Some(next)) => format!(
            "this number has had its attempts of 24 hours; again from {} on, the lead's time (max_attempts_24h)",
            local(lead, next)
        ),
        ("number", _) => "this lead's number cannot be dialed; correct it".into(),
        ("premium", _) => "this number costs whoever calls it, and is never called".into(),
        ("prefix", _) => {
            "no trunk of this campaign may call this number; its administrator can allow its prefix".into()
        }
        ("number_in_use", _) => {
            "this number is on another line or on another agent's screen; try again later".into()
        }
        ("hours", Some(next)) => {
            format!("outside the calling hours; try again from {} on, the lead's time", local(lead, next))
        }
        ("legal_hours", Some(next)) => {
            format!("outside the legal hours; try again from {} on, the lead's time", local(lead, next))
        }
        ("number_attempts", Some(next)) => {
            let at = local(lead, next);
            format!("this number was called as often as the law allows; try again from {at} on, the lead's time")
        }
        ("abandoned", Some(next)) => {
            let at = local(lead, next);
            format!("a call to this number was abandoned; try again from {at} on, the lead's time")
        }
        ("place", _) => "it is not known where this lead lives, or the campaign's compliance profile does not hold there; \
                         correct its country and state"
            .into(),
        ("consent", _) => "this lead's consent does not go far enough for this campaign; record it first".into(),
        ("national_list", _) => "this number is on the national do-not-call list; it must not be called".into(),
        ("national_list_age", _) => {
            "the national do-not-call list was never imported, or is too old; import a newer one".into()
        }
        ("profile", _) => "the campaign's compliance profile is missing; choose another one".into(),
        ("time_zone", _) => "this lead's time zone is not known; correct it".into(),
        (rule, _) => format!("not dialed now: {rule}"),
    };
    CommandError::Conflict(text)
}

/// A time where the lead lives.
pub(crate) fn local(lead: &Lead, unix_ms: i64) -> String {
    let zone = TimeZone::get(&lead.time_zone).unwrap_or(TimeZone::UTC);
    match Timestamp::from_millisecond(unix_ms) {
        Ok(at) => at.to_zoned(zone).strftime("%Y-%m-%d %H:%M").to_string(),
        Err(_) => "a time that no clock shows".into(),
    }
}

fn conflict<T>(text: &str) -> Result<T, CommandError> {
    Err(CommandError::Conflict(text.into()))
}
