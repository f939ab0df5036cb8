//! The simulated agents: they take calls and say what came of them; restless ones hold, pause, leave and lose their
//! audio. After a crash they come back and say again what was not acknowledged.

use std::collections::BTreeMap;
use std::time::Duration;

use kraliki_time::Time;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::world::{Agenda, Happening};
use super::{pick, setting};
use crate::{
    AgentEvent, AgentId, AgentState, AgentView, AttemptId, Command, CommandError, Input, LeadId, Reply,
};

pub(super) struct Crew {
    agents: i64,
    restless: bool,
    /// Dispositions that are on their way, by reply.
    said: BTreeMap<u64, (AttemptId, String)>,
    /// And those that a crash swallowed.
    owed: Vec<(AttemptId, String)>,
    /// Nobody has audio before then.
    gone_until: Time,
}

impl Crew {
    pub(super) fn new(agents: i64, restless: bool) -> Self {
        Crew { agents, restless, said: BTreeMap::new(), owed: Vec::new(), gone_until: Time::ZERO }
    }

    /// Everybody signs in, some sooner than others.
    pub(super) fn come(&mut self, now: Time, soon: bool, rng: &mut ChaCha8Rng, agenda: &mut Agenda) {
        let latest = if soon { 50 } else { 6_000 };
        for n in 1..=self.agents {
            let agent = AgentId(n);
            let at = now + Duration::from_millis(rng.random_range(10..=latest));
            agenda.add(at, Happening::Command(Command::SignIn { agent, name: format!("Agent {n}") }));
            let up = at.max(self.gone_until);
            self.leg_and_ready(up, agent, agenda);
        }
        for (call, code) in std::mem::take(&mut self.owed) {
            let at = now + Duration::from_millis(rng.random_range(20..=8_000));
            agenda.add(at, Happening::Command(dispose(call, code)));
        }
    }

    fn leg_and_ready(&self, at: Time, agent: AgentId, agenda: &mut Agenda) {
        let ms = Duration::from_millis;
        agenda.add(at + ms(20), Happening::Tell(Input::Agent { id: agent, event: AgentEvent::LegUp }));
        agenda.add(at + ms(40), Happening::Command(Command::Ready(agent)));
    }

    /// Every agent's audio is gone for so long.
    pub(super) fn lose_audio(
        &mut self,
        now: Time,
        lasts: Duration,
        rng: &mut ChaCha8Rng,
        agenda: &mut Agenda,
    ) {
        self.gone_until = now + lasts;
        for n in 1..=self.agents {
            let agent = AgentId(n);
            let mut leg = |at, event| agenda.add(at, Happening::Tell(Input::Agent { id: agent, event }));
            let noticed = Duration::from_millis(rng.random_range(0..=3));
            leg(now + noticed, AgentEvent::Silent);
            let down = Duration::from_millis(rng.random_range(500..=5_000));
            let back = now + lasts + Duration::from_millis(rng.random_range(1..=3_000));
            if down < lasts {
                leg(now + down, AgentEvent::LegDown);
                leg(back, AgentEvent::LegUp);
            } else {
                leg(back, AgentEvent::Alive);
            }
        }
    }

