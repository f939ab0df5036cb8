//! A look-ahead that is given the floor's true distributions: the row that a learning pacer has to reach. It knows who
//! is in talk and who in wrap-up, dials while the chance that one more answered call finds nobody stays under a
//! threshold, and tunes the threshold by what is abandoned. For simulation and benchmark; no campaign knows the truth.
#![allow(clippy::indexing_slicing)] // Indices are the fixed horizons, and ages clamped to the tables' length.

use std::time::Duration;

use kraliki_time::Time;
use serde::{Deserialize, Serialize};

use super::normal::{lognormal_below, normal_below};
use super::{AgentPhase, Decision, Pacer, View};

/// A floor's true distributions. Times are lognormal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Truth {
    /// Share of dials that a person answers, if it rings long enough.
    pub person: f64,
    /// Share of dials that a machine answers, if it rings long enough.
    pub machine: f64,
    /// Share of dials that end busy. The rest rings out.
    pub busy: f64,
    /// From the dial to ringing, in seconds.
    pub post_dial_s: f64,
    /// From there to the busy signal, in seconds.
    pub busy_after_s: f64,
    /// From ringing until a person answers: mean in seconds and coefficient of variation, as all that follow.
    pub person_ring: (f64, f64),
    /// From ringing until a machine answers.
    pub machine_ring: (f64, f64),
    /// A call with an agent.
    pub talk: (f64, f64),
    /// An agent's work after it.
    pub wrap_up: (f64, f64),
}

/// Moments at which a line dialed now may be answered, equally likely.
const HORIZONS: usize = 8;
type Chances = [f64; HORIZONS];
/// The steps of the tables: ages of lines and wrap-ups, ages of talks, in seconds.
const FINE_S: f64 = 0.25;
const COARSE_S: f64 = 2.0;
/// How often it looks, and how often it tunes its threshold.
const LOOK: Duration = Duration::from_millis(450);
const TUNE: Duration = Duration::from_secs(5);
/// The long run that the threshold is tuned to, as a share of the cap.
const AIM: f64 = 0.985;
/// Answers before the measured rate says anything.
const ANSWERS_LEAST: u64 = 20;
/// Agents up to which the exact distribution is worked out; above, the normal one is as good.
const EXACT_AGENTS: usize = 30;

/// The policy.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct LookAhead {
    truth: Truth,
    tables: Option<Tables>,
    /// The accepted risk; none before the first decision tells the cap.
    threshold: Option<f64>,
    tuned: Time,
    looked: Option<Time>,
}

/// Chances at each horizon, by age.
#[derive(Debug, Serialize, Deserialize)]
struct Tables {
    /// A person answers a line in flight.
    answers: Vec<Chances>,
    /// A talking agent is not free within the grace after the horizon.
    talking: Vec<Chances>,
    /// The same of one who wraps up.
    wrapping: Vec<Chances>,
}

impl Tables {
    fn new(truth: &Truth, grace_s: f64, ring_timeout_s: f64) -> Self {
        let ring_s = ring_timeout_s - truth.post_dial_s;
        let answered = |s: f64| below(s.min(ring_timeout_s) - truth.post_dial_s, truth.person_ring);
        let in_time = below(ring_s, truth.person_ring);
        let at_s: Chances = std::array::from_fn(|h| {
            let share = (h as f64 + 0.5) / HORIZONS as f64 * in_time;
            let steps = (0..).find(|&i| {
                answered(f64::from(i) * FINE_S) >= share || f64::from(i) * FINE_S > ring_timeout_s
            });
            f64::from(steps.unwrap_or(0)) * FINE_S
        });
        let unanswered = |age: f64| {
            let rest = 1.0 - truth.person - truth.machine - truth.busy;
            let busy = if age < truth.post_dial_s + truth.busy_after_s { truth.busy } else { 0.0 };
            rest.max(0.0) + busy + truth.machine * (1.0 - below(age - truth.post_dial_s, truth.machine_ring))
        };
        let answers = (0..=(ring_timeout_s / FINE_S) as usize).map(|i| {
            let age = i as f64 * FINE_S;
            let alive =
                truth.person * (1.0 - below(age - truth.post_dial_s, truth.person_ring)) + unanswered(age);
            at_s.map(|t| truth.person * (answered(age + t) - answered(age)) / alive.max(1e-9))
        });
        let talking = (0..600).map(|i| at_s.map(|t| still_busy(truth, i as f64 * COARSE_S, t + grace_s)));
        let wrapping = (0..1000).map(|i| {
            let (age, until) = (i as f64 * FINE_S, i as f64 * FINE_S + grace_s);
            at_s.map(|t| ratio(1.0 - below(until + t, truth.wrap_up), 1.0 - below(age, truth.wrap_up)))
        });
        Tables { answers: answers.collect(), talking: talking.collect(), wrapping: wrapping.collect() }
    }

