//! A whole small world around an engine: store, carrier, agents, managers, and chaos; all from one seed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::{CancelReason, Event, Failure, LeadId, Pii, Verdict, journal};

/// How a world behaves.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    pub(super) seed: u64,
    pub(super) lasts: Duration,
    pub(super) agents: i64,
    pub(super) leads: i64,
    pub(super) max_cps: u32,
    pub(super) max_channels: u32,
    pub(super) campaigns: Vec<CampaignSettings>,
    /// How often nonsense comes in: one in so many events; 0: never.
    pub(super) nonsense: u32,
    /// Whether the store fails and hangs at times.
    pub(super) bad_disk: bool,
    /// Whether agents lose their legs, pause and leave.
    pub(super) restless: bool,
    /// Whether verdicts of machine detection come.
    pub(super) detecting: bool,
}

impl Setting {
    pub(super) fn calm(seed: u64) -> Setting {
        Setting {
            seed,
            lasts: Duration::from_secs(900),
            agents: 8,
            leads: 4_000,
            max_cps: 20,
            max_channels: 40,
            campaigns: vec![settings()],
            nonsense: 0,
            bad_disk: false,
            restless: false,
            detecting: false,
        }
    }
}

enum Ev {
    Input(Input),
    Store,
    Finish,
}

struct Row {
    lead: Lead,
    status: LeadStatus,
    next_unix_ms: i64,
}

enum Job {
    Write(Option<u64>, Write),
    Refill(CampaignId, u32),
    Lead(u64, CampaignId, LeadId),
}

pub(super) struct World {
    pub(super) engine: Engine,
    pub(super) checker: Checker,
    pub(super) now: Time,
    pub(super) journal: Vec<u8>,
    pub(super) outputs: Vec<u8>,
    pub(super) drained: bool,
    pub(super) replies: u64,
    setting: Setting,
    rng: StdRng,
    queue: BTreeMap<(Time, u64), Ev>,
    order: u64,
    wake: Option<Time>,
    rows: BTreeMap<LeadId, Row>,
    suppressed: BTreeSet<String>,
    jobs: VecDeque<Job>,
    working: bool,
    bad_until: Time,
    hung_until: Time,
    /// Answered or not; gone when over.
    lines: BTreeMap<TryId, bool>,
    command: u64,
    finishing: bool,
    /// The first manual campaign, else 0.
    manual: i64,
}

impl World {
    pub(super) fn new(setting: Setting) -> World {
        let mut world = World {
            engine: Engine::new(),
            checker: Checker::new(),
            now: Time::from_millis(1),
            journal: journal::header().to_vec(),
            outputs: Vec::new(),
            drained: false,
            replies: 0,
            rng: StdRng::seed_from_u64(setting.seed),
            queue: BTreeMap::new(),
            order: 0,
            wake: None,
            rows: BTreeMap::new(),
            suppressed: BTreeSet::new(),
            jobs: VecDeque::new(),
            working: false,
            bad_until: Time::ZERO,
            hung_until: Time::ZERO,
            lines: BTreeMap::new(),
            command: 0,
            finishing: false,
            manual: setting
                .campaigns
                .iter()
                .position(|campaign| campaign.mode == Mode::Manual)
                .map_or(0, |place| i64::try_from(place).unwrap() + 1),
            setting,
        };
        let setting = world.setting.clone();
        let many = i64::try_from(setting.campaigns.len()).unwrap();
        for id in 1..=setting.leads {
            let mut lead = lead(id);
            lead.campaign = CampaignId(1 + id % many);
            // Hours differ: some of these are closed at noon in New York.
            let zones =
                ["America/New_York", "America/Chicago", "America/Los_Angeles", "Europe/Prague", "Asia/Tokyo"];
            lead.time_zone = zones[usize::try_from(id).unwrap() % if id % 4 == 0 { 5 } else { 3 }].into();
            world.rows.insert(lead.id, Row { lead, status: LeadStatus::New, next_unix_ms: 0 });
        }
        let campaigns = setting.campaigns.iter().enumerate();
        let campaigns: Vec<RestoredCampaign> = campaigns
            .map(|(n, settings)| restored(i64::try_from(n).unwrap() + 1, settings.clone()))
            .collect();
        world.later_ms(0, Input::Clock { unix_ms: NOON });
        world.later_ms(
            1,
            Input::Restore(Box::new(Restore {
                seed: setting.seed,
                trunks: vec![trunk(setting.max_cps, setting.max_channels)],
                campaigns,
                next_campaign: many + 1,
                next_attempt: 1,
                orphans: vec![(TryId { attempt: AttemptId(-1), number: 1 }, TrunkId(1))],
                ..Restore::default()
            })),
        );
        for minute in 1..=setting.lasts.as_secs() / 60 {
            let unix_ms = NOON + i64::try_from(minute).unwrap() * 60_000;
            world.later_ms(minute * 60_000, Input::Clock { unix_ms });
        }
        for id in 1..=setting.agents {
            let agent = AgentId(id);
            world.command_later(10, Command::SignIn { agent, name: format!("Agent {id}") });
            world.later_ms(20, Input::Agent { id: agent, event: AgentEvent::LegUp });
            world.command_later(30, Command::Ready(agent));
        }
        let end = Time::ZERO + setting.lasts;
        world.push(end, Ev::Finish);
        world
    }

