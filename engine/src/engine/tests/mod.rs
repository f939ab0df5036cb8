//! Whole calls, days and faults in virtual time, watched by [`crate::check::Checker`].

mod agentless;
mod callbacks;
mod calls;
mod campaigns;
mod desk;
mod fail_over;
mod groups;
mod hand;
mod journaled;
mod law;
mod machines;
mod people;
mod pools;
mod store_faults;
mod trunks;

use std::time::Duration;

use kraliki_time::Time;

use crate::check::{Checker, End};
use crate::testing::lead;
use crate::{
    AgentEvent, AgentId, AgentState, AttemptId, CallState, CallView, CallingWindow, Campaign, CampaignId,
    CampaignSettings, CampaignStatus, Command, CommandError, Dial, EndedBy, Engine, Input, Lead, LeadAnswer,
    LeadChange, LeadStatus, LineEvent, Mode, Outcome, Output, RecordingPolicy, RecordingState, Reply,
    Restore, RestoredCampaign, Trunk, TrunkId, TryId, Write,
};

/// A Wednesday, 12:00 in New York.
pub(super) const NOON: i64 = 1_795_021_200_000;

pub(super) fn trunk(max_cps: u32, max_channels: u32) -> Trunk {
    Trunk { max_cps, max_channels, ..Trunk::new(TrunkId(1), "carrier", "+12025550100") }
}

pub(super) fn settings() -> CampaignSettings {
    CampaignSettings {
        name: "Spring".into(),
        compliance: "none".into(),
        mode: Mode::Progressive,
        calling_hours: vec![CallingWindow {
            days: vec![1, 2, 3, 4, 5, 6, 7],
            from: "09:00".into(),
            to: "20:00".into(),
        }],
        ..CampaignSettings::default()
    }
}

pub(super) fn restored(id: i64, settings: CampaignSettings) -> RestoredCampaign {
    let campaign = Campaign { id: CampaignId(id), status: CampaignStatus::Running, settings };
    RestoredCampaign { campaign, ledger: Vec::new() }
}

/// An engine driven by hand, step by step; the store answers at once unless told otherwise.
pub(super) struct Hand {
    pub(super) engine: Engine,
    pub(super) checker: Checker,
    pub(super) now: Time,
    /// Outputs since they were last taken, without events and timeouts.
    pub(super) out: Vec<Output>,
    pub(super) events: Vec<crate::Event>,
    /// Whether writes are acknowledged at once.
    pub(super) commits: bool,
    pub(super) tokens: Vec<u64>,
    pub(super) leads: Vec<Lead>,
    /// Whether a single lead is read at once.
    pub(super) reads: bool,
    /// What the store says of every single lead instead of new.
    pub(super) standing: Option<(LeadStatus, i64)>,
    replies: u64,
    pub(super) wake: Option<Time>,
}

impl Hand {
    pub(super) fn new(restore: Restore) -> Hand {
        let mut hand = Hand {
            engine: Engine::new(),
            checker: Checker::new(),
            now: Time::from_millis(1_000),
            out: Vec::new(),
            events: Vec::new(),
            commits: true,
            tokens: Vec::new(),
            leads: Vec::new(),
            reads: true,
            standing: None,
            replies: 0,
            wake: None,
        };
        hand.input(Input::Clock { unix_ms: NOON });
        hand.input(Input::Restore(Box::new(restore)));
        hand
    }

    /// One running campaign, one wide trunk, these leads, agent 1 ready.
    pub(super) fn floor(settings: CampaignSettings, leads: i64) -> Hand {
        Hand::floor_on(vec![trunk(100, 100)], settings, leads)
    }

    /// As `floor`, on these trunks.
    pub(super) fn floor_on(trunks: Vec<Trunk>, settings: CampaignSettings, leads: i64) -> Hand {
        let mut hand = Hand::new(Restore {
            trunks,
            campaigns: vec![restored(1, settings)],
            next_campaign: 2,
            next_attempt: 1,
            ..Restore::default()
        });
        hand.leads = (1..=leads).map(lead).collect();
        hand.command(Command::LeadsChanged(CampaignId(1))).unwrap();
        hand.wait(Duration::from_secs(1));
        hand.agent_ready(1);
        hand
    }

    pub(super) fn input(&mut self, input: Input) {
        self.checker.input(self.now, &input);
        self.engine.handle_input(self.now, input);
        self.drain_outputs();
    }

    fn drain_outputs(&mut self) {
        let mut answers = Vec::new();
        loop {
            let output = self.engine.poll_output();
            self.checker.output(self.now, &output);
            match output {
                Output::Timeout(at) => {
                    self.wake = at;
                    break;
                }
                Output::Event(event) => self.events.push(event),
                Output::Refill { campaign, limit } => {
                    let held = self.leads.iter().filter(|lead| lead.campaign == campaign).cloned();
                    let leads: Vec<Lead> = held.take(limit as usize).collect();
                    answers.push(Input::Leads { campaign, leads, next_due_unix_ms: Some(NOON + 60_000) });
                }
                Output::ReadLead { reply, campaign, lead } if self.reads => {
                    let (status, next_unix_ms) = self.standing.unwrap_or((LeadStatus::New, 0));
                    let found = self.leads.iter().find(|l| l.id == lead && l.campaign == campaign);
                    let answer = found.map_or(LeadAnswer::NotFound, |lead| LeadAnswer::Found {
                        lead: Box::new(lead.clone()),
                        status,
                        next_unix_ms,
                    });
                    answers.push(Input::Lead { reply, answer });
                }
                Output::Store { token, ref write } => {
                    match write {
                        Write::Try(new) => self.leads.retain(|lead| lead.id != new.lead),
                        Write::AttemptEnded { outcome: Outcome::NotSent, lead: change, .. } => {
                            self.leads.push(lead(change.lead.0));
                        }
                        _ => {}
                    }
                    if let Some(token) = token {
                        self.tokens.push(token);
                        if self.commits {
                            answers.push(Input::Committed { token });
                        }
                    }
                    self.out.push(output);
                }
                output => self.out.push(output),
            }
        }
        for answer in answers {
            self.input(answer);
        }
    }

