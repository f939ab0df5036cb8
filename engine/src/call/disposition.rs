//! What an agent says came of a call: during it, in wrap-up, or later; also of calls before a restart.

use std::collections::{BTreeMap, VecDeque};

use kraliki_time::Time;
use serde::{Deserialize, Serialize};

use super::Call;
use crate::agent::{Activity, WrapUp};
use crate::engine::Then;
use crate::lead::retry::{Tally, after_disposition};
use crate::limits::{DISPOSABLE_MOST, NOTE_MOST};
use crate::{
    AgentId, AttemptId, Callback, CampaignId, CommandError, Engine, Event, FollowUp, LeadId, LeadStatus,
    Outcome, Output, Pii, Undisposed, Write,
};

/// The note of a disposition that nobody gave.
const AUTOMATIC: &str = "given automatically when the wrap-up ended";
/// A callback further ahead than this is a slip of the hand.
const CALLBACK_MOST_MS: i64 = 366 * 24 * 3_600 * 1_000;

/// What an agent said, and what it does with the lead.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Given {
    pub(crate) code: String,
    pub(crate) status: LeadStatus,
    pub(crate) next_unix_ms: i64,
    pub(crate) callback: Option<Callback>,
}

/// A call that is over and may get, or change, its disposition.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Disposable {
    campaign: CampaignId,
    phone: Pii<String>,
    /// The attempt included.
    tally: Tally,
    agent: AgentId,
    given: Option<Given>,
    /// The lead was dialed again: what becomes of it is the later call's to say.
    superseded: bool,
}

/// Those calls; the oldest are forgotten first.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Disposables {
    calls: BTreeMap<AttemptId, Disposable>,
    order: VecDeque<AttemptId>,
    /// The last of these calls of each lead.
    last: BTreeMap<LeadId, AttemptId>,
}

impl Disposables {
    fn insert(&mut self, attempt: AttemptId, call: Disposable) {
        self.last.insert(call.tally.lead, attempt);
        if self.calls.insert(attempt, call).is_none() {
            self.order.push_back(attempt);
        }
        if self.order.len() > DISPOSABLE_MOST
            && let Some(oldest) = self.order.pop_front()
            && let Some(gone) = self.calls.remove(&oldest)
            && self.last.get(&gone.tally.lead) == Some(&oldest)
        {
            self.last.remove(&gone.tally.lead);
        }
    }

    /// The lead is dialed again.
    pub(crate) fn supersede(&mut self, lead: LeadId) {
        let last = self.last.remove(&lead);
        if let Some(call) = last.and_then(|attempt| self.calls.get_mut(&attempt)) {
            call.superseded = true;
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.calls.len()
    }

    /// A call from before a restart.
    pub(crate) fn restore(&mut self, call: Undisposed) {
        let tally = Tally {
            lead: call.lead,
            attempts: call.attempts,
            last_outcome: Some(Outcome::Connected),
            repeats: call.repeats,
            callback: None,
        };
        let entry = Disposable {
            campaign: call.campaign,
            phone: call.phone,
            tally,
            agent: call.agent,
            given: None,
            superseded: false,
        };
        self.insert(call.attempt, entry);
    }
}

/// A disposition as the command gives it.
pub(crate) struct Dispose {
    pub(crate) call: AttemptId,
    pub(crate) code: String,
    pub(crate) note: String,
    pub(crate) callback_unix_ms: Option<i64>,
    /// Whether the call's agent keeps the callback.
    pub(crate) personal: bool,
}

impl Engine {
    /// A call with an agent is over.
    pub(crate) fn remember(&mut self, call: &Call, outcome: Outcome, agent: AgentId) {
        let entry = Disposable {
            campaign: call.campaign,
            phone: call.lead.phone.clone(),
            tally: Tally::of(&call.lead).and(outcome),
            agent,
            given: call.disposition.clone(),
            superseded: false,
        };
        self.disposables.insert(call.attempt(), entry);
    }