    fn push(&mut self, at: Time, ev: Ev) {
        self.order += 1;
        self.queue.insert((at, self.order), ev);
    }

    fn later_ms(&mut self, ms: u64, input: Input) {
        self.push(self.now + Duration::from_millis(ms), Ev::Input(input));
    }

    fn command_later(&mut self, ms: u64, command: Command) {
        self.command += 1;
        let reply = self.command;
        self.later_ms(ms, Input::Command { reply, command });
    }

    fn unix_ms(&self) -> i64 {
        NOON + i64::try_from(self.now.as_millis()).unwrap()
    }

    fn between(&mut self, from: u64, to: u64) -> u64 {
        self.rng.random_range(from..=to)
    }

    fn one_in(&mut self, n: u32) -> bool {
        n > 0 && self.rng.random_range(0..n) == 0
    }

    /// Runs to the end: nothing in progress any more.
    pub(super) fn run(&mut self) {
        loop {
            let next = self.queue.keys().next().map(|(at, _)| *at);
            let wake = self.wake.filter(|wake| next.is_none_or(|next| *wake < next));
            if let Some(wake) = wake {
                self.now = self.now.max(wake);
                journal::write_timeout(&mut self.journal, self.now);
                self.engine.handle_timeout(self.now);
                self.outputs();
                assert!(self.wake.is_none_or(|at| at > self.now), "a timer that is due is set again");
            } else if let Some(((at, _), ev)) = self.queue.pop_first() {
                self.now = self.now.max(at);
                match ev {
                    Ev::Input(input) => self.input(input),
                    Ev::Store => self.store(),
                    Ev::Finish => self.finish(),
                }
            }
            if (self.drained && self.queue.is_empty()) || self.now > Time::ZERO + self.setting.lasts * 2 {
                break;
            }
        }
    }

    fn finish(&mut self) {
        self.finishing = true;
        (self.bad_until, self.hung_until) = (Time::ZERO, Time::ZERO);
        self.command_later(0, Command::Drain { deadline: Duration::from_secs(20) });
    }

    fn input(&mut self, input: Input) {
        if let Input::Line { id, event } = &input {
            match event {
                // The far end's story stops when the call is over, and an answer is told once.
                _ if !self.lines.contains_key(id) => return,
                LineEvent::Answered { .. } => drop(self.lines.insert(*id, true)),
                LineEvent::Failed(_) if self.lines.get(id) == Some(&true) => return,
                LineEvent::Failed(_) | LineEvent::Ended { .. } => drop(self.lines.remove(id)),
                _ => {}
            }
        }
        self.feed(input);
        if self.one_in(self.setting.nonsense) {
            let nonsense = self.nonsense();
            self.feed(nonsense);
        }
    }

    fn feed(&mut self, input: Input) {
        journal::write_input(&mut self.journal, self.now, &input);
        self.checker.input(self.now, &input);
        self.engine.handle_input(self.now, input);
        self.outputs();
    }

