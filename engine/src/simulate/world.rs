//! The loop: what happens next goes into the engine, and what the engine wants is done.

use std::time::Duration;

use kraliki_time::Time;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::desk::Desks;
use super::lead::Leads;
use super::line::Lines;
use super::tally::Tally;
use super::{Change, SimConfig, SimReport, Tape};
use crate::compliance::NO_PROFILE;
use crate::{
    AgentId, CallingWindow, CampaignId, CampaignSettings, Command, Engine, Input, LineEvent, Output, Restore,
    Trunk, TrunkId, TryId, Write,
};

/// A group commit.
const COMMIT: Duration = Duration::from_millis(3);
/// Reading leads.
const READ: Duration = Duration::from_millis(5);
/// The wall clock of the simulation at its start: 2026-03-02 00:00 UTC, a Monday.
const START_UNIX_MS: i64 = 1_772_409_600_000;
/// The clock is told this often.
const CLOCK: Duration = Duration::from_secs(30);
pub(super) const CAMPAIGN: CampaignId = CampaignId(1);

/// What may happen next.
pub(super) enum Happening {
    /// Something the engine is told.
    Input(Input),
    /// A line that the engine cancelled or hung up is gone.
    Confirmed(TryId, LineEvent),
    /// An agent is done with a call's record.
    WrappedUp(AgentId),
    /// One of the configuration's changes.
    Change(usize),
    /// The wall clock.
    Clock,
}

/// What is to come.
pub(super) type Agenda = super::agenda::Agenda<Happening>;

/// The floor around an engine.
pub(super) struct World<'a> {
    config: &'a SimConfig,
    engine: Engine,
    now: Time,
    /// When the engine wants to be called.
    wake: Option<Time>,
    agenda: Agenda,
    rng: ChaCha8Rng,
    lines: Lines,
    desks: Desks,
    tally: Tally,
    leads: Leads,
    settings: CampaignSettings,
    tape: Option<&'a mut Tape>,
}

impl<'a> World<'a> {
    pub(super) fn new(config: &'a SimConfig) -> Self {
        World {
            config,
            engine: Engine::new(),
            now: Time::ZERO,
            wake: None,
            agenda: Agenda::default(),
            rng: ChaCha8Rng::seed_from_u64(config.seed),
            lines: Lines::new(config.floor.clone()),
            desks: Desks::new(config.agents),
            tally: Tally::new(config),
            leads: Leads::new(config.seed),
            settings: settings(config),
            tape: None,
        }
    }

    /// The same, and all that goes into the engine goes onto the tape.
    pub(super) fn onto(mut self, tape: &'a mut Tape) -> Self {
        self.tape = Some(tape);
        self
    }

    pub(super) fn run(mut self) -> SimReport {
        let end = Time::ZERO + self.config.lasts;
        self.open();
        for (i, (at, _)) in self.config.changes.iter().enumerate() {
            self.agenda.add(Time::ZERO + *at, Happening::Change(i));
        }
        loop {
            let next = match (self.agenda.next(), self.wake) {
                (Some(a), Some(w)) => a.min(w),
                (Some(t), None) | (None, Some(t)) => t,
                (None, None) => break,
            };
            if next > end {
                break;
            }
            self.now = next;
            self.tally.at(next);
            if self.wake.is_some_and(|w| w <= next) {
                if let Some(tape) = &mut self.tape {
                    tape.push((next, None));
                }
                self.engine.handle_timeout(next);
                self.drain();
            } else if let Some(what) = self.agenda.take() {
                self.happen(what);
            }
        }
        let counters = self.engine.counters();
        self.tally.report(end, counters.decisions, counters.inputs)
    }

    /// A new dialer with one running campaign, and everybody at work.
    fn open(&mut self) {
        self.tell(Input::Clock { unix_ms: START_UNIX_MS });
        self.agenda.add(self.now + CLOCK, Happening::Clock);
        let trunk = Trunk {
            max_cps: 100_000,
            max_channels: 100_000,
            breaker_failures: 0,
            ..Trunk::new(TrunkId(1), "simulated", "+12025550100")
        };
        self.tell(Input::Restore(Box::new(Restore {
            seed: self.config.seed,
            pacer: self.config.pacer.clone(),
            truth: Some(self.config.floor.truth()),
            trunks: vec![trunk],
            next_campaign: CAMPAIGN.0,
            next_attempt: 1,
            ..Restore::default()
        })));
        self.command(Command::CreateCampaign(Box::new(self.settings.clone())));
        for input in self.desks.open() {
            self.tell(input);
        }
        // The campaign is on disk before it can be started.
        self.agenda.add(
            self.now + COMMIT * 2,
            Happening::Input(Input::Command { reply: 0, command: Command::StartCampaign(CAMPAIGN) }),
        );
    }

    fn command(&mut self, command: Command) {
        self.tell(Input::Command { reply: 0, command });
    }

