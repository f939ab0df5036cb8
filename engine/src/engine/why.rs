//! Why a lead is not being dialed: the rule that holds it, asked of the very code that would dial it.

use kraliki_time::Time;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::hand::{in_words, local};
use crate::agent::Activity;
use crate::{CallState, CampaignStatus, CommandError, Engine, Lead, LeadId, LeadStatus, Mode, Outcome};

/// What is to be expected of a lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Prospect {
    /// It is on a line, or on an agent's screen.
    Now,
    /// Nothing holds it: it is dialed in its turn.
    Soon,
    /// Something holds it that passes by itself or can be changed; the first reason says what.
    Waits,
    /// It is finished; the first reason says why.
    Never,
}

/// Something that holds a lead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reason {
    /// The rule's name for programs, e.g. `hours`, `max_attempts`, `list_disabled`.
    pub rule: String,
    /// The rule with its values, in words.
    pub detail: String,
    /// When it ends by itself, in ms since 1970; none: it does not, or nobody knows.
    pub next_unix_ms: Option<i64>,
}

impl Reason {
    /// A reason by its name and its words.
    pub fn new(rule: &str, detail: impl Into<String>, next_unix_ms: Option<i64>) -> Reason {
        Reason { rule: rule.to_owned(), detail: detail.into(), next_unix_ms }
    }
}

/// What the engine says of a lead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    /// What is to be expected.
    pub prospect: Prospect,
    /// The strongest first. Also when nothing holds it: whose turn it is.
    pub reasons: Vec<Reason>,
    /// How many leads that are held ready are dialed before it; none: it is not held.
    pub before: Option<u32>,
}

impl Engine {
    /// Everything that holds a lead, as the store has it, at this moment.
    pub(crate) fn why(&mut self, now: Time, lead: &Lead, status: LeadStatus, next_unix_ms: i64) -> Why {
        if let Some(reason) = self.busy_with(now, lead.id) {
            return Why { prospect: Prospect::Now, reasons: vec![reason], before: None };
        }
        let mut reasons = Vec::new();
        let never = match status {
            LeadStatus::Suppressed => {
                let text = "the number is on the suppression list, or the person asked not to be called";
                reasons.push(Reason::new("suppressed", text, None));
                true
            }
            LeadStatus::Done => {
                reasons.push(self.done(lead));
                true
            }
            LeadStatus::New | LeadStatus::Retry | LeadStatus::Dialing => false,
        };
        if never {
            return Why { prospect: Prospect::Never, reasons, before: None };
        }
        let forever = self.rules(now, lead, next_unix_ms, &mut reasons);
        self.stops(now, lead, &mut reasons);
        let Some(live) = self.campaigns.get(&lead.campaign) else {
            return Why { prospect: Prospect::Never, reasons, before: None };
        };
        let place = live.hopper.place(lead.id);
        let before = place.map(|(before, _)| u32::try_from(before).unwrap_or(u32::MAX));
        let prospect = match (reasons.is_empty(), forever) {
            (_, true) => Prospect::Never,
            (true, _) => Prospect::Soon,
            (false, _) => Prospect::Waits,
        };
        match place {
            Some((_, Some(agent))) => {
                let text = format!("waits for agent {agent}, who promised the callback, to be free");
                reasons.push(Reason::new("own_agent", text, None));
            }
            Some((before, None)) => {
                let text = format!("held ready to be dialed; {before} leads are before it");
                reasons.push(Reason::new("hopper", text, None));
            }
            None => {}
        }
        if !live.decision.is_empty() {
            reasons.push(Reason::new("pace", format!("the pacer's last decision: {}", live.decision), None));
        }
        Why { prospect, reasons, before }
    }

