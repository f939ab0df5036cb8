//! Invariants, checked from outside: what goes into an engine and what comes out of it, and nothing else. Every
//! simulated run must satisfy them, whatever its scenario.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use kraliki_time::Time;

use crate::{
    AgentEvent, AgentId, AgentView, AttemptId, CampaignId, CampaignSettings, Command, Event, Input, Lead,
    LeadAnswer, LeadChange, LeadId, LeadStatus, LineEvent, NewTry, Outcome, Output, Pii, Restore, Snapshot,
    TrunkId, TryId, Verdict, Write,
};

/// An end that is not confirmed counts as one after this, for the engine as for us.
const UNCONFIRMED: Duration = Duration::from_secs(40);
/// What is kept of violations; the first ones tell.
const KEPT: usize = 50;

/// Watches one engine. Give it each input before and each output after the engine, then ask for violations.
#[derive(Debug, Default)]
pub struct Checker {
    violations: Vec<String>,
    clock: Option<(i64, Time)>,
    leads: BTreeMap<LeadId, Lead>,
    changes: BTreeMap<LeadId, LeadChange>,
    settings: BTreeMap<CampaignId, CampaignSettings>,
    suppressed: BTreeSet<Pii<String>>,
    tries: BTreeMap<AttemptId, Attempt>,
    by_token: BTreeMap<u64, Watched>,
    /// Leads with an attempt that is written and not over.
    open: BTreeMap<LeadId, AttemptId>,
    trunks: BTreeMap<TrunkId, Line>,
    legs: BTreeSet<AgentId>,
    /// Which call an agent is in.
    agents: BTreeMap<AgentId, AttemptId>,
    /// Which lead an agent looks at before it is dialed.
    screens: BTreeMap<AgentId, LeadId>,
    replies: BTreeSet<u64>,
    ledger: BTreeMap<CampaignId, (i64, i64)>,
    draining: bool,
    drained: bool,
}

/// A write whose fate matters.
#[derive(Debug)]
enum Watched {
    Try(AttemptId),
    Ended(AttemptId),
}

#[derive(Debug)]
struct Attempt {
    new: NewTry,
    written: Time,
    committed: bool,
    failed: bool,
    dialed: Option<Time>,
    answered: bool,
    machine: bool,
    bridged: bool,
    late: bool,
    /// When we asked for the end.
    ending: Option<Time>,
    /// The far end of it is gone.
    gone: bool,
    outcome: Option<Outcome>,
}

#[derive(Debug, Default)]
struct Line {
    up: bool,
    max_cps: u32,
    max_channels: u32,
    dials: VecDeque<Time>,
    open: BTreeSet<AttemptId>,
    orphans: BTreeMap<TryId, Time>,
}

impl Checker {
    /// A checker that has seen nothing.
    pub fn new() -> Self {
        Checker::default()
    }

    /// What was violated so far, the first ones in words.
    pub fn violations(&self) -> &[String] {
        &self.violations
    }

    fn wrong(&mut self, now: Time, what: String) {
        if self.violations.len() < KEPT {
            self.violations.push(format!("{:.3} s: {what}", now.as_secs_f64()));
        }
    }

    fn unix_ms(&self, now: Time) -> i64 {
        self.clock.map_or(0, |(unix, at)| unix + i64::try_from(now.since(at).as_millis()).unwrap_or(0))
    }

    /// Something goes into the engine.
    pub fn input(&mut self, now: Time, input: &Input) {
        match input {
            Input::Clock { unix_ms } => self.clock = Some((*unix_ms, now)),
            Input::Restore(restore) => self.restore(now, restore),
            Input::Command { reply, command } => {
                self.replies.insert(*reply);
                match command {
                    Command::Suppress { phone, .. } => drop(self.suppressed.insert(phone.clone())),
                    Command::Drain { .. } => self.draining = true,
                    _ => {}
                }
            }
            Input::Line { id, event } => self.line(*id, event),
            Input::Agent { id, event } => match event {
                AgentEvent::LegUp => drop(self.legs.insert(*id)),
                AgentEvent::LegDown => drop(self.legs.remove(id)),
                AgentEvent::Silent | AgentEvent::Alive => {}
            },
            Input::Trunk { id, up } => {
                if let Some(line) = self.trunks.get_mut(id) {
                    line.up = *up;
                }
            }
            Input::Committed { token } => {
                let later = self.by_token.split_off(&token.saturating_add(1));
                for watched in std::mem::replace(&mut self.by_token, later).into_values() {
                    if let Watched::Try(attempt) = watched
                        && let Some(attempt) = self.tries.get_mut(&attempt)
                    {
                        attempt.committed = true;
                    }
                }
            }
            Input::CommitFailed { token } => {
                match self.by_token.remove(token) {
                    Some(Watched::Try(id)) => {
                        if let Some(attempt) = self.tries.get_mut(&id) {
                            attempt.failed = true;
                            self.open.remove(&attempt.new.lead);
                        }
                    }
                    // It is not on disk: it must be written again.
                    Some(Watched::Ended(id)) => self.enter_ledger(id, None),
                    None => {}
                }
            }
            Input::Lead { answer, .. } => {
                if let LeadAnswer::Found { lead, .. } = answer {
                    self.leads.insert(lead.id, (**lead).clone());
                }
            }
            Input::Leads { leads, .. } => {
                for lead in leads {
                    self.leads.insert(lead.id, lead.clone());
                }
            }
        }
    }

