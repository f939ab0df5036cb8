//! The people of a day: who comes when, pauses why, loses the browser, is sent to a meeting, and goes.

use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::DayConfig;
use crate::simulate::Lasting;
use crate::{
    AgentEvent, AgentId, AgentState, AgentView, CampaignId, Command, Force, Input, Labels, PauseReason,
    ShiftWindow, Skill, TeamId, TeamSettings,
};

/// The supervisor who sends agents to meetings.
const SUPERVISOR: AgentId = AgentId(1_001);
const EARLY: TeamId = TeamId(2);
/// The team of the second campaign.
pub(super) const LATE: TeamId = TeamId(3);
/// The begin of the day, in minutes.
const EIGHT: u64 = 8 * 60;

/// What an agent, or somebody for them, does.
#[derive(Clone, Copy, Debug)]
enum Deed {
    SignIn,
    Ready,
    Pause(&'static str),
    Lost,
    Back,
    Forced,
    LastCall,
}

pub(super) struct Crew {
    agents: u32,
    minutes: u64,
    deeds: Vec<(Duration, AgentId, Deed)>,
    /// Who says at the end of a wrap-up what came of the call: of every hundred, so many.
    careful: u32,
    calls: u32,
}

impl Crew {
    pub(super) fn new(config: &DayConfig, rng: &mut ChaCha8Rng) -> Crew {
        let minutes = config.lasts.as_secs() / 60;
        let mut crew = Crew { agents: config.agents, minutes, deeds: Vec::new(), careful: 85, calls: 0 };
        for agent in 1..=config.agents {
            crew.day_of(agent, rng);
        }
        crew
    }

    /// From when to when a team works, in minutes from the begin of the day.
    fn window(&self, team: TeamId) -> (u64, u64) {
        let fifth = self.minutes / 5;
        if team == EARLY { (0, self.minutes - fifth) } else { (fifth, self.minutes) }
    }

    fn team(agent: u32) -> TeamId {
        if agent.is_multiple_of(2) { LATE } else { EARLY }
    }

    /// An agent's day, drawn by chance.
    fn day_of(&mut self, n: u32, rng: &mut ChaCha8Rng) {
        let agent = AgentId(i64::from(n));
        let (from, to) = self.window(Self::team(n));
        let seconds = |minutes: u64| (minutes * 60) as f64;
        let (from, to) = (seconds(from), seconds(to));
        let mut at = from + rng.random_range(1.0..180.0);
        self.plan_one(at, agent, Deed::SignIn);
        self.plan_one(at + rng.random_range(5.0..60.0), agent, Deed::Ready);
        let draw = |mean_s: f64, rng: &mut ChaCha8Rng| {
            Lasting { mean_s, sd_s: mean_s * 0.6 }.draw(rng).as_secs_f64()
        };
        // A pause about every forty minutes, now and then longer than it may be.
        loop {
            at += draw(2_400.0, rng);
            if at > to - 300.0 {
                break;
            }
            let (code, lasts) = match rng.random_range(0..10) {
                0..=5 => ("break", 420.0),
                6..=7 => ("lunch", 1_500.0),
                _ => ("training", 900.0),
            };
            self.plan_one(at, agent, Deed::Pause(code));
            at += draw(lasts, rng);
            self.plan_one(at, agent, Deed::Ready);
        }
        // A browser is lost about once in an hour and a half; most are back before anybody notices.
        let mut at = from + 300.0;
        loop {
            at += draw(5_400.0, rng);
            if at > to - 200.0 {
                break;
            }
            let away =
                if rng.random_range(0..10) < 6 { rng.random_range(1.0..9.0) } else { draw(60.0, rng) + 11.0 };
            self.plan_one(at, agent, Deed::Lost);
            self.plan_one(at + away, agent, Deed::Back);
            self.plan_one(at + away + 2.0, agent, Deed::Ready);
            at += away;
        }
        if rng.random_range(0..3) == 0 {
            let at = rng.random_range(from + 400.0..to - 400.0);
            self.plan_one(at, agent, Deed::Forced);
            self.plan_one(at + 240.0, agent, Deed::Ready);
        }
        if rng.random_range(0..5) == 0 {
            self.plan_one(to - rng.random_range(60.0..300.0), agent, Deed::LastCall);
        }
    }

    fn plan_one(&mut self, at_s: f64, agent: AgentId, deed: Deed) {
        self.deeds.push((Duration::from_secs_f64(at_s.max(0.0)), agent, deed));
    }

