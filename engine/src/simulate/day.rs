//! A whole day of a house: agents with shifts, pauses and lost browsers, two campaigns that share them, in virtual time and
//! into a real store, written by the real writer. What the engine published is summed up beside it, so that an independent
//! recount of the store can be compared with it.

mod books;
mod crew;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use kraliki_time::Time;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tokio::sync::mpsc;

use super::floor::{Floor, Lasting};
use super::line::Lines;
use super::world::{Agenda, Happening};
use crate::compliance::NO_PROFILE;
use crate::store::{ImportFailure, Job, LeadFilter, Store, StoreError, StoreEvent, Writer};
use crate::{
    AgentLost, CallingWindow, CampaignId, CampaignSettings, Command, Engine, Event, Input, Lead, Output,
    Restore, Routing, Trunk, TrunkId, TryId, Write,
};

pub use books::{AgentBook, CampaignBook, DayReport};

/// A group commit.
const COMMIT: Duration = Duration::from_millis(3);
/// Reading leads.
const READ: Duration = Duration::from_millis(5);
/// The clock is told this often.
const CLOCK: Duration = Duration::from_secs(30);
/// 2026-03-02 08:00 UTC, a Monday.
const START_UNIX_MS: i64 = 1_772_409_600_000 + 8 * 3_600_000;
/// Writes that may wait for the writer before it is waited for.
const QUEUE: usize = 10_000;
/// After the last shift: calls and wrap-ups end.
const AFTER: Duration = Duration::from_secs(1_200);
/// Numbers of one area.
const NUMBERS: u32 = 10_000;
/// Areas of New York's time zone.
const AREAS: [u32; 10] = [202, 203, 207, 212, 215, 239, 240, 301, 302, 305];
const CAMPAIGNS: [CampaignId; 2] = [CampaignId(1), CampaignId(2)];

/// Which day.
#[derive(Clone, Debug)]
pub struct DayConfig {
    /// Agents.
    pub agents: u32,
    /// From the first shift's begin to the last one's end.
    pub lasts: Duration,
    /// Of everything that happens by chance.
    pub seed: u64,
}

/// Why a day could not be simulated.
#[derive(Debug, thiserror::Error)]
pub enum DayError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The leads could not be imported.
    #[error("the leads could not be imported: {0}")]
    Import(String),
    /// The writer ended before its work was done.
    #[error("the store's writer has ended")]
    Writer,
}

impl From<ImportFailure> for DayError {
    fn from(error: ImportFailure) -> Self {
        DayError::Import(error.to_string())
    }
}

/// Simulates it into a new store at `path`, and gives what the engine published.
pub async fn run(config: &DayConfig, path: &Path) -> Result<DayReport, DayError> {
    let store = Store::open(path).await?;
    let recovered = store.recover(START_UNIX_MS).await?;
    // The writer says at most one thing of each write, and has no more of them than that before it is waited for.
    let (tell, events) = mpsc::channel(2 * QUEUE);
    let (writer, task) = store.writer(2 * QUEUE, move |event| drop(tell.try_send(event)));
    let task = tokio::spawn(task.run());
    let trunk = Trunk {
        max_cps: 100_000,
        max_channels: 100_000,
        breaker_failures: 0,
        ..Trunk::new(TrunkId(1), "simulated", "+12025550100")
    };
    let restore = recovered.restore(config.seed, String::new(), vec![trunk], Vec::new());
    let mut day = Day::new(config, writer, events);
    day.open(restore).await?;
    day.leads = import(config, &store).await?;
    day.begin();
    day.live().await?;
    let report = day.report();
    drop(day);
    task.await.map_err(|_| DayError::Writer)?;
    store.close().await;
    Ok(report)
}

/// As many leads as agents can get through, evenly to both campaigns.
async fn import(config: &DayConfig, store: &Store) -> Result<BTreeMap<CampaignId, Vec<Lead>>, DayError> {
    let hours = config.lasts.as_secs_f64() / 3_600.0;
    // On this floor an agent who is always busy gets through 60 leads an hour; `as` saturates.
    let wanted = (f64::from(config.agents) * hours * 40.0) as u32 + 300;
    let each = wanted.min(NUMBERS * 5);
    let mut leads = BTreeMap::new();
    for (id, areas) in CAMPAIGNS.into_iter().zip(AREAS.chunks(5)) {
        let mut importer = store.importer(id, "day", "US").await?;
        let mut csv = "phone\n".to_owned();
        for n in 0..each {
            let place = usize::try_from(n / NUMBERS).unwrap_or_default();
            let area = areas.get(place).copied().unwrap_or(202);
            csv.push_str(&format!("+1{area}555{:04}\n", n % NUMBERS));
        }
        importer.feed(csv.as_bytes()).await?;
        importer.finish().await?;
        leads.insert(id, read(store, id).await?);
    }
    Ok(leads)
}