    /// The line or the screen that the lead is on.
    fn busy_with(&self, now: Time, lead: LeadId) -> Option<Reason> {
        if let Some(call) = self.calls.values().find(|call| call.lead.id == lead && call.outcome.is_none()) {
            let since = now.since(call.since).as_secs();
            let (id, state) = (call.attempt(), call.stage.state());
            let state = state.map_or("waits for its turn on the trunk", |state| match state {
                CallState::Talking | CallState::Hold => "is with an agent",
                CallState::Waiting => "waits for an agent",
                CallState::Dialing | CallState::Ringing => "is being dialed",
                _ => "is answered",
            });
            return Some(Reason::new("on_line", format!("call {id} {state}, for {since} s"), None));
        }
        let shown = self.agents.iter().find(
            |(_, live)| matches!(&live.activity, Activity::Preview(preview) if preview.lead.id == lead),
        )?;
        Some(Reason::new("on_screen", format!("agent {} looks at it", shown.0), None))
    }

    /// How the lead ended.
    fn done(&self, lead: &Lead) -> Reason {
        let most = self.campaigns.get(&lead.campaign).map(|live| live.campaign.settings.max_attempts);
        let last = lead.last_outcome.map_or("nothing", Outcome::as_str);
        match most {
            Some(most) if lead.attempts >= most => {
                let n = lead.attempts;
                Reason::new(
                    "max_attempts",
                    format!("had {n} of {most} attempts; the last ended {last}"),
                    None,
                )
            }
            _ => {
                let (n, repeats) = (lead.attempts, lead.repeats);
                let text = format!("finished after {n} attempts; the last ended {last}, {repeats} in a row");
                Reason::new("done", text, None)
            }
        }
    }

    /// The rules of the lead itself. Gives whether one holds for ever.
    fn rules(&mut self, now: Time, lead: &Lead, next_unix_ms: i64, reasons: &mut Vec<Reason>) -> bool {
        if next_unix_ms > self.clock.unix_ms(now) {
            let at = local(lead, next_unix_ms);
            let (rule, text) = match (lead.callback, lead.last_outcome) {
                (Some(_), _) => ("callback", format!("a callback was promised for {at}, the lead's time")),
                (None, Some(outcome)) => {
                    let outcome = outcome.as_str();
                    ("retry", format!("the last attempt ended {outcome}; not before {at}, the lead's time"))
                }
                (None, None) => ("not_before", format!("not before {at}, the lead's time")),
            };
            reasons.push(Reason::new(rule, text, Some(next_unix_ms)));
        }
        match self.gate(now, lead.campaign, lead) {
            Ok(()) => false,
            Err(refusal) => {
                let text = match in_words(&refusal, lead) {
                    CommandError::Conflict(text) => text,
                    other => other.to_string(),
                };
                reasons.push(Reason::new(refusal.rule, text, refusal.next_unix_ms));
                refusal.next_unix_ms.is_none()
            }
        }
    }

    /// What holds the whole campaign.
    fn stops(&self, now: Time, lead: &Lead, reasons: &mut Vec<Reason>) {
        if self.is_draining() {
            reasons.push(Reason::new("draining", "the dialer is shutting down", None));
        }
        let Some(live) = self.campaigns.get(&lead.campaign) else {
            reasons.push(Reason::new("campaign", "its campaign was deleted", None));
            return;
        };
        match live.campaign.status {
            CampaignStatus::Running => {}
            CampaignStatus::Draft => {
                reasons.push(Reason::new("campaign_draft", "the campaign was never started", None));
            }
            CampaignStatus::Paused => {
                reasons.push(Reason::new("campaign_paused", "the campaign is paused; start it", None));
            }
            CampaignStatus::Completed => {
                let text = "the campaign is completed: when it last looked, no lead was left to be dialed";
                reasons.push(Reason::new("campaign_completed", text, None));
            }
        }
        if let Err(error) = self.may_go_out(now, lead.campaign) {
            let text = match error {
                CommandError::Conflict(text) => text,
                other => other.to_string(),
            };
            reasons.push(Reason::new("trunk", text, None));
        }
        match live.mode() {
            Mode::Manual => {
                reasons.push(Reason::new("manual", "agents choose whom they dial in this campaign", None));
            }
            Mode::Agentless => {}
            _ if !self.has_supply(lead.campaign) && !self.is_previewed(lead.campaign) => {
                let text = "no agent who serves the campaign is there with audio and takes calls";
                reasons.push(Reason::new("no_agent", text, None));
            }
            _ => {}
        }
    }
}