    fn tell(&mut self, input: Input) {
        if let Some(tape) = &mut self.tape {
            tape.push((self.now, Some(input.clone())));
        }
        self.engine.handle_input(self.now, input);
        self.drain();
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Input(Input::Line { id, event }) => {
                if self.lines.happens(id, &event) {
                    self.line(id, event);
                }
            }
            Happening::Confirmed(id, event) => {
                if self.lines.confirmed(id) {
                    self.line(id, event);
                }
            }
            Happening::Input(input) => self.tell(input),
            Happening::WrappedUp(agent) => {
                let command = self.desks.wrapped_up(agent, &mut self.tally);
                self.command(command);
            }
            Happening::Change(i) => {
                let Some((_, change)) = self.config.changes.get(i) else { return };
                match change {
                    Change::Floor(floor) => self.lines.floor = (**floor).clone(),
                    Change::Agents(n) => {
                        for input in self.desks.staff(*n, &mut self.tally) {
                            self.tell(input);
                        }
                    }
                    Change::ShiftEnd(stay, at) => {
                        let after = i64::try_from(at.as_millis()).unwrap_or(i64::MAX);
                        for command in self.desks.plan(*stay, START_UNIX_MS.saturating_add(after)) {
                            self.command(command);
                        }
                    }
                    Change::Gone(stay) => self.desks.gone(*stay, &mut self.tally),
                    Change::Legs(up) => {
                        for input in self.desks.legs(*up) {
                            self.tell(input);
                        }
                    }
                    Change::Cps(max_cps) => {
                        self.settings.max_cps = *max_cps;
                        let settings = Box::new(self.settings.clone());
                        self.command(Command::UpdateCampaign { id: CAMPAIGN, settings });
                    }
                }
            }
            Happening::Clock => {
                self.agenda.add(self.now + CLOCK, Happening::Clock);
                let gone = i64::try_from(self.now.as_millis()).unwrap_or(i64::MAX);
                self.tell(Input::Clock { unix_ms: START_UNIX_MS.saturating_add(gone) });
            }
        }
    }

    /// Something happened on a line. When it ends an agent's call, the agent says at once what came of it.
    fn line(&mut self, id: TryId, event: LineEvent) {
        let ended = self.desks.ended(id, &event, &mut self.tally);
        self.tell(Input::Line { id, event });
        if let Some((agent, disposition)) = ended {
            self.command(disposition);
            let wrap_up = self.lines.floor.wrap_up(&mut self.rng);
            self.agenda.add(self.now + wrap_up, Happening::WrappedUp(agent));
        }
    }

    /// A person has an agent: a talk begins, unless an agent comes back into one.
    fn bridged(&mut self, id: TryId, agent: AgentId) {
        if self.desks.bridged(id, agent, &mut self.tally) {
            self.lines.bridged(self.now, id, &mut self.rng, &mut self.agenda);
        }
    }

    fn drain(&mut self) {
        loop {
            match self.engine.poll_output() {
                Output::Timeout(at) => {
                    self.wake = at;
                    return;
                }
                output => self.answer(output),
            }
        }
    }

    fn answer(&mut self, output: Output) {
        let now = self.now;
        match output {
            Output::Dial(dial) => {
                self.tally.dialed(now);
                let lead = self.leads.behind(&self.config.floor, &dial.phone.0);
                let person = lead.person(&self.lines.floor, hour(now));
                self.lines.dial(now, dial.id, person, &mut self.rng, &mut self.agenda);
            }
            Output::Cancel { id, .. } => self.lines.cancel(now, id, &mut self.agenda),
            Output::Hangup { id } => self.lines.hang_up(now, id, &mut self.agenda),
            Output::Bridge { id, agent } => self.bridged(id, agent),
            Output::Play { id, .. } => self.lines.message(now, id, &mut self.agenda),
            Output::Store { token, write } => {
                self.tally.wrote(now, &write);
                match &write {
                    Write::Try(new) => self.leads.gone(new.lead),
                    Write::Lead(change) => self.leads.gone(change.lead),
                    _ => {}
                }
                if let Some(token) = token {
                    self.agenda.add(now + COMMIT, Happening::Input(Input::Committed { token }));
                }
            }
            Output::Refill { campaign, limit } => {
                let leads = self.leads.next(&self.config.floor, limit);
                let input = Input::Leads { campaign, leads, next_due_unix_ms: None };
                self.agenda.add(now + READ, Happening::Input(input));
            }
            _ => {}
        }
    }
}

/// One campaign that may dial around the clock.
fn settings(config: &SimConfig) -> CampaignSettings {
    let day = CallingWindow { days: (1..=7).collect(), from: "00:00".into(), to: "24:00".into() };
    CampaignSettings {
        name: "simulated".into(),
        max_cps: config.max_cps,
        abandonment_cap: config.cap,
        ring_timeout_s: config.floor.ring_timeout_s,
        grace_ms: config.floor.grace_ms,
        wrap_up_s: 0,
        calling_hours: vec![day],
        compliance: NO_PROFILE.into(),
        max_attempts: 100,
        ..CampaignSettings::default()
    }
}

/// The hour of the day: the simulation starts at midnight, where all leads live.
fn hour(now: Time) -> usize {
    // `% 24` fits any integer.
    (now.as_millis() / 3_600_000 % 24) as usize
}
