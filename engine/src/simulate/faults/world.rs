//! The loop: what happens next goes into the engine, what the engine wants is done, and in between it may die.

use std::collections::BTreeMap;
use std::time::Duration;

use kraliki_time::Time;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::carrier::{Carrier, Failing, Told};
use super::crew::Crew;
use super::disk::{Disk, Job};
use super::nonsense::{self, Nonsense};
use super::schedule::{self, Fault};
use super::setting::{self, Setting};
use super::{Family, FaultConfig, FaultReport};
use crate::check::{Checker, End};
use crate::journal::{Began, Recorder};
use crate::{
    AttemptId, CallState, CampaignId, CampaignStatus, Command, Engine, Event, Input, LineEvent, Output,
    Trunk, TrunkId, TryId,
};

/// The engine's numbers are held against its limits this often.
const ASKED: Duration = Duration::from_millis(80);
const LOOK: Duration = Duration::from_secs(1);
/// The engine hears of the wall clock at least this often.
const CLOCK: Duration = Duration::from_secs(30);
/// How late the driver notices a step of the clock, at most, in ms.
const NOTICED_MS: u64 = 250;
/// After the last dial, calls have this long to end by themselves: the longest talk, a lost BYE's time-outs, and a line
/// whose end nobody confirms.
const LAST_CALLS: Duration = Duration::from_secs(400);
/// The drain's deadline.
const DEADLINE: Duration = Duration::from_secs(20);

/// What may happen next.
pub(super) enum Happening {
    /// Something happens at the far end of a line.
    Line(TryId, LineEvent),
    /// The far end waits no longer for somebody to speak.
    Patience(TryId),
    /// An input that comes whatever the far end does.
    Tell(Input),
    /// Somebody wants something.
    Command(Command),
    /// An answer of the store, for the process of that number.
    Answer(u64, Input),
    /// The store has written, or synced, for the process of that number.
    Written(u64),
    Synced(u64),
    Fault(Fault),
    /// A trunk's keep-alive succeeds again.
    TrunkUp(TrunkId),
    /// The dialer starts.
    Start,
    /// The wall clock is told; the other repeats itself.
    ClockNoticed,
    Clock,
    Look,
    Flood,
    /// Campaigns are stopped, until they are.
    Finish,
    /// By now every call has ended by itself.
    Drain,
}

pub(super) type Agenda = super::super::agenda::Agenda<Happening>;

/// The world around an engine.
pub(super) struct World<'a> {
    config: &'a FaultConfig,
    setting: Setting,
    /// None while the process is dead.
    engine: Option<Engine>,
    /// Which process it is.
    process: u64,
    checker: Checker,
    now: Time,
    wake: Option<Time>,
    agenda: Agenda,
    rng: ChaCha8Rng,
    disk: Disk,
    carrier: Carrier,
    crew: Crew,
    /// How far the wall clock has stepped, in ms.
    stepped_ms: i64,
    commands: u64,
    finishing: bool,
    drained: bool,
    /// Of the present engine.
    journal: Option<Recorder>,
    report: FaultReport,
}