    fn restore(&mut self, now: Time, restore: &Restore) {
        if !self.trunks.is_empty() {
            return;
        }
        for trunk in &restore.trunks {
            let line = Line {
                up: !trunk.options_keepalive,
                max_cps: trunk.max_cps,
                max_channels: trunk.max_channels,
                ..Line::default()
            };
            self.trunks.insert(trunk.id, line);
        }
        for (id, trunk) in &restore.orphans {
            if let Some(line) = self.trunks.get_mut(trunk) {
                line.orphans.insert(*id, now);
            }
        }
        for restored in &restore.campaigns {
            self.settings.insert(restored.campaign.id, restored.campaign.settings.clone());
            let sums = (restored.answered.cast_signed(), restored.abandoned.cast_signed());
            self.ledger.insert(restored.campaign.id, sums);
        }
    }

    fn line(&mut self, id: TryId, event: &LineEvent) {
        for line in self.trunks.values_mut() {
            if matches!(event, LineEvent::Failed(_) | LineEvent::Ended { .. }) {
                line.orphans.remove(&id);
            }
        }
        let Some(attempt) = self.tries.get_mut(&id.attempt).filter(|a| a.new.id == id && a.dialed.is_some())
        else {
            return;
        };
        match event {
            LineEvent::Answered { .. } => attempt.answered = true,
            LineEvent::Verdict(Verdict::Machine) => attempt.machine |= attempt.answered && !attempt.bridged,
            LineEvent::Failed(_) | LineEvent::Ended { .. } => attempt.gone = true,
            _ => {}
        }
        let (gone, trunk) = (attempt.gone, attempt.new.trunk);
        if gone {
            if let Some(line) = self.trunks.get_mut(&trunk) {
                line.open.remove(&id.attempt);
            }
            self.agents.retain(|_, call| *call != id.attempt);
        }
    }

    /// Something comes out of the engine.
    pub fn output(&mut self, now: Time, output: &Output) {
        match output {
            Output::Store { token, write } => self.write(now, *token, write),
            Output::Dial(dial) => self.dial(now, dial.id),
            Output::Cancel { id, .. } | Output::Hangup { id } => {
                if let Some(attempt) = self.tries.get_mut(&id.attempt) {
                    attempt.ending.get_or_insert(now);
                }
                if matches!(output, Output::Hangup { .. }) {
                    self.agents.retain(|_, call| *call != id.attempt);
                }
            }
            Output::Event(Event::Agent(view)) => self.screen(now, view),
            Output::Bridge { id, agent } => self.bridge(now, *id, *agent),
            Output::Reply { reply, .. } if !self.replies.remove(reply) => {
                self.wrong(now, format!("reply {reply} was not asked for, or given twice"));
            }
            Output::Drained if !self.draining || std::mem::replace(&mut self.drained, true) => {
                self.wrong(now, "drained twice or without being asked".into());
            }
            _ => {}
        }
    }

    /// A lead is on one agent's screen, and not on a line meanwhile.
    fn screen(&mut self, now: Time, view: &AgentView) {
        let Some(lead) = view.preview.as_ref().map(|preview| preview.lead.id) else {
            self.screens.remove(&view.id);
            return;
        };
        let twice = self.screens.iter().any(|(agent, shown)| *agent != view.id && *shown == lead);
        if twice || self.open.contains_key(&lead) {
            self.wrong(now, format!("agent {} looks at lead {lead}, which is somebody else's", view.id));
        }
        self.screens.insert(view.id, lead);
    }