    /// Everything that may take an agent: those who stay busy, and lines that are answered.
    fn events(&self, now: Time, view: &View<'_>) -> Vec<Chances> {
        let at = |table: &[Chances], since: Time, step_s: f64| {
            // `as` saturates; what is older than the table is like its oldest.
            let i = (now.since(since).as_secs_f64() / step_s) as usize;
            table[i.min(table.len() - 1)]
        };
        let agents = view.agents.iter().filter_map(|agent| match *agent {
            AgentPhase::Idle => None,
            AgentPhase::Talking { since } => Some(at(&self.talking, since, COARSE_S)),
            AgentPhase::WrapUp { since } => Some(at(&self.wrapping, since, FINE_S)),
        });
        agents.chain(view.lines.iter().map(|line| at(&self.answers, line.dialed, FINE_S))).collect()
    }
}

/// The chance that an agent who has talked this long is not done with talk and wrap-up so many seconds later.
fn still_busy(truth: &Truth, age: f64, seconds: f64) -> f64 {
    const PARTS: usize = 40;
    let alive = 1.0 - below(age, truth.talk);
    let part = seconds / PARTS as f64;
    let free: f64 = (0..PARTS)
        .map(|i| {
            let (from, to) = (age + i as f64 * part, age + (i + 1) as f64 * part);
            let left = seconds - (i as f64 + 0.5) * part;
            (below(to, truth.talk) - below(from, truth.talk)) * below(left, truth.wrap_up)
        })
        .sum();
    1.0 - ratio(free, alive).clamp(0.0, 1.0)
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 1e-9 { part / whole } else { 0.0 }
}

/// The share of a lognormal time that is over after so many seconds.
fn below(seconds: f64, (mean, cv): (f64, f64)) -> f64 {
    if cv > 0.0 { lognormal_below(seconds, mean, cv) } else { f64::from(u8::from(seconds >= mean)) }
}

impl LookAhead {
    pub(super) fn new(truth: Truth) -> Self {
        LookAhead { truth, tables: None, threshold: None, tuned: Time::ZERO, looked: None }
    }

    fn tune(&mut self, now: Time, view: &View<'_>) -> f64 {
        let threshold = self.threshold.get_or_insert(view.cap);
        if now.since(self.tuned) >= TUNE && view.cap > 0.0 {
            self.tuned = now;
            let rate = if view.answered > ANSWERS_LEAST {
                view.abandoned as f64 / view.answered as f64
            } else {
                0.8 * view.cap
            };
            let step = 0.05 * (view.cap * AIM - rate) / view.cap;
            *threshold = (*threshold * (1.0 + step.max(-0.5))).clamp(view.cap * 0.2, 0.9);
        }
        *threshold
    }
}

impl Pacer for LookAhead {
    fn name(&self) -> &'static str {
        "look_ahead"
    }

    fn decide(&mut self, now: Time, view: &View<'_>) -> Decision {
        let threshold = self.tune(now, view);
        if self.looked.is_some_and(|last| now.since(last) < LOOK) {
            return Decision { reason: "looked a moment ago".into(), ..Decision::default() };
        }
        self.looked = Some(now);
        let tables = self.tables.get_or_insert_with(|| {
            Tables::new(&self.truth, view.grace.as_secs_f64(), view.ring_timeout.as_secs_f64())
        });
        let agents = view.agents.len().saturating_sub(view.waiting.len());
        let most = view.most.min(u32::try_from(8 * view.agents.len()).unwrap_or(u32::MAX));
        let events = tables.events(now, view);
        let new = tables.answers[0];
        let dial = if view.agents.len() <= EXACT_AGENTS {
            exact(agents, &events, &new, threshold, most)
        } else {
            normal(agents, &events, &new, threshold, most)
        };
        let reason = format!("{} lines open, {:.1}% may be risked", view.open(), threshold * 100.0);
        Decision { dial, reason, ..Decision::default() }
    }
}