    /// What an agent does about what the screen shows.
    pub(super) fn saw(&mut self, now: Time, view: &AgentView, rng: &mut ChaCha8Rng, agenda: &mut Agenda) {
        let agent = view.id;
        let one_in = |rng: &mut ChaCha8Rng, n: u32| rng.random_range(0..n) == 0;
        let mut later = |ms: u64, command| {
            agenda.add(now + Duration::from_millis(ms), Happening::Command(command));
        };
        match (view.state, view.call) {
            (AgentState::WrapUp, Some(call)) if self.restless && one_in(rng, 8) => {
                later(100, Command::Hangup(call)); // late: the call is over
            }
            (AgentState::WrapUp, Some(call)) if view.next.is_none() => {
                let code = pick(rng, "sale", &["call_back", "do_not_call"]);
                let (first, second) = (rng.random_range(500..20_000), rng.random_range(0..3_000));
                later(first, dispose(call, code.to_owned()));
                later(first + second, Command::Ready(agent));
            }
            (AgentState::Talking, Some(call)) if self.restless && one_in(rng, 4) => {
                let ms = rng.random_range(1_000..20_000);
                match rng.random_range(0..5) {
                    0 => later(ms, Command::Hold { call, on: true }),
                    1 => later(ms, Command::Pause { agent, reason: "tea".into() }),
                    2 => later(ms, Command::SignOut(agent)),
                    3 => later(ms, Command::Hangup(call)),
                    _ => {
                        let lost = now + Duration::from_millis(ms);
                        let back = lost + Duration::from_millis(rng.random_range(100..20_000));
                        let mut leg =
                            |at, event| agenda.add(at, Happening::Tell(Input::Agent { id: agent, event }));
                        leg(lost, AgentEvent::LegDown);
                        leg(back.max(self.gone_until), AgentEvent::LegUp);
                    }
                }
            }
            (AgentState::Preview, _) => {
                let Some(lead) = view.preview.as_ref().map(|preview| preview.lead.id) else { return };
                let ms = rng.random_range(500..12_000);
                match rng.random_range(0..8) {
                    0 => {
                        let skip = Command::SkipPreview { agent, lead, delay_s: 60, reason: "later".into() };
                        later(ms, skip);
                    }
                    1 if self.restless => later(ms, Command::Pause { agent, reason: "tea".into() }),
                    _ => {
                        // A double click dials once.
                        later(ms, Command::DialPreview { agent, lead });
                        later(ms + 40, Command::DialPreview { agent, lead });
                    }
                }
            }
            (AgentState::Ready, _) if one_in(rng, 6) => {
                let (campaign, lead) = (setting::MANUAL, LeadId(rng.random_range(1..=400)));
                later(200, Command::DialLead { agent, campaign, lead });
            }
            (AgentState::Hold, Some(call)) => later(2_000, Command::Hold { call, on: false }),
            (AgentState::Paused, _) if now > Time::from_millis(1_000) => {
                let at = now + Duration::from_millis(rng.random_range(1_000..30_000));
                self.leg_and_ready(at.max(self.gone_until), agent, agenda);
            }
            (AgentState::Offline, _) => later(5_000, Command::SignIn { agent, name: view.name.clone() }),
            (AgentState::Ready, _) if self.restless && one_in(rng, 20) => {
                let mut leg = |ms, event| {
                    let at = now + Duration::from_millis(ms);
                    agenda.add(at, Happening::Tell(Input::Agent { id: agent, event }));
                };
                leg(50, AgentEvent::Silent);
                leg(3_000, AgentEvent::Alive);
            }
            _ => {}
        }
    }

    /// A command goes out.
    pub(super) fn told(&mut self, reply: u64, command: &Command) {
        if let Command::Dispose { call, code, .. } = command {
            self.said.insert(reply, (*call, code.clone()));
        }
    }

    /// It was answered: what the disk did not take is said again.
    pub(super) fn replied(
        &mut self,
        now: Time,
        reply: u64,
        result: &Result<Reply, CommandError>,
        agenda: &mut Agenda,
    ) {
        let Some((call, code)) = self.said.remove(&reply) else { return };
        if matches!(result, Err(CommandError::Store | CommandError::Overloaded(_))) {
            agenda.add(now + Duration::from_millis(700), Happening::Command(dispose(call, code)));
        }
    }

    /// The dialer died, and with it every connection.
    pub(super) fn crash(&mut self) {
        self.owed.extend(std::mem::take(&mut self.said).into_values());
    }
}

fn dispose(call: AttemptId, code: String) -> Command {
    Command::Dispose { call, code, note: String::new(), callback_unix_ms: None, personal: false }
}