impl<'a> World<'a> {
    pub(super) fn new(config: &'a FaultConfig) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
        let mut setting = setting::draw(config, &mut rng);
        let mut disk = Disk::default();
        for lead in std::mem::take(&mut setting.leads) {
            disk.put_lead(lead);
        }
        disk.campaigns = setting.campaigns.iter().map(|c| (c.id, c.clone())).collect();
        let mut agenda = Agenda::default();
        for trunk in setting.trunks.iter().filter(|trunk| trunk.id == setting::MADE) {
            disk.put_trunk(trunk);
        }
        let trunks: Vec<TrunkId> = setting.trunks.iter().map(|trunk| trunk.id).collect();
        for (at, fault) in schedule::draw(&config.families, config.lasts, &trunks, &mut rng) {
            agenda.add(at, Happening::Fault(fault));
        }
        agenda.add(Time::from_millis(1), Happening::Start);
        agenda.add(Time::ZERO + LOOK, Happening::Look);
        agenda.add(Time::ZERO + CLOCK, Happening::Clock);
        agenda.add(Time::ZERO + config.lasts, Happening::Finish);
        if setting.flood_ms > 0 {
            agenda.add(Time::from_millis(1_000), Happening::Flood);
        }
        World {
            config,
            engine: None,
            process: 0,
            checker: Checker::new(),
            now: Time::ZERO,
            wake: None,
            agenda,
            rng,
            disk,
            carrier: Carrier::new(setting.floor.clone(), setting.troubles.clone()),
            crew: Crew::new(setting.agents, config.families.contains(&Family::Restless)),
            stepped_ms: 0,
            commands: 0,
            finishing: false,
            drained: false,
            journal: None,
            report: FaultReport::default(),
            setting,
        }
    }

    /// Runs until the drain is over; a drain that never is shows in the report.
    pub(super) fn run(mut self) -> FaultReport {
        let last = Time::ZERO + self.config.lasts + LAST_CALLS * 3;
        while !self.drained && self.now < last {
            let next = self.agenda.next();
            let due = self.wake.filter(|wake| next.is_none_or(|next| *wake < next));
            if let Some(wake) = due {
                self.now = self.now.max(wake);
                self.timeout();
            } else if let Some(what) = self.agenda.take() {
                self.now = self.now.max(next.unwrap_or(self.now));
                self.happen(what);
            } else {
                break;
            }
        }
        self.close()
    }

    fn close(mut self) -> FaultReport {
        let now = self.now;
        match &self.engine {
            Some(engine) => {
                let (snapshot, gauges) = (engine.snapshot(now), engine.gauges(now));
                let books = Some(&self.disk.books);
                let end = End { snapshot: &snapshot, gauges: &gauges, books, drained: true };
                self.checker.finish(now, &end);
                self.report.inputs += engine.counters().inputs;
            }
            None => self.checker.wrong(now, "the dialer is dead at the end".into()),
        }
        if let Some(journal) = &mut self.journal {
            journal.check(now);
            self.report.journal = journal.take();
        }
        self.report.outcomes = self.disk.outcomes();
        self.report.violations = self.checker.violations().to_vec();
        self.report
    }

    fn unix_ms(&self) -> i64 {
        let gone = i64::try_from(self.now.as_millis()).unwrap_or(i64::MAX);
        self.setting.start_unix_ms + gone + self.stepped_ms
    }

    fn after_ms(&mut self, from: u64, to: u64) -> Time {
        self.now + Duration::from_millis(self.rng.random_range(from..=to))
    }

    fn timeout(&mut self) {
        let Some(engine) = &mut self.engine else { return };
        if let Some(journal) = &mut self.journal {
            journal.check_if_due(self.now);
            journal.timeout(self.now);
        }
        engine.handle_timeout(self.now);
        self.step();
        self.drain();
        if self.wake.is_some_and(|at| at <= self.now) && self.engine.is_some() {
            self.checker.wrong(self.now, "a timer that is due is set again".into());
            self.wake = Some(self.now + Duration::from_millis(1));
        }
    }

    fn tell(&mut self, input: Input) {
        let Some(engine) = &mut self.engine else { return };
        if let Some(journal) = &mut self.journal {
            journal.check_if_due(self.now);
            journal.input(self.now, &input);
        }
        self.checker.input(self.now, &input);
        engine.handle_input(self.now, input);
        self.step();
        self.drain();
    }

    fn command(&mut self, command: Command) {
        if self.engine.is_none() {
            return;
        }
        self.commands += 1;
        self.crew.told(self.commands, &command);
        self.tell(Input::Command { reply: self.commands, command });
    }

    /// One more input or output is done; here the process may die.
    fn step(&mut self) {
        self.report.steps += 1;
        if self.config.kill_at == Some(self.report.steps) && !self.finishing {
            self.kill(false, Duration::from_millis(700));
        }
    }