    /// Checks and writes a disposition; the reply comes with the commit.
    pub(crate) fn dispose(&mut self, now: Time, reply: u64, said: Dispose) -> Result<(), CommandError> {
        if said.note.len() > NOTE_MOST {
            return Err(invalid("note", "must have at most 4000 characters"));
        }
        let attempt = said.call;
        let ended = self.disposables.calls.get(&attempt);
        let superseded = ended.is_some_and(|ended| ended.superseded);
        let known = match (self.calls.get(&attempt), ended) {
            (_, Some(ended)) => Some((ended.campaign, ended.phone.clone(), ended.tally, Some(ended.agent))),
            (Some(call), None) if call.stage.talk().is_some() => {
                let tally = Tally::of(&call.lead).and(Outcome::Connected);
                let agent = call.stage.talk().map(|talk| talk.agent);
                Some((call.campaign, call.lead.phone.clone(), tally, agent))
            }
            (Some(_), None) => {
                return Err(CommandError::Conflict(
                    "no agent has had this call; it has no disposition".into(),
                ));
            }
            (None, None) => None,
        };
        let Some((campaign, phone, tally, agent)) = known else {
            return Err(CommandError::NotFound { what: "call".into(), id: attempt.0 });
        };
        let Some(live) = self.campaigns.get(&campaign) else {
            return Err(CommandError::Conflict("the call's campaign was deleted".into()));
        };
        let settings = &live.campaign.settings;
        let Some(disposition) = settings.dispositions.iter().find(|d| d.code == said.code) else {
            let codes: Vec<&str> = settings.dispositions.iter().map(|d| d.code.as_str()).collect();
            return Err(invalid("code", &format!("must be one of the campaign's: {}", codes.join(", "))));
        };
        let follow_up = disposition.follow_up;
        let at_unix_ms = self.clock.unix_ms(now);
        if let Some(callback) = said.callback_unix_ms {
            let (first, last) = (at_unix_ms - 60_000, at_unix_ms.saturating_add(CALLBACK_MOST_MS));
            if follow_up != FollowUp::Retry {
                return Err(invalid("callback_unix_ms", "only goes with a disposition that dials again"));
            }
            if !(first..=last).contains(&callback) {
                return Err(invalid("callback_unix_ms", "must be in the future, at most a year ahead"));
            }
            if superseded {
                let text = "this lead was called again since; give the callback with the later call";
                return Err(CommandError::Conflict(text.into()));
            }
            if tally.attempts >= settings.max_attempts {
                let message = "this lead has had all its attempts; raise the campaign's max_attempts first";
                return Err(invalid("callback_unix_ms", message));
            }
        }
        if said.personal && said.callback_unix_ms.is_none() {
            return Err(invalid("personal", "only goes with callback_unix_ms"));
        }
        let callback = said
            .callback_unix_ms
            .map(|due_unix_ms| Callback { agent: agent.filter(|_| said.personal), due_unix_ms });
        let lead = after_disposition(settings, tally, follow_up, callback, at_unix_ms);
        self.follow(now, campaign, (&said.code, follow_up), &phone, lead.lead, superseded);
        let (status, next_unix_ms, callback) = (lead.status, lead.next_unix_ms, lead.callback);
        let given = Given { code: said.code.clone(), status, next_unix_ms, callback };
        let before = self.set_given(attempt, Some(given));
        let write = Write::Disposed {
            attempt,
            code: said.code,
            note: said.note,
            at_unix_ms,
            lead: (!superseded).then_some(lead),
        };
        if let Some(wrap) = agent.and_then(|agent| self.wraps_up(agent, attempt)) {
            wrap.writing += 1;
        }
        self.store(now, write, Then::Dispose(reply, attempt, before));
        Ok(())
    }