/// The leads of a campaign, the last one first: they are taken from the end.
async fn read(store: &Store, campaign: CampaignId) -> Result<Vec<Lead>, DayError> {
    let mut leads = Vec::new();
    let mut after = None;
    loop {
        let page = store.leads(campaign, LeadFilter { after, limit: 1_000, ..LeadFilter::default() }).await?;
        leads.extend(page.items.into_iter().map(Lead::from));
        match page.next {
            Some(next) => after = Some(crate::LeadId(next)),
            None => break,
        }
    }
    leads.reverse();
    Ok(leads)
}

struct Day {
    engine: Engine,
    now: Time,
    wake: Option<Time>,
    agenda: Agenda,
    rng: ChaCha8Rng,
    lines: Lines,
    crew: crew::Crew,
    books: books::Books,
    leads: BTreeMap<CampaignId, Vec<Lead>>,
    /// Handed out by the engine's wish, and not dialed yet.
    given: BTreeMap<CampaignId, Vec<Lead>>,
    writer: Writer,
    events: mpsc::Receiver<StoreEvent>,
    /// Writes since the writer was last waited for.
    sent: usize,
    /// Numbers of our own for writes that are waited for: the engine's count from 1.
    token: u64,
    drained: bool,
    lasts: Duration,
}

impl Day {
    fn new(config: &DayConfig, writer: Writer, events: mpsc::Receiver<StoreEvent>) -> Day {
        let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
        Day {
            engine: Engine::new(),
            now: Time::ZERO,
            wake: None,
            agenda: Agenda::default(),
            crew: crew::Crew::new(config, &mut rng),
            rng,
            lines: Lines::new(floor()),
            books: books::Books::default(),
            leads: BTreeMap::new(),
            given: BTreeMap::new(),
            writer,
            events,
            sent: 0,
            token: u64::MAX / 2,
            drained: false,
            lasts: config.lasts,
        }
    }

    /// A new dialer with its people and two campaigns, all of it on disk.
    async fn open(&mut self, restore: Restore) -> Result<(), DayError> {
        self.tell(Input::Clock { unix_ms: START_UNIX_MS });
        self.tell(Input::Restore(Box::new(restore)));
        for command in self.crew.people(START_UNIX_MS) {
            self.command(command);
            self.acknowledge();
        }
        for settings in campaigns() {
            self.command(Command::CreateCampaign(Box::new(settings)));
            self.acknowledge();
        }
        for command in self.crew.skills(&CAMPAIGNS) {
            self.command(command);
            self.acknowledge();
        }
        self.flush().await
    }

    /// What waits for its commit is committed now: the day has not begun.
    fn acknowledge(&mut self) {
        while let Some(Happening::Input(input)) = self.agenda.take() {
            self.tell(input);
        }
    }

    fn begin(&mut self) {
        for id in CAMPAIGNS {
            self.command(Command::StartCampaign(id));
        }
        self.agenda.add(self.now + CLOCK, Happening::Clock);
        for (at, place) in self.crew.plan() {
            self.agenda.add(Time::ZERO + at, Happening::Change(place));
        }
    }

    async fn live(&mut self) -> Result<(), DayError> {
        let end = Time::ZERO + self.lasts + AFTER;
        while !self.drained {
            let next = match (self.agenda.next(), self.wake) {
                (Some(a), Some(w)) => a.min(w),
                (Some(t), None) | (None, Some(t)) => t,
                (None, None) => break,
            };
            // In whole milliseconds, as the store has them: sums of them are exact.
            let next = Time::from_millis(next.as_nanos().div_ceil(1_000_000));
            self.now = self.now.max(next);
            if self.now > end && !self.engine.snapshot(self.now).draining {
                self.command(Command::Drain { deadline: Duration::from_secs(60) });
                continue;
            }
            if self.wake.is_some_and(|wake| wake <= self.now) {
                self.engine.handle_timeout(self.now);
                self.drain();
            } else if let Some(what) = self.agenda.take() {
                self.happen(what);
            }
            if self.sent > QUEUE {
                self.flush().await?;
            }
        }
        self.flush().await
    }

    fn command(&mut self, command: Command) {
        self.tell(Input::Command { reply: 0, command });
    }