    fn drain(&mut self) {
        while let Some(engine) = &mut self.engine {
            let output = engine.poll_output();
            if let Some(journal) = &mut self.journal {
                journal.output(&output);
                self.report.outputs.extend(serde_json::to_vec(&output).unwrap_or_default());
            }
            self.checker.output(self.now, &output);
            if let Output::Timeout(at) = output {
                self.wake = at;
                return;
            }
            self.carry_out(output);
            self.step();
        }
    }

    fn carry_out(&mut self, output: Output) {
        let (now, rng, agenda) = (self.now, &mut self.rng, &mut self.agenda);
        match output {
            Output::Store { token, write } => self.job(Job::Write(token, Box::new(write))),
            Output::Refill { campaign, limit } => self.job(Job::Refill(campaign, limit)),
            Output::ReadLead { reply, campaign, lead } => self.job(Job::Lead(reply, campaign, lead)),
            Output::Dial(dial) => {
                self.report.dials += 1;
                self.report.fail_overs += u64::from(dial.id.number > 1);
                self.carrier.dial(now, &dial, rng, agenda);
            }
            Output::Cancel { id, .. } => self.carrier.cancel(now, id, rng, agenda),
            Output::AskTrunk { id } => {
                let answered = !self.carrier.is_failing(now, id);
                self.agenda.add(now + ASKED, Happening::Tell(Input::TrunkAsked { id, answered }));
            }
            Output::Hangup { id } => self.carrier.hang_up(now, id, rng, agenda),
            Output::Bridge { id, .. } => self.carrier.bridged(now, id, rng, agenda),
            Output::Play { id, .. } => self.carrier.message(now, id, rng, agenda),
            Output::Reply { reply, result } => self.crew.replied(now, reply, &result, agenda),
            Output::Event(Event::Agent(view)) if !self.finishing => self.crew.saw(now, &view, rng, agenda),
            Output::Drained => self.drained = true,
            _ => {}
        }
    }

    fn job(&mut self, job: Job) {
        if self.disk.job(job) {
            self.store_works();
        }
    }

    fn store_works(&mut self) {
        let lasts = Duration::from_micros(self.rng.random_range(500..=5_000));
        self.agenda.add(self.disk.done(self.now, lasts), Happening::Written(self.process));
    }