    /// Lets time go by, timers included.
    pub(super) fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(at) = self.wake.filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.engine.handle_timeout(self.now);
            self.drain_outputs();
        }
        self.now = until;
    }

    pub(super) fn wait_ms(&mut self, ms: u64) {
        self.wait(Duration::from_millis(ms));
    }

    /// Gives a command; the reply must come at once.
    pub(super) fn command(&mut self, command: Command) -> Result<Reply, CommandError> {
        self.replies += 1;
        let number = self.replies;
        self.input(Input::Command { reply: number, command });
        let at = self.out.iter().position(|o| matches!(o, Output::Reply { reply, .. } if *reply == number));
        match at.map(|at| self.out.remove(at)) {
            Some(Output::Reply { result, .. }) => result,
            _ => panic!("no reply"),
        }
    }

    pub(super) fn agent_ready(&mut self, id: i64) {
        let agent = AgentId(id);
        self.command(Command::SignIn { agent, name: format!("Agent {id}") }).unwrap();
        self.input(Input::Agent { id: agent, event: AgentEvent::LegUp });
        self.command(Command::Ready(agent)).unwrap();
    }

    pub(super) fn line(&mut self, id: TryId, event: LineEvent) {
        self.input(Input::Line { id, event });
    }

    /// Takes the dials that came out.
    pub(super) fn dials(&mut self) -> Vec<Dial> {
        let mut dials = Vec::new();
        self.out.retain(|output| match output {
            Output::Dial(dial) => {
                dials.push(dial.clone());
                false
            }
            _ => true,
        });
        dials
    }

    /// Waits for exactly one dial.
    pub(super) fn dial(&mut self) -> TryId {
        for _ in 0..40 {
            let dials = self.dials();
            if let [dial] = &dials[..] {
                return dial.id;
            }
            assert!(dials.is_empty(), "several dials");
            self.wait_ms(50);
        }
        panic!("no dial");
    }

    pub(super) fn answer(&mut self, id: TryId) {
        self.line(id, LineEvent::Answered { dialog: vec![1], detecting: false });
    }

    pub(super) fn far_hangup(&mut self, id: TryId) {
        self.line(id, LineEvent::Ended { by: EndedBy::Far, q850: Some(16) });
    }

    /// A call to agent 1 who talks.
    pub(super) fn talk(&mut self) -> TryId {
        let id = self.dial();
        self.wait_ms(3_000);
        self.line(id, LineEvent::Ringing { early_media: false });
        self.wait_ms(4_000);
        self.line(id, LineEvent::FirstRtp);
        self.answer(id);
        self.wait_ms(12);
        let at = self.now;
        self.line(id, LineEvent::FirstPacket { at });
        self.wait_ms(1_500);
        id
    }

    /// The outcomes that were written, with what becomes of the lead.
    pub(super) fn endings(&self) -> Vec<(AttemptId, Outcome, LeadChange)> {
        let writes = self.out.iter().filter_map(|output| match output {
            Output::Store { write: Write::AttemptEnded { attempt, outcome, lead, .. }, .. } => {
                Some((*attempt, *outcome, lead.clone()))
            }
            _ => None,
        });
        writes.collect()
    }

    pub(super) fn outcome(&self, id: TryId) -> Outcome {
        let found: Vec<Outcome> = self
            .endings()
            .into_iter()
            .filter(|(a, ..)| *a == id.attempt)
            .map(|(_, outcome, _)| outcome)
            .collect();
        assert_eq!(found.len(), 1, "{found:?}");
        found[0]
    }

    pub(super) fn agent_state(&self, id: i64) -> AgentState {
        let snapshot = self.engine.snapshot(self.now);
        snapshot.agents.iter().find(|a| a.id == AgentId(id)).map_or(AgentState::Offline, |a| a.state)
    }

    pub(super) fn call(&self, id: TryId) -> Option<CallView> {
        self.engine.snapshot(self.now).calls.into_iter().find(|call| call.id == id.attempt)
    }

    pub(super) fn call_state(&self, id: TryId) -> CallState {
        self.call(id).map_or(CallState::Ended, |call| call.state)
    }

    pub(super) fn asked(&self, wanted: &Output) -> bool {
        self.out.contains(wanted)
    }

    /// The run is over.
    pub(super) fn finish(&mut self, drained: bool) {
        let (snapshot, gauges) = (self.engine.snapshot(self.now), self.engine.gauges(self.now));
        let end = End { snapshot: &snapshot, gauges: &gauges, books: None, drained };
        self.checker.finish(self.now, &end);
    }

    /// Nothing was violated.
    pub(super) fn sound(&self) {
        assert_eq!(self.checker.violations(), [] as [String; 0]);
    }
}