    fn outputs(&mut self) {
        loop {
            let output = self.engine.poll_output();
            self.outputs.extend(serde_json::to_vec(&output).unwrap());
            self.checker.output(self.now, &output);
            match output {
                Output::Timeout(at) => {
                    self.wake = at;
                    return;
                }
                Output::Store { token, write } => self.job(Job::Write(token, write)),
                Output::Refill { campaign, limit } => self.job(Job::Refill(campaign, limit)),
                Output::Dial(dial) => self.dialed(dial.id),
                Output::Cancel { id, reason } => self.cancelled(id, reason),
                Output::Hangup { id } => {
                    let ms = self.between(5, 60);
                    self.later_ms(
                        ms,
                        Input::Line { id, event: LineEvent::Ended { by: EndedBy::Near, q850: None } },
                    );
                }
                Output::Bridge { id, .. } => {
                    let at = self.now + Duration::from_millis(self.between(1, 40));
                    self.push(at, Ev::Input(Input::Line { id, event: LineEvent::FirstPacket { at } }));
                }
                Output::Play { id, .. } => {
                    let ms = self.between(3_000, 12_000);
                    self.later_ms(ms, Input::Line { id, event: LineEvent::PlayDone });
                }
                Output::ReadLead { reply, campaign, lead } => self.job(Job::Lead(reply, campaign, lead)),
                Output::Reply { .. } => self.replies += 1,
                Output::Event(Event::Agent(view)) => self.agent(&view),
                Output::Drained => self.drained = true,
                _ => {}
            }
        }
    }

    fn dialed(&mut self, id: TryId) {
        self.lines.insert(id, false);
        let line = |event| Input::Line { id, event };
        let pdd = self.between(200, 2_500);
        let dice = self.between(0, 99);
        if dice < 12 {
            let status = [486, 404, 503, 480, 603, 607, 488][usize::try_from(self.between(0, 6)).unwrap()];
            let failure =
                Failure::Status { status, q850: None, reason: String::new(), retry_after: None, rang: false };
            return self.later_ms(pdd, line(LineEvent::Failed(failure)));
        }
        if dice < 14 {
            return self.later_ms(32_000, line(LineEvent::Failed(Failure::Timeout { rang: false })));
        }
        self.later_ms(pdd, line(LineEvent::Ringing { early_media: dice.is_multiple_of(2) }));
        if dice < 55 {
            return; // rings out
        }
        let answer = pdd + self.between(2_000, 24_000);
        let detecting = self.setting.detecting && !dice.is_multiple_of(3);
        if dice < 98 {
            self.later_ms(answer + 5, line(LineEvent::FirstRtp));
        }
        self.later_ms(answer, line(LineEvent::Answered { dialog: vec![1, 2], detecting }));
        if detecting && !dice.is_multiple_of(5) {
            let verdict = if dice < 70 { Verdict::Machine } else { Verdict::Person };
            let ms = answer + self.between(300, 3_000);
            self.later_ms(ms, line(LineEvent::Verdict(verdict)));
        }
        if dice.is_multiple_of(3) {
            let key = ['1', '9', '5'][usize::try_from(dice).unwrap() / 3 % 3];
            let ms = answer + self.between(500, 9_000);
            self.later_ms(ms, line(LineEvent::Digit(key)));
        }
        let talk = if dice > 95 { self.between(100, 2_500) } else { self.between(5_000, 90_000) };
        let by = if dice.is_multiple_of(7) { EndedBy::MediaTimeout } else { EndedBy::Far };
        self.later_ms(answer + talk, line(LineEvent::Ended { by, q850: Some(16) }));
    }

    fn cancelled(&mut self, id: TryId, _reason: CancelReason) {
        if self.lines.get(&id) == Some(&false) && !self.one_in(40) {
            let ms = self.between(10, 400);
            self.later_ms(ms, Input::Line { id, event: LineEvent::Failed(Failure::Cancelled) });
        }
    }