    /// When something is done, by place.
    pub(super) fn plan(&self) -> Vec<(Duration, usize)> {
        self.deeds.iter().enumerate().map(|(place, (at, ..))| (*at, place)).collect()
    }

    /// What comes of one deed.
    pub(super) fn act(&self, place: usize) -> Vec<Input> {
        let Some((_, agent, deed)) = self.deeds.get(place) else { return Vec::new() };
        let (agent, id) = (*agent, *agent);
        let command = |command| Input::Command { reply: 0, command };
        let leg = |event| Input::Agent { id, event };
        match deed {
            Deed::SignIn => {
                vec![
                    command(Command::SignIn { agent, name: format!("Agent {agent}") }),
                    leg(AgentEvent::LegUp),
                ]
            }
            Deed::Ready => vec![command(Command::Ready(agent))],
            Deed::Pause(code) => vec![command(Command::Pause { agent, reason: (*code).into() })],
            Deed::Lost => vec![leg(AgentEvent::LegDown)],
            Deed::Back => vec![leg(AgentEvent::LegUp)],
            Deed::Forced => {
                let (by, by_name) = (SUPERVISOR, "Sam".to_owned());
                let reason = "meeting".to_owned();
                vec![command(Command::Force { agent, state: Force::Paused, by, by_name, reason })]
            }
            Deed::LastCall => vec![command(Command::LastCall(agent))],
        }
    }

    /// An agent has looked after the record long enough: says what came of the call, or forgets to, and goes on.
    pub(super) fn wrapped_up(&mut self, agent: AgentId, view: Option<&AgentView>) -> Vec<Command> {
        let Some(view) = view.filter(|view| view.state == AgentState::WrapUp) else { return Vec::new() };
        self.calls += 1;
        let Some(call) = view.call.filter(|_| self.calls % 100 < self.careful) else { return Vec::new() };
        let code = ["not_interested", "sale", "wrong_number"].get((self.calls % 3) as usize);
        let code = code.copied().unwrap_or("sale").to_owned();
        let mut commands = vec![Command::Dispose {
            call,
            code,
            note: String::new(),
            callback_unix_ms: None,
            personal: false,
        }];
        if view.next.is_none() {
            commands.push(Command::Ready(agent));
        }
        commands
    }

    /// Two teams below one, the reasons for a pause.
    pub(super) fn people(&self, _now_unix_ms: i64) -> Vec<Command> {
        let clock = |minutes: u64| format!("{:02}:{:02}", (EIGHT + minutes) / 60, (EIGHT + minutes) % 60);
        let put = |settings| Command::PutTeam { id: None, settings: Box::new(settings) };
        let mut commands = vec![put(TeamSettings { name: "House".into(), ..TeamSettings::default() })];
        for (name, team) in [("Early", EARLY), ("Late", LATE)] {
            let (from, to) = self.window(team);
            let shifts = vec![ShiftWindow { days: vec![1], from: clock(from), to: clock(to) }];
            let members = (1..=self.agents).filter(|n| Self::team(*n) == team).map(|n| AgentId(n.into()));
            commands.push(put(TeamSettings {
                name: name.into(),
                parent: Some(TeamId(1)),
                members: members.collect(),
                shifts,
                ..TeamSettings::default()
            }));
        }
        let reason = |code: &str, limit_min, day_limit_min| PauseReason {
            code: code.into(),
            label: Labels { en: code.into(), ..Labels::default() },
            limit_min,
            day_limit_min,
            paid: code != "lunch",
        };
        let reasons = [("break", 10, 30), ("lunch", 30, 45), ("training", 0, 0)];
        let reasons = reasons.map(|(code, limit, day)| reason(code, limit, day));
        commands.push(Command::SetPauseReasons(reasons.into()));
        commands
    }

    /// How well each serves each campaign.
    pub(super) fn skills(&self, campaigns: &[CampaignId]) -> Vec<Command> {
        let skill = |n: u32, campaign: CampaignId| Skill {
            agent: AgentId(n.into()),
            campaign,
            level: u8::try_from(1 + (n * 7) % 10).unwrap_or(5),
            priority: i32::from(campaign == CampaignId(2) && n.is_multiple_of(3)),
        };
        let all = (1..=self.agents).flat_map(|n| campaigns.iter().map(move |campaign| skill(n, *campaign)));
        vec![Command::SetSkills(all.collect())]
    }
}