    fn write(&mut self, now: Time, token: Option<u64>, write: &Write) {
        match write {
            Write::Try(new) => self.new_try(now, token, new),
            Write::Connected { attempt, late, .. } => {
                if let Some(attempt) = self.tries.get_mut(attempt) {
                    attempt.late |= late;
                }
            }
            Write::AttemptEnded { attempt, outcome, lead, .. } => {
                self.ended(now, *attempt, *outcome, lead);
                match token {
                    Some(token) => drop(self.by_token.insert(token, Watched::Ended(*attempt))),
                    None => self.wrong(now, format!("the outcome of {attempt} does not wait for its commit")),
                }
            }
            Write::Disposed { lead, .. } | Write::Lead(lead) => {
                self.changes.insert(lead.lead, lead.clone());
            }
            Write::Suppress { phone, .. } => drop(self.suppressed.insert(phone.clone())),
            Write::Campaign(campaign) => {
                self.settings.insert(campaign.id, campaign.settings.clone());
            }
            _ => {}
        }
    }

    fn new_try(&mut self, now: Time, token: Option<u64>, new: &NewTry) {
        let (id, lead, attempt) = (new.id, new.lead, new.id.attempt);
        if self.tries.contains_key(&attempt) {
            self.wrong(now, format!("{id} was written twice"));
        }
        match token {
            Some(token) => drop(self.by_token.insert(token, Watched::Try(attempt))),
            None => self.wrong(now, format!("{id} does not wait for its commit")),
        }
        if self.open.insert(lead, attempt).is_some() {
            self.wrong(now, format!("lead {lead} is dialed twice at once ({id})"));
        }
        if self.screens.values().any(|shown| *shown == lead) {
            self.wrong(now, format!("lead {lead} is dialed while it is on a screen: {id}"));
        }
        if let Some(change) = self.changes.get(&lead).cloned() {
            let done = matches!(change.status, LeadStatus::Done | LeadStatus::Suppressed);
            let early = new.at_unix_ms < change.next_unix_ms && change.status == LeadStatus::Retry;
            if done || early {
                let text = format!("lead {lead} is {:?} until {}: {id}", change.status, change.next_unix_ms);
                self.wrong(now, text);
            }
            let most = self.settings.get(&new.campaign).map_or(u32::MAX, |s| s.max_attempts);
            if change.attempts >= most {
                self.wrong(now, format!("lead {lead} has had its {most} attempts: {id}"));
            }
        }
        let attempt = Attempt {
            new: new.clone(),
            written: now,
            committed: false,
            failed: false,
            dialed: None,
            answered: false,
            machine: false,
            bridged: false,
            late: false,
            ending: None,
            gone: false,
            outcome: None,
        };
        self.tries.insert(id.attempt, attempt);
    }

    fn dial(&mut self, now: Time, id: TryId) {
        let unix_ms = self.unix_ms(now);
        let Some(attempt) = self.tries.get_mut(&id.attempt) else {
            return self.wrong(now, format!("{id} is dialed and was never written"));
        };
        let new = attempt.new.clone();
        let mut faults = Vec::new();
        if !attempt.committed || attempt.failed {
            faults.push("before its commit");
        }
        if attempt.dialed.replace(now).is_some() {
            faults.push("twice");
        }
        if now.since(attempt.written) > Duration::from_secs(1) {
            faults.push("more than a second after its decision");
        }
        if attempt.outcome.is_some() {
            faults.push("after its outcome");
        }
        if self.suppressed.contains(&new.phone) {
            faults.push("though it is suppressed");
        }
        if self.draining {
            faults.push("while draining");
        }
        if !self.in_hours(&new, unix_ms) {
            faults.push("outside its hours");
        }
        if let Some(line) = self.trunks.get_mut(&new.trunk) {
            if !line.up {
                faults.push("over a trunk that is down");
            }
            line.dials.push_back(now);
            while line.dials.front().is_some_and(|at| now.since(*at) > Duration::from_secs(1)) {
                line.dials.pop_front();
            }
            if line.dials.len() > line.max_cps as usize {
                faults.push("above the calls per second");
            }
            line.orphans.retain(|_, since| now.since(*since) < Duration::from_secs(60));
            let tries = &self.tries;
            line.open.retain(|call| {
                tries.get(call).and_then(|a| a.ending).is_none_or(|at| now.since(at) < UNCONFIRMED)
            });
            line.open.insert(id.attempt);
            if line.open.len() + line.orphans.len() > line.max_channels as usize {
                faults.push("above the channels");
            }
        }
        for fault in faults {
            self.wrong(now, format!("{id} is dialed {fault}"));
        }
    }