    fn agent(&mut self, view: &crate::AgentView) {
        if self.finishing {
            return;
        }
        let agent = view.id;
        match (view.state, view.call) {
            (AgentState::WrapUp, Some(call)) if self.one_in(8) => {
                self.command_later(100, Command::Hangup(call)); // late: the call is over
            }
            (AgentState::WrapUp, Some(call)) => {
                let code = ["sale", "call_back", "do_not_call", "wrong_number"];
                let code = code[usize::try_from(self.between(0, 30)).unwrap() % 4 % 3].into();
                let (first, second) = (self.between(500, 20_000), self.between(0, 3_000));
                let dispose = Command::Dispose { call, code, note: String::new(), callback_unix_ms: None };
                self.command_later(first, dispose);
                self.command_later(first + second, Command::Ready(agent));
            }
            (AgentState::Talking, Some(call)) if self.setting.restless && self.one_in(4) => {
                let ms = self.between(1_000, 20_000);
                match self.between(0, 4) {
                    0 => self.command_later(ms, Command::Hold { call, on: true }),
                    1 => self.command_later(ms, Command::Pause { agent, reason: "tea".into() }),
                    2 => self.command_later(ms, Command::SignOut(agent)),
                    3 => self.command_later(ms, Command::Hangup(call)),
                    _ => {
                        let back = ms + self.between(100, 20_000);
                        self.later_ms(ms, Input::Agent { id: agent, event: AgentEvent::LegDown });
                        self.later_ms(back, Input::Agent { id: agent, event: AgentEvent::LegUp });
                    }
                }
            }
            (AgentState::Hold, Some(call)) => {
                self.command_later(2_000, Command::Hold { call, on: false });
            }
            (AgentState::Paused, _) if self.now > Time::from_millis(1_000) => {
                let ms = self.between(1_000, 30_000);
                self.later_ms(ms, Input::Agent { id: agent, event: AgentEvent::LegUp });
                self.command_later(ms + 1, Command::Ready(agent));
            }
            (AgentState::Offline, _) => {
                self.command_later(5_000, Command::SignIn { agent, name: view.name.clone() });
            }
            (AgentState::Preview, _) => self.look_at(view),
            (AgentState::Ready, _) if self.manual > 0 && self.one_in(3) => {
                let (campaign, lead) = (CampaignId(self.manual), LeadId(self.rng.random_range(1..400)));
                self.command_later(200, Command::DialLead { agent, campaign, lead });
            }
            (AgentState::Ready, _) if self.setting.restless && self.one_in(20) => {
                self.later_ms(50, Input::Agent { id: agent, event: AgentEvent::Silent });
                self.later_ms(3_000, Input::Agent { id: agent, event: AgentEvent::Alive });
            }
            _ => {}
        }
    }

    /// An agent with a lead on the screen: dials it, mostly.
    fn look_at(&mut self, view: &crate::AgentView) {
        let (agent, ms) = (view.id, self.between(500, 12_000));
        let Some(lead) = view.preview.as_ref().map(|preview| preview.lead.id) else { return };
        match self.between(0, 7) {
            0 => {
                let skip = Command::SkipPreview { agent, lead, delay_s: 120, reason: "later".into() };
                self.command_later(ms, skip);
            }
            1 if self.setting.restless => {
                self.command_later(ms, Command::Pause { agent, reason: "tea".into() });
            }
            2 if self.setting.restless => {
                self.later_ms(ms, Input::Agent { id: agent, event: AgentEvent::LegDown });
                self.later_ms(ms + 9_000, Input::Agent { id: agent, event: AgentEvent::LegUp });
                self.command_later(ms + 20_000, Command::DialPreview { agent, lead });
            }
            _ => {
                self.command_later(ms, Command::DialPreview { agent, lead });
                self.command_later(ms + 40, Command::DialPreview { agent, lead });
            }
        }
    }

    /// Something that nobody expects: about calls that are, were or never will be.
    fn nonsense(&mut self) -> Input {
        let attempt = AttemptId(self.rng.random_range(0..self.command.cast_signed().max(400)));
        let id = TryId { attempt, number: u32::try_from(self.between(0, 2)).unwrap() };
        let agent = AgentId(self.rng.random_range(0..self.setting.agents + 3));
        let campaign = CampaignId(self.rng.random_range(0..4));
        let line = |event| Input::Line { id, event };
        let at = self.now;
        match self.between(0, 22) {
            0 => line(LineEvent::Trying),
            1 => line(LineEvent::Ringing { early_media: false }),
            2 => line(LineEvent::Answered { dialog: vec![], detecting: true }),
            3 => line(LineEvent::Verdict(Verdict::Machine)),
            4 => line(LineEvent::FirstPacket { at }),
            5 => line(LineEvent::Failed(Failure::Cancelled)),
            6 => line(LineEvent::Failed(Failure::NotSent { reason: String::new() })),
            7 => line(LineEvent::Ended { by: EndedBy::Near, q850: None }),
            8 => line(LineEvent::PlayDone),
            9 => Input::Trunk { id: TrunkId(1), up: self.one_in(2) || self.finishing },
            10 => Input::Committed { token: 0 },
            11 => Input::CommitFailed { token: u64::MAX },
            12 => Input::Agent { id: agent, event: AgentEvent::LegDown },
            13 => Input::Agent { id: agent, event: AgentEvent::LegUp },
            dice => {
                self.command += 1;
                let reply = self.command;
                let command = match dice {
                    14 => Command::Hangup(attempt),
                    15 => Command::PauseCampaign(campaign),
                    20 => Command::DialLead { agent, campaign, lead: LeadId(attempt.0) },
                    21 => Command::DialPreview { agent, lead: LeadId(attempt.0) },
                    22 => Command::SkipPreview {
                        agent,
                        lead: LeadId(attempt.0),
                        delay_s: 60,
                        reason: String::new(),
                    },
                    16 => Command::StartCampaign(campaign),
                    17 => Command::Suppress { phone: Pii(lead(attempt.0).phone.0), reason: "chaos".into() },
                    18 => {
                        let settings = self.setting.campaigns.first().cloned().unwrap();
                        Command::UpdateCampaign { id: campaign, settings: Box::new(settings) }
                    }
                    _ => Command::Dispose {
                        call: attempt,
                        code: "call_back".into(),
                        note: String::new(),
                        callback_unix_ms: None,
                    },
                };
                Input::Command { reply, command }
            }
        }
    }

