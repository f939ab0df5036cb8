//! VICIdial's adaptive mode, from a description of what it does: every 15 s a dial level follows the share of agents
//! who are ready, a limiter cuts it once the day's drops exceed the limit, and every 2.5 s as many calls are placed as
//! the level asks for. No answer rate, ring age or talk age enters. A row to beat, not a mode of a campaign.

use std::time::Duration;

use kraliki_time::Time;
use serde::{Deserialize, Serialize};

use super::{AgentPhase, Decision, Observation, Pacer, View};

/// How often agents are counted.
const SAMPLE: Duration = Duration::from_millis(500);
/// How often the level is adapted.
const ADAPT: Duration = Duration::from_secs(15);
/// How often calls are placed.
const PLACE: Duration = Duration::from_millis(2500);
/// Drops count since the beginning of the day's dialing: 12 hours, as the legal ones of most places.
const DAY: Duration = Duration::from_secs(12 * 3600);
/// Answers below which a share of drops says nothing.
const ANSWERS_LEAST: f64 = 50.0;

/// What happens to the level while the day's drops exceed the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Limiter {
    /// It falls to 1.
    Hard,
    /// It is halved at each adaptation.
    Average,
    /// It is scaled by the share of the day that is left.
    Tapered,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Vicidial {
    limiter: Limiter,
    most: f64,
    level: f64,
    /// Shares of agents that were free and wanted since the level was adapted: their sum and number.
    free: (f64, u32),
    sampled: Time,
    adapted: Time,
    placed: Time,
    day_began: Time,
    answered: f64,
    abandoned: f64,
}

impl Vicidial {
    /// The level stays between 1 and `most`.
    pub(super) fn new(limiter: Limiter, most: f64) -> Self {
        Vicidial {
            limiter,
            most,
            level: 1.0,
            free: (0.0, 0),
            sampled: Time::ZERO,
            adapted: Time::ZERO,
            placed: Time::ZERO,
            day_began: Time::ZERO,
            answered: 0.0,
            abandoned: 0.0,
        }
    }

    fn sample(&mut self, now: Time, view: &View<'_>) {
        if now.since(self.sampled) < SAMPLE {
            return;
        }
        self.sampled = now;
        let free = view.idle() as f64 - view.waiting.len() as f64;
        self.free.0 += free / (view.agents.len() as f64).max(1.0);
        self.free.1 += 1;
    }

    fn adapt(&mut self, now: Time, cap: f64) {
        if now.since(self.day_began) >= DAY {
            self.day_began = now;
            (self.answered, self.abandoned) = (0.0, 0.0);
        }
        if now.since(self.adapted) < ADAPT || self.free.1 == 0 {
            return;
        }
        self.adapted = now;
        let (sum, n) = std::mem::take(&mut self.free);
        self.level = (self.level * (1.0 + sum / f64::from(n))).clamp(1.0, self.most);
        if self.answered > ANSWERS_LEAST && self.abandoned > cap * self.answered {
            let left = 1.0 - now.since(self.day_began).as_secs_f64() / DAY.as_secs_f64();
            let cut = match self.limiter {
                Limiter::Hard => 1.0,
                Limiter::Average => self.level / 2.0,
                Limiter::Tapered => self.level * left,
            };
            self.level = cut.max(1.0);
        }
    }
}

impl Pacer for Vicidial {
    fn name(&self) -> &'static str {
        match self.limiter {
            Limiter::Hard => "vicidial_hard",
            Limiter::Average => "vicidial_average",
            Limiter::Tapered => "vicidial_tapered",
        }
    }

    fn observe(&mut self, _now: Time, seen: Observation) {
        match seen {
            Observation::Served { .. } => self.answered += 1.0,
            Observation::Abandoned => {
                self.answered += 1.0;
                self.abandoned += 1.0;
            }
            _ => {}
        }
    }

    fn decide(&mut self, now: Time, view: &View<'_>) -> Decision {
        self.sample(now, view);
        self.adapt(now, view.cap);
        let busy = view.agents.iter().filter(|agent| !matches!(agent, AgentPhase::Idle)).count();
        let mut dial = 0;
        if now.since(self.placed) >= PLACE {
            self.placed = now;
            // Agents are few thousands and the level is bounded; `as` saturates.
            let wanted = (self.level * view.agents.len() as f64).round() as usize;
            dial = wanted.saturating_sub(view.open() + busy);
        }
        Decision {
            dial: u32::try_from(dial).unwrap_or(u32::MAX).min(view.most),
            reason: format!("level {:.2}, {busy} busy, {} open", self.level, view.open()),
            ..Decision::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pacing::testing::view;

    /// The level after a minute of these agents, on a day with this share of drops.
    fn level(limiter: Limiter, agents: &[AgentPhase], drops: u32) -> f64 {
        let mut pacer = Vicidial::new(limiter, 3.0);
        for n in 0..100 {
            let seen = if n < drops {
                Observation::Abandoned
            } else {
                Observation::Served { waited: Duration::ZERO }
            };
            pacer.observe(Time::ZERO, seen);
        }
        for half in 1..=120 {
            pacer.decide(Time::from_millis(500 * half), &view(agents));
        }
        pacer.level
    }

    #[test]
    fn the_level_follows_free_agents_up_to_its_most() {
        let free = [AgentPhase::Idle; 10];
        assert_eq!(level(Limiter::Hard, &free, 0), 3.0);
        let busy = [AgentPhase::Talking { since: Time::ZERO }; 10];
        assert_eq!(level(Limiter::Hard, &busy, 0), 1.0);
    }

    #[test]
    fn drops_beyond_the_limit_cut_it_as_the_limiter_says() {
        let free = [AgentPhase::Idle; 10];
        assert_eq!(level(Limiter::Hard, &free, 10), 1.0);
        assert_eq!(level(Limiter::Average, &free, 10), 1.0);
        assert!(level(Limiter::Tapered, &free, 10) > 2.5, "nearly the whole day is left");
    }

    #[test]
    fn calls_are_placed_every_two_and_a_half_seconds() {
        let agents = [AgentPhase::Idle; 10];
        let mut pacer = Vicidial::new(Limiter::Hard, 3.0);
        let dials = (1..=10).map(|half| pacer.decide(Time::from_millis(500 * half), &view(&agents)).dial);
        assert_eq!(dials.collect::<Vec<_>>(), [0, 0, 0, 0, 10, 0, 0, 0, 0, 10]);
    }
}
