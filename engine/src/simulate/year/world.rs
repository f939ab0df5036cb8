//! The year's driver: an engine, the real store, and a clock that jumps to the next thing to do.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kraliki_time::Time;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::super::agenda::Agenda;
use super::leads::{WAVE_DAYS, campaigns, listed, wave};
use super::{YearConfig, YearError, YearReport, lines};
use crate::store::{Job, NumberList, Store, StoreEvent, WriterTask};
use crate::{
    AgentEvent, AgentId, AgentState, CampaignId, Command, CommandError, Engine, Input, LineEvent, Output,
    Reply, Trunk, TrunkId, TryId, Write,
};

const DAY_MS: i64 = 24 * 3_600_000;
const AGENTS: i64 = 3;
/// Without calls the clock jumps at most so far: suppressions, waves and crashes come in between.
const JUMP_MOST: Duration = Duration::from_secs(1_800);
/// With calls the engine is looked at this often, unless something happens on a line.
const GRAIN: Duration = Duration::from_millis(900);
/// A crash comes after so many dials.
const CRASH_EVERY: u64 = 397;
/// Somebody writes to be left alone after so many dials.
const SUPPRESS_EVERY: u64 = 211;
/// A copy of the national list is taken so often; once in a while one is forgotten.
const LIST_DAYS: i64 = 20;

type Answers = Arc<Mutex<VecDeque<StoreEvent>>>;

pub(super) struct World<'a> {
    config: &'a YearConfig,
    store: Store,
    task: WriterTask,
    answers: Answers,
    engine: Engine,
    now: Time,
    wake: Option<Time>,
    agenda: Agenda<(TryId, LineEvent)>,
    /// Lines that are up.
    lines: BTreeSet<TryId>,
    rng: ChaCha8Rng,
    ids: BTreeMap<&'static str, CampaignId>,
    /// When the store said that a campaign's next lead is due.
    due: BTreeMap<CampaignId, i64>,
    replies: u64,
    next_wave: u32,
    next_list: i64,
    dials: u64,
    next_crash: u64,
    next_wish: u64,
    /// Phones that were dialed last.
    dialed: VecDeque<String>,
    report: YearReport,
}