    fn job(&mut self, job: Job) {
        self.jobs.push_back(job);
        if !std::mem::replace(&mut self.working, true) {
            let at = (self.now + Duration::from_millis(self.between(1, 8))).max(self.hung_until);
            self.push(at, Ev::Store);
        }
    }

    /// One transaction: everything that waits, in order.
    fn store(&mut self) {
        self.working = false;
        if self.setting.bad_disk && !self.finishing {
            if self.one_in(400) {
                self.bad_until = self.now + Duration::from_millis(self.between(100, 8_000));
            }
            if self.one_in(400) {
                self.hung_until = self.now + Duration::from_millis(self.between(100, 4_000));
            }
        }
        let bad = self.now < self.bad_until;
        let mut last = None;
        for job in std::mem::take(&mut self.jobs) {
            match job {
                Job::Write(token, _) if bad => {
                    if let Some(token) = token {
                        self.later_ms(0, Input::CommitFailed { token });
                    }
                }
                Job::Write(token, write) => {
                    self.apply(write);
                    last = token.or(last);
                }
                Job::Lead(reply, campaign, lead) => {
                    if let Some(token) = last.take() {
                        self.later_ms(0, Input::Committed { token });
                    }
                    let answer = self.one(campaign, lead, bad);
                    self.later_ms(0, Input::Lead { reply, answer });
                }
                Job::Refill(campaign, limit) => {
                    // Answers come in order with the commits before them.
                    if let Some(token) = last.take() {
                        self.later_ms(0, Input::Committed { token });
                    }
                    let answer = self.due(campaign, if bad { 0 } else { limit });
                    self.later_ms(0, answer);
                }
            }
        }
        if let Some(token) = last {
            self.later_ms(0, Input::Committed { token });
        }
    }

    fn one(&self, campaign: CampaignId, lead: LeadId, bad: bool) -> LeadAnswer {
        match self.rows.get(&lead).filter(|row| row.lead.campaign == campaign) {
            _ if bad => LeadAnswer::Failed,
            None => LeadAnswer::NotFound,
            Some(row) => LeadAnswer::Found {
                lead: Box::new(row.lead.clone()),
                status: if self.suppressed.contains(&row.lead.phone.0) {
                    LeadStatus::Suppressed
                } else {
                    row.status
                },
                next_unix_ms: row.next_unix_ms,
            },
        }
    }

    fn due(&self, campaign: CampaignId, limit: u32) -> Input {
        let now = self.unix_ms();
        let open = |row: &&Row| {
            row.lead.campaign == campaign
                && matches!(row.status, LeadStatus::New | LeadStatus::Retry)
                && !self.suppressed.contains(&row.lead.phone.0)
        };
        let due = self.rows.values().filter(open).filter(|row| row.next_unix_ms <= now);
        let leads: Vec<Lead> = due.map(|row| row.lead.clone()).take(limit as usize).collect();
        let next = self.rows.values().filter(open).map(|row| row.next_unix_ms.max(now + 200)).min();
        let next_due_unix_ms = if leads.is_empty() { next } else { None };
        Input::Leads { campaign, leads, next_due_unix_ms }
    }

    fn apply(&mut self, write: Write) {
        let change = match write {
            Write::Try(new) => {
                if let Some(row) = self.rows.get_mut(&new.lead) {
                    row.status = LeadStatus::Dialing;
                }
                return;
            }
            Write::AttemptEnded { lead, .. } | Write::Disposed { lead, .. } | Write::Lead(lead) => lead,
            Write::Suppress { phone, .. } => {
                self.suppressed.insert(phone.0);
                return;
            }
            _ => return,
        };
        if let Some(row) = self.rows.get_mut(&change.lead) {
            (row.status, row.next_unix_ms) = (change.status, change.next_unix_ms);
            row.lead.attempts = change.attempts;
            row.lead.last_outcome = change.last_outcome;
            row.lead.repeats = change.repeats;
        }
    }
}