/// Lines that fit while the chance that everybody is taken stays at most `threshold`: the exact distribution.
fn exact(agents: usize, events: &[Chances], new: &Chances, threshold: f64, most: u32) -> u32 {
    let mut taken: Vec<Vec<f64>> = (0..HORIZONS)
        .map(|h| {
            let mut pmf = vec![0.0; agents];
            if let Some(none) = pmf.first_mut() {
                *none = 1.0;
            }
            events.iter().for_each(|chances| add(&mut pmf, chances[h]));
            pmf
        })
        .collect();
    let mut lines = 0;
    while lines < most {
        let enough: f64 = taken.iter().flatten().sum();
        if 1.0 - enough / HORIZONS as f64 > threshold {
            break;
        }
        for (pmf, &p) in taken.iter_mut().zip(new) {
            add(pmf, p);
        }
        lines += 1;
    }
    lines
}

/// One more agent is taken with this chance; what is beyond the last place is lost, since it no longer fits anyway.
fn add(pmf: &mut [f64], p: f64) {
    let mut carried = 0.0;
    for x in pmf {
        let here = *x;
        *x = here * (1.0 - p) + carried;
        carried = here * p;
    }
}

/// The same with a normal approximation.
fn normal(agents: usize, events: &[Chances], new: &Chances, threshold: f64, most: u32) -> u32 {
    let mut taken = [[0.0; 2]; HORIZONS];
    let gather = |taken: &mut [[f64; 2]; HORIZONS], chances: &Chances| {
        for ([mean, variance], p) in taken.iter_mut().zip(chances) {
            *mean += p;
            *variance += p * (1.0 - p);
        }
    };
    events.iter().for_each(|chances| gather(&mut taken, chances));
    let mut lines = 0;
    while lines < most {
        let risk = |[mean, variance]: &[f64; 2]| {
            normal_below((mean - (agents as f64 - 0.5)) / variance.max(1e-9).sqrt())
        };
        if taken.iter().map(risk).sum::<f64>() / HORIZONS as f64 > threshold {
            break;
        }
        gather(&mut taken, new);
        lines += 1;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pacing::testing::view;
    use crate::simulate::Floor;

    fn pacer() -> LookAhead {
        LookAhead::new(Floor::named("f1").unwrap().truth())
    }

    #[test]
    fn it_dials_for_idle_agents_by_the_true_answer_rate() {
        let dial = pacer().decide(Time::ZERO, &view(&[AgentPhase::Idle; 10])).dial;
        // Ten of n answer with a chance of at most 3%: n is about 30, averaged over the horizons some more.
        assert!((30..60).contains(&dial), "{dial}");
    }

    #[test]
    fn both_ways_of_working_it_out_agree() {
        let events = vec![[0.9; HORIZONS]; 40];
        let new = [0.1; HORIZONS];
        let (a, b) = (exact(50, &events, &new, 0.03, 1000), normal(50, &events, &new, 0.03, 1000));
        assert!(a.abs_diff(b) <= 6, "{a} {b}");
        assert_eq!(exact(0, &[], &new, 0.03, 10), 0);
    }

    #[test]
    fn an_agent_late_in_wrap_up_is_nearly_free_and_one_early_in_talk_is_not() {
        let tables = Tables::new(&Floor::named("f1").unwrap().truth(), 2.0, 25.0);
        assert!(tables.talking[1][4] > 0.9, "{:?}", tables.talking[1]);
        assert!(tables.wrapping[60][4] < 0.4, "{:?}", tables.wrapping[60]);
        let by_the_end = tables.answers[0][HORIZONS - 1];
        assert!((0.14..0.17).contains(&by_the_end), "{by_the_end}");
    }

    #[test]
    fn what_was_abandoned_moves_the_threshold() {
        let mut tight = pacer();
        let seen = View { answered: 1000, abandoned: 60, ..view(&[AgentPhase::Idle; 3]) };
        for second in 1..100 {
            tight.decide(Time::from_millis(6000 * second), &seen);
        }
        assert!(tight.threshold.unwrap() < 0.01, "{:?}", tight.threshold);
    }
}