    /// A wrap-up ends without a disposition: its campaign's own, if it has one.
    pub(crate) fn dispose_automatically(&mut self, now: Time, campaign: CampaignId, attempt: AttemptId) {
        let Some(ended) = self.disposables.calls.get(&attempt).filter(|ended| ended.given.is_none()) else {
            return;
        };
        let (phone, tally, superseded) = (ended.phone.clone(), ended.tally, ended.superseded);
        let Some(live) = self.campaigns.get(&campaign) else { return };
        let settings = &live.campaign.settings;
        let wanted = &settings.wrap_up_disposition;
        let Some(disposition) = settings.dispositions.iter().find(|d| d.code == *wanted) else { return };
        let (code, follow_up) = (disposition.code.clone(), disposition.follow_up);
        let at_unix_ms = self.clock.unix_ms(now);
        let lead = after_disposition(settings, tally, follow_up, None, at_unix_ms);
        self.follow(now, campaign, (&code, follow_up), &phone, lead.lead, superseded);
        let (status, next_unix_ms, callback) = (lead.status, lead.next_unix_ms, lead.callback);
        self.set_given(attempt, Some(Given { code: code.clone(), status, next_unix_ms, callback }));
        self.counters.disposed_automatically += 1;
        let (note, lead) = (AUTOMATIC.to_owned(), (!superseded).then_some(lead));
        self.fact(now, Write::Disposed { attempt, code, note, at_unix_ms, lead });
        self.disposed(now, attempt);
    }

    /// What a disposition does beside its record: the lead leaves hoppers and screens, the number may be suppressed.
    fn follow(
        &mut self,
        now: Time,
        campaign: CampaignId,
        (code, follow_up): (&str, FollowUp),
        phone: &Pii<String>,
        lead: LeadId,
        superseded: bool,
    ) {
        if !superseded {
            if let Some(live) = self.campaigns.get_mut(&campaign) {
                live.hopper.remove(lead);
            }
            self.take_from_screens(now, |shown| shown.id == lead);
        }
        if follow_up == FollowUp::Suppress {
            self.suppress(now, &phone.0, &format!("disposition {code}"));
        }
    }

    fn set_given(&mut self, attempt: AttemptId, given: Option<Given>) -> Option<Given> {
        let mut before = None;
        if let Some(ended) = self.disposables.calls.get_mut(&attempt) {
            before = std::mem::replace(&mut ended.given, given.clone());
        }
        if let Some(call) = self.calls.get_mut(&attempt) {
            before = std::mem::replace(&mut call.disposition, given);
        }
        before
    }

    /// A disposition is on disk: screens show it, and a wrap-up may be over.
    pub(crate) fn disposed(&mut self, now: Time, attempt: AttemptId) {
        if let Some(call) = self.calls.get(&attempt).filter(|call| call.is_shown()) {
            let view = self.call_view(call);
            self.out.push_back(Output::Event(Event::Call(view)));
            return;
        }
        let Some(ended) = self.disposables.calls.get(&attempt) else { return };
        let (agent, code) = (ended.agent, ended.given.as_ref().map(|given| given.code.clone()));
        let Some(wrap) = self.wraps_up(agent, attempt) else { return };
        wrap.writing = wrap.writing.saturating_sub(1);
        wrap.disposed = true;
        wrap.call.disposition = code;
        let (view, over) = (wrap.call.clone(), wrap.over);
        self.out.push_back(Output::Event(Event::Call(view)));
        if over || self.agents.get(&agent).is_some_and(|live| live.next.is_some()) {
            self.wrap_up_over(now, agent);
        }
    }

    /// The agent's wrap-up, when it is of that call.
    fn wraps_up(&mut self, agent: AgentId, attempt: AttemptId) -> Option<&mut WrapUp> {
        match &mut self.agents.get_mut(&agent)?.activity {
            Activity::WrapUp(wrap) if wrap.call.id == attempt => Some(wrap),
            _ => None,
        }
    }

    /// It is not on disk: what was said before stands.
    pub(crate) fn not_disposed(&mut self, now: Time, attempt: AttemptId, before: Option<Given>) {
        let said = before.is_some();
        self.set_given(attempt, before);
        let agent = self.disposables.calls.get(&attempt).map(|ended| ended.agent);
        let Some(agent) = agent else { return };
        let Some(wrap) = self.wraps_up(agent, attempt) else { return };
        wrap.writing = wrap.writing.saturating_sub(1);
        wrap.disposed = said;
        if wrap.over {
            self.wrap_up_over(now, agent);
        }
    }
}

fn invalid(field: &str, message: &str) -> CommandError {
    CommandError::Invalid { field: field.into(), message: message.into() }
}