    fn answers(&mut self, answers: Vec<Input>) {
        for answer in answers {
            self.agenda.add(self.now, Happening::Answer(self.process, answer));
        }
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Line(id, event) => self.line(id, event),
            Happening::Patience(id) => {
                self.carrier.impatient(self.now, id, &mut self.rng, &mut self.agenda);
            }
            Happening::Tell(input) => {
                self.tell(input);
                self.perhaps_nonsense();
            }
            Happening::Command(command) => {
                if !self.finishing || matches!(command, Command::Dispose { .. } | Command::PauseCampaign(_)) {
                    self.command(command);
                }
            }
            Happening::Answer(process, input) if process == self.process => self.tell(input),
            Happening::Written(process) if process == self.process => {
                let answers = self.disk.write(self.now, self.unix_ms());
                self.answers(answers);
                let lasts = Duration::from_micros(self.rng.random_range(300..=4_000));
                self.agenda.add(self.disk.done(self.now, lasts), Happening::Synced(process));
            }
            Happening::Synced(process) if process == self.process => {
                let (answers, more) = self.disk.sync(self.now, self.unix_ms());
                self.answers(answers);
                if more {
                    self.store_works();
                }
            }
            Happening::Answer(..) | Happening::Written(_) | Happening::Synced(_) => {}
            Happening::Fault(fault) => self.fault(fault),
            Happening::TrunkUp(id) => self.tell(Input::Trunk { id, up: true }),
            Happening::Start => self.start(),
            Happening::ClockNoticed => self.tell(Input::Clock { unix_ms: self.unix_ms() }),
            Happening::Clock => {
                self.agenda.add(self.now + CLOCK, Happening::Clock);
                self.tell(Input::Clock { unix_ms: self.unix_ms() });
            }
            Happening::Look => self.look(),
            Happening::Flood => {
                if !self.finishing {
                    let pace = Duration::from_millis(self.setting.flood_ms);
                    self.agenda.add(self.now + pace, Happening::Flood);
                    self.nonsense(true);
                }
            }
            Happening::Finish => self.finish(),
            Happening::Drain => self.last(),
        }
    }

    fn line(&mut self, id: TryId, event: LineEvent) {
        let dead = self.engine.is_none();
        if dead && matches!(event, LineEvent::Answered { .. } | LineEvent::Ended { .. }) {
            // A 200 and a BYE are sent again until somebody answers.
            self.agenda.add(self.now + Duration::from_millis(500), Happening::Line(id, event));
            return;
        }
        match self.carrier.happens(self.now, id, &event, &mut self.agenda) {
            Told::Yes | Told::AsStray => {
                if let Some(at) = self.carrier.comes_again(self.now, &mut self.rng) {
                    let again = Input::Line { id, event: event.clone() };
                    self.agenda.add(at, Happening::Tell(again));
                }
                self.tell(Input::Line { id, event });
                self.perhaps_nonsense();
            }
            Told::No => {}
        }
    }

    fn perhaps_nonsense(&mut self) {
        let one_in = self.setting.nonsense;
        if one_in > 0 && !self.finishing && self.rng.random_range(0..one_in) == 0 {
            self.nonsense(false);
        }
    }

    fn nonsense(&mut self, commands_only: bool) {
        let Some(campaign) = self.setting.campaigns.first() else { return };
        let attempts = i64::try_from(self.disk.attempts.len()).unwrap_or(i64::MAX);
        let agents = self.setting.agents;
        match nonsense::next(self.now, attempts, agents, &campaign.settings, &mut self.rng) {
            Nonsense::Command(command) => self.command(command),
            Nonsense::Input(input) if !commands_only => self.tell(input),
            Nonsense::Input(_) => {}
        }
    }

    fn look(&mut self) {
        self.agenda.add(self.now + LOOK, Happening::Look);
        if let Some(engine) = &self.engine {
            self.checker.gauges(self.now, &engine.gauges(self.now));
        }
    }

    fn fault(&mut self, fault: Fault) {
        if self.finishing || (self.engine.is_none() && !matches!(fault, Fault::ClockSteps(_))) {
            return;
        }
        *self.report.faults.entry(fault.name()).or_default() += 1;
        match fault {
            Fault::Kill { down } => self.kill(false, down),
            Fault::PowerLoss { down } => self.kill(true, down),
            Fault::DiskFull(lasts) => self.disk.bad_until = self.now + lasts,
            Fault::DiskHangs(lasts) => self.disk.hung_until = self.now + lasts,
            Fault::TrunkRefuses(id, lasts) => self.carrier.fails(id, self.now + lasts, Failing::Refuses),
            Fault::TrunkSilent(id, lasts) => self.carrier.fails(id, self.now + lasts, Failing::Silent),
            Fault::TrunkDown(id, lasts) => {
                self.agenda.add(self.now + lasts, Happening::TrunkUp(id));
                self.tell(Input::Trunk { id, up: false });
            }
            Fault::AgentsGone(lasts) => {
                self.crew.lose_audio(self.now, lasts, &mut self.rng, &mut self.agenda);
            }
            Fault::ClockSteps(ms) => {
                self.stepped_ms += ms;
                self.checker.clock(self.now, self.unix_ms());
                let noticed = self.after_ms(1, NOTICED_MS);
                self.agenda.add(noticed, Happening::ClockNoticed);
            }
        }
    }

    /// The process is gone, with everything that is not on disk.
    fn kill(&mut self, power_loss: bool, down: Duration) {
        let Some(engine) = self.engine.take() else { return };
        self.report.inputs += engine.counters().inputs;
        self.wake = None;
        self.process += 1;
        // A transaction that is written when the process dies is in the kernel's hands; it is there after the start, but
        // for the moment before the commit record, which a coin stands for.
        let synced = !power_loss && self.disk.is_flying() && self.rng.random_range(0..2) == 0;
        self.disk.crash(synced);
        (self.disk.bad_until, self.disk.hung_until) = (Time::ZERO, Time::ZERO);
        self.carrier.crash(self.now, &mut self.rng, &mut self.agenda);
        self.crew.crash();
        self.agenda.add(self.now + down, Happening::Start);
    }

    /// As `runtime::start` does: what a crash left open is closed, dialogs that are known are ended, and the engine gets what
    /// it must know.
    fn start(&mut self) {
        let first = self.process == 0;
        if first {
            self.process = 1;
            self.checker.clock(self.now, self.unix_ms());
        } else {
            self.report.restarts += 1;
        }
        let recovered = self.disk.recover(self.unix_ms());
        if !first {
            self.checker.restarted(self.now, &self.disk.books);
        }
        for orphan in recovered.orphans.iter().filter(|orphan| orphan.dialog.is_some()) {
            self.carrier.end(self.now, orphan.id, &mut self.agenda);
        }
        let configured = self.setting.trunks.iter().filter(|trunk| trunk.id != setting::MADE).cloned();
        let made = recovered.trunks.iter().filter_map(|stored| {
            let trunk: Trunk = serde_json::from_str(&stored.profile).ok()?;
            Some(Trunk { id: stored.id, ..trunk })
        });
        let trunks = configured.chain(made).collect();
        let mut restore = recovered.clone().restore(self.config.seed, String::new(), trunks, Vec::new());
        (restore.groups, restore.pools) = (self.setting.groups.clone(), self.setting.pools.clone());
        let engine = Engine::new();
        if self.config.record {
            self.journal = Some(Recorder::begin(1, Began::Fresh, self.now, &engine));
            self.report.outputs.clear();
        }
        self.engine = Some(engine);
        self.tell(Input::Clock { unix_ms: self.unix_ms() });
        self.tell(Input::Restore(Box::new(restore)));
        self.crew.come(self.now, first, &mut self.rng, &mut self.agenda);
    }

    /// Nothing new is dialed from now on, and nothing goes wrong any more.
    fn finish(&mut self) {
        if !std::mem::replace(&mut self.finishing, true) {
            (self.disk.bad_until, self.disk.hung_until) = (Time::ZERO, Time::ZERO);
            self.carrier.heals();
        }
        let Some(engine) = &self.engine else {
            return self.agenda.add(self.now + Duration::from_secs(1), Happening::Finish);
        };
        let running = |status| status == CampaignStatus::Running;
        let views = engine.snapshot(self.now).campaigns;
        let ids: Vec<CampaignId> = views.iter().filter(|v| running(v.status)).map(|v| v.id).collect();
        // A start of before may still wait for its commit.
        if ids.is_empty() && engine.gauges(self.now).committing == 0 {
            return self.agenda.add(self.now + LAST_CALLS, Happening::Drain);
        }
        for id in ids {
            self.command(Command::PauseCampaign(id));
        }
        self.agenda.add(self.now + Duration::from_secs(1), Happening::Finish);
    }

    fn last(&mut self) {
        let Some(engine) = &self.engine else { return };
        let calls = engine.snapshot(self.now).calls;
        let stuck: BTreeMap<AttemptId, CallState> =
            calls.iter().filter(|c| c.state != CallState::Ended).map(|c| (c.id, c.state)).collect();
        if !stuck.is_empty() {
            self.checker.wrong(self.now, format!("calls do not end by themselves: {stuck:?}"));
        }
        self.command(Command::Drain { deadline: DEADLINE });
    }
}