impl<'a> World<'a> {
    pub(super) async fn new(config: &'a YearConfig) -> Result<World<'a>, YearError> {
        let store = Store::open(&config.store).await?;
        let answers = Answers::default();
        let tell = Arc::clone(&answers);
        let (_, task) = store.writer(1, move |event| {
            tell.lock().unwrap_or_else(PoisonError::into_inner).push_back(event);
        });
        Ok(World {
            config,
            store,
            task,
            answers,
            engine: Engine::new(),
            now: Time::ZERO,
            wake: None,
            agenda: Agenda::default(),
            lines: BTreeSet::new(),
            rng: ChaCha8Rng::seed_from_u64(config.seed),
            ids: BTreeMap::new(),
            due: BTreeMap::new(),
            replies: 0,
            next_wave: 0,
            next_list: 0,
            dials: 0,
            next_crash: 8,
            next_wish: SUPPRESS_EVERY,
            dialed: VecDeque::new(),
            report: YearReport::default(),
        })
    }

    pub(super) async fn run(mut self) -> Result<YearReport, YearError> {
        self.start().await?;
        let names = ["us", "us-again", "us-prompt", "uk", "es", "cz"];
        for (name, settings) in names.into_iter().zip(campaigns()) {
            let id = self.create(settings).await?;
            self.ids.insert(name, id);
        }
        self.chores().await?;
        for id in self.ids.clone().into_values() {
            self.command(Command::StartCampaign(id)).await?;
        }
        let end = Duration::from_secs(u64::from(self.config.days) * 24 * 3_600);
        while self.now.since(Time::ZERO) < end {
            self.step().await?;
        }
        self.count();
        for (name, id) in self.ids.clone() {
            let dialed: i64 = self.store.attempts_of(id).await?;
            self.report.attempts.insert(name.to_owned(), u64::try_from(dialed).unwrap_or_default());
        }
        self.store.close().await;
        Ok(self.report)
    }

    fn unix_ms(&self) -> i64 {
        let gone = i64::try_from(self.now.since(Time::ZERO).as_millis()).unwrap_or(i64::MAX);
        self.config.start_unix_ms.saturating_add(gone)
    }

    /// An engine from what the store knows; agents sign in.
    async fn start(&mut self) -> Result<(), YearError> {
        let unix_ms = self.unix_ms();
        let trunk =
            Trunk { max_cps: 100, max_channels: 100, ..Trunk::new(TrunkId(1), "year", "+12025550100") };
        let recovered = self.store.recover(unix_ms).await?;
        let restore = recovered.restore(self.config.seed, String::new(), vec![trunk], Vec::new());
        self.engine = Engine::new();
        self.tell(Input::Clock { unix_ms }).await?;
        self.tell(Input::Restore(Box::new(restore))).await?;
        for id in 1..=AGENTS {
            let agent = AgentId(id);
            self.command(Command::SignIn { agent, name: format!("Agent {id}") }).await?;
            self.tell(Input::Agent { id: agent, event: AgentEvent::LegUp }).await?;
            self.command(Command::Ready(agent)).await?;
        }
        Ok(())
    }

    /// The process dies with all that it had in memory; the next one must say the same of its ledgers, but for calls that
    /// were answered and had no outcome yet.
    async fn crash(&mut self) -> Result<(), YearError> {
        self.count();
        let ledgers = |engine: &Engine, now| -> Vec<(u64, u64)> {
            engine.snapshot(now).campaigns.iter().map(|view| (view.answered, view.abandoned)).collect()
        };
        let before = ledgers(&self.engine, self.now);
        let busy = !self.lines.is_empty();
        (self.agenda, self.lines) = (Agenda::default(), BTreeSet::new());
        if busy {
            self.now += Duration::from_secs(3);
        }
        self.start().await?;
        self.report.crashes += 1;
        let after = ledgers(&self.engine, self.now);
        self.report.ledger_differs += u32::from(!busy && before != after);
        Ok(())
    }

    async fn create(&mut self, settings: crate::CampaignSettings) -> Result<CampaignId, YearError> {
        match self.command(Command::CreateCampaign(Box::new(settings))).await? {
            Reply::Campaign(campaign) => Ok(campaign.id),
            other => Err(YearError::Refused(format!("no campaign: {other:?}"))),
        }
    }

    /// The next thing to do.
    async fn step(&mut self) -> Result<(), YearError> {
        // Every other crash comes while nobody is on a line, so that ledgers can be compared.
        let busy = self.report.crashes.is_multiple_of(2);
        if self.dials >= self.next_crash && self.lines.is_empty() != busy {
            self.next_crash = self.dials + CRASH_EVERY;
            self.crash().await?;
        }
        if self.dials >= self.next_wish
            && let Some(phone) = self.dialed.front().cloned()
        {
            self.next_wish = self.dials + SUPPRESS_EVERY;
            let reason = "asked in writing".to_owned();
            self.command(Command::Suppress { phone: phone.into(), reason, campaign: None }).await?;
        }
        let gauges = self.engine.gauges(self.now);
        let everybody = gauges.agents.get(&AgentState::Ready) == Some(&(AGENTS as u32));
        let idle = self.lines.is_empty() && everybody && gauges.hopper == 0;
        // Timers may come a little late: ten pacing decisions a second would only cost time.
        let wake = self.wake.unwrap_or(self.now + JUMP_MOST).max(self.now + GRAIN);
        let mut next = self.agenda.next().map_or(wake, |at| at.min(wake));
        if idle && self.agenda.next().is_none() {
            let unix_ms = self.unix_ms();
            let due = self.due.values().min().copied().unwrap_or(unix_ms + DAY_MS);
            let ahead = Duration::from_millis(u64::try_from(due.saturating_sub(unix_ms)).unwrap_or_default());
            next = next.max(self.now + ahead.min(JUMP_MOST));
        }
        let jumped = next.since(self.now) > Duration::from_secs(5);
        self.now = next;
        if jumped {
            // Quiet moments are for everything else.
            self.chores().await?;
            let unix_ms = self.unix_ms();
            self.tell(Input::Clock { unix_ms }).await?;
        }
        if self.wake.is_some_and(|at| at <= self.now) {
            self.engine.handle_timeout(self.now);
            self.drain().await?;
        }
        while self.agenda.next().is_some_and(|at| at <= self.now) {
            let Some((id, event)) = self.agenda.take() else { break };
            self.line(id, event).await?;
        }
        Ok(())
    }

    /// Leads, lists, wishes, crashes.
    async fn chores(&mut self) -> Result<(), YearError> {
        let day = self.unix_ms().saturating_sub(self.config.start_unix_ms).div_euclid(DAY_MS);
        if day >= i64::from(self.next_wave * WAVE_DAYS) {
            let number = self.next_wave;
            self.next_wave += 1;
            for (name, lead) in wave(number).into_iter().step_by(self.config.every.max(1)) {
                let Some(id) = self.ids.get(name).copied() else { continue };
                // Two of them may have one number; the first stands.
                let _ = self.store.add_lead(id, "wave", "US", lead).await;
            }
            for id in self.ids.clone().into_values() {
                self.command(Command::LeadsChanged(id)).await?;
            }
        }
        if day >= self.next_list {
            // One in six is forgotten, and the list grows too old.
            let forgotten = self.next_list / LIST_DAYS % 6 == 4;
            self.next_list += LIST_DAYS;
            if !forgotten {
                self.list().await?;
            }
        }
        Ok(())
    }

    /// A new copy of the US list.
    async fn list(&mut self) -> Result<(), YearError> {
        let unix_ms = self.unix_ms();
        let list =
            NumberList::National { country: "US".into(), name: "simulated".into(), as_of_unix_ms: unix_ms };
        let mut import = self.store.numbers_import(list, "US", unix_ms).await?;
        let numbers: Vec<String> = (0..=self.next_wave).flat_map(listed).collect();
        import.feed(numbers.join("\n").as_bytes()).await?;
        let (_, copy) = import.finish().await?;
        self.command(Command::ListsChanged(copy.map(Box::new))).await?;
        for id in self.ids.clone().into_values() {
            // What the engine was told is the store's from the next start on; this one asks again.
            self.due.remove(&id);
        }
        Ok(())
    }

    async fn line(&mut self, id: TryId, event: LineEvent) -> Result<(), YearError> {
        if !self.lines.contains(&id) {
            return Ok(());
        }
        if matches!(event, LineEvent::Failed(_) | LineEvent::Ended { .. }) {
            self.lines.remove(&id);
        }
        self.tell(Input::Line { id, event }).await
    }

    async fn command(&mut self, command: Command) -> Result<Reply, YearError> {
        self.replies += 1;
        let reply = self.replies;
        self.engine.handle_input(self.now, Input::Command { reply, command });
        match self.drain().await?.remove(&reply) {
            Some(Ok(reply)) => Ok(reply),
            Some(Err(error)) => Err(YearError::Refused(error.to_string())),
            None => Err(YearError::Refused("a command was not answered".into())),
        }
    }

    async fn tell(&mut self, input: Input) -> Result<(), YearError> {
        self.engine.handle_input(self.now, input);
        self.drain().await.map(|_| ())
    }

    /// Does what the engine wants, until it wants nothing more now. Gives the replies that came.
    async fn drain(&mut self) -> Result<BTreeMap<u64, Result<Reply, CommandError>>, YearError> {
        let mut replies = BTreeMap::new();
        loop {
            let mut jobs: Vec<(Time, Job)> = Vec::new();
            loop {
                match self.engine.poll_output() {
                    Output::Timeout(at) => {
                        self.wake = at;
                        break;
                    }
                    Output::Reply { reply, result } => drop(replies.insert(reply, result)),
                    output => jobs.extend(self.output(output).map(|job| (Time::ZERO, job))),
                }
            }
            if jobs.is_empty() {
                return Ok(replies);
            }
            self.task.commit(jobs).await;
            self.task.refilled().await;
            while let Some(event) = self.answer() {
                let input = match event {
                    StoreEvent::Committed { token } => Input::Committed { token },
                    StoreEvent::CommitFailed { token } => Input::CommitFailed { token },
                    StoreEvent::Lead { reply, answer } => Input::Lead { reply, answer },
                    StoreEvent::Leads { campaign, leads, next_due_unix_ms } => {
                        match next_due_unix_ms {
                            Some(due) if leads.is_empty() => drop(self.due.insert(campaign, due)),
                            _ => drop(self.due.remove(&campaign)),
                        }
                        Input::Leads { campaign, leads, next_due_unix_ms }
                    }
                };
                self.engine.handle_input(self.now, input);
            }
        }
    }

    fn answer(&self) -> Option<StoreEvent> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    fn output(&mut self, output: Output) -> Option<Job> {
        let (now, now_unix_ms) = (self.now, self.unix_ms());
        match output {
            Output::Store { token, write } => {
                if let Write::Try(new) = &write {
                    self.dialed.push_back(new.phone.0.clone());
                    if self.dialed.len() > 50 {
                        self.dialed.pop_front();
                    }
                }
                return Some(Job::Write { token, write });
            }
            Output::Refill { campaign, limit } => return Some(Job::Refill { campaign, limit, now_unix_ms }),
            Output::ReadLead { reply, campaign, lead } => {
                return Some(Job::Lead { reply, campaign, lead, now_unix_ms });
            }
            Output::Dial(dial) => {
                self.dials += 1;
                self.lines.insert(dial.id);
                lines::dial(now, dial.id, &mut self.rng, &mut self.agenda);
            }
            Output::Cancel { id, .. } => lines::cancel(now, id, &mut self.agenda),
            Output::Hangup { id } => lines::hang_up(now, id, &mut self.agenda),
            Output::Bridge { id, .. } => {
                self.agenda.add(now + Duration::from_millis(20), (id, LineEvent::FirstPacket { at: now }));
            }
            Output::Play { id, .. } => {
                self.agenda.add(now + Duration::from_secs(8), (id, LineEvent::PlayDone));
            }
            _ => {}
        }
        None
    }

    /// What this engine counted.
    fn count(&mut self) {
        let counters = self.engine.counters();
        for (rule, count) in &counters.refused {
            *self.report.refused.entry(rule.to_string()).or_default() += count;
        }
        for (outcome, count) in &counters.outcomes {
            *self.report.outcomes.entry(outcome.as_str().to_owned()).or_default() += count;
        }
    }
}