    /// Looked up another way than the engine does: the local time as text.
    fn in_hours(&self, new: &NewTry, unix_ms: i64) -> bool {
        let (Some(lead), Some(settings)) = (self.leads.get(&new.lead), self.settings.get(&new.campaign))
        else {
            return false;
        };
        let (Ok(zone), Ok(at)) = (TimeZone::get(&lead.time_zone), Timestamp::from_millisecond(unix_ms))
        else {
            return false;
        };
        let local = at.to_zoned(zone);
        let time = local.strftime("%H:%M").to_string();
        let day = local.weekday().to_monday_one_offset().cast_unsigned();
        settings.calling_hours.iter().any(|window| {
            window.days.contains(&day)
                && window.from.as_str() <= time.as_str()
                && time.as_str() < window.to.as_str()
        })
    }

    fn bridge(&mut self, now: Time, id: TryId, agent: AgentId) {
        let fault = match self.tries.get(&id.attempt) {
            Some(a) if !a.answered => Some("that was not answered"),
            Some(a) if a.gone || a.outcome.is_some() => Some("that is over"),
            Some(a) if a.machine => Some("with a machine"),
            Some(_) => None,
            None => Some("that is not there"),
        };
        if let Some(fault) = fault {
            self.wrong(now, format!("agent {agent} gets a call {fault}: {id}"));
        }
        if let Some(attempt) = self.tries.get_mut(&id.attempt) {
            attempt.bridged = true;
        }
        if !self.legs.contains(&agent) {
            self.wrong(now, format!("agent {agent} without audio gets {id}"));
        }
        if self.agents.insert(agent, id.attempt).is_some_and(|other| other != id.attempt) {
            self.wrong(now, format!("agent {agent} gets a second call: {id}"));
        }
    }

    fn ended(&mut self, now: Time, id: AttemptId, outcome: Outcome, lead: &LeadChange) {
        self.changes.insert(lead.lead, lead.clone());
        self.agents.retain(|_, call| *call != id);
        let Some(attempt) = self.tries.get_mut(&id) else {
            return self.wrong(now, format!("attempt {id} ends and was never written"));
        };
        self.open.remove(&attempt.new.lead);
        let mut faults = Vec::new();
        if attempt.failed || !attempt.committed {
            faults.push("and is not on disk");
        }
        if attempt.outcome.is_some() {
            faults.push("twice");
        }
        if attempt.dialed.is_none() != (outcome == Outcome::NotSent) && attempt.dialed.is_none() {
            faults.push("unsent, with an outcome of a sent one");
        }
        self.enter_ledger(id, Some(outcome));
        for fault in faults {
            self.wrong(now, format!("attempt {id} ends {fault}"));
        }
    }

    /// Gives an attempt its outcome, or takes it away again, in the recount too.
    fn enter_ledger(&mut self, id: AttemptId, outcome: Option<Outcome>) {
        let Some(attempt) = self.tries.get_mut(&id) else { return };
        let before = std::mem::replace(&mut attempt.outcome, outcome);
        let sums = self.ledger.entry(attempt.new.campaign).or_default();
        for (outcome, sign) in [(before, -1), (outcome, 1)] {
            let Some(outcome) = outcome else { continue };
            let person = matches!(outcome, Outcome::Connected | Outcome::Abandoned | Outcome::CallerHangup);
            let abandoned = outcome == Outcome::Abandoned || (person && attempt.late);
            sums.0 += sign * i64::from(person);
            sums.1 += sign * i64::from(abandoned);
        }
    }

    /// At the end of a run, with no call in progress: what must have come to its end has, and the books agree.
    pub fn finish(&mut self, now: Time, snapshot: &Snapshot) {
        let open: Vec<AttemptId> = self
            .tries
            .iter()
            .filter(|(_, a)| a.committed && a.outcome.is_none())
            .map(|(id, _)| *id)
            .collect();
        for id in open {
            self.wrong(now, format!("attempt {id} has no outcome"));
        }
        let unanswered: Vec<u64> = self.replies.iter().copied().collect();
        for reply in unanswered {
            self.wrong(now, format!("command {reply} was never answered"));
        }
        for view in &snapshot.campaigns {
            let (answered, abandoned) = self.ledger.get(&view.id).copied().unwrap_or_default();
            if (answered, abandoned) != (view.answered.cast_signed(), view.abandoned.cast_signed()) {
                let shown = (view.answered, view.abandoned);
                self.wrong(
                    now,
                    format!("the ledger of {} says {shown:?}, a recount {answered}, {abandoned}", view.id),
                );
            }
        }
    }

    /// Attempts by outcome, as written.
    pub fn outcomes(&self) -> BTreeMap<Outcome, u64> {
        let mut outcomes = BTreeMap::new();
        for outcome in self.tries.values().filter_map(|attempt| attempt.outcome) {
            *outcomes.entry(outcome).or_default() += 1;
        }
        outcomes
    }
}