    fn tell(&mut self, input: Input) {
        self.engine.handle_input(self.now, input);
        self.drain();
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Input(Input::Line { id, event }) => {
                if self.lines.happens(id, &event) {
                    self.tell(Input::Line { id, event });
                }
            }
            Happening::Confirmed(id, event) => {
                if self.lines.confirmed(id) {
                    self.tell(Input::Line { id, event });
                }
            }
            Happening::Input(input) => self.tell(input),
            Happening::WrappedUp(agent) => {
                for command in self.crew.wrapped_up(agent, self.books.agent(agent)) {
                    self.command(command);
                }
            }
            Happening::Change(place) => {
                for input in self.crew.act(place) {
                    self.tell(input);
                }
            }
            Happening::Clock => {
                self.agenda.add(self.now + CLOCK, Happening::Clock);
                let gone = i64::try_from(self.now.as_millis()).unwrap_or(i64::MAX);
                self.tell(Input::Clock { unix_ms: START_UNIX_MS.saturating_add(gone) });
            }
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
                let person = self.lines.floor.person;
                self.lines.dial(now, dial.id, person, &mut self.rng, &mut self.agenda);
            }
            Output::Cancel { id, .. } => self.lines.cancel(now, id, &mut self.agenda),
            Output::Hangup { id } => self.lines.hang_up(now, id, &mut self.agenda),
            Output::Bridge { id, .. } => self.bridged(id),
            Output::Play { id, .. } => self.lines.message(now, id, &mut self.agenda),
            Output::Store { token, write } => self.write(token, write),
            Output::Refill { campaign, limit } => {
                let input =
                    Input::Leads { campaign, leads: self.next(campaign, limit), next_due_unix_ms: None };
                self.agenda.add(now + READ, Happening::Input(input));
            }
            Output::Event(Event::Agent(view)) => {
                if let Some(agent) = self.books.agent_shown(&view) {
                    let lasts = self.lines.floor.wrap_up(&mut self.rng);
                    self.agenda.add(now + lasts, Happening::WrappedUp(agent));
                }
            }
            Output::Event(Event::Call(view)) => self.books.call_shown(&view),
            Output::Drained => self.drained = true,
            _ => {}
        }
    }

    /// A talk begins, unless it goes on with the same agent or another one.
    fn bridged(&mut self, id: TryId) {
        if self.books.begins(id) {
            self.lines.bridged(self.now, id, &mut self.rng, &mut self.agenda);
        } else {
            let at = self.now;
            let event = crate::LineEvent::FirstPacket { at };
            self.agenda.add(at, Happening::Input(Input::Line { id, event }));
        }
    }

    fn write(&mut self, token: Option<u64>, write: Write) {
        if let Write::Try(new) = &write {
            self.given.values_mut().for_each(|leads| leads.retain(|lead| lead.id != new.lead));
        }
        if let Some(token) = token {
            self.agenda.add(self.now + COMMIT, Happening::Input(Input::Committed { token }));
        }
        self.sent += 1;
        // Twice as many have room as are sent before the writer is waited for.
        if self.writer.try_send(Job::Write { token: None, write }).is_err() {
            self.books.lost += 1;
        }
    }

    /// The leads that are to be dialed next, each until it is dialed.
    fn next(&mut self, campaign: CampaignId, limit: u32) -> Vec<Lead> {
        let given = self.given.entry(campaign).or_default();
        let fresh = self.leads.entry(campaign).or_default();
        while given.len() < limit as usize {
            let Some(lead) = fresh.pop() else { break };
            given.push(lead);
        }
        given.iter().take(limit as usize).cloned().collect()
    }

    /// Waits until everything is on disk.
    async fn flush(&mut self) -> Result<(), DayError> {
        self.token += 1;
        let (token, write) = (Some(self.token), Write::Probe);
        self.writer.try_send(Job::Write { token, write }).map_err(|_| DayError::Writer)?;
        self.sent = 0;
        loop {
            match self.events.recv().await {
                Some(StoreEvent::Committed { token }) if token == self.token => return Ok(()),
                Some(StoreEvent::CommitFailed { .. }) | None => return Err(DayError::Writer),
                Some(_) => {}
            }
        }
    }

    fn report(&mut self) -> DayReport {
        let (snapshot, gauges) = (self.engine.snapshot(self.now), self.engine.gauges(self.now));
        self.books.report(&snapshot, &gauges, self.engine.counters())
    }
}

/// People who often answer and talk long: a day needs fewer leads.
fn floor() -> Floor {
    let long = |mean_s: f64| Lasting { mean_s, sd_s: mean_s };
    Floor {
        name: "day".into(),
        person: 0.3,
        machine: 0.2,
        talk: long(150.0),
        wrap_up: Lasting { mean_s: 25.0, sd_s: 15.0 },
        person_ring: Lasting { mean_s: 11.0, sd_s: 5.0 },
        machine_ring: Lasting { mean_s: 16.0, sd_s: 4.0 },
        post_dial_delay_s: 2.0,
        ring_timeout_s: 25,
        ..Floor::alike()
    }
}

/// Two campaigns that share agents.
fn campaigns() -> [CampaignSettings; 2] {
    let day = CallingWindow { days: (1..=7).collect(), from: "00:00".into(), to: "24:00".into() };
    let both = CampaignSettings {
        compliance: NO_PROFILE.into(),
        calling_hours: vec![day],
        max_attempts: 100,
        wrap_up_s: 45,
        wrap_up_extension_s: 30,
        wrap_up_disposition: "not_interested".into(),
        agent_lost: AgentLost::Offer,
        ..CampaignSettings::default()
    };
    let first = CampaignSettings { name: "First".into(), routing: Routing::Skill, ..both.clone() };
    let second = CampaignSettings {
        name: "Second".into(),
        routing: Routing::FewestCalls,
        teams: vec![crew::LATE],
        ..both
    };
    [first, second]
}
